//! How flags are shown.

use super::Ended;
use super::exchange::{hex, incomplete, last_day, position, refused};
use serde_json::{Value, json};
use sparr_protocol::codes::{AuthMethod, Outcome, Review};
use sparr_protocol::exchange::{Enforcement, ExchangeAnswer, FlagEntry, Look, Said, StandingCode};
use sparr_protocol::flag::{Scope, Terms};

const DAY_MS: i64 = 86_400_000;

fn acts(entry: &FlagEntry) -> bool {
    matches!(entry.standing, StandingCode::Active | StandingCode::Lifting)
}

/// Prints flags; `expiring` keeps those that act and end within so many days, the first to end first.
pub(super) fn listed(answers: &[ExchangeAnswer], expiring: Option<u32>, json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    match &last.said {
        Said::Refused(refusal) => return refused(*refusal, last, json),
        Said::End => {}
        _ => return incomplete(json),
    }
    let mut flags: Vec<&FlagEntry> = entries(answers);
    let enforced = enforcements(answers);
    if let Some(days) = expiring {
        let horizon = crate::server::clock::now().saturating_add_ms(i64::from(days) * DAY_MS);
        flags.retain(|entry| acts(entry) && entry.terms.valid_until <= horizon);
        flags.sort_by_key(|entry| entry.terms.valid_until);
    }
    if json {
        let value = json!({
            "flagged": flags.iter().any(|entry| acts(entry)),
            "flags": flags.iter().map(|entry| entry_and_enforcement(entry, &enforced)).collect::<Vec<_>>(),
            "position": position(last),
        });
        println!("{value}");
    } else if flags.is_empty() {
        println!("No flag.");
    } else {
        for entry in flags {
            println!("{}", entry_line(entry));
            enforced_of(entry, &enforced)
                .for_each(|enforcement| println!("  {}", enforcement_line(enforcement)));
        }
    }
    Ended::Fine
}

/// Where each flag is enforced: an answer about it follows its flag.
fn enforcements(answers: &[ExchangeAnswer]) -> Vec<(&FlagEntry, &Enforcement)> {
    answers
        .windows(2)
        .filter_map(|pair| match (&pair[0].said, &pair[1].said) {
            (Said::Flag(entry), Said::Enforcement(enforcement)) => Some((entry, enforcement.as_ref())),
            _ => None,
        })
        .collect()
}

fn enforced_of<'a>(
    entry: &'a FlagEntry,
    all: &'a [(&FlagEntry, &'a Enforcement)],
) -> impl Iterator<Item = &'a Enforcement> {
    all.iter().filter(move |(of, _)| *of == entry).map(|(_, enforcement)| *enforcement)
}

fn enforcement_line(enforcement: &Enforcement) -> String {
    let Enforcement { at, held, of, took_ms, slowest, missing } = enforcement;
    let mut line = format!("enforced at {at} of {of} members");
    if *held > 0 {
        line.push_str(&format!(", held at {held} that screened nobody by a number yet"));
    }
    if let Some(ms) = took_ms {
        line.push_str(&format!(", {ms} ms"));
    }
    if let Some(member) = slowest {
        line.push_str(&format!(", slowest {member}"));
    }
    let lacking = of.saturating_sub(at + held);
    if lacking > 0 {
        let named: Vec<&str> = missing.iter().map(|member| member.as_str()).collect();
        let more = if usize::from(lacking) > named.len() { " and others" } else { "" };
        line.push_str(&format!("; not confirmed by {}{more}", named.join(", ")));
    }
    line
}

fn entry_and_enforcement(entry: &FlagEntry, all: &[(&FlagEntry, &Enforcement)]) -> Value {
    let mut value = entry_json(entry);
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

fn entries(answers: &[ExchangeAnswer]) -> Vec<&FlagEntry> {
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

/// Prints what a desk may tell the person.
pub(super) fn reported(answers: &[ExchangeAnswer], json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    if let Said::Refused(refusal) = &last.said {
        return refused(*refusal, last, json);
    }
    let flags = entries(answers);
    let (mut lines, mut looks) = (Vec::new(), Vec::new());
    for answer in answers {
        match &answer.said {
            Said::Line(line) => lines.push(line.as_str()),
            Said::Look(look) => looks.push(look),
            _ => {}
        }
    }
    if json {
        let value = json!({
            "flagged": flags.iter().any(|entry| acts(entry)),
            "flags": flags.iter().map(|entry| entry_json(entry)).collect::<Vec<_>>(),
            "enforcement": lines,
            "looks": looks.iter().map(|look| look_json(look)).collect::<Vec<_>>(),
            "position": position(last),
        });
        println!("{value}");
        return Ended::Fine;
    }
    if flags.is_empty() {
        println!("No flag.");
    }
    flags.iter().for_each(|entry| println!("{}", entry_line(entry)));
    lines.iter().for_each(|line| println!("  {line}"));
    for look in looks {
        let effect = effect(look);
        println!("  looked at {} by a {}: {}{effect}", look.at, look.kind.name(), look.by.name());
    }
    Ended::Fine
}

fn effect(look: &Look) -> String {
    let outcome = Outcome::from_wire(look.outcome).map(Outcome::name);
    let review =
        Review::from_wire(look.review).filter(|review| *review != Review::NoReview).map(Review::name);
    match (outcome, review) {
        (Some(outcome), Some(review)) => format!(", {outcome}, review {review}"),
        (Some(outcome), None) => format!(", {outcome}"),
        (None, _) => String::new(),
    }
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

/// What a flag says, in words.
pub(super) fn describe(terms: &Terms) -> String {
    let scope = match terms.scope {
        Scope::Any => "any payment".to_owned(),
        Scope::Credit => "credit in the person's name".to_owned(),
        Scope::Above { amount_minor, currency } => {
            format!("payments above {}", sparr_protocol::money::format_amount(amount_minor, currency))
        }
    };
    let compromised: Vec<&str> = terms.compromised.iter().map(AuthMethod::name).collect();
    let except = if compromised.is_empty() {
        String::new()
    } else {
        format!(", not through {}", compromised.join(", "))
    };
    format!("{} for {scope}{except}", terms.wish.name())
}

fn entry_line(entry: &FlagEntry) -> String {
    let mut more = entry.lifted_from.map_or_else(String::new, |from| format!(", lift from {from}"));
    for (count, what) in [(entry.passes, "open passes"), (entry.lift_requests, "requests to lift it")] {
        if count > 0 {
            more.push_str(&format!(", {count} {what}"));
        }
    }
    if entry.is_linked {
        more.push_str(", under another number of the person");
    }
    format!(
        "{:?}  {}  {}: {}; raised {} by {} ({}), until {}{more}",
        entry.subject,
        entry.standing.name(),
        entry.terms.reason.name(),
        describe(&entry.terms),
        entry.raised_at,
        entry.registrar,
        entry.terms.requested_by.name(),
        last_day(entry.terms.valid_until),
    )
}

fn entry_json(entry: &FlagEntry) -> Value {
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
    })
}
