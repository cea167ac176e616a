//! Who asked about whom is on the disk: all of it, chained, and after a kill it says what may be missing (P24).

use crate::exchange::{done, run_as};
use crate::support::{EngineProcess, TOLVAN, shipped_rules, sparr, text, until_gone};
use serde_json::Value;
use sparr_engine::server::clock;
use sparr_loadgen::workload::personal_number;
use sparr_protocol::client::Client;
use sparr_protocol::codes::SubjectKind;
use sparr_protocol::exchange::{ExchangeRequest, Operation, SubjectText};
use sparr_protocol::ids::RequestId;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;

fn audit(data_dir: &Path, command: &str) -> (Option<i32>, Value) {
    let output =
        sparr().args(["audit", command, "--json", "--data-dir"]).arg(data_dir).output().expect("it runs");
    let value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    (output.status.code(), value)
}

fn entries(data_dir: &Path) -> Vec<Value> {
    audit(data_dir, "list").1["entries"].as_array().expect("a list").clone()
}

/// Waits for so many looks: they are written by a thread of their own.
pub(crate) fn looks(data_dir: &Path, wanted: usize) -> Vec<Value> {
    for _ in 0..100 {
        let looks: Vec<Value> =
            entries(data_dir).into_iter().filter(|entry| entry["event"] == "looked").collect();
        if looks.len() >= wanted {
            return looks;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the looks are not in the audit");
}

#[test]
fn every_look_up_leaves_a_line_and_the_person_hears_of_it_after_a_restart() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data");
    let honey = folder.path().join("honey.txt");
    fs::write(&honey, personal_number(77)).expect("written");
    let config = folder.path().join("engine.toml");
    let text_of = format!("lookups_per_day_max = 3\nhoney_numbers = {:?}\n", honey.display().to_string());
    fs::write(&config, text_of).expect("written");
    let (rules, config) = (shipped_rules().display().to_string(), config.display().to_string());
    let arguments = ["--rules", &rules, "--config", &config];
    let engine = EngineProcess::start_in(&data, &arguments);
    let raise =
        ["flag", "raise", "--subject", TOLVAN, "--wish", "deny", "--until", "2030-12-31", "--reason", "scam"];
    done(&engine, "desk", &raise);
    done(&engine, "desk-b", &["flag", "status", "--subject", TOLVAN]);
    done(&engine, "desk", &["flag", "list"]);
    let honey = personal_number(77);
    done(&engine, "desk", &["flag", "status", "--subject", &honey]);
    done(&engine, "desk", &["flag", "status", "--subject", &personal_number(1)]);
    done(&engine, "desk", &["flag", "report", "--subject", TOLVAN]);
    run_as(&engine, "desk", &["flag", "status", "--subject", &personal_number(2)]);
    run_as(&engine, "analyst", &["flag", "status", "--subject", TOLVAN]);
    let looks = looks(&data, 7);
    let line = |look: &Value| {
        let word = |key: &str| look[key].as_str().unwrap_or("-").to_owned();
        let yes = |key: &str| look[key] == true;
        format!(
            "{} {}/{} flagged={} honey={} shown={} {}",
            word("operation"),
            word("member"),
            word("role"),
            yes("flagged"),
            yes("honey"),
            look["shown"],
            word("refused")
        )
    };
    let lines: Vec<String> = looks.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "flag_status bank-b/desk flagged=true honey=false shown=1 -",
            "flag_list dev/desk flagged=false honey=false shown=1 -",
            "flag_status dev/desk flagged=false honey=true shown=0 -",
            "flag_status dev/desk flagged=false honey=false shown=0 -",
            "flag_report dev/desk flagged=true honey=false shown=1 -",
            "flag_status dev/desk flagged=false honey=false shown=null lookup_budget_spent",
            "flag_status dev/analyst flagged=false honey=false shown=null not_permitted",
        ]
    );
    assert_eq!(looks[0]["subject"], looks[4]["subject"], "one person, one pseudonym");
    assert_eq!(audit(&data, "verify").0, Some(0), "beside the running engine");

    let proof = engine.sparr(&["journal", "verify"]);
    assert_eq!(
        (proof.status.code(), text(&proof.stdout).as_str()),
        (Some(2), ""),
        "not beside a running engine"
    );
    assert!(text(&proof.stderr).contains("in use by a running engine"), "{}", text(&proof.stderr));
    assert!(engine.sparr(&["member", "rights"]).status.success());

    // Killed, then stopped in order: only the kill leaves a gap.
    engine.kill();
    let engine = EngineProcess::start_in(&data, &arguments);
    let report = done(&engine, "desk-b", &["flag", "report", "--subject", TOLVAN]);
    let kinds: Vec<&str> = report["looks"]
        .as_array()
        .expect("looks")
        .iter()
        .filter_map(|look| look["member_kind"].as_str())
        .collect();
    assert_eq!(kinds, ["bank", "payment_provider", "bank"], "those before the kill, and this one");
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    let engine = EngineProcess::start_in(&data, &arguments);
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    let events: Vec<String> = entries(&data)
        .iter()
        .filter_map(|entry| entry["event"].as_str().filter(|event| *event != "looked").map(str::to_owned))
        .collect();
    assert_eq!(events, ["began", "gap", "began", "stopped", "began", "stopped"]);
    let (code, verified) = audit(&data, "verify");
    assert_eq!((code, &verified["looks"], &verified["gaps"]), (Some(0), &8.into(), &1.into()), "{verified}");

    // Somebody makes their own look disappear, and another one somebody else's.
    let file = data.join("audit/00000001.log");
    let whole = fs::read_to_string(&file).expect("readable");
    fs::write(&file, whole.replacen("bank-b", "bank-c", 1)).expect("written");
    assert_eq!(audit(&data, "verify").0, Some(1), "changed");
    let without: String =
        whole.lines().filter(|line| !line.contains("\"honey\"")).map(|line| format!("{line}\n")).collect();
    fs::write(&file, without).expect("written");
    assert_eq!(audit(&data, "verify").0, Some(1), "removed");
}

#[test]
fn after_a_kill_at_most_the_last_moment_is_missing_and_a_gap_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = shipped_rules().display().to_string();
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    let answered = Mutex::new(Vec::new());
    let gone = Notify::new();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            until_gone(&gone, async {
                let client = Client::connect(engine.client("desk")).await.expect("connected");
                for number in 0..4_000u64 {
                    let mut id = [0; 16];
                    id[..8].copy_from_slice(&(number + 1).to_le_bytes());
                    let text = personal_number(number % 1_000).into();
                    let subject = SubjectText { text, kind: SubjectKind::SePerson, country: None };
                    let request =
                        ExchangeRequest { id: RequestId(id), operation: Operation::FlagStatus { subject } };
                    if client.exchange(&request).await.is_err() {
                        return;
                    }
                    answered.lock().expect("whole").push(clock::now());
                }
            });
        });
        while answered.lock().expect("whole").len() < 1_500 && !asking.is_finished() {
            std::thread::yield_now();
        }
        engine.signal("KILL");
        gone.notify_one();
        asking.join().expect("it ends with the engine");
    });
    engine.kill();
    let answered = answered.into_inner().expect("whole");
    let last = answered.last().expect("some were answered");
    // What was answered more than 200 ms before the last answer.
    let early = answered.iter().filter(|at| last.ms_since(**at) > 200).count();
    let verified = audit(folder.path(), "verify").1;
    let there = verified["looks"].as_u64().expect("a count") as usize;
    assert!(there >= early, "{there} of {early} that were answered earlier, of {}", answered.len());
    assert!(there <= answered.len() + 1, "{there} lines of {} looks", answered.len());
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    assert_eq!(audit(folder.path(), "verify").1["gaps"], 1);
}
