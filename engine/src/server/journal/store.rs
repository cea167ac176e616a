//! The journal's file: redb, one file, no server. Records and commits by origin and sequence.
//!
//! | table | key | value |
//! |---|---|---|
//! | `records` | member (24), engine (2), epoch (4), sequence (8), big-endian | the record as it is sent |
//! | `commits` | the same, of the commit's last record | the commit and its signature |
//! | `meta` | name | `format`, `epoch`, `joined` |

use super::disk::{Disk, FileDisk, Room};
use super::last_word::LastWord;
use crate::journal::{ChainError, JournalHead, Sealed};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use sparr_protocol::ids::MemberName;
use sparr_protocol::limits::MEMBER_BYTES_MAX;
use sparr_protocol::record::{Commit, Origin, RecordDigest};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

pub(super) const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
pub(super) const COMMITS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("commits");
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const JOINED: &str = "joined";

/// Version of the tables.
const FORMAT: u64 = 1;

pub(super) const KEY_BYTES: usize = MEMBER_BYTES_MAX + 2 + 4 + 8;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be read or written.
    #[error("journal: {0}")]
    Storage(#[from] redb::Error),
    /// The file was there and is gone. Serving without it would tell everybody who is flagged in it "not flagged".
    #[error(
        "journal: {} is missing or empty, though this data folder has had one; put it back, or, to begin with no \
         flags at all, remove {}",
        file.display(), marker.display()
    )]
    Lost {
        /// The journal's file.
        file: PathBuf,
        /// The file that says that there was a journal.
        marker: PathBuf,
    },
    /// redb met bytes that it could not have written.
    #[error("journal: {} is damaged: {what}", file.display())]
    Unreadable {
        /// The journal's file.
        file: PathBuf,
        /// What redb said.
        what: String,
    },
    /// It was closed after a failure and could not be opened again.
    #[error("journal: closed after a failure")]
    Closed,
    /// What was acknowledged is not in it any more.
    #[error(
        "journal: the last record that was acknowledged is not there any more: the file was replaced by an older one or \
         is damaged; put the newest one back, or, to go on with what it holds, remove journal.head beside it"
    )]
    Rewound,
    /// A snapshot has seen records that are not in it: the file is an older one than this folder's. Serving from it could
    /// tell somebody who is flagged "not flagged".
    #[error(
        "journal: records that {} has seen are not in it, or are others: the file was replaced by an older one or is \
         damaged; put the newest one back, or, to go on with what it holds, remove the folder of snapshots, and \
         journal.head if it is there",
        snapshot.display()
    )]
    Behind {
        /// The snapshot.
        snapshot: PathBuf,
    },
    /// Another process has it open.
    #[error("journal: another engine is using this data folder")]
    InUse,
    /// The file was written by another version.
    #[error("journal: format {0}; this engine reads format {FORMAT}")]
    Format(u64),
    /// A key in it is none.
    #[error("journal: a record lies under a key that names no origin")]
    Key,
    /// A chain in it is damaged. Nothing is served from it: `sparr` stops rather than lose a flag silently.
    #[error("journal: {origin} is damaged: {error}")]
    Damaged {
        /// Whose chain: member and engine.
        origin: String,
        /// What is wrong.
        error: ChainError,
    },
    /// A record cannot be applied.
    #[error("journal: {0}")]
    Apply(#[from] crate::state::ApplyError),
}

/// Turns redb's many errors into one.
pub(super) fn storage(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Storage(error.into())
}

impl StoreError {
    /// Whether it is that the disk is full.
    pub(super) fn is_full(&self) -> bool {
        let Self::Storage(redb::Error::Io(error)) = self else { return false };
        matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }
}

/// Runs what reads a file that may be damaged: redb answers some damage by a panic (seen with a page of zeros).
pub fn guarded<T>(file: &Path, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let what = match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(text), _) => text.clone(),
            (None, Some(text)) => (*text).to_owned(),
            (None, None) => "redb stopped without saying why".to_owned(),
        };
        Err(StoreError::Unreadable { file: file.to_owned(), what })
    })
}

pub(super) fn key(origin: Origin, sequence: u64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let (member, rest) = key.split_at_mut(MEMBER_BYTES_MAX);
    member.copy_from_slice(origin.member.bytes());
    rest[..2].copy_from_slice(&origin.engine.to_be_bytes());
    rest[2..6].copy_from_slice(&origin.epoch.to_be_bytes());
    rest[6..].copy_from_slice(&sequence.to_be_bytes());
    key
}

pub(super) fn place(key: &[u8]) -> Option<(Origin, u64)> {
    let (member, rest) = key.split_first_chunk::<MEMBER_BYTES_MAX>()?;
    let (engine, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let origin = Origin {
        member: MemberName::from_bytes(member)?,
        engine: u16::from_be_bytes(*engine),
        epoch: u32::from_be_bytes(*epoch),
    };
    Some((origin, u64::from_be_bytes(rest.try_into().ok()?)))
}

/// The journal's file.
pub struct Store {
    disk: Box<dyn Disk>,
    database: Option<Database>,
    last_word: Option<LastWord>,
}

impl Store {
    /// Opens the file, or makes it in a folder that never had one, without a reserve. After an unclean stop redb checks
    /// the whole of it here.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        Self::open_reserving(file, 0)
    }

    /// The same, with so many bytes kept back beside it for what must be written when the disk is full.
    pub fn open_reserving(file: &Path, reserve_bytes: u64) -> Result<Self, StoreError> {
        let marker = file.with_extension("made");
        let is_empty = std::fs::metadata(file).map_or(true, |file| file.len() == 0);
        if is_empty && marker.exists() {
            return Err(StoreError::Lost { file: file.to_owned(), marker });
        }
        let disk = FileDisk::new(file.to_owned(), reserve_bytes).map_err(redb::Error::Io)?;
        let mut store = guarded(file, || Self::on(Box::new(disk)))?;
        store.last_word = Some(LastWord::read(file.with_extension("head")));
        if !marker.exists() {
            let note = "This folder has a journal. Without it every flag is lost: see journal.redb.\n";
            std::fs::write(&marker, note).map_err(redb::Error::Io)?;
        }
        Ok(store)
    }

    /// Opens what lies on a disk, or makes it there.
    pub fn on(disk: Box<dyn Disk>) -> Result<Self, StoreError> {
        let database = Some(Self::prepared(disk.open()?)?);
        Ok(Self { disk, database, last_word: None })
    }

    /// Closes it, whatever state it is in.
    pub fn close(&mut self) {
        let database = self.database.take();
        // It is being closed because it failed: that it also fails to close says nothing new.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }

    /// Opens it again after a failure: what it holds from here on is what the disk holds.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.close();
        self.database = Some(Self::prepared(self.disk.open()?)?);
        Ok(())
    }

    /// How much may be written.
    pub fn room(&self) -> Room {
        self.disk.room()
    }

    pub(super) fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or(StoreError::Closed)
    }

    /// A database whose tables are there and of this version.
    fn prepared(database: Database) -> Result<Database, StoreError> {
        let write = database.begin_write().map_err(storage)?;
        {
            let mut meta = write.open_table(META).map_err(storage)?;
            let format = meta.get("format").map_err(storage)?.map(|format| format.value());
            match format {
                None => drop(meta.insert("format", FORMAT).map_err(storage)?),
                Some(FORMAT) => {}
                Some(other) => return Err(StoreError::Format(other)),
            }
            write.open_table(RECORDS).map_err(storage)?;
            write.open_table(COMMITS).map_err(storage)?;
        }
        write.commit().map_err(storage)?;
        Ok(database)
    }

    /// Whether this engine was live in the exchange before.
    pub fn has_joined(&self) -> Result<bool, StoreError> {
        let read = self.database()?.begin_read().map_err(storage)?;
        let meta = read.open_table(META).map_err(storage)?;
        Ok(meta.get(JOINED).map_err(storage)?.is_some())
    }

    /// Notes that this engine is live in the exchange.
    pub fn note_joined(&self) -> Result<(), StoreError> {
        let write = self.database()?.begin_write().map_err(storage)?;
        drop(write.open_table(META).map_err(storage)?.insert(JOINED, 1).map_err(storage)?);
        write.commit().map_err(storage)
    }

    /// Each engine that ended in order left its last word: its chain ends there.
    ///
    /// After such an end redb looks at no checksum, so that a page over the root of the tables can show an older state,
    /// whole in itself, with its own commits.
    pub(super) fn check_last_word(&self, lives: &[JournalHead]) -> Result<(), StoreError> {
        match self.last_word.as_ref().and_then(LastWord::standing) {
            Some(head) if !lives.iter().any(|life| life.digest == head) => Err(StoreError::Rewound),
            Some(_) | None => Ok(()),
        }
    }

    /// Closes it in order, and says beside it where its own chain ended.
    pub fn end(&mut self, head: RecordDigest) {
        self.close();
        if let Some(word) = self.last_word.as_ref().filter(|_| head != [0; 32]) {
            word.say(&head);
        }
    }

    /// Makes records and the commit over them durable, all or none.
    pub fn append(&self, records: &[Sealed], commit: &Commit) -> Result<(), StoreError> {
        self.append_all(&[(commit, records)])
    }

    /// The same of several commits, each with its records: all or none.
    pub fn append_all(&self, batches: &[(&Commit, &[Sealed])]) -> Result<(), StoreError> {
        if let Some(word) = &self.last_word {
            word.take_back().map_err(redb::Error::Io)?;
        }
        let mut write = self.database()?.begin_write().map_err(storage)?;
        write.set_durability(Durability::Immediate).map_err(storage)?;
        {
            let mut table = write.open_table(RECORDS).map_err(storage)?;
            let mut commits = write.open_table(COMMITS).map_err(storage)?;
            for (commit, records) in batches {
                for sealed in *records {
                    let key = key(sealed.record.origin, sealed.record.sequence);
                    table.insert(key.as_slice(), sealed.bytes.as_slice()).map_err(storage)?;
                }
                let key = key(commit.origin, commit.last_sequence);
                commits.insert(key.as_slice(), commit.encode().as_slice()).map_err(storage)?;
            }
        }
        write.commit().map_err(storage)
    }

    /// Every stored commit, in order of origin and sequence.
    pub fn commits(&self) -> Result<Vec<Commit>, StoreError> {
        let read = self.database()?.begin_read().map_err(storage)?;
        let table = read.open_table(COMMITS).map_err(storage)?;
        let mut commits = Vec::new();
        for entry in table.range::<&[u8]>(..).map_err(storage)? {
            let (_, value) = entry.map_err(storage)?;
            commits.push(Commit::decode(value.value()).map_err(|_| StoreError::Key)?);
        }
        Ok(commits)
    }
}
