//! A real Prometheus scrapes a running engine, with the files that the repository ships.

use crate::metrics::{config_dir, config_text};
use crate::support::{EngineProcess, TOLVAN, rules_dir, text};
use crate::traffic::{RULES, send};
use serde_json::Value;
use sparr_protocol::testing::skipped;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a test waits for what must come, in steps of 100 ms.
const STEPS: u32 = 600;

/// Whether a program is there; says so where it is not.
pub(crate) fn is_there(program: &str, unproven: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_err() {
        skipped(&format!("no {program} on the path"), unproven);
    }
    found.is_ok()
}

/// A Prometheus of our own, on a free port. Killed when dropped.
struct Prometheus {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes an engine every second, by the repository's own files.
    fn start(engine: &EngineProcess, features: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let config = config_text("prometheus/prometheus.yml")
            .replace("127.0.0.1:7480", &engine.admin.to_string())
            .replace("interval: 5s", "interval: 1s");
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("written");
        std::fs::copy(config_dir().join("prometheus/alerts.yml"), folder.path().join("alerts.yml"))
            .expect("copied");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(features)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder }
    }

    /// What it answers to a question of its API; none before it listens.
    fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let mut asked =
            ureq::get(format!("{}/api/v1/{path}", self.url)).config().http_status_as_error(false).build();
        for (name, value) in query {
            asked = asked.query(name, value);
        }
        let answer: Value = asked.call().ok()?.body_mut().read_json().ok()?;
        assert_eq!(answer["status"], "success", "{path} {query:?}: {answer}");
        Some(answer["data"].clone())
    }

    /// The series that an expression gives now.
    fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self.ask("query", &[("query", expression)]).unwrap_or_default();
        answer["result"].as_array().cloned().unwrap_or_default()
    }

    /// The value of an expression that gives one series.
    fn value(&self, expression: &str) -> Option<f64> {
        self.query(expression).first()?["value"][1].as_str()?.parse().ok()
    }

    fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        for _ in 0..STEPS {
            if so() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("in vain: {what}\n{:?}", self.ask("targets", &[]));
    }

    fn firing(&self) -> Vec<String> {
        let alerts = self.ask("alerts", &[]).unwrap_or_default();
        let firing = alerts["alerts"].as_array().into_iter().flatten().filter(|one| one["state"] == "firing");
        firing.map(|one| one["labels"]["alertname"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every expression of the dashboard, as Grafana would ask it.
fn dashboard() -> Vec<String> {
    let board: Value = serde_json::from_str(&config_text("grafana/sparr.json")).expect("JSON");
    let panels = board["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let expressions = targets.map(|target| target["expr"].as_str().expect("an expression"));
    expressions.map(|text| text.replace("$__rate_interval", "1m").replace("$instance", ".*")).collect()
}

#[test]
fn a_prometheus_scrapes_an_engine_and_the_dashboard_and_the_alerts_speak_of_it() {
    if !is_there("prometheus", "that a real Prometheus understands the engine's metrics") {
        return;
    }
    let rules = rules_dir(RULES);
    let engine = EngineProcess::start_with(&["--rules", &rules.path().display().to_string()]);
    engine.raise(TOLVAN, "deny");
    send(&engine, 10, 400, 7);
    let prometheus = Prometheus::start(&engine, &[]);
    let native = Prometheus::start(&engine, &["--enable-feature=native-histograms"]);
    let total = "sum(sparr_decisions_total)";
    prometheus.until("it has scraped", || prometheus.value(total) == Some(400.0));
    send(&engine, 1_000, 200, 3);
    for each in [&prometheus, &native] {
        each.until("it has scraped again", || each.value(total) == Some(600.0));
        for (expression, value) in [
            ("sum(sparr_not_screened_total{why=\"identity_malformed\"})", 10.0),
            ("sum(sparr_decisions_total{outcome=\"decline\"})", 60.0),
            ("sum(sparr_rule_hits_total{rule=\"large\", mode=\"enforce\"})", 60.0),
            ("sparr_flags{state=\"active\"}", 1.0),
        ] {
            assert_eq!(each.value(expression), Some(value), "{expression}");
        }
    }
    assert_eq!(prometheus.value("sparr_decision_duration_seconds_count"), Some(610.0));

    // Panels about other engines, and about what must not be, may be empty; all others show something.
    let may_be_empty = |expression: &str| {
        ["> 0", "== 1", "sparr_exchange_", "sparr_propagation_"].iter().any(|part| expression.contains(part))
    };
    let dashboard = dashboard();
    assert!(dashboard.iter().filter(|expression| !may_be_empty(expression)).count() > 20);
    for expression in &dashboard {
        let shown = || !prometheus.query(expression).is_empty();
        prometheus.until(expression, || may_be_empty(expression) || shown());
        assert!(prometheus.ask("query", &[("query", expression)]).is_some());
    }

    // The same percentile out of native buckets lies in the classic bucket that holds it.
    let count = "histogram_count(sparr_decision_duration_seconds)";
    native.until("the native histogram is there", || native.value(count) == Some(610.0));
    let median = native.value("histogram_quantile(0.5, sparr_decision_duration_seconds)").expect("a median");
    // Bounds of the classic buckets, by whether they hold half of the requests.
    let bounds = |compared: &str| -> Vec<f64> {
        let series = prometheus.query(&format!("sparr_decision_duration_seconds_bucket {compared} 305"));
        series.iter().filter_map(|one| one["metric"]["le"].as_str()?.parse().ok()).collect()
    };
    let above = bounds(">=").into_iter().fold(f64::INFINITY, f64::min);
    let below = bounds("<").into_iter().fold(0.0, f64::max);
    assert!(above.is_finite() && below < above, "{below} to {above}");
    // A value may lie one native bucket off.
    assert!((below * 0.91..=above * 1.1).contains(&median), "{median} not in {below} to {above}");
    assert!(prometheus.query(count).is_empty(), "the control: without the feature there is none");

    // Alerts are understood, quiet while all is well, and not while it is not.
    assert_eq!(prometheus.firing(), Vec::<String>::new());
    std::fs::write(rules.path().join("broken.yaml"), "rules:\n  - id: x\n    when: amount_minr > 1\n")
        .expect("written");
    assert_eq!(engine.http("POST", "/-/reload").0, 422);
    let refused = || prometheus.firing().iter().any(|name| name == "SparrReloadRefused");
    prometheus.until("the refused load fires", refused);
    let groups = prometheus.ask("rules", &[]).expect("rules");
    let loaded = groups["groups"][0]["rules"].as_array().expect("rules").clone();
    assert!(loaded.iter().all(|rule| rule["health"] == "ok"), "{loaded:?}");
    engine.kill();
    let down = || prometheus.value("up") == Some(0.0);
    prometheus.until("the engine is seen to be gone", down);
}

#[test]
fn promtool_accepts_the_rules_and_the_page() {
    if !is_there("promtool", "that Prometheus accepts the alert rules and the metrics page") {
        return;
    }
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let ran = Command::new("promtool")
            .args(arguments)
            .current_dir(config_dir().join("prometheus"))
            .output()
            .expect("it runs");
        assert!(ran.status.success(), "{arguments:?}: {}{}", text(&ran.stdout), text(&ran.stderr));
    }
    let engine = EngineProcess::start();
    send(&engine, 10, 50, 1);
    let page = engine.get("/metrics").1;
    // It reads the older format, in which a counter's family has the name of its samples.
    let older: String = page
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words.as_slice() {
                ["#", what, name, rest] if page.contains(&format!("# TYPE {name} counter\n")) => {
                    format!("# {what} {name}_total {rest}\n")
                }
                _ => format!("{line}\n"),
            }
        })
        .collect();
    let lint = |page: &str| {
        let mut child = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        child.stdin.take().expect("piped").write_all(page.as_bytes()).expect("written");
        let ran = child.wait_with_output().expect("gone");
        (ran.status.success(), text(&ran.stdout) + &text(&ran.stderr))
    };
    assert_eq!(lint(&older), (true, String::new()));
    let (accepted, said) = lint("# TYPE sparr_invented counter\nsparr_invented 1\n");
    assert!(!accepted && said.contains("_total"), "the control: {said}");
}
