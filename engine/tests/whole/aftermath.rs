//! What became of payments, from the command line to the next decision: final results, labels, recalls, blast radius.

use crate::support::{EngineProcess, TOLVAN, id, rules_dir, sparr, text};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

const RULES: &str = "\
rules:
  - id: tested-card
    when: velocity(card, \"1h\").declined_final >= 2
    then: decline
    reason: velocity_card
  - id: large
    when: amount_minor >= 100000
    review: after
    reason: velocity_card
  - id: known-address
    when: indicator(email).hit
    then: challenge
    reason: velocity_card
";

fn payment(number: u64) -> Value {
    json!({
        "request_id": id(number), "kind": "card_payment", "payment_id": format!("pay-{number}"),
        "card_token": "tok-1", "amount_minor": 100, "currency": "SEK",
    })
}

fn with(mut request: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().expect("an object") {
        request[key] = value.clone();
    }
    request
}

fn lines(dir: &Path, name: &str, lines: &[Value]) -> String {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let path = dir.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Waits until a list has entries.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what}")
}

fn recent(engine: &EngineProcess, requests: f64) {
    assert_eq!(engine.metric_becomes("sparr_recent_requests", requests), requests);
}

#[test]
fn the_issuers_declines_are_seen_by_the_next_payment_and_may_be_told_twice() {
    let rules = rules_dir(RULES);
    let engine = EngineProcess::start_with(&["--rules", &rules.path().display().to_string()]);
    let dir = tempfile::tempdir().expect("folder");
    for number in 1..=3 {
        assert_eq!(engine.screen(&payment(number))["outcome"], "approve");
    }
    recent(&engine, 3.0);
    let said = |number: u64, result: &str, time: i64| json!({ "request_id": id(number), "final": result, "response_code": "51", "time": time });
    let at = now() - 1_000;
    let told = lines(
        dir.path(),
        "results.ndjson",
        &[said(1, "declined", at), said(2, "declined", at), said(3, "authorised", at)],
    );
    for _ in 0..2 {
        assert_eq!(engine.json(&["result", &told, "--json"]), json!({ "durable": 3, "rejected": [] }));
    }
    assert_eq!(engine.metric("sparr_final_results{final=\"declined\"}"), 2.0);
    let tested = engine.screen(&payment(4));
    assert_eq!((&tested["outcome"], &tested["reasons"]), (&json!("decline"), &json!(["velocity_card"])));
    // Another card was not tested.
    let other = with(payment(5), &json!({ "card_token": "tok-2" }));
    assert_eq!(engine.screen(&other)["outcome"], "approve");

    // The later word counts, one of the same time is refused, and one from the future as well.
    let told = lines(dir.path(), "later.csv", &[]);
    fs::write(
        &told,
        format!(
            "request,what,when\n{},authorised,{}\n{},reversed,{at}\n{},declined,{}\n{},lost,{at}\n",
            id(2),
            at + 500,
            id(1),
            id(3),
            at + 3_600_000,
            id(3)
        ),
    )
    .expect("written");
    let map = dir.path().join("map.toml");
    fs::write(&map, "[columns]\nrequest_id = \"request\"\nfinal = \"what\"\ntime = \"when\"\n")
        .expect("written");
    let output = engine.sparr(&["result", &told, "--map", &map.display().to_string(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        said,
        json!({ "durable": 1, "rejected": [
            { "line": 3, "why": "id_conflict" }, { "line": 4, "why": "time_skew" },
            { "line": 5, "why": "final is not legal" },
        ] })
    );
    assert_eq!(engine.screen(&payment(6))["outcome"], "approve", "one decline is left");
}

#[test]
fn labels_say_how_precise_a_rule_is_and_a_restart_forgets_none() {
    let rules = rules_dir(RULES);
    let data = tempfile::tempdir().expect("folder");
    let arguments = ["--rules", &rules.path().display().to_string()];
    let engine = EngineProcess::start_in(data.path(), &arguments);
    for number in 1..=4 {
        let amount = if number == 4 { 100 } else { 200_000 };
        engine.screen(&with(payment(number), &json!({ "amount_minor": amount })));
    }
    recent(&engine, 4.0);
    let dir = tempfile::tempdir().expect("folder");
    let label = |number: u64, class: &str, at: i64| json!({ "payment_id": format!("pay-{number}"), "class": class, "chargeback_code": null, "known_at": at });
    let at = now() - 1_000;
    let told = lines(
        dir.path(),
        "labels.ndjson",
        &[label(1, "scam", at), label(2, "takeover", at), label(3, "genuine", at), label(4, "mule", at)],
    );
    assert_eq!(engine.json(&["label", &told, "--json"])["durable"], 4);
    let of = |engine: &EngineProcess, class: &str| {
        engine.metric(&format!("sparr_rule_labels{{rule=\"large\",class=\"{class}\"}}"))
    };
    assert_eq!((of(&engine, "fraud"), of(&engine, "good")), (2.0, 1.0));
    assert!(engine.get("/plain").1.contains("66.7 %"), "the page shows the precision");
    // An investigation changes one of them; a desk's certificate may not.
    let told = lines(dir.path(), "again.ndjson", &[label(1, "genuine", at + 1), label(2, "takeover", at)]);
    let desk = data.path().join("dev/desk").display().to_string();
    let refused = engine.sparr(&["label", &told, "--identity", &desk, "--json"]);
    assert!(text(&refused.stdout).contains("not_permitted"), "{}", text(&refused.stdout));
    assert_eq!(engine.json(&["label", &told, "--json"])["durable"], 2);
    assert_eq!((of(&engine, "fraud"), of(&engine, "good")), (1.0, 2.0));
    engine.kill();
    let engine = EngineProcess::start_in(data.path(), &arguments);
    assert_eq!((of(&engine, "fraud"), of(&engine, "good")), (1.0, 2.0), "what was acknowledged is there");
    assert_eq!(engine.json(&["label", &told, "--json"])["durable"], 2);
    assert_eq!((of(&engine, "fraud"), of(&engine, "good")), (1.0, 2.0), "the same again changes nothing");
}

/// `sparr recall --follow`, killed when dropped.
struct Following(Child, BufReader<std::process::ChildStdout>);

impl Following {
    fn start(engine: &EngineProcess) -> Self {
        let mut command = sparr();
        command.args(["recall", "--follow", "--json", "--data-dir"]).arg(&engine.data_dir);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Self(child, out)
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.1.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_flag_or_an_indicator_recalls_what_it_would_have_stopped_and_nothing_else() {
    let rules = rules_dir(RULES);
    let engine = EngineProcess::start_with(&["--rules", &rules.path().display().to_string()]);
    let person = |number: u64, subject: &str| with(payment(number), &json!({ "subject": subject }));
    engine.screen(&person(1, TOLVAN));
    engine.screen(&person(2, "19811228-9874"));
    let mailed = with(payment(3), &json!({ "email": "someone@mail.example" }));
    engine.screen(&mailed);
    recent(&engine, 3.0);
    assert_eq!(text(&engine.sparr(&["recall", "--json"]).stdout), "");
    let mut following = Following::start(&engine);

    let raised_at = now();
    engine.raise(TOLVAN, "deny");
    let recall = following.next();
    assert_eq!(
        (&recall["request_id"], &recall["payment_id"], &recall["was"]["outcome"], &recall["is"]["outcome"]),
        (&json!(id(1)), &json!("pay-1"), &json!("approve"), &json!("decline"))
    );
    assert_eq!(recall["cause"], "flag_raised");
    let found_at = sparr_protocol::time::Timestamp::parse(recall["found_at"].as_str().expect("a time"));
    let took_ms = found_at.expect("a time").ms() - raised_at;
    println!("recalled {took_ms} ms after the flag was asked for");

    // An own draft acts at once, at its own member.
    let draft = ["indicator", "draft", "--kind", "email", "--value", "someone@mail.example"];
    let drafted =
        engine.json(&[&draft[..], &["--class", "phishing", "--grade", "observed", "--json"]].concat());
    let recall = following.next();
    assert_eq!(
        (&recall["request_id"], &recall["is"]["outcome"], &recall["cause"]),
        (&json!(id(3)), &json!("challenge"), &json!("indicator_drafted"))
    );
    // And its withdrawal gives the payment free again.
    let withdrawn = drafted["id"].as_str().expect("an id");
    engine.json(&["indicator", "withdraw", withdrawn, "--why", "mistaken", "--json"]);
    let recall = following.next();
    assert_eq!(
        (&recall["request_id"], &recall["was"]["outcome"], &recall["is"]["outcome"]),
        (&json!(id(3)), &json!("challenge"), &json!("approve"))
    );
    let listed = text(&engine.sparr(&["recall", "--json", "--after", "1"]).stdout);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let all = text(&engine.sparr(&["recall", "--json"]).stdout);
    assert!(!all.contains(&id(2)), "nobody else is recalled: {all}");
}

#[test]
fn a_request_that_was_not_screened_is_recalled_with_what_it_would_have_been() {
    // Rules that fail for want of an amount that can be divided.
    let rules = rules_dir(
        "rules:\n  - id: broken\n    when: amount_minor / customer_since_days > 10\n    then: decline\n    reason: velocity_card\n",
    );
    let path = rules.path().display().to_string();
    let engine = EngineProcess::start_with(&["--rules", &path]);
    let request = with(payment(1), &json!({ "subject": TOLVAN, "customer_since_days": 0 }));
    assert_eq!(engine.screen(&request)["not_screened"], "rule_error");
    recent(&engine, 1.0);
    engine.json(&["rules", "kill", "broken", "--json"]);
    engine.raise(TOLVAN, "deny");
    let recalled = until("it is recalled", || {
        let out = text(&engine.sparr(&["recall", "--json"]).stdout);
        serde_json::from_str::<Value>(out.lines().next()?).ok()
    });
    assert_eq!(
        (&recalled["was"]["not_screened"], &recalled["is"]["outcome"]),
        (&json!("rule_error"), &json!("decline"))
    );
}

#[test]
fn what_a_set_would_change_is_said_before_and_a_large_change_wants_a_word() {
    let rules = rules_dir(RULES);
    let dir = tempfile::tempdir().expect("folder");
    let path = rules.path().display().to_string();
    let config = dir.path().join("engine.toml");
    fs::write(&config, "blast_radius_per_mille_max = 100\nactivation = \"reload\"\n").expect("written");
    let config = config.display().to_string();
    let engine = EngineProcess::start_with(&["--rules", &path, "--config", &config]);
    for number in 1..=20 {
        let subject = if number % 2 == 0 { TOLVAN } else { "19811228-9874" };
        let amount = if number <= 4 { 150_000 } else { 100 };
        engine.screen(&with(payment(number), &json!({ "subject": subject, "amount_minor": amount })));
    }
    recent(&engine, 20.0);
    let raise = [
        "flag",
        "raise",
        "--subject",
        TOLVAN,
        "--wish",
        "verify",
        "--scope",
        "credit",
        "--until",
        "2030-12-31",
    ];
    engine.json(&[&raise[..], &["--reason", "suspected-fraud", "--json"]].concat());
    let file = rules.path().join("rules.yaml");
    let mut stricter = fs::OpenOptions::new().append(true).open(&file).expect("there");
    let rule = "
  - id: third-in-an-hour
    when: velocity(subject, \"1h\").count >= 3 && amount_minor >= 100000
    then: decline
    reason: velocity_card
  - id: very-large
    when: amount_minor > 100000
    then: decline
    reason: velocity_card
";
    stricter.write_all(rule.as_bytes()).expect("written");
    let plan = engine.json(&["backtest", "--live", "--json"]);
    assert_eq!(
        plan["sentence"],
        "declines 0.00 % → 20.00 %, 4 of 20 requests differ, 2 people, 1 flagged; \
         overlap of very-large 100 % with large"
    );
    assert_eq!((&plan["declines_after"], &plan["flagged"]), (&json!(4), &json!(1)));
    let before = engine.screen(&payment(99))["rule_set_digest"].clone();
    let refused = engine.sparr(&["rules", "reload", "--json"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stdout).contains("accept_needed"), "{}", text(&refused.stdout));
    assert_eq!(engine.screen(&payment(98))["rule_set_digest"], before, "nothing was changed");
    engine.json(&["rules", "reload", "--accept", "--json"]);
    assert_eq!(engine.screen(&payment(97))["rule_set_digest"], plan["rule_set_digest"]);
}
