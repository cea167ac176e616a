//! What is asked of the exchange.

use super::flags::{self, LiftWire};
use super::identities;
use super::velocity::{self, KeyText};
use super::{
    DecisionQuery, ExchangeError, ExemptionOperation, IndicatorOperation, MemberOperation, OperationKind,
    RecallOperation, RulesOperation, TermsWire, zero,
};
use crate::codec;
use crate::codes::{AuthMethod, RequestedBy, SubjectKind};
use crate::flag::Terms;
use crate::frame::{self, MessageKind, TooLarge};
use crate::ids::{MemberName, RequestId};
use crate::money::Currency;
use crate::personal::Personal;
use crate::place::Country;
use crate::response::ReasonCode;
use crate::time::Timestamp;

/// A subject as a desk types it.
#[derive(Clone, PartialEq, Debug)]
pub struct SubjectText {
    /// The number.
    pub text: Personal,
    /// What kind of number it is.
    pub kind: SubjectKind,
    /// Country of a foreign number.
    pub country: Option<Country>,
}

/// One question to the exchange.
#[derive(Clone, PartialEq, Debug)]
pub enum Operation {
    /// Raise a flag; a flag of the same registrar is replaced.
    FlagRaise {
        /// Whose.
        subject: SubjectText,
        /// What it says.
        terms: Terms,
    },
    /// Lift the caller's member's flag.
    FlagLift {
        /// Whose.
        subject: SubjectText,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
        /// Whether a second channel confirmed it: without it the lift cools off first.
        second_channel: bool,
    },
    /// Every registrar's flag on a subject.
    FlagStatus {
        /// Whose.
        subject: SubjectText,
    },
    /// The flags that the caller's member entered.
    FlagList,
    /// What a raise would change.
    FlagPlan {
        /// Whose.
        subject: SubjectText,
        /// What it would say.
        terms: Terms,
    },
    /// A narrow opening in the caller's member's flag, for one merchant.
    FlagPass {
        /// Whose.
        subject: SubjectText,
        /// The merchant: an organisationsnummer, and the pass acts at every member; or the member's own id of it.
        merchant: String,
        /// Each payment up to this amount, in minor units.
        amount_minor: i64,
        /// The currency of the amount.
        currency: Currency,
        /// The pass acts before this time: within 24 hours.
        until: Timestamp,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
    },
    /// The caller's member's flag with a later end.
    FlagExtend {
        /// Whose.
        subject: SubjectText,
        /// The new end.
        until: Timestamp,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
    },
    /// Ask the registrar to lift its flag, for a person who came to another desk.
    FlagLiftRequest {
        /// Whose.
        subject: SubjectText,
        /// The member that entered the flag.
        registrar: MemberName,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
    },
    /// Two numbers are one person, or are not after all: flags follow the person.
    SubjectLink {
        /// One number.
        old: SubjectText,
        /// The other.
        new: SubjectText,
        /// Whether they are linked from now on.
        linked: bool,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
    },
    /// What a desk may tell the person.
    FlagReport {
        /// Whose.
        subject: SubjectText,
    },
    /// One of two persons of the central organisation lifts another member's flag.
    FlagOverride {
        /// Whose.
        subject: SubjectText,
        /// The member that entered the flag.
        registrar: MemberName,
    },
    /// Something about indicators.
    Indicator(IndicatorOperation),
    /// Something about members.
    Member(MemberOperation),
    /// Something about exemptions.
    Exemption(ExemptionOperation),
    /// Something about the engine's rule sets.
    Rules(RulesOperation),
    /// How the exchange stands.
    ExchangeStatus,
    /// Requests that would be answered otherwise now.
    Recall(RecallOperation),
    /// Answers of the engine, as the decision log has them.
    DecisionList(Box<DecisionQuery>),
    /// The name of a reason code.
    ReasonName {
        /// The code.
        code: ReasonCode,
    },
    /// Which numbers a client is to send, or whether those that it sends are right.
    IdentityCheck {
        /// What it sends for each of `identity_check::CHALLENGES`; none to be told them.
        answers: Vec<Personal>,
    },
    /// What is counted of one key, or of a pair.
    VelocityShow {
        /// The key.
        first: KeyText,
        /// The second half of a pair.
        second: Option<KeyText>,
    },
}

/// An operation's id and what it asks.
#[derive(Clone, PartialEq, Debug)]
pub struct ExchangeRequest {
    /// Idempotency key: a retry repeats it.
    pub id: RequestId,
    /// What is asked.
    pub operation: Operation,
}

codec::wire_struct! {
    struct RequestHead / ArchivedRequestHead {
        id: [u8; 16],
        operation: u8,
        reserved: [u8; 7],
    }
}

codec::wire_struct! {
    #[derive(Default)]
    struct SubjectWire / ArchivedSubjectWire {
        kind: u8,
        reserved: u8,
        country: u16,
    }
}

impl Operation {
    /// Which operation it is.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::FlagRaise { .. } => OperationKind::FlagRaise,
            Self::FlagLift { .. } => OperationKind::FlagLift,
            Self::FlagStatus { .. } => OperationKind::FlagStatus,
            Self::FlagList => OperationKind::FlagList,
            Self::FlagPlan { .. } => OperationKind::FlagPlan,
            Self::FlagPass { .. } => OperationKind::FlagPass,
            Self::FlagExtend { .. } => OperationKind::FlagExtend,
            Self::FlagLiftRequest { .. } => OperationKind::FlagLiftRequest,
            Self::SubjectLink { .. } => OperationKind::SubjectLink,
            Self::FlagReport { .. } => OperationKind::FlagReport,
            Self::FlagOverride { .. } => OperationKind::FlagOverride,
            Self::Indicator(operation) => operation.kind(),
            Self::Member(operation) => operation.kind(),
            Self::Exemption(operation) => operation.kind(),
            Self::Rules(operation) => operation.kind(),
            Self::ExchangeStatus => OperationKind::ExchangeStatus,
            Self::Recall(operation) => operation.kind(),
            Self::DecisionList(_) => OperationKind::DecisionList,
            Self::ReasonName { .. } => OperationKind::ReasonName,
            Self::IdentityCheck { .. } => OperationKind::IdentityCheck,
            Self::VelocityShow { .. } => OperationKind::VelocityShow,
        }
    }
}

pub(super) fn write_subject(subject: &SubjectText, out: &mut Vec<u8>) {
    let wire = SubjectWire {
        kind: subject.kind.wire(),
        country: subject.country.map_or(0, Country::wire),
        ..SubjectWire::default()
    };
    codec::write(&wire, out);
    codec::write_text(subject.text.expose(), out);
}

pub(super) fn read_subject(bytes: &[u8]) -> Result<(SubjectText, &[u8]), ExchangeError> {
    let (wire, rest) = codec::read::<SubjectWire>(bytes)?;
    zero(&[wire.reserved])?;
    let country = match wire.country.to_native() {
        0 => None,
        number => Some(Country::from_wire(number).ok_or(ExchangeError::Value("subject_country"))?),
    };
    let kind = SubjectKind::from_wire(wire.kind).ok_or(ExchangeError::Value("subject_kind"))?;
    let (text, rest) = codec::read_text(rest).map_err(|_| ExchangeError::Value("subject"))?;
    Ok((SubjectText { text: text.into(), kind, country }, rest))
}

impl ExchangeRequest {
    /// Appends the question as one frame. Texts are cut off by nobody: one that is too long is refused.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLarge> {
        frame::append(MessageKind::Exchange, out, |out| {
            let head =
                RequestHead { id: self.id.0, operation: self.operation.kind().wire(), reserved: [0; 7] };
            codec::write(&head, out);
            match &self.operation {
                Operation::FlagRaise { subject, terms } | Operation::FlagPlan { subject, terms } => {
                    codec::write(&TermsWire::of(terms), out);
                    write_subject(subject, out);
                }
                Operation::FlagLift { subject, requested_by, authenticated_by, second_channel } => {
                    let lift = LiftWire {
                        requested_by: requested_by.wire(),
                        authenticated_by: authenticated_by.wire(),
                        second_channel: (*second_channel).into(),
                        reserved: 0,
                    };
                    codec::write(&lift, out);
                    write_subject(subject, out);
                }
                Operation::FlagStatus { subject } | Operation::FlagReport { subject } => {
                    write_subject(subject, out);
                }
                Operation::FlagList | Operation::ExchangeStatus => {}
                Operation::FlagPass { .. }
                | Operation::FlagExtend { .. }
                | Operation::FlagLiftRequest { .. }
                | Operation::SubjectLink { .. }
                | Operation::FlagOverride { .. } => flags::write(&self.operation, out),
                Operation::Indicator(operation) => operation.write(out),
                Operation::Member(operation) => operation.write(out),
                Operation::Exemption(operation) => operation.write(out),
                Operation::Rules(operation) => operation.write(out),
                Operation::Recall(operation) => operation.write(out),
                Operation::DecisionList(query) => query.write(out),
                Operation::ReasonName { code } => out.extend_from_slice(&code.0.to_le_bytes()),
                Operation::IdentityCheck { answers } => identities::write(answers, out),
                Operation::VelocityShow { first, second } => {
                    velocity::write_keys(first, second.as_ref(), out);
                }
            }
        })
    }

    /// Reads a message of kind [`MessageKind::Exchange`].
    pub fn decode(message: &[u8]) -> Result<Self, ExchangeError> {
        let (head, rest) = codec::read::<RequestHead>(message)?;
        zero(&head.reserved)?;
        let kind =
            OperationKind::from_wire(head.operation).ok_or(ExchangeError::Operation(head.operation))?;
        let (operation, rest) = match kind {
            OperationKind::FlagRaise | OperationKind::FlagPlan => {
                let (wire, rest) = codec::read::<TermsWire>(rest)?;
                let (subject, rest) = read_subject(rest)?;
                let terms = wire.terms()?;
                let operation = match kind {
                    OperationKind::FlagPlan => Operation::FlagPlan { subject, terms },
                    _ => Operation::FlagRaise { subject, terms },
                };
                (operation, rest)
            }
            OperationKind::FlagLift => {
                let (wire, rest) = codec::read::<LiftWire>(rest)?;
                zero(&[wire.reserved])?;
                let (subject, rest) = read_subject(rest)?;
                let lift = Operation::FlagLift {
                    subject,
                    requested_by: RequestedBy::from_wire(wire.requested_by)
                        .ok_or(ExchangeError::Value("requested_by"))?,
                    authenticated_by: AuthMethod::from_wire(wire.authenticated_by)
                        .ok_or(ExchangeError::Value("authenticated_by"))?,
                    second_channel: match wire.second_channel {
                        0 => false,
                        1 => true,
                        _ => return Err(ExchangeError::Value("second_channel")),
                    },
                };
                (lift, rest)
            }
            OperationKind::FlagStatus => {
                let (subject, rest) = read_subject(rest)?;
                (Operation::FlagStatus { subject }, rest)
            }
            OperationKind::FlagReport => {
                let (subject, rest) = read_subject(rest)?;
                (Operation::FlagReport { subject }, rest)
            }
            OperationKind::FlagList => (Operation::FlagList, rest),
            OperationKind::ExchangeStatus => (Operation::ExchangeStatus, rest),
            OperationKind::FlagPass
            | OperationKind::FlagExtend
            | OperationKind::FlagLiftRequest
            | OperationKind::SubjectLink
            | OperationKind::FlagOverride => flags::read(kind, rest)?,
            OperationKind::IndicatorDraft
            | OperationKind::IndicatorReport
            | OperationKind::ReceiptAdd
            | OperationKind::IndicatorShare
            | OperationKind::IndicatorConfirm
            | OperationKind::IndicatorContest
            | OperationKind::IndicatorWithdraw
            | OperationKind::IndicatorOverride
            | OperationKind::IndicatorList => {
                (Operation::Indicator(IndicatorOperation::read(kind, rest)?), &[][..])
            }
            OperationKind::MemberAdmit
            | OperationKind::MemberSuspend
            | OperationKind::MemberRotateKey
            | OperationKind::MemberList => (Operation::Member(MemberOperation::read(kind, rest)?), &[][..]),
            OperationKind::ExemptAdd
            | OperationKind::ExemptConfirm
            | OperationKind::ExemptEnd
            | OperationKind::ExemptList => {
                (Operation::Exemption(ExemptionOperation::read(kind, rest)?), &[][..])
            }
            OperationKind::RecallList | OperationKind::RecallWatch => {
                (Operation::Recall(RecallOperation::read(kind, rest)?), &[][..])
            }
            OperationKind::RulesReload
            | OperationKind::RulesPlan
            | OperationKind::RulesApprove
            | OperationKind::RulesRollback
            | OperationKind::RuleKill
            | OperationKind::RuleRevive => (Operation::Rules(RulesOperation::read(kind, rest)?), &[][..]),
            OperationKind::VelocityShow => {
                let (first, second) = velocity::read_keys(rest)?;
                (Operation::VelocityShow { first, second }, &[][..])
            }
            OperationKind::DecisionList => {
                let (query, rest) = DecisionQuery::read(rest)?;
                (Operation::DecisionList(Box::new(query)), rest)
            }
            OperationKind::IdentityCheck => identities::read(rest)?,
            OperationKind::ReasonName => {
                let (code, rest) = rest.split_first_chunk().ok_or(ExchangeError::Length)?;
                (Operation::ReasonName { code: ReasonCode(u16::from_le_bytes(*code)) }, rest)
            }
        };
        if rest.is_empty() {
            Ok(Self { id: RequestId(head.id), operation })
        } else {
            Err(ExchangeError::Length)
        }
    }
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    use super::{LiftWire, RequestHead, SubjectWire, TermsWire};

    pub(crate) const HEAD: &[(&str, usize, usize)] = RequestHead::LAYOUT;
    pub(crate) const TERMS: &[(&str, usize, usize)] = TermsWire::LAYOUT;
    pub(crate) const SUBJECT: &[(&str, usize, usize)] = SubjectWire::LAYOUT;
    pub(crate) const LIFT: &[(&str, usize, usize)] = LiftWire::LAYOUT;
}
