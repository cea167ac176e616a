//! A whole engine on a disk that fills up to the last byte.

use crate::journal_faults::SmallDisk;
use crate::support::{EngineProcess, TOLVAN, id, shipped_rules, text};
use sparr_loadgen::workload::personal_number;
use sparr_protocol::testing::skipped;

#[test]
fn a_full_disk_stops_raises_and_nothing_else_and_heals_without_a_restart() {
    let Some(disk) = SmallDisk::new(40) else {
        return skipped("no tmpfs may be mounted", "P4, a full disk under a whole engine");
    };
    let rules = shipped_rules().display().to_string();
    let data = disk.path().join("data");
    let engine = EngineProcess::start_in(&data, &["--rules", &rules]);
    let raise = |person: &str| {
        let output = engine.sparr(&[
            "flag",
            "raise",
            "--json",
            "--subject",
            person,
            "--wish",
            "deny",
            "--until",
            "2030-12-31",
            "--reason",
            "scam",
        ]);
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), value["refused"].as_str().map(str::to_owned))
    };
    let outcome = |person: &str, number: u64| {
        let request = serde_json::json!({
            "request_id": id(number), "kind": "invoice", "amount_minor": 100, "currency": "SEK", "subject": person,
        });
        engine.screen(&request)["outcome"].as_str().expect("it is screened").to_owned()
    };
    assert_eq!(raise(TOLVAN), (Some(0), None));
    disk.fill();
    // The first ones find room that is allocated already; in the end somebody is refused, with the reason.
    let mut raised = Vec::new();
    let refused = (0..200u64).find_map(|person| {
        let number = personal_number(person);
        match raise(&number) {
            (Some(0), None) => {
                raised.push(number);
                None
            }
            refused => Some((number, refused)),
        }
    });
    let (refused, why) = refused.expect("raises are refused in the end");
    assert_eq!(why, (Some(1), Some("log_full".to_owned())));
    assert_eq!(engine.metric("sparr_journal_state"), 1.0);
    assert_eq!(engine.get("/readyz").0, 200, "it goes on screening");
    assert_eq!((outcome(TOLVAN, 1).as_str(), outcome(&refused, 2).as_str()), ("decline", "approve"));
    let lift = engine.sparr(&["flag", "lift", "--subject", TOLVAN, "--confirmed-by", "second-channel"]);
    assert!(lift.status.success(), "{}{}", text(&lift.stdout), text(&lift.stderr));
    assert_eq!(outcome(TOLVAN, 3), "approve");
    disk.empty();
    let again = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        raise(&refused) == (Some(0), None)
    });
    assert!(again, "raises are taken in again, without a restart");
    assert_eq!(engine.metric("sparr_journal_state"), 0.0);
    engine.kill();
    let engine = EngineProcess::start_in(&data, &["--rules", &rules]);
    let flags = engine.json(&["flag", "list", "--json"])["flags"].as_array().expect("a list").clone();
    let active = flags.iter().filter(|flag| flag["standing"] == "active").count();
    assert_eq!(active, raised.len() + 1, "everybody who was told so, and the one who came back");
}
