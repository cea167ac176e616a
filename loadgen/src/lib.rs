//! An honest load generator: a seeded stream of valid authorisation requests with known fraud in it, and clients that
//! send it.
//!
//! Open loop ([`open_loop`]) means: a request is sent when its schedule says so, whatever became of the earlier ones,
//! and its latency counts from the intended time. Closed loop ([`closed_loop`]) means: a request is sent when an
//! earlier one was answered. That measures how fast an engine can go and is blind to queueing, so it says so wherever
//! its figures are shown.

pub mod aftermath;
pub mod campaign;
pub mod closed_loop;
pub mod columns;
pub mod day;
pub mod frames;
pub mod machine;
pub mod measure;
pub mod names;
pub mod open_loop;
#[cfg(feature = "parquet")]
mod parquet;
pub mod people;
mod random;
pub mod record;
pub mod report;
pub mod rows;
pub mod schedule;
pub mod search;
pub mod self_test;
pub mod service;
pub mod stream;
pub mod summary;
pub mod tally;
pub mod verdict;
pub mod workload;

use sparr_protocol::ids::RequestId;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// First half of the ids of a new run: random, so that two runs never repeat each other's requests.
pub fn fresh_run() -> [u8; 8] {
    // The standard library seeds it from the system; an id has to be unique, not secret.
    RandomState::new().build_hasher().finish().to_be_bytes()
}

/// An id that nobody has used.
pub fn fresh_id() -> RequestId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&fresh_run());
    id[8..].copy_from_slice(&fresh_run());
    RequestId(id)
}
