//! What the exchange answers, in JSON.

use super::{durable, hex, last_day, position};
use serde_json::{Value, json};
use sparr_protocol::codes::{AuthMethod, Outcome, Review};
use sparr_protocol::exchange::{
    Enforcement, ExchangeAnswer, FlagEntry, IndicatorEntry, Look, OperationKind, Refusal, Said, StandingCode,
};
use sparr_protocol::indicator::{Attestation, Content, ContentDigest, IndicatorRole};
use sparr_protocol::time::Timestamp;

/// What one operation on flags or indicators came to. An error has the refusal, or `None` where the answers make no
/// sense.
pub(crate) fn answered(
    operation: OperationKind,
    answers: &[ExchangeAnswer],
) -> Result<Value, Option<Refusal>> {
    let last = answers.last().ok_or(None)?;
    match &last.said {
        Said::Refused(refusal) => Err(Some(*refusal)),
        Said::Durable { peers, effective_from, second_person } => {
            Ok(durable(*peers, *effective_from, *second_person, last))
        }
        Said::Drafted { digest, effective_from } => Ok(drafted_json(digest, *effective_from, last)),
        Said::Plan(change) => Ok(json!({ "plan": change.name(), "position": position(last) })),
        Said::End if operation == OperationKind::FlagReport => Ok(report_json(answers, last)),
        Said::End if operation == OperationKind::IndicatorList => Ok(indicators_json(answers, last)),
        Said::End => Ok(flags_json(&flag_entries(answers), &enforcements(answers), last)),
        _ => Err(None),
    }
}

/// Whether a flag acts on payments.
pub(crate) fn acts(entry: &FlagEntry) -> bool {
    matches!(entry.standing, StandingCode::Active | StandingCode::Lifting)
}

/// Flags, with where each is enforced.
pub(crate) fn flags_json(
    flags: &[&FlagEntry],
    enforced: &[(&FlagEntry, &Enforcement)],
    last: &ExchangeAnswer,
) -> Value {
    json!({
        "flagged": flags.iter().any(|entry| acts(entry)),
        "flags": flags.iter().map(|entry| entry_and_enforcement(entry, enforced)).collect::<Vec<_>>(),
        "position": position(last),
    })
}

/// What a desk may tell the person.
pub(crate) fn report_json(answers: &[ExchangeAnswer], last: &ExchangeAnswer) -> Value {
    let (flags, enforced) = (flag_entries(answers), enforcements(answers));
    let (mut lines, mut looks) = (Vec::new(), Vec::new());
    for answer in answers {
        match &answer.said {
            Said::Line(line) => lines.push(line.as_str()),
            Said::Look(look) => looks.push(look_json(look)),
            _ => {}
        }
    }
    json!({
        "flagged": flags.iter().any(|entry| acts(entry)),
        "flags": flags.iter().map(|entry| entry_and_enforcement(entry, &enforced)).collect::<Vec<_>>(),
        "enforcement": lines,
        "looks": looks,
        "position": position(last),
    })
}

/// Where each flag is enforced: an answer about it follows its flag.
pub(crate) fn enforcements(answers: &[ExchangeAnswer]) -> Vec<(&FlagEntry, &Enforcement)> {
    answers
        .windows(2)
        .filter_map(|pair| match (&pair[0].said, &pair[1].said) {
            (Said::Flag(entry), Said::Enforcement(enforcement)) => Some((entry, enforcement.as_ref())),
            _ => None,
        })
        .collect()
}

/// Where one flag is enforced.
pub(crate) fn enforced_of<'a>(
    entry: &'a FlagEntry,
    all: &'a [(&FlagEntry, &'a Enforcement)],
) -> impl Iterator<Item = &'a Enforcement> {
    all.iter().filter(move |(of, _)| *of == entry).map(|(_, enforcement)| *enforcement)
}

fn entry_and_enforcement(entry: &FlagEntry, all: &[(&FlagEntry, &Enforcement)]) -> Value {
    let mut value = flag_json(entry);
    if let Some(enforcement) = enforced_of(entry, all).next()
        && let Some(object) = value.as_object_mut()
    {
        let Enforcement { at, held, of, took_ms, slowest, missing } = enforcement;
        let enforced = json!({
            "at": at,
            "held": held,
            "of": of,
            "ms": took_ms,
            "slowest": slowest.map(|member| member.to_string()),
            "missing": missing.iter().map(|member| member.as_str()).collect::<Vec<_>>(),
        });
        object.insert("enforced".to_owned(), enforced);
    }
    value
}

/// The flags among answers.
pub(crate) fn flag_entries(answers: &[ExchangeAnswer]) -> Vec<&FlagEntry> {
    let flag = |answer: &'_ ExchangeAnswer| matches!(answer.said, Said::Flag(_));
    answers
        .iter()
        .filter(|answer| flag(answer))
        .filter_map(|answer| match &answer.said {
            Said::Flag(entry) => Some(entry),
            _ => None,
        })
        .collect()
}

fn look_json(look: &Look) -> Value {
    json!({
        "at": look.at.to_string(),
        "member_kind": look.kind.name(),
        "by": look.by.name(),
        "outcome": Outcome::from_wire(look.outcome).map(Outcome::name),
        "review": Review::from_wire(look.review).map(Review::name),
    })
}

fn flag_json(entry: &FlagEntry) -> Value {
    json!({
        "subject": hex(&entry.subject.0),
        "registrar": entry.registrar.as_str(),
        "standing": entry.standing.name(),
        "wish": entry.terms.wish.name(),
        "scope": entry.terms.scope.to_string(),
        "reason": entry.terms.reason.name(),
        "requested_by": entry.terms.requested_by.name(),
        "authenticated_by": entry.terms.authenticated_by.name(),
        "compromised": entry.terms.compromised.iter().map(AuthMethod::name).collect::<Vec<_>>(),
        "raised_at": entry.raised_at.to_string(),
        "until": last_day(entry.terms.valid_until),
        "lifted_from": entry.lifted_from.map(|from| from.to_string()),
        "passes": entry.passes,
        "lift_requests": entry.lift_requests,
        "linked": entry.is_linked,
        "override_waits": entry.override_waits,
    })
}

/// The indicators among answers.
pub(crate) fn indicator_entries(answers: &[ExchangeAnswer]) -> impl Iterator<Item = &IndicatorEntry> {
    answers.iter().filter_map(|answer| match &answer.said {
        Said::Indicator(entry) => Some(&**entry),
        _ => None,
    })
}

fn content_json(content: &Content) -> Value {
    json!({
        "registrar": content.registrar.as_str(),
        "draft": content.draft.to_string(),
        "kind": content.kind.name(),
        "role": content.role.map(IndicatorRole::name),
        "grade": content.grade.name(),
        "class": content.class.as_str(),
        "key_id": content.key_id,
        "value": if content.clear.is_empty() { Value::Null } else { content.clear.clone().into() },
        "pseudonym": hex(&content.value.0),
        "drafted_at": content.drafted_at.to_string(),
        "valid_until": content.valid_until.to_string(),
    })
}

fn indicator_json(entry: &IndicatorEntry) -> Value {
    json!({
        "id": entry.digest.id().to_string(),
        "digest": entry.digest.to_string(),
        "standing": entry.standing.name(),
        "attested": entry.attested.map(Attestation::name),
        "reference": if entry.reference.is_empty() { Value::Null } else { entry.reference.clone().into() },
        "sources": entry.sources,
        "content": content_json(&entry.content),
    })
}

/// Indicators.
pub(crate) fn indicators_json(answers: &[ExchangeAnswer], last: &ExchangeAnswer) -> Value {
    let all: Vec<Value> = indicator_entries(answers).map(indicator_json).collect();
    json!({ "indicators": all, "position": position(last) })
}

/// The document that the police receive.
pub(crate) fn document_json(entry: &IndicatorEntry) -> Value {
    let mut value = indicator_json(entry);
    value["document"] = "sparr indicator report".into();
    value
}

/// A draft that is durable.
pub(crate) fn drafted_json(
    digest: &ContentDigest,
    effective_from: Timestamp,
    last: &ExchangeAnswer,
) -> Value {
    json!({
        "id": digest.id().to_string(), "digest": digest.to_string(), "durable": true,
        "effective_from": effective_from.to_string(), "position": position(last),
    })
}
