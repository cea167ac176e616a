//! Snapshots as files: written beside the running journal, bound to it, and read at the start.
//!
//! A file is a row of blocks, each with its length, its section and a digest over both and its place in the row; the last
//! one says that it is the last. It is written under another name, made durable, and only then gets its own: a kill at any
//! instant leaves the one before it. The two newest are kept.

use super::clock;
use crate::journal::JournalHead;
use crate::metrics::Metrics;
use crate::server::journal::{Store, StoreError};
use crate::snapshot::{self, Damaged, Reading, SNAPSHOT_VERSION, Section, Sink, SnapshotHead};
use crate::state::State;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// First bytes of a snapshot.
const MAGIC: &[u8; 8] = b"sparrsn1";

/// Bytes before a block: length, section, digest.
const PREFIX_BYTES: usize = 4 + 1 + DIGEST_BYTES;
const DIGEST_BYTES: usize = 16;

/// No block is longer: a length that lies asks for no memory.
const BLOCK_BYTES_MAX: u32 = 64 << 20;

/// Snapshots that are kept.
const KEPT: usize = 2;

/// Records for each record of the journal that one snapshot waits for at least: a large state is not written all the
/// time, and what is to be read after it stays a small part of it.
const RECORDS_PER_RECORD: u64 = 50;

/// Ends a snapshot's name.
const ENDING: &str = "snapshot";

fn digest(place: u64, section: u8, bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&place.to_le_bytes()).update(&[section]).update(bytes);
    let whole = hasher.finalize();
    std::array::from_fn(|at| whole.as_bytes()[at])
}

/// Writes blocks to a file.
struct Blocks<W> {
    out: W,
    place: u64,
    bytes: u64,
}

impl<W: Write> Sink for Blocks<W> {
    fn block(&mut self, section: Section, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&[section as u8])?;
        self.out.write_all(&digest(self.place, section as u8, bytes))?;
        self.out.write_all(bytes)?;
        self.place += 1;
        self.bytes += (PREFIX_BYTES + bytes.len()) as u64;
        Ok(())
    }
}

/// Why a file is no snapshot to go on from.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its bytes are not those that were written.
    #[error("block {place} is damaged")]
    Block {
        /// Its place, from 0.
        place: u64,
    },
    /// Its blocks are whole, and what they say is not legal.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// It is of another version, member or network key.
    #[error("it is of another version, member or network key")]
    Other,
}

/// Reads the blocks of a file, each with its digest checked.
fn read_blocks(
    file: &Path,
    mut each: impl FnMut(Section, &[u8]) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let mut input = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(SnapshotError::Other);
    }
    let mut bytes = Vec::new();
    for place in 0.. {
        let damaged = || SnapshotError::Block { place };
        let mut prefix = [0; PREFIX_BYTES];
        input.read_exact(&mut prefix).map_err(|_| damaged())?;
        let [a, b, c, d, number, expected @ ..] = prefix;
        let length = Some(u32::from_le_bytes([a, b, c, d])).filter(|length| *length <= BLOCK_BYTES_MAX);
        let length = length.ok_or_else(damaged)?;
        bytes.clear();
        (&mut input).take(length.into()).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != u64::from(length) || digest(place, number, &bytes) != expected {
            return Err(damaged());
        }
        let section = Section::from_wire(number).ok_or_else(damaged)?;
        each(section, &bytes)?;
        if section == Section::End {
            break;
        }
    }
    Ok(())
}

/// The head of a file of which every block is whole.
fn verified_head(file: &Path) -> Result<SnapshotHead, SnapshotError> {
    let mut head = None;
    read_blocks(file, |section, bytes| {
        if head.is_none() {
            head = Some(snapshot::head(section, bytes)?);
        }
        Ok(())
    })?;
    head.ok_or(SnapshotError::Damaged(Damaged))
}

/// The snapshots of a folder, the newest first.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == ENDING));
    // Names have one length and begin with the number of records.
    files.sort_by(|one, other| other.file_name().cmp(&one.file_name()));
    Ok(files)
}

/// Folder of the snapshots of a data folder.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("snapshots")
}

/// Writes a snapshot of a state, durably.
pub fn write(dir: &Path, state: &State, head: &SnapshotHead) -> io::Result<u64> {
    fs::create_dir_all(dir)?;
    let unfinished = dir.join("unfinished");
    let mut blocks =
        Blocks { out: BufWriter::with_capacity(1 << 20, File::create(&unfinished)?), place: 0, bytes: 0 };
    blocks.out.write_all(MAGIC)?;
    snapshot::write(state, head, &mut blocks)?;
    let bytes = blocks.bytes;
    blocks.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&unfinished, dir.join(format!("{:020}.{ENDING}", head.applied)))?;
    File::open(dir)?.sync_all()?;
    for old in files(dir)?.iter().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(bytes)
}

/// Reads the newest snapshot that is whole, of this engine, and of this journal; gives back up to where the journal is in
/// it. Nothing where there is none: all of the journal is read then.
pub fn read(dir: &Path, state: &State, store: &Store) -> Result<Option<SnapshotHead>, StoreError> {
    let files = match files(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::Storage(redb::Error::Io(error))),
    };
    for file in files {
        let name = file.display();
        match verified_head(&file) {
            Err(error) => tracing::error!(%name, %error, "a snapshot cannot be used"),
            Ok(head) if head.version != SNAPSHOT_VERSION => {
                tracing::info!(%name, version = head.version, "a snapshot of another version is left aside");
            }
            Ok(head) => {
                for JournalHead { origin, sequence, digest, .. } in &head.journals {
                    if store.digest_at(*origin, *sequence)? != Some(*digest) {
                        return Err(StoreError::Behind { snapshot: file });
                    }
                }
                match load(&file, state, &head) {
                    Ok(()) => return Ok(Some(head)),
                    Err(error) => tracing::error!(%name, %error, "a snapshot cannot be used"),
                }
            }
        }
    }
    Ok(None)
}

fn load(file: &Path, state: &State, head: &SnapshotHead) -> Result<(), SnapshotError> {
    let mut reading = Reading::begin(state, head).ok_or(SnapshotError::Other)?;
    let mut is_first = true;
    read_blocks(file, |section, bytes| {
        if !std::mem::take(&mut is_first) {
            reading.block(section, bytes)?;
        }
        Ok(())
    })?;
    Ok(reading.end()?)
}

/// Writes snapshots now and then, on a thread of its own.
pub struct Snapshots {
    every: u64,
    written_at: u64,
    wanted: Sender<SnapshotHead>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Snapshots into a folder, each time that so many records came since the last one, which was at `applied`.
    pub fn start(
        dir: PathBuf,
        every: u64,
        applied: u64,
        state: Arc<State>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let (wanted, waiting): (_, Receiver<SnapshotHead>) = bounded(0);
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            for head in waiting {
                let started = clock::instant();
                let written = write(&dir, &state, &head);
                let ms = clock::nanos_between(started, clock::instant()) / 1_000_000;
                metrics.snapshot_written(written.is_ok());
                match written {
                    Ok(bytes) => tracing::info!(records = head.applied, bytes, ms, "snapshot written"),
                    Err(error) => {
                        tracing::error!(%error, "no snapshot: the next start reads more of the journal")
                    }
                }
            }
        })?;
        Ok(Self { every, written_at: applied, wanted, thread: Some(thread) })
    }

    /// Asks for a snapshot, if enough has come since the last one and none is being written. `journals` says up to where
    /// the journal has been applied.
    pub fn offer(&mut self, state: &State, journals: impl FnOnce() -> Vec<JournalHead>) {
        let applied = state.position().index;
        if applied - self.written_at.min(applied) < self.every.max(self.written_at / RECORDS_PER_RECORD) {
            return;
        }
        let keys = state.keyring.fingerprints();
        let head = SnapshotHead {
            version: SNAPSHOT_VERSION,
            member: state.member(),
            keys,
            applied,
            journals: journals(),
        };
        match self.wanted.try_send(head) {
            Ok(()) => self.written_at = applied,
            // The last one is still being written.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

impl Drop for Snapshots {
    /// Waits for the one that is being written.
    fn drop(&mut self) {
        let (closed, _) = bounded(0);
        drop(std::mem::replace(&mut self.wanted, closed));
        if let Some(thread) = self.thread.take() {
            // It has said itself what went wrong.
            let _ = thread.join();
        }
    }
}
