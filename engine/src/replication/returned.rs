//! Own heartbeats that came back, and up to when they show that the state is whole.
//!
//! The exchange has one order: a heartbeat that comes back proves that what was taken before it came before it, if it was
//! sent on this link. It counts once all of that is on the disk, and while nobody is known to have more.

use std::collections::VecDeque;

/// Heartbeats that wait for the disk at most; what is more counts with a later one.
const WAITING_MAX: usize = 64;

/// Own heartbeats that came back.
#[derive(Clone, Debug, Default)]
pub(super) struct Returned {
    /// When the link came up.
    linked_ms: u64,
    /// Batches of records that were given to the disk, and those that it answered for.
    given: u64,
    answered: u64,
    /// When a heartbeat was sent, and how many batches had been given when it came back.
    waiting: VecDeque<(u64, u64)>,
    /// The newest before which everything is on the disk.
    stored_ms: Option<u64>,
    /// The newest that counted.
    whole_ms: Option<u64>,
}

impl Returned {
    /// A link is up: what was sent before may have passed what the broker has still to deliver.
    pub(super) fn linked(&mut self, now: u64) {
        self.linked_ms = now;
    }

    /// Records were given to the disk.
    pub(super) fn given(&mut self) {
        self.given += 1;
    }

    /// The disk has answered for the oldest of them.
    pub(super) fn stored(&mut self) {
        self.answered += 1;
        self.advance();
    }

    /// Batches that wait for the disk.
    pub(super) fn storing(&self) -> usize {
        usize::try_from(self.given.saturating_sub(self.answered)).unwrap_or(usize::MAX)
    }

    /// A heartbeat of this life came back.
    pub(super) fn came(&mut self, sent_ms: u64) {
        if sent_ms >= self.linked_ms && self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((sent_ms, self.given));
            self.advance();
        }
    }

    fn advance(&mut self) {
        while let Some((sent_ms, _)) = self.waiting.front().filter(|(_, given)| *given <= self.answered) {
            self.stored_ms = self.stored_ms.max(Some(*sent_ms));
            self.waiting.pop_front();
        }
    }

    /// Nobody is known to have more.
    pub(super) fn nothing_is_missing(&mut self) {
        self.whole_ms = self.stored_ms;
    }

    /// Up to when the state is known to be whole.
    pub(super) fn whole_ms(&self) -> Option<u64> {
        self.whole_ms
    }
}
