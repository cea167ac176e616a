//! What may be done to indicators: police first.

use super::intent::Intent;
use super::plan::{Asker, Planned};
use crate::flags::Overridden;
use crate::indicators::Indicator;
use crate::limits::{CONTEST_MS_MAX, EVENT_EARLY_MS_MAX};
use crate::request::Prefix;
use crate::server::keys;
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::indicator::{
    Content, IndicatorId, IndicatorKind, IndicatorRole, IndicatorStanding, receipt_signed_bytes,
};
use sparr_protocol::record::Payload;
use sparr_protocol::time::Timestamp;

const DAY_MS: i64 = 86_400_000;

pub(super) fn plan(intent: &Intent, asker: &Asker<'_>) -> Result<Planned, Refusal> {
    let now = asker.now();
    match intent {
        Intent::Draft { .. } => draft(intent, asker),
        Intent::Report(id) => {
            let (known, _) = own(*id, asker)?;
            // Making the document again changes nothing.
            let payload = (!known.reported).then_some(Payload::IndicatorReported { digest: known.digest });
            Ok(Planned::durable(payload.into_iter().collect(), now))
        }
        Intent::Receipt { id, reference, received_at, signature } => {
            receipt(*id, reference, *received_at, signature.as_deref(), asker)
        }
        Intent::Share(id) => share(*id, asker),
        Intent::Confirm { id, evidence } => {
            let (known, content) = shared(*id, asker)?;
            // The same document is no second finding. And only a contest gives the registrar something to answer.
            if *evidence == [0; 32] || *evidence == known.digest.0 {
                return Err(Refusal::OwnEvidenceNeeded);
            }
            let is_contested = known.standing(now) == IndicatorStanding::Contested;
            if content.registrar == asker.actor.member && !is_contested {
                return Err(Refusal::OwnEvidenceNeeded);
            }
            let confirmed = Payload::IndicatorConfirmed { digest: known.digest, evidence: *evidence };
            Ok(Planned::durable(vec![confirmed], now))
        }
        Intent::Contest { id, due, why } => {
            let (known, content) = shared(*id, asker)?;
            if content.registrar == asker.actor.member {
                return Err(Refusal::NotPermitted);
            }
            if *due <= now {
                return Err(Refusal::UntilInPast);
            }
            if due.ms_since(now) > CONTEST_MS_MAX {
                return Err(Refusal::UntilTooFar);
            }
            let contested = Payload::IndicatorContested { digest: known.digest, due: *due, why: why.clone() };
            Ok(Planned::durable(vec![contested], now))
        }
        Intent::Withdraw { id, why } => {
            let known = asker.state.stores.indicators.of(*id).ok_or(Refusal::NoSuchIndicator)?;
            let content = known.content.as_deref().ok_or(Refusal::NoSuchIndicator)?;
            if content.registrar != asker.actor.member {
                return Err(Refusal::NotRegistrar);
            }
            if known.standing(now) == IndicatorStanding::Withdrawn {
                return Err(Refusal::Withdrawn);
            }
            let withdrawn = Payload::IndicatorWithdrawn { digest: known.digest, why: why.clone() };
            Ok(Planned::durable(vec![withdrawn], now))
        }
        Intent::OverrideIndicator { id, why } => {
            let (known, content) = shared(*id, asker)?;
            let about = Overridden::Indicator(known.digest, content.registrar);
            let votes = &asker.state.stores.flags.votes;
            if votes.has_voted(&about, asker.actor) {
                return Err(Refusal::SamePerson);
            }
            let overridden = Payload::IndicatorOverridden {
                digest: known.digest,
                registrar: content.registrar,
                why: why.clone(),
            };
            Ok(Planned::of_two(overridden, now, !votes.has_any(&about)))
        }
        Intent::Raise { .. }
        | Intent::Lift { .. }
        | Intent::Pass { .. }
        | Intent::Extend { .. }
        | Intent::LiftRequest { .. }
        | Intent::Link { .. }
        | Intent::Override { .. }
        | Intent::Exempt { .. }
        | Intent::ExemptConfirm(_)
        | Intent::ExemptEnd(_)
        | Intent::Admit { .. }
        | Intent::Suspend { .. }
        | Intent::RotateKey { .. } => Err(Refusal::Unsupported),
    }
}

fn draft(intent: &Intent, asker: &Asker<'_>) -> Result<Planned, Refusal> {
    let Intent::Draft { kind, value, clear, role, grade, class, valid_until } = intent else {
        return Err(Refusal::Unsupported);
    };
    if *role == Some(IndicatorRole::IdentityMisused) {
        return Err(Refusal::VictimNotSuspect);
    }
    if *kind == IndicatorKind::Subject && role.is_none() {
        return Err(Refusal::RoleMissing);
    }
    if *kind == IndicatorKind::Cidr && Prefix::parse(clear).is_err() {
        return Err(Refusal::ValueMalformed);
    }
    let now = asker.now();
    let longest = now.saturating_add_ms(kind.valid_days_max() * DAY_MS);
    let valid_until = valid_until.unwrap_or(longest);
    if valid_until <= now {
        return Err(Refusal::UntilInPast);
    }
    if valid_until > longest {
        return Err(Refusal::UntilTooFar);
    }
    let content = Content {
        registrar: asker.actor.member,
        draft: asker.operation,
        kind: *kind,
        role: *role,
        grade: *grade,
        class: *class,
        key_id: value.current.0,
        value: value.current.1,
        clear: clear.clone(),
        drafted_at: now,
        valid_until,
    };
    let digest = asker.state.content_digest(&content).ok_or(Refusal::NotReady)?;
    let said = Said::Drafted { digest, effective_from: now };
    Ok(Planned { payloads: vec![Payload::IndicatorDrafted { content }], legal_basis: String::new(), said })
}

/// An indicator whose content is known and which still stands.
fn standing(id: IndicatorId, asker: &Asker<'_>) -> Result<(Indicator, Content), Refusal> {
    let known = asker.state.stores.indicators.of(id).ok_or(Refusal::NoSuchIndicator)?;
    let content = known.content.as_deref().cloned().ok_or(Refusal::NoSuchIndicator)?;
    match known.standing(asker.now()) {
        IndicatorStanding::Withdrawn => Err(Refusal::Withdrawn),
        IndicatorStanding::Expired => Err(Refusal::Expired),
        IndicatorStanding::Draft
        | IndicatorStanding::Reported
        | IndicatorStanding::Received
        | IndicatorStanding::Shared
        | IndicatorStanding::Contested
        | IndicatorStanding::Lapsed => Ok((known, content)),
    }
}

/// One that the asker's own member drafted.
fn own(id: IndicatorId, asker: &Asker<'_>) -> Result<(Indicator, Content), Refusal> {
    let (known, content) = standing(id, asker)?;
    if content.registrar == asker.actor.member { Ok((known, content)) } else { Err(Refusal::NotRegistrar) }
}

/// One that was shared. A draft of somebody else's is not even there.
fn shared(id: IndicatorId, asker: &Asker<'_>) -> Result<(Indicator, Content), Refusal> {
    let (known, content) = standing(id, asker)?;
    match known.shared_under() {
        Some(_) => Ok((known, content)),
        None if content.registrar == asker.actor.member => Err(Refusal::NotShared),
        None => Err(Refusal::NoSuchIndicator),
    }
}

fn receipt(
    id: IndicatorId,
    reference: &str,
    received_at: Timestamp,
    signature: Option<&[u8; 64]>,
    asker: &Asker<'_>,
) -> Result<Planned, Refusal> {
    let (known, content) = standing(id, asker)?;
    let now = asker.now();
    // Machines' clocks differ by a little; a receipt from before the draft is of something else.
    let early = content.drafted_at.saturating_add_ms(-EVENT_EARLY_MS_MAX);
    let late = now.saturating_add_ms(EVENT_EARLY_MS_MAX);
    if received_at < early || received_at > late {
        return Err(Refusal::TimeSkew);
    }
    let actor = asker.actor;
    let waits = if actor.role == Role::Police {
        let key = asker.state.members.key_at(actor.member, None).ok_or(Refusal::SignatureWrong)?;
        let signed = receipt_signed_bytes(&known.digest, reference, received_at);
        let signature = signature.ok_or(Refusal::SignatureWrong)?;
        if !keys::verify(&key, &signed, signature) {
            return Err(Refusal::SignatureWrong);
        }
        false
    } else {
        if content.registrar != actor.member {
            return Err(Refusal::NotRegistrar);
        }
        if signature.is_some() {
            return Err(Refusal::SignatureWrong);
        }
        let same = |receipt: &&crate::indicators::Receipt| {
            receipt.by.member == actor.member && receipt.reference == reference && !receipt.is_signed
        };
        if known.receipts.iter().filter(same).any(|receipt| receipt.by == *actor) {
            return Err(Refusal::SamePerson);
        }
        !known.receipts.iter().any(|receipt| same(&receipt))
    };
    let payload = Payload::PoliceReceipt {
        digest: known.digest,
        received_at,
        signature: signature.copied().unwrap_or([0; 64]),
        reference: reference.to_owned(),
    };
    Ok(Planned::of_two(payload, now, waits))
}

fn share(id: IndicatorId, asker: &Asker<'_>) -> Result<Planned, Refusal> {
    let (known, content) = own(id, asker)?;
    let now = asker.now();
    if content.kind.is_local() {
        return Err(Refusal::LocalIdentifier);
    }
    let basis = asker.sharing.basis(content.kind, now).ok_or(Refusal::SharingOff)?;
    let Some((receipt, _)) = known.receipt() else {
        // One person's word waits for a second one's.
        let one = known.receipts.iter().any(|receipt| receipt.by.member == asker.actor.member);
        return Err(if one { Refusal::SecondPersonNeeded } else { Refusal::ReceiptMissing });
    };
    if known.shared_under().is_some() {
        return Ok(Planned::durable(Vec::new(), now));
    }
    let shared = Payload::IndicatorShared { content, receipt: receipt.record };
    Ok(Planned { legal_basis: basis.text(), ..Planned::durable(vec![shared], now) })
}
