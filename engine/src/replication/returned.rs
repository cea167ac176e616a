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
    /// When the newest that came back was sent.
    newest_ms: Option<u64>,
    /// When a heartbeat was sent, and how many batches had been given when it was back and nothing was missing.
    waiting: VecDeque<(u64, u64)>,
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
    }

    /// Batches that wait for the disk.
    pub(super) fn storing(&self) -> usize {
        usize::try_from(self.given.saturating_sub(self.answered)).unwrap_or(usize::MAX)
    }

    /// A heartbeat of this life came back.
    pub(super) fn came(&mut self, sent_ms: u64) {
        if sent_ms >= self.linked_ms {
            self.newest_ms = self.newest_ms.max(Some(sent_ms));
        }
    }

    /// Somebody is known to have more, and it may be from before any heartbeat that does not count yet. Those that came
    /// back count again once what was missing is on the disk.
    pub(super) fn something_is_missing(&mut self) {
        self.waiting.clear();
    }

    /// Everything that anybody is known to have is here, or on its way to the disk.
    pub(super) fn nothing_is_missing(&mut self) {
        let queued = self.waiting.back().map(|(sent_ms, _)| *sent_ms).max(self.whole_ms);
        if let Some(newest_ms) = self.newest_ms.filter(|newest| Some(*newest) > queued)
            && self.waiting.len() < WAITING_MAX
        {
            self.waiting.push_back((newest_ms, self.given));
        }
        while let Some((sent_ms, _)) = self.waiting.front().filter(|(_, given)| *given <= self.answered) {
            self.whole_ms = Some(*sent_ms);
            self.waiting.pop_front();
        }
    }

    /// Up to when the state is known to be whole.
    pub(super) fn whole_ms(&self) -> Option<u64> {
        self.whole_ms
    }
}
