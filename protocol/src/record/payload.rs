//! What a record says: one variant for each kind, and how it becomes bytes.

use super::{
    MUST_UNDERSTAND, RecordDigest, RecordError, RecordKind, RecordRef, exemptions, flags, indicators, members,
};
use crate::codes::{AuthMethod, RequestedBy};
use crate::exemption::{ExemptionId, ExemptionKey, RuleNames};
use crate::flag::{MerchantRef, Terms};
use crate::ids::{MemberName, Pseudonym};
use crate::indicator::{Content, ContentDigest};
use crate::member::{MemberKey, MemberKind};
use crate::money::Currency;
use crate::time::Timestamp;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A person asked for protection.
    FlagRaised {
        /// Who.
        subject: Pseudonym,
        /// Network key under which the pseudonym was made.
        key_id: u16,
        /// What the flag says.
        terms: Terms,
    },
    /// A flag was lifted.
    FlagLifted {
        /// Whose.
        subject: Pseudonym,
        /// Network key under which the pseudonym was made: the raise's.
        key_id: u16,
        /// The raise that it lifts.
        raise: RecordRef,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
        /// Whether a second channel confirmed it.
        second_channel: bool,
        /// From when it takes effect.
        effective_from: Timestamp,
    },
    /// A narrow opening in the acting member's flag.
    PassGranted {
        /// Whose flag.
        subject: Pseudonym,
        /// Network key under which the pseudonyms were made: the raise's.
        key_id: u16,
        /// Where the person wants to pay.
        merchant: MerchantRef,
        /// Each payment up to this amount, in minor units.
        amount_minor: i64,
        /// The currency of the amount.
        currency: Currency,
        /// It acts before this time.
        until: Timestamp,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
    },
    /// Two numbers are one person, or are not after all.
    SubjectLinked {
        /// One number.
        old: Pseudonym,
        /// The other.
        new: Pseudonym,
        /// Network key under which the pseudonyms were made.
        key_id: u16,
        /// Whether they are linked from here on.
        linked: bool,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
    },
    /// Another desk asks the registrar to lift its flag. Nothing is lifted by this.
    FlagLiftRequested {
        /// Whose flag.
        subject: Pseudonym,
        /// Network key under which the pseudonym was made.
        key_id: u16,
        /// The member that entered the flag.
        registrar: MemberName,
        /// The raise that it is about.
        raise: RecordRef,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
    },
    /// One person of the central organisation lifts a flag; it is lifted once a second one does so too.
    FlagOverridden {
        /// Whose flag.
        subject: Pseudonym,
        /// Network key under which the pseudonym was made.
        key_id: u16,
        /// The member that entered the flag.
        registrar: MemberName,
        /// The raise that it is about.
        raise: RecordRef,
    },
    /// An indicator acts at its own member.
    IndicatorDrafted {
        /// What it says.
        content: Content,
    },
    /// Its document was made for the police.
    IndicatorReported {
        /// Which content.
        digest: ContentDigest,
    },
    /// The police have it.
    PoliceReceipt {
        /// Which content.
        digest: ContentDigest,
        /// When they received it, as they or the member say.
        received_at: Timestamp,
        /// The police's signature; zeros for a member's own word.
        signature: [u8; 64],
        /// The police's reference.
        reference: String,
    },
    /// An indicator acts everywhere, once the receipt that it names is known there.
    IndicatorShared {
        /// What it says.
        content: Content,
        /// Digest of the receipt's record.
        receipt: RecordDigest,
    },
    /// Another member found the same by itself.
    IndicatorConfirmed {
        /// Which content.
        digest: ContentDigest,
        /// Digest of the member's own evidence.
        evidence: [u8; 32],
    },
    /// Another member disagrees.
    IndicatorContested {
        /// Which content.
        digest: ContentDigest,
        /// Until when the registrar answers, or it lapses.
        due: Timestamp,
        /// Why.
        why: String,
    },
    /// It no longer stands.
    IndicatorWithdrawn {
        /// Which content.
        digest: ContentDigest,
        /// Why.
        why: String,
    },
    /// One of two persons of the central organisation withdraws another member's indicator.
    IndicatorOverridden {
        /// Which content.
        digest: ContentDigest,
        /// The member whose indicator it is.
        registrar: MemberName,
        /// Why.
        why: String,
    },
    /// A member may take part.
    MemberAdmitted {
        /// Its name.
        member: MemberName,
        /// What kind of organisation it is.
        kind: MemberKind,
        /// Its signing key; zeros where it signs nothing.
        key: MemberKey,
    },
    /// A member can do nothing any more.
    MemberSuspended {
        /// Its name.
        member: MemberName,
        /// Why.
        why: String,
    },
    /// A member signs with another key.
    SigningKeyRotated {
        /// Its name.
        member: MemberName,
        /// The new key.
        key: MemberKey,
    },
    /// Named rules are silent for one key at the acting member, for a while.
    ExemptionGranted {
        /// What kind of key it is.
        key: ExemptionKey,
        /// The key.
        value: Pseudonym,
        /// Network key under which the pseudonym was made.
        key_id: u16,
        /// The rules.
        rules: RuleNames,
        /// It acts before this time.
        until: Timestamp,
        /// Why.
        why: String,
    },
    /// A second person agrees with an exemption.
    ExemptionConfirmed {
        /// Which one.
        id: ExemptionId,
    },
    /// An exemption acts no more.
    ExemptionEnded {
        /// Which one.
        id: ExemptionId,
    },
    /// A kind that this version does not lay out: kept as it came.
    Unknown {
        /// The kind's number.
        kind: u8,
        /// Whether an engine that does not understand it must stop rather than go on without it.
        must_understand: bool,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

impl Payload {
    /// The number of its kind.
    pub fn kind(&self) -> u8 {
        let known = match self {
            Self::FlagRaised { .. } => RecordKind::FlagRaised,
            Self::FlagLifted { .. } => RecordKind::FlagLifted,
            Self::PassGranted { .. } => RecordKind::PassGranted,
            Self::SubjectLinked { .. } => RecordKind::SubjectLinked,
            Self::FlagLiftRequested { .. } => RecordKind::FlagLiftRequested,
            Self::FlagOverridden { .. } => RecordKind::FlagOverridden,
            Self::IndicatorDrafted { .. } => RecordKind::IndicatorDrafted,
            Self::IndicatorReported { .. } => RecordKind::IndicatorReported,
            Self::PoliceReceipt { .. } => RecordKind::PoliceReceipt,
            Self::IndicatorShared { .. } => RecordKind::IndicatorShared,
            Self::IndicatorConfirmed { .. } => RecordKind::IndicatorConfirmed,
            Self::IndicatorContested { .. } => RecordKind::IndicatorContested,
            Self::IndicatorWithdrawn { .. } => RecordKind::IndicatorWithdrawn,
            Self::IndicatorOverridden { .. } => RecordKind::IndicatorOverridden,
            Self::MemberAdmitted { .. } => RecordKind::MemberAdmitted,
            Self::MemberSuspended { .. } => RecordKind::MemberSuspended,
            Self::SigningKeyRotated { .. } => RecordKind::SigningKeyRotated,
            Self::ExemptionGranted { .. } => RecordKind::ExemptionGranted,
            Self::ExemptionConfirmed { .. } => RecordKind::ExemptionConfirmed,
            Self::ExemptionEnded { .. } => RecordKind::ExemptionEnded,
            Self::Unknown { kind, .. } => return *kind,
        };
        known.wire()
    }

    pub(super) fn flags(&self) -> u8 {
        match self {
            Self::Unknown { must_understand: false, .. } => 0,
            // Going on without any of the others could leave somebody unprotected, or a suspended member at work.
            _ => MUST_UNDERSTAND,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::FlagRaised { .. }
            | Self::FlagLifted { .. }
            | Self::PassGranted { .. }
            | Self::SubjectLinked { .. }
            | Self::FlagLiftRequested { .. }
            | Self::FlagOverridden { .. } => flags::write(self, out),
            Self::IndicatorDrafted { .. }
            | Self::IndicatorReported { .. }
            | Self::PoliceReceipt { .. }
            | Self::IndicatorShared { .. }
            | Self::IndicatorConfirmed { .. }
            | Self::IndicatorContested { .. }
            | Self::IndicatorWithdrawn { .. }
            | Self::IndicatorOverridden { .. } => indicators::write(self, out),
            Self::MemberAdmitted { .. } | Self::MemberSuspended { .. } | Self::SigningKeyRotated { .. } => {
                members::write(self, out);
            }
            Self::ExemptionGranted { .. } | Self::ExemptionConfirmed { .. } | Self::ExemptionEnded { .. } => {
                exemptions::write(self, out);
            }
            Self::Unknown { bytes, .. } => out.extend_from_slice(bytes),
        }
    }

    pub(super) fn read(kind: u8, must_understand: bool, bytes: &[u8]) -> Result<Self, RecordError> {
        let unknown = || Self::Unknown { kind, must_understand, bytes: bytes.to_vec() };
        let Some(known) = RecordKind::from_wire(kind) else { return Ok(unknown()) };
        match known {
            RecordKind::FlagRaised
            | RecordKind::FlagLifted
            | RecordKind::PassGranted
            | RecordKind::SubjectLinked
            | RecordKind::FlagLiftRequested
            | RecordKind::FlagOverridden => flags::read(known, bytes),
            RecordKind::IndicatorDrafted
            | RecordKind::IndicatorReported
            | RecordKind::PoliceReceipt
            | RecordKind::IndicatorShared
            | RecordKind::IndicatorConfirmed
            | RecordKind::IndicatorContested
            | RecordKind::IndicatorWithdrawn
            | RecordKind::IndicatorOverridden => indicators::read(known, bytes),
            RecordKind::MemberAdmitted | RecordKind::MemberSuspended | RecordKind::SigningKeyRotated => {
                members::read(known, bytes)
            }
            RecordKind::ExemptionGranted | RecordKind::ExemptionConfirmed | RecordKind::ExemptionEnded => {
                exemptions::read(known, bytes)
            }
            RecordKind::PersonalListEntry | RecordKind::NetworkKeyAdded => Ok(unknown()),
        }
    }
}
