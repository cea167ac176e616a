//! How indicators are shown: lists, the document for the police, and STIX 2.1.

use super::Ended;
use super::exchange::{hex, incomplete, refused};
use crate::contract::answers::{document_json, indicator_entries as entries, indicators_json};
use serde_json::{Value, json};
use sparr_protocol::exchange::{ExchangeAnswer, IndicatorEntry, Said};
use sparr_protocol::indicator::{IndicatorKind, IndicatorStanding};

/// Prints indicators.
pub(super) fn listed(answers: &[ExchangeAnswer], json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    match &last.said {
        Said::Refused(refusal) => return refused(*refusal, last, json),
        Said::End => {}
        _ => return incomplete(json),
    }
    if json {
        println!("{}", indicators_json(answers, last));
        return Ended::Fine;
    }
    let mut any = false;
    for entry in entries(answers) {
        any = true;
        let content = &entry.content;
        let value =
            if content.clear.is_empty() { format!("{:?}", content.value) } else { content.clear.clone() };
        let role = content.role.map_or_else(String::new, |role| format!(" as {}", role.name()));
        let attested = entry.attested.map_or_else(String::new, |by| {
            format!(", police reference {} ({}'s word)", entry.reference, by.name())
        });
        println!(
            "{}  {}  {} {value}{role}: {}, {}; by {}, {} sources, until {}{attested}",
            entry.digest.id(),
            entry.standing.name(),
            content.kind.name(),
            content.class.as_str(),
            content.grade.name(),
            content.registrar,
            entry.sources,
            content.valid_until,
        );
    }
    if !any {
        println!("No indicator.");
    }
    Ended::Fine
}

/// Prints the document that the police receive. The value itself, where it is about a person, is not in it: nobody
/// keeps it. The analyst adds it to what is sent, and the digest says which content it belongs to.
pub(super) fn document(entry: &IndicatorEntry, json: bool) -> Ended {
    if json {
        println!("{}", document_json(entry));
        return Ended::Fine;
    }
    let content = &entry.content;
    println!("Report to the police");
    println!("  indicator    {}", entry.digest.id());
    println!("  digest       {}", entry.digest);
    println!("  reported by  {}", content.registrar);
    println!("  kind         {}", content.kind.name());
    if content.clear.is_empty() {
        println!(
            "  value        pseudonym {} (add the value by hand: nobody keeps it)",
            hex(&content.value.0)
        );
    } else {
        println!("  value        {}", content.clear);
    }
    if let Some(role) = content.role {
        println!("  role         {}", role.name());
    }
    println!("  class        {}", content.class.as_str());
    println!("  grade        {}", content.grade.name());
    println!("  drafted      {}", content.drafted_at);
    println!("  valid until  {}", content.valid_until);
    println!(
        "The receipt names the digest: sparr receipt add --indicator {} --reference …",
        entry.digest.id()
    );
    Ended::Fine
}

/// Prints networks and domains as a STIX 2.1 bundle. What is about a person is kept as a pseudonym and has no pattern.
pub(super) fn exported(answers: &[ExchangeAnswer], json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    if let Said::Refused(refusal) = &last.said {
        return refused(*refusal, last, json);
    }
    let objects: Vec<Value> = entries(answers).filter_map(stix).collect();
    // A bundle's id is made of what is in it, so that the same content has the same id.
    let id = uuid(blake3::hash(Value::from(objects.clone()).to_string().as_bytes()).as_bytes());
    let bundle = json!({ "type": "bundle", "id": format!("bundle--{id}"), "objects": objects });
    if json {
        println!("{bundle}");
    } else {
        println!("{bundle:#}");
    }
    Ended::Fine
}

fn stix(entry: &IndicatorEntry) -> Option<Value> {
    let content = &entry.content;
    let pattern = match content.kind {
        IndicatorKind::Cidr if content.clear.contains(':') => {
            format!("[ipv6-addr:value = '{}']", content.clear)
        }
        IndicatorKind::Cidr => format!("[ipv4-addr:value = '{}']", content.clear),
        IndicatorKind::Domain => format!("[domain-name:value = '{}']", content.clear),
        _ => return None,
    };
    let revoked = matches!(entry.standing, IndicatorStanding::Withdrawn | IndicatorStanding::Lapsed);
    let created = content.drafted_at.to_string();
    Some(json!({
        "type": "indicator",
        "spec_version": "2.1",
        "id": format!("indicator--{}", uuid(&entry.digest.0)),
        "created": created,
        "modified": created,
        "name": content.class.as_str(),
        "pattern": pattern,
        "pattern_type": "stix",
        "valid_from": created,
        "valid_until": content.valid_until.to_string(),
        "revoked": revoked,
        "labels": [content.class.as_str(), content.grade.name()],
    }))
}

/// A UUID (RFC 9562, version 8: made by the application) of the first bytes of a digest.
fn uuid(digest: &[u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
