//! Plots of a backtest as SVG: no script, nothing that is fetched, readable in print.

use super::Run;
use super::page::escape;
use crate::backtest::{AMOUNT_BOUNDS, Amounts, Findings, RuleFindings};
use std::fmt::Write as _;

/// Rules whose hits over time are plotted: those that hit most.
const PLOTTED: usize = 8;

/// Two bars for each rule that hit anything.
pub(super) fn precision_and_recall(page: &mut String, run: &Run<'_>) {
    let findings = run.new;
    let rules: Vec<&RuleFindings> = findings.rules.iter().filter(|rule| rule.hits > 0).collect();
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 900 {}\" role=\"img\" aria-label=\"Precision and recall by rule\">",
        rules.len() * 34 + 10
    );
    for (at, rule) in rules.iter().enumerate() {
        let top = at * 34;
        let _ = writeln!(
            page,
            "<text x=\"250\" y=\"{}\" text-anchor=\"end\">{}</text>",
            top + 20,
            escape(&rule.id)
        );
        for (class, share, offset) in
            [("precision", rule.precision(), 4), ("recall", rule.recall(findings.fraud), 17)]
        {
            let share = share.unwrap_or_default();
            let _ = writeln!(
                page,
                "<rect class=\"{class}\" x=\"260\" y=\"{}\" width=\"{:.1}\" height=\"11\"/><text x=\"{:.1}\" \
                 y=\"{}\">{:.2} %</text>",
                top + offset,
                share * 540.0,
                266.0 + share * 540.0,
                top + offset + 10,
                share * 100.0
            );
        }
    }
    page.push_str("</svg>\n");
}

/// A row of columns for each of the rules that hit most, one column a day.
pub(super) fn days(page: &mut String, run: &Run<'_>) {
    let mut rules: Vec<&RuleFindings> = run.new.rules.iter().filter(|rule| rule.hits > 0).collect();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.hits));
    rules.truncate(PLOTTED);
    let all = || rules.iter().flat_map(|rule| rule.by_day.keys());
    let (Some(first), Some(last)) = (all().min().copied(), all().max().copied()) else {
        page.push_str("<p>No rule hit anything.</p>\n");
        return;
    };
    let width = 640.0 / (last - first + 1) as f64;
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 900 {}\" role=\"img\" aria-label=\"Hits by day\">",
        rules.len() * 60 + 10
    );
    for (at, rule) in rules.iter().enumerate() {
        let (bottom, most) = (at * 60 + 54, rule.by_day.values().max().copied().unwrap_or(1));
        let _ = writeln!(
            page,
            "<text x=\"250\" y=\"{}\" text-anchor=\"end\">{}</text><text x=\"250\" y=\"{bottom}\" \
             text-anchor=\"end\">at most {most} a day</text>",
            bottom - 18,
            escape(&rule.id)
        );
        for (day, hits) in &rule.by_day {
            let height = 48.0 * *hits as f64 / most as f64;
            let _ = writeln!(
                page,
                "<rect class=\"day\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                260.0 + (day - first) as f64 * width,
                bottom as f64 - height,
                (width - 0.5).max(0.5)
            );
        }
    }
    page.push_str("</svg>\n");
}

/// A row of the plot of amounts: what it shows, its class, and how many requests of a range it counts.
type Row = (&'static str, &'static str, fn(&Amounts) -> u64);

fn all(amounts: &Amounts) -> u64 {
    amounts.fraud_stopped + amounts.fraud_missed + amounts.good_stopped + amounts.other
}

/// A column for each range of amounts: how many requests, and what became of them, on a scale of their own for each.
pub(super) fn amounts(page: &mut String, run: &Run<'_>) {
    let amounts = &run.new.amounts;
    let filled = |at: &usize| all(&amounts[*at]) > 0;
    let (Some(first), Some(last)) = ((0..amounts.len()).find(filled), (0..amounts.len()).rfind(filled))
    else {
        page.push_str("<p>There is no request.</p>\n");
        return;
    };
    let shown = &amounts[first..=last];
    let width = 640.0 / shown.len() as f64;
    let rows: [Row; 4] = [
        ("all requests", "all", all),
        ("fraud stopped", "precision", |it| it.fraud_stopped),
        ("fraud missed", "recall", |it| it.fraud_missed),
        ("good customers stopped", "wrong", |it| it.good_stopped),
    ];
    let rows = if run.labelled { &rows[..] } else { &rows[..1] };
    let height = rows.len() * 84 + 24;
    let _ =
        writeln!(page, "<svg viewBox=\"0 0 900 {height}\" role=\"img\" aria-label=\"Requests by amount\">");
    for (at, (what, class, of)) in rows.iter().enumerate() {
        let (bottom, most) = (at * 84 + 74, shown.iter().map(of).max().unwrap_or(0));
        let _ = writeln!(
            page,
            "<text x=\"250\" y=\"{}\" text-anchor=\"end\">{what}</text><text x=\"250\" y=\"{bottom}\" \
             text-anchor=\"end\">at most {most}</text>",
            bottom - 18
        );
        for (column, amounts) in shown.iter().enumerate() {
            let n = of(amounts);
            let height = 64.0 * n as f64 / most.max(1) as f64;
            let from = AMOUNT_BOUNDS[first + column] / 100;
            let _ = writeln!(
                page,
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\">\
                 <title>from {from}: {n}</title></rect>",
                260.0 + column as f64 * width,
                bottom as f64 - height,
                (width - 2.0).max(1.0)
            );
        }
    }
    for column in 0..shown.len() {
        let from = AMOUNT_BOUNDS[first + column] / 100;
        let (x, y) = (260.0 + column as f64 * width, rows.len() * 84 + 12);
        let _ = writeln!(page, "<text x=\"{x:.1}\" y=\"{y}\" font-size=\"10\">{from}</text>");
    }
    page.push_str("</svg>\n");
}

/// Two bars for each thing that can become of a request: under the rules that it is compared with, and under the candidate.
pub(super) fn old_and_new(page: &mut String, old: &Findings, new: &Findings, labelled: bool) {
    let mut pairs: Vec<(String, u64, u64)> = Vec::new();
    for (old, new) in
        [(&old.outcomes, &new.outcomes), (&old.reviews, &new.reviews), (&old.not_screened, &new.not_screened)]
    {
        let mut names: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
        names.sort_unstable();
        names.dedup();
        let of = |counts: &std::collections::BTreeMap<&'static str, u64>, name: &str| {
            counts.get(name).copied().unwrap_or_default()
        };
        pairs.extend(names.into_iter().map(|name| (name.to_owned(), of(old, name), of(new, name))));
    }
    if labelled {
        pairs.extend([
            ("fraud stopped".to_owned(), old.stopped.requests, new.stopped.requests),
            ("good customers stopped".to_owned(), old.blocked_wrongly.requests, new.blocked_wrongly.requests),
            (
                "good customers declined".to_owned(),
                old.declined_wrongly.requests,
                new.declined_wrongly.requests,
            ),
        ]);
    }
    let height = pairs.len() * 34 + 10;
    let _ = writeln!(page, "<svg viewBox=\"0 0 900 {height}\" role=\"img\" aria-label=\"Old against new\">");
    for (at, (what, old, new)) in pairs.iter().enumerate() {
        let (top, most) = (at * 34, (*old).max(*new).max(1));
        let what = escape(what);
        let _ = writeln!(page, "<text x=\"250\" y=\"{}\" text-anchor=\"end\">{what}</text>", top + 20);
        for (class, n, offset) in [("old", old, 4), ("new", new, 17)] {
            let width = 480.0 * *n as f64 / most as f64;
            let _ = writeln!(
                page,
                "<rect class=\"{class}\" x=\"260\" y=\"{}\" width=\"{width:.1}\" height=\"11\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{n}</text>",
                top + offset,
                266.0 + width,
                top + offset + 10
            );
        }
    }
    page.push_str("</svg>\n");
}
