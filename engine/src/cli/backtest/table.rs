//! A backtest as tables and as JSON.

use super::{Run, when};
use crate::backtest::{Findings, Money, RuleFindings};
use crate::rules::Mode;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// For people.
pub(super) fn text(run: &Run<'_>) -> String {
    let mut out = String::new();
    let findings = run.new.findings();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{} rows in {:.1} s, {:.0} per second",
        findings.rows,
        run.took.as_secs_f64(),
        run.rows_per_s()
    );
    if !run.labelled {
        let _ = writeln!(out, "The map names no label: what was fraud is not known.");
    }
    outcomes(&mut out, findings);
    rules(&mut out, run);
    if run.labelled {
        let _ = writeln!(out, "\nMoney");
        for (what, money) in [
            ("fraud in the file", findings.fraud),
            ("fraud stopped", findings.stopped),
            ("good customers challenged, declined or held", findings.blocked_wrongly),
            ("good customers declined", findings.declined_wrongly),
        ] {
            let _ = writeln!(out, "  {what:<46}{:>9}{:>18}", money.requests, major(money));
        }
    }
    changes(&mut out, run);
    out
}

fn outcomes(out: &mut String, findings: &Findings) {
    let all = findings.rows.max(1) as f64;
    for (title, counts) in [
        ("Outcomes", &findings.outcomes),
        ("Reviews", &findings.reviews),
        ("Not screened", &findings.not_screened),
    ] {
        if counts.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{title}");
        for (name, n) in counts {
            let _ = writeln!(out, "  {name:<36}{n:>12}{:>9.3} %", *n as f64 / all * 100.0);
        }
    }
}

fn rules(out: &mut String, run: &Run<'_>) {
    let findings = run.new.findings();
    let width = findings.rules.iter().map(|rule| rule.id.len() + 2).max().unwrap_or(0).max(6);
    let _ = writeln!(
        out,
        "\n{:<width$}{:<8}{:>9}{:>9}{:>9}{:>8}{:>8}{:>15}{:>8}  {:<17} {:<17}",
        "Rule",
        "mode",
        "hits",
        "fraud",
        "good",
        "prec.",
        "recall",
        "caught",
        "alone",
        "first hit",
        "last hit"
    );
    for rule in findings.rules.iter().filter(|rule| rule.hits > 0) {
        let percent =
            |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |it| format!("{:.2} %", it * 100.0));
        let _ = writeln!(
            out,
            "{:<width$}{:<8}{:>9}{:>9}{:>9}{:>8}{:>8}{:>15}{:>8}  {:<17} {:<17}",
            rule.id,
            mode(rule.mode),
            rule.hits,
            rule.caught.requests,
            rule.wrongly.requests,
            percent(rule.precision()),
            percent(rule.recall(findings.fraud)),
            major(rule.caught),
            rule.alone,
            when(rule.first),
            when(rule.last)
        );
    }
    let idle: Vec<&str> =
        findings.rules.iter().filter(|rule| rule.hits == 0).map(|rule| rule.id.as_str()).collect();
    if !idle.is_empty() {
        let _ = writeln!(out, "{} rules hit nothing: {}", idle.len(), idle.join(", "));
    }
    let overlaps = overlaps(findings);
    if !overlaps.is_empty() {
        let _ = writeln!(out, "\nRules that mostly hit the same");
        for (rule, other, share) in overlaps {
            let _ = writeln!(out, "  {:.0} % of {rule} is hit by {other} too", share * 100.0);
        }
    }
}

/// Pairs of which more than half of the first's hits are the other's too.
fn overlaps(findings: &Findings) -> Vec<(&str, &str, f64)> {
    let rules = &findings.rules;
    let pair = |rule: &RuleFindings, other: usize| rule.with[other] as f64 / rule.hits.max(1) as f64;
    let mut all: Vec<(&str, &str, f64)> = rules
        .iter()
        .enumerate()
        .flat_map(|(at, rule)| {
            (0..rules.len())
                .filter(move |other| *other != at)
                .map(move |other| (rule.id.as_str(), rules[other].id.as_str(), pair(rule, other)))
        })
        .filter(|(_, _, share)| *share > 0.5)
        .collect();
    all.sort_by(|one, other| other.2.total_cmp(&one.2).then_with(|| one.0.cmp(other.0)));
    all.truncate(OVERLAPS_SHOWN);
    all
}

const OVERLAPS_SHOWN: usize = 10;

fn changes(out: &mut String, run: &Run<'_>) {
    let Some((_, changes)) = run.against else { return };
    let rows = run.new.findings().rows.max(1) as f64;
    let _ = writeln!(
        out,
        "\nAgainst the other rules: {} decisions differ ({:.3} %)",
        changes.total(),
        changes.total() as f64 / rows * 100.0
    );
    for ((was, is), n) in &changes.changed {
        let examples: Vec<String> = changes
            .examples
            .get(&(was.clone(), is.clone()))
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        let _ = writeln!(out, "  {was} → {is}: {n}, such as row {}", examples.join(", "));
    }
    if run.labelled {
        for (what, money) in [
            ("good customers newly declined", changes.newly_declined_good),
            ("fraud newly stopped", changes.newly_stopped_fraud),
            ("fraud no longer stopped", changes.no_longer_stopped_fraud),
        ] {
            let _ = writeln!(out, "  {what:<46}{:>9}{:>18}", money.requests, major(money));
        }
    }
}

/// Minor units with two decimals: what nearly every currency has, and what a file of one currency needs.
pub(super) fn major(money: Money) -> String {
    format!("{}.{:02}", money.amount_minor / 100, money.amount_minor % 100)
}

pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Shadow => "shadow",
        Mode::Enforce => "enforce",
    }
}

/// For scripts.
pub(super) fn json(run: &Run<'_>) -> Value {
    let findings = run.new.findings();
    let counts = |counts: &std::collections::BTreeMap<&'static str, u64>| -> Value {
        counts.iter().map(|(name, n)| ((*name).to_owned(), Value::from(*n))).collect::<Map<_, _>>().into()
    };
    let money = |money: Money| json!({ "requests": money.requests, "amount_minor": money.amount_minor });
    let rule = |rule: &RuleFindings| {
        json!({
            "id": rule.id, "mode": mode(rule.mode), "hits": rule.hits,
            "true_positives": rule.caught.requests, "false_positives": rule.wrongly.requests,
            "precision": rule.precision(), "recall": rule.recall(findings.fraud),
            "amount_caught_minor": rule.caught.amount_minor, "alone": rule.alone,
            "first_hit": rule.first.map(|time| time.to_string()),
            "last_hit": rule.last.map(|time| time.to_string()),
        })
    };
    let mut object = json!({
        "rows": findings.rows, "rows_per_s": run.rows_per_s(),
        "rules": findings.rules.iter().map(rule).collect::<Vec<_>>(),
        "outcomes": counts(&findings.outcomes), "reviews": counts(&findings.reviews),
        "not_screened": counts(&findings.not_screened), "fraud": money(findings.fraud),
        "stopped": money(findings.stopped), "blocked_wrongly": money(findings.blocked_wrongly),
        "declined_wrongly": money(findings.declined_wrongly),
    });
    if let Some((_, changes)) = run.against {
        let changed: Vec<Value> = changes
            .changed
            .iter()
            .map(|(key, n)| json!({ "was": key.0, "is": key.1, "rows": n, "examples": changes.examples.get(key) }))
            .collect();
        object["changes"] = json!({
            "total": changes.total(), "changed": changed,
            "newly_declined_good": money(changes.newly_declined_good),
            "newly_stopped_fraud": money(changes.newly_stopped_fraud),
            "no_longer_stopped_fraud": money(changes.no_longer_stopped_fraud),
        });
    }
    object
}
