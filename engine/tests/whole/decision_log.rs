//! The decision log of a real engine: whole after a kill but for its last moments, the same when it is run again, silent about
//! people, honest where something is missing.

use crate::support::{EngineProcess, of_tier, seed, shipped_rules, sparr, text};
use serde_json::{Value, json};
use sparr_engine::server::clock;
use sparr_loadgen::workload::{Population, Workload, personal_number};
use sparr_protocol::client::Pipe;
use sparr_protocol::frame::MessageKind;
use sparr_protocol::ids::RequestId;
use sparr_protocol::response::{AuthorisationResponse, Degraded};
use sparr_protocol::time::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Requests that are on their way together.
const BATCH: u64 = 64;
/// Between two of these.
const PAUSE: Duration = Duration::from_millis(10);
const PEOPLE: Population = Population { people: 4_000, merchants: 200, flags: 40 };

/// What an engine answered, and when that was heard.
type Heard = Vec<(AuthorisationResponse, Instant)>;

/// Pays as a provider's customers do until told to stop, or until the engine is gone.
fn pay(engine: &EngineProcess, from: u64, stop: &AtomicBool, heard: &Mutex<Heard>) {
    let config = engine.client("gateway");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let Pipe { mut sender, mut receiver } = Pipe::open(&config).await.expect("connected");
        let mut workload = Workload::new(seed() + from, PEOPLE);
        let mut number = from;
        while !stop.load(Ordering::Relaxed) {
            let mut bytes = Vec::new();
            for _ in 0..BATCH {
                let mut request = workload.next_request(Timestamp::from_ms(0));
                request.request_id = RequestId(u128::from(number).to_be_bytes());
                request.event_time = None;
                request.encode(&mut bytes).expect("it fits");
                number += 1;
            }
            if sender.send(&bytes).await.is_err() {
                return;
            }
            // A log that is far behind would say so, and nothing would be shown.
            tokio::time::sleep(PAUSE).await;
            let mut answered = 0;
            while answered < BATCH {
                let take = |kind: MessageKind, message: &[u8]| {
                    assert_eq!(kind, MessageKind::ScreenAnswer);
                    let answer = AuthorisationResponse::decode(message).expect("an answer");
                    heard.lock().expect("unpoisoned").push((answer, clock::instant()));
                    answered += 1;
                };
                if !receiver.receive(take).await.unwrap_or(false) {
                    return;
                }
            }
        }
    });
}

/// The shipped rules in a folder of their own, which may be changed.
fn own_rules() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let shipped = shipped_rules();
    let rules = folder.path().join("rules");
    fs::create_dir_all(rules.join("lists")).expect("made");
    for (from, to) in [(shipped.clone(), rules.clone()), (shipped.join("lists"), rules.join("lists"))] {
        for entry in fs::read_dir(from).expect("readable").flatten().filter(|it| it.path().is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
    fs::copy(shipped.join("../reasons.toml"), folder.path().join("reasons.toml")).expect("copied");
    folder
}

fn lines(output: &Output) -> Vec<Value> {
    let text = text(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line}"))).collect()
}

pub(crate) fn decisions(engine: &EngineProcess, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = engine.sparr(&[&["decisions", "--json"], arguments].concat());
    (output.status.code(), lines(&output))
}

/// What is looked at here of each of very many lines: a million whole ones do not fit in memory.
const LOOKED_AT: [&str; 16] = [
    "request_id",
    "outcome",
    "review",
    "score",
    "not_screened",
    "rule_set_digest",
    "position",
    "reasons",
    "rules",
    "shadow",
    "flags",
    "about",
    "answered_at",
    "gap",
    "damage",
    "rerun",
];

/// The same, read as it comes, and of each line what is looked at.
fn many_decisions(engine: &EngineProcess, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let mut command = sparr();
    command.args(["decisions", "--json", "--data-dir"]).arg(&engine.data_dir).args(arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut all = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        let Ok(Value::Object(mut line)) = serde_json::from_str(&line) else { panic!("no object: {line}") };
        let seen = std::mem::take(&mut line).into_iter().filter(|(key, _)| LOOKED_AT.contains(&key.as_str()));
        line = seen.collect();
        // What it evaluated to is thousands of bytes; whether it came to the same is one.
        if let Some(rerun) = line.get_mut("rerun") {
            *rerun = json!({ "equal": rerun["equal"] });
        }
        all.push(Value::Object(line));
    }
    (child.wait().expect("it ends").code(), all)
}

/// What an answer says, as the command line prints it.
fn said(answer: &AuthorisationResponse) -> Value {
    let all = answer.to_json(|code| code.0.to_string());
    let of = |key: &str| all.get(key).cloned().unwrap_or_default();
    json!([
        of("outcome"),
        of("review"),
        of("score"),
        of("not_screened"),
        of("rule_set_digest"),
        of("position")
    ])
}

fn said_in(line: &Value) -> Value {
    let of = |key: &str| line.get(key).cloned().unwrap_or_default();
    json!([
        of("outcome"),
        of("review"),
        of("score"),
        of("not_screened"),
        of("rule_set_digest"),
        of("position")
    ])
}

#[test]
fn after_a_kill_every_answer_but_the_last_moments_is_there_and_runs_again_to_the_same() {
    let wanted = of_tier(12_000, 1_000_000) as usize;
    let (data, folder) = (tempfile::tempdir().expect("folder"), own_rules());
    let rules = folder.path().join("rules").display().to_string();
    let engine = EngineProcess::start_in(data.path(), &["--rules", &rules]);
    for person in (0..40).map(|number| PEOPLE.flagged_payer(number)) {
        let person = personal_number(person);
        let wish = if person.ends_with(['1', '3', '5']) { "deny" } else { "verify" };
        let flag = ["--subject", &person, "--wish", wish, "--until", "2030-12-31", "--reason", "scam"];
        assert!(engine.sparr(&[&["flag", "raise"][..], &flag].concat()).status.success());
    }
    let (stop, heard) = (AtomicBool::new(false), Mutex::new(Heard::new()));
    let killed = std::thread::scope(|scope| {
        let load: Vec<_> = [1 << 40, 2 << 40]
            .map(|from| {
                let (engine, stop, heard) = (&engine, &stop, &heard);
                scope.spawn(move || pay(engine, from, stop, heard))
            })
            .into();
        let until = |answers: usize| {
            while heard.lock().expect("unpoisoned").len() < answers {
                assert!(!load.iter().all(std::thread::ScopedJoinHandle::is_finished), "the engine answers");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        // Two other sets while it goes on: each answer is run again with the set that decided it.
        until(wanted / 3);
        for amount in [30_000, 60_000] {
            let rule = format!(
                "rules:\n  - {{id: later, when: amount_minor > {amount}, score: 3, reason: velocity_card}}\n"
            );
            fs::write(folder.path().join("rules/later.yaml"), rule).expect("written");
            assert_eq!(engine.http("POST", "/-/reload").0, 200);
            let answers = heard.lock().expect("unpoisoned").len();
            until(answers + wanted / 4);
        }
        until(wanted);
        // A loaded machine may need longer than 200 ms to write: what was heard a second before must be there.
        engine.signal("STOP");
        let killed = clock::instant();
        engine.signal("KILL");
        killed
    });
    drop(engine);
    let heard = heard.into_inner().expect("unpoisoned");
    let unlogged = heard.iter().filter(|(answer, _)| answer.degraded.contains(Degraded::UNLOGGED)).count();

    let engine = EngineProcess::start_in(data.path(), &["--rules", &rules]);
    let (code, all) = many_decisions(&engine, &["--limit", "0", "--rerun"]);
    let by_id: HashMap<&str, &Value> =
        all.iter().filter_map(|line| Some((line["request_id"].as_str()?, line))).collect();
    let mut missing = Vec::new();
    for (answer, at) in &heard {
        match by_id.get(answer.request_id.to_string().as_str()) {
            Some(line) => assert_eq!(said_in(line), said(answer)),
            None if answer.degraded.contains(Degraded::UNLOGGED) => {}
            None => missing.push(killed.duration_since(*at)),
        }
    }
    let oldest = missing.iter().max().copied().unwrap_or_default();
    println!(
        "{} answers, {} in the log, {} said unlogged, {} missing, the oldest of them {oldest:?} before the kill",
        heard.len(),
        by_id.len(),
        unlogged,
        missing.len()
    );
    assert!(oldest < Duration::from_secs(1), "{} answers are missing, the oldest {oldest:?}", missing.len());
    let gaps: Vec<&Value> = all.iter().filter_map(|line| line.get("gap")).collect();
    assert!(gaps.iter().any(|gap| gap["why"] == "killed" && gap["missing"].is_null()), "{gaps:?}");

    let again = |equal: Value| all.iter().filter(|line| line["rerun"]["equal"] == equal).collect::<Vec<_>>();
    assert_eq!(again(false.into()).first(), None, "it comes to the same");
    let evaluated = again(true.into());
    let sets: BTreeSet<&str> = evaluated.iter().filter_map(|line| line["rule_set_digest"].as_str()).collect();
    assert_eq!(sets.len(), 3, "two reloads");
    // All but those that were refused before a rule was asked.
    assert!(evaluated.len() * 100 >= by_id.len() * 99, "{} of {}", evaluated.len(), by_id.len());
    for outcome in ["approve", "challenge", "decline"] {
        assert!(evaluated.iter().any(|line| line["outcome"] == outcome), "nothing was {outcome}d");
    }
    assert_eq!(code, Some(0));

    queries(&engine, &all);
    export(&engine, data.path(), evaluated.len());
    explained(&engine, &evaluated);
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    damaged(data.path(), &rules, by_id.len());
}

/// Each filter finds what it says, and pages follow each other without a hole.
fn queries(engine: &EngineProcess, all: &[Value]) {
    let is = |key: &str, value: &str| all.iter().filter(|line| line[key] == value).count();
    let found = |arguments: &[&str]| {
        let (code, lines) = many_decisions(engine, arguments);
        assert_eq!(code, Some(0), "{arguments:?}");
        lines.into_iter().filter(|line| line.get("gap").is_none()).collect::<Vec<_>>()
    };
    assert_eq!(found(&["--outcome", "decline", "--limit", "0"]).len(), is("outcome", "decline"));
    let named = |line: &Value, rule: &str| {
        ["rules", "shadow"]
            .iter()
            .any(|key| line[key].as_array().is_some_and(|all| all.contains(&rule.into())))
    };
    let hit = all.iter().filter(|line| named(line, "later")).count();
    assert!(hit > 0);
    assert_eq!(found(&["--rule", "later", "--limit", "0"]).len(), hit);
    let flagged = all.iter().filter(|line| line["flags"].as_array().is_some_and(|it| !it.is_empty())).count();
    assert!(flagged > 0);
    assert_eq!(found(&["--member", "dev", "--limit", "0"]).len(), flagged);
    assert_eq!(found(&["--member", "nobody"]).len(), 0);
    assert_eq!(found(&["--limit", "7"]).len(), 7);
    let decided: Vec<&Value> = all.iter().filter(|line| line.get("request_id").is_some()).collect();
    let middle = decided[decided.len() / 2];
    let one = found(&["--id", middle["request_id"].as_str().expect("an id")]);
    assert_eq!((one.len(), &one[0]["about"]), (1, &middle["about"]));
    let at = middle["answered_at"].as_str().expect("a time");
    let (before, after) = (found(&["--until", at, "--limit", "0"]), found(&["--since", at, "--limit", "0"]));
    assert_eq!(before.len() + after.len(), decided.len());
    // A desk looks at people, not at payments; and who asked is in the audit.
    let desk = engine.data_dir.join("dev/desk").display().to_string();
    let refused = engine.sparr(&["decisions", "--json", "--identity", &desk]);
    assert_eq!((refused.status.code(), &lines(&refused)[0]["refused"]), (Some(1), &json!("not_permitted")));
    let audit = engine.json(&["audit", "list", "--json"]);
    let asked = audit["entries"].as_array().expect("a list");
    assert!(
        asked.iter().any(|line| line["operation"] == "decision_list" && line["refused"] == "not_permitted")
    );
    let incident = engine.sparr(&["incident-export", "--json"]);
    let report = &lines(&incident)[0];
    assert_eq!((incident.status.code(), &report["data_loss"]), (Some(1), &json!(true)));
    assert_eq!(
        (report["requests"].as_u64(), report["missing_unknown"].as_bool()),
        (Some(decided.len() as u64), Some(true))
    );
    assert_eq!(report["members"], json!(["dev"]));
}

/// What is exported is read by the backtest as it is, and nothing else is in it.
fn export(engine: &EngineProcess, data: &Path, evaluated: usize) {
    let refused = engine.sparr(&["decisions", "--export"]);
    assert_eq!(refused.status.code(), Some(1), "the kill has left a gap");
    assert!(text(&refused.stderr).contains("--allow-gaps"));
    let output = engine.sparr(&["decisions", "--export", "--allow-gaps"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let file = data.join("exported.ndjson");
    fs::write(&file, &output.stdout).expect("written");
    let rules = shipped_rules().display().to_string();
    let tested = sparr()
        .args(["backtest", "--json", "--rules", &rules, "--data"])
        .arg(&file)
        .output()
        .expect("it runs");
    assert_eq!(tested.status.code(), Some(0), "{}{}", text(&tested.stdout), text(&tested.stderr));
    let found: Value = serde_json::from_slice(&tested.stdout).expect("JSON");
    assert_eq!(found["rows"].as_u64(), Some(evaluated as u64));
    assert_eq!(found["not_screened"], json!({}), "each row is a request");
}

/// Why one of them was challenged, in words and as JSON.
fn explained(engine: &EngineProcess, evaluated: &[&Value]) {
    let flagged = evaluated.iter().find(|line| {
        line["outcome"] == "decline"
            && line["reasons"].as_array().is_some_and(|it| it.contains(&"flag_deny".into()))
    });
    let id = flagged.expect("somebody wished it")["request_id"].as_str().expect("an id").to_owned();
    let words = engine.sparr(&["explain", &id, "--rerun"]);
    assert_eq!(words.status.code(), Some(0), "{}", text(&words.stderr));
    let words = text(&words.stdout);
    for part in [
        "decline",
        "flag (deny wishes it): entered by dev",
        "What the customer may be told: You have asked us",
        "Run again from the log: the same",
    ] {
        assert!(words.contains(part), "{part}:\n{words}");
    }
    let hit =
        evaluated.iter().find(|line| line["rules"].as_array().is_some_and(|it| it.contains(&"later".into())));
    let id = hit.expect("a large one")["request_id"].as_str().expect("an id");
    let value = &lines(&engine.sparr(&["explain", id, "--json"]))[0];
    let rules = value["explained"]["rules"].as_array().expect("rules");
    let later = rules.iter().find(|rule| rule["id"] == "later").expect("it hit");
    assert_eq!((&later["line"], &later["hit"]), (&json!(2), &json!(true)));
    let amount = value["amount_minor"].to_string();
    assert!(
        later["parts"]
            .as_array()
            .expect("parts")
            .iter()
            .any(|part| { part["text"] == "amount_minor" && part["value"].as_str() == Some(&amount) }),
        "{later}"
    );
    let nobody = engine.sparr(&["explain", &"9".repeat(32), "--json"]);
    assert_eq!((nobody.status.code(), &lines(&nobody)[0]["found"]), (Some(1), &json!(false)));
}

/// A flipped bit, a cut and a removed segment are found, and the rest is read.
fn damaged(data: &Path, rules: &str, decided: usize) {
    let folder = data.join("decisions");
    let first = folder.join("00000001.seg");
    let whole = fs::read(&first).expect("there");
    // Whose numbers and devices it is about is not in the files, sealed or not.
    let secret = personal_number(PEOPLE.flagged_payer(0));
    for needle in [secret.as_bytes(), &secret.as_bytes()[2..], b"dev_", b"tok_", b"card-testing"] {
        assert_eq!(memchr::memmem::find(&whole, needle), None, "{}", text(needle));
    }
    let look = |what: &str| {
        let engine = EngineProcess::start_in(data, &["--rules", rules]);
        let (code, lines) = many_decisions(&engine, &["--limit", "0"]);
        let readable = lines.iter().filter(|line| line.get("request_id").is_some()).count();
        let found = lines.iter().any(|line| line.get("damage").is_some());
        engine.signal("TERM");
        assert_eq!(engine.wait(), Some(0));
        assert!(found == (what != "nothing") && code == Some(i32::from(found)), "{what}: {code:?}");
        readable
    };
    assert_eq!(look("nothing"), decided);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&first, &flipped).expect("written");
    let readable = look("a flipped bit");
    assert!(0 < readable && readable < decided, "{readable} of {decided}");
    fs::write(&first, &whole[..whole.len() / 2]).expect("written");
    let readable = look("a cut");
    assert!(0 < readable && readable < decided, "{readable} of {decided}");
    fs::write(&first, &whole).expect("written");
    assert_eq!(look("nothing"), decided);
    fs::remove_file(folder.join("00000002.seg")).expect("there");
    look("a removed segment");
}
