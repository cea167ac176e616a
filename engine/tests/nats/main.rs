//! The link between engines, over real nats-servers that these tests start, stop, pause, kill and rob of their stores.
//!
//! They need `nats-server` (2.9 or newer) in `SPARR_NATS_SERVER`, on the path or in /usr/sbin, and say so where it is
//! missing. Nothing here asserts a time: only what arrives, how often, and in which order.

mod broker;
mod cluster;
mod compose;
mod cuts;
mod engines;
mod everywhere;
mod losses;
mod members;
mod old_disk;
mod order;
mod probe;
mod relay;
mod secured;
mod storms;
#[path = "../whole/support.rs"]
#[allow(dead_code, reason = "shared with the tests of single engines")]
mod support;
