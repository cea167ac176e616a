//! The gateway client with a C ABI: blocking calls over the async client, for Java, C and every language that can call C.
//!
//! | | |
//! |---|---|
//! | [`abi`], [`options`] | the functions, and what they are given; the only unsafe code |
//! | [`answer`] | what an answer looks like: a plain struct with static texts |
//! | [`client`] | a thread with the async client, and calls that wait for it |
//!
//! `include/sparr_client.h` is made from these sources and compared by a test; `protocol/examples/c/gateway.c` uses it.

pub mod abi;
pub mod answer;
pub mod client;
pub mod options;
