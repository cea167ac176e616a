//! What the journal lies on: a file whose blocks are there before redb writes to them, and a reserve for a full disk.
//!
//! redb gives up after the first write that fails, so a write must not fail for want of room. Every chunk of the file is
//! allocated before something is written to it. Where the disk has nothing left, the blocks come from the *reserve*, a
//! file beside the journal that holds nothing and shrinks by what is taken. As long as the reserve is not whole again,
//! the journal is [`Room::ReserveOnly`]: raises are refused, and what ends a protection is still written.
//!
//! On a copy-on-write file system (btrfs, ZFS) overwriting needs new blocks too: there a full disk is found out at the
//! write, and the journal is read again before it acknowledges anything.

use super::store::StoreError;
use crate::metrics::lock;
use crate::server::clock;
use redb::{Database, StorageBackend};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use rustix::io::Errno;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Bytes that are allocated at once.
const CHUNK_BYTES: u64 = 64 << 10;

/// What one transaction may need at most: 1,000 records of 2 KiB, and the pages of the trees above them.
pub const TRANSACTION_BYTES_MAX: u64 = 4 << 20;

/// Pages that redb keeps in memory: what it reads it reads once, and what it writes is the end of a tree. Its default is a
/// GiB.
const CACHE_BYTES: usize = 64 << 20;

/// How often a full disk is asked for the reserve's blocks again.
const REFILL_EVERY: Duration = Duration::from_millis(200);

/// How much may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Anything.
    Plenty,
    /// What may use the reserve.
    ReserveOnly,
    /// Nothing: the reserve is used up.
    Nothing,
}

/// What a journal lies on. Opened again after each failure.
pub trait Disk: Send {
    /// Opens what lies there, as it really lies there: nothing that only the memory of the machine holds.
    fn open(&self) -> Result<Database, StoreError>;

    /// How much may be written now.
    fn room(&self) -> Room;
}

/// Turns an error of opening into the store's own.
pub(super) fn opened(result: Result<Database, redb::DatabaseError>) -> Result<Database, StoreError> {
    result.map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
        other => StoreError::Storage(other.into()),
    })
}

/// A file of this machine, with its reserve.
pub(super) struct FileDisk {
    file: PathBuf,
    reserve: Arc<Reserve>,
}

impl FileDisk {
    /// The journal in a file, with a reserve of so many bytes beside it; 0 for none.
    pub(super) fn new(file: PathBuf, reserve_bytes: u64) -> io::Result<Self> {
        let reserve = Reserve::new(file.with_extension("reserve"), reserve_bytes)?;
        Ok(Self { file, reserve: Arc::new(reserve) })
    }
}

impl Disk for FileDisk {
    fn open(&self) -> Result<Database, StoreError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.file);
        let file = file.map_err(redb::Error::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => return Err(redb::Error::Io(error).into()),
        }
        // After a failed fsync the machine's memory may hold pages that it takes for written and that the disk does not
        // have (the 2020 study of five databases): what is read from here on comes from the disk. A file system that
        // does not know the advice has nothing to forget.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        let allocated = Mutex::new(Chunks::default());
        opened(Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(Allocating {
            file,
            reserve: self.reserve.clone(),
            allocated,
            cannot_allocate: AtomicBool::new(false),
        }))
    }

    fn room(&self) -> Room {
        self.reserve.room()
    }
}

/// Which chunks of the file are known to have their blocks.
#[derive(Debug, Default)]
struct Chunks(Vec<u64>);

impl Chunks {
    fn has(&self, chunk: usize) -> bool {
        self.0.get(chunk / 64).is_some_and(|word| word >> (chunk % 64) & 1 == 1)
    }

    fn add(&mut self, chunk: usize) {
        if self.0.len() <= chunk / 64 {
            self.0.resize(chunk / 64 + 1, 0);
        }
        self.0[chunk / 64] |= 1 << (chunk % 64);
    }

    /// Forgets every chunk from this one on.
    fn cut(&mut self, chunk: usize) {
        self.0.truncate(chunk.div_ceil(64));
        if let Some(last) = self.0.get_mut(chunk / 64) {
            *last &= (1 << (chunk % 64)) - 1;
        }
    }
}

/// A file whose chunks are allocated before they are written to.
#[derive(Debug)]
struct Allocating {
    file: File,
    reserve: Arc<Reserve>,
    allocated: Mutex<Chunks>,
    cannot_allocate: AtomicBool,
}

impl Allocating {
    /// Makes sure that writing here cannot fail for want of room.
    fn allocate(&self, offset: u64, len: usize) -> io::Result<()> {
        if self.cannot_allocate.load(Ordering::Relaxed) {
            return Ok(());
        }
        let end = offset.saturating_add(len as u64);
        let mut allocated = lock(&self.allocated);
        for chunk in offset / CHUNK_BYTES..end.div_ceil(CHUNK_BYTES) {
            let index = usize::try_from(chunk).map_err(io::Error::other)?;
            while !allocated.has(index) {
                match fallocate(&self.file, FallocateFlags::KEEP_SIZE, chunk * CHUNK_BYTES, CHUNK_BYTES) {
                    Ok(()) => allocated.add(index),
                    Err(Errno::INTR) => {}
                    Err(Errno::NOSPC | Errno::DQUOT) if self.reserve.give(CHUNK_BYTES) => {}
                    Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                        self.cannot_allocate.store(true, Ordering::Relaxed);
                        tracing::warn!(
                            "this file system allocates nothing ahead: a full disk is found out late"
                        );
                        return Ok(());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

impl StorageBackend for Allocating {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    /// Growing takes no room: redb doubles its file, and a disk need not have twice a journal's size left.
    fn set_len(&self, len: u64) -> io::Result<()> {
        let sure = len.min(self.len()?) / CHUNK_BYTES;
        lock(&self.allocated).cut(usize::try_from(sure).map_err(io::Error::other)?);
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.allocate(offset, data.len())?;
        self.file.write_all_at(data, offset)
    }
}

/// Blocks that nobody else can take: a file that holds nothing.
#[derive(Debug)]
struct Reserve {
    bytes: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    file: Option<File>,
    bytes: u64,
    asked: Option<Instant>,
}

impl Reserve {
    fn new(path: PathBuf, bytes: u64) -> io::Result<Self> {
        let (mut file, mut there) = (None, 0);
        if bytes > 0 {
            let kept = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            // What was kept before a restart is still there, on a disk that may be full.
            there = kept.metadata()?.len().min(bytes);
            kept.set_len(there)?;
            file = Some(kept);
        }
        let reserve = Self { bytes, kept: Mutex::new(Kept { file, bytes: there, asked: None }) };
        reserve.room();
        Ok(reserve)
    }

    /// Frees at least so many bytes for the journal; `false` where nothing is left.
    fn give(&self, bytes: u64) -> bool {
        let mut kept = lock(&self.kept);
        let left = kept.bytes.saturating_sub(bytes);
        let Some(file) = kept.file.as_ref().filter(|_| kept.bytes > 0) else { return false };
        if file.set_len(left).is_err() {
            return false;
        }
        kept.bytes = left;
        true
    }

    /// Fills the reserve where it is not whole and the disk has room, and says how much may be written.
    fn room(&self) -> Room {
        let mut kept = lock(&self.kept);
        let Kept { file: Some(file), bytes, asked } = &mut *kept else { return Room::Plenty };
        if *bytes < self.bytes && asked.is_none_or(|at| clock::instant().duration_since(at) >= REFILL_EVERY) {
            match fallocate(&*file, FallocateFlags::empty(), 0, self.bytes) {
                Ok(()) => *bytes = self.bytes,
                // Nothing can be kept here: the disk speaks for itself.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    kept.file = None;
                    return Room::Plenty;
                }
                Err(_) => {
                    // What was allocated of it before the disk was full goes back.
                    let _ = file.set_len(*bytes);
                    *asked = Some(clock::instant());
                }
            }
        }
        if *bytes >= self.bytes {
            Room::Plenty
        } else if *bytes >= TRANSACTION_BYTES_MAX {
            Room::ReserveOnly
        } else {
            Room::Nothing
        }
    }
}
