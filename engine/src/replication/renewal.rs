//! A life that is not the last: on a disk or a machine that was put back, an engine begins in a life before one of which
//! others have heard. Whoever has heard of the later one takes the earlier for something late and does not listen. So the
//! engine begins a life that is later than all of them; what it recorded meanwhile is an earlier life, and stays.

use super::authority::Authority;
use super::message::{Body, EngineOf};
use super::{Effect, Now, Replica};
use crate::journal::epoch_at;
use sparr_protocol::record::Origin;
use sparr_protocol::time::Timestamp;
use std::collections::BTreeMap;

/// A life is begun, and an engine is told of its later one, no more often than this.
const PAUSE_MS: u64 = 1_000;

/// Lives are numbered by the clock: one that is further ahead is nobody's, whoever speaks of it.
const AHEAD_S: u64 = 86_400;

/// When lives were begun, and others told of theirs.
#[derive(Clone, Debug, Default)]
pub(super) struct Renewal {
    begun_at: Option<u64>,
    told_at: BTreeMap<EngineOf, u64>,
}

fn is_due(last: Option<u64>, now: u64) -> bool {
    last.is_none_or(|last| now >= last + PAUSE_MS)
}

impl<A: Authority> Replica<A> {
    /// Somebody knows of this life of this engine, which it has not lived, or of more in it than it wrote.
    pub(super) fn heard_of_own(&mut self, epoch: u32, now: Now) {
        let clock = Timestamp::from_ms(i64::try_from(now.wall_ms).unwrap_or(i64::MAX));
        if u64::from(epoch) > epoch_at(clock) + AHEAD_S {
            self.refused += 1;
        } else if epoch >= self.me.epoch && is_due(self.renewal.begun_at, now.steady_ms) {
            self.renewal.begun_at = Some(now.steady_ms);
            self.effects.push_back(Effect::Renew { above: epoch });
        }
    }

    /// Somebody speaks in an earlier life than the one that is known.
    pub(super) fn spoke_late(&mut self, from: Origin, now: Now) {
        let sender = EngineOf::of(from);
        let known = self.peers.get(sender).map(|peer| peer.epoch);
        if let Some(epoch) = known.filter(|epoch| *epoch > from.epoch)
            && is_due(self.renewal.told_at.get(&sender).copied(), now.steady_ms)
        {
            self.renewal.told_at.insert(sender, now.steady_ms);
            self.send(sender, Body::Later { epoch });
        }
    }
}
