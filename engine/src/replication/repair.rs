//! Asking for what is missing: whom, when again, and never everything at once.

use super::message::{EngineOf, Place};
use std::collections::BTreeMap;

/// Chunks that one question is answered with at most.
pub(super) const CHUNKS_PER_WANT: usize = 8;

/// A chunk ends with the commit that makes it so long.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// Engines whose records are asked for at a time.
const WANTS_MAX: usize = 4;

/// What is on its way is not asked for: records come just before the heartbeat that tells of them.
const GRACE_MS: u64 = 20;

/// An unanswered question is asked again after this, then after twice as long, and so on.
const RETRY_FIRST_MS: u64 = 250;
const RETRY_LAST_MS: u64 = 4_000;

/// A peer is asked for an engine's lives no more often.
const ASK_MS: u64 = 500;

/// Who has not answered so often does not keep others from being asked for: perhaps nobody has it any more.
const TRIES_IN_VAIN: u32 = 3;

/// A question that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Want {
    again: u64,
    tries: u32,
    left: usize,
}

/// Questions that wait, and what has been repaired.
#[derive(Clone, Debug)]
pub(super) struct Repairs {
    wants: BTreeMap<EngineOf, Want>,
    /// Who was asked for the lives of which engine, and when.
    asked: BTreeMap<(EngineOf, EngineOf), u64>,
    random: u64,
    /// Times that records came whose predecessors had not.
    pub(super) gaps: u64,
    /// Chunks that were sent to who lacked them.
    pub(super) sent: u64,
    /// Questions that were asked.
    pub(super) questions: u64,
}

impl Repairs {
    pub(super) fn new(seed: u64) -> Self {
        // An odd number, as the generator needs.
        let random = seed.wrapping_mul(2).wrapping_add(1);
        Self { wants: BTreeMap::new(), asked: BTreeMap::new(), random, gaps: 0, sent: 0, questions: 0 }
    }

    /// Something below `span`, so that engines do not all speak at once.
    pub(super) fn jitter(&mut self, span: u64) -> u64 {
        // Marsaglia's xorshift: spread is all that is asked of it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % span.max(1)
    }

    /// Whether a peer may be asked for an engine's lives now; it is noted, if so.
    pub(super) fn may_ask(&mut self, peer: EngineOf, of: EngineOf, now: u64) -> bool {
        let due = self.asked.get(&(peer, of)).is_none_or(|at| now >= at + ASK_MS);
        if due {
            self.asked.insert((peer, of), now);
        }
        due
    }

    /// Whether a peer was asked for an engine's lives.
    pub(super) fn has_asked(&self, peer: EngineOf, of: EngineOf) -> bool {
        self.asked.contains_key(&(peer, of))
    }

    /// Forgets who was asked, where the peer is gone.
    pub(super) fn forget_asked(&mut self, is_live: impl Fn(EngineOf) -> bool) {
        self.asked.retain(|(peer, _), _| is_live(*peer));
    }

    /// Whether an engine's records are to be asked for now.
    pub(super) fn is_due(&self, of: EngineOf, behind_since: u64, now: u64) -> bool {
        self.due_at(of, behind_since) <= now
    }

    /// When an engine's records are to be asked for; never, while others are.
    pub(super) fn due_at(&self, of: EngineOf, behind_since: u64) -> u64 {
        let waiting = || self.wants.values().filter(|want| want.tries < TRIES_IN_VAIN).count();
        match self.wants.get(&of) {
            Some(want) => want.again,
            None if waiting() < WANTS_MAX => behind_since + GRACE_MS,
            None => u64::MAX,
        }
    }

    /// Whom to ask, of those who have them. Each time another, where there are several.
    pub(super) fn choose(
        &mut self,
        of: EngineOf,
        holders: &[(EngineOf, Place)],
        now: u64,
    ) -> Option<(EngineOf, Place)> {
        if holders.is_empty() {
            self.wants.remove(&of);
            return None;
        }
        let tries = self.wants.get(&of).map_or(0, |want| want.tries);
        let wait = (RETRY_FIRST_MS << tries.min(8)).min(RETRY_LAST_MS);
        let again = now + wait + self.jitter(wait / 2);
        self.wants.insert(of, Want { again, tries: tries + 1, left: CHUNKS_PER_WANT });
        self.questions += 1;
        holders.get(tries as usize % holders.len()).copied()
    }

    /// Records of an engine came that were missing.
    pub(super) fn advanced(&mut self, of: EngineOf, now: u64) {
        let Some(want) = self.wants.get_mut(&of) else { return };
        want.left = want.left.saturating_sub(1);
        want.tries = 0;
        want.again = if want.left == 0 { now } else { now + RETRY_FIRST_MS };
    }

    /// What could not be taken in can be now.
    pub(super) fn hurry(&mut self, of: EngineOf, now: u64) {
        if let Some(want) = self.wants.get_mut(&of) {
            want.again = want.again.min(now);
        }
    }

    /// Nothing of an engine is missing any more.
    pub(super) fn done(&mut self, of: EngineOf) {
        self.wants.remove(&of);
    }
}
