//! What the exchange asks of the journal: keep others' records, read some for others, and say what was committed.

use super::Opened;
use super::read::ChainEnd;
use super::store::{COMMITS, RECORDS, Store, StoreError, key, place, storage};
use crate::journal::{JournalHead, Sealed};
use crate::replication::{Chunk, EngineOf, EpochHead, MESSAGE_BYTES_MAX, Place};
use redb::ReadableDatabase as _;
use sparr_protocol::record::{Commit, Origin};
use std::sync::Arc;

/// Records of another engine that were judged and come next in its chain.
pub struct Foreign {
    /// The commit that covers them.
    pub commit: Commit,
    /// The records.
    pub records: Vec<Sealed>,
    /// Hears whether they are durable and applied.
    pub done: Box<dyn FnOnce(bool) + Send>,
}

/// What of an engine's records is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub of: EngineOf,
    /// After which.
    pub after: Place,
    /// Chunks at most.
    pub chunks: usize,
    /// A chunk ends with the commit that makes it so long, bytes.
    pub chunk_bytes: usize,
}

/// What the journal says to the exchange.
#[derive(Debug)]
pub enum News {
    /// A commit of this engine is durable and applied.
    Committed {
        /// The commit.
        commit: Commit,
        /// Its records.
        records: Arc<[Sealed]>,
    },
    /// The journal had failed, was read again, and goes on in a new life; the lives before it end here.
    Reopened {
        /// The new life.
        epoch: u32,
        /// The last record of each life of this engine.
        heads: Vec<EpochHead>,
    },
}

/// Hears what the journal says, on its thread.
pub type Hear = Box<dyn Fn(News) + Send>;

/// A chunk leaves room for its message's head.
const CHUNK_BYTES_MAX: usize = MESSAGE_BYTES_MAX - 4_096;

/// A record's head in the words of the exchange.
pub fn epoch_head(head: &JournalHead) -> (EngineOf, EpochHead) {
    let JournalHead { origin, sequence, digest, stamp } = *head;
    (EngineOf::of(origin), EpochHead { epoch: origin.epoch, sequence, digest, stamp })
}

impl Store {
    /// Reads records as chunks of whole commits, each of one life. Records that cannot be read are not given on.
    pub fn chunks(&self, wanted: Wanted) -> Result<Vec<Chunk>, StoreError> {
        let Wanted { of, after, chunks: most, chunk_bytes } = wanted;
        let read = self.database()?.begin_read().map_err(storage)?;
        let records = read.open_table(RECORDS).map_err(storage)?;
        let commits = read.open_table(COMMITS).map_err(storage)?;
        let from = key(of.in_epoch(after.epoch), after.sequence.saturating_add(1));
        let to = key(of.in_epoch(u32::MAX), u64::MAX);
        let mut chunks = Vec::new();
        let mut open: Option<Chunk> = None;
        let mut next = after;
        for entry in commits.range(from.as_slice()..=to.as_slice()).map_err(storage)? {
            let (at, value) = entry.map_err(storage)?;
            let (origin, last) = place(at.value()).ok_or(StoreError::Key)?;
            let commit = Commit::decode(value.value()).map_err(|_| StoreError::Key)?;
            if origin.epoch != next.epoch {
                chunks.extend(open.take());
                next = Place { epoch: origin.epoch, sequence: 0 };
            }
            let (first, end) = (key(origin, next.sequence + 1), key(origin, last));
            let mut bytes = Vec::new();
            for record in records.range(first.as_slice()..=end.as_slice()).map_err(storage)? {
                let (_, record) = record.map_err(storage)?;
                bytes.extend_from_slice(record.value());
            }
            next.sequence = last;
            if open.as_ref().is_some_and(|chunk| chunk.records.len() + bytes.len() > CHUNK_BYTES_MAX) {
                chunks.extend(open.take());
            }
            match &mut open {
                Some(chunk) => {
                    chunk.records.append(&mut bytes);
                    chunk.commit = commit;
                }
                None => open = Some(Chunk { commit, records: bytes }),
            }
            if open.as_ref().is_some_and(|chunk| chunk.records.len() >= chunk_bytes) {
                chunks.extend(open.take());
            }
            if chunks.len() >= most {
                break;
            }
        }
        if chunks.len() < most {
            chunks.extend(open);
        }
        Ok(chunks)
    }
}

impl Opened {
    /// Takes in records of another engine, or of an earlier life of this one, that are durable.
    pub(super) fn follow(&mut self, records: &[Sealed], commit: &Commit) {
        let Some(last) = records.last() else { return };
        self.chain.observe(last.record.stamp);
        let Origin { member, engine, .. } = self.chain.origin();
        if (commit.origin.member, commit.origin.engine) == (member, engine) {
            self.chain.follow(commit.origin.epoch, commit.head);
        }
        self.note_head(JournalHead {
            origin: commit.origin,
            sequence: commit.last_sequence,
            digest: commit.head,
            stamp: last.record.stamp,
        });
    }

    /// Whose journal it is, in this life.
    pub fn origin(&self) -> Origin {
        self.chain.origin()
    }

    /// The last record of every life of every engine.
    pub fn lives(&self) -> Vec<(EngineOf, EpochHead)> {
        self.heads.iter().map(epoch_head).collect()
    }

    /// Whether this engine was live in the exchange before.
    pub fn has_joined(&self) -> Result<bool, StoreError> {
        self.store.has_joined()
    }

    /// Where this engine's own chain ends.
    pub(super) fn end(&self, lives: &[JournalHead]) -> ChainEnd {
        let Origin { member, engine, .. } = self.chain.origin();
        ChainEnd::of(lives, (member, engine))
    }
}
