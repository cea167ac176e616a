//! What the journal's thread of an engine writes: numbered, stamped and linked records, and a signature for each commit.

use crate::authority::sign;
use sparr_engine::journal::{Sealed, digest_of};
use sparr_engine::replication::EpochHead;
use sparr_protocol::ids::{Actor, RequestId};
use sparr_protocol::record::{Commit, Origin, Payload, Record, RecordDigest};

/// One life of one engine, for writing.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    origin: Origin,
    sequence: u64,
    previous: RecordDigest,
    highest: u64,
}

impl Writer {
    pub(crate) fn new(origin: Origin, last: Option<EpochHead>, highest: u64) -> Self {
        let sequence = last.filter(|last| last.epoch == origin.epoch).map_or(0, |last| last.sequence);
        Self { origin, sequence, previous: last.map_or([0; 32], |last| last.digest), highest }
    }

    /// Somebody's record has this stamp: the next one here is higher.
    pub(crate) fn observe(&mut self, stamp: u64) {
        self.highest = self.highest.max(stamp);
    }

    /// Whether it has written nothing in this life.
    pub(crate) fn is_new(&self) -> bool {
        self.sequence == 0
    }

    fn append(&mut self, wall: u64, actor: Actor, operation: u64, payload: Payload) -> Sealed {
        self.highest = wall.max(self.highest + 1);
        self.sequence += 1;
        let record = Record {
            origin: self.origin,
            sequence: self.sequence,
            stamp: self.highest,
            previous: self.previous,
            operation: operation_id(operation),
            actor,
            legal_basis: String::new(),
            payload,
        };
        let mut bytes = Vec::new();
        let body = record.encode(&mut bytes);
        self.previous = digest_of(&bytes[body]);
        Sealed { record, bytes, digest: self.previous }
    }

    /// Writes records and signs them.
    pub(crate) fn commit(
        &mut self,
        wall: u64,
        payloads: Vec<(Actor, u64, Payload)>,
    ) -> (Commit, Vec<Sealed>) {
        let first_sequence = self.sequence + 1;
        let records: Vec<Sealed> = payloads
            .into_iter()
            .map(|(actor, operation, payload)| self.append(wall, actor, operation, payload))
            .collect();
        let mut commit = Commit {
            origin: self.origin,
            first_sequence,
            last_sequence: self.sequence,
            head: self.previous,
            signing_key: 1,
            signature: [0; 64],
        };
        commit.signature = sign(self.origin.member, &commit.signed_bytes());
        (commit, records)
    }
}

/// The id of the n-th operation of a simulation.
pub(crate) fn operation_id(operation: u64) -> RequestId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&operation.to_be_bytes());
    RequestId(id)
}
