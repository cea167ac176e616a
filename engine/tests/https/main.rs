//! The HTTPS door: the same answers as every other door, and what becomes of everybody who knocks wrongly.
//!
//! One test drives an engine with schemathesis (`pip install schemathesis`); where it is missing it says SKIPPED.

#[path = "../whole/authority.rs"]
mod authority;
mod client;
mod knocks;
mod operations;
mod readme;
mod same;
mod schemathesis;
mod silence;
#[path = "../whole/support.rs"]
#[allow(dead_code, reason = "shared with the tests of single engines")]
mod support;
