//! An engine tells what it notices of itself: on the page, as a metric, and in its log.

use crate::support::{EngineProcess, rules_dir};
use crate::traffic::{RULES, block_on, payment};
use serde_json::Value;
use sparr_protocol::client::Client;
use std::time::Duration;

/// How long a test waits for what must come, in payments of 5 ms.
const PAYMENTS_MAX: u64 = 12_000;

/// Windows of five seconds, the shortest.
const CONFIG: &str = "[alerts]\nwindow_seconds = 5\nbaseline_seconds = 30\nrule_hits_min = 20\n";

fn start(rules: &std::path::Path, more: &str) -> (EngineProcess, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("engine.toml");
    std::fs::write(&file, format!("{CONFIG}{more}")).expect("written");
    let (rules, file) = (rules.display().to_string(), file.display().to_string());
    (EngineProcess::start_in(folder.path(), &["--config", &file, "--rules", &rules]), folder)
}

fn now(engine: &EngineProcess) -> Value {
    serde_json::from_str(&engine.get("/api/now").1).expect("JSON")
}

/// Whether an alert stands, as the page's data say it.
fn stands(engine: &EngineProcess, name: &str) -> bool {
    now(engine)["alerts"]["standing"].as_array().expect("alerts").iter().any(|one| one["name"] == name)
}

/// Events of the log about an alert, with the beginning of what they say.
fn logged(engine: &EngineProcess, name: &str) -> Vec<(String, String)> {
    let log = engine.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of = lines.filter(|line| line["alert"] == name);
    let said = |line: Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    of.map(|line| {
        let message = said(line.clone(), "message");
        (said(line, "about"), message.split(':').next().unwrap_or_default().to_owned())
    })
    .collect()
}

/// A rule that hits one payment in ten is edited so that it hits none: the slip that nobody sees in the answers.
#[test]
fn a_rule_that_stopped_firing_is_told_of_until_it_fires_again() {
    let rules = rules_dir(RULES);
    let (engine, _folder) = start(rules.path(), "");
    let reload = |text: &str| {
        std::fs::write(rules.path().join("rules.yaml"), text).expect("written");
        assert_eq!(engine.http("POST", "/-/reload").0, 200);
    };
    block_on(async {
        let client = Client::connect(engine.client("gateway")).await.expect("connected");
        let mut number = 10;
        // Payments go on until something is so.
        let mut pay_until = async |what: &str, so: &dyn Fn(u64) -> bool| {
            for sent in 0..PAYMENTS_MAX {
                client.screen(&payment(number)).await.expect("an answer");
                number += 1;
                tokio::time::sleep(Duration::from_millis(3)).await;
                if sent % 100 == 0 && so(sent) {
                    return;
                }
            }
            panic!("in vain: {what}: {}\n{}", now(&engine)["alerts"], engine.log());
        };
        // The control: for twice the time that a rule is judged by, all is as usual, and nothing is said.
        pay_until("all is usual", &|sent| sent >= 3_000).await;
        assert_eq!(now(&engine)["alerts"]["standing"], serde_json::json!([]));
        assert_eq!(engine.metric("sparr_alert{name=\"stale\",about=\"\"}"), 0.0);
        let never = RULES.replace("> 500000", "> 50000000").replace("500001", "50000001");
        reload(&never.replace("no_match: { amount_minor: 500000 }", "no_match: { amount_minor: 50000000 }"));
        pay_until("the silent rule is told of", &|_| stands(&engine, "rule_silent")).await;
        assert_eq!(engine.metric("sparr_alert{name=\"rule_silent\",about=\"large\"}"), 1.0);
        reload(RULES);
        pay_until("it is over", &|_| !stands(&engine, "rule_silent")).await;
        client.close().await;
    });
    let said = |message: &str| ("large".to_owned(), message.to_owned());
    assert_eq!(logged(&engine, "rule_silent"), [said("alert begins"), said("alert ends")]);
    assert_eq!(engine.metric("sparr_alert{name=\"rule_silent\",about=\"large\"}"), 0.0);
    let events = now(&engine)["alerts"]["events"].clone();
    assert!(events.as_array().is_some_and(|events| events.len() >= 2), "{events}");
}

#[test]
fn a_cut_exchange_and_a_gap_in_the_decision_log_are_told_of() {
    let rules = rules_dir(RULES);
    let more = "stale_ms = 100\n[exchange]\nnats = [\"nats://127.0.0.1:1\"]\n";
    let (engine, folder) = start(rules.path(), more);
    let until = |what: &str, engine: &EngineProcess, so: &dyn Fn() -> bool| {
        for _ in 0..600 {
            if so() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("in vain: {what}: {}", now(engine)["alerts"]);
    };
    until("the state is old", &engine, &|| stands(&engine, "stale"));
    assert!(!stands(&engine, "decision_log_gap"), "the first life has no gap");
    assert_eq!(engine.metric("sparr_alert{name=\"stale\",about=\"\"}"), 1.0);
    engine.kill();
    // The next life begins with the gap that the kill has left.
    let file = folder.path().join("engine.toml").display().to_string();
    let engine = EngineProcess::start_in(folder.path(), &["--config", &file]);
    until("the gap", &engine, &|| stands(&engine, "decision_log_gap"));
    assert_eq!(logged(&engine, "decision_log_gap"), [(String::new(), "alert begins".to_owned())]);
    until("it is over after a window", &engine, &|| !stands(&engine, "decision_log_gap"));
}
