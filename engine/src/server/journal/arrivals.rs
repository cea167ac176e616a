//! Records of other engines: they act at once, and are made durable after that.
//!
//! They are durable at their origin, and a person who is to be protected does not wait for this disk. After a crash they are
//! asked for again; that this engine has them it says once they are durable here. Where the disk fails or is full they wait
//! in memory, so that what acts is never more than what is on the disk or on its way there; how many batches may wait is the
//! exchange's bound.

use super::foreign::Foreign;
use super::store::guarded;
use super::writer::{FILE, FOREIGN_PER_COMMIT_MAX, Writer};
use std::path::Path;

impl Writer {
    /// Takes in records that come next in their chain. Others may come after some that the journal had no time for: they are
    /// not taken, and will be asked for again.
    pub(super) fn arrives(&mut self, foreign: Foreign) {
        let Some(first) = foreign.records.first() else { return };
        if first.record.sequence != self.last_of(&foreign) + 1 {
            return (foreign.done)(false);
        }
        for sealed in &foreign.records {
            // What is planned from here on may build on it, and so comes after it.
            self.opened.chain.observe(sealed.record.stamp);
            self.apply(sealed);
        }
        self.arrived.push_back(foreign);
    }

    /// Number of the last record of the same life that has arrived; 0 before the first.
    fn last_of(&self, foreign: &Foreign) -> u64 {
        let origin = foreign.commit.origin;
        let waiting =
            self.arrived.iter().rev().map(|waiting| &waiting.commit).find(|commit| commit.origin == origin);
        let stored = || self.opened.heads.binary_search_by_key(&origin, |head| head.origin).ok();
        waiting
            .map(|commit| commit.last_sequence)
            .or_else(|| stored().and_then(|at| self.opened.heads.get(at)).map(|head| head.sequence))
            .unwrap_or(0)
    }

    /// Makes what has arrived durable, as far as the disk allows.
    pub(super) fn keep(&mut self) {
        while !self.arrived.is_empty() && self.failed.is_none() && self.has_room(false) {
            let some = self.arrived.iter().take(FOREIGN_PER_COMMIT_MAX);
            let batches: Vec<_> = some.map(|one| (&one.commit, one.records.as_slice())).collect();
            let count = batches.len();
            if let Err(error) = guarded(Path::new(FILE), || self.opened.store.append_all(&batches)) {
                return self.fail(&error.to_string());
            }
            for Foreign { commit, records, done } in self.arrived.drain(..count).collect::<Vec<_>>() {
                self.opened.follow(&records, &commit);
                // A life that has not begun stands behind what came back of the ones before it.
                let head = self.opened.chain.head();
                if head.sequence == 0 {
                    self.durable = head.digest;
                }
                done(true);
            }
            self.offer_snapshot();
        }
    }
}
