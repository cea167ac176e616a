//! A backtest as tables and as JSON.

use super::{Run, when};
use crate::backtest::{AMOUNT_BOUNDS, Changes, Findings, Money, RuleFindings};
use crate::rules::Mode;
use serde_json::{Map, Value, json};
use sparr_protocol::time::Timestamp;
use std::fmt::Write as _;

/// For people.
pub(super) fn text(run: &Run<'_>) -> String {
    let mut out = String::new();
    let findings = run.new;
    // Writing to a string cannot fail.
    if !run.labelled {
        let _ = writeln!(out, "The map names no label: what was fraud is not known.");
    }
    outcomes(&mut out, findings);
    rules(&mut out, run);
    if run.labelled {
        let _ = writeln!(out, "\nMoney");
        for (what, money) in money(findings) {
            let _ = writeln!(out, "  {what:<46}{:>9}{:>18}", money.requests, major(money));
        }
    }
    changes(&mut out, run);
    out
}

/// What the rules mean in money.
pub(super) fn money(findings: &Findings) -> [(&'static str, Money); 4] {
    [
        ("fraud in the file", findings.fraud),
        ("fraud stopped", findings.stopped),
        ("good customers challenged, declined or held", findings.blocked_wrongly),
        ("good customers declined", findings.declined_wrongly),
    ]
}

/// What the change of rules means in money.
pub(super) fn change_money(changes: &Changes) -> [(&'static str, Money); 3] {
    [
        ("good customers newly declined", changes.newly_declined_good),
        ("fraud newly stopped", changes.newly_stopped_fraud),
        ("fraud no longer stopped", changes.no_longer_stopped_fraud),
    ]
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
    let findings = run.new;
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
    overlap(out, findings);
}

/// Rules of which the overlap is shown: those that hit most. All of them stand in the JSON and on the page.
const OVERLAP_SHOWN: usize = 12;

/// Of each rule's hits, the share that each other rule hits too.
fn overlap(out: &mut String, findings: &Findings) {
    let mut hit: Vec<(usize, &RuleFindings)> =
        findings.rules.iter().enumerate().filter(|(_, rule)| rule.hits > 0).collect();
    if hit.len() < 2 {
        return;
    }
    hit.sort_by_key(|(place, rule)| (std::cmp::Reverse(rule.hits), *place));
    hit.truncate(OVERLAP_SHOWN);
    let width = hit.iter().map(|(_, rule)| rule.id.len() + 6).max().unwrap_or(0);
    let _ = write!(out, "\n{:<width$}", "Overlap, % of hits");
    for number in 1..=hit.len() {
        let _ = write!(out, "{number:>6}");
    }
    out.push('\n');
    for (number, (place, rule)) in (1..).zip(&hit) {
        let _ = write!(out, "{:<width$}", format!("  {number:>2} {}", rule.id));
        for (other, _) in &hit {
            let share = rule.with[*other] as f64 / rule.hits as f64 * 100.0;
            let _ = match (other == place, rule.with[*other]) {
                (true, _) => write!(out, "{:>6}", "–"),
                (false, 0) => write!(out, "{:>6}", "."),
                (false, _) => write!(out, "{share:>6.1}"),
            };
        }
        out.push('\n');
    }
}

fn changes(out: &mut String, run: &Run<'_>) {
    let Some((_, changes)) = run.against else { return };
    let rows = run.new.rows.max(1) as f64;
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
        for (what, money) in change_money(changes) {
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

/// A day by its number since 1970.
fn day_text(day: i64) -> String {
    Timestamp::from_ms(day * DAY_MS).to_string().chars().take(10).collect()
}

const DAY_MS: i64 = 86_400_000;

/// For scripts. All of it but `rows_per_s` depends on rows and rules alone.
pub(super) fn json(run: &Run<'_>) -> Value {
    let findings = run.new;
    let counts = |counts: &std::collections::BTreeMap<&'static str, u64>| -> Value {
        counts.iter().map(|(name, n)| ((*name).to_owned(), Value::from(*n))).collect::<Map<_, _>>().into()
    };
    let money = |money: Money| json!({ "requests": money.requests, "amount_minor": money.amount_minor });
    let overlap = |rule: &RuleFindings| -> Value {
        let others = findings.rules.iter().zip(&rule.with);
        let others = others.filter(|(other, n)| **n > 0 && other.id != rule.id);
        others.map(|(other, n)| (other.id.clone(), Value::from(*n))).collect::<Map<_, _>>().into()
    };
    let rule = |rule: &RuleFindings| {
        let by_day = rule.by_day.iter().map(|(day, hits)| json!({ "day": day_text(*day), "hits": hits }));
        json!({
            "id": rule.id, "mode": mode(rule.mode), "hits": rule.hits,
            "true_positives": rule.caught.requests, "false_positives": rule.wrongly.requests,
            "precision": rule.precision(), "recall": rule.recall(findings.fraud),
            "amount_caught_minor": rule.caught.amount_minor, "alone": rule.alone,
            "first_hit": rule.first.map(|time| time.to_string()),
            "last_hit": rule.last.map(|time| time.to_string()),
            "overlap": overlap(rule), "hits_by_day": by_day.collect::<Vec<_>>(),
        })
    };
    let amounts = AMOUNT_BOUNDS.iter().zip(&findings.amounts).map(|(from, it)| {
        json!({
            "from_minor": from, "fraud_stopped": it.fraud_stopped, "fraud_missed": it.fraud_missed,
            "good_stopped": it.good_stopped, "other": it.other,
        })
    });
    let mut object = json!({
        "rows": findings.rows, "rows_per_s": run.rows_per_s(),
        "rules": findings.rules.iter().map(rule).collect::<Vec<_>>(),
        "outcomes": counts(&findings.outcomes), "reviews": counts(&findings.reviews),
        "not_screened": counts(&findings.not_screened), "fraud": money(findings.fraud),
        "stopped": money(findings.stopped), "blocked_wrongly": money(findings.blocked_wrongly),
        "declined_wrongly": money(findings.declined_wrongly),
        "amounts": amounts.collect::<Vec<_>>(),
    });
    if let Some((old, changes)) = run.against {
        let changed: Vec<Value> = changes
            .changed
            .iter()
            .map(|(key, n)| json!({ "was": key.0, "is": key.1, "rows": n, "examples": changes.examples.get(key) }))
            .collect();
        object["changes"] = json!({
            "total": changes.total(), "changed": changed, "outcomes_before": counts(&old.outcomes),
            "stopped_before": money(old.stopped), "blocked_wrongly_before": money(old.blocked_wrongly),
            "newly_declined_good": money(changes.newly_declined_good),
            "newly_stopped_fraud": money(changes.newly_stopped_fraud),
            "no_longer_stopped_fraud": money(changes.no_longer_stopped_fraud),
        });
    }
    object
}
