//! Where each key's record lies: many small tables, each with its own lock.
//!
//! A table is an index of eight bytes for each key, and the records in chunks that never move. So a table that grows
//! moves its index alone, and forgetting goes a few records at a time and holds a table for no longer than these take: both
//! would otherwise be what the slowest request waits for. A look-up reads two places of memory, the index and the record,
//! and both can be asked for before they are needed.

use super::Place;
use super::window::Record;
use crate::compact_index::Index;
use crate::prefetch::prefetch;
use sparr_protocol::time::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tables. Two requests meet in one of them once in so many.
const SHARDS: usize = 1_024;

/// Records of a chunk: few chunks, so that where they begin stays in the cache.
const CHUNK: usize = 256;

/// Records that are looked at in one go.
const STRETCH: usize = 32;

/// Records among which the one is chosen that has to make room: looking at more would choose better and take longer.
const CHOICE: usize = 16;

/// All records.
pub(super) struct Table {
    shards: Box<[Padded]>,
}

/// Two cores that lock neighbours do not share a line of memory.
#[derive(Default)]
#[repr(align(128))]
struct Padded(Mutex<Shard>);

/// One of the small tables.
pub(super) struct Shard {
    index: Index,
    chunks: Vec<Vec<Slot>>,
    /// Slots whose record has gone.
    free: Vec<u32>,
    /// Where the choice of what has to make room goes on.
    hand: usize,
    /// Of records that had to make room, the newest event.
    lost_until: Timestamp,
}

/// Room for a record, in two lines of memory: free where its record was never told of anything.
#[derive(Default)]
#[repr(C, align(64))]
struct Slot {
    place: Place,
    record: Record,
}

/// Bytes that a record takes in a table, without what it has beside it.
pub(super) const SLOT_BYTES: usize = size_of::<Slot>();

impl Default for Shard {
    fn default() -> Self {
        let (index, chunks, free) = (Index::default(), Vec::new(), Vec::new());
        Self { index, chunks, free, hand: 0, lost_until: Timestamp::MIN }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Padded::default()).collect() }
    }
}

impl Table {
    /// The small table of a place.
    pub(super) fn shard(&self, place: Place) -> MutexGuard<'_, Shard> {
        lock(&self.shards[place.shard() % SHARDS])
    }

    /// Bytes that it takes, room for keys to come included, without what records have beside it.
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes()).sum()
    }

    /// Has the lines of memory fetched in which the entries of these places lie, and then those of their records, so that
    /// looking all of them up takes about as long as looking up one.
    pub(super) fn expect(&self, places: impl Iterator<Item = Place> + Clone) {
        places.clone().for_each(|place| self.shard(place).index.expect(place.print()));
        places.for_each(|place| self.shard(place).expect(place));
    }

    /// Walks over all records, a stretch at a time, while others go on; `each` is called for what one call of `some` has
    /// collected, with no table held.
    pub(super) fn walk<T, E>(
        &self,
        some: impl Fn(&mut Shard, usize, &mut Vec<T>),
        mut each: impl FnMut(&mut Vec<T>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut collected = Vec::with_capacity(STRETCH);
        for shard in &self.shards {
            let mut from = 0;
            loop {
                let mut shard = lock(shard);
                if from >= shard.slots() {
                    break;
                }
                some(&mut shard, from, &mut collected);
                drop(shard);
                each(&mut collected)?;
                collected.clear();
                from += STRETCH;
            }
        }
        Ok(())
    }

    /// Says of every table what was lost before.
    pub(super) fn has_lost(&self, until: Timestamp) {
        self.shards.iter().for_each(|shard| lock(shard).has_lost(until));
    }

    /// The newest event of all records that had to make room.
    pub(super) fn lost_until(&self) -> Timestamp {
        self.shards.iter().map(|shard| lock(shard).lost_until).max().unwrap_or(Timestamp::MIN)
    }
}

/// A table is whole between any two steps of its own.
fn lock(shard: &Padded) -> MutexGuard<'_, Shard> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// The record of a place.
    pub(super) fn get(&mut self, place: Place) -> Option<&mut Record> {
        let at = self.find(place)?;
        slot_mut(&mut self.chunks, at).map(|slot| &mut slot.record)
    }

    fn find(&self, place: Place) -> Option<u32> {
        let print = place.print();
        self.index.find(print, |at| slot(&self.chunks, at).is_some_and(|slot| slot.place == place))
    }

    /// Takes out the record of a place.
    pub(super) fn take(&mut self, place: Place) -> Option<(Place, Record)> {
        self.find(place).and_then(|at| self.remove(at))
    }

    /// Puts in the record of a place that has none.
    pub(super) fn add(&mut self, place: Place, record: Record) {
        let slot = Slot { place, record };
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(free) = slot_mut(&mut self.chunks, at) {
                    *free = slot;
                }
                at
            }
            None => {
                if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                    self.chunks.push(Vec::with_capacity(CHUNK));
                }
                let before = (self.chunks.len() - 1) * CHUNK;
                let Some(chunk) = self.chunks.last_mut() else { return };
                chunk.push(slot);
                (before + chunk.len() - 1) as u32
            }
        };
        self.index.add(place.print(), at);
    }

    /// Takes those records of a stretch out that are not kept any longer than until `now`.
    pub(super) fn forget(&mut self, from: usize, now: Timestamp, gone: &mut Vec<(Place, Record)>) {
        let is_over = |slot: &Slot| !slot.is_free() && slot.record.kept_until() <= now;
        let over = (from..from + STRETCH).filter(|at| slot(&self.chunks, *at as u32).is_some_and(is_over));
        let over = over.fold(0u32, |over, at| over | 1 << (at - from));
        let over = (0..STRETCH).filter(|at| over & 1 << at != 0);
        gone.extend(over.filter_map(|at| self.remove((from + at) as u32)));
    }

    /// Takes out the record whose newest event is the oldest among the next few: somebody else needs its room.
    pub(super) fn make_room(&mut self) -> Option<(Place, Record)> {
        let slots = self.slots();
        let hand = self.hand;
        self.hand = (hand + CHOICE) % slots.max(1);
        let next = (hand..hand + slots).map(|at| (at % slots) as u32);
        let live = next.filter_map(|at| Some((at, slot(&self.chunks, at).filter(|slot| !slot.is_free())?)));
        let oldest = live.take(CHOICE).min_by_key(|(_, slot)| slot.record.newest())?;
        let gone = self.remove(oldest.0)?;
        self.has_lost(gone.1.newest());
        Some(gone)
    }

    fn remove(&mut self, at: u32) -> Option<(Place, Record)> {
        let slot = slot_mut(&mut self.chunks, at)?;
        let Slot { place, record } = std::mem::take(slot);
        self.index.remove(place.print(), at);
        self.free.push(at);
        Some((place, record))
    }

    /// The records of a stretch.
    pub(super) fn stretch(&self, from: usize) -> impl Iterator<Item = (Place, &Record)> {
        let slots = (from..from + STRETCH).filter_map(|at| slot(&self.chunks, at as u32));
        slots.filter(|slot| !slot.is_free()).map(|slot| (slot.place, &slot.record))
    }

    /// Of records that had to make room, the newest event: a key that is not here may have been seen until then.
    pub(super) fn lost_until(&self) -> Timestamp {
        self.lost_until
    }

    /// Records have had to make room whose newest event was at this time.
    pub(super) fn has_lost(&mut self, until: Timestamp) {
        self.lost_until = self.lost_until.max(until);
    }

    /// Slots that were ever used.
    fn slots(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        full + self.chunks.last().map_or(0, Vec::len)
    }

    /// Has the lines of memory fetched in which a place's record lies; its index entry has come.
    fn expect(&self, place: Place) {
        let first = self.index.find(place.print(), |_| true);
        if let Some(slot) = first.and_then(|at| slot(&self.chunks, at)) {
            prefetch(slot);
            prefetch(&slot.record.events);
        }
    }

    fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<Slot>() + self.index.bytes()
    }
}

impl Slot {
    fn is_free(&self) -> bool {
        self.record.kept_until() == Timestamp::MIN
    }
}

fn slot(chunks: &[Vec<Slot>], at: u32) -> Option<&Slot> {
    chunks.get(at as usize / CHUNK)?.get(at as usize % CHUNK)
}

fn slot_mut(chunks: &mut [Vec<Slot>], at: u32) -> Option<&mut Slot> {
    chunks.get_mut(at as usize / CHUNK)?.get_mut(at as usize % CHUNK)
}
