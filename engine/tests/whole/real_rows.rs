//! A million real rows, through QUIC with mutual TLS: the velocity rules hit exactly as a plain script found.

use crate::support::{EngineProcess, sparr, text};
use serde_json::Value;
use sparr_engine::rules::BUILT_IN;
use sparr_protocol::testing::test_data;
use std::fs;
use std::path::Path;

/// The reference's rules that read counts, sums and amounts, in this engine's language.
pub(crate) const RULES: &[(&str, &str)] = &[
    ("amount > 220.00", "amount_minor > 22000"),
    ("amount >= 220.00", "amount_minor >= 22000"),
    ("count per customer, 1 h, >= 3", "velocity(card, \"1h\").count >= 3"),
    ("count per customer, 24 h, >= 8", "velocity(card, \"24h\").count >= 8"),
    ("sum per customer, 24 h, > 600.00", "velocity(card, \"24h\").sum > 60000"),
    ("distinct terminals per customer, 24 h, >= 7", "velocity(card, \"24h\").distinct(terminal) >= 7"),
    ("sum per terminal, 7 d, > 1500.00", "velocity(terminal, \"7d\").sum > 150000"),
    ("count per terminal, 7 d, >= 15", "velocity(terminal, \"7d\").count >= 15"),
];

pub(crate) fn write_rules(dir: &Path) {
    let mut yaml = "set:\n  base_currency: EUR\nrules:\n".to_owned();
    let mut reasons = String::new();
    let mut reason = |code: usize, name: &str, what: &str| {
        reasons.push_str(&format!(
            "[[reason]]\ncode = {code}\nname = {name:?}\nanalyst = {what:?}\ncustomer = \"Please confirm.\"\n"
        ));
    };
    for (code, name) in BUILT_IN {
        reason(code.0.into(), name, "the engine's own");
    }
    for (number, (what, when)) in RULES.iter().enumerate() {
        yaml.push_str(&format!(
            "  - id: r{number}\n    description: {what:?}\n    owner: test\n    when: {when}\n    then: challenge\n    reason: hit_{number}\n"
        ));
        reason(1_000 + number, &format!("hit_{number}"), what);
    }
    fs::write(dir.join("rules.yaml"), yaml).expect("written");
    fs::write(dir.join("reasons.toml"), reasons).expect("written");
}

/// What the reference says of a rule, with windows that are open at their start.
pub(crate) fn of_reference<'a>(reference: &'a Value, what: &str) -> &'a Value {
    let rules = reference["rules"].as_array().expect("rules");
    let open_at_its_start = |rule: &&Value| rule["window"].is_null() || rule["window"] == "(t-w, t]";
    let rule = rules.iter().filter(open_at_its_start).find(|rule| rule["rule"] == what);
    rule.unwrap_or_else(|| panic!("no {what} in the reference"))
}

/// Sends a file to a fresh engine and gives back the summary without its times.
fn send(rules: &Path, rows: &Path, map: &str) -> Value {
    let engine = EngineProcess::start_with(&["--clock", "event", "--rules", &rules.display().to_string()]);
    let map = crate::support::shipped_rules().join("../maps").join(map);
    let output = engine.sparr(&[
        "screen",
        "--json",
        "--input",
        &rows.display().to_string(),
        "--map",
        &map.display().to_string(),
    ]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "no progress bar in a pipe");
    let mut summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for timed in ["round_trip_us", "seconds", "requests_per_s"] {
        assert!(summary.as_object_mut().expect("an object").remove(timed).is_some(), "{timed}");
    }
    summary
}

#[test]
fn velocity_hits_equal_the_reference_on_a_million_rows_and_on_every_run() {
    let unproven = "that velocity is exact on a million real rows";
    let Some(rows) = test_data("transactions/fdh_2018-04-01_2018-07-15.csv.zst", unproven) else { return };
    let Some(reference) = test_data("transactions/fdh_reference_results.json", unproven) else { return };
    let reference: Value = serde_json::from_slice(&fs::read(reference).expect("readable")).expect("JSON");
    let expected = |what: &str| of_reference(&reference, what)["hits"].as_u64().expect("hits");
    let folder = tempfile::tempdir().expect("folder");
    write_rules(folder.path());
    let summary = send(folder.path(), &rows, "fdh.toml");
    assert_eq!(summary["answers"], reference["rows"]);
    assert_eq!(summary["not_screened"], serde_json::json!({}), "every row is screened");
    for (number, (what, _)) in RULES.iter().enumerate() {
        let hits = summary["reasons"][format!("hit_{number}")].as_u64().unwrap_or(0);
        assert_eq!(hits, expected(what), "{what}");
    }
    assert_eq!(send(folder.path(), &rows, "fdh.toml"), summary, "the same outcomes on every run");
}

#[test]
fn a_shop_s_real_rows_give_the_same_outcomes_on_every_run_of_the_shipped_rules() {
    let unproven = "that the shipped rules run on a shop's real rows";
    let Some(rows) = test_data("transactions/fraud_ecommerce_device_ip.csv.zst", unproven) else { return };
    let rules = crate::support::shipped_rules();
    let summary = send(&rules, &rows, "fraud_ecommerce.toml");
    assert_eq!(summary["answers"], 51_689);
    assert_eq!(summary["not_screened"], serde_json::json!({}));
    let hits =
        summary["reasons"].as_object().expect("reasons").values().filter_map(Value::as_u64).sum::<u64>();
    assert!(hits > 1_000, "the rules find something: {summary}");
    assert_eq!(send(&rules, &rows, "fraud_ecommerce.toml"), summary);
}

#[test]
fn files_that_are_no_rows_are_refused_with_their_place() {
    let engine = EngineProcess::start_with(&["--clock", "event"]);
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let map = "[columns]\nevent_time = \"when\"\namount = \"sum\"\ncard_token = \"card\"\n[defaults]\ncurrency = \"EUR\"\n";
    fs::write(path("map.toml"), map).expect("written");
    fs::write(path("bad-map.toml"), "[columns]\nevent_time = \"wen\"\n").expect("written");
    fs::write(path("rows.csv"), "when,sum,card\n2018-04-01T00:00:00,1.00,a\n2018-04-01T00:00:01,one,b\n")
        .expect("written");
    fs::write(path("ragged.csv"), "when,sum,card\n2018-04-01T00:00:00,1.00\n").expect("written");
    fs::write(path("rows.csv.zst"), b"not zstd at all").expect("written");
    for (rows, map, expected) in [
        (
            "rows.csv",
            "map.toml",
            "line 3, sum: expected an amount in EUR, such as 57.16; the rows before it were sent",
        ),
        ("rows.csv", "bad-map.toml", "the file has no column \"wen\"; did you mean \"when\"?"),
        ("ragged.csv", "map.toml", "line 2, row: "),
        ("rows.csv.zst", "map.toml", "rows.csv.zst: "),
        ("missing.csv", "map.toml", "missing.csv: No such file"),
        ("rows.csv", "missing.toml", "missing.toml: No such file"),
    ] {
        let output = engine.sparr(&["screen", "--input", &path(rows), "--map", &path(map)]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{rows} {map}: {said}");
        assert!(said.contains(expected), "{rows} {map}: {said}");
    }
    let old = sparr().args(["screen", "--input", &path("rows.csv")]).output().expect("it runs");
    assert_eq!(old.status.code(), Some(2), "a file of rows needs a map");
}
