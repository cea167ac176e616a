//! Whom to believe: seals, signatures, and what the records of a member may say. Keys and the list of members are the
//! shell's; the state machine asks.

use super::message::Seal;
use sparr_protocol::ids::MemberName;
use sparr_protocol::record::{Commit, Record};

/// Why records of an engine are not taken in for now. They are asked for again later: what holds them may be mended by a
/// record of somebody else, such as an admission that has not arrived yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Nobody has admitted this member, and no configuration names it.
    UnknownMember,
    /// The member is suspended.
    Suspended,
    /// The signature is not the member's.
    SignatureWrong,
    /// A record says what its origin may not say.
    NotPermitted,
    /// A stamp lies further ahead of this engine's clock than clocks differ.
    ClockAhead,
    /// A record must be understood and is not: this engine's version is too old.
    NotUnderstood,
    /// The bytes are no chain of records.
    Damaged,
    /// Two histories of one life of an engine: a copied disk is running twice.
    Forked,
}

impl Held {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::UnknownMember,
        Self::Suspended,
        Self::SignatureWrong,
        Self::NotPermitted,
        Self::ClockAhead,
        Self::NotUnderstood,
        Self::Damaged,
        Self::Forked,
    ];

    /// The name in metrics and in `exchange status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownMember => "unknown_member",
            Self::Suspended => "suspended",
            Self::SignatureWrong => "signature_wrong",
            Self::NotPermitted => "not_permitted",
            Self::ClockAhead => "clock_ahead",
            Self::NotUnderstood => "not_understood",
            Self::Damaged => "damaged",
            Self::Forked => "forked",
        }
    }
}

/// Judges what comes in, and signs what goes out.
pub trait Authority {
    /// Digest of a message under the network key.
    fn seal(&self, content: &[u8]) -> Seal;
    /// Whether a message was sealed under a live network key.
    fn is_sealed(&self, content: &[u8], seal: &Seal) -> bool;
    /// The own member's signature.
    fn sign(&self, bytes: &[u8]) -> [u8; 64];
    /// Whether it is the member's signature, by the key that counts now.
    fn has_signed(&self, member: MemberName, bytes: &[u8], signature: &[u8; 64]) -> bool;
    /// Whether the member takes part.
    fn takes_part(&self, member: MemberName) -> bool;
    /// Whether records of another engine, which are a chain that ends with this commit, are taken in.
    fn judge(&self, commit: &Commit, records: &[Record]) -> Result<(), Held>;
}
