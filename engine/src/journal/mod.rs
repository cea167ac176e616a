//! The journal's grammar: how records form a chain, and how a chain is read back. No files here: bytes in, bytes out.
//!
//! Each origin (one engine of one member) has one chain through all its epochs: every body holds the digest of the
//! body before it. Stamps are hybrid: the clock's milliseconds, or one more than the highest stamp seen, so that
//! they rise even where clocks do not.

use crate::pack::pack_fields;
use sparr_protocol::ids::{Actor, MemberName, RequestId};
use sparr_protocol::record::{Commit, Origin, Payload, Record, RecordDigest, RecordError};
use sparr_protocol::time::Timestamp;

/// Digest of a record's body.
pub fn digest_of(body: &[u8]) -> RecordDigest {
    *blake3::hash(body).as_bytes()
}

/// Epochs count seconds from here: 2020-01-01T00:00:00Z.
const EPOCH_ZERO_S: i64 = 1_577_836_800;

/// The epoch of an engine that begins now, where none before it was later.
pub fn epoch_at(clock: Timestamp) -> u64 {
    u64::try_from(clock.ms() / 1_000 - EPOCH_ZERO_S).unwrap_or(0)
}

/// A record with its bytes and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The record.
    pub record: Record,
    /// Length, checksum and body, as they are stored and sent.
    pub bytes: Vec<u8>,
    /// Digest of the body: what the next record and the signature refer to.
    pub digest: RecordDigest,
}

/// What the chain's next record must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Sequence of the last record in this epoch; 0 before the first.
    pub sequence: u64,
    /// Digest of the last record; zeros before the very first.
    pub digest: RecordDigest,
}

/// Up to where a journal is known: the last record of one member's engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// Whose, in which of its lives.
    pub origin: Origin,
    /// Number of its last record.
    pub sequence: u64,
    /// Digest of that record: another history is noticed.
    pub digest: RecordDigest,
    /// Its stamp.
    pub stamp: u64,
}

pack_fields!(JournalHead { origin, sequence, digest, stamp });

/// The chain of one origin, for writing.
#[derive(Clone, Debug)]
pub struct Chain {
    origin: Origin,
    head: Head,
    highest_stamp: u64,
}

impl Chain {
    /// Goes on where the origin's last epoch ended, in a new epoch.
    pub fn new(origin: Origin, last_digest: RecordDigest, highest_stamp: u64) -> Self {
        Self { origin, head: Head { sequence: 0, digest: last_digest }, highest_stamp }
    }

    /// Adds a record. `clock` is the machine's clock, whatever clock judges requests.
    pub fn append(
        &mut self,
        clock: Timestamp,
        actor: Actor,
        operation: RequestId,
        legal_basis: &str,
        payload: Payload,
    ) -> Sealed {
        let clock = u64::try_from(clock.ms()).unwrap_or(0);
        self.highest_stamp = clock.max(self.highest_stamp + 1);
        let record = Record {
            origin: self.origin,
            sequence: self.head.sequence + 1,
            stamp: self.highest_stamp,
            previous: self.head.digest,
            operation,
            actor,
            legal_basis: legal_basis.to_owned(),
            payload,
        };
        let mut bytes = Vec::new();
        let body = record.encode(&mut bytes);
        let digest = digest_of(&bytes[body]);
        self.head = Head { sequence: record.sequence, digest };
        Sealed { record, bytes, digest }
    }

    /// Somebody else's record has this stamp: the next one of this chain is higher.
    pub fn observe(&mut self, stamp: u64) {
        self.highest_stamp = self.highest_stamp.max(stamp);
    }

    /// A record of an earlier life came back from others: a life that has not begun begins after it. One of a later life
    /// may come as well, after a disk was put back: nothing begins after that but a life that is later still.
    pub fn follow(&mut self, epoch: u32, digest: RecordDigest) {
        if self.head.sequence == 0 && epoch < self.origin.epoch {
            self.head.digest = digest;
        }
    }

    /// Whose chain it is, in which epoch.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What the next record will follow.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Up to where it is written; `None` before the first record of this epoch.
    pub fn journal_head(&self) -> Option<JournalHead> {
        let Head { sequence, digest } = self.head;
        (sequence > 0).then_some(JournalHead {
            origin: self.origin,
            sequence,
            digest,
            stamp: self.highest_stamp,
        })
    }

    /// The commit over everything after `first_sequence`, without its signature.
    pub fn commit(&self, first_sequence: u64, signing_key: u32) -> Commit {
        Commit {
            origin: self.origin,
            first_sequence,
            last_sequence: self.head.sequence,
            head: self.head.digest,
            signing_key,
            signature: [0; 64],
        }
    }
}

/// Why a chain that is read back is no chain. The journal is damaged: what it says cannot be relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A record's bytes are damaged.
    #[error("record {sequence} of epoch {epoch}: {error}")]
    Record {
        /// Epoch of the place where it lies.
        epoch: u32,
        /// Sequence of the place where it lies.
        sequence: u64,
        /// What is wrong.
        error: RecordError,
    },
    /// A record lies in another's place.
    #[error("record {sequence} of epoch {epoch} says that it is another")]
    Misplaced {
        /// Epoch of the place.
        epoch: u32,
        /// Sequence of the place.
        sequence: u64,
    },
    /// Records that were committed are not there.
    #[error("it ends before record {sequence} of epoch {epoch}, which was committed")]
    Ends {
        /// Epoch of the last commit.
        epoch: u32,
        /// Last record of that commit.
        sequence: u64,
    },
    /// A record is missing, or does not follow the one before it.
    #[error("record {sequence} of epoch {epoch} does not follow the one before it")]
    Broken {
        /// Epoch of the record.
        epoch: u32,
        /// Sequence of the record.
        sequence: u64,
    },
}

/// Reads one member's and engine's chain back, record by record in order, and checks every link.
#[derive(Clone, Debug, Default)]
pub struct ChainReader {
    last: Option<(u32, Head)>,
    highest_stamp: u64,
}

impl ChainReader {
    /// Reads the record that lies in the place of `origin` and `sequence`.
    pub fn read(&mut self, origin: Origin, sequence: u64, bytes: &[u8]) -> Result<Sealed, ChainError> {
        let epoch = origin.epoch;
        let damaged = |error: RecordError| ChainError::Record { epoch, sequence, error };
        let (body, rest) = Record::body(bytes).map_err(damaged)?;
        if !rest.is_empty() {
            return Err(ChainError::Misplaced { epoch, sequence });
        }
        let record = Record::decode(body).map_err(damaged)?;
        if (record.origin, record.sequence) != (origin, sequence) {
            return Err(ChainError::Misplaced { epoch, sequence });
        }
        let follows = match self.last {
            None => sequence == 1,
            Some((last_epoch, head)) => {
                let next = if epoch == last_epoch { head.sequence + 1 } else { 1 };
                epoch >= last_epoch && sequence == next && record.previous == head.digest
            }
        };
        if !follows || record.stamp <= self.highest_stamp {
            return Err(ChainError::Broken { epoch, sequence });
        }
        let digest = digest_of(body);
        self.last = Some((epoch, Head { sequence, digest }));
        self.highest_stamp = record.stamp;
        Ok(Sealed { record, bytes: bytes.to_vec(), digest })
    }

    /// Reads on where a journal is known up to.
    pub fn after(head: &JournalHead) -> Self {
        let JournalHead { origin, sequence, digest, stamp } = *head;
        Self { last: Some((origin.epoch, Head { sequence, digest })), highest_stamp: stamp }
    }

    /// Up to where the journal of this member's engine was read, if there is anything.
    pub fn head(&self, member: MemberName, engine: u16) -> Option<JournalHead> {
        let (epoch, Head { sequence, digest }) = self.last?;
        Some(JournalHead {
            origin: Origin { member, engine, epoch },
            sequence,
            digest,
            stamp: self.highest_stamp,
        })
    }

    /// Epoch of the last record, if there was one.
    pub fn last_epoch(&self) -> Option<u32> {
        self.last.map(|(epoch, _)| epoch)
    }

    /// Digest of the last record; zeros where there was none.
    pub fn last_digest(&self) -> RecordDigest {
        self.last.map_or([0; 32], |(_, head)| head.digest)
    }

    /// The highest stamp read.
    pub fn highest_stamp(&self) -> u64 {
        self.highest_stamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparr_protocol::codes::Role;

    fn origin(epoch: u32) -> Origin {
        Origin { member: MemberName::parse("bank-1").expect("legal"), engine: 1, epoch }
    }

    fn append(chain: &mut Chain, clock_ms: i64) -> Sealed {
        let actor = Actor::new(origin(0).member, Role::Desk, "anna").expect("legal");
        let payload = Payload::Unknown { kind: 250, must_understand: false, bytes: vec![1] };
        chain.append(Timestamp::from_ms(clock_ms), actor, RequestId([1; 16]), "", payload)
    }

    fn two_epochs() -> Vec<Sealed> {
        let mut first = Chain::new(origin(10), [0; 32], 0);
        let mut sealed: Vec<Sealed> = [100, 100, 90].iter().map(|clock| append(&mut first, *clock)).collect();
        let mut second = Chain::new(origin(20), sealed[2].digest, sealed[2].record.stamp);
        sealed.push(append(&mut second, 50));
        sealed.push(append(&mut second, 500));
        sealed
    }

    fn read_all(sealed: &[Sealed]) -> Result<ChainReader, ChainError> {
        let mut reader = ChainReader::default();
        for one in sealed {
            let read = reader.read(one.record.origin, one.record.sequence, &one.bytes)?;
            assert_eq!(&read, one);
        }
        Ok(reader)
    }

    #[test]
    fn stamps_rise_even_where_the_clock_does_not_and_the_chain_goes_on_through_epochs() {
        let sealed = two_epochs();
        let stamps: Vec<u64> = sealed.iter().map(|one| one.record.stamp).collect();
        assert_eq!(stamps, [100, 101, 102, 103, 500]);
        let reader = read_all(&sealed).expect("whole");
        assert_eq!((reader.last_epoch(), reader.last_digest()), (Some(20), sealed[4].digest));
    }

    #[test]
    fn a_missing_swapped_or_altered_record_is_noticed() {
        let sealed = two_epochs();
        for missing in 0..4 {
            let mut cut = sealed.clone();
            cut.remove(missing);
            assert!(matches!(read_all(&cut), Err(ChainError::Broken { .. })), "without {missing}");
        }
        let mut reader = ChainReader::default();
        let misplaced = reader.read(sealed[0].record.origin, 1, &sealed[1].bytes);
        assert_eq!(misplaced, Err(ChainError::Misplaced { epoch: 10, sequence: 1 }));
        let mut flipped = sealed[0].bytes.clone();
        flipped[50] ^= 1;
        assert!(matches!(reader.read(sealed[0].record.origin, 1, &flipped), Err(ChainError::Record { .. })));
    }
}
