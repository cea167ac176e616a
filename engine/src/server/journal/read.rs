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

    /// Reads every record of every origin back, checks each chain, and gives back the state of this engine's own.
    pub fn replay(
        &self,
        member: MemberName,
        engine: u16,
        each: impl FnMut(Sealed) -> Result<(), StoreError>,
    ) -> Result<ChainReader, StoreError> {
        let chains = self.replay_after(&[], each)?;
        let own = chains.into_iter().find(|(of, _)| *of == (member, engine));
        Ok(own.map(|(_, reader)| reader).unwrap_or_default())
    }

    /// The same of what came after these heads, and gives back the state of every chain.
    pub fn replay_after(
        &self,
        heads: &[JournalHead],
        each: impl FnMut(Sealed) -> Result<(), StoreError>,
    ) -> Result<Vec<(EngineOf, ChainReader)>, StoreError> {
        let chains = self.reading()?.replay_after(heads, each)?;
        self.check_last_word(&chains)?;
        Ok(chains)
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

impl Reading {
    pub(super) fn replay_after(
        &self,
        heads: &[JournalHead],
        mut each: impl FnMut(Sealed) -> Result<(), StoreError>,
    ) -> Result<Vec<(EngineOf, ChainReader)>, StoreError> {
        let records = self.0.open_table(RECORDS).map_err(storage)?;
        let mut chains = Vec::new();
        for of in engines(&records)? {
            let head = heads.iter().find(|head| of == (head.origin.member, head.origin.engine));
            let mut reader = head.map(ChainReader::after).unwrap_or_default();
            let (first, last) = bounds(of);
            let first = head.map_or(first, |head| key(head.origin, head.sequence + 1));
            for entry in records.range(first.as_slice()..=last.as_slice()).map_err(storage)? {
                let (key, value) = entry.map_err(storage)?;
                let (origin, sequence) = place(key.value()).ok_or(StoreError::Key)?;
                let sealed = reader.read(origin, sequence, value.value()).map_err(|error| {
                    StoreError::Damaged { origin: format!("{}/{}", origin.member, origin.engine), error }
                })?;
                each(sealed)?;
            }
            chains.push((of, reader));
        }
        self.check_ends(&chains)?;
        Ok(chains)
    }

    /// Each chain ends with its last commit: a page that is not the one it was can make a table look shorter.
    fn check_ends(&self, chains: &[(EngineOf, ChainReader)]) -> Result<(), StoreError> {
        let commits = self.0.open_table(COMMITS).map_err(storage)?;
        for of in engines(&commits)? {
            let (first, last) = bounds(of);
            let mut committed = commits.range(first.as_slice()..=last.as_slice()).map_err(storage)?;
            let Some((_, value)) = committed.next_back().transpose().map_err(storage)? else { continue };
            let commit = Commit::decode(value.value()).map_err(|_| StoreError::Key)?;
            let chain = chains.iter().find(|(known, _)| *known == of).map(|(_, chain)| chain.last_digest());
            if chain != Some(commit.head) {
                let (epoch, sequence) = (commit.origin.epoch, commit.last_sequence);
                let error = ChainError::Ends { epoch, sequence };
                return Err(StoreError::Damaged { origin: format!("{}/{}", of.0, of.1), error });
            }
        }
        Ok(())
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

/// First and last key of an engine's records.
fn bounds((member, engine): EngineOf) -> ([u8; super::store::KEY_BYTES], [u8; super::store::KEY_BYTES]) {
    let at = |epoch, sequence| key(Origin { member, engine, epoch }, sequence);
    (at(0, 0), at(u32::MAX, u64::MAX))
}

/// Every engine of which there are records: from one to the next, without reading what lies between.
fn engines(records: &impl ReadableTable<&'static [u8], &'static [u8]>) -> Result<Vec<EngineOf>, StoreError> {
    let mut engines: Vec<EngineOf> = Vec::new();
    loop {
        let next = match engines.last() {
            None => records.first().map_err(storage)?.map(|(key, _)| place(key.value())),
            Some(last) => {
                let (_, end) = bounds(*last);
                let mut after = records.range(end.as_slice()..).map_err(storage)?;
                after.next().transpose().map_err(storage)?.map(|(key, _)| place(key.value()))
            }
        };
        match next {
            None => return Ok(engines),
            Some(None) => return Err(StoreError::Key),
            Some(Some((origin, _))) => engines.push((origin.member, origin.engine)),
        }
    }
}
