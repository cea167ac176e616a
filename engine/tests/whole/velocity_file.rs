//! Windows over a restart: an ordered stop forgets nothing, a kill forgets little and says so.

use crate::support::{EngineProcess, id, rules_dir};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const RULES: &str = "\
rules:
  - id: third
    when: velocity(card, \"1h\").count >= 3
    then: decline
    reason: velocity_card
  - id: first
    when: first_seen(card, \"1s\") == duration(\"0s\")
    score: 1
    reason: velocity_card
";

fn start(data: &Path, rules: &Path) -> EngineProcess {
    let config = data.join("engine.toml");
    fs::write(&config, "velocity_snapshot_seconds = 1\nactivation = \"reload\"\n").expect("written");
    let (config, rules) = (config.display().to_string(), rules.display().to_string());
    EngineProcess::start_in(data, &["--config", &config, "--rules", &rules])
}

fn pay(engine: &EngineProcess, number: u64) -> (Value, bool) {
    let request = json!({
        "request_id": id(number), "kind": "card_payment", "card_token": "tok-1", "amount_minor": 100, "currency": "SEK",
    });
    let answer = engine.screen(&request);
    let warming = answer["degraded"].as_array().expect("a list").contains(&"window_warming".into());
    (answer["outcome"].clone(), warming)
}

#[test]
fn an_ordered_stop_forgets_nothing_and_a_kill_says_what_may_be_missing() {
    let (data, rules) = (tempfile::tempdir().expect("folder"), rules_dir(RULES));
    let engine = start(data.path(), rules.path());
    assert_eq!(pay(&engine, 1), ("approve".into(), true), "an hour has not passed since the start");
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    let file = data.path().join("velocity.snapshot");
    let at_stop = fs::read(&file).expect("written at the stop");

    let engine = start(data.path(), rules.path());
    assert_eq!(pay(&engine, 2).0, "approve");
    // Written now and then: after this the second payment is in it.
    let before = fs::metadata(&file).and_then(|it| it.modified()).expect("there");
    for _ in 0..200 {
        if fs::metadata(&file).and_then(|it| it.modified()).is_ok_and(|now| now > before) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    engine.kill();
    let engine = start(data.path(), rules.path());
    assert_eq!(
        pay(&engine, 3),
        ("decline".into(), true),
        "both lives before are counted, and it says what may be missing"
    );
    engine.kill();

    // The negative control: without the file the card is as new.
    fs::remove_file(&file).expect("there");
    let engine = start(data.path(), rules.path());
    assert_eq!(pay(&engine, 4).0, "approve");
    engine.kill();

    // A file that is damaged anywhere is left aside whole, and the engine starts.
    let mut damaged = at_stop;
    let last = damaged.len() - 30;
    damaged[last] ^= 1;
    fs::write(&file, damaged).expect("written");
    let engine = start(data.path(), rules.path());
    assert_eq!(pay(&engine, 5).0, "approve");
    assert_eq!(engine.metric("sparr_velocity_keys"), 1.0);
}
