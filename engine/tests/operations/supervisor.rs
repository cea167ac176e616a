//! An engine under a supervisor: what it says of itself, and that reloads and a stop lose nothing that was asked.

use crate::support::{EngineProcess, rules_dir, sparr};
use crate::traffic::{RULES, block_on, payment};
use futures_util::StreamExt as _;
use serde_json::Value;
use sparr_protocol::client::Client;
use std::cell::Cell;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Calls that are under way at a time.
const IN_FLIGHT: usize = 64;

/// A gateway with time: what it does not get within five seconds is lost.
async fn connect(engine: &EngineProcess) -> Client {
    let mut config = engine.client("gateway");
    config.timeout = Duration::from_secs(5);
    Client::connect(config).await.expect("connected")
}

/// What a supervisor hears, one message after the other.
struct Heard(UnixDatagram);

impl Heard {
    fn next(&self) -> String {
        let mut bytes = [0; 4_096];
        let length = self.0.recv(&mut bytes).expect("the engine says something");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// The next message that says this; what comes before it may only be the watchdog's.
    fn until(&self, words: &str) -> String {
        loop {
            let said = self.next();
            if said.contains(words) {
                return said;
            }
            assert_eq!(said.trim(), "WATCHDOG=1", "before {words}");
        }
    }
}

#[test]
fn a_supervisor_is_told_when_it_serves_loads_again_and_stops_and_the_watchdog_is_fed() {
    let folder = tempfile::tempdir().expect("folder");
    let socket = folder.path().join("notify");
    let heard = Heard(UnixDatagram::bind(&socket).expect("a socket"));
    heard.0.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let mut command = sparr();
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"]);
    command.arg(folder.path()).env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "300000");
    let engine = EngineProcess::spawn(&mut command, folder.path());
    heard.until("READY=1");
    (0..3).for_each(|_| drop(heard.until("WATCHDOG=1")));
    engine.signal("HUP");
    assert!(heard.until("RELOADING=1").contains("MONOTONIC_USEC="));
    heard.until("READY=1");
    engine.signal("TERM");
    heard.until("STOPPING=1");
    assert_eq!(engine.wait(), Some(0));
}

/// Payments go on while everything that can be read again is read again.
#[test]
fn reloads_under_load_lose_no_request() {
    let rules = rules_dir(RULES);
    let engine = EngineProcess::start_with(&["--rules", &rules.path().display().to_string()]);
    let reloads = engine.metric("sparr_reloads_total");
    let answers = block_on(async {
        let client = connect(&engine).await;
        let (client, engine, rules) = (&client, &engine, &rules);
        let sent = futures_util::stream::iter(10..4_010_u64).map(|number| async move {
            if number % 400 == 0 {
                // Another set each time, and one that is broken now and then.
                let limit = 500_000 + number;
                let text = if number % 1_200 == 0 {
                    "rules: [".to_owned()
                } else {
                    RULES.replace("500000", &limit.to_string()).replace("500001", &(limit + 1).to_string())
                };
                std::fs::write(rules.path().join("rules.yaml"), text).expect("written");
                engine.signal("HUP");
            }
            client.screen(&payment(number)).await.is_ok_and(|answer| answer.answer.is_ok())
        });
        let answers: Vec<bool> = sent.buffer_unordered(IN_FLIGHT).collect().await;
        client.close().await;
        answers
    });
    assert_eq!(answers.iter().filter(|answered| **answered).count(), 4_000);
    // Signals that came while one was carried out are one: but some were, and both kinds.
    let counted = || (engine.metric("sparr_reloads_total"), engine.metric("sparr_reload_failures_total"));
    assert!(counted().0 > reloads, "{:?}", counted());
}

/// Whatever the engine answered while it stopped, somebody got: what is in the decision log is what was received.
#[test]
fn a_stop_under_load_loses_no_answer() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = rules_dir(RULES);
    let rules_path = rules.path().display().to_string();
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules_path]);
    let received = block_on(async {
        let client = connect(&engine).await;
        let (client, engine, stopped, gone) = (&client, &engine, &Cell::new(false), &Cell::new(false));
        let sent = futures_util::stream::iter(10..3_010_u64).map(|number| async move {
            if number > 1_500 && !stopped.replace(true) {
                engine.signal("TERM");
            }
            // Who is told once that nobody is there asks no more.
            let answered = !gone.get()
                && client.screen(&payment(number)).await.is_ok_and(|answer| answer.answer.is_ok());
            gone.set(!answered);
            answered
        });
        let answers: Vec<bool> = sent.buffer_unordered(IN_FLIGHT).collect().await;
        answers.iter().filter(|answered| **answered).count()
    });
    assert_eq!(engine.wait(), Some(0));
    assert!(received >= 1_400, "{received} were answered before and while it stopped");
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules_path]);
    let listed = engine.sparr(&["decisions", "--json", "--limit", "10000"]);
    let lines = String::from_utf8_lossy(&listed.stdout).into_owned();
    let logged = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let logged = logged.filter(|line| line["request_id"].is_string() && line["outcome"].is_string()).count();
    assert_eq!(logged, received, "{}", lines.lines().take(3).collect::<Vec<_>>().join("\n"));
}

/// The control of the stop: what has not reached the engine is not answered, and the client says so.
#[test]
fn an_engine_that_is_killed_leaves_calls_without_an_answer() {
    let engine = EngineProcess::start();
    let answered = block_on(async {
        let client = Client::connect(engine.client("gateway")).await.expect("connected");
        assert!(client.screen(&payment(10)).await.is_ok_and(|answer| answer.answer.is_ok()));
        engine.signal("KILL");
        client.screen(&payment(11)).await.is_ok_and(|answer| answer.answer.is_ok())
    });
    assert!(!answered);
}
