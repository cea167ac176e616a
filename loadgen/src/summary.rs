//! What a run came to: tables for people, objects for scripts.

use crate::measure::Measured;
use crate::tally::Tally;
use crate::verdict::Verdict;
use serde_json::{Map, Value, json};
use sparr_protocol::client::Traffic;
use sparr_protocol::response::ReasonCode;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// What an engine calls its reasons.
pub type Names = BTreeMap<ReasonCode, String>;

/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// What an open-loop run measured besides the answers.
pub struct OpenLoop<'a> {
    /// Times.
    pub measured: &'a Measured,
    /// What went over the network.
    pub traffic: Traffic,
    /// The budget for the p99, µs.
    pub budget_us: u64,
    /// Processor time of the engine's data plane, ns; absent where the system does not say.
    pub server_cpu_ns: Option<u64>,
    /// Time that the hypervisor gave to others meanwhile, percent.
    pub stolen_percent: Option<f64>,
}

impl OpenLoop<'_> {
    /// Whether the p99 of the median 200 ms, from the intended time, is within the budget and every request was
    /// answered. A late generator only makes it harder: its lateness counts as latency. The whole run's p99 stands
    /// beside it: on a shared machine it is decided by the machine's own pauses.
    pub fn within_budget(&self) -> bool {
        self.measured.w99_us() <= self.budget_us as f64 && self.measured.unanswered == 0
    }

    /// Windows of 200 ms whose own p99 is within the budget, and all of them.
    fn windows_within(&self) -> (usize, usize) {
        let windows = &self.measured.windows;
        let within = windows.iter().filter(|window| window.p99_ns <= self.budget_us * 1_000).count();
        (within, windows.len())
    }

    fn per_request(&self, sum: u64) -> f64 {
        sum as f64 / self.measured.latency.len().max(1) as f64
    }

    fn datagrams(&self) -> u64 {
        self.traffic.datagrams_sent + self.traffic.datagrams_received
    }
}

/// Reasons by how often they were given.
fn reasons(tally: &Tally, names: &Names) -> Vec<(String, u64)> {
    let name = |code: &ReasonCode| names.get(code).cloned().unwrap_or_else(|| format!("reason_{}", code.0));
    let mut reasons: Vec<(String, u64)> = tally.reasons.iter().map(|(code, n)| (name(code), *n)).collect();
    reasons.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    reasons
}

fn refusals(tally: &Tally) -> impl Iterator<Item = (String, u64)> {
    tally.not_screened.iter().map(|((why, field), n)| match field {
        Some(field) => (format!("{why} ({field})"), *n),
        None => ((*why).to_owned(), *n),
    })
}

/// Outcomes, reviews, reasons and what was not screened.
pub fn answers_table(tally: &Tally, names: &Names) -> String {
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
    section("Reasons (a decision has up to eight)", reasons(tally, names));
    section("Not screened", refusals(tally).collect());
    out
}

/// Round trips of a closed loop.
pub fn closed_loop_table(tally: &Tally, took: Duration) -> String {
    let mut out =
        "\nRound trip (closed loop: a request is sent when an earlier one was answered)\n ".to_owned();
    for (label, quantile) in QUANTILES {
        push(&mut out, format_args!(" {label} {:.0} µs ", tally.round_trip_us(quantile)));
    }
    push(
        &mut out,
        format_args!(
            "\n\n{} requests in {:.1} s, {:.0} per second\n",
            tally.answers,
            took.as_secs_f64(),
            per_second(tally.answers, took)
        ),
    );
    out
}

/// Times of an open loop, and whether they are within the budget.
pub fn open_loop_table(tally: &Tally, took: Duration, open: &OpenLoop<'_>) -> String {
    let (mut out, measured) = (String::new(), open.measured);
    let mut line = |arguments: std::fmt::Arguments<'_>| push(&mut out, arguments);
    line(format_args!("\nLatency from the intended send time (open loop)\n "));
    for (label, quantile) in QUANTILES {
        line(format_args!(" {label} {:.0} µs ", measured.latency_us(quantile)));
    }
    line(format_args!("\n  median of the p99 of each 200 ms: {:.0} µs\n", measured.w99_us()));
    line(format_args!("The generator's own lateness\n "));
    for (label, quantile) in QUANTILES {
        line(format_args!(" {label} {:.0} µs ", measured.lateness_us(quantile)));
    }
    line(format_args!(
        "\n\n{} requests in {:.1} s, {:.0} per second; {} without an answer\n",
        tally.answers,
        took.as_secs_f64(),
        per_second(tally.answers, took),
        measured.unanswered
    ));
    if let Some(ns) = open.server_cpu_ns {
        line(format_args!("engine's processor time per request: {:.1} µs\n", open.per_request(ns) / 1e3));
    }
    line(format_args!(
        "datagrams per request, both ways: {:.2}; packets lost: {}",
        open.per_request(open.datagrams()),
        open.traffic.packets_lost
    ));
    match open.stolen_percent {
        Some(percent) => line(format_args!("; taken by the hypervisor: {percent:.1} % of the time\n")),
        None => line(format_args!("\n")),
    }
    for doubt in measured.doubts() {
        line(format_args!("INVALID: {doubt}\n"));
    }
    let verdict = if open.within_budget() { "within" } else { "NOT within" };
    let (within, all) = open.windows_within();
    line(format_args!(
        "{verdict} the budget of {} µs: the p99 of the median 200 ms is {:.0} µs, that of {within} of {all} is within\n",
        open.budget_us,
        measured.w99_us()
    ));
    out
}

/// Whether what was answered is what should have been.
pub fn verdict_table(verdict: &Verdict) -> String {
    let mut out = "\nAgainst what is known about each request\n".to_owned();
    for (name, matched) in [("flags", verdict.flags), ("local lists", verdict.lists)] {
        push(
            &mut out,
            format_args!(
                "  {name:<16}{:>8} as they should be{:>6} missed{:>6} invented\n",
                matched.right, matched.missed, matched.invented
            ),
        );
    }
    if verdict.not_screened > 0 {
        push(&mut out, format_args!("  {:<16}{:>8}\n", "not screened", verdict.not_screened));
    }
    let detections = verdict.detections();
    if !detections.is_empty() {
        push(
            &mut out,
            format_args!("\nFraud that was put in                requests  stopped  before the first\n"),
        );
    }
    for (campaign, found) in detections {
        let (kronor, ore) = (found.lost_minor / 100, found.lost_minor % 100);
        let when = match found.stopped {
            0 => format!("not found: all {}, {kronor}.{ore:02} kr", found.before_first),
            _ => format!("{} requests, {kronor}.{ore:02} kr", found.before_first),
        };
        push(
            &mut out,
            format_args!("  {:<34}{:>9}{:>9}  {when}\n", campaign.name(), found.requests, found.stopped),
        );
    }
    out
}

/// Outcomes, reviews, reasons and what was not screened.
pub fn answers_object(tally: &Tally, took: Duration, names: &Names) -> Map<String, Value> {
    let owned = |counts: &BTreeMap<&'static str, u64>| {
        counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>()
    };
    object([
        ("answers", tally.answers.into()),
        ("decisions", tally.decisions().into()),
        ("outcomes", counts(owned(&tally.outcomes))),
        ("reviews", counts(owned(&tally.reviews))),
        ("reasons", counts(reasons(tally, names))),
        ("not_screened", counts(refusals(tally).collect())),
        ("seconds", took.as_secs_f64().into()),
        ("requests_per_s", per_second(tally.answers, took).into()),
    ])
}

/// Round trips of a closed loop.
pub fn closed_loop_object(tally: &Tally) -> Map<String, Value> {
    object([
        ("loop", json!("closed")),
        ("round_trip_us", percentiles(|quantile| tally.round_trip_us(quantile))),
    ])
}

/// Times of an open loop, and whether they are within the budget.
pub fn open_loop_object(open: &OpenLoop<'_>) -> Map<String, Value> {
    let measured = open.measured;
    object([
        ("loop", json!("open")),
        ("latency_us", percentiles(|quantile| measured.latency_us(quantile))),
        ("w99_us", measured.w99_us().into()),
        ("send_lateness_us", percentiles(|quantile| measured.lateness_us(quantile))),
        ("unanswered", measured.unanswered.into()),
        ("budget_us", open.budget_us.into()),
        ("within_budget", open.within_budget().into()),
        ("windows_within_budget", open.windows_within().0.into()),
        ("windows", open.windows_within().1.into()),
        ("valid", measured.doubts().is_empty().into()),
        ("doubts", measured.doubts().into()),
        ("server_cpu_ns_per_request", json!(open.server_cpu_ns.map(|ns| open.per_request(ns)))),
        ("datagrams_per_request", open.per_request(open.datagrams()).into()),
        ("packets_lost", open.traffic.packets_lost.into()),
        ("stolen_percent", json!(open.stolen_percent)),
    ])
}

/// Whether what was answered is what should have been.
pub fn verdict_object(verdict: &Verdict) -> Map<String, Value> {
    let matched = |matched: crate::verdict::Matched| json!({ "right": matched.right, "missed": matched.missed, "invented": matched.invented });
    let campaign = |(campaign, found): (crate::campaign::Campaign, crate::verdict::Detection)| {
        let found = json!({
            "requests": found.requests, "stopped": found.stopped, "before_first": found.before_first,
            "lost_minor": found.lost_minor,
        });
        (campaign.name().to_owned(), found)
    };
    let campaigns: Map<String, Value> = verdict.detections().into_iter().map(campaign).collect();
    let truth = json!({
        "flags": matched(verdict.flags), "lists": matched(verdict.lists), "not_screened": verdict.not_screened,
        "exact": verdict.is_exact(),
    });
    object([("truth", truth), ("campaigns", campaigns.into())])
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn counts(lines: Vec<(String, u64)>) -> Value {
    lines.into_iter().map(|(name, n)| (name, Value::from(n))).collect::<Map<_, _>>().into()
}

fn percentiles(at: impl Fn(f64) -> f64) -> Value {
    let entry = |(label, quantile): &(&str, f64)| (label.replace('.', ""), Value::from(at(*quantile)));
    QUANTILES.iter().map(entry).collect::<Map<_, _>>().into()
}

fn per_second(answers: u64, took: Duration) -> f64 {
    answers as f64 / took.as_secs_f64().max(1e-9)
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(arguments);
}
