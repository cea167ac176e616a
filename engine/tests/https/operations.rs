//! Flags, indicators, results and labels: the same operation has the same answer over HTTPS and from the command line.

use crate::client::{Caller, JSON, document, engine, in_document};
use crate::support::{TOLVAN, id};
use serde_json::{Value, json};

/// What an answer says, without what differs from engine to engine.
fn essence(mut answer: Value) -> Value {
    fn forget(value: &mut Value) {
        const OWN: [&str; 12] = [
            "position",
            "subject",
            "raised_at",
            "effective_from",
            "id",
            "digest",
            "draft",
            "pseudonym",
            "drafted_at",
            "valid_until",
            "at",
            "lifted_from",
        ];
        match value {
            Value::Object(object) => {
                OWN.iter().for_each(|key| drop(object.remove(*key)));
                object.values_mut().for_each(forget);
            }
            Value::Array(list) => {
                // Since when looks are known is when the engine started.
                list.retain(|one| !one.as_str().is_some_and(|line| line.starts_with("looks ")));
                list.iter_mut().for_each(forget);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    // What problem details say beside the contract.
    for key in ["type", "title", "status", "code", "detail"] {
        answer.as_object_mut().expect("an object").remove(key);
    }
    forget(&mut answer);
    answer
}

/// A line for `sparr`, who may, and the same as JSON.
type Step = (&'static str, &'static str, Value, u16);

fn flags() -> Vec<Step> {
    let of = |operation: &str, more: Value| {
        let mut all = json!({ "operation": operation, "subject": TOLVAN });
        all.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        all
    };
    vec![
        ("flag lift --subject T", "desk", of("lift", json!({})), 404),
        (
            "flag raise --subject T --wish verify --scope above:300SEK --until 2030-12-31 --reason scam --compromised otp_sms --compromised bankid",
            "desk",
            of(
                "raise",
                json!({ "wish": "verify", "scope": "above:300SEK", "until": "2030-12-31", "reason": "scam",
                "compromised": ["otp_sms", "bankid"] }),
            ),
            200,
        ),
        ("flag status --subject T", "desk", of("status", json!({})), 200),
        ("flag report --subject T", "desk", of("report", json!({})), 200),
        (
            "flag pass --subject T --merchant m1 --max 500SEK --until 2035-01-01",
            "desk",
            of("pass", json!({ "merchant": "m1", "max": "500SEK", "until": "2035-01-01" })),
            422,
        ),
        (
            "flag extend --subject T --until 2031-01-31",
            "desk",
            of("extend", json!({ "until": "2031-01-31" })),
            200,
        ),
        (
            "flag link --old T --new 198001092397",
            "desk",
            json!({ "operation": "link", "old": TOLVAN, "new": "198001092397" }),
            200,
        ),
        ("flag list", "desk", json!({ "operation": "list" }), 200),
        (
            "flag status --subject 191212121213",
            "desk",
            json!({ "operation": "status", "subject": "191212121213" }),
            422,
        ),
        (
            "flag lift --subject T --confirmed-by second-channel",
            "desk",
            of("lift", json!({ "confirmed_by": "second-channel" })),
            200,
        ),
        ("flag status --subject T", "desk", of("status", json!({})), 200),
    ]
}

#[test]
fn flags_are_handled_as_from_the_command_line() {
    let (by_command, by_http, document) = (engine(), engine(), document());
    for (line, role, body, status) in flags() {
        let words: Vec<String> = line.split(' ').map(|word| word.replace('T', TOLVAN)).collect();
        // 300SEK and the like have no T; a number is whole.
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["--json"]).collect();
        let output = by_command.sparr(&words);
        let said: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line}: {output:?}"));
        let answer = Caller::of(&by_http, role).post("/v1/flags", &body);
        in_document(&document, "/v1/flags", &answer);
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        assert!(!answer.body.to_string().contains(TOLVAN), "{line}");
        assert_eq!(essence(answer.body), essence(said), "{line}");
    }
    let raised = "sparr_exchange_operations_total{operation=\"flag_raise\"}";
    assert_eq!((by_http.metric(raised), by_command.metric(raised)), (1.0, 1.0));
}

#[test]
fn an_operation_that_is_sent_again_under_its_key_is_done_once() {
    let engine = engine();
    let desk = Caller::of(&engine, "desk");
    let raise = json!({ "operation": "raise", "subject": TOLVAN, "wish": "deny", "until": "2030-12-31", "reason": "scam" });
    let send = |body: &Value| {
        let key = ("Idempotency-Key", "0f8fad5b-d9cb-469f-a165-70867728950e");
        desk.send("POST", "/v1/flags", &[JSON, key], &body.to_string())
    };
    let (first, second) = (send(&raise), send(&raise));
    assert_eq!((first.status, second.status), (200, 200), "{first:?} {second:?}");
    assert_eq!(engine.metric("sparr_journal_records_total"), 1.0);
    let mut other = raise;
    other["wish"] = "verify".into();
    let conflict = send(&other);
    assert_eq!((conflict.status, &conflict.body["code"]), (409, &"id_conflict".into()));
}

#[test]
fn indicators_are_handled_as_from_the_command_line() {
    let (by_command, by_http, document) = (engine(), engine(), document());
    let path = "/v1/indicators";
    let analyst = Caller::of(&by_http, "analyst");
    let draft = json!({ "operation": "draft", "kind": "email", "value": "mule@example.org", "class": "phishing",
        "grade": "investigated" });
    let said = by_command.json(&[
        "indicator",
        "draft",
        "--json",
        "--kind",
        "email",
        "--value",
        "mule@example.org",
        "--class",
        "phishing",
        "--grade",
        "investigated",
    ]);
    let answer = analyst.post(path, &draft);
    in_document(&document, path, &answer);
    assert_eq!(answer.status, 200, "{answer:?}");
    let (id, id_there) = (answer.body["id"].as_str().expect("an id"), said["id"].as_str().expect("an id"));
    assert_eq!(essence(answer.body.clone()), essence(said.clone()));
    for (command, body, status) in [
        (vec!["share", id_there], json!({ "operation": "share", "id": id }), 409),
        (vec!["report", id_there], json!({ "operation": "report", "id": id }), 200),
        (vec!["list"], json!({ "operation": "list" }), 200),
        (
            vec!["withdraw", id_there, "--why", "a mistake"],
            json!({ "operation": "withdraw", "id": id, "why": "a mistake" }),
            200,
        ),
    ] {
        let command: Vec<&str> = ["indicator"].into_iter().chain(command).chain(["--json"]).collect();
        let output = by_command.sparr(&command);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let answer = analyst.post(path, &body);
        in_document(&document, path, &answer);
        assert_eq!(answer.status, status, "{command:?}: {answer:?}");
        assert!(!answer.body.to_string().contains("mule@"), "{answer:?}");
        assert_eq!(essence(answer.body), essence(said), "{command:?}");
    }
}

#[test]
fn results_and_labels_are_taken_in_one_by_one_and_in_batches() {
    let (engine, document) = (engine(), document());
    let (gateway, risk) = (Caller::of(&engine, "gateway"), Caller::of(&engine, "risk"));
    let screened =
        json!({ "request_id": id(1), "kind": "card_payment", "payment_id": "p-1", "card_token": "tok" });
    assert_eq!(gateway.post("/v1/screen", &screened).status, 200);
    let result = json!({ "request_id": id(1), "final": "declined", "response_code": "05", "time": 1_795_348_800_000_i64 });
    let label = json!({ "payment_id": "p-1", "class": "takeover", "known_at": "2026-11-23T10:00:00Z", "amount_minor": 100 });
    for (path, caller, good, bad, why) in [
        (
            "/v1/results",
            &gateway,
            result,
            json!({ "request_id": id(1), "final": TOLVAN, "time": 1 }),
            "final is not legal",
        ),
        ("/v1/labels", &risk, label, json!({ "payment_id": "p-1", TOLVAN: 1 }), "a key that is none of"),
    ] {
        let one = caller.post(path, &good);
        in_document(&document, path, &one);
        assert_eq!((one.status, &one.body["durable"]), (200, &true.into()), "{one:?}");
        let many = caller.post(path, &json!([good, bad, good, 7]));
        in_document(&document, path, &many);
        let said: Vec<bool> =
            many.body.as_array().expect("a list").iter().map(|one| one["durable"] == true).collect();
        assert_eq!((many.status, said), (200, vec![true, false, true, false]), "{many:?}");
        let problem = many.body[1]["problem"].as_str().expect("words");
        assert!(problem.starts_with(why) && !problem.contains(TOLVAN), "{problem}");
        let alone = caller.post(path, &bad);
        in_document(&document, path, &alone);
        assert_eq!((alone.status, &alone.body["code"]), (400, &"no_request".into()), "{alone:?}");
    }
    // Another's right is missing for all of a batch.
    let refused = risk.post("/v1/results", &json!([{ "request_id": id(1), "final": "declined", "time": 1 }]));
    in_document(&document, "/v1/results", &refused);
    assert_eq!((refused.status, &refused.body["code"]), (403, &"not_permitted".into()), "{refused:?}");
}

#[test]
fn the_examples_of_the_document_are_answered() {
    let (engine, document) = (engine(), document());
    for (path, role) in [
        ("/v1/screen", "gateway"),
        ("/v1/results", "gateway"),
        ("/v1/labels", "risk"),
        ("/v1/flags", "desk"),
        ("/v1/indicators", "analyst"),
    ] {
        let name =
            format!("/paths/{}/post/requestBody/content/application~1json/examples", path.replace('/', "~1"));
        for (name, example) in document.pointer(&name).and_then(Value::as_object).expect("examples") {
            let answer = Caller::of(&engine, role).post(path, &example["value"]);
            in_document(&document, path, &answer);
            assert_eq!(answer.status, 200, "{path} {name}: {answer:?}");
        }
    }
}
