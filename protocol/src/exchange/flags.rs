//! Passes, extensions, lift requests, links and overrides as they travel.

use super::request::{read_subject, write_subject};
use super::{ExchangeError, Operation, OperationKind, zero};
use crate::codec;
use crate::codes::{AuthMethod, RequestedBy};
use crate::ids::MemberName;
use crate::limits::MEMBER_BYTES_MAX;
use crate::money::Currency;
use crate::time::Timestamp;

codec::wire_struct! {
    pub(super) struct LiftWire / ArchivedLiftWire {
        pub(super) requested_by: u8,
        pub(super) authenticated_by: u8,
        pub(super) second_channel: u8,
        pub(super) reserved: u8,
    }
}

codec::wire_struct! {
    /// What a change of a flag may say; what an operation does not need is zero.
    #[derive(Default)]
    struct FlagChangeWire / ArchivedFlagChangeWire {
        requested_by: u8,
        authenticated_by: u8,
        linked: u8,
        reserved: u8,
        currency: u16,
        amount_minor: i64,
        until: i64,
        registrar: [u8; MEMBER_BYTES_MAX],
    }
}

/// Writes what follows the head of a change of a flag.
pub(super) fn write(operation: &Operation, out: &mut Vec<u8>) {
    let by = |requested_by: &RequestedBy, authenticated_by: &AuthMethod| FlagChangeWire {
        requested_by: requested_by.wire(),
        authenticated_by: authenticated_by.wire(),
        ..FlagChangeWire::default()
    };
    match operation {
        Operation::FlagPass {
            subject,
            merchant,
            amount_minor,
            currency,
            until,
            requested_by,
            authenticated_by,
        } => {
            let wire = FlagChangeWire {
                currency: currency.wire(),
                amount_minor: *amount_minor,
                until: until.ms(),
                ..by(requested_by, authenticated_by)
            };
            codec::write(&wire, out);
            write_subject(subject, out);
            codec::write_text(merchant, out);
        }
        Operation::FlagExtend { subject, until, requested_by, authenticated_by } => {
            codec::write(&FlagChangeWire { until: until.ms(), ..by(requested_by, authenticated_by) }, out);
            write_subject(subject, out);
        }
        Operation::FlagLiftRequest { subject, registrar, requested_by, authenticated_by } => {
            let wire = FlagChangeWire { registrar: *registrar.bytes(), ..by(requested_by, authenticated_by) };
            codec::write(&wire, out);
            write_subject(subject, out);
        }
        Operation::SubjectLink { old, new, linked, requested_by, authenticated_by } => {
            codec::write(
                &FlagChangeWire { linked: (*linked).into(), ..by(requested_by, authenticated_by) },
                out,
            );
            write_subject(old, out);
            write_subject(new, out);
        }
        Operation::FlagOverride { subject, registrar } => {
            codec::write(&FlagChangeWire { registrar: *registrar.bytes(), ..FlagChangeWire::default() }, out);
            write_subject(subject, out);
        }
        Operation::FlagRaise { .. }
        | Operation::FlagLift { .. }
        | Operation::FlagStatus { .. }
        | Operation::FlagList
        | Operation::FlagPlan { .. }
        | Operation::FlagReport { .. }
        | Operation::Indicator(_)
        | Operation::Member(_)
        | Operation::Exemption(_)
        | Operation::Rules(_)
        | Operation::ExchangeStatus
        | Operation::Recall(_)
        | Operation::DecisionList(_)
        | Operation::ReasonName { .. }
        | Operation::IdentityCheck { .. }
        | Operation::VelocityShow { .. } => {}
    }
}

/// Reads what [`write`] wrote, and gives back what follows it.
pub(super) fn read(kind: OperationKind, rest: &[u8]) -> Result<(Operation, &[u8]), ExchangeError> {
    let value = ExchangeError::Value;
    let (wire, rest) = codec::read::<FlagChangeWire>(rest)?;
    zero(&[wire.reserved])?;
    let (subject, rest) = read_subject(rest)?;
    let requested_by =
        || RequestedBy::from_wire(wire.requested_by).ok_or(ExchangeError::Value("requested_by"));
    let authenticated_by =
        || AuthMethod::from_wire(wire.authenticated_by).ok_or(ExchangeError::Value("authenticated_by"));
    let registrar = || MemberName::from_bytes(&wire.registrar).ok_or(ExchangeError::Value("registrar"));
    let until = Timestamp::from_ms(wire.until.to_native());
    Ok(match kind {
        OperationKind::FlagPass => {
            let (merchant, rest) = codec::read_text(rest).map_err(|_| value("merchant"))?;
            let pass = Operation::FlagPass {
                subject,
                merchant: merchant.to_owned(),
                amount_minor: wire.amount_minor.to_native(),
                currency: Currency::from_wire(wire.currency.to_native())
                    .ok_or(ExchangeError::Value("currency"))?,
                until,
                requested_by: requested_by()?,
                authenticated_by: authenticated_by()?,
            };
            (pass, rest)
        }
        OperationKind::FlagExtend => {
            let (requested_by, authenticated_by) = (requested_by()?, authenticated_by()?);
            (Operation::FlagExtend { subject, until, requested_by, authenticated_by }, rest)
        }
        OperationKind::FlagLiftRequest => {
            let (requested_by, authenticated_by) = (requested_by()?, authenticated_by()?);
            let registrar = registrar()?;
            (Operation::FlagLiftRequest { subject, registrar, requested_by, authenticated_by }, rest)
        }
        OperationKind::SubjectLink => {
            let (new, rest) = read_subject(rest)?;
            let link = Operation::SubjectLink {
                old: subject,
                new,
                linked: match wire.linked {
                    0 => false,
                    1 => true,
                    _ => return Err(value("linked")),
                },
                requested_by: requested_by()?,
                authenticated_by: authenticated_by()?,
            };
            (link, rest)
        }
        OperationKind::FlagOverride => (Operation::FlagOverride { subject, registrar: registrar()? }, rest),
        other => return Err(ExchangeError::Operation(other.wire())),
    })
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    pub(crate) const CHANGE: &[(&str, usize, usize)] = super::FlagChangeWire::LAYOUT;
}
