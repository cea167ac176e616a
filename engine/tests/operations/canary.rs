//! A flagged person whom nobody is: stopped as long as the flag acts, told of as soon as it does not.

use crate::support::{EngineProcess, TOLVAN, sparr, text};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

/// A published test number with a serial that is given to nobody.
const CANARY: &str = "189001019802";

fn start(folder: &tempfile::TempDir) -> EngineProcess {
    let file = folder.path().join("engine.toml");
    std::fs::write(
        &file,
        format!("[alerts]\nwindow_seconds = 5\ncanary_seconds = 5\ncanary = \"{CANARY}\"\n"),
    )
    .expect("written");
    EngineProcess::start_in(folder.path(), &["--config", &file.display().to_string()])
}

fn now(engine: &EngineProcess) -> Value {
    serde_json::from_str(&engine.get("/api/now").1).expect("JSON")
}

/// Names of the alerts that stand.
fn standing(engine: &EngineProcess) -> Vec<String> {
    let now = now(engine);
    let standing = now["alerts"]["standing"].as_array().expect("alerts").iter();
    standing.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..600 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("in vain: {what}");
}

/// Sends one, and says how the command ended and what it printed of the canary.
fn send(engine: &EngineProcess, more: &[&str]) -> (Option<i32>, String) {
    let sent = engine.sparr(&[&["canary"], more].concat());
    let line: Value = serde_json::from_slice(&sent.stdout).unwrap_or_default();
    (sent.status.code(), line["canary"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_canary_is_stopped_by_its_flag_and_told_of_without_it() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = start(&folder);
    let one: &[&str] = &["--subject", CANARY];
    until("nobody sends one", || standing(&engine) == ["canary_missing"]);
    // The negative control: without a flag the person is not stopped, and it is told.
    assert_eq!(send(&engine, one), (Some(1), "passed".to_owned()));
    until("it is told of", || standing(&engine) == ["canary_passed"]);
    assert_eq!(engine.metric("sparr_alert{name=\"canary_passed\",about=\"\"}"), 1.0);
    for wish in ["verify", "deny"] {
        engine.raise(CANARY, wish);
        assert_eq!(send(&engine, one), (Some(0), "stopped".to_owned()), "{wish}");
    }
    until("all is well", || standing(&engine).is_empty());
    // A request of one's own; one that the engine does not screen shows nothing of the flag.
    let own = json!({"request_id": "0000000000000000000000000000000a", "kind": "transfer", "amount_minor": 5, "currency": "SEK", "subject": CANARY});
    assert_eq!(send(&engine, &["--request", &own.to_string()]), (Some(0), "stopped".to_owned()));
    let mut late = own;
    late["event_time"] = "2001-01-01T00:00:00Z".into();
    assert_eq!(send(&engine, &["--request", &late.to_string()]), (Some(1), "not_screened".to_owned()));
    until("it is told of", || standing(&engine) == ["canary_passed"]);
    for (fate, n) in [("stopped", 3), ("passed", 1), ("not_screened", 1)] {
        assert_eq!(engine.metric(&format!("sparr_canary_total{{end=\"{fate}\"}}")), f64::from(n), "{fate}");
        assert_eq!(now(&engine)["canary"]["fates"][fate], n, "{fate}");
    }
    // Of whom it came from there is the member and the role, of nobody else.
    let gateway = "sparr_caller_requests_total{member=\"dev\",role=\"gateway\",end=";
    assert_eq!(engine.metric(&format!("{gateway}\"decided\"}}")), 4.0);
    assert_eq!(engine.metric(&format!("{gateway}\"not_screened\"}}")), 1.0);
}

/// Every second one, through an engine that is killed and comes back: the sender goes on and says what it saw.
#[test]
fn a_canary_every_second_outlives_its_engine() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = start(&folder);
    engine.raise(CANARY, "deny");
    let listen = engine.listen.to_string();
    let mut sender = sparr()
        .args(["canary", "--every", "1", "--subject", CANARY, "--data-dir"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(sender.stdout.take().expect("piped")).lines();
    let mut next = |wanted: &str| {
        let found = lines
            .by_ref()
            .take(60)
            .map_while(Result::ok)
            .find(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line["canary"] == wanted));
        assert!(found.is_some(), "no {wanted} in 60 lines");
    };
    next("stopped");
    engine.kill();
    next("no_answer");
    let file = folder.path().join("engine.toml").display().to_string();
    let engine = EngineProcess::start_in(folder.path(), &["--config", &file, "--listen", &listen]);
    next("stopped");
    until("the engine has seen it", || now(&engine)["canary"]["last"] == "stopped");
    sender.kill().expect("killed");
    sender.wait().expect("gone");
    until("nobody sends one", || standing(&engine).contains(&"canary_missing".to_owned()));
}

#[test]
fn a_number_that_could_be_somebodys_is_no_canary() {
    let engine = EngineProcess::start();
    for (arguments, said) in [
        (&["--subject", TOLVAN][..], "a canary's number is one that is published for tests"),
        (&["--subject", "189001019803"], "the check digit does not agree"),
        (&["--request", "{\"kind\": \"invoice\"}"], "request_id"),
        (&["--subject", CANARY, "--every", "0"], "0"),
        (&[], "--subject"),
    ] {
        let refused = engine.sparr(&[&["canary"], arguments].concat());
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        let error = text(&refused.stderr);
        assert!(error.contains(said) && !error.contains(TOLVAN), "{arguments:?}: {error}");
    }
}
