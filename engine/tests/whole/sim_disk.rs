//! A disk that can be cut off from power at any operation, lie, fail, fill up and break down.
//!
//! What was written and not synced lies in the machine's memory: it is read back from there, and lost with the power, in
//! part, in any order, torn at sectors.

use redb::{Database, StorageBackend};
use sparr_engine::server::journal::{Disk, Room, StoreError};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Seeds of random choices are numbers that a failure names.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// What reached the disk's door, in order.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Write {
        offset: u64,
        data: Vec<u8>,
    },
    SetLen(u64),
    Sync,
    /// So many records have been acknowledged.
    Acknowledged(usize),
}

/// What goes wrong, by the number of the operation (writes, lengths and syncs) at which it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The operation fails with an I/O error, once.
    pub(crate) fails_at: Option<u64>,
    /// So does every one from here on.
    pub(crate) fails_from: Option<u64>,
    /// The first sync from here on says that it is done, and is not.
    pub(crate) lies_from: Option<u64>,
    /// Something in the program breaks.
    pub(crate) panics_at: Option<u64>,
    /// Nothing beyond this length can be written.
    pub(crate) bytes_max: Option<u64>,
    /// Opening again shows what the memory held, as a machine does that is not told to forget it.
    pub(crate) remembers: bool,
}

#[derive(Debug, Default)]
struct Inner {
    /// What has reached the disk.
    durable: Vec<u8>,
    /// What a reader sees.
    seen: Vec<u8>,
    /// What the next sync brings to the disk: after a failed one, only what is written from then on.
    dirty: Vec<Event>,
    faults: Faults,
    operations: u64,
    events: Vec<Event>,
}

/// The disk. A copy is the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<Inner>>);

impl SimDisk {
    /// A disk that holds this.
    pub(crate) fn holding(image: Vec<u8>) -> Self {
        let inner = Inner { durable: image.clone(), seen: image, ..Inner::default() };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.inner().faults = faults;
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// Notes how many records have been acknowledged.
    pub(crate) fn acknowledged(&self, records: usize) {
        self.inner().events.push(Event::Acknowledged(records));
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.inner().events.clone()
    }

    /// What is left when the power goes now and nothing more reaches the disk.
    pub(crate) fn after_power_loss(&self) -> Vec<u8> {
        self.inner().durable.clone()
    }
}

impl Disk for SimDisk {
    fn open(&self) -> Result<Database, StoreError> {
        let mut inner = self.inner();
        if !inner.faults.remembers {
            // What is still to be written stays; what is taken for written is read from the disk.
            let seen = kept(&inner.durable, &inner.dirty.iter().collect::<Vec<_>>());
            inner.seen = seen;
        }
        drop(inner);
        let opened = Database::builder().create_with_backend(Backend(self.clone()));
        opened.map_err(|error| StoreError::Storage(error.into()))
    }

    fn room(&self) -> Room {
        Room::Plenty
    }
}

#[derive(Debug)]
struct Backend(SimDisk);

fn broken() -> io::Error {
    io::Error::other("simulated I/O error")
}

impl Inner {
    fn happened(&mut self, event: Event) {
        self.dirty.push(event.clone());
        self.events.push(event);
    }

    /// Counts an operation. `true` where it fails.
    fn step(&mut self) -> bool {
        let number = self.operations;
        self.operations += 1;
        assert_ne!(self.faults.panics_at, Some(number), "simulated breakdown");
        self.faults.fails_at == Some(number) || self.faults.fails_from.is_some_and(|from| number >= from)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.inner().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.0.inner();
        let from = offset as usize;
        let bytes = inner.seen.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.0.inner();
        if inner.step() {
            return Err(broken());
        }
        inner.seen.resize(len as usize, 0);
        inner.happened(Event::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.0.inner();
        let number = inner.operations;
        if inner.step() {
            // What was written is lost, and what is read back looks as if it were there.
            inner.dirty.clear();
            return Err(broken());
        }
        if inner.faults.lies_from.is_some_and(|from| number >= from) {
            inner.faults.lies_from = None;
            return Ok(());
        }
        let dirty = std::mem::take(&mut inner.dirty);
        inner.durable = kept(&inner.durable, &dirty.iter().collect::<Vec<_>>());
        inner.events.push(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.0.inner();
        let end = offset as usize + data.len();
        if inner.faults.bytes_max.is_some_and(|most| end as u64 > most) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if inner.step() {
            return Err(broken());
        }
        if inner.seen.len() < end {
            inner.seen.resize(end, 0);
        }
        inner.seen[offset as usize..end].copy_from_slice(data);
        inner.happened(Event::Write { offset, data: data.to_vec() });
        Ok(())
    }
}

/// What may be left when the power goes in the middle: some of what was not synced, in any order, torn.
pub(crate) fn torn(durable: &[u8], pending: &[&Event], random: &mut Random) -> Vec<u8> {
    let mut image = durable.to_vec();
    let mut left: Vec<&Event> = pending.to_vec();
    for at in (1..left.len()).rev() {
        left.swap(at, random.below(at + 1));
    }
    for event in left {
        let fate = random.below(4);
        if fate == 0 {
            continue;
        }
        match event {
            Event::Write { offset, data } if fate == 1 => {
                let sector = [512, 4_096][random.below(2)];
                for (number, part) in data.chunks(sector).enumerate() {
                    if random.below(2) == 0 {
                        put(&mut image, *offset as usize + number * sector, part);
                    }
                }
            }
            Event::Write { offset, data } => put(&mut image, *offset as usize, data),
            Event::SetLen(len) => image.resize(*len as usize, 0),
            Event::Sync | Event::Acknowledged(_) => {}
        }
    }
    image
}

/// Writes within the length that the disk knows: what lies behind it is not there after a power loss.
fn put(image: &mut [u8], offset: usize, data: &[u8]) {
    if let Some(room) = image.len().checked_sub(offset) {
        let len = data.len().min(room);
        image[offset..offset + len].copy_from_slice(&data[..len]);
    }
}

/// Applies everything, in order.
pub(crate) fn kept(durable: &[u8], pending: &[&Event]) -> Vec<u8> {
    let mut image = durable.to_vec();
    for event in pending {
        match event {
            Event::Write { offset, data } => {
                let end = *offset as usize + data.len();
                image.resize(image.len().max(end), 0);
                put(&mut image, *offset as usize, data);
            }
            Event::SetLen(len) => image.resize(*len as usize, 0),
            Event::Sync | Event::Acknowledged(_) => {}
        }
    }
    image
}
