//! An acknowledged flag is never lost when the process dies at any instant, and no other appears.

use crate::sim_disk::Random;
use crate::support::{EngineProcess, TOLVAN, id, of_tier, seed, text, until_gone};
use sparr_loadgen::workload::personal_number;
use sparr_protocol::client::Client;
use sparr_protocol::codes::SubjectKind;
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said, SubjectText};
use sparr_protocol::ids::RequestId;
use sparr_protocol::testing::denied;
use sparr_protocol::time::Timestamp;
use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;

/// Raises in one life of the engine.
const RAISES: u64 = 20;

fn raise(person: u64) -> ExchangeRequest {
    let mut operation = [0; 16];
    operation[..8].copy_from_slice(&person.to_le_bytes());
    let terms = denied(Timestamp::from_ms(1_900_000_000_000));
    let subject =
        SubjectText { text: personal_number(person).into(), kind: SubjectKind::SePerson, country: None };
    ExchangeRequest { id: RequestId(operation), operation: Operation::FlagRaise { subject, terms } }
}

/// Raises flags one after the other until the engine is gone; who was acknowledged is noted at once.
fn raise_until_killed(engine: &EngineProcess, from: u64, acknowledged: &Mutex<HashSet<u64>>, gone: &Notify) {
    until_gone(gone, async {
        let Ok(client) = Client::connect(engine.client("desk")).await else { return };
        for person in from..from + RAISES {
            match client.exchange(&raise(person)).await.as_deref() {
                Ok([answer]) if matches!(answer.said, Said::Durable { .. }) => {
                    acknowledged.lock().expect("whole").insert(person);
                }
                Ok(_) | Err(_) => return,
            }
        }
        client.close().await;
    });
}

/// P1: 15 lives in every run, 200 with `SPARR_TIER=1`.
#[test]
fn every_acknowledged_flag_survives_kill_9_and_no_other_appears() {
    let folder = tempfile::tempdir().expect("folder");
    let acknowledged = Mutex::new(HashSet::new());
    // The moments of the kills follow from one number, which a failure names.
    let (seed, lives) = (seed(), of_tier(15, 200));
    let mut random = Random(seed);
    let rules = crate::support::shipped_rules().display().to_string();
    for life in 0..lives {
        let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
        let gone = Notify::new();
        // After so many acknowledgements of this life and a moment more: on a slow machine as on a fast one.
        let enough = acknowledged.lock().expect("whole").len() + random.below(16);
        let moment = Duration::from_micros(random.below(500) as u64);
        std::thread::scope(|scope| {
            let raising = scope.spawn(|| raise_until_killed(&engine, life * RAISES, &acknowledged, &gone));
            while acknowledged.lock().expect("whole").len() < enough && !raising.is_finished() {
                std::thread::yield_now();
            }
            std::thread::sleep(moment);
            engine.signal("KILL");
            gone.notify_one();
            raising.join().expect("it ends with the engine");
        });
        engine.kill();
    }
    let acknowledged = acknowledged.into_inner().expect("whole");
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    let present = flagged(&engine, lives * RAISES);
    let lost: Vec<_> = acknowledged.difference(&present).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}; replay with SPARR_SEED={seed}");
    let so_many = acknowledged.len() as u64;
    assert!(so_many > 0 && so_many < lives * RAISES, "{so_many} acknowledged");
    // Only what was in flight at a kill may be there without an acknowledgement: one for each life.
    let unacknowledged = present.difference(&acknowledged).count() as u64;
    assert!(unacknowledged <= lives, "{unacknowledged} flags that nobody was told of");
    let known = engine.json(&["flag", "list", "--json"])["flags"].as_array().expect("a list").len();
    assert_eq!(known, present.len(), "no flag exists that nobody raised");
    println!("{lives} lives, {so_many} acknowledged, {unacknowledged} in flight");
}

/// Whom an engine declines, of so many people.
fn flagged(engine: &EngineProcess, people: u64) -> HashSet<u64> {
    let requests: Vec<String> = (0..people)
        .map(|person| {
            let request = serde_json::json!({
                "request_id": id(person + 1), "kind": "invoice", "amount_minor": 100, "currency": "SEK",
                "subject": personal_number(person),
            });
            request.to_string()
        })
        .collect();
    let file = engine.data_dir.join("requests.ndjson");
    std::fs::write(&file, requests.join("\n")).expect("written");
    let output = engine.sparr(&["screen", "--json", &file.display().to_string()]);
    let answers: Vec<serde_json::Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(answers.len() as u64, people, "{}", text(&output.stderr));
    let mut declined = HashSet::new();
    for (person, answer) in (0..people).zip(&answers) {
        assert_eq!(answer["request_id"], id(person + 1));
        match answer["outcome"].as_str() {
            Some("decline") => drop(declined.insert(person)),
            Some("approve") => {}
            other => panic!("person {person}: {other:?}"),
        }
    }
    declined
}

#[test]
fn a_repeated_operation_changes_nothing_and_its_id_is_not_used_twice() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = crate::support::shipped_rules().display().to_string();
    let operation = id(77);
    let raise = |engine: &EngineProcess, wish: &str| {
        let arguments = [
            "flag",
            "raise",
            "--json",
            "--subject",
            TOLVAN,
            "--wish",
            wish,
            "--until",
            "2030-12-31",
            "--reason",
            "scam",
            "--operation",
            &operation,
        ];
        let output = engine.sparr(&arguments);
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), value)
    };
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    let (code, first) = raise(&engine, "deny");
    assert_eq!((code, &first["durable"]), (Some(0), &true.into()));
    assert_eq!(raise(&engine, "deny").1["effective_from"], first["effective_from"]);
    assert_eq!(raise(&engine, "verify").1["refused"], "id_conflict");
    engine.kill();
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    assert_eq!(
        raise(&engine, "deny"),
        (Some(0), {
            let mut again = first.clone();
            again["position"] = raise(&engine, "deny").1["position"].clone();
            again
        })
    );
    assert_eq!(raise(&engine, "verify").1["refused"], "id_conflict");
    assert_eq!(engine.json(&["flag", "status", "--json", "--subject", TOLVAN])["position"]["index"], 1);
}

/// Starts an engine in a folder whose journal may be damaged: how many flags it has, or how it refused.
pub(crate) fn flags_or_refusal(data_dir: &std::path::Path) -> Result<usize, String> {
    let mut engine = crate::support::sparr()
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let log = std::io::BufReader::new(engine.stdout.take().expect("piped"));
    if std::io::BufRead::lines(log).map_while(Result::ok).any(|line| line.contains("\"serving\"")) {
        let listed =
            crate::support::sparr().args(["flag", "list", "--json", "--data-dir"]).arg(data_dir).output();
        engine.kill().expect("killed");
        engine.wait().expect("waited for");
        let listed: serde_json::Value =
            serde_json::from_slice(&listed.expect("it runs").stdout).expect("JSON");
        return Ok(listed["flags"].as_array().expect("a list").len());
    }
    let output = engine.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    Err(text(&output.stderr).lines().last().unwrap_or_default().to_owned())
}

#[test]
fn a_damaged_or_missing_journal_is_refused_instead_of_serving_fewer_flags() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = EngineProcess::start_in(folder.path(), &[]);
    let acknowledged = Mutex::new(HashSet::new());
    raise_until_killed(&engine, 0, &acknowledged, &Notify::new());
    engine.signal("TERM");
    engine.wait();
    let raised = acknowledged.lock().expect("whole").len();
    assert_eq!(raised as u64, RAISES);
    let (journal, copy) = (folder.path().join("journal.redb"), folder.path().join("copy"));
    std::fs::copy(&journal, &copy).expect("copied");
    let whole = std::fs::read(&copy).expect("read");
    assert_eq!(flags_or_refusal(folder.path()), Ok(raised), "the control");

    let zeroed = |from: usize| {
        let mut bytes = whole.clone();
        bytes[from..from + 4_096].fill(0);
        bytes
    };
    for (what, bytes, expected) in [
        ("emptied", vec![], "is missing or empty"),
        ("text", b"hello".to_vec(), "journal:"),
        ("cut in half", whole[..whole.len() / 2].to_vec(), "journal:"),
        ("header zeroed", zeroed(0), "journal:"),
        ("page zeroed", zeroed(4_096), "is damaged"),
    ] {
        std::fs::write(&journal, bytes).expect("written");
        let refusal = flags_or_refusal(folder.path()).expect_err(what);
        assert!(refusal.contains(expected), "{what}: {refusal}");
    }
    std::fs::remove_file(&journal).expect("removed");
    let refusal = flags_or_refusal(folder.path()).expect_err("removed");
    assert!(refusal.contains("put it back"), "{refusal}");

    // One bit anywhere (`power_loss` has many more kinds of damage): refused, or in a place that holds nothing, and then every flag is there.
    let mut random = 20_261_122u64;
    for _ in 0..8 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut bytes = whole.clone();
        let at = (random >> 33) as usize % bytes.len();
        bytes[at] ^= 1;
        std::fs::write(&journal, bytes).expect("written");
        match flags_or_refusal(folder.path()) {
            Ok(flags) => assert_eq!(flags, raised, "bit at byte {at}"),
            Err(refusal) => assert!(refusal.contains("journal:"), "bit at byte {at}: {refusal}"),
        }
    }
}
