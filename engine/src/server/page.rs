//! The plain page of the admin port, for browsers without scripts and for a look from a shell: what an operator asks
//! first, as HTML that reloads itself.

use super::admin::Admin;
use crate::metrics::WorkerStats;
use crate::screen::Stage;
use crate::state::Moment;
use hdrhistogram::Histogram;
use std::fmt::Write as _;

const STYLE: &str = "
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.25rem; } h2 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } pre { overflow-x: auto; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 2.5rem; align-items: start; }
";

/// How the decision log stands, in a line.
fn decision_log(admin: &Admin) -> String {
    let Some(log) = &admin.log else { return "off: every answer says unlogged".to_owned() };
    let size = log.size();
    let well = if log.is_well() { "" } else { "; IT CANNOT BE WRITTEN" };
    format!(
        "{} answers, {} on their way, {} dropped, {} gaps{well}",
        size.written, size.waiting, size.dropped, size.gaps
    )
}

/// The page.
pub(super) fn render(admin: &Admin, moment: Moment) -> String {
    let total = admin.metrics.total();
    let mut body = String::new();
    head(&mut body, admin, moment);
    body.push_str("<div class=columns>");
    counts(&mut body, "Decisions", total.outcomes().map(|(outcome, n)| (outcome.name(), n)));
    counts(&mut body, "Reviews", total.reviews().map(|(review, n)| (review.name(), n)));
    let not_screened = total.not_screened().filter(|(_, n)| *n > 0);
    counts(&mut body, "Not screened", not_screened.map(|(why, n)| (why.name(), n)));
    body.push_str("</div>");
    latencies(&mut body, &total);
    rules(&mut body, admin);
    velocity(&mut body, admin);
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta http-equiv=refresh content=5><title>sparr</title><style>{STYLE}</style><body>{body}</body></html>"
    )
}

fn head(out: &mut String, admin: &Admin, moment: Moment) {
    let state = &admin.state;
    let position = state.position();
    let flags = state.stores.flags.size(state.now(moment));
    let ready = if state.is_ready() { "screening" } else { "not screening" };
    push(out, format_args!("<h1>sparr · {ready}</h1><table>"));
    let rules = match state.rules().as_ref() {
        Some(active) => {
            format!("{} rules, digest <code>{}</code>", active.set.rules().len(), active.set.digest())
        }
        None => "none: every request is not screened (no_rules)".to_owned(),
    };
    let velocity = state.stores.velocity.size();
    let recent = state.recent.size();
    for (what, value) in [
        ("Rule set", rules),
        (
            "Position",
            format!("engine {}, epoch {}, {} records", position.engine, position.epoch, position.index),
        ),
        ("Staleness", format!("{} ms", state.staleness_ms(super::clock::moment()))),
        ("Flags", format!("{} subjects, {} active", flags.subjects, flags.active)),
        ("Velocity", format!("{} keys, {} KiB", velocity.keys, velocity.bytes / 1_024)),
        (
            "Recent requests",
            format!("{} kept, {} KiB, {} missed", recent.requests, recent.bytes / 1_024, recent.missed),
        ),
        ("Recalls", admin.recalls.found().to_string()),
        ("Decision log", decision_log(admin)),
    ] {
        push(out, format_args!("<tr><th>{what}<td>{value}"));
    }
    out.push_str("</table>");
    if let Some(report) = admin.reloader.last() {
        match report.result {
            Ok(_) => push(out, format_args!("<p>Rules loaded {}, {} warnings.", report.at, report.warnings)),
            Err(problem) => push(
                out,
                format_args!(
                    "<p>The last load, {}, was refused; what decided before goes on:<pre>{}</pre>",
                    report.at,
                    escape(&problem)
                ),
            ),
        }
    }
}

fn counts<'a>(out: &mut String, title: &str, lines: impl Iterator<Item = (&'a str, u64)>) {
    push(out, format_args!("<section><h2>{title}</h2><table>"));
    for (name, n) in lines {
        push(out, format_args!("<tr><td>{name}<td class=n>{n}"));
    }
    out.push_str("</table></section>");
}

fn latencies(out: &mut String, total: &WorkerStats) {
    out.push_str("<h2>Time in the engine, µs</h2><table><tr><th>stage<th class=n>p50<th class=n>p90<th class=n>p99<th class=n>p99.9<th class=n>max");
    let stages = Stage::ALL.into_iter().map(|stage| (stage.name(), total.stage_times(stage)));
    for (name, histogram) in std::iter::once(("read to answer", total.decisions())).chain(stages) {
        push(out, format_args!("<tr><td>{name}"));
        for value in percentiles(histogram) {
            push(out, format_args!("<td class=n>{value:.1}"));
        }
    }
    out.push_str("</table>");
}

/// p50, p90, p99, p99.9 and the longest, in microseconds.
fn percentiles(histogram: &Histogram<u64>) -> [f64; 5] {
    let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
    [at(0.5), at(0.9), at(0.99), at(0.999), histogram.max() as f64 / 1e3]
}

fn rules(out: &mut String, admin: &Admin) {
    out.push_str(
        "<h2>Rules that hit</h2><table><tr><th>rule<th class=n>enforced<th class=n>shadow<th class=n>failed\
         <th class=n>labelled<th class=n>precision",
    );
    let labels = admin.state.aftermath.rules();
    for (id, hits) in admin.metrics.rule_hits() {
        let known = labels.get(&id).copied().unwrap_or_default();
        let precision = known.precision().map_or_else(|| "–".to_owned(), |it| format!("{:.1} %", it * 100.0));
        push(
            out,
            format_args!(
                "<tr><td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{precision}",
                escape(&id),
                hits.enforced,
                hits.shadow,
                hits.errors,
                known.fraud + known.good
            ),
        );
    }
    out.push_str("</table>");
}

/// Memory by the key that rules count by.
fn velocity(out: &mut String, admin: &Admin) {
    let velocity = &admin.state.stores.velocity;
    out.push_str(
        "<h2>Velocity</h2><table><tr><th>key<th class=n>keys<th class=n>KiB<th class=n>bytes for each key",
    );
    let mut line = |name: &str, keys: usize, bytes: usize| {
        let each = bytes / keys.max(1);
        let name = escape(name);
        push(
            out,
            format_args!("<tr><td>{name}<td class=n>{keys}<td class=n>{}<td class=n>{each}", bytes / 1_024),
        );
    };
    for size in velocity.sizes() {
        line(&size.key.text(), size.keys, size.bytes);
    }
    let all = velocity.size();
    line("all, with room for keys to come", all.keys, all.bytes);
    out.push_str("</table>");
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(arguments);
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
