//! Who may change what decides: approval by a second, proven person, going back, and switching rules off.

use crate::rule_sets::{GOOD, large};
use crate::support::{EngineProcess, TOLVAN, rules_dir, sparr, text};
use std::fs;

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
    engine.raise(TOLVAN, "verify");
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
