//! Operations about indicators as they travel.

use super::{ExchangeError, OperationKind, zero};
use crate::codec;
use crate::indicator::{ClassName, Grade, IndicatorId, IndicatorKind, IndicatorRole, read_last_text};
use crate::limits::CLASS_BYTES_MAX;
use crate::personal::Personal;
use crate::time::Timestamp;

/// One question about indicators.
#[derive(Clone, PartialEq, Debug)]
pub enum IndicatorOperation {
    /// Draft an indicator: it acts at the caller's member at once.
    Draft {
        /// What kind of value it is about.
        kind: IndicatorKind,
        /// The value, as an analyst types it.
        value: Personal,
        /// In which role it was seen.
        role: Option<IndicatorRole>,
        /// How well it was looked into.
        grade: Grade,
        /// What it is evidence of.
        class: ClassName,
        /// Its end; the longest that its kind may have where nothing is said.
        valid_until: Option<Timestamp>,
    },
    /// The document for the police, which marks the indicator as reported.
    Report(IndicatorId),
    /// The police have it: said by the police with a signature, or by two persons of the member.
    Receipt {
        /// Which indicator.
        id: IndicatorId,
        /// The police's own reference.
        reference: String,
        /// When they received it.
        received_at: Timestamp,
        /// Ed25519 over [`crate::indicator::receipt_signed_bytes`]; `None` for a member's own word.
        signature: Option<Box<[u8; 64]>>,
    },
    /// Share it with every member.
    Share(IndicatorId),
    /// The same was found independently.
    Confirm {
        /// Which indicator.
        id: IndicatorId,
        /// Digest of the caller's own evidence. What was learnt from the exchange does not count.
        evidence: [u8; 32],
    },
    /// It is wrong, says somebody else's member: the registrar has until `due` to answer.
    Contest {
        /// Which indicator.
        id: IndicatorId,
        /// Until when.
        due: Timestamp,
        /// Why.
        why: String,
    },
    /// It no longer stands.
    Withdraw {
        /// Which indicator.
        id: IndicatorId,
        /// Why.
        why: String,
    },
    /// Withdraw another member's indicator, as one of two persons of the central organisation.
    Override {
        /// Which indicator.
        id: IndicatorId,
        /// Why.
        why: String,
    },
    /// Every indicator that the caller may see, or one.
    List(Option<IndicatorId>),
}

codec::wire_struct! {
    struct DraftWire / ArchivedDraftWire {
        kind: u8,
        role: u8,
        grade: u8,
        reserved: u8,
        class: [u8; CLASS_BYTES_MAX],
        valid_until: i64,
    }
}

codec::wire_struct! {
    /// What is said about one indicator; what an operation does not need is zero.
    struct AboutWire / ArchivedAboutWire {
        id: [u8; 16],
        at: i64,
        evidence: [u8; 32],
        signature: [u8; 64],
    }
}

const NO_END: i64 = i64::MIN;

impl IndicatorOperation {
    /// Which operation it is.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Draft { .. } => OperationKind::IndicatorDraft,
            Self::Report(_) => OperationKind::IndicatorReport,
            Self::Receipt { .. } => OperationKind::ReceiptAdd,
            Self::Share(_) => OperationKind::IndicatorShare,
            Self::Confirm { .. } => OperationKind::IndicatorConfirm,
            Self::Contest { .. } => OperationKind::IndicatorContest,
            Self::Withdraw { .. } => OperationKind::IndicatorWithdraw,
            Self::Override { .. } => OperationKind::IndicatorOverride,
            Self::List(_) => OperationKind::IndicatorList,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let about = |id: &IndicatorId| AboutWire { id: id.0, at: 0, evidence: [0; 32], signature: [0; 64] };
        let (wire, text) = match self {
            Self::Draft { kind, value, role, grade, class, valid_until } => {
                let wire = DraftWire {
                    kind: kind.wire(),
                    role: role.map_or(0, IndicatorRole::wire),
                    grade: grade.wire(),
                    reserved: 0,
                    class: *class.bytes(),
                    valid_until: valid_until.map_or(NO_END, Timestamp::ms),
                };
                codec::write(&wire, out);
                return codec::write_text(value.expose(), out);
            }
            Self::List(one) => return one.iter().for_each(|id| out.extend_from_slice(&id.0)),
            Self::Report(id) | Self::Share(id) => (about(id), ""),
            Self::Receipt { id, reference, received_at, signature } => {
                let signature = signature.as_deref().copied().unwrap_or([0; 64]);
                (AboutWire { at: received_at.ms(), signature, ..about(id) }, reference.as_str())
            }
            Self::Confirm { id, evidence } => (AboutWire { evidence: *evidence, ..about(id) }, ""),
            Self::Contest { id, due, why } => (AboutWire { at: due.ms(), ..about(id) }, why.as_str()),
            Self::Withdraw { id, why } | Self::Override { id, why } => (about(id), why.as_str()),
        };
        codec::write(&wire, out);
        if !text.is_empty() {
            codec::write_text(text, out);
        }
    }

    pub(super) fn read(kind: OperationKind, rest: &[u8]) -> Result<Self, ExchangeError> {
        let value = ExchangeError::Value;
        match kind {
            OperationKind::IndicatorDraft => {
                let (wire, rest) = codec::read::<DraftWire>(rest)?;
                zero(&[wire.reserved])?;
                let (text, rest) = codec::read_text(rest).map_err(|_| value("value"))?;
                if !rest.is_empty() {
                    return Err(ExchangeError::Length);
                }
                let valid_until = Some(wire.valid_until.to_native()).filter(|ms| *ms != NO_END);
                return Ok(Self::Draft {
                    kind: IndicatorKind::from_wire(wire.kind).ok_or(ExchangeError::Value("kind"))?,
                    value: text.into(),
                    role: match wire.role {
                        0 => None,
                        role => Some(IndicatorRole::from_wire(role).ok_or(ExchangeError::Value("role"))?),
                    },
                    grade: Grade::from_wire(wire.grade).ok_or(ExchangeError::Value("grade"))?,
                    class: ClassName::from_bytes(&wire.class).ok_or(ExchangeError::Value("class"))?,
                    valid_until: valid_until.map(Timestamp::from_ms),
                });
            }
            OperationKind::IndicatorList => {
                let one =
                    rest.first_chunk::<16>().filter(|id| id.len() == rest.len()).map(|id| IndicatorId(*id));
                let legal = rest.is_empty() || one.is_some();
                return if legal { Ok(Self::List(one)) } else { Err(ExchangeError::Length) };
            }
            _ => {}
        }
        let (wire, rest) = codec::read::<AboutWire>(rest)?;
        let (id, at) = (IndicatorId(wire.id), Timestamp::from_ms(wire.at.to_native()));
        let text = read_last_text(rest)?.to_owned();
        let needed = |text: String| if text.is_empty() { Err(value("text")) } else { Ok(text) };
        let none = |text: String| if text.is_empty() { Ok(()) } else { Err(ExchangeError::Length) };
        Ok(match kind {
            OperationKind::IndicatorReport => {
                none(text)?;
                Self::Report(id)
            }
            OperationKind::IndicatorShare => {
                none(text)?;
                Self::Share(id)
            }
            OperationKind::ReceiptAdd => {
                let signature = (wire.signature != [0; 64]).then(|| Box::new(wire.signature));
                Self::Receipt { id, reference: needed(text)?, received_at: at, signature }
            }
            OperationKind::IndicatorConfirm => {
                none(text)?;
                Self::Confirm { id, evidence: wire.evidence }
            }
            OperationKind::IndicatorContest => Self::Contest { id, due: at, why: needed(text)? },
            OperationKind::IndicatorWithdraw => Self::Withdraw { id, why: needed(text)? },
            OperationKind::IndicatorOverride => Self::Override { id, why: needed(text)? },
            other => return Err(ExchangeError::Operation(other.wire())),
        })
    }
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    pub(crate) const DRAFT: &[(&str, usize, usize)] = super::DraftWire::LAYOUT;
    pub(crate) const ABOUT: &[(&str, usize, usize)] = super::AboutWire::LAYOUT;
}
