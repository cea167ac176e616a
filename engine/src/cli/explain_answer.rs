//! `sparr explain REQUEST_ID`: why the engine answered a request as it did, from its decision log.

use super::decisions::{Asked, ask_all, words as line_of};
use super::exchange::Common;
use super::{Ended, Outcome};
use serde_json::Value;
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{Answered, DECISIONS_MAX, DecisionDetail, DecisionPlace, DecisionQuery};
use sparr_protocol::ids::RequestId;
use sparr_protocol::time::Timestamp;
use std::fmt::Write as _;
use std::ops::ControlFlow;

/// What is to be explained, and how.
pub(super) struct Wanted<'a> {
    pub(super) request: RequestId,
    pub(super) rerun: bool,
    /// Rules that did not hit, too.
    pub(super) all: bool,
    pub(super) common: &'a Common,
}

/// Explains one answer.
pub(super) fn run(wanted: &Wanted<'_>) -> Outcome {
    let query = DecisionQuery {
        request: Some(wanted.request),
        since: Timestamp::MIN,
        until: Timestamp::from_ms(i64::MAX),
        after: DecisionPlace::default(),
        limit: DECISIONS_MAX,
        answer: Answered::Any,
        member: None,
        rule: None,
        detail: DecisionDetail { rerun: wanted.rerun, explain: true, export: false },
    };
    let mut found: Option<Value> = None;
    let asked = ask_all(wanted.common, Role::Risk, query, |line| {
        if line.get("request_id").is_none() {
            return Ok(ControlFlow::Continue(()));
        }
        // The answer that rules gave, before one that was given again or that could not be given.
        let decided = line.get("explained").is_some_and(|explained| !explained.is_null());
        if decided || found.is_none() {
            found = Some(line);
        }
        Ok(if decided { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if let Asked::Ended(ended) = asked {
        return Ok(ended);
    }
    let Some(mut line) = found else {
        if wanted.common.json {
            println!("{}", serde_json::json!({ "request_id": wanted.request.to_string(), "found": false }));
        } else {
            println!(
                "The decision log has no answer to {}: it said `unlogged`, is older than what is kept, or was lost in a kill.",
                wanted.request
            );
        }
        return Ok(Ended::Findings);
    };
    if !wanted.all
        && let Some(rules) = line["explained"]["rules"].as_array_mut()
    {
        rules.retain(|rule| !matches!(rule["result"].as_str(), Some("no_hit" | "absent")));
    }
    if wanted.common.json {
        println!("{line}");
    } else {
        print!("{}", words(&line));
    }
    let differs = line["rerun"]["equal"] == Value::Bool(false);
    Ok(if differs { Ended::Findings } else { Ended::Fine })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn words(line: &Value) -> String {
    let mut out = format!("{}\n", line_of(line));
    // Writing to a string cannot fail.
    let mut say = |arguments: std::fmt::Arguments<'_>| {
        let _ = out.write_fmt(arguments);
        out.push('\n');
    };
    let each = |key: &str| line[key].as_array().into_iter().flatten();
    let at = &line["position"];
    say(format_args!(
        "  rule set {}, record {} of engine {} in epoch {}, state {} ms old",
        text(&line["rule_set_digest"]),
        at["index"],
        at["engine"],
        at["epoch"],
        line["staleness_ms"]
    ));
    let degraded: Vec<String> = each("degraded").map(text).collect();
    if !degraded.is_empty() {
        say(format_args!("  worth less than usual: {}", degraded.join(", ")));
    }
    for flag in each("flags") {
        let open = if flag["opened_by_pass"] == Value::Bool(true) { "; a pass opened it" } else { "" };
        say(format_args!(
            "  flag ({} wishes it): entered by {}, until {}{open}",
            text(&flag["wish"]),
            text(&flag["registrar"]),
            text(&flag["valid_until"])
        ));
    }
    for found in each("indicators") {
        say(format_args!(
            "  indicator {} on the {}: {}, {}, of {}, attested by {}, {} sources",
            text(&found["id"]),
            text(&found["on"]),
            text(&found["class"]),
            text(&found["grade"]),
            text(&found["registrar"]),
            text(&found["attested"]),
            found["sources"]
        ));
        if let Some(reference) = found["receipt"]["reference"].as_str() {
            say(format_args!("    receipt {reference} of {}", text(&found["receipt"]["received_at"])));
        }
    }
    let explained = &line["explained"];
    for rule in explained["rules"].as_array().into_iter().flatten() {
        let shadow = if rule["mode"] == "shadow" { ", in shadow" } else { "" };
        say(format_args!(
            "\n{} ({}:{}{shadow}): {}",
            text(&rule["id"]),
            text(&rule["file"]),
            rule["line"],
            text(&rule["result"])
        ));
        for part in rule["parts"].as_array().into_iter().flatten() {
            let indent = "  ".repeat(part["depth"].as_u64().unwrap_or(0).min(40) as usize);
            say(format_args!(
                "{:>5} | {indent}{} = {}",
                part["line"],
                text(&part["text"]),
                text(&part["value"])
            ));
        }
    }
    let velocity: Vec<&Value> = explained["velocity"].as_array().into_iter().flatten().collect();
    if !velocity.is_empty() {
        say(format_args!("\nRead of windows"));
        for reading in velocity {
            let about = if reading["exact"] == Value::Bool(true) { "" } else { " (about)" };
            say(format_args!("  {} = {}{about}", text(&reading["reading"]), text(&reading["value"])));
        }
    }
    for reason in explained["analyst"].as_array().into_iter().flatten() {
        say(format_args!("\nReason {}: {}", text(&reason["reason"]), text(&reason["says"])));
    }
    if let Some(customer) = explained["customer"].as_str() {
        say(format_args!("What the customer may be told: {customer}"));
    }
    if explained.is_null() {
        say(format_args!("  no rule was asked, or the copy of the rule set that decided is gone"));
    }
    match &line["rerun"]["equal"] {
        Value::Bool(true) => say(format_args!(
            "Run again from the log: the same outcome, review, score, reasons, hits and rule set."
        )),
        Value::Bool(false) => say(format_args!("Run again from the log: IT DIFFERS. {}", line["rerun"])),
        _ if line["rerun"].is_object() => {
            say(format_args!("It cannot be run again: {}.", text(&line["rerun"]["why"])));
        }
        _ => {}
    }
    out
}
