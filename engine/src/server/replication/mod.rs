//! The exchange's thread: joins the state machine (`crate::replication`) to the journal and to the link to other engines.
//!
//! Nothing here is on the way of a screening. What the thread knows it leaves in `State::exchange`; if it stands still, the
//! state's age grows, and every answer says so.

#[cfg(feature = "nats")]
mod authority;
#[cfg(feature = "nats")]
mod driver;
#[cfg(feature = "nats")]
mod prepare;
#[cfg(feature = "nats")]
mod siblings;
#[cfg(not(feature = "nats"))]
mod without;

#[cfg(feature = "nats")]
pub(super) use driver::RunningExchange;
#[cfg(feature = "nats")]
pub(super) use prepare::{Prepared, prepare};
#[cfg(not(feature = "nats"))]
pub(super) use without::{Prepared, RunningExchange, prepare};
