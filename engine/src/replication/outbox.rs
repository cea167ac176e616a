//! This engine's own records on their way to everybody: sent as they are committed, and again from the journal where the
//! broker did not take them. Nothing is kept in memory but places: a link that is down for days costs nothing.

use std::collections::BTreeMap;

/// Broadcasts of records that wait for the broker at most.
const IN_FLIGHT_MAX: usize = 64;

/// After a refusal or a silence, sending begins again after so many milliseconds.
const RETRY_MS: u64 = 200;

/// A broadcast that nobody answered in this time did not arrive.
const PATIENCE_MS: u64 = 10_000;

/// When the broker's store was emptied, it gets so many of the newest records again: what it would have kept.
const REFILLED: u64 = 100_000;

/// Where sending stands in this life's records.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    /// The last record that was committed.
    head: u64,
    /// The last record that was handed to the link.
    sent: u64,
    /// By number of the broadcast: what came before its first record, and when it was sent.
    in_flight: BTreeMap<u64, (u64, u64)>,
    /// After which record the journal is being read.
    reading: Option<u64>,
    not_before: u64,
}

impl Outbox {
    /// A commit is durable. Says whether it is to be sent at once.
    pub(super) fn committed(&mut self, first: u64, last: u64, linked: bool) -> bool {
        self.head = last;
        let next = self.sent + 1 == first && self.reading.is_none();
        linked && next && self.not_before == 0 && self.in_flight.len() < IN_FLIGHT_MAX
    }

    /// Records up to `last` were handed to the link under a number.
    pub(super) fn sent(&mut self, id: u64, last: u64, now: u64) {
        self.in_flight.insert(id, (self.sent, now));
        self.sent = last;
    }

    /// The broker has answered for a broadcast.
    pub(super) fn answered(&mut self, id: u64, stored: bool, now: u64) {
        let Some((before, _)) = self.in_flight.remove(&id) else { return };
        if !stored {
            self.sent = self.sent.min(before);
            self.not_before = now + RETRY_MS;
        }
    }

    /// The broker's store lost what it had.
    pub(super) fn refill(&mut self) {
        self.sent = self.sent.min(self.head.saturating_sub(REFILLED));
    }

    /// After which record the journal is to be read now, if so.
    pub(super) fn wants(&mut self, now: u64) -> Option<u64> {
        let is_lost = |at: u64| now >= at + PATIENCE_MS;
        let lost: Vec<u64> =
            self.in_flight.iter().filter(|(_, (_, at))| is_lost(*at)).map(|(id, _)| *id).collect();
        for id in lost {
            self.answered(id, false, now);
        }
        if now < self.not_before {
            return None;
        }
        self.not_before = 0;
        let due = self.sent < self.head && self.may_read();
        due.then(|| {
            self.reading = Some(self.sent);
            self.sent
        })
    }

    fn may_read(&self) -> bool {
        self.reading.is_none() && self.in_flight.len() < IN_FLIGHT_MAX
    }

    /// When [`Self::wants`] may have something to say again.
    pub(super) fn next(&self) -> u64 {
        let patience = self.in_flight.values().map(|(_, at)| at + PATIENCE_MS).min().unwrap_or(u64::MAX);
        let again = if self.sent < self.head && self.may_read() { self.not_before } else { u64::MAX };
        patience.min(again)
    }

    /// The journal was read. Says whether what was read still comes next: a broadcast before it may have failed meanwhile.
    pub(super) fn was_read(&mut self) -> bool {
        self.reading.take() == Some(self.sent)
    }

    /// The last record that was handed to the link.
    pub(super) fn place(&self) -> u64 {
        self.sent
    }

    /// A new life begins, with nothing committed.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// The last record that was committed in this life.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Records that were committed and have not been handed to the broker or not been taken by it.
    pub(super) fn waiting(&self) -> u64 {
        let unanswered = self.in_flight.values().map(|(before, _)| *before).min().unwrap_or(self.sent);
        self.head - unanswered.min(self.head)
    }
}
