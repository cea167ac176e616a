//! What is said at this door stands in no log and no file, at the loudest level and on every way to be refused.

use crate::client::{Caller, JSON};
use crate::support::{EngineProcess, TOLVAN, id, shipped_rules};
use serde_json::json;
use std::path::Path;

const EMAIL: &str = "kanariefagel.viktoria@example.se";
const TOKEN: &str = "tok_canary_58ff31aa";

/// Files below a folder that hold one of the values.
fn found(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            all.extend(found(&path));
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        let holds = |value: &&str| memchr::memmem::find(&bytes, value.as_bytes()).is_some();
        all.extend(
            [TOLVAN, EMAIL, TOKEN]
                .iter()
                .filter(|value| holds(value))
                .map(|value| format!("{}: {value}", path.display())),
        );
    }
    all
}

#[test]
fn nothing_personal_is_written_of_what_is_said_at_this_door() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = shipped_rules().display().to_string();
    let arguments = ["--rules", &rules, "--https", "127.0.0.1:0"];
    let engine = EngineProcess::start_logging(folder.path(), &arguments, "trace");
    let of = |role: &str| Caller::of(&engine, role);
    let (gateway, desk, analyst) = (of("gateway"), of("desk"), of("analyst"));
    let good = json!({ "request_id": id(1), "kind": "card_payment", "subject": TOLVAN, "email": EMAIL, "card_token": TOKEN });
    let bad = json!({ "request_id": id(2), "kind": TOLVAN, "subject": EMAIL, TOKEN: TOLVAN });
    let mut said = String::new();
    for request in [&good, &bad, &json!([good, bad])] {
        said.push_str(&gateway.post("/v1/screen", request).body.to_string());
        said.push_str(&desk.post("/v1/screen", request).body.to_string());
        gateway
            .post_h2("/v1/screen", std::slice::from_ref(request))
            .iter()
            .for_each(|it| said.push_str(&it.body.to_string()));
    }
    for body in [
        json!({ "operation": "raise", "subject": TOLVAN, "wish": "deny", "until": "2030-12-31", "reason": "scam" }),
        json!({ "operation": "status", "subject": TOLVAN, EMAIL: 1 }),
        json!({ "operation": "report", "subject": TOLVAN }),
        json!({ "operation": TOLVAN, "subject": EMAIL }),
    ] {
        desk.post_h2("/v1/flags", std::slice::from_ref(&body))
            .iter()
            .for_each(|it| said.push_str(&it.body.to_string()));
        said.push_str(&gateway.post("/v1/flags", &body).body.to_string());
    }
    let draft = json!({ "operation": "draft", "kind": "email", "value": EMAIL, "class": "phishing", "grade": "observed" });
    said.push_str(&analyst.post("/v1/indicators", &draft).body.to_string());
    let truncated = format!("{{\"subject\": \"{TOLVAN}\", \"email\": \"{EMAIL}\"");
    let headers = [JSON, ("Idempotency-Key", TOLVAN), ("Sparr-Deadline-Us", TOKEN)];
    for (path, headers) in
        [("/v1/screen", &headers[..1]), ("/v1/screen", &headers[..2]), ("/v1/191212121212", &headers[..])]
    {
        said.push_str(&gateway.send("POST", path, headers, &truncated).body.to_string());
    }
    engine.signal("TERM");
    let log = loop {
        let log = engine.log();
        if log.contains("\"stopped\"") {
            break log;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert!(log.contains("\"TRACE\""), "it was loud");
    for value in [TOLVAN, EMAIL, TOKEN] {
        assert!(!said.contains(value), "an answer repeats {value}");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(value)).collect();
        assert!(lines.is_empty(), "{value}: {lines:?}");
    }
    assert_eq!(found(folder.path()), Vec::<String>::new());
    // The search finds what is there.
    std::fs::write(folder.path().join("control"), format!("x{EMAIL}x")).expect("written");
    assert_eq!(found(folder.path()).len(), 1);
}
