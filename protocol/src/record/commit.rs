//! The signature over a commit: one for a batch of records.

use super::{Origin, RecordDigest, RecordError};
use crate::codec::{self, Truncated};
use crate::ids::MemberName;
use crate::limits::MEMBER_BYTES_MAX;

/// What an engine signs once per commit: the head of its chain, and with it every record before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Whose chain.
    pub origin: Origin,
    /// First sequence of the commit.
    pub first_sequence: u64,
    /// Last sequence of the commit: the chain's head.
    pub last_sequence: u64,
    /// Digest of the chain's head.
    pub head: RecordDigest,
    /// Which of the origin's signing keys.
    pub signing_key: u32,
    /// Ed25519 over [`Commit::signed_bytes`].
    pub signature: [u8; 64],
}

codec::wire_struct! {
    pub(super) struct CommitWire / ArchivedCommitWire {
        label: [u8; 16],
        member: [u8; MEMBER_BYTES_MAX],
        engine: u16,
        reserved: u16,
        epoch: u32,
        first_sequence: u64,
        last_sequence: u64,
        head: [u8; 32],
        signing_key: u32,
    }
}

/// What is signed begins with this, so that the signature is good for nothing else.
const COMMIT_LABEL: [u8; 16] = *b"sparr commit v1\0";

impl Commit {
    /// The bytes under the signature.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(codec::size::<CommitWire>() + self.signature.len());
        let wire = CommitWire {
            label: COMMIT_LABEL,
            member: *self.origin.member.bytes(),
            engine: self.origin.engine,
            reserved: 0,
            epoch: self.origin.epoch,
            first_sequence: self.first_sequence,
            last_sequence: self.last_sequence,
            head: self.head,
            signing_key: self.signing_key,
        };
        codec::write(&wire, &mut bytes);
        bytes
    }

    /// The commit as it is stored: the signed bytes, then the signature.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.signed_bytes();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Reads a stored commit. The signature is not checked here.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (wire, rest) = codec::read::<CommitWire>(bytes)?;
        if wire.label != COMMIT_LABEL {
            return Err(RecordError::Value("label"));
        }
        let member = MemberName::from_bytes(&wire.member).ok_or(RecordError::Value("member"))?;
        Ok(Self {
            origin: Origin { member, engine: wire.engine.to_native(), epoch: wire.epoch.to_native() },
            first_sequence: wire.first_sequence.to_native(),
            last_sequence: wire.last_sequence.to_native(),
            head: wire.head,
            signing_key: wire.signing_key.to_native(),
            signature: rest.try_into().map_err(|_| Truncated { needed: 64, available: rest.len() })?,
        })
    }
}
