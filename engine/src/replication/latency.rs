//! How long it takes from an acknowledgement to the last engine that enforces it, measured at the engine that
//! acknowledged: the way back of the receipt is in it.

use super::message::EngineOf;
use std::collections::VecDeque;

/// Commits that wait to be everywhere at most; the oldest is forgotten, not the newest.
const WAITING_MAX: usize = 65_536;
/// Measured commits that are remembered.
const KEPT_MAX: usize = 16_384;

/// One commit that is everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// Its last record.
    pub(super) sequence: u64,
    /// From the acknowledgement to the last receipt, ms.
    pub(super) ms: u64,
    /// Whose receipt was the last.
    pub(super) slowest: EngineOf,
}

/// Commits of this life of the engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    waiting: VecDeque<(u64, u64)>,
    kept: VecDeque<Measured>,
}

impl Latencies {
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    pub(super) fn committed(&mut self, sequence: u64, now: u64) {
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((sequence, now));
    }

    /// Every engine that is there has this record now, and this one said so last.
    pub(super) fn everywhere(&mut self, sequence: u64, slowest: EngineOf, now: u64) {
        while let Some((first, at)) = self.waiting.front().copied().filter(|(first, _)| *first <= sequence) {
            self.waiting.pop_front();
            if self.kept.len() == KEPT_MAX {
                self.kept.pop_front();
            }
            self.kept.push_back(Measured { sequence: first, ms: now.saturating_sub(at), slowest });
        }
    }

    /// Every remembered one, from the oldest.
    pub(super) fn all(&self) -> Vec<Measured> {
        self.kept.iter().copied().collect()
    }
}
