//! The commands of risk teams, as scripts call them: `sparr test`, `sparr explain`, `sparr schema`.

use crate::support::shipped_rules;
use std::path::Path;
use std::process::{Command, Output};

fn sparr(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sparr")).args(arguments).output().expect("sparr runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const RULE: &str = "\
rules:
  - id: third-in-a-minute
    when: |
      velocity(card, \"1m\").count
        >= 3
    then: decline
    reason: velocity_card
";

const TABLE: &str = "\
tests:
  - name: three in a minute
    given: { card_token: c1, amount_minor: 100 }
    requests:
      - { at: 0s, expect: approve }
      - { at: 30s, expect: approve }
      - { at: 59s, expect: { outcome: decline, hits: [third-in-a-minute], reasons: [velocity_card] } }
      - { at: 61s, card_token: c2, expect: approve }
      - { at: 90s, expect: approve }
";

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).expect("writable");
}

#[test]
fn tables_play_over_time_and_one_that_is_wrong_is_found_at_its_line() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "rules.yaml", RULE);
    write(dir.path(), "windows.test.yaml", TABLE);
    let folder = dir.path().display().to_string();
    let fine = sparr(&["test", &folder]);
    assert_eq!(fine.status.code(), Some(0), "{}", said(&fine));
    assert!(said(&fine).contains("1 tests, 5 requests, 0 findings"), "{}", said(&fine));

    // The same table with another time: the third payment is no longer within the minute.
    write(dir.path(), "windows.test.yaml", &TABLE.replace("at: 59s", "at: 60s"));
    let wrong = sparr(&["test", &folder, "--format", "json"]);
    assert_eq!(wrong.status.code(), Some(1));
    let finding: serde_json::Value = serde_json::from_str(said(&wrong).trim()).expect("one finding");
    assert_eq!((&finding["code"], &finding["line"]), (&"E042".into(), &7.into()));
    assert!(finding["help"][0].as_str().is_some_and(|help| help.contains("came to approve")), "{finding}");

    for (broken, code) in [
        (TABLE.replace("card_token: c1", "card_tokn: c1"), "E043"),
        (TABLE.replace("at: 61s", "at: 10s"), "E043"),
        (TABLE.replace("expect: approve", "expects: approve"), "E043"),
        (TABLE.replace("{ at: 30s, expect: approve }", "{ at: 30s, flag: deny, expect: decline }"), "E043"),
        (TABLE.replace("decline, hits", "declines, hits"), "E007"),
    ] {
        write(dir.path(), "windows.test.yaml", &broken);
        let refused = sparr(&["test", &folder, "--format", "github"]);
        assert_eq!(refused.status.code(), Some(1), "{broken}");
        assert!(said(&refused).contains(&format!("title={code}::")), "{code}: {}", said(&refused));
    }
    assert_eq!(sparr(&["test", "/nowhere/at/all"]).status.code(), Some(2));
}

#[test]
fn the_shipped_tests_pass() {
    let rules = shipped_rules().display().to_string();
    let fine = sparr(&["test", &rules]);
    assert_eq!(fine.status.code(), Some(0), "{}", said(&fine));
}

#[test]
fn a_request_is_explained_part_by_part_with_its_lines() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "rules.yaml", RULE);
    let request = |id: u8, ms: i64| {
        format!(
            "{{\"request_id\": \"{id:032x}\", \"kind\": \"card_payment\", \"card_token\": \"c\", \"event_time\": {ms}}}\n"
        )
    };
    write(dir.path(), "requests.json", &(1..=3).map(|id| request(id, 1_767_268_800_000)).collect::<String>());
    let folder = dir.path().display().to_string();
    let file = dir.path().join("requests.json").display().to_string();
    let explained = sparr(&["explain", &file, "--rules", &folder, "--json", "--all"]);
    assert_eq!(explained.status.code(), Some(0), "{}", said(&explained));
    let lines: Vec<serde_json::Value> =
        said(&explained).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let outcomes: Vec<_> = lines.iter().map(|line| line["answer"]["outcome"].clone()).collect();
    assert_eq!(outcomes, ["approve", "approve", "decline"]);
    let rule = &lines[2]["rules"][0];
    assert_eq!(
        (&rule["id"], &rule["line"], &rule["hit"]),
        (&"third-in-a-minute".into(), &2.into(), &true.into())
    );
    let part = &rule["parts"][1];
    assert_eq!(
        (&part["line"], &part["text"], &part["value"]),
        (&4.into(), &"velocity(card, \"1m\").count".into(), &"3".into())
    );
    let words = sparr(&["explain", &file, "--rules", &folder]);
    assert!(said(&words).contains("4 |   velocity(card, \"1m\").count = 3"), "{}", said(&words));
    write(dir.path(), "requests.json", "{\"kind\": \"card_payment\"}");
    assert_eq!(sparr(&["explain", &file, "--rules", &folder]).status.code(), Some(1));
}

#[test]
fn costs_are_told_rule_by_rule_and_a_set_over_its_budget_says_by_how_much() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().display().to_string();
    let rule =
        |id: &str, when: &str| format!("  - {{id: {id}, when: '{when}', score: 1, reason: velocity_card}}\n");
    let two = [rule("one", "mcc > 1"), rule("three", "mcc > 1 && mcc < 9 && amount_minor > 1")].concat();
    write(dir.path(), "rules.yaml", &format!("rules:\n{two}"));
    let output = said(&sparr(&["check", &folder, "--costs", "--format", "json"]));
    let lines: Vec<serde_json::Value> =
        output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let costs: Vec<_> = lines
        .iter()
        .filter(|line| !line["rule"].is_null())
        .map(|line| (&line["rule"], &line["cost"]))
        .collect();
    assert_eq!(costs, [(&"three".into(), &3.into()), (&"one".into(), &1.into())]);
    let set = lines.last().expect("a line");
    assert_eq!(set["set_cost"], 3 + 2, "each distinct question once, and one for each rule: {set}");

    let many: String =
        (0..10_001).map(|at| rule(&format!("r-{at}"), &format!("amount_minor > {at}"))).collect();
    write(dir.path(), "rules.yaml", &format!("rules:\n{many}"));
    let over = sparr(&["check", &folder]);
    assert_eq!(over.status.code(), Some(1));
    assert!(said(&over).contains("the set has 10001 rules; at most 10000"), "{}", said(&over).len());
}
