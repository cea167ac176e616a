//! A run as a page that stands alone: percentiles, latency over time, answers. Nothing is fetched from anywhere.

use crate::measure::{Measured, Window};
use crate::tally::Tally;
use hdrhistogram::Histogram;
use std::fmt::Write as _;

/// What the page shows.
pub struct Report<'a> {
    /// What was run, in words.
    pub title: &'a str,
    /// The same as the terminal shows.
    pub summary: &'a str,
    /// The answers.
    pub tally: &'a Tally,
    /// Times of the whole run.
    pub measured: &'a Measured,
    /// The p99 that was asked for, µs.
    pub budget_us: u64,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
/// Room for the labels at the left and below.
const LEFT: f64 = 70.0;
const BELOW: f64 = 34.0;

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let mut page = String::new();
        let title = escape(self.title);
        push(
            &mut page,
            format_args!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
                 <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n<style>{STYLE}</style>\
                 </head><body>\n<h1>{title}</h1>\n"
            ),
        );
        for doubt in self.measured.doubts() {
            push(&mut page, format_args!("<p class=\"doubt\">INVALID: {}</p>\n", escape(&doubt)));
        }
        page.push_str("<h2>Latency by percentile</h2>\n");
        self.percentiles(&mut page);
        page.push_str("<h2>Latency over time</h2>\n");
        self.over_time(&mut page);
        page.push_str("<h2>Answers</h2>\n<table><tr><th>outcome</th><th>requests</th></tr>\n");
        for (outcome, answers) in &self.tally.outcomes {
            push(&mut page, format_args!("<tr><td>{outcome}</td><td>{answers}</td></tr>\n"));
        }
        for ((why, field), answers) in &self.tally.not_screened {
            let field = field.map(|field| format!(" ({field})")).unwrap_or_default();
            push(&mut page, format_args!("<tr><td>not screened: {why}{field}</td><td>{answers}</td></tr>\n"));
        }
        push(&mut page, format_args!("</table>\n<pre>{}</pre>\n</body></html>\n", escape(self.summary)));
        page
    }

    /// Latency and lateness against the percentile, stretched so that each further nine takes the same room.
    fn percentiles(&self, page: &mut String) {
        let Measured { latency, lateness, .. } = self.measured;
        let nines_max = (latency.len().max(10) as f64).log10();
        let top = latency.max().max(self.budget_us * 1_000) as f64;
        let line = |histogram: &Histogram<u64>| {
            let steps = 200;
            let points = (0..=steps).map(|step| {
                let nines = nines_max * f64::from(step) / f64::from(steps);
                let value = histogram.value_at_quantile(1.0 - 10f64.powf(-nines));
                (nines / nines_max, value as f64)
            });
            points.collect::<Vec<_>>()
        };
        open_chart(page, "Latency and the generator's lateness by percentile");
        for (nines, label) in
            [(0.0, "0"), (1.0, "90"), (2.0, "99"), (3.0, "99.9"), (4.0, "99.99"), (5.0, "99.999")]
        {
            if nines <= nines_max {
                down_label(page, nines / nines_max, label);
            }
        }
        left_labels(page, top);
        budget(page, self.budget_us, top);
        polyline(page, "latency", &line(latency), top);
        polyline(page, "lateness", &line(lateness), top);
        page.push_str("</svg>\n<p><b class=\"latency\">latency</b> <b class=\"lateness\">the generator's own lateness</b> <b class=\"budget\">budget</b></p>\n");
    }

    /// Percentiles of each window of 200 ms.
    fn over_time(&self, page: &mut String) {
        let windows = &self.measured.windows;
        let end = windows.last().map_or(1, |window| window.start_ns + 1) as f64;
        let top =
            windows.iter().map(|window| window.max_ns).max().unwrap_or(1).max(self.budget_us * 1_000) as f64;
        let line = |of: fn(&Window) -> u64| {
            windows.iter().map(|window| (window.start_ns as f64 / end, of(window) as f64)).collect::<Vec<_>>()
        };
        open_chart(page, "Latency over time");
        for part in 0..=5 {
            let at = f64::from(part) / 5.0;
            down_label(page, at, &format!("{:.1} s", end / 1e9 * at));
        }
        left_labels(page, top);
        budget(page, self.budget_us, top);
        polyline(page, "max", &line(|window| window.max_ns), top);
        polyline(page, "latency", &line(|window| window.p99_ns), top);
        polyline(page, "p50", &line(|window| window.p50_ns), top);
        page.push_str("</svg>\n<p><b class=\"p50\">p50</b> <b class=\"latency\">p99</b> <b class=\"max\">max</b> <b class=\"budget\">budget</b>, of each 200 ms</p>\n");
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884}body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:2rem auto;\
padding:0 1rem}svg{width:100%;height:auto;font-size:12px}text{fill:currentColor}polyline{fill:none;stroke-width:2}\
.grid{stroke:var(--line)}polyline.latency{stroke:#2563eb}polyline.lateness{stroke:#9333ea;stroke-dasharray:2 3}\
polyline.p50{stroke:#059669;stroke-dasharray:7 3}polyline.max{stroke:#9ca3af}line.budget{stroke:#dc2626;\
stroke-dasharray:9 4;stroke-width:2}b.latency{color:#2563eb}b.lateness{color:#9333ea}b.p50{color:#059669}\
b.max{color:#6b7280}b.budget{color:#dc2626}.doubt{font-weight:bold;border:2px solid #dc2626;padding:.5rem}\
td,th{text-align:left;padding:.2rem 1rem .2rem 0}pre{overflow-x:auto}";

fn open_chart(page: &mut String, label: &str) {
    push(
        page,
        format_args!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{label}\">\n",
            LEFT + WIDTH,
            HEIGHT + BELOW
        ),
    );
}

/// Heights are logarithmic from a microsecond to the largest value.
fn height(ns: f64, top: f64) -> f64 {
    let share = (ns.max(1_000.0) / 1_000.0).ln() / (top.max(2_000.0) / 1_000.0).ln();
    HEIGHT * (1.0 - share.clamp(0.0, 1.0))
}

fn left_labels(page: &mut String, top: f64) {
    let mut ns = 1_000.0;
    while ns <= top {
        let at = height(ns, top);
        let label = if ns < 1e6 { format!("{:.0} µs", ns / 1e3) } else { format!("{:.0} ms", ns / 1e6) };
        push(
            page,
            format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n",
                LEFT + WIDTH,
                LEFT - 6.0,
                at + 4.0
            ),
        );
        ns *= 10.0;
    }
}

fn down_label(page: &mut String, share: f64, label: &str) {
    let at = LEFT + WIDTH * share;
    let anchor = if share > 0.95 { "end" } else { "middle" };
    push(
        page,
        format_args!(
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{HEIGHT}\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>\n",
            HEIGHT + 20.0
        ),
    );
}

fn budget(page: &mut String, budget_us: u64, top: f64) {
    let at = height(budget_us as f64 * 1e3, top);
    push(
        page,
        format_args!(
            "<line class=\"budget\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\n",
            LEFT + WIDTH
        ),
    );
}

fn polyline(page: &mut String, class: &str, points: &[(f64, f64)], top: f64) {
    push(page, format_args!("<polyline class=\"{class}\" points=\""));
    for (share, ns) in points {
        push(page, format_args!("{:.1},{:.1} ", LEFT + WIDTH * share, height(*ns, top)));
    }
    page.push_str("\"/>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(arguments);
}
