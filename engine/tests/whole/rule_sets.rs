//! A bad set never replaces a good one; the last good one survives a restart; every change is in the history.

use crate::support::{EngineProcess, TOLVAN, id, rules_dir, sparr, text};
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

const GOOD: &str = "rules:
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

fn large(number: u64) -> serde_json::Value {
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

fn history(engine: &EngineProcess) -> Vec<serde_json::Value> {
    let admin = engine.admin.to_string();
    let output = sparr().args(["rules", "history", "--admin", &admin]).output().expect("it runs");
    let lines = text(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Asks for a change of rule sets with a person's certificate: the digest and whether it is staged, or the refusal.
fn rules_command(engine: &EngineProcess, person: &str, arguments: &[&str]) -> Result<(String, bool), String> {
    let identity = engine.data_dir.join("dev").join(person).display().to_string();
    let arguments = [&["rules"], arguments, &["--json", "--identity", &identity]].concat();
    let output = engine.sparr(&arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let said: serde_json::Value =
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{arguments:?}: {out}{err}"));
    match said["refused"].as_str() {
        Some(refused) => {
            assert_eq!(output.status.code(), Some(1), "{out}");
            Err(refused.to_owned())
        }
        None => {
            assert_eq!(output.status.code(), Some(0), "{out}");
            Ok((said["digest"].as_str().expect("a digest").to_owned(), said["staged"] == true))
        }
    }
}

fn refused(why: &str) -> Result<(String, bool), String> {
    Err(why.to_owned())
}

#[test]
fn a_staged_set_waits_for_another_persons_approval_and_an_earlier_one_comes_back() {
    let folder = rules_dir(GOOD);
    let data = tempfile::tempdir().expect("folder");
    let rules = folder.path().display().to_string();
    let arguments = ["--rules", rules.as_str(), "--activation", "approve"];
    let engine = EngineProcess::start_in(data.path(), &arguments);
    let first = engine.screen(&large(1))["rule_set_digest"].as_str().expect("a digest").to_owned();
    assert_eq!(rules_command(&engine, "risk-2", &["approve", &first]), refused("nothing_staged"));

    let file = folder.path().join("rules.yaml");
    fs::write(&file, GOOD.replace("decline", "challenge")).expect("written");
    let (second, staged) = rules_command(&engine, "risk", &["reload"]).expect("it loads");
    assert!(staged && second != first);
    assert_eq!(engine.screen(&large(2))["outcome"], "decline", "what is staged does not decide");
    let approve = ["approve", second.as_str()];
    assert_eq!(rules_command(&engine, "risk-2", &["approve", &first]), refused("other_set_staged"));
    // Whoever had it staged, another role, and another member's risk team.
    assert_eq!(rules_command(&engine, "risk", &approve), refused("same_person"));
    for person in ["analyst", "desk", "gateway", "operator", "risk-b"] {
        for operation in [&approve[..], &["reload"], &["rollback"], &["kill", "large"], &["kill", "--all"]] {
            assert_eq!(rules_command(&engine, person, operation), refused("not_permitted"), "{person}");
        }
    }
    // The admin port knows nobody, and does nothing of the kind.
    for path in ["approve?digest=", "rollback?by=anna&digest=", "kill?rule=large&by=anna&digest="] {
        assert_eq!(engine.http("POST", &format!("/-/rules/{path}{second}")).0, 404, "{path}");
    }
    assert_eq!(engine.http("POST", "/-/reload").0, 200);
    assert_eq!(rules_command(&engine, "risk", &approve), refused("same_person"), "staged again by nobody");
    engine.kill();

    // A restart stages it again and goes on with what was approved.
    let engine = EngineProcess::start_in(data.path(), &arguments);
    assert_eq!(engine.screen(&large(3))["outcome"], "decline");
    assert_eq!(rules_command(&engine, "risk", &approve), refused("same_person"), "a restart forgets nobody");
    assert_eq!(rules_command(&engine, "risk-2", &approve), Ok((second.clone(), false)));
    assert_eq!(engine.screen(&large(4))["outcome"], "challenge");
    assert_eq!(rules_command(&engine, "risk-2", &approve), refused("nothing_staged"));

    assert_eq!(rules_command(&engine, "risk", &["rollback"]), Ok((first.clone(), false)));
    let back = engine.screen(&large(5));
    assert_eq!((&back["outcome"], &back["rule_set_digest"]), (&"decline".into(), &first.as_str().into()));
    let none = "1".repeat(32);
    assert_eq!(rules_command(&engine, "risk", &["rollback", &none]), refused("no_such_rule_set"));
    let done: Vec<String> =
        history(&engine).iter().take(2).map(|it| format!("{} {}", it["how"], it["by"])).collect();
    assert_eq!(
        done,
        ["\"rollback\" \"sparr://member/dev/risk/risk-1\"", "\"approve\" \"sparr://member/dev/risk/risk-2\""]
    );

    // What nobody in particular has staged, any one person of the risk team may approve.
    fs::write(
        &file,
        GOOD.replace("100000", "100001")
            .replace("match: { amount_minor: 100001", "match: { amount_minor: 100002"),
    )
    .expect("written");
    assert_eq!(engine.http("POST", "/-/reload").0, 200);
    let newest = &history(&engine)[0];
    assert_eq!((&newest["how"], &newest["by"]), (&"staged".into(), &"".into()));
    let third = newest["digest"].as_str().expect("a digest");
    assert_eq!(rules_command(&engine, "risk", &["approve", third]), Ok((third.to_owned(), false)));

    fs::write(&file, GOOD.replace("decline", "declin")).expect("written");
    assert_eq!(rules_command(&engine, "risk", &["reload"]), refused("rules_refused"));
    assert_eq!(engine.screen(&large(6))["rule_set_digest"], third);
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

/// Every kind of action × mode × killed, alone and all together: only what is killed changes, it stays so over a reload and
/// a restart, and a person's flag acts all the same.
#[test]
fn a_killed_rule_does_nothing_until_it_is_revived() {
    let actions = ["then: challenge", "then: decline", "review: after", "review: hold", "score: 60"];
    let modes = ["enforce", "shadow", "off"];
    let rules: String = actions
        .iter()
        .enumerate()
        .flat_map(|(at, action)| modes.map(|mode| (at, action, mode)))
        .map(|(at, action, mode)| {
            format!("  - {{id: r-{mode}-{at}, mode: {mode}, when: mcc == {at}, {action}, reason: velocity_card}}\n")
        })
        .collect();
    let folder = rules_dir(&format!("rules:\n{rules}"));
    let data = tempfile::tempdir().expect("folder");
    let dir = folder.path().display().to_string();
    let arguments = ["--rules", dir.as_str()];
    let mut engine = EngineProcess::start_in(data.path(), &arguments);
    engine.json(&[
        "flag",
        "raise",
        "--subject",
        TOLVAN,
        "--wish",
        "verify",
        "--until",
        "2030-12-31",
        "--reason",
        "scam",
        "--json",
    ]);
    let mut number = 0;
    let mut ask = |engine: &EngineProcess, mcc: usize, subject: Option<&str>| {
        number += 1;
        let mut request = large(number);
        request["mcc"] = mcc.into();
        if let Some(subject) = subject {
            request["subject"] = subject.into();
        }
        let answer = engine.screen(&request);
        format!("{} {} {}", answer["outcome"], answer["review"], answer["score"])
    };
    let untouched = "\"approve\" \"none\" 0";
    let before: Vec<String> = (0..actions.len()).map(|mcc| ask(&engine, mcc, None)).collect();
    assert!(before.iter().all(|answer| answer != untouched), "{before:?}");
    let done = |engine: &EngineProcess, arguments: &[&str]| {
        rules_command(engine, "risk", arguments).unwrap_or_else(|why| panic!("{arguments:?}: {why}"));
    };
    for (at, own) in before.iter().enumerate() {
        for mode in ["shadow", "off"] {
            done(&engine, &["kill", &format!("r-{mode}-{at}")]);
            assert_eq!(ask(&engine, at, None), *own, "what is in {mode} changes nothing");
            done(&engine, &["revive", &format!("r-{mode}-{at}")]);
            assert_eq!(ask(&engine, at, None), *own);
        }
        done(&engine, &["kill", &format!("r-enforce-{at}")]);
        assert_eq!(ask(&engine, at, None), untouched);
        let other = (at + 1) % actions.len();
        let expected = if other > at { before[other].as_str() } else { untouched };
        assert_eq!(ask(&engine, other, None), expected, "and no other rule");
    }
    assert_eq!(rules_command(&engine, "risk", &["kill", "r-enforce-0"]), refused("already_so"));
    assert_eq!(rules_command(&engine, "risk", &["kill", "no-such"]), refused("no_such_rule"));
    assert_eq!(engine.http("POST", "/-/reload").0, 200);
    engine.kill();
    engine = EngineProcess::start_in(data.path(), &arguments);
    assert_eq!(ask(&engine, 1, None), untouched, "also after a reload and a restart");
    done(&engine, &["revive", "r-enforce-1"]);
    assert_eq!(ask(&engine, 1, None), before[1]);
    for at in [0, 2, 3, 4] {
        done(&engine, &["revive", &format!("r-enforce-{at}")]);
    }

    // All of them at once, with one that was killed by itself and stays so.
    done(&engine, &["kill", "r-enforce-2"]);
    done(&engine, &["kill", "--all"]);
    assert_eq!(rules_command(&engine, "risk", &["kill", "--all"]), refused("already_so"));
    engine.kill();
    engine = EngineProcess::start_in(data.path(), &arguments);
    for at in 0..actions.len() {
        assert_eq!(ask(&engine, at, None), untouched, "{at}");
    }
    assert!(ask(&engine, 9, Some(TOLVAN)).starts_with("\"challenge\""), "a person's flag is no rule");
    done(&engine, &["revive", "--all"]);
    for (at, own) in before.iter().enumerate() {
        assert_eq!(ask(&engine, at, None), if at == 2 { untouched } else { own.as_str() }, "{at}");
    }
}
