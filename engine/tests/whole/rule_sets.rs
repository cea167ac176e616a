//! A bad set never replaces a good one, and the last good one survives a restart.

use crate::support::{EngineProcess, id, rules_dir};
use serde_json::json;
use sparr_protocol::client::Client;
use sparr_protocol::codes::{Kind, Outcome};
use sparr_protocol::ids::RequestId;
use sparr_protocol::money::Currency;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A set that loads.
pub(crate) const GOOD: &str = "rules:
  - id: large
    description: Large
    owner: risk
    when: |
      amount_minor > 100000
        && !(mcc in [5411, 5812])
    then: decline
    reason: velocity_card
    kinds: [card_payment]
    examples:
      - match: { amount_minor: 100001, mcc: 1 }
      - no_match: { amount_minor: 1 }
";

/// A payment that its rule declines.
pub(crate) fn large(number: u64) -> serde_json::Value {
    json!({ "request_id": id(number), "kind": "card_payment", "amount_minor": 200_000, "currency": "SEK", "mcc": 4829 })
}

/// What screening answers, over and over, until it is told to stop: digests and outcomes.
fn load(engine: &EngineProcess, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<(u64, BTreeSet<String>)> {
    let config = engine.client("gateway");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let client = Client::connect(config).await.expect("connected");
            let mut seen = BTreeSet::new();
            let mut number = 1_000_000u64;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let id = RequestId(u128::from(number).to_be_bytes());
                let mut request = AuthorisationRequest::new(id, Kind::CardPayment, Timestamp::from_ms(0));
                request.event_time = None;
                request.amount_minor = Some(200_000);
                request.currency = Some(Currency::SEK);
                request.set("mcc", "4829").expect("a field");
                let answer = client.screen(&request).await.expect("answered");
                let outcome = answer.answer.map(|decided| decided.outcome);
                seen.insert(format!("{} {outcome:?}", answer.rule_set_digest));
                assert_eq!(outcome, Ok(Outcome::Decline));
            }
            client.close().await;
            (number - 1_000_000, seen)
        })
    })
}

/// Files that are broken in every way that came to mind, as bytes.
fn broken() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    // Cut off anywhere: at the end of a line what is left may be a set by itself, elsewhere it never is.
    for cut in (1..GOOD.len()).filter(|cut| GOOD.as_bytes()[cut - 1] != b'\n') {
        all.push((format!("cut off after {cut} bytes"), GOOD.as_bytes()[..cut].to_vec()));
    }
    let mut say = |name: &str, text: String| all.push((name.to_owned(), text.into_bytes()));
    say("twice in one file", format!("{GOOD}{GOOD}"));
    say("one id twice", format!("{GOOD}{}", GOOD.replace("rules:\n", "")));
    say("two documents", format!("{GOOD}---\n{GOOD}"));
    say("an alias bomb", format!("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n{GOOD}"));
    say("nested deeply", format!("rules: {}{}\n", "[".repeat(10_000), "]".repeat(10_000)));
    say("a condition nested deeply", GOOD.replace("amount_minor > 100000", &"(".repeat(5_000)));
    say("a condition that is long", GOOD.replace("100000", &"1 + ".repeat(5_000)));
    say("tabs", GOOD.replace("    ", "\t"));
    say("nothing", String::new());
    say("no rule", "rules: []\nset: {}\nmore: 1\n".to_owned());
    say("JSON of something else", "{\"a\": 1}\n".to_owned());
    say("NUL", GOOD.replace("Large", "\0"));
    for (from, to) in [
        ("large", "Large Payment"),
        ("then: decline", "then: approve"),
        ("then: decline", "then: decline\n    score: 3"),
        ("amount_minor", "amuont_minor"),
        (">", "=>"),
        ("&&", "and"),
        ("100000", "1000.5"),
        ("velocity_card", "velocity_crad"),
        ("velocity_card", "flag_deny"),
        ("card_payment", "card-payment"),
        ("100001", "100000"),
        ("mcc in", "mcc in list(\"no-such\") || mcc in"),
        ("amount_minor > 100000", "merchant_id.matches(\"((a{99}){99}){99}\")"),
        ("amount_minor > 100000", "merchant_id.matches(\"(\")"),
        ("amount_minor > 100000", "amount_minor / 0 > 1"),
        ("amount_minor > 100000", "mcc > 1 && mcc < 1"),
        ("amount_minor > 100000", "velocity(card, \"400d\").count > 1"),
        ("amount_minor > 100000", "flag.verify"),
    ] {
        say(&format!("{to} for {from}"), GOOD.replacen(from, to, 1));
    }
    all.push(("not UTF-8".to_owned(), [GOOD.as_bytes(), b"# \xff\xfe\n"].concat()));
    all
}

#[test]
fn three_hundred_broken_sets_under_load_change_nothing() {
    let folder = rules_dir(GOOD);
    let (dir, file) = (folder.path(), folder.path().join("rules.yaml"));
    let engine = EngineProcess::start_with(&["--rules", &dir.display().to_string()]);
    let first = engine.screen(&large(1));
    let digest = first["rule_set_digest"].as_str().expect("a digest").to_owned();
    assert_eq!(first["outcome"], "decline");
    let stop = Arc::new(AtomicBool::new(false));
    let loading = load(&engine, stop.clone());

    let refused = |what: &str| {
        let (status, answer) = engine.http("POST", "/-/reload");
        assert_eq!(status, 422, "{what}: {answer}");
    };
    let files = broken();
    let mut count = files.len();
    for (what, bytes) in files {
        fs::write(&file, bytes).expect("written");
        refused(&what);
    }
    // What is no file, or none of a size that anybody could have meant.
    type Make<'m> = &'m dyn Fn(&Path);
    let made: [(&str, Make<'_>); 6] = [
        ("a pipe", &|path| {
            let status = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
            assert!(status.success());
        }),
        ("a folder", &|path| fs::create_dir(path).expect("a folder")),
        ("a link to nothing", &|path| std::os::unix::fs::symlink("nowhere", path).expect("a link")),
        ("a link to itself", &|path| std::os::unix::fs::symlink(path, path).expect("a link")),
        ("a link to a device", &|path| std::os::unix::fs::symlink("/dev/zero", path).expect("a link")),
        ("a gigabyte", &|path| fs::File::create(path).expect("a file").set_len(1 << 30).expect("sparse")),
    ];
    for (what, make) in made {
        fs::write(&file, GOOD).expect("written");
        let other = dir.join("other.yaml");
        make(&other);
        refused(what);
        count += 1;
        if fs::symlink_metadata(&other).expect("there").is_dir() {
            fs::remove_dir(&other).expect("removed");
        } else {
            fs::remove_file(&other).expect("removed");
        }
    }
    // Links that are swapped, as configuration maps do it: to a broken folder's file.
    fs::write(dir.join("bad.txt"), GOOD.replace("decline", "declin")).expect("written");
    fs::remove_file(&file).expect("removed");
    refused("no rule file at all");
    std::os::unix::fs::symlink("bad.txt", &file).expect("a link");
    refused("a link that was swapped");
    count += 2;
    assert!(count >= 300, "{count} ways are too few");

    stop.store(true, Ordering::Relaxed);
    let (requests, seen) = loading.join().expect("every answer was a decision of the good set");
    assert!(requests > 1_000, "{requests} requests are no load");
    assert_eq!(seen, BTreeSet::from([format!("{digest} Ok(Decline)")]));
    assert_eq!(engine.screen(&large(2))["rule_set_digest"], digest.as_str());

    // The control: a good set does replace it.
    fs::remove_file(&file).expect("removed");
    fs::write(&file, GOOD.replace("decline", "challenge")).expect("written");
    assert_eq!(engine.http("POST", "/-/reload").0, 200);
    assert_eq!(engine.screen(&large(3))["outcome"], "challenge");
}

#[test]
fn the_last_good_set_serves_a_restart_and_a_copy_that_is_not_whole_does_not() {
    let folder = rules_dir(GOOD);
    let data = tempfile::tempdir().expect("folder");
    let rules = folder.path().display().to_string();
    let arguments = ["--rules", rules.as_str()];
    let engine = EngineProcess::start_in(data.path(), &arguments);
    let digest = engine.screen(&large(1))["rule_set_digest"].as_str().expect("a digest").to_owned();
    engine.kill();

    fs::write(folder.path().join("rules.yaml"), GOOD.replace("decline", "declin")).expect("written");
    let engine = EngineProcess::start_in(data.path(), &arguments);
    let answer = engine.screen(&large(2));
    assert_eq!(
        (&answer["rule_set_digest"], &answer["outcome"]),
        (&digest.as_str().into(), &"decline".into())
    );
    assert!(engine.log().contains("the last good rule set decides"), "{}", engine.log());
    engine.kill();

    let copy = data.path().join("rule-sets").join(format!("{digest}.set"));
    let whole = fs::read_to_string(&copy).expect("a copy");
    fs::write(&copy, whole.replace("100000", "900000")).expect("written");
    let engine = EngineProcess::start_in(data.path(), &arguments);
    assert_eq!(engine.screen(&large(3))["not_screened"], "no_rules");
    assert!(engine.log().contains("not whole"), "{}", engine.log());
}

#[test]
fn a_changed_file_is_loaded_when_the_folder_is_watched() {
    let folder = rules_dir(GOOD);
    let rules = folder.path().display().to_string();
    let engine = EngineProcess::start_with(&["--rules", &rules, "--activation", "watch"]);
    assert_eq!(engine.screen(&large(1))["outcome"], "decline");
    // As editors do it: a new file takes the place of the old one.
    let unfinished = folder.path().join("rules.yaml.new");
    fs::write(&unfinished, GOOD.replace("decline", "challenge")).expect("written");
    fs::rename(&unfinished, folder.path().join("rules.yaml")).expect("renamed");
    for number in 2..200 {
        if engine.screen(&large(number))["outcome"] == "challenge" {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the change was not seen:\n{}", engine.log());
}
