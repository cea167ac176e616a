//! A backtest as a page that stands alone: what a risk manager puts into a meeting. Nothing is fetched from anywhere.

use super::plots;
use super::table::{change_money, major, mode, money, text};
use super::{Run, when};
use crate::backtest::{Changes, Findings, Money, RuleFindings};
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}td,th{text-align:right;padding:.25rem .6rem;\
border-bottom:1px solid #8884}td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto;font-size:12px}\
text{fill:currentColor}.precision,.new{fill:#2563eb}.recall{fill:#d97706}.day{fill:#059669}.all,.old{fill:#6b7280}\
.wrong{fill:#dc2626}pre,.wide{overflow-x:auto}.wide td,.wide th{padding:.1rem .3rem;font-size:12px}\
b.precision,b.new{color:#2563eb}b.recall{color:#d97706}b.old{color:#6b7280}.half{background:#d9770640}";

/// The page. It says nothing of the run itself, such as how long it took: the same rows and rules give the same bytes.
pub(super) fn html(run: &Run<'_>) -> String {
    let findings = run.new;
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
        page.push_str("<h2>Money</h2>\n");
        amounts_of(&mut page, &money(findings));
    }
    if let Some((old, changes)) = run.against {
        page.push_str(
            "<h2>Old against new</h2>\n<p><b class=\"old\">the rules it is compared with</b>, \
             <b class=\"new\">the candidate</b>; each pair has a scale of its own.</p>\n",
        );
        plots::old_and_new(&mut page, old, findings, run.labelled);
        changed(&mut page, run, changes);
    }
    if run.labelled {
        page.push_str(
            "<h2>Precision and recall by rule</h2>\n<p><b class=\"precision\">precision</b>: the share of fraud among \
             a rule's hits; <b class=\"recall\">recall</b>: the share of all fraud that it hits.</p>\n",
        );
        plots::precision_and_recall(&mut page, run);
    }
    rules(&mut page, findings);
    overlap(&mut page, findings);
    page.push_str("<h2>Hits by day</h2>\n");
    plots::days(&mut page, run);
    page.push_str("<h2>Amounts</h2>\n<p>Requests by amount, in major units, from the lower bound of each range on.</p>\n");
    plots::amounts(&mut page, run);
    let _ = write!(page, "<h2>The same as text</h2>\n<pre>{}</pre>\n</body></html>\n", escape(&text(run)));
    page
}

fn amounts_of(page: &mut String, rows: &[(&str, Money)]) {
    page.push_str("<table><tr><th></th><th>requests</th><th>amount</th></tr>\n");
    for (what, money) in rows {
        let _ =
            writeln!(page, "<tr><td>{what}</td><td>{}</td><td>{}</td></tr>", money.requests, major(*money));
    }
    page.push_str("</table>\n");
}

/// Which decisions differ, with examples, and what that means for fraud and for good customers.
fn changed(page: &mut String, run: &Run<'_>, changes: &Changes) {
    let _ = writeln!(
        page,
        "<h2>Changed decisions</h2>\n<p>{} of {} decisions differ.</p>",
        changes.total(),
        run.new.rows
    );
    page.push_str("<table><tr><th>old → new</th><th>requests</th><th>such as row</th></tr>\n");
    for (key, n) in &changes.changed {
        let examples: Vec<String> =
            changes.examples.get(key).into_iter().flatten().map(ToString::to_string).collect();
        let (was, is, examples) = (escape(&key.0), escape(&key.1), examples.join(", "));
        let _ = writeln!(page, "<tr><td>{was} → {is}</td><td>{n}</td><td>{examples}</td></tr>");
    }
    page.push_str("</table>\n");
    if run.labelled {
        amounts_of(page, &change_money(changes));
    }
}

fn rules(page: &mut String, findings: &Findings) {
    page.push_str(
        "<h2>Rules</h2>\n<table><tr><th>rule</th><th>mode</th><th>hits</th><th>fraud</th><th>good</th><th>precision</th>\
         <th>recall</th><th>caught</th><th>alone</th><th>first hit</th><th>last hit</th></tr>\n",
    );
    let percent =
        |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |it| format!("{:.2} %", it * 100.0));
    for rule in &findings.rules {
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td></tr>",
            escape(&rule.id),
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
    page.push_str("</table>\n");
}

/// How much of each rule's hits every other rule hits too.
fn overlap(page: &mut String, findings: &Findings) {
    let hit: Vec<(usize, &RuleFindings)> =
        findings.rules.iter().enumerate().filter(|(_, rule)| rule.hits > 0).collect();
    if hit.len() < 2 {
        return;
    }
    page.push_str(
        "<h2>Overlap</h2>\n<p>Of a row's rule, the share of hits that the column's rule hits too.</p>\n\
         <div class=\"wide\"><table><tr><th></th>",
    );
    for number in 1..=hit.len() {
        let _ = write!(page, "<th>{number}</th>");
    }
    page.push_str("</tr>\n");
    for (number, (place, rule)) in (1..).zip(&hit) {
        let _ = write!(page, "<tr><td>{number} {}</td>", escape(&rule.id));
        for (other, _) in &hit {
            let share = rule.with[*other] as f64 / rule.hits as f64 * 100.0;
            match (other == place, rule.with[*other]) {
                (true, _) => page.push_str("<td>–</td>"),
                (false, 0) => page.push_str("<td></td>"),
                (false, _) => {
                    let class = if share > 50.0 { " class=\"half\"" } else { "" };
                    let _ = write!(page, "<td{class}>{share:.0} %</td>");
                }
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
