//! Reading the journal back: all of it, what came after a snapshot, or the last day.

use super::store::{COMMITS, RECORDS, Store, StoreError, key, place, storage};
use crate::journal::{ChainError, ChainReader, JournalHead, Sealed, digest_of};
use redb::{ReadTransaction, ReadableDatabase as _, ReadableTable};
use sparr_protocol::ids::MemberName;
use sparr_protocol::record::{Commit, Origin, Record, RecordDigest};

/// An engine of a member: its records are one chain, through all its epochs.
pub(super) type EngineOf = (MemberName, u16);

/// The journal as it was at one moment.
pub(super) struct Reading(ReadTransaction);

impl Store {
    /// What is in it now; it stays so for this reader, whatever is written meanwhile.
    pub(super) fn reading(&self) -> Result<Reading, StoreError> {
        Ok(Reading(self.database()?.begin_read().map_err(storage)?))
    }

    /// Reads every record of every origin back, checks each chain, and gives back where this engine's own ends.
    pub fn replay(
        &self,
        member: MemberName,
        engine: u16,
        each: impl FnMut(Sealed) -> Result<(), StoreError>,
    ) -> Result<ChainEnd, StoreError> {
        let lives = self.replay_after(&[], each)?;
        Ok(ChainEnd::of(&lives, (member, engine)))
    }

    /// The same of what came after these heads, and gives back the last record of each life of each engine.
    pub fn replay_after(
        &self,
        heads: &[JournalHead],
        each: impl FnMut(Sealed) -> Result<(), StoreError>,
    ) -> Result<Vec<JournalHead>, StoreError> {
        let lives = self.reading()?.replay_after(heads, each)?;
        self.check_last_word(&lives)?;
        Ok(lives)
    }

    /// The last records of one engine, from the newest back to this stamp. Their chain is not checked.
    pub fn recent(&self, of: EngineOf, oldest: u64, each: impl FnMut(Record)) -> Result<(), StoreError> {
        self.reading()?.recent(of, oldest, each)
    }

    /// Digest of the record in a place, if there is one.
    pub fn digest_at(&self, origin: Origin, sequence: u64) -> Result<Option<RecordDigest>, StoreError> {
        self.reading()?.digest_at(origin, sequence)
    }
}

/// Where the chain of an engine ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainEnd {
    /// Its last life, if it had one.
    pub last_epoch: Option<u32>,
    /// Digest of its last record; zeros where there is none.
    pub last_digest: RecordDigest,
    /// The highest stamp that is known of anybody: the next record's is higher.
    pub highest_stamp: u64,
}

impl ChainEnd {
    /// Of an engine, among the lives of all.
    pub fn of(lives: &[JournalHead], (member, engine): EngineOf) -> Self {
        let own = |head: &&JournalHead| (head.origin.member, head.origin.engine) == (member, engine);
        let last = lives.iter().rfind(own);
        Self {
            last_epoch: last.map(|head| head.origin.epoch),
            last_digest: last.map_or([0; 32], |head| head.digest),
            highest_stamp: lives.iter().map(|head| head.stamp).max().unwrap_or(0),
        }
    }
}

impl Reading {
    pub(super) fn replay_after(
        &self,
        heads: &[JournalHead],
        mut each: impl FnMut(Sealed) -> Result<(), StoreError>,
    ) -> Result<Vec<JournalHead>, StoreError> {
        let records = self.0.open_table(RECORDS).map_err(storage)?;
        let commits = self.0.open_table(COMMITS).map_err(storage)?;
        let mut ends = Vec::new();
        let mut reader = ChainReader::default();
        let mut of = None;
        for life in lives(&records)? {
            if of.replace((life.member, life.engine)) != Some((life.member, life.engine)) {
                reader = ChainReader::default();
            }
            let damaged =
                |error| StoreError::Damaged { origin: format!("{}/{}", life.member, life.engine), error };
            let first = match heads.iter().find(|head| head.origin == life) {
                Some(head) => {
                    reader = ChainReader::after(head);
                    head.sequence + 1
                }
                None => {
                    if let Some(start) = branch(&records, life, &reader)? {
                        reader = ChainReader::after(&start);
                    }
                    0
                }
            };
            let (first, last) = (key(life, first), key(life, u64::MAX));
            for entry in records.range(first.as_slice()..=last.as_slice()).map_err(storage)? {
                let (key, value) = entry.map_err(storage)?;
                let (origin, sequence) = place(key.value()).ok_or(StoreError::Key)?;
                each(reader.read(origin, sequence, value.value()).map_err(damaged)?)?;
            }
            // A page that is not the one it was can make a table look shorter: each life ends with its last commit.
            let (first, last) = (key(life, 0), key(life, u64::MAX));
            let mut committed = commits.range(first.as_slice()..=last.as_slice()).map_err(storage)?;
            if let Some((_, value)) = committed.next_back().transpose().map_err(storage)? {
                let commit = Commit::decode(value.value()).map_err(|_| StoreError::Key)?;
                if reader.last_digest() != commit.head {
                    let (epoch, sequence) = (life.epoch, commit.last_sequence);
                    return Err(damaged(ChainError::Ends { epoch, sequence }));
                }
            }
            ends.extend(reader.head(life.member, life.engine));
        }
        for life in lives(&commits)? {
            if !ends.iter().any(|end| end.origin == life) {
                let error = ChainError::Ends { epoch: life.epoch, sequence: 0 };
                let origin = format!("{}/{}", life.member, life.engine);
                return Err(StoreError::Damaged { origin, error });
            }
        }
        Ok(ends)
    }

    fn recent(&self, of: EngineOf, oldest: u64, mut each: impl FnMut(Record)) -> Result<(), StoreError> {
        let records = self.0.open_table(RECORDS).map_err(storage)?;
        let (first, last) = bounds(of);
        for entry in records.range(first.as_slice()..=last.as_slice()).map_err(storage)?.rev() {
            let (key, value) = entry.map_err(storage)?;
            let (origin, sequence) = place(key.value()).ok_or(StoreError::Key)?;
            let damaged = |error| StoreError::Damaged {
                origin: format!("{}/{}", origin.member, origin.engine),
                error: ChainError::Record { epoch: origin.epoch, sequence, error },
            };
            let (body, _) = Record::body(value.value()).map_err(damaged)?;
            let record = Record::decode(body).map_err(damaged)?;
            // Stamps rise along a chain.
            if record.stamp < oldest {
                break;
            }
            each(record);
        }
        Ok(())
    }

    fn digest_at(&self, origin: Origin, sequence: u64) -> Result<Option<RecordDigest>, StoreError> {
        let records = self.0.open_table(RECORDS).map_err(storage)?;
        let value = records.get(key(origin, sequence).as_slice()).map_err(storage)?;
        Ok(value.and_then(|value| Record::body(value.value()).map(|(body, _)| digest_of(body)).ok()))
    }
}

/// Where a life begins that does not begin where the one before it ends: on a disk that was put back to an older state, or
/// emptied. Its first record names one that is here, or none. Everything else is for the reader to refuse.
fn branch(
    records: &impl ReadableTable<&'static [u8], &'static [u8]>,
    life: Origin,
    reader: &ChainReader,
) -> Result<Option<JournalHead>, StoreError> {
    let Some(value) = records.get(key(life, 1).as_slice()).map_err(storage)? else { return Ok(None) };
    let Some(first) = Record::body(value.value()).ok().and_then(|(body, _)| Record::decode(body).ok()) else {
        return Ok(None);
    };
    let start = JournalHead {
        origin: life,
        sequence: 0,
        digest: first.previous,
        stamp: first.stamp.saturating_sub(1),
    };
    if first.previous == reader.last_digest() {
        return Ok(None);
    }
    if first.previous == [0; 32] {
        return Ok(Some(start));
    }
    let (oldest, newest) = (key(Origin { epoch: 0, ..life }, 0), key(life, 0));
    for entry in records.range(oldest.as_slice()..newest.as_slice()).map_err(storage)?.rev() {
        let (_, value) = entry.map_err(storage)?;
        if Record::body(value.value()).is_ok_and(|(body, _)| digest_of(body) == first.previous) {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

/// First and last key of an engine's records.
pub(super) fn bounds(
    (member, engine): EngineOf,
) -> ([u8; super::store::KEY_BYTES], [u8; super::store::KEY_BYTES]) {
    let at = |epoch, sequence| key(Origin { member, engine, epoch }, sequence);
    (at(0, 0), at(u32::MAX, u64::MAX))
}

/// Every life of every engine of which there are records, in order: from one to the next, without reading what lies
/// between.
pub(super) fn lives(
    records: &impl ReadableTable<&'static [u8], &'static [u8]>,
) -> Result<Vec<Origin>, StoreError> {
    let mut lives: Vec<Origin> = Vec::new();
    loop {
        let next = match lives.last() {
            None => records.first().map_err(storage)?.map(|(key, _)| place(key.value())),
            Some(last) => {
                let end = key(*last, u64::MAX);
                let mut after = records.range(end.as_slice()..).map_err(storage)?;
                after.next().transpose().map_err(storage)?.map(|(key, _)| place(key.value()))
            }
        };
        match next {
            None => return Ok(lives),
            Some(None) => return Err(StoreError::Key),
            Some(Some((origin, _))) => lives.push(origin),
        }
    }
}
