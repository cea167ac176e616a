//! Every metric that the files for Prometheus and Grafana name is on the page of a running engine, and every alert has its
//! place in the runbook.

use crate::support::EngineProcess;
use sparr_engine::metrics::METRICS;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folder of the files that the repository ships.
pub(crate) fn config_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config")
}

pub(crate) fn config_text(name: &str) -> String {
    std::fs::read_to_string(config_dir().join(name)).expect("readable")
}

/// Every metric that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("sparr_").map(|(at, _)| &text[at..]);
    starts
        .map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            rest[..end.unwrap_or(rest.len())].to_owned()
        })
        .collect()
}

/// Every name that a sample of the page can have.
fn offered(page: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in page.lines() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) else {
            continue;
        };
        let ends: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "gauge" => &[""],
            other => panic!("{name} is a {other}"),
        };
        names.extend(ends.iter().map(|end| format!("{name}{end}")));
    }
    names
}

/// An engine that has an exchange to say something about, though nobody else is there.
fn networked() -> (EngineProcess, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("engine.toml");
    std::fs::write(&file, "[exchange]\nnats = [\"nats://127.0.0.1:1\"]\n").expect("written");
    (EngineProcess::start_in(folder.path(), &["--config", &file.display().to_string()]), folder)
}

#[test]
fn every_metric_that_a_file_names_is_on_the_page() {
    let (engine, _folder) = networked();
    let page = engine.get("/metrics").1;
    let offered = offered(&page);
    let missing = |text: &str| named(text).difference(&offered).cloned().collect::<Vec<_>>();
    for file in ["prometheus/alerts.yml", "grafana/sparr.json", "prometheus/alerts.test.yml", "RUNBOOK.md"] {
        let text = config_text(file);
        assert!(!named(&text).is_empty(), "{file} names metrics");
        assert_eq!(missing(&text), Vec::<String>::new(), "{file}");
    }
    // The control: what nobody counts is noticed, in any of the forms.
    let invented = "rate(sparr_decision_total{a=\"b\"}[5m]) > sparr_invented / sparr_flags_bucket";
    assert_eq!(missing(invented), ["sparr_decision_total", "sparr_flags_bucket", "sparr_invented"]);
    // And what the engine says that it has, it has.
    for metric in METRICS {
        assert!(offered.iter().any(|name| name.starts_with(metric.name)), "{}", metric.name);
    }
    // Those that the design of operations promises.
    for name in [
        "sparr_decision_duration_seconds_bucket",
        "sparr_stage_duration_seconds_bucket",
        "sparr_decisions_total",
        "sparr_not_screened_total",
        "sparr_rule_hits_total",
        "sparr_staleness_seconds",
        "sparr_propagation_seconds",
        "sparr_rule_set_info",
        "sparr_reload_success",
        "sparr_flags",
        "sparr_journal_fsync_seconds_bucket",
        "sparr_decision_log_dropped_total",
    ] {
        assert!(offered.contains(name), "{name}");
    }
}

#[test]
fn every_alert_has_its_place_in_the_runbook() {
    let (alerts, runbook) = (config_text("prometheus/alerts.yml"), config_text("RUNBOOK.md"));
    let of = |key: &str| -> Vec<String> {
        let lines = alerts.lines().filter_map(|line| line.trim_start().strip_prefix(key));
        lines.map(|rest| rest.trim().trim_matches('"').to_owned()).collect()
    };
    let (names, links) = (of("- alert:"), of("runbook:"));
    let places: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(names, places);
    let expected: Vec<String> =
        names.iter().map(|name| format!("config/RUNBOOK.md#{}", name.to_lowercase())).collect();
    assert_eq!(links, expected);
}
