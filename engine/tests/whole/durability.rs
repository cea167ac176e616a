//! An acknowledged flag is never lost when the process dies at any instant, and no other appears.

use crate::support::{EngineProcess, TOLVAN, id, text};
use sparr_loadgen::workload::personal_number;
use sparr_protocol::client::Client;
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, SubjectKind, Wish};
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said, SubjectText};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::ids::RequestId;
use sparr_protocol::time::Timestamp;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Raises in all, and lives of the engine among which they are spread.
const RAISES: u64 = 200;
const LIVES: u64 = 10;

fn raise(person: u64) -> ExchangeRequest {
    let mut operation = [0; 16];
    operation[..8].copy_from_slice(&person.to_le_bytes());
    let terms = Terms {
        wish: Wish::Deny,
        scope: Scope::Any,
        reason: FlagReason::SuspectedFraud,
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        compromised: Methods::default(),
        valid_until: Timestamp::from_ms(1_900_000_000_000),
    };
    let subject =
        SubjectText { text: personal_number(person).into(), kind: SubjectKind::SePerson, country: None };
    ExchangeRequest { id: RequestId(operation), operation: Operation::FlagRaise { subject, terms } }
}

/// Raises flags one after the other until the engine is gone; who was acknowledged is noted at once.
fn raise_until_killed(engine: &EngineProcess, from: u64, acknowledged: &Arc<Mutex<HashSet<u64>>>) {
    let (config, acknowledged) = (engine.client("desk"), acknowledged.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async move {
        let Ok(client) = Client::connect(config).await else { return };
        for person in from..from + RAISES / LIVES {
            match client.exchange(&raise(person)).await.as_deref() {
                Ok([answer]) if matches!(answer.said, Said::Durable { .. }) => {
                    acknowledged.lock().expect("whole").insert(person);
                }
                Ok(_) | Err(_) => return,
            }
        }
    });
}

#[test]
fn every_acknowledged_flag_survives_kill_9_and_no_other_appears() {
    let folder = tempfile::tempdir().expect("folder");
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    // The moments of the kills follow from one number, which a failure names.
    let seed = std::env::var("SPARR_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122u64);
    let mut random = seed;
    let rules = crate::support::shipped_rules().display().to_string();
    for life in 0..LIVES {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
        // After so many acknowledgements of this life and a moment more: on a slow machine as on a fast one.
        let enough = acknowledged.lock().expect("whole").len() + (random >> 33) as usize % 16;
        let moment = Duration::from_micros((random >> 40) % 500);
        let process = std::thread::scope(|scope| {
            let raising = scope.spawn(|| raise_until_killed(&engine, life * RAISES / LIVES, &acknowledged));
            while acknowledged.lock().expect("whole").len() < enough && !raising.is_finished() {
                std::thread::yield_now();
            }
            std::thread::sleep(moment);
            engine.signal("KILL");
            raising.join().expect("it ends with the engine");
            &engine
        });
        assert_ne!(process.listen.port(), 0);
        engine.kill();
    }
    let acknowledged = acknowledged.lock().expect("whole").clone();
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    let mut present = HashSet::new();
    for person in 0..RAISES {
        let request = serde_json::json!({
            "request_id": id(person + 1), "kind": "invoice", "amount_minor": 100, "currency": "SEK",
            "subject": personal_number(person),
        });
        let answer = engine.screen(&request);
        match answer["outcome"].as_str() {
            Some("decline") => drop(present.insert(person)),
            Some("approve") => {}
            other => panic!("person {person}: {other:?}"),
        }
    }
    let lost: Vec<_> = acknowledged.difference(&present).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}; replay with SPARR_SEED={seed}");
    assert!(
        !acknowledged.is_empty() && acknowledged.len() < RAISES as usize,
        "{} acknowledged",
        acknowledged.len()
    );
    // Only what was in flight at a kill may be there without an acknowledgement: one for each life.
    let unacknowledged = present.difference(&acknowledged).count();
    assert!(unacknowledged <= LIVES as usize, "{unacknowledged} flags that nobody was told of");
    let known = engine.json(&["flag", "list", "--json"])["flags"].as_array().expect("a list").len();
    assert_eq!(known, present.len(), "no flag exists that nobody raised");
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
fn flags_or_refusal(data_dir: &std::path::Path) -> Result<usize, String> {
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
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    raise_until_killed(&engine, 0, &acknowledged);
    engine.signal("TERM");
    engine.wait();
    let raised = acknowledged.lock().expect("whole").len();
    assert_eq!(raised as u64, RAISES / LIVES);
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

    // One bit anywhere: refused, or in a place that holds nothing, and then every flag is there.
    let mut random = 20_261_122u64;
    for _ in 0..24 {
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
