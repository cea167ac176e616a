//! The exchange's thread: joins the state machine (`crate::replication`) to the journal and to the link to other engines.
//!
//! Nothing here is on the way of a screening. What the thread knows it leaves in `State::exchange`; if it stands still, the
//! state's age grows, and every answer says so.

mod authority;
mod driver;

pub use driver::{Parts, RunningExchange, start};

use crate::journal::JournalHead;
use crate::replication::{EngineOf, EpochHead};
use sparr_protocol::record::Origin;

/// How old the newest record of another engine is, ms: nothing newer is known at the start.
pub(super) fn age_at_start(heads: &[JournalHead], me: Origin, wall_ms: u64) -> u64 {
    let of = (me.member, me.engine);
    let others = heads.iter().filter(|head| (head.origin.member, head.origin.engine) != of);
    others.map(|head| head.stamp).max().map_or(u64::MAX, |newest| wall_ms.saturating_sub(newest))
}

/// What the journal holds, in the words of the exchange.
pub(super) fn lives(heads: &[JournalHead]) -> Vec<(EngineOf, EpochHead)> {
    heads.iter().map(crate::server::journal::epoch_head).collect()
}
