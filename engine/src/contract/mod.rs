//! The contract for scripts: how operations of the exchange, and what comes of them, are written in JSON. The command line
//! prints it and the HTTPS door speaks it, from these same functions.
//!
//! What is absent is absent; an unknown key is an error; no error repeats a value, because it may be personal.

pub(crate) mod aftermath;
pub(crate) mod answers;
pub(crate) mod flags;
pub(crate) mod identities;
pub(crate) mod indicators;

use jiff::ToSpan as _;
use serde_json::{Value, json};
use sparr_protocol::exchange::{ExchangeAnswer, Refusal};
use sparr_protocol::limits::TEXT_BYTES_MAX;
use sparr_protocol::text::nearest;
use sparr_protocol::time::Timestamp;
use std::collections::BTreeMap;

/// Days and hours in the contract are those of this zone.
pub(crate) const ZONE: &str = "Europe/Stockholm";

/// What one object says: its plain values by key, as texts.
pub(crate) type Fields = BTreeMap<String, String>;

/// The one key that takes a list of texts; it is read with commas between them.
pub(crate) const LIST: &str = "compromised";

/// Reads an object of plain values whose keys are all known. `null` is absent; an empty text is an error.
pub(crate) fn fields(value: Value, known: &[&str]) -> Result<Fields, String> {
    let Value::Object(object) = value else { return Err("not an object".to_owned()) };
    let mut fields = Fields::new();
    for (name, value) in object {
        if !known.contains(&name.as_str()) {
            // The key that was given may be a number or an address in the wrong place.
            let near = nearest(&name, known.iter().copied());
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            return Err(format!("a key that is none of {}{near}", known.join(", ")));
        }
        let text = match value {
            Value::Null => continue,
            Value::Array(list) if name == LIST => {
                let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
                texts.ok_or_else(|| format!("{name} is no list of texts"))?.join(",")
            }
            other => plain(other).ok_or_else(|| format!("{name} is not a plain value"))?,
        };
        if text.is_empty() && name != LIST {
            return Err(format!("{name} is empty"));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("{name} is longer than {TEXT_BYTES_MAX} bytes"));
        }
        fields.insert(name, text);
    }
    Ok(fields)
}

fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Reads `operation`, a name of the table, and the fields that belong to it.
pub(crate) fn operation(
    value: Value,
    table: &[(&'static str, &[&'static str], &[&'static str])],
) -> Result<(&'static str, Fields), String> {
    let Value::Object(object) = &value else { return Err("not an object".to_owned()) };
    let asked = object.get("operation").ok_or("operation is missing")?;
    let found = table.iter().find(|(name, ..)| asked.as_str() == Some(name));
    let Some((name, needs, may)) = found else {
        let names: Vec<&str> = table.iter().map(|(name, ..)| *name).collect();
        return Err(format!("operation is none of {}", names.join(", ")));
    };
    let known: Vec<&str> = ["operation"].iter().chain(*needs).chain(*may).copied().collect();
    Ok((name, fields(value, &known)?))
}

/// A value that has to be there.
pub(crate) fn needed<T>(fields: &Fields, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    optional(fields, name, parse)?.ok_or_else(|| format!("{name} is missing"))
}

/// A value that may be absent.
pub(crate) fn optional<T>(
    fields: &Fields,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let given = fields.get(name).filter(|text| !text.is_empty());
    given.map(|text| parse(text).ok_or_else(|| format!("{name} is not legal"))).transpose()
}

/// The first moment after a day in Sweden.
pub(crate) fn end_of_day(text: &str) -> Result<Timestamp, String> {
    let day: jiff::civil::Date = text.parse().map_err(|_| "expected a date such as 2027-12-31".to_owned())?;
    let next = day.checked_add(1.day()).map_err(|error| error.to_string())?;
    let midnight = next.in_tz(ZONE).map_err(|error| error.to_string())?;
    Ok(Timestamp::from_ms(midnight.timestamp().as_millisecond()))
}

/// A time with its offset, or a day: its end in Sweden.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    if text.contains('T') { Timestamp::parse(text) } else { end_of_day(text).ok() }
}

/// The last day on which something acts that ends at this moment.
pub(crate) fn last_day(until: Timestamp) -> String {
    let last = jiff::Timestamp::from_millisecond(until.ms() - 1).and_then(|last| last.in_tz(ZONE));
    last.map_or_else(|_| until.to_string(), |last| last.date().to_string())
}

/// Where the engine stood when it answered.
pub(crate) fn position(answer: &ExchangeAnswer) -> Value {
    let at = answer.position;
    json!({ "engine": at.engine, "epoch": at.epoch, "index": at.index })
}

/// What a refusal means, for people.
pub(crate) fn why(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::LocalIdentifier => {
            "this value means something at its own member alone; share the par, the pan_digest or another common one"
        }
        Refusal::VictimNotSuspect => {
            "a person whose identity was misused is a victim: raise a flag with them instead"
        }
        Refusal::RoleMissing => "an indicator about a person says in which role: --role",
        Refusal::ReceiptMissing => "the police have not confirmed that they have this very content",
        Refusal::SecondPersonNeeded => "one person has said so; a second one has to",
        Refusal::SamePerson => "the same person has said so before; two persons means two",
        Refusal::SharingOff => {
            "no legal basis is configured for sharing this kind (legal_basis in engine.toml)"
        }
        Refusal::MemberSuspended => "the member is suspended: it can do nothing",
        Refusal::NotRegistrar => {
            "another member entered it, and alone changes it; see `sparr flag lift-request`"
        }
        Refusal::NotPermitted => "not a right of this role at this kind of member; see `sparr member rights`",
        Refusal::LookupBudgetSpent => "more different people were looked up today than a member may",
        Refusal::UntilTooFar => "the end lies further ahead than it may",
        Refusal::PersonalInText => {
            "the text names somebody; people will read it, so say it without numbers and addresses"
        }
        Refusal::NoSuchRule => "the active rule set has no rule of this name",
        Refusal::NoSuchExemption => "no exemption that acts has this id; see `sparr exempt list`",
        Refusal::NothingStaged => "no rule set waits for approval",
        Refusal::OtherSetStaged => "another rule set waits than this one; see `sparr rules history`",
        Refusal::NoSuchRuleSet => "no such rule set decided before, or its copy is not whole",
        Refusal::RulesRefused => "the rule files have errors and nothing was changed; see `sparr check`",
        Refusal::AcceptNeeded => {
            "the set would change more answers than the configuration allows; see `sparr backtest --live`, and --accept"
        }
        Refusal::NotKept => "the engine could not keep it on its disk, and nothing was changed",
        Refusal::NoSuchKey => {
            "no rule of the active set counts by this key; keys are named as rules name them"
        }
        Refusal::OwnEvidenceNeeded => "a confirmation needs evidence of its own",
        _ => "",
    }
}

/// A change that was refused.
pub(crate) fn refused(refusal: Refusal, answer: &ExchangeAnswer) -> Value {
    json!({ "durable": false, "refused": refusal.name(), "why": why(refusal), "position": position(answer) })
}

/// A change that is durable.
pub(crate) fn durable(
    peers: u16,
    effective_from: Timestamp,
    second_person: bool,
    answer: &ExchangeAnswer,
) -> Value {
    json!({
        "durable": true,
        "peers": peers,
        "effective_from": effective_from.to_string(),
        "second_person_needed": second_person,
        "position": position(answer),
    })
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
