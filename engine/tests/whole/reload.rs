//! Edit, check, reload: the next decision follows; a broken file is refused with its place, and nothing changes.

use crate::support::{EngineProcess, id, rules_dir, sparr, text};
use serde_json::json;
use std::fs;
use std::time::Duration;

const THEN: &str = "rules:
  - id: large
    description: A large payment
    owner: risk
    when: amount_minor > 100000
    then: OUTCOME
    reason: velocity_card
    examples:
      - match: { amount_minor: 100001 }
      - no_match: { amount_minor: 100000 }
";

fn large(number: u64) -> serde_json::Value {
    json!({ "request_id": id(number), "kind": "card_payment", "amount_minor": 200_000, "currency": "SEK" })
}

/// Waits until a reload has been counted.
fn reloaded(engine: &EngineProcess, times: f64) {
    for _ in 0..200 {
        if engine.metric("sparr_reloads_total") >= times {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no reload:\n{}", engine.log());
}

#[test]
fn the_next_decision_follows_an_edit_and_a_broken_file_changes_nothing() {
    let folder = rules_dir(&THEN.replace("OUTCOME", "challenge"));
    let (dir, file) = (folder.path().display().to_string(), folder.path().join("rules.yaml"));
    let engine = EngineProcess::start_with(&["--rules", &dir]);
    let first = engine.screen(&large(1));
    assert_eq!((first["outcome"].as_str(), engine.get("/readyz").0), (Some("challenge"), 200));
    assert_eq!(first["reasons"], json!(["velocity_card"]));

    fs::write(&file, THEN.replace("OUTCOME", "decline")).expect("written");
    engine.signal("HUP");
    reloaded(&engine, 2.0);
    let second = engine.screen(&large(2));
    assert_eq!(second["outcome"], "decline");
    assert_ne!(second["rule_set_digest"], first["rule_set_digest"]);
    assert_eq!(engine.screen(&large(1)), first, "an answer that was given stays");

    let broken = THEN.replace("OUTCOME", "decline").replace("amount_minor > 100000", "amuont_minor > 100000");
    fs::write(&file, &broken).expect("written");
    let checked = sparr().args(["check", &dir]).output().expect("it runs");
    let said = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    for expected in ["rules.yaml:5:11", "^^^^^^^^^^^^", "did you mean `amount_minor`?"] {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
    let (status, answer) = engine.http("POST", "/-/reload");
    assert_eq!(status, 422);
    assert!(answer.contains("rules.yaml:5:11"), "{answer}");
    let third = engine.screen(&large(3));
    assert_eq!(
        (&third["outcome"], &third["rule_set_digest"]),
        (&second["outcome"], &second["rule_set_digest"])
    );
    assert_eq!(engine.metric("sparr_reload_success"), 0.0);
    assert_eq!(engine.metric("sparr_reload_failures_total"), 1.0);
    assert!(engine.get("/plain").1.contains("was refused"));

    fs::remove_file(&file).expect("removed");
    assert_eq!(engine.http("POST", "/-/reload").0, 422, "a folder without rules is no empty rule set");
    assert_eq!(engine.screen(&large(4))["rule_set_digest"], second["rule_set_digest"]);

    fs::write(&file, THEN.replace("OUTCOME", "challenge")).expect("written");
    assert_eq!(engine.http("POST", "/-/reload").0, 200);
    assert_eq!(
        engine.screen(&large(5))["rule_set_digest"],
        first["rule_set_digest"],
        "the same rules, the same digest"
    );
    assert_eq!(engine.metric("sparr_reload_success"), 1.0);
}

#[test]
fn an_engine_without_rules_screens_nothing_and_says_so() {
    let folder = rules_dir("rules:\n  - id: bad\n    when: nonsense\n");
    let dir = folder.path().display().to_string();
    let engine = EngineProcess::start_with(&["--rules", &dir]);
    let answer = engine.screen(&large(1));
    assert_eq!((&answer["not_screened"], &answer["retryable"]), (&json!("no_rules"), &json!(true)));
    assert_eq!(engine.get("/readyz").0, 503);
    assert_eq!(engine.get("/livez").0, 200);
    fs::write(folder.path().join("rules.yaml"), THEN.replace("OUTCOME", "decline")).expect("written");
    engine.signal("HUP");
    reloaded(&engine, 2.0);
    assert_eq!(engine.screen(&large(1))["outcome"], "decline", "the same id is tried again");
    assert_eq!(engine.get("/readyz").0, 200);
}

/// What was counted before a reload is still counted after it.
#[test]
fn velocity_survives_a_reload_and_a_new_window_says_that_it_is_warming() {
    let rule = |window: &str| {
        format!(
            "rules:\n  - id: third\n    description: Third payment of a card\n    owner: risk\n    when: velocity(card, \"{window}\").count >= 3\n    then: decline\n    reason: velocity_card\n"
        )
    };
    let folder = rules_dir(&rule("1h"));
    let engine = EngineProcess::start_with(&["--rules", &folder.path().display().to_string()]);
    let payment = |number: u64| {
        engine.screen(&json!({ "request_id": id(number), "kind": "card_payment", "card_token": "c1" }))
    };
    assert_eq!(payment(1)["outcome"], "approve");
    assert_eq!(payment(2)["outcome"], "approve");
    fs::write(folder.path().join("rules.yaml"), rule("2h")).expect("written");
    assert_eq!(engine.http("POST", "/-/reload").0, 200);
    let third = payment(3);
    assert_eq!(third["outcome"], "decline");
    assert_eq!(third["checked"]["card"], "warming");
    assert!(third["degraded"].as_array().expect("a list").contains(&json!("window_warming")));
}
