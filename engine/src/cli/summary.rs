//! What a run of many requests came to: a table for people, an object for scripts.

use serde_json::{Map, Value, json};
use sparr_loadgen::tally::Tally;
use sparr_protocol::response::ReasonCode;
use std::fmt::Write as _;
use std::time::Duration;

/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// Reasons by how often they were given.
fn reasons(tally: &Tally, name: &dyn Fn(ReasonCode) -> String) -> Vec<(String, u64)> {
    let mut reasons: Vec<(String, u64)> = tally.reasons.iter().map(|(code, n)| (name(*code), *n)).collect();
    reasons.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    reasons
}

fn refusals(tally: &Tally) -> impl Iterator<Item = (String, u64)> {
    tally.not_screened.iter().map(|((why, field), n)| match field {
        Some(field) => (format!("{why} ({field})"), *n),
        None => ((*why).to_owned(), *n),
    })
}

/// The table.
pub(crate) fn table(tally: &Tally, took: Duration, name: &dyn Fn(ReasonCode) -> String) -> String {
    let mut out = String::new();
    let all = tally.answers.max(1) as f64;
    let mut section = |title: &str, lines: Vec<(String, u64)>| {
        if lines.is_empty() {
            return;
        }
        push(&mut out, format_args!("\n{title}\n"));
        for (name, n) in lines {
            push(&mut out, format_args!("  {name:<36}{n:>12}{:>9.3} %\n", n as f64 / all * 100.0));
        }
    };
    section("Outcomes", tally.outcomes.iter().map(|(outcome, n)| ((*outcome).to_owned(), *n)).collect());
    section("Reviews", tally.reviews.iter().map(|(review, n)| ((*review).to_owned(), *n)).collect());
    section("Reasons (a decision has up to eight)", reasons(tally, name));
    section("Not screened", refusals(tally).collect());
    push(
        &mut out,
        format_args!("\nRound trip (closed loop: a request is sent when an earlier one was answered)\n "),
    );
    for (label, quantile) in QUANTILES {
        push(&mut out, format_args!(" {label} {:.0} µs ", tally.round_trip_us(quantile)));
    }
    let rate = tally.answers as f64 / took.as_secs_f64().max(1e-9);
    push(
        &mut out,
        format_args!("\n\n{} requests in {:.1} s, {rate:.0} per second\n", tally.answers, took.as_secs_f64()),
    );
    out
}

/// The object.
pub(crate) fn object(
    tally: &Tally,
    took: Duration,
    name: &dyn Fn(ReasonCode) -> String,
) -> Map<String, Value> {
    let counts = |lines: Vec<(String, u64)>| -> Value {
        lines.into_iter().map(|(name, n)| (name, Value::from(n))).collect::<Map<_, _>>().into()
    };
    let owned = |counts: &std::collections::BTreeMap<&'static str, u64>| {
        counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>()
    };
    let round_trip: Map<String, Value> = QUANTILES
        .iter()
        .map(|(label, quantile)| (label.replace('.', ""), tally.round_trip_us(*quantile).into()))
        .collect();
    let mut object = Map::new();
    for (key, value) in [
        ("answers", Value::from(tally.answers)),
        ("decisions", tally.decisions().into()),
        ("outcomes", counts(owned(&tally.outcomes))),
        ("reviews", counts(owned(&tally.reviews))),
        ("reasons", counts(reasons(tally, name))),
        ("not_screened", counts(refusals(tally).collect())),
        ("round_trip_us", round_trip.into()),
        ("loop", json!("closed")),
        ("seconds", took.as_secs_f64().into()),
        ("requests_per_s", (tally.answers as f64 / took.as_secs_f64().max(1e-9)).into()),
    ] {
        object.insert(key.to_owned(), value);
    }
    object
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(arguments);
}
