//! Records about flags, as bytes.

use super::{Origin, Payload, RecordError, RecordKind, RecordRef};
use crate::codec;
use crate::codes::{AuthMethod, RequestedBy};
use crate::exchange::TermsWire;
use crate::flag::MerchantRef;
use crate::ids::{MemberName, Pseudonym};
use crate::limits::MEMBER_BYTES_MAX;
use crate::money::Currency;
use crate::time::Timestamp;

codec::wire_struct! {
    pub(super) struct RaisedWire / ArchivedRaisedWire {
        subject: [u8; 16],
        key_id: u16,
        terms: TermsWire,
    }
}

codec::wire_struct! {
    pub(super) struct LiftedWire / ArchivedLiftedWire {
        subject: [u8; 16],
        raise_member: [u8; MEMBER_BYTES_MAX],
        raise_sequence: u64,
        raise_epoch: u32,
        raise_engine: u16,
        key_id: u16,
        effective_from: i64,
        requested_by: u8,
        authenticated_by: u8,
        second_channel: u8,
    }
}

codec::wire_struct! {
    pub(super) struct PassWire / ArchivedPassWire {
        subject: [u8; 16],
        merchant: [u8; 16],
        amount_minor: i64,
        until: i64,
        key_id: u16,
        currency: u16,
        merchant_is_organisation: u8,
        requested_by: u8,
        authenticated_by: u8,
    }
}

codec::wire_struct! {
    pub(super) struct LinkedWire / ArchivedLinkedWire {
        old: [u8; 16],
        new: [u8; 16],
        key_id: u16,
        linked: u8,
        requested_by: u8,
        authenticated_by: u8,
    }
}

codec::wire_struct! {
    /// What another member says of a registrar's flag; an override says nothing of who asked.
    pub(super) struct AboutFlagWire / ArchivedAboutFlagWire {
        subject: [u8; 16],
        raise_member: [u8; MEMBER_BYTES_MAX],
        raise_sequence: u64,
        raise_epoch: u32,
        raise_engine: u16,
        registrar: [u8; MEMBER_BYTES_MAX],
        key_id: u16,
        requested_by: u8,
        authenticated_by: u8,
    }
}

pub(super) fn write(payload: &Payload, out: &mut Vec<u8>) {
    match payload {
        Payload::FlagRaised { subject, key_id, terms } => {
            codec::write(
                &RaisedWire { subject: subject.0, key_id: *key_id, terms: TermsWire::of(terms) },
                out,
            );
        }
        Payload::FlagLifted {
            subject,
            key_id,
            raise,
            requested_by,
            authenticated_by,
            second_channel,
            effective_from,
        } => {
            let wire = LiftedWire {
                subject: subject.0,
                raise_member: *raise.origin.member.bytes(),
                raise_sequence: raise.sequence,
                raise_epoch: raise.origin.epoch,
                raise_engine: raise.origin.engine,
                effective_from: effective_from.ms(),
                key_id: *key_id,
                requested_by: requested_by.wire(),
                authenticated_by: authenticated_by.wire(),
                second_channel: (*second_channel).into(),
            };
            codec::write(&wire, out);
        }
        Payload::PassGranted {
            subject,
            key_id,
            merchant,
            amount_minor,
            currency,
            until,
            requested_by,
            authenticated_by,
        } => {
            let (merchant, is_organisation) = match merchant {
                MerchantRef::OwnId(id) => (id, 0),
                MerchantRef::Organisation(organisation) => (organisation, 1),
            };
            let wire = PassWire {
                subject: subject.0,
                merchant: merchant.0,
                amount_minor: *amount_minor,
                until: until.ms(),
                key_id: *key_id,
                currency: currency.wire(),
                merchant_is_organisation: is_organisation,
                requested_by: requested_by.wire(),
                authenticated_by: authenticated_by.wire(),
            };
            codec::write(&wire, out);
        }
        Payload::SubjectLinked { old, new, key_id, linked, requested_by, authenticated_by } => {
            let wire = LinkedWire {
                old: old.0,
                new: new.0,
                key_id: *key_id,
                linked: (*linked).into(),
                requested_by: requested_by.wire(),
                authenticated_by: authenticated_by.wire(),
            };
            codec::write(&wire, out);
        }
        Payload::FlagLiftRequested { subject, key_id, registrar, raise, requested_by, authenticated_by } => {
            let wire = AboutFlagWire {
                requested_by: requested_by.wire(),
                authenticated_by: authenticated_by.wire(),
                ..about(*subject, *key_id, *registrar, *raise)
            };
            codec::write(&wire, out);
        }
        Payload::FlagOverridden { subject, key_id, registrar, raise } => {
            codec::write(&about(*subject, *key_id, *registrar, *raise), out);
        }
        Payload::IndicatorDrafted { .. }
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
        | Payload::ExemptionGranted { .. }
        | Payload::ExemptionConfirmed { .. }
        | Payload::ExemptionEnded { .. }
        | Payload::Unknown { .. } => {}
    }
}

fn about(subject: Pseudonym, key_id: u16, registrar: MemberName, raise: RecordRef) -> AboutFlagWire {
    AboutFlagWire {
        subject: subject.0,
        raise_member: *raise.origin.member.bytes(),
        raise_sequence: raise.sequence,
        raise_epoch: raise.origin.epoch,
        raise_engine: raise.origin.engine,
        registrar: *registrar.bytes(),
        key_id,
        requested_by: 0,
        authenticated_by: 0,
    }
}

fn raise(
    member: &[u8; MEMBER_BYTES_MAX],
    engine: u16,
    epoch: u32,
    sequence: u64,
) -> Result<RecordRef, RecordError> {
    let member = MemberName::from_bytes(member).ok_or(RecordError::Value("raise"))?;
    Ok(RecordRef { origin: Origin { member, engine, epoch }, sequence })
}

fn truth(byte: u8, what: &'static str) -> Result<bool, RecordError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(RecordError::Value(what)),
    }
}

fn person(by: u8) -> Result<RequestedBy, RecordError> {
    RequestedBy::from_wire(by).ok_or(RecordError::Value("requested_by"))
}

fn method(by: u8) -> Result<AuthMethod, RecordError> {
    AuthMethod::from_wire(by).ok_or(RecordError::Value("authenticated_by"))
}

pub(super) fn read(kind: RecordKind, bytes: &[u8]) -> Result<Payload, RecordError> {
    let (payload, rest) = match kind {
        RecordKind::FlagRaised => {
            let (wire, rest) = codec::read::<RaisedWire>(bytes)?;
            let (subject, key_id) = (Pseudonym(wire.subject), wire.key_id.to_native());
            (Payload::FlagRaised { subject, key_id, terms: wire.terms.terms()? }, rest)
        }
        RecordKind::FlagLifted => {
            let (wire, rest) = codec::read::<LiftedWire>(bytes)?;
            let lifted = Payload::FlagLifted {
                subject: Pseudonym(wire.subject),
                key_id: wire.key_id.to_native(),
                raise: raise(
                    &wire.raise_member,
                    wire.raise_engine.to_native(),
                    wire.raise_epoch.to_native(),
                    wire.raise_sequence.to_native(),
                )?,
                requested_by: person(wire.requested_by)?,
                authenticated_by: method(wire.authenticated_by)?,
                second_channel: truth(wire.second_channel, "second_channel")?,
                effective_from: Timestamp::from_ms(wire.effective_from.to_native()),
            };
            (lifted, rest)
        }
        RecordKind::PassGranted => {
            let (wire, rest) = codec::read::<PassWire>(bytes)?;
            let merchant = Pseudonym(wire.merchant);
            let merchant = match truth(wire.merchant_is_organisation, "merchant")? {
                false => MerchantRef::OwnId(merchant),
                true => MerchantRef::Organisation(merchant),
            };
            let pass = Payload::PassGranted {
                subject: Pseudonym(wire.subject),
                key_id: wire.key_id.to_native(),
                merchant,
                amount_minor: wire.amount_minor.to_native(),
                currency: Currency::from_wire(wire.currency.to_native())
                    .ok_or(RecordError::Value("currency"))?,
                until: Timestamp::from_ms(wire.until.to_native()),
                requested_by: person(wire.requested_by)?,
                authenticated_by: method(wire.authenticated_by)?,
            };
            (pass, rest)
        }
        RecordKind::SubjectLinked => {
            let (wire, rest) = codec::read::<LinkedWire>(bytes)?;
            let linked = Payload::SubjectLinked {
                old: Pseudonym(wire.old),
                new: Pseudonym(wire.new),
                key_id: wire.key_id.to_native(),
                linked: truth(wire.linked, "linked")?,
                requested_by: person(wire.requested_by)?,
                authenticated_by: method(wire.authenticated_by)?,
            };
            (linked, rest)
        }
        RecordKind::FlagLiftRequested | RecordKind::FlagOverridden => {
            let (wire, rest) = codec::read::<AboutFlagWire>(bytes)?;
            let (subject, key_id) = (Pseudonym(wire.subject), wire.key_id.to_native());
            let raise = raise(
                &wire.raise_member,
                wire.raise_engine.to_native(),
                wire.raise_epoch.to_native(),
                wire.raise_sequence.to_native(),
            )?;
            let registrar = MemberName::from_bytes(&wire.registrar).ok_or(RecordError::Value("registrar"))?;
            let payload = match kind {
                RecordKind::FlagOverridden => Payload::FlagOverridden { subject, key_id, registrar, raise },
                _ => Payload::FlagLiftRequested {
                    subject,
                    key_id,
                    registrar,
                    raise,
                    requested_by: person(wire.requested_by)?,
                    authenticated_by: method(wire.authenticated_by)?,
                },
            };
            (payload, rest)
        }
        _ => return Err(RecordError::Value("kind")),
    };
    if rest.is_empty() { Ok(payload) } else { Err(RecordError::Value("length")) }
}
