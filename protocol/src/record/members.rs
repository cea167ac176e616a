//! Records about members, as bytes.

use super::{Payload, RecordError, RecordKind};
use crate::codec;
use crate::ids::MemberName;
use crate::indicator::read_last_text;
use crate::limits::MEMBER_BYTES_MAX;
use crate::member::MemberKind;

codec::wire_struct! {
    pub(super) struct MemberWire / ArchivedMemberWire {
        member: [u8; MEMBER_BYTES_MAX],
        key: [u8; 32],
        kind: u8,
    }
}

pub(super) fn write(payload: &Payload, out: &mut Vec<u8>) {
    let (member, kind, key, why) = match payload {
        Payload::MemberAdmitted { member, kind, key } => (member, kind.wire(), *key, ""),
        Payload::MemberSuspended { member, why } => (member, 0, [0; 32], why.as_str()),
        Payload::SigningKeyRotated { member, key } => (member, 0, *key, ""),
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
        | Payload::ExemptionGranted { .. }
        | Payload::ExemptionConfirmed { .. }
        | Payload::ExemptionEnded { .. }
        | Payload::Unknown { .. } => return,
    };
    codec::write(&MemberWire { member: *member.bytes(), key, kind }, out);
    if !why.is_empty() {
        codec::write_text(why, out);
    }
}

pub(super) fn read(kind: RecordKind, bytes: &[u8]) -> Result<Payload, RecordError> {
    let (wire, rest) = codec::read::<MemberWire>(bytes)?;
    let member = MemberName::from_bytes(&wire.member).ok_or(RecordError::Value("member"))?;
    let why = read_last_text(rest)?.to_owned();
    match kind {
        RecordKind::MemberAdmitted => {
            let kind = MemberKind::from_wire(wire.kind).ok_or(RecordError::Value("member kind"))?;
            Ok(Payload::MemberAdmitted { member, kind, key: wire.key })
        }
        RecordKind::MemberSuspended => Ok(Payload::MemberSuspended { member, why }),
        RecordKind::SigningKeyRotated => Ok(Payload::SigningKeyRotated { member, key: wire.key }),
        _ => Err(RecordError::Value("kind")),
    }
}
