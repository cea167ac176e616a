//! Records about exemptions, as bytes.

use super::{Payload, RecordError, RecordKind};
use crate::codec;
use crate::exemption::{ExemptionId, ExemptionKey, RuleNames};
use crate::ids::Pseudonym;
use crate::indicator::read_last_text;
use crate::time::Timestamp;

codec::wire_struct! {
    pub(super) struct GrantedWire / ArchivedGrantedWire {
        value: [u8; 16],
        until: i64,
        key_id: u16,
        key: u8,
        reserved: u8,
    }
}

pub(super) fn write(payload: &Payload, out: &mut Vec<u8>) {
    match payload {
        Payload::ExemptionGranted { key, value, key_id, rules, until, why } => {
            let wire = GrantedWire {
                value: value.0,
                until: until.ms(),
                key_id: *key_id,
                key: key.wire(),
                reserved: 0,
            };
            codec::write(&wire, out);
            rules.write(out);
            codec::write_text(why, out);
        }
        Payload::ExemptionConfirmed { id } | Payload::ExemptionEnded { id } => out.extend_from_slice(&id.0),
        Payload::FlagRaised { .. }
        | Payload::FlagLifted { .. }
        | Payload::PassGranted { .. }
        | Payload::SubjectLinked { .. }
        | Payload::FlagLiftRequested { .. }
        | Payload::FlagOverridden { .. }
        | Payload::IndicatorDrafted { .. }
        | Payload::IndicatorReported { .. }
        | Payload::PoliceReceipt { .. }
        | Payload::IndicatorShared { .. }
        | Payload::IndicatorConfirmed { .. }
        | Payload::IndicatorContested { .. }
        | Payload::IndicatorWithdrawn { .. }
        | Payload::IndicatorOverridden { .. }
        | Payload::MemberAdmitted { .. }
        | Payload::MemberSuspended { .. }
        | Payload::SigningKeyRotated { .. }
        | Payload::Unknown { .. } => {}
    }
}

pub(super) fn read(kind: RecordKind, bytes: &[u8]) -> Result<Payload, RecordError> {
    let one = || match bytes.first_chunk::<16>() {
        Some(id) if id.len() == bytes.len() => Ok(ExemptionId(*id)),
        Some(_) | None => Err(RecordError::Value("length")),
    };
    match kind {
        RecordKind::ExemptionGranted => {
            let (wire, rest) = codec::read::<GrantedWire>(bytes)?;
            let (rules, rest) = RuleNames::read(rest)?;
            Ok(Payload::ExemptionGranted {
                key: ExemptionKey::from_wire(wire.key).ok_or(RecordError::Value("key"))?,
                value: Pseudonym(wire.value),
                key_id: wire.key_id.to_native(),
                rules,
                until: Timestamp::from_ms(wire.until.to_native()),
                why: read_last_text(rest)?.to_owned(),
            })
        }
        RecordKind::ExemptionConfirmed => Ok(Payload::ExemptionConfirmed { id: one()? }),
        RecordKind::ExemptionEnded => Ok(Payload::ExemptionEnded { id: one()? }),
        _ => Err(RecordError::Value("kind")),
    }
}
