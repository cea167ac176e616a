//! A journal's records: every change of the exchange, in its final form, for disks and for peers.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | length of the body, little-endian |
//! | 4 | 4 | CRC-32C of the body |
//! | 8 | … | body: head, acting id, legal basis, payload |
//!
//! Each body holds the digest of the body before it of the same origin, so that an origin's records are a chain.
//! One signature per commit covers the chain's head.

mod commit;
mod exemptions;
mod flags;
mod indicators;
mod members;
mod payload;
#[cfg(test)]
mod tests;

pub use commit::Commit;
pub use payload::Payload;

use crate::codec::{self, Truncated};
use crate::codes::{Role, codes};
use crate::exchange::ExchangeError;
use crate::ids::{Actor, MemberName, RequestId};
use crate::limits::{MEMBER_BYTES_MAX, RECORD_BYTES_MAX};

/// Version of the record format.
pub const RECORD_VERSION: u8 = 1;

/// Digest of a record's body: BLAKE3, 256 bits. The body holds pseudonyms, never a person's number.
pub type RecordDigest = [u8; 32];

codes! {
    /// What a record says. Numbers without a layout in this version are reserved; a record of such a kind is kept
    /// and passed on, and refused where it says that it must be understood.
    RecordKind {
        FlagRaised = 1 "flag_raised",
        FlagLifted = 2 "flag_lifted",
        PassGranted = 3 "pass_granted",
        SubjectLinked = 4 "subject_linked",
        FlagLiftRequested = 5 "flag_lift_requested",
        FlagOverridden = 6 "flag_overridden",
        IndicatorDrafted = 16 "indicator_drafted",
        PoliceReceipt = 17 "police_receipt",
        IndicatorShared = 18 "indicator_shared",
        IndicatorConfirmed = 19 "indicator_confirmed",
        IndicatorContested = 20 "indicator_contested",
        IndicatorWithdrawn = 21 "indicator_withdrawn",
        IndicatorReported = 22 "indicator_reported",
        IndicatorOverridden = 23 "indicator_overridden",
        ExemptionGranted = 32 "exemption_granted",
        PersonalListEntry = 33 "personal_list_entry",
        ExemptionConfirmed = 34 "exemption_confirmed",
        ExemptionEnded = 35 "exemption_ended",
        MemberAdmitted = 48 "member_admitted",
        MemberSuspended = 49 "member_suspended",
        SigningKeyRotated = 50 "signing_key_rotated",
        NetworkKeyAdded = 51 "network_key_added",
    }
}

/// One engine of one member, in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The member.
    pub member: MemberName,
    /// Number of the engine within its member.
    pub engine: u16,
    /// A new one at each start, so that a restored old disk cannot use a number twice.
    pub epoch: u32,
}

/// Which record: its place in the journal of its origin. What is said of one raise says nothing of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordRef {
    /// Whose record.
    pub origin: Origin,
    /// Its number there.
    pub sequence: u64,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who recorded it.
    pub origin: Origin,
    /// From 1, without gaps, within the origin's epoch.
    pub sequence: u64,
    /// Hybrid logical clock: ms of the origin's clock, or one more than the highest that it has seen.
    pub stamp: u64,
    /// Digest of the body before it of the same member and engine; zeros for the first.
    pub previous: RecordDigest,
    /// Idempotency key of the operation that made it.
    pub operation: RequestId,
    /// Who acted, from the certificate.
    pub actor: Actor,
    /// Reference of the legal basis for sharing it; empty where none is needed.
    pub legal_basis: String,
    /// What happened.
    pub payload: Payload,
}

codec::wire_struct! {
    struct RecordHead / ArchivedRecordHead {
        version: u8,
        kind: u8,
        flags: u8,
        actor_role: u8,
        engine: u16,
        reserved: u16,
        epoch: u32,
        reserved_too: u32,
        sequence: u64,
        stamp: u64,
        operation: [u8; 16],
        previous: [u8; 32],
        member: [u8; MEMBER_BYTES_MAX],
        actor_member: [u8; MEMBER_BYTES_MAX],
    }
}

const MUST_UNDERSTAND: u8 = 1;
const HAS_LEGAL_BASIS: u8 = 2;

/// Bytes before a record's body: its length and checksum.
pub const RECORD_PREFIX_BYTES: usize = 8;

/// Why bytes are no record. A journal that holds such bytes is damaged; nothing of it is served as if it were not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than the record says it has.
    #[error("the record is cut short: {0}")]
    Truncated(#[from] Truncated),
    /// The checksum does not agree: the bytes are not those that were written.
    #[error("the record's checksum does not agree")]
    Checksum,
    /// Written by a newer version, in another format.
    #[error("record version {0}; this engine reads version {RECORD_VERSION}")]
    Version(u8),
    /// A value that this version does not know, in a record whose checksum agrees.
    #[error("{0} is not legal")]
    Value(&'static str),
}

impl From<ExchangeError> for RecordError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Length => Self::Value("length"),
            ExchangeError::Operation(_) => Self::Value("operation"),
            ExchangeError::Value(what) => Self::Value(what),
        }
    }
}

impl Record {
    /// Its place.
    pub fn place(&self) -> RecordRef {
        RecordRef { origin: self.origin, sequence: self.sequence }
    }

    /// Appends the record: length, checksum, body. Gives back the body's place in `out`, of which the digest is
    /// made.
    pub fn encode(&self, out: &mut Vec<u8>) -> std::ops::Range<usize> {
        let start = out.len();
        out.extend_from_slice(&[0; RECORD_PREFIX_BYTES]);
        let has_basis = if self.legal_basis.is_empty() { 0 } else { HAS_LEGAL_BASIS };
        let head = RecordHead {
            version: RECORD_VERSION,
            kind: self.payload.kind(),
            flags: self.payload.flags() | has_basis,
            actor_role: self.actor.role.wire(),
            engine: self.origin.engine,
            reserved: 0,
            epoch: self.origin.epoch,
            reserved_too: 0,
            sequence: self.sequence,
            stamp: self.stamp,
            operation: self.operation.0,
            previous: self.previous,
            member: *self.origin.member.bytes(),
            actor_member: *self.actor.member.bytes(),
        };
        codec::write(&head, out);
        codec::write_text(self.actor.id(), out);
        if has_basis != 0 {
            codec::write_text(&self.legal_basis, out);
        }
        self.payload.write(out);
        let (prefix, body) = out[start..].split_at_mut(RECORD_PREFIX_BYTES);
        prefix[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
        prefix[4..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        start + RECORD_PREFIX_BYTES..out.len()
    }

    /// The body of the record at the front of `bytes`, its checksum verified, and what follows it.
    pub fn body(bytes: &[u8]) -> Result<(&[u8], &[u8]), RecordError> {
        let short = |needed: usize, available: usize| Truncated { needed, available };
        let (prefix, rest) = bytes
            .split_first_chunk::<RECORD_PREFIX_BYTES>()
            .ok_or_else(|| short(RECORD_PREFIX_BYTES, bytes.len()))?;
        let [a, b, c, d, checksum @ ..] = *prefix;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > RECORD_BYTES_MAX {
            return Err(RecordError::Value("length"));
        }
        let (body, rest) = rest.split_at_checked(length).ok_or_else(|| short(length, rest.len()))?;
        if crc32c::crc32c(body) != u32::from_le_bytes(checksum) {
            return Err(RecordError::Checksum);
        }
        Ok((body, rest))
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, RecordError> {
        let (head, rest) = codec::read::<RecordHead>(body)?;
        if head.version != RECORD_VERSION {
            return Err(RecordError::Version(head.version));
        }
        let (actor_id, rest) = codec::read_text(rest).map_err(|_| RecordError::Value("actor"))?;
        let (legal_basis, rest) = if head.flags & HAS_LEGAL_BASIS == 0 {
            ("", rest)
        } else {
            codec::read_text(rest).map_err(|_| RecordError::Value("legal_basis"))?
        };
        let role = Role::from_wire(head.actor_role).ok_or(RecordError::Value("role"))?;
        let actor_member = MemberName::from_bytes(&head.actor_member).ok_or(RecordError::Value("actor"))?;
        let member = MemberName::from_bytes(&head.member).ok_or(RecordError::Value("member"))?;
        Ok(Self {
            origin: Origin { member, engine: head.engine.to_native(), epoch: head.epoch.to_native() },
            sequence: head.sequence.to_native(),
            stamp: head.stamp.to_native(),
            previous: head.previous,
            operation: RequestId(head.operation),
            actor: Actor::new(actor_member, role, actor_id).ok_or(RecordError::Value("actor"))?,
            legal_basis: legal_basis.to_owned(),
            payload: Payload::read(head.kind, head.flags & MUST_UNDERSTAND != 0, rest)?,
        })
    }
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    pub(crate) const HEAD: &[(&str, usize, usize)] = super::RecordHead::LAYOUT;
    pub(crate) const RAISED: &[(&str, usize, usize)] = super::flags::RaisedWire::LAYOUT;
    pub(crate) const LIFTED: &[(&str, usize, usize)] = super::flags::LiftedWire::LAYOUT;
    pub(crate) const PASS: &[(&str, usize, usize)] = super::flags::PassWire::LAYOUT;
    pub(crate) const LINKED: &[(&str, usize, usize)] = super::flags::LinkedWire::LAYOUT;
    pub(crate) const ABOUT_FLAG: &[(&str, usize, usize)] = super::flags::AboutFlagWire::LAYOUT;
    pub(crate) const ABOUT_INDICATOR: &[(&str, usize, usize)] = super::indicators::AboutWire::LAYOUT;
    pub(crate) const OVERRIDDEN: &[(&str, usize, usize)] = super::indicators::OverriddenWire::LAYOUT;
    pub(crate) const MEMBER: &[(&str, usize, usize)] = super::members::MemberWire::LAYOUT;
    pub(crate) const EXEMPTION: &[(&str, usize, usize)] = super::exemptions::GrantedWire::LAYOUT;
    pub(crate) const COMMIT: &[(&str, usize, usize)] = super::commit::CommitWire::LAYOUT;
}
