//! How flags are shown.

use super::Ended;
use super::exchange::{incomplete, last_day, refused};
use crate::contract::answers::{
    acts, enforced_of, enforcements, flag_entries as entries, flags_json, report_json,
};
use sparr_protocol::codes::{AuthMethod, Outcome, Review};
use sparr_protocol::exchange::{Enforcement, ExchangeAnswer, FlagEntry, Look, Said};
use sparr_protocol::flag::{Scope, Terms};

const DAY_MS: i64 = 86_400_000;

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
        println!("{}", flags_json(&flags, &enforced, last));
    } else if flags.is_empty() {
        println!("No flag.");
    } else {
        flags.into_iter().for_each(|entry| print_entry(entry, &enforced));
    }
    Ended::Fine
}

fn print_entry(entry: &FlagEntry, enforced: &[(&FlagEntry, &Enforcement)]) {
    println!("{}", entry_line(entry));
    enforced_of(entry, enforced).for_each(|enforcement| println!("  {}", enforcement_line(enforcement)));
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

/// Prints what a desk may tell the person.
pub(super) fn reported(answers: &[ExchangeAnswer], json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    if let Said::Refused(refusal) = &last.said {
        return refused(*refusal, last, json);
    }
    let (flags, enforced) = (entries(answers), enforcements(answers));
    let (mut lines, mut looks) = (Vec::new(), Vec::new());
    for answer in answers {
        match &answer.said {
            Said::Line(line) => lines.push(line.as_str()),
            Said::Look(look) => looks.push(look),
            _ => {}
        }
    }
    if json {
        println!("{}", report_json(answers, last));
        return Ended::Fine;
    }
    if flags.is_empty() {
        println!("No flag.");
    }
    flags.iter().for_each(|entry| print_entry(entry, &enforced));
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
    if entry.override_waits {
        more.push_str(", a second person of the central organisation has to say that it is lifted");
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
