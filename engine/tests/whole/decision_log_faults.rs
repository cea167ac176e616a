//! The decision log where it is off, where the engine was killed, and where the disk is full.

use crate::decision_log::decisions;
use crate::journal_faults::SmallDisk;
use crate::support::{EngineProcess, id, rules_dir};
use serde_json::{Value, json};
use sparr_protocol::testing::skipped;
use std::fs;
use std::time::Duration;

const RULES: &str = "\
rules:
  - id: third
    when: velocity(card, \"1h\").count >= 3
    then: decline
    reason: velocity_card
";

fn card(number: u64) -> Value {
    json!({
        "request_id": id(number), "kind": "card_payment", "card_token": "tok-1", "amount_minor": 100, "currency": "SEK",
    })
}

fn degraded(answer: &Value, name: &str) -> bool {
    answer["degraded"].as_array().expect("a list").contains(&name.into())
}

/// Waits until the log has so many answers on the disk.
fn written(engine: &EngineProcess, answers: f64) {
    assert_eq!(engine.metric_becomes("sparr_decision_log_answers_total", answers), answers);
}

#[test]
fn without_a_log_every_answer_says_so_and_nothing_can_be_asked() {
    let (data, rules) = (tempfile::tempdir().expect("folder"), rules_dir(RULES));
    let config = data.path().join("engine.toml");
    fs::write(&config, "[decision_log]\non = false\n").expect("written");
    let arguments =
        ["--config", &config.display().to_string(), "--rules", &rules.path().display().to_string()];
    let engine = EngineProcess::start_in(data.path(), &arguments);
    assert!(degraded(&engine.screen(&card(1)), "unlogged"));
    let (code, lines) = decisions(&engine, &[]);
    assert_eq!((code, &lines[0]["refused"]), (Some(1), &json!("log_off")));
    assert!(!data.path().join("decisions").exists());
}

#[test]
fn windows_go_on_from_the_log_after_a_kill() {
    let (data, rules) = (tempfile::tempdir().expect("folder"), rules_dir(RULES));
    let arguments = ["--rules", &rules.path().display().to_string()];
    let engine = EngineProcess::start_in(data.path(), &arguments);
    // The snapshot of the start is there before anybody pays; the next one comes in a minute.
    assert_eq!(engine.screen(&card(1))["outcome"], "approve");
    let second = engine.screen(&card(2));
    assert!(second["outcome"] == "approve" && !degraded(&second, "unlogged"));
    // Whoever asks again gets the same answer, and it counts once.
    assert_eq!(engine.screen(&card(2))["outcome"], "approve");
    written(&engine, 3.0);
    engine.kill();
    let engine = EngineProcess::start_in(data.path(), &arguments);
    let third = engine.screen(&card(3));
    assert_eq!(third["outcome"], "decline", "both payments before the kill are counted");
    assert!(degraded(&third, "window_warming"), "what came in the last moments may be missing");
    let (_, all) = decisions(&engine, &[]);
    let repeated: Vec<bool> = all.iter().filter_map(|line| line["repeated"].as_bool()).collect();
    assert!(repeated.starts_with(&[false, false, true]), "{repeated:?}");
    written(&engine, 1.0);
    engine.kill();
    // The negative control: without the log the card is as new.
    fs::remove_dir_all(data.path().join("decisions")).expect("there");
    let _ = fs::remove_file(data.path().join("velocity.snapshot"));
    let engine = EngineProcess::start_in(data.path(), &arguments);
    assert_eq!(engine.screen(&card(4))["outcome"], "approve");
}

#[test]
fn a_full_disk_is_said_in_every_answer_and_nothing_is_lost_once_there_is_room() {
    let Some(disk) = SmallDisk::new(40) else {
        return skipped("no tmpfs may be mounted", "a full disk under the decision log");
    };
    let rules = rules_dir(RULES);
    let data = disk.path().join("data");
    let engine = EngineProcess::start_in(&data, &["--rules", &rules.path().display().to_string()]);
    assert!(!degraded(&engine.screen(&card(1)), "unlogged"));
    written(&engine, 1.0);
    disk.fill();
    let mut number = 1;
    let mut until = |unlogged: bool| {
        (0..400).any(|_| {
            number += 1;
            std::thread::sleep(Duration::from_millis(20));
            let other = json!({ "card_token": format!("tok-{number}") });
            let mut request = card(number);
            request["card_token"] = other["card_token"].clone();
            let answer = engine.screen(&request);
            assert_eq!(answer["outcome"], "approve", "screening goes on: {answer}");
            degraded(&answer, "unlogged") == unlogged
        })
    };
    assert!(until(true), "the log says that it is full");
    assert!(engine.metric("sparr_decision_log_failures_total") >= 1.0);
    assert_eq!(engine.metric("sparr_decision_log_well"), 0.0);
    assert!(engine.get("/plain").1.contains("IT CANNOT BE WRITTEN"));
    disk.empty();
    assert!(until(false), "and that it is not, without a restart");
    let _ = until;
    written(&engine, number as f64);
    let (code, all) = decisions(&engine, &[]);
    assert_eq!((code, all.len() as u64), (Some(0), number), "what waited is there, and nothing is missing");
}
