//! A seeded stream of valid authorisation requests, and a closed-loop client that sends requests in order.
//!
//! Closed loop means: a request is sent when an earlier one was answered. It measures how fast an engine can go
//! and is blind to queueing, so it says so wherever its figures are shown.

pub mod closed_loop;
mod random;
pub mod tally;
pub mod workload;
