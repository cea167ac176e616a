//! How often each key was just seen: counts and sums over sliding windows, exact, each request observed once.
//!
//! One table for all keys. A record is read and extended in one step under its shard's lock, so that two requests
//! of one card on two cores see each other exactly as they would one after the other.

mod distinct;
mod observed;
mod saved;
mod sizes;
pub mod spec;
mod window;

pub use observed::Observed;
pub use sizes::{KeySize, VelocitySize};
pub use window::{EXACT_EVENTS_MAX, Event, Marks, PANES_MAX, Reading};

use dashmap::DashMap;
use dashmap::Entry;
use sizes::Sizes;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::time::Timestamp;
use spec::{KeyExpr, KeyPlan, Mark, Measure};
use std::hash::{BuildHasherDefault, Hasher};
use window::{Asked, KeptFor, Record};

/// Place of a key's record: the key expression and the pseudonym or pseudonyms, mixed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place(u128);

impl Place {
    /// Pseudonyms are keyed digests, uniform already; an odd multiplier keeps (a, b) apart from (b, a).
    /// What a record's tags stand for is part of its place: tags of another meaning never meet.
    fn of(plan: &KeyPlan, first: Pseudonym, second: Option<Pseudonym>) -> Self {
        let expr = plan.key;
        const ODD: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
        let part = |pseudonym: Pseudonym| u128::from_le_bytes(pseudonym.0);
        let key = (expr.first as u128) << 8 | expr.second.map_or(0, |name| name as u128 + 1);
        let tag = plan.tags.iter().fold(key, |tag, name| tag << 8 | (*name as u128 + 1));
        let mixed = part(first) ^ tag.wrapping_mul(ODD);
        let second = second.map_or(0, part);
        let mixed = mixed.wrapping_mul(ODD).rotate_left(64) ^ second;
        Self(mixed << 8 >> 8 | u128::from(expr.number()) << 120)
    }

    /// Number of the key expression: so that a record's memory can be told by its key.
    const fn expr(self) -> u8 {
        (self.0 >> 120) as u8
    }
}

/// Places are uniform already but for their highest byte: their low half is their hash.
#[derive(Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, place: u128) {
        self.0 = place as u64;
    }
}

/// Shards of the table. A shard that grows moves all its keys while it is held: many small shards make that a matter
/// of microseconds, not of milliseconds.
const SHARDS: usize = 1_024;

/// The events of all keys.
pub struct Velocity {
    records: DashMap<Place, Record, BuildHasherDefault<PlaceHasher>>,
    sizes: Sizes,
    keys_max: usize,
}

/// What is kept of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The first event since the key was new.
    pub first: Timestamp,
    /// The newest event that is kept; the smallest time where all have left.
    pub newest: Timestamp,
    /// Until when it is kept, if nothing else comes.
    pub kept_until: Timestamp,
    /// Events that are known one by one.
    pub events: usize,
    /// Groups of older events that are known only together.
    pub panes: usize,
    /// Bytes of memory, its place in the table included.
    pub bytes: usize,
}

/// Bytes of a record's place in the table.
const SLOT_BYTES: usize = size_of::<Place>() + size_of::<Record>() + 1;

impl Velocity {
    /// An empty table that keeps at most `keys_max` keys.
    pub fn new(keys_max: usize) -> Self {
        Self {
            records: DashMap::with_hasher_and_shard_amount(BuildHasherDefault::default(), SHARDS),
            sizes: Sizes::default(),
            keys_max,
        }
    }

    /// Adds an event to a key and reads every window that the rules ask of it, the event included.
    ///
    /// Where the table is full a new key is not kept, and its readings say that they are not exact.
    pub fn observe(
        &self,
        plan: &KeyPlan,
        first: Pseudonym,
        second: Option<Pseudonym>,
        event: Event,
        readings: &mut [Reading],
    ) {
        let counted = plan.kinds.contains(event.kind);
        match self.records.entry(Place::of(plan, first, second)) {
            Entry::Occupied(mut entry) => {
                if counted {
                    let before = entry.get().heap_bytes();
                    entry.get_mut().observe(event, KeptFor::of(plan));
                    // Records only grow; most events find room.
                    let grown = entry.get().heap_bytes() - before;
                    if grown > 0 {
                        self.sizes.grown(plan.key.number(), grown);
                    }
                }
                Self::read_all(entry.get(), plan, event.time, readings);
            }
            Entry::Vacant(entry) => {
                let mut record = Record::default();
                if counted {
                    record.observe(event, KeptFor::of(plan));
                }
                Self::read_all(&record, plan, event.time, readings);
                if counted && self.sizes.keys() < self.keys_max {
                    self.sizes.added(plan.key.number(), record.heap_bytes());
                    entry.insert(record);
                } else if counted {
                    Self::say_capped(plan, readings);
                }
            }
        }
    }

    /// Reads a key's windows as of a time without adding anything: for explaining a past decision.
    pub fn peek(
        &self,
        plan: &KeyPlan,
        first: Pseudonym,
        second: Option<Pseudonym>,
        at: Timestamp,
        readings: &mut [Reading],
    ) {
        match self.records.get(&Place::of(plan, first, second)) {
            Some(record) => Self::read_all(&record, plan, at, readings),
            None => Self::read_all(&Record::default(), plan, at, readings),
        }
    }

    /// What is kept of a key, and what it would read as of a time; nothing is added.
    pub fn look(
        &self,
        plan: &KeyPlan,
        first: Pseudonym,
        second: Option<Pseudonym>,
        at: Timestamp,
        readings: &mut [Reading],
    ) -> Option<Kept> {
        let record = self.records.get(&Place::of(plan, first, second))?;
        Self::read_all(&record, plan, at, readings);
        Some(Kept {
            first: record.first,
            newest: record.newest(),
            kept_until: record.kept_until(),
            events: record.events.len(),
            panes: record.panes.len(),
            bytes: SLOT_BYTES + record.heap_bytes(),
        })
    }

    /// Notes what became known of an event that was observed under a key, or that it does not hold any more. A key that was
    /// forgotten or not kept stays so.
    pub fn mark(
        &self,
        plan: &KeyPlan,
        first: Pseudonym,
        second: Option<Pseudonym>,
        (time, id): (Timestamp, u32),
        (mark, holds): (Mark, bool),
    ) {
        if let Some(mut record) = self.records.get_mut(&Place::of(plan, first, second)) {
            record.mark(time, id, mark, holds);
        }
    }

    fn read_all(record: &Record, plan: &KeyPlan, at: Timestamp, readings: &mut [Reading]) {
        for (index, spec) in &plan.readings {
            let asked = match spec.measure {
                Measure::Count => Asked::Count,
                Measure::Sum => Asked::Sum,
                Measure::Max => Asked::Max,
                // A plan has a tag for each key that it counts the values of.
                Measure::Distinct(name) => {
                    Asked::Distinct(plan.tags.iter().position(|tag| *tag == name).unwrap_or_default())
                }
                Measure::Marked(mark) => Asked::Marked(mark),
                Measure::FirstSeen => {
                    readings[index.0] = record.age_ms(at, spec.span_ms);
                    continue;
                }
            };
            readings[index.0] = record.read(at, spec.span_ms, spec.kinds, asked);
        }
    }

    fn say_capped(plan: &KeyPlan, readings: &mut [Reading]) {
        for (index, spec) in &plan.readings {
            if let Reading::Exact(value) = readings[index.0] {
                // A key for which there was no room may have been seen before.
                let is_age = spec.measure == Measure::FirstSeen;
                readings[index.0] = if is_age { Reading::Unknown } else { Reading::Capped(value) };
            }
        }
    }

    /// Forgets the keys that no window of theirs needs any more. Shard by shard: a caller on the decision path waits for
    /// one shard at most.
    pub fn forget(&self, now: Timestamp) {
        self.records.retain(|place, record| {
            let keep = record.kept_until() > now;
            if !keep {
                self.sizes.removed(place.expr(), record.heap_bytes());
            }
            keep
        });
    }

    /// How many keys there are and what they take.
    pub fn size(&self) -> VelocitySize {
        self.sizes.all(self.records.capacity(), SLOT_BYTES)
    }

    /// How many keys there are of each key expression, and what they take without the table's spare room.
    pub fn sizes(&self) -> Vec<KeySize> {
        let sizes = KeyExpr::all().map(|key| self.sizes.of(key, SLOT_BYTES));
        sizes.filter(|size| size.keys > 0).collect()
    }
}
