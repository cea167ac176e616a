//! The broker: one stream in one order, where a new message of a slot replaces the old one. It forgets what it is told to.

use sparr_engine::replication::{EngineOf, Place, Slot};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Which place in the stream a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotOf {
    from: EngineOf,
    kind: u8,
    number: u64,
}

/// A message in the stream.
#[derive(Clone)]
pub(crate) struct Kept {
    slot: SlotOf,
    pub(crate) bytes: Rc<[u8]>,
    /// Up to where its records go, where it holds some.
    pub(crate) records: Option<(EngineOf, Place)>,
}

/// The broker.
pub(crate) struct Broker {
    pub(crate) is_up: bool,
    stream: BTreeMap<u64, Kept>,
    slots: BTreeMap<SlotOf, u64>,
    next: u64,
    /// Slots for records of one engine; few, so that they are replaced.
    record_slots: u64,
    /// Records that were replaced by newer ones.
    pub(crate) replaced: u64,
    older: BTreeMap<u64, Kept>,
    /// Changes when it loses something.
    pub(crate) generation: u64,
}

impl Broker {
    pub(crate) fn new(record_slots: u64) -> Self {
        Self {
            is_up: true,
            stream: BTreeMap::new(),
            slots: BTreeMap::new(),
            next: 1,
            record_slots,
            replaced: 0,
            older: BTreeMap::new(),
            generation: 0,
        }
    }

    /// Takes a message. Gives back its place.
    pub(crate) fn take(
        &mut self,
        from: EngineOf,
        slot: Slot,
        bytes: Rc<[u8]>,
        records: Option<(EngineOf, Place)>,
    ) -> u64 {
        let (kind, number) = match slot {
            Slot::Beat => (0, 0),
            Slot::Position => (1, 0),
            Slot::Records { sequence } => (2, sequence % self.record_slots),
        };
        let slot = SlotOf { from, kind, number };
        let place = self.next;
        self.next += 1;
        if let Some(old) = self.slots.insert(slot, place) {
            self.stream.remove(&old);
            self.replaced += u64::from(kind == 2);
        }
        self.stream.insert(place, Kept { slot, bytes, records });
        place
    }

    pub(crate) fn get(&self, place: u64) -> Option<&Kept> {
        self.stream.get(&place)
    }

    /// What it holds after a place.
    pub(crate) fn after(&self, place: u64) -> Vec<(u64, Kept)> {
        self.stream.range(place + 1..).map(|(place, kept)| (*place, kept.clone())).collect()
    }

    /// Forgets everything.
    pub(crate) fn empty(&mut self) {
        self.stream.clear();
        self.slots.clear();
        self.generation += 1;
    }

    /// Forgets the newest: it had not synced them when it died.
    pub(crate) fn forget_last(&mut self, count: usize) {
        for _ in 0..count {
            if let Some((_, kept)) = self.stream.pop_last() {
                self.slots.remove(&kept.slot);
            }
        }
    }

    /// Notes what it holds.
    pub(crate) fn copy(&mut self) {
        self.older = self.stream.clone();
    }

    /// Goes back to what was noted.
    pub(crate) fn put_back(&mut self) {
        self.generation += 1;
        self.stream = self.older.clone();
        self.slots = self.stream.iter().map(|(place, kept)| (kept.slot, *place)).collect();
    }
}
