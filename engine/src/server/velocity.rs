//! A look at one velocity key: what is kept of it, and what its windows hold now.

use crate::request::{KeyName, LivePseudonyms, Request};
use crate::rules::reading_text;
use crate::state::{Moment, State};
use crate::velocity::spec::{KeyExpr, Measure};
use crate::velocity::{Place, Reading};
use sparr_protocol::exchange::{KeptKey, KeyText, Refusal, Said, VelocityEntry, WindowEntry, WindowState};
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::limits::{FRAME_HEADER_BYTES, TEXT_BYTES_MAX};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::{NotScreened, Why};
use sparr_protocol::time::Timestamp;

/// Values of a key, as the engine knows them.
pub(super) struct Keys {
    /// The key, or the first one of a pair.
    pub(super) first: (KeyName, Pseudonym),
    second: Option<(KeyName, Pseudonym)>,
    /// The person whose number is among them.
    pub(super) person: Option<LivePseudonyms>,
}

/// The field of a request that carries a key's value.
const fn field(name: KeyName) -> &'static str {
    match name {
        KeyName::Subject => "subject",
        KeyName::Card => "card_token",
        KeyName::Device => "device_id",
        KeyName::Ip => "ip",
        KeyName::Email => "email",
        KeyName::Phone => "phone",
        KeyName::Account => "payer_account",
        KeyName::Payee => "payee_account",
        KeyName::Merchant => "merchant_id",
        KeyName::Terminal => "terminal_id",
        KeyName::Domain => "domain",
    }
}

/// Makes pseudonyms of values the way screening does: they are put into a request, and its keys are asked for.
pub(super) fn keys(
    first: &KeyText,
    second: Option<&KeyText>,
    state: &State,
    moment: Moment,
) -> Result<Keys, Refusal> {
    let mut object = serde_json::json!({ "request_id": format!("{:032x}", 1), "kind": "card_payment" });
    let mut named = Vec::new();
    for key in std::iter::once(first).chain(second) {
        let name = KeyName::parse(&key.name).ok_or(Refusal::NoSuchKey)?;
        object[field(name)] = key.value.expose().into();
        named.push(name);
    }
    let request = AuthorisationRequest::from_json(&object).map_err(|_| Refusal::ValueMalformed)?;
    let mut frame = Vec::new();
    request.encode(&mut frame).map_err(|_| Refusal::ValueMalformed)?;
    let now = state.now(moment);
    let request = Request::parse(&frame[FRAME_HEADER_BYTES..], &state.keyring, moment.today, now);
    let request = request.map_err(|NotScreened { why, .. }| match why {
        Why::IdentityMalformed => Refusal::IdentityMalformed,
        Why::CardNumberRefused => Refusal::CardNumberRefused,
        _ => Refusal::ValueMalformed,
    })?;
    let of = |name: KeyName| Some((name, request.key(name, &state.keyring)?));
    let mut named = named.into_iter().map(of);
    let first = named.next().flatten().ok_or(Refusal::ValueMalformed)?;
    let second = named.next().map(|second| second.ok_or(Refusal::ValueMalformed)).transpose()?;
    Ok(Keys { first, second, person: request.subject() })
}

/// What is kept of a key, and each of its windows as of now.
pub(super) fn show(keys: &Keys, state: &State, now: Timestamp) -> Result<Vec<Said>, Refusal> {
    let rules = state.rules();
    let active = rules.as_ref().ok_or(Refusal::NoSuchKey)?;
    let wanted = KeyExpr { first: keys.first.0, second: keys.second.map(|(name, _)| name) };
    let turned = wanted.second.map(|second| KeyExpr { first: second, second: Some(wanted.first) });
    let plan = active.set.plan();
    let mut readings = vec![Reading::Absent; plan.readings()];
    let mut said = Vec::new();
    for (plan, observed) in plan.keys().iter().zip(&active.observed_since) {
        // A pair is one whichever half somebody names first.
        let (first, second) = match (plan.key == wanted, Some(plan.key) == turned, keys.second) {
            (true, _, second) => (keys.first.1, second.map(|(_, value)| value)),
            (false, true, Some((_, value))) => (value, Some(keys.first.1)),
            (false, _, _) => continue,
        };
        let kept = state.stores.velocity.look(plan, Place::of(plan, first, second), now, &mut readings);
        let small = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        said.push(Said::Velocity(Box::new(VelocityEntry {
            key: plan.key.text(),
            value: first,
            second,
            kept: kept.map(|kept| KeptKey {
                first: kept.first,
                newest: kept.newest,
                kept_until: kept.kept_until,
                events: small(kept.events),
                panes: small(kept.panes),
                bytes: u32::try_from(kept.bytes).unwrap_or(u32::MAX),
            }),
        })));
        for (index, spec) in &plan.readings {
            let full_at = observed.full_at(spec, state.began());
            let reading = match readings[index.0] {
                // Of a key that is not kept nothing is counted.
                _ if kept.is_none() => Reading::Absent,
                Reading::Exact(age_ms)
                    if spec.measure == Measure::FirstSeen
                        && (full_at > now
                            || observed.may_have_missed(
                                now.saturating_add_ms(-age_ms),
                                now,
                                spec.span_ms,
                            )) =>
                {
                    Reading::Unknown
                }
                read => read,
            };
            let (window, value) = match reading {
                Reading::Absent => (WindowState::Absent, 0),
                Reading::Unknown => (WindowState::Unknown, 0),
                Reading::Exact(value) => (WindowState::Exact, value),
                Reading::Capped(value) => (WindowState::Capped, value),
            };
            let mut reading = reading_text(spec);
            reading.truncate(TEXT_BYTES_MAX);
            let full_at = (full_at > now).then_some(full_at);
            said.push(Said::Window(Box::new(WindowEntry { reading, state: window, value, full_at })));
        }
    }
    if said.is_empty() {
        return Err(Refusal::NoSuchKey);
    }
    said.push(Said::End);
    Ok(said)
}
