//! How often each key was just seen: counts and sums over sliding windows, exact, each request observed once.
//!
//! One table for all keys. A record is read and extended in one step under its shard's lock, so that two requests
//! of one card on two cores see each other exactly as they would one after the other.

mod distinct;
mod observed;
mod saved;
pub mod spec;
mod window;

pub use observed::Observed;
pub use window::{EXACT_EVENTS_MAX, Event, Marks, PANES_MAX, Reading};

use dashmap::DashMap;
use dashmap::Entry;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::time::Timestamp;
use spec::{KeyPlan, Mark, Measure};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use window::{Asked, Kept, Record};

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
        Self(mixed.wrapping_mul(ODD).rotate_left(64) ^ second)
    }
}

/// Places are uniform already: their low half is their hash.
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
    keys: AtomicUsize,
    heap_bytes: AtomicUsize,
    keys_max: usize,
}

/// Size of the table, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VelocitySize {
    /// Live keys.
    pub keys: usize,
    /// Bytes that their records take.
    pub bytes: usize,
}

impl Velocity {
    /// An empty table that keeps at most `keys_max` keys.
    pub fn new(keys_max: usize) -> Self {
        Self {
            records: DashMap::with_hasher_and_shard_amount(BuildHasherDefault::default(), SHARDS),
            keys: AtomicUsize::new(0),
            heap_bytes: AtomicUsize::new(0),
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
                    entry.get_mut().observe(event, Kept::of(plan));
                    // Records only grow; most events find room.
                    let grown = entry.get().heap_bytes() - before;
                    if grown > 0 {
                        self.heap_bytes.fetch_add(grown, Ordering::Relaxed);
                    }
                }
                Self::read_all(entry.get(), plan, event.time, readings);
            }
            Entry::Vacant(entry) => {
                let mut record = Record::default();
                if counted {
                    record.observe(event, Kept::of(plan));
                }
                Self::read_all(&record, plan, event.time, readings);
                if counted && self.keys.load(Ordering::Relaxed) < self.keys_max {
                    self.keys.fetch_add(1, Ordering::Relaxed);
                    self.heap_bytes.fetch_add(record.heap_bytes(), Ordering::Relaxed);
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

    /// Notes what became known of an event that was observed under a key, or that it does not hold any more. A key that was forgotten or not kept stays so.
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
        self.records.retain(|_, record| {
            let keep = record.kept_until() > now;
            if !keep {
                self.keys.fetch_sub(1, Ordering::Relaxed);
                self.heap_bytes.fetch_sub(record.heap_bytes(), Ordering::Relaxed);
            }
            keep
        });
    }

    /// How many keys there are and what they take.
    pub fn size(&self) -> VelocitySize {
        let slot = size_of::<Place>() + size_of::<Record>() + 1;
        let heap = self.heap_bytes.load(Ordering::Relaxed);
        VelocitySize { keys: self.keys.load(Ordering::Relaxed), bytes: self.records.capacity() * slot + heap }
    }
}
