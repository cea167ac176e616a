//! A backtest as a page that stands alone: what a risk manager puts into a meeting. Nothing is fetched from anywhere.

use super::table::{major, mode, text};
use super::{Run, when};
use crate::backtest::RuleFindings;
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}td,th{text-align:right;padding:.25rem .6rem;\
border-bottom:1px solid #8884}td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto;font-size:12px}\
text{fill:currentColor}.precision{fill:#2563eb}.recall{fill:#d97706}.day{fill:#059669}pre{overflow-x:auto}\
b.precision{color:#2563eb}b.recall{color:#d97706}";

/// Rules whose hits over time are plotted: those that hit most.
const PLOTTED: usize = 8;

/// The page.
pub(super) fn html(run: &Run<'_>) -> String {
    let findings = run.new.findings();
    let title = escape(&format!("Backtest over {}", run.data.display()));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n\
         <p>{} rows, {} known to be fraud ({}).</p>\n",
        findings.rows,
        findings.fraud.requests,
        major(findings.fraud)
    );
    if run.labelled {
        page.push_str(
            "<h2>Precision and recall by rule</h2>\n<p><b class=\"precision\">precision</b>: the share of fraud among \
             a rule's hits; <b class=\"recall\">recall</b>: the share of all fraud that it hits.</p>\n",
        );
        bars(&mut page, run);
    }
    page.push_str("<h2>Rules</h2>\n<table><tr><th>rule</th><th>mode</th><th>hits</th><th>fraud</th><th>good</th><th>caught</th><th>alone</th><th>first hit</th><th>last hit</th></tr>\n");
    for rule in &findings.rules {
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&rule.id),
            mode(rule.mode),
            rule.hits,
            rule.caught.requests,
            rule.wrongly.requests,
            major(rule.caught),
            rule.alone,
            when(rule.first),
            when(rule.last)
        );
    }
    page.push_str("</table>\n<h2>Hits by day</h2>\n");
    days(&mut page, run);
    let _ = write!(page, "<h2>The same as text</h2>\n<pre>{}</pre>\n</body></html>\n", escape(&text(run)));
    page
}

/// Two bars for each rule that hit anything.
fn bars(page: &mut String, run: &Run<'_>) {
    let findings = run.new.findings();
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
fn days(page: &mut String, run: &Run<'_>) {
    let mut rules: Vec<&RuleFindings> =
        run.new.findings().rules.iter().filter(|rule| rule.hits > 0).collect();
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

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
