//! A backtest finds what a plain script found on a million real rows, and says what a changed rule would change.

use crate::real_rows::{RULES, of_reference, write_rules};
use crate::support::{sparr, text};
use serde_json::{Value, json};
use sparr_protocol::testing::test_data;
use std::fs;
use std::path::Path;

pub(crate) fn backtest(arguments: &[&str]) -> Value {
    let output = sparr().arg("backtest").args(arguments).arg("--json").output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "no progress bar in a pipe");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

pub(crate) fn shown(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn hits_precision_recall_and_amounts_equal_the_reference_on_a_million_rows() {
    let unproven = "that a backtest finds on a million real rows what a plain script finds";
    let Some(rows) = test_data("transactions/fdh_2018-04-01_2018-07-15.csv.zst", unproven) else { return };
    let Some(reference) = test_data("transactions/fdh_reference_results.json", unproven) else { return };
    let reference: Value = serde_json::from_slice(&fs::read(reference).expect("readable")).expect("JSON");
    let folder = tempfile::tempdir().expect("folder");
    write_rules(folder.path());
    let map = crate::support::shipped_rules().join("../maps/fdh.toml");
    let found = backtest(&["--rules", shown(folder.path()), "--data", shown(&rows), "--map", shown(&map)]);
    assert_eq!((&found["rows"], &found["not_screened"]), (&reference["rows"], &json!({})));
    assert_eq!(found["fraud"]["requests"], reference["frauds"]);
    for ((what, _), rule) in RULES.iter().zip(found["rules"].as_array().expect("rules")) {
        let expected = of_reference(&reference, what);
        for (ours, theirs) in [
            ("hits", "hits"),
            ("true_positives", "true_positives"),
            ("false_positives", "false_positives"),
            ("amount_caught_minor", "fraud_amount_caught_cents"),
        ] {
            assert_eq!(rule[ours], expected[theirs], "{what}: {ours}");
        }
        for share in ["precision", "recall"] {
            // The reference has six decimals.
            let difference = rule[share].as_f64().expect(share) - expected[share].as_f64().expect(share);
            assert!(difference.abs() < 1e-6, "{what}: {share} is off by {difference}");
        }
    }
}

const MAP: &str = "[columns]\nevent_time = \"when\"\namount = \"sum\"\ncard_token = \"card\"\nlabel = \"fraud\"\n\
    [defaults]\nkind = \"card_payment\"\ncurrency = \"SEK\"\n";

/// Ten payments of one card, a minute apart, of 1 to 10 kronor; the even ones were fraud, of the last nobody knows.
fn rows() -> String {
    let row = |at: u32| {
        let fraud = if at == 10 { "" } else { ["0", "1"][usize::from(at.is_multiple_of(2))] };
        format!("2026-03-01T10:{at:02}:00,{at}.00,c1,{fraud}\n")
    };
    "when,sum,card,fraud\n".to_owned() + &(1..=10).map(row).collect::<String>()
}

fn rules(dir: &Path, name: &str, rules: &[(&str, &str, &str)]) -> String {
    let dir = dir.join(name);
    fs::create_dir_all(&dir).expect("a folder");
    let rule = |(id, when, then): &(&str, &str, &str)| {
        format!(
            "  - id: {id}\n    description: d\n    owner: o\n    when: {when}\n    {then}\n    reason: velocity_card\n"
        )
    };
    let text = "rules:\n".to_owned() + &rules.iter().map(rule).collect::<String>();
    fs::write(dir.join("rules.yaml"), text).expect("written");
    shown(&dir).to_owned()
}

#[test]
fn rules_are_counted_by_hand_and_a_change_is_told_before_anybody_meets_it() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("rows.csv"), rows()).expect("written");
    fs::write(path("map.toml"), MAP).expect("written");
    let old = rules(folder.path(), "old", &[("busy", "velocity(card, '5m').count >= 5", "then: challenge")]);
    let new = rules(
        folder.path(),
        "new",
        &[
            ("busy", "velocity(card, '5m').count >= 5", "then: challenge"),
            ("large", "amount_minor >= 700", "then: decline"),
            ("small", "amount_minor < 300", "mode: shadow\n    then: decline"),
        ],
    );
    let (data, map, page) = (path("rows.csv"), path("map.toml"), path("report.html"));
    let found = backtest(&[
        "--rules",
        &new,
        "--against",
        &old,
        "--data",
        shown(&data),
        "--map",
        shown(&map),
        "--html",
        shown(&page),
    ]);
    let rule = |number: usize, key: &str| found["rules"][number][key].clone();
    // Five within five minutes: from the fifth payment on. 6 and 8 were fraud, 5, 7 and 9 were not, nobody knows of 10.
    assert_eq!(
        (rule(0, "hits"), rule(0, "true_positives"), rule(0, "false_positives")),
        (6.into(), 2.into(), 3.into())
    );
    assert_eq!((rule(0, "precision"), rule(0, "recall")), (0.4.into(), 0.5.into()));
    assert_eq!((rule(0, "amount_caught_minor"), rule(0, "alone")), (1_400.into(), 2.into()));
    assert_eq!(rule(0, "first_hit"), "2026-03-01T10:05:00.000Z");
    assert_eq!((rule(1, "hits"), rule(1, "alone")), (4.into(), 0.into()));
    // A shadow rule is counted and decides nothing.
    assert_eq!((rule(2, "mode"), rule(2, "hits")), ("shadow".into(), 2.into()));
    assert_eq!(found["outcomes"], json!({ "approve": 4, "challenge": 2, "decline": 4 }));
    assert_eq!(found["declined_wrongly"], json!({ "requests": 2, "amount_minor": 1_600 }));
    let changes = &found["changes"];
    assert_eq!(changes["total"], 4);
    assert_eq!(
        changes["changed"],
        json!([{ "was": "challenge", "is": "decline", "rows": 4, "examples": [7, 8, 9, 10] }])
    );
    assert_eq!(changes["newly_declined_good"], json!({ "requests": 2, "amount_minor": 1_600 }));
    assert_eq!(changes["newly_stopped_fraud"]["requests"], 0);
    // Money stopped, money blocked wrongly, before and after: 6 and 8 of the fraud, 5, 7 and 9 of the good.
    for (key, expected) in [("stopped", (2, 1_400)), ("blocked_wrongly", (3, 2_100))] {
        let money = json!({ "requests": expected.0, "amount_minor": expected.1 });
        assert_eq!((&found[key], &changes[format!("{key}_before")]), (&money, &money), "{key}");
    }
    assert_eq!(changes["outcomes_before"], json!({ "approve": 4, "challenge": 6, "decline": 0 }));
    // The four of `large` are hit by `busy` too, and all on one day.
    assert_eq!((rule(0, "overlap"), rule(1, "overlap")), (json!({ "large": 4 }), json!({ "busy": 4 })));
    assert_eq!((rule(1, "last_hit"), rule(2, "overlap")), ("2026-03-01T10:10:00.000Z".into(), json!({})));
    assert_eq!(rule(1, "hits_by_day"), json!([{ "day": "2026-03-01", "hits": 4 }]));
    // From 5 to 10 kronor: 6 and 8 stopped, 5, 7 and 9 blocked wrongly.
    let range = found["amounts"].as_array().expect("ranges").iter().find(|range| range["from_minor"] == 500);
    assert_eq!(
        range,
        Some(
            &json!({ "from_minor": 500, "fraud_stopped": 2, "fraud_missed": 0, "good_stopped": 3, "other": 0 })
        )
    );
    let page = fs::read_to_string(page).expect("written");
    for plot in ["Old against new", "Precision and recall by rule", "Hits by day", "Requests by amount"] {
        assert!(page.contains(&format!("role=\"img\" aria-label=\"{plot}\"")), "{plot}");
    }
    for said in [
        "<td>challenge → decline</td><td>4</td><td>7, 8, 9, 10</td>",
        "<td>good customers newly declined</td><td>2</td><td>16.00</td>",
        "<td>fraud stopped</td><td>2</td><td>14.00</td>",
        "<td>good customers challenged, declined or held</td><td>3</td><td>21.00</td>",
        "<td class=\"half\">67 %</td>",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains("http") && !page.contains("<script") && !page.contains("<a "));
    let arguments =
        ["backtest", "--rules", &new, "--against", &old, "--data", shown(&data), "--map", shown(&map)];
    let words = text(&sparr().args(arguments).output().expect("it runs").stdout);
    for said in [
        "challenge → decline: 4, such as row 7, 8, 9, 10",
        "good customers newly declined",
        "good customers challenged, declined or held",
        "fraud stopped",
        "Overlap, % of hits",
        "100.0",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    let again = backtest(&["--rules", &new, "--data", shown(&data), "--map", shown(&map)]);
    assert_eq!((&again["rules"], &again["changes"]), (&found["rules"], &Value::Null));
}

#[test]
fn what_cannot_be_tested_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| shown(&folder.path().join(name)).to_owned();
    let good = rules(folder.path(), "good", &[("r", "amount_minor > 1", "then: challenge")]);
    let bad = rules(folder.path(), "bad", &[("r", "amont_minor > 1", "then: challenge")]);
    for (name, text) in [
        ("rows.csv", rows()),
        ("map.toml", MAP.to_owned()),
        ("label.csv", rows().replace(",c1,1\n", ",c1,maybe\n")),
        ("untimed.toml", MAP.replace("event_time = \"when\"\n", "")),
    ] {
        fs::write(folder.path().join(name), text).expect("written");
    }
    for (rules, rows, map, expected) in [
        (&bad, "rows.csv", "map.toml", "no field is called `amont_minor`"),
        (
            &good,
            "label.csv",
            "map.toml",
            "line 3, fraud: expected a label: 1 or 0, true or false, or nothing",
        ),
        (&good, "rows.csv", "untimed.toml", "the map needs event_time"),
        (&good, "none.csv", "map.toml", "none.csv: No such file"),
        (&path("empty"), "rows.csv", "map.toml", "empty: No such file"),
    ] {
        let arguments = ["backtest", "--rules", rules, "--data", &path(rows), "--map", &path(map)];
        let output = sparr().args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{rows} {map}");
        assert!(text(&output.stderr).contains(expected), "{rows} {map}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "no figures of half a file");
    }
}

/// What was known at a time: labels and results that came later, and requests after it, do not count.
#[test]
fn ndjson_with_labels_and_results_is_tested_with_what_was_known_then() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    let minute = |minute: u32| format!("2026-03-01T10:{minute:02}:00Z");
    let row = |number: u32| {
        let (id, time) = (format!("{number:032x}"), minute(number));
        json!({
            "request_id": id, "payment_id": format!("p{number}"), "kind": "card_payment", "event_time": time,
            "card_token": "c1", "amount_minor": 100, "currency": "SEK",
        })
    };
    let lines = |name: &str, lines: &[Value]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(path(name), text).expect("written");
        shown(&path(name)).to_owned()
    };
    let data = lines("rows.ndjson", &(1..=10).map(row).collect::<Vec<_>>());
    let declined = |number: u32, at: u32| json!({ "request_id": format!("{number:032x}"), "final": "declined", "time": minute(at) });
    // The second decline is known from minute 5 on, the third one after what is asked for.
    let results = lines("results.ndjson", &[declined(1, 2), declined(2, 5), declined(3, 30)]);
    let label = |number: u32, class: &str, known_at: &str| json!({ "payment_id": format!("p{number}"), "class": class, "known_at": known_at });
    let labels = lines(
        "labels.ndjson",
        &[
            label(6, "scam", "2026-03-20T00:00:00Z"),
            label(7, "genuine", "2026-03-20T00:00:00Z"),
            label(8, "takeover", "2026-04-20T00:00:00Z"),
        ],
    );
    let rules = rules(
        folder.path(),
        "rules",
        &[
            ("tested", "velocity(card, '1h').declined_final >= 2", "then: decline"),
            ("tested-more", "velocity(card, '1h').declined_final >= 3", "then: decline"),
        ],
    );
    let base = ["--rules", &rules, "--data", &data, "--labels", &labels, "--results", &results];
    let then = backtest(&[&base[..], &["--as-of", "2026-03-31"]].concat());
    let rule = &then["rules"][0];
    // From minute 5 on: the requests 5 to 10.
    assert_eq!(
        (&rule["hits"], &rule["true_positives"], &rule["false_positives"]),
        (&6.into(), &1.into(), &1.into())
    );
    assert_eq!(then["rules"][1]["hits"], 0);
    let now = backtest(&base);
    assert_eq!(now["rules"][0]["true_positives"], 2, "what was found out in April counts now");
    let early = backtest(&[&base[..], &["--as-of", "2026-03-01T10:04:30Z"]].concat());
    assert_eq!((&early["rows"], &early["rules"][0]["hits"]), (&4.into(), &0.into()));

    // The same rows packed, and a row that is none.
    let packed = path("rows.ndjson.zst");
    fs::write(&packed, zstd::encode_all(fs::read(&data).expect("there").as_slice(), 1).expect("packed"))
        .expect("written");
    let base = ["--rules", &rules, "--data", shown(&packed), "--labels", &labels, "--results", &results];
    let again = backtest(&base);
    assert_eq!((&again["rules"], &again["outcomes"]), (&now["rules"], &now["outcomes"]));
    let broken = lines("broken.ndjson", &[row(1), json!({ "request_id": "1", "kind": "card_payment" })]);
    let output = sparr().args(["backtest", "--rules", &rules, "--data", &broken]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("line 2: request_id"), "{}", text(&output.stderr));
}
