//! An operation that comes again, because its asker did not hear the answer.

use super::Intent;
use crate::flags::{Overridden, RaiseRef};
use crate::request::LivePseudonyms;
use crate::state::State;
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::indicator::ContentDigest;
use sparr_protocol::record::Payload;
use sparr_protocol::time::Timestamp;

/// What an operation that was carried out before hears: the same acknowledgement, or that its id is another's.
pub(super) fn said((known, stamp): &(Payload, u64), intent: &Intent, state: &State) -> Said {
    let recorded_at = Timestamp::from_ms(i64::try_from(*stamp).unwrap_or(i64::MAX));
    let durable =
        |effective_from: Timestamp| Said::Durable { peers: 0, effective_from, second_person: false };
    let links = &state.stores.flags.links;
    let about = |subject: &Pseudonym, live: &LivePseudonyms| {
        live.iter().any(|(_, one)| links.numbers(one).as_slice().contains(subject))
    };
    let digest_is = |digest: &ContentDigest, id: &sparr_protocol::indicator::IndicatorId| digest.id() == *id;
    let same = match (known, intent) {
        (Payload::FlagRaised { subject, terms, .. }, Intent::Raise { subject: live, terms: asked }) => {
            about(subject, live) && terms == asked
        }
        (Payload::FlagRaised { subject, terms, .. }, Intent::Extend { subject: live, until, .. }) => {
            about(subject, live) && terms.valid_until == *until
        }
        (Payload::FlagLifted { subject, effective_from, .. }, Intent::Lift { subject: live, .. }) => {
            if about(subject, live) {
                return durable(*effective_from);
            }
            false
        }
        (
            Payload::PassGranted { subject, merchant, amount_minor, currency, until, .. },
            Intent::Pass { subject: live, merchant: m, amount_minor: a, currency: c, until: u, .. },
        ) => about(subject, live) && (merchant, amount_minor, currency, until) == (m, a, c, u),
        (Payload::SubjectLinked { old, linked, .. }, Intent::Link { old: live, linked: asked, .. }) => {
            about(old, live) && linked == asked
        }
        (
            Payload::FlagLiftRequested { subject, registrar, .. },
            Intent::LiftRequest { subject: live, registrar: asked, .. },
        ) => about(subject, live) && registrar == asked,
        (
            Payload::FlagOverridden { subject, registrar, raise, .. },
            Intent::Override { subject: live, registrar: asked },
        ) if about(subject, live) && registrar == asked => {
            let raise = RaiseRef { subject: *subject, registrar: *registrar, raise: *raise };
            let about = Overridden::Raise(raise);
            let second_person = !state.stores.flags.votes.is_decided(&about);
            return Said::Durable { peers: 0, effective_from: recorded_at, second_person };
        }
        (Payload::IndicatorDrafted { content }, Intent::Draft { kind, value, grade, class, role, .. }) => {
            let same =
                (content.kind, content.grade, content.class, content.role) == (*kind, *grade, *class, *role);
            if let Some(digest) =
                state.content_digest(content).filter(|_| same && about(&content.value, value))
            {
                return Said::Drafted { digest, effective_from: content.drafted_at };
            }
            false
        }
        (Payload::IndicatorReported { digest }, Intent::Report(id)) => digest_is(digest, id),
        (Payload::PoliceReceipt { digest, reference, .. }, Intent::Receipt { id, reference: asked, .. })
            if digest_is(digest, id) && reference == asked =>
        {
            let known = state.stores.indicators.of(*id);
            let second_person = known.is_none_or(|known| known.receipt().is_none());
            return Said::Durable { peers: 0, effective_from: recorded_at, second_person };
        }
        (Payload::IndicatorShared { content, .. }, Intent::Share(id)) => {
            state.content_digest(content).is_some_and(|digest| digest_is(&digest, id))
        }
        (Payload::IndicatorConfirmed { digest, evidence }, Intent::Confirm { id, evidence: asked }) => {
            digest_is(digest, id) && evidence == asked
        }
        (Payload::IndicatorContested { digest, .. }, Intent::Contest { id, .. })
        | (Payload::IndicatorWithdrawn { digest, .. }, Intent::Withdraw { id, .. }) => digest_is(digest, id),
        (Payload::IndicatorOverridden { digest, registrar, .. }, Intent::OverrideIndicator { id, .. })
            if digest_is(digest, id) =>
        {
            let about = Overridden::Indicator(*digest, *registrar);
            let second_person = !state.stores.flags.votes.is_decided(&about);
            return Said::Durable { peers: 0, effective_from: recorded_at, second_person };
        }
        (Payload::MemberAdmitted { member, kind, .. }, Intent::Admit { member: m, kind: k, .. }) => {
            (member, kind) == (m, k)
        }
        (Payload::MemberSuspended { member, .. }, Intent::Suspend { member: asked, .. })
        | (Payload::SigningKeyRotated { member, .. }, Intent::RotateKey { member: asked, .. }) => {
            member == asked
        }
        (
            Payload::ExemptionGranted { key, value, rules, until, .. },
            Intent::Exempt { key: asked, value: live, rules: named, until: end, .. },
        ) => (key, rules, until) == (asked, named, end) && live.iter().any(|(_, one)| one == *value),
        (Payload::ExemptionConfirmed { id }, Intent::ExemptConfirm(asked))
        | (Payload::ExemptionEnded { id }, Intent::ExemptEnd(asked)) => id == asked,
        _ => false,
    };
    if same { durable(recorded_at) } else { Said::Refused(Refusal::IdConflict) }
}
