//! Records about indicators, as bytes.

use super::{Payload, RecordError, RecordKind};
use crate::codec;
use crate::ids::MemberName;
use crate::indicator::{Content, ContentDigest, read_last_text};
use crate::limits::MEMBER_BYTES_MAX;
use crate::time::Timestamp;

codec::wire_struct! {
    /// What is said of one content; what a kind does not need is zero.
    pub(super) struct AboutWire / ArchivedAboutWire {
        digest: [u8; 32],
        at: i64,
        evidence: [u8; 32],
        signature: [u8; 64],
    }
}

codec::wire_struct! {
    /// An override names whose indicator it is: it counts for that member's word alone.
    pub(super) struct OverriddenWire / ArchivedOverriddenWire {
        digest: [u8; 32],
        registrar: [u8; MEMBER_BYTES_MAX],
    }
}

pub(super) fn write(payload: &Payload, out: &mut Vec<u8>) {
    let about =
        |digest: &ContentDigest| AboutWire { digest: digest.0, at: 0, evidence: [0; 32], signature: [0; 64] };
    let (wire, text) = match payload {
        Payload::IndicatorDrafted { content } => return content.encode(out),
        Payload::IndicatorShared { content, receipt } => {
            out.extend_from_slice(receipt);
            return content.encode(out);
        }
        Payload::IndicatorReported { digest } => (about(digest), ""),
        Payload::PoliceReceipt { digest, received_at, signature, reference } => {
            let wire = AboutWire { at: received_at.ms(), signature: *signature, ..about(digest) };
            (wire, reference.as_str())
        }
        Payload::IndicatorConfirmed { digest, evidence } => {
            (AboutWire { evidence: *evidence, ..about(digest) }, "")
        }
        Payload::IndicatorContested { digest, due, why } => {
            (AboutWire { at: due.ms(), ..about(digest) }, why.as_str())
        }
        Payload::IndicatorWithdrawn { digest, why } => (about(digest), why.as_str()),
        Payload::IndicatorOverridden { digest, registrar, why } => {
            codec::write(&OverriddenWire { digest: digest.0, registrar: *registrar.bytes() }, out);
            return codec::write_text(why, out);
        }
        Payload::FlagRaised { .. }
        | Payload::FlagLifted { .. }
        | Payload::PassGranted { .. }
        | Payload::SubjectLinked { .. }
        | Payload::FlagLiftRequested { .. }
        | Payload::FlagOverridden { .. }
        | Payload::MemberAdmitted { .. }
        | Payload::MemberSuspended { .. }
        | Payload::SigningKeyRotated { .. }
        | Payload::ExemptionGranted { .. }
        | Payload::ExemptionConfirmed { .. }
        | Payload::ExemptionEnded { .. }
        | Payload::Unknown { .. } => return,
    };
    codec::write(&wire, out);
    if !text.is_empty() {
        codec::write_text(text, out);
    }
}

fn content(bytes: &[u8]) -> Result<Content, RecordError> {
    let (content, rest) = Content::decode(bytes)?;
    if rest.is_empty() { Ok(content) } else { Err(RecordError::Value("length")) }
}

pub(super) fn read(kind: RecordKind, bytes: &[u8]) -> Result<Payload, RecordError> {
    match kind {
        RecordKind::IndicatorDrafted => return Ok(Payload::IndicatorDrafted { content: content(bytes)? }),
        RecordKind::IndicatorShared => {
            let (receipt, rest) = bytes.split_first_chunk().ok_or(RecordError::Value("length"))?;
            return Ok(Payload::IndicatorShared { content: content(rest)?, receipt: *receipt });
        }
        RecordKind::IndicatorOverridden => {
            let (wire, rest) = codec::read::<OverriddenWire>(bytes)?;
            let registrar = MemberName::from_bytes(&wire.registrar).ok_or(RecordError::Value("registrar"))?;
            let (digest, why) = (ContentDigest(wire.digest), read_last_text(rest)?.to_owned());
            if why.is_empty() {
                return Err(RecordError::Value("why"));
            }
            return Ok(Payload::IndicatorOverridden { digest, registrar, why });
        }
        _ => {}
    }
    let (wire, rest) = codec::read::<AboutWire>(bytes)?;
    let (digest, at) = (ContentDigest(wire.digest), Timestamp::from_ms(wire.at.to_native()));
    let text = read_last_text(rest)?.to_owned();
    Ok(match kind {
        RecordKind::IndicatorReported => Payload::IndicatorReported { digest },
        RecordKind::PoliceReceipt => {
            Payload::PoliceReceipt { digest, received_at: at, signature: wire.signature, reference: text }
        }
        RecordKind::IndicatorConfirmed => Payload::IndicatorConfirmed { digest, evidence: wire.evidence },
        RecordKind::IndicatorContested => Payload::IndicatorContested { digest, due: at, why: text },
        RecordKind::IndicatorWithdrawn => Payload::IndicatorWithdrawn { digest, why: text },
        _ => return Err(RecordError::Value("kind")),
    })
}
