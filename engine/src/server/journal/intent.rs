//! What somebody wants changed, after identities have become pseudonyms.

use crate::request::LivePseudonyms;
use sparr_protocol::codes::{AuthMethod, RequestedBy};
use sparr_protocol::exemption::{ExemptionId, ExemptionKey, RuleNames};
use sparr_protocol::flag::{MerchantRef, Terms};
use sparr_protocol::ids::{MemberName, Pseudonym};
use sparr_protocol::indicator::{ClassName, Grade, IndicatorId, IndicatorKind, IndicatorRole};
use sparr_protocol::member::{MemberKey, MemberKind};
use sparr_protocol::money::Currency;
use sparr_protocol::time::Timestamp;

/// Who asked, and how that was made sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// On whose behalf.
    pub requested_by: RequestedBy,
    /// How the person who asked was authenticated.
    pub authenticated_by: AuthMethod,
}

/// What somebody wants changed.
#[derive(Clone, Debug)]
pub enum Intent {
    /// Raise a flag.
    Raise {
        /// Whose.
        subject: LivePseudonyms,
        /// What it says.
        terms: Terms,
    },
    /// Lift the actor's member's flag.
    Lift {
        /// Whose.
        subject: LivePseudonyms,
        /// Who asked.
        by: By,
        /// Whether a second channel confirmed it.
        second_channel: bool,
    },
    /// Open the actor's member's flag for one merchant.
    Pass {
        /// Whose.
        subject: LivePseudonyms,
        /// Where the person wants to pay.
        merchant: MerchantRef,
        /// Each payment up to this amount, in minor units.
        amount_minor: i64,
        /// The currency of the amount.
        currency: Currency,
        /// It acts before this time.
        until: Timestamp,
        /// Who asked.
        by: By,
    },
    /// Give the actor's member's flag a later end.
    Extend {
        /// Whose.
        subject: LivePseudonyms,
        /// The new end.
        until: Timestamp,
        /// Who asked.
        by: By,
    },
    /// Ask another member to lift its flag.
    LiftRequest {
        /// Whose.
        subject: LivePseudonyms,
        /// The member that entered it.
        registrar: MemberName,
        /// Who asked.
        by: By,
    },
    /// Say that two numbers are one person, or are not after all.
    Link {
        /// One number.
        old: LivePseudonyms,
        /// The other.
        new: LivePseudonyms,
        /// Whether they are linked from now on.
        linked: bool,
        /// Who asked.
        by: By,
    },
    /// Lift another member's flag, as one of two persons.
    Override {
        /// Whose.
        subject: LivePseudonyms,
        /// The member that entered it.
        registrar: MemberName,
    },
    /// Draft an indicator.
    Draft {
        /// What kind of value it is about.
        kind: IndicatorKind,
        /// The value.
        value: LivePseudonyms,
        /// The value as it is, for kinds that are about no person.
        clear: String,
        /// In which role it was seen.
        role: Option<IndicatorRole>,
        /// How well it was looked into.
        grade: Grade,
        /// What it is evidence of.
        class: ClassName,
        /// Its end, where one is wished.
        valid_until: Option<Timestamp>,
    },
    /// Mark an indicator as reported.
    Report(IndicatorId),
    /// Say that the police have it.
    Receipt {
        /// Which indicator.
        id: IndicatorId,
        /// The police's reference.
        reference: String,
        /// When they received it.
        received_at: Timestamp,
        /// The police's signature.
        signature: Option<Box<[u8; 64]>>,
    },
    /// Share it.
    Share(IndicatorId),
    /// Say that the same was found independently.
    Confirm {
        /// Which indicator.
        id: IndicatorId,
        /// Digest of the evidence.
        evidence: [u8; 32],
    },
    /// Disagree with it.
    Contest {
        /// Which indicator.
        id: IndicatorId,
        /// Until when the registrar answers.
        due: Timestamp,
        /// Why.
        why: String,
    },
    /// Take it back.
    Withdraw {
        /// Which indicator.
        id: IndicatorId,
        /// Why.
        why: String,
    },
    /// Withdraw another member's indicator, as one of two persons.
    OverrideIndicator {
        /// Which indicator.
        id: IndicatorId,
        /// Why.
        why: String,
    },
    /// Silence rules for a key.
    Exempt {
        /// What kind of key it is.
        key: ExemptionKey,
        /// The key.
        value: LivePseudonyms,
        /// The rules.
        rules: RuleNames,
        /// It acts before this time.
        until: Timestamp,
        /// Why.
        why: String,
    },
    /// Agree with an exemption, as a second person.
    ExemptConfirm(ExemptionId),
    /// End an exemption.
    ExemptEnd(ExemptionId),
    /// Let a member in.
    Admit {
        /// Its name.
        member: MemberName,
        /// What kind of organisation it is.
        kind: MemberKind,
        /// Its signing key.
        key: MemberKey,
    },
    /// Suspend a member.
    Suspend {
        /// Its name.
        member: MemberName,
        /// Why.
        why: String,
    },
    /// Give a member another signing key.
    RotateKey {
        /// Its name.
        member: MemberName,
        /// The new key.
        key: MemberKey,
    },
}

/// What a change is about: a second change of the same thing must see what the first has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Touched {
    Subject(Pseudonym),
    Indicator(IndicatorId),
    Exemption(ExemptionId),
    /// Members: everything that anybody may do depends on them.
    Everything,
}

impl Intent {
    /// Whether it is taken in from the reserve when the disk is full: it ends or opens a protection that stands in a
    /// person's way, or stops somebody who should be stopped.
    pub(super) fn may_use_reserve(&self) -> bool {
        match self {
            Self::Lift { .. }
            | Self::Pass { .. }
            | Self::Override { .. }
            | Self::Withdraw { .. }
            | Self::OverrideIndicator { .. }
            | Self::ExemptEnd(_)
            | Self::Suspend { .. } => true,
            Self::Raise { .. }
            | Self::Extend { .. }
            | Self::LiftRequest { .. }
            | Self::Link { .. }
            | Self::Draft { .. }
            | Self::Report(_)
            | Self::Receipt { .. }
            | Self::Share(_)
            | Self::Confirm { .. }
            | Self::Contest { .. }
            | Self::Exempt { .. }
            | Self::ExemptConfirm(_)
            | Self::Admit { .. }
            | Self::RotateKey { .. } => false,
        }
    }

    /// What it is about.
    pub(super) fn touches(&self) -> Vec<Touched> {
        let subject = |live: &LivePseudonyms| live.iter().map(|(_, one)| Touched::Subject(one)).collect();
        match self {
            Self::Raise { subject: live, .. }
            | Self::Lift { subject: live, .. }
            | Self::Pass { subject: live, .. }
            | Self::Extend { subject: live, .. }
            | Self::LiftRequest { subject: live, .. }
            | Self::Override { subject: live, .. } => subject(live),
            // A link joins what was apart: nobody's flag is looked at in the same batch.
            Self::Link { .. } | Self::Admit { .. } | Self::Suspend { .. } | Self::RotateKey { .. } => {
                vec![Touched::Everything]
            }
            // A draft or an exemption is about itself alone.
            Self::Draft { .. } | Self::Exempt { .. } => Vec::new(),
            Self::ExemptConfirm(id) | Self::ExemptEnd(id) => vec![Touched::Exemption(*id)],
            Self::Report(id)
            | Self::Share(id)
            | Self::Receipt { id, .. }
            | Self::Confirm { id, .. }
            | Self::Contest { id, .. }
            | Self::Withdraw { id, .. }
            | Self::OverrideIndicator { id, .. } => vec![Touched::Indicator(*id)],
        }
    }
}
