//! How often each key was just seen: counts and sums over sliding windows, exact, each request observed once.
//!
//! One table for all keys. A record is read and extended in one step under its shard's lock, so that two requests
//! of one card on two cores see each other exactly as they would one after the other.

mod distinct;
mod event;
mod observed;
mod panes;
mod saved;
mod sizes;
pub mod spec;
mod table;
mod window;

pub use event::{Amount, Event, Marks};
pub use observed::Observed;
pub use panes::PANES_MAX;
pub use sizes::{KeySize, VelocitySize};
pub use window::{EXACT_EVENTS_MAX, Reading};

use sizes::Sizes;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::time::Timestamp;
use spec::{KeyExpr, KeyPlan, Mark, Measure};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use table::{SLOT_BYTES, Shard, Table};
use window::{Asked, KeptFor, Record};

/// Place of a key's record: the key expression and the pseudonym or pseudonyms, mixed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Place(u128);

impl Place {
    /// The place of one key, or of a pair.
    ///
    /// Pseudonyms are keyed digests, uniform already; an odd multiplier keeps (a, b) apart from (b, a).
    /// What a record's tags stand for is part of its place: tags of another meaning never meet.
    pub fn of(plan: &KeyPlan, first: Pseudonym, second: Option<Pseudonym>) -> Self {
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

    /// In which of the tables its record lies. Places are uniform but for their highest byte.
    const fn shard(self) -> usize {
        (self.0 >> 32) as u32 as usize
    }

    /// What its table tells it by.
    const fn print(self) -> u32 {
        self.0 as u32
    }
}

/// The events of all keys.
pub struct Velocity {
    table: Table,
    sizes: Sizes,
    keys_max: usize,
    evicted: AtomicU64,
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

impl Velocity {
    /// An empty table that keeps at most `keys_max` keys.
    pub fn new(keys_max: usize) -> Self {
        Self { table: Table::default(), sizes: Sizes::default(), keys_max, evicted: AtomicU64::new(0) }
    }

    /// Says which keys will be observed or read next, so that their records are on their way together.
    pub fn expect(&self, places: impl Iterator<Item = Place> + Clone) {
        self.table.expect(places);
    }

    /// Adds an event to a key and reads every window that the rules ask of it, the event included.
    ///
    /// Where the table is full, a key that was not seen for longer makes room; whoever may be that key later has readings
    /// that say that they are not exact, as far as they reach back to what was lost.
    pub fn observe(&self, plan: &KeyPlan, place: Place, event: Event, readings: &mut [Reading]) {
        let counted = plan.kinds.contains(event.kind);
        let mut shard = self.table.shard(place);
        if let Some(record) = shard.get(place) {
            if counted {
                let before = record.heap_bytes();
                record.observe(event, KeptFor::of(plan));
                // Records only grow; most events find room.
                let grown = record.heap_bytes() - before;
                if grown > 0 {
                    self.sizes.grown(plan.key.number(), grown);
                }
            }
            Self::read_all(record, plan, event.time, readings);
            return;
        }
        let mut record = Record::missing(shard.lost_until());
        if counted {
            record.observe(event, KeptFor::of(plan));
        }
        Self::read_all(&record, plan, event.time, readings);
        if counted && !self.add(&mut shard, place, record) {
            // A bound that leaves no room in any table: nothing is kept.
            Self::say_capped(plan, readings);
        }
    }

    /// Puts in a record, for which another one may have to make room; `false` where none can.
    fn add(&self, shard: &mut Shard, place: Place, record: Record) -> bool {
        if self.sizes.keys() >= self.keys_max {
            let Some(gone) = shard.make_room() else {
                shard.has_lost(record.newest());
                return false;
            };
            self.take_out(gone);
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        self.sizes.added(place.expr(), record.heap_bytes());
        shard.add(place, record);
        true
    }

    fn take_out(&self, (place, record): (Place, Record)) {
        self.sizes.removed(place.expr(), record.heap_bytes());
    }

    /// Reads a key's windows as of a time without adding anything: for explaining a past decision.
    pub fn peek(&self, plan: &KeyPlan, place: Place, at: Timestamp, readings: &mut [Reading]) {
        let mut shard = self.table.shard(place);
        match shard.get(place) {
            Some(record) => Self::read_all(record, plan, at, readings),
            None => Self::read_all(&Record::missing(shard.lost_until()), plan, at, readings),
        }
    }

    /// What is kept of a key, and what it would read as of a time; nothing is added.
    pub fn look(
        &self,
        plan: &KeyPlan,
        place: Place,
        at: Timestamp,
        readings: &mut [Reading],
    ) -> Option<Kept> {
        let mut shard = self.table.shard(place);
        let record = shard.get(place)?;
        Self::read_all(record, plan, at, readings);
        Some(Kept {
            first: record.first,
            newest: record.newest(),
            kept_until: record.kept_until(),
            events: record.events.len(),
            panes: record.panes().len(),
            bytes: SLOT_BYTES + record.heap_bytes(),
        })
    }

    /// Notes what became known of an event that was observed under a key, or that it does not hold any more. A key that was
    /// forgotten or not kept stays so.
    pub fn mark(&self, place: Place, (time, id): (Timestamp, u32), (mark, holds): (Mark, bool)) {
        if let Some(record) = self.table.shard(place).get(place) {
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

    /// Forgets the keys that no window of theirs needs any more, a few at a time: a caller on the decision path waits for
    /// no more than these.
    pub fn forget(&self, now: Timestamp) {
        let over = |shard: &mut Shard, from, gone: &mut Vec<(Place, Record)>| shard.forget(from, now, gone);
        let Ok(()) = self.table.walk(over, |gone| {
            gone.drain(..).for_each(|gone| self.take_out(gone));
            Ok::<(), Infallible>(())
        });
    }

    /// How many keys there are and what they take.
    pub fn size(&self) -> VelocitySize {
        self.sizes.all(self.table.bytes())
    }

    /// Keys that had to make room for others since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// How many keys there are of each key expression, and what they take without the table's spare room.
    pub fn sizes(&self) -> Vec<KeySize> {
        let sizes = KeyExpr::all().map(|key| self.sizes.of(key, SLOT_BYTES));
        sizes.filter(|size| size.keys > 0).collect()
    }
}

#[cfg(test)]
mod tests;
