//! What an engine answered live is what a backtest of the same requests answers: outcome, review, score and reasons of each.

use crate::backtest::{backtest, shown};
use crate::support::{EngineProcess, rules_dir, shipped_rules};
use serde_json::Value;
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, Stamp};
use sparr_loadgen::names::ReasonNames;
use sparr_loadgen::open_loop::{self, Settings};
use sparr_loadgen::people::Population;
use sparr_loadgen::record::Record;
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::stream::{Plan, Stream};
use sparr_protocol::client::Client;
use sparr_protocol::response::{AuthorisationResponse, ReasonCode};
use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

const REQUESTS: u64 = 12_000;

const RULES: &str = "\
rules:
  - id: often
    when: velocity(card, \"24h\").count >= 3 && velocity([card, merchant], \"24h\").sum > 0
    then: decline
    reason: velocity_card
  - id: declined-before
    when: velocity(card, \"24h\").declined >= 1 || velocity(subject, \"24h\").declined >= 1
    then: challenge
    reason: velocity_card
  - id: devices
    when: velocity(ip, \"24h\").distinct(device) >= 2 || velocity(account, \"24h\").max > 1000000
    review: after
    reason: velocity_card
  - id: new
    when: first_seen(merchant, \"2h\") < duration(\"10m\")
    score: 30
    reason: velocity_card
  - id: night
    when: hour < 5
    score: 25
    reason: velocity_card
";

/// Sends a day to an engine on the requests' own clock, in one order, and records it.
fn record(engine: &EngineProcess, dir: &Path) {
    let run = *b"recorded";
    let population = Population { people: 20_000, merchants: 500, flags: 0 };
    let plan = Plan { seed: 7, population, midnight: SOME_MIDNIGHT, requests: REQUESTS, listed: 0, run };
    let mut recorded = Record::begin(dir).expect("a folder");
    let noted = Stream::new(plan).inspect(|planned| recorded.sends(planned));
    let frames = Frames::prepare(noted, 0).expect("they fit");
    recorded.sent().expect("written");
    let schedule = Schedule::of_requests(6_000, REQUESTS);
    let patience = Duration::from_secs(10);
    let settings = Settings { connections: 1, streams: 1, stamp: Stamp::AsPrepared, run, patience };
    let answers = Rc::new(RefCell::new(Vec::new()));
    let kept = answers.clone();
    let take = move |number: u64, response: &_| kept.borrow_mut().push((number, *response));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let config = engine.client("gateway");
    let names = runtime.block_on(async {
        open_loop::run(&config, settings, &schedule, &frames, take).await.expect("sent");
        let client = Client::connect(config).await.expect("connected");
        let codes: Vec<ReasonCode> = answers.borrow().iter().flat_map(codes).collect();
        ReasonNames::of(&client, codes).await
    });
    recorded.answered(REQUESTS as usize, &answers.take(), &names).expect("written");
}

fn codes((_, response): &(u64, AuthorisationResponse)) -> Vec<ReasonCode> {
    response.answer.map_or_else(|_| Vec::new(), |decided| decided.reasons.iter().collect())
}

/// Answers without what a run itself brings about: times, place in the journal, and that nothing was logged.
fn answers(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("written");
    let answer = |line: &str| {
        let mut answer: Value = serde_json::from_str(line).expect("JSON");
        let object = answer.as_object_mut().expect("an object");
        for key in ["engine_us", "position", "staleness_ms"] {
            object.remove(key);
        }
        let degraded = object.get_mut("degraded").and_then(Value::as_array_mut).expect("a list");
        degraded.retain(|word| word != "unlogged");
        answer
    };
    text.lines().map(answer).collect()
}

#[test]
fn a_recorded_day_is_answered_by_a_backtest_as_it_was_live() {
    let own = rules_dir(RULES);
    let mut live_of = Vec::new();
    for rules in [own.path().to_owned(), shipped_rules()] {
        let rules = rules.display().to_string();
        let engine = EngineProcess::start_with(&["--clock", "event", "--rules", &rules]);
        let folder = tempfile::tempdir().expect("folder");
        record(&engine, folder.path());
        let (requests, again) = (folder.path().join("requests.ndjson"), folder.path().join("again.ndjson"));
        let found = backtest(&[
            "--rules",
            &rules,
            "--data",
            shown(&requests),
            "--answers",
            shown(&again),
            "--threads",
            "3",
        ]);
        assert_eq!((&found["rows"], &found["not_screened"]), (&REQUESTS.into(), &serde_json::json!({})));
        let stopped = found["outcomes"]["decline"].as_u64().unwrap_or(0)
            + found["outcomes"]["challenge"].as_u64().unwrap_or(0);
        assert!(stopped > 20, "too little happens to show anything: {}", found["outcomes"]);
        let live = answers(&folder.path().join("answers.ndjson"));
        assert_eq!(live.len() as u64, REQUESTS);
        for (number, (live, again)) in live.iter().zip(answers(&again)).enumerate() {
            assert!(live["outcome"].is_string(), "{live}");
            assert_eq!(live, &again, "request {number}");
        }
        live_of.push(live);
    }
    // The negative control: other rules answer otherwise.
    let differ = live_of[0].iter().zip(&live_of[1]).filter(|(one, other)| one["outcome"] != other["outcome"]);
    assert!(differ.count() > 20);
}
