//! What windows remember beside counts: what was declined, and whether a key is new.

use crate::support::{rules_dir, sparr, text};
use std::fmt::Write as _;

const RULES: &str = "\
rules:
  - id: large
    when: amount_minor >= 90000
    then: decline
    reason: velocity_card
  - id: declined-twice
    when: velocity(card, \"10m\").declined >= 2
    review: after
    reason: velocity_card
  - id: new-card
    when: first_seen(card, \"2d\") < duration(\"1h\")
    score: 7
    reason: velocity_card
";

const TABLE: &str = "\
tests:
  - name: declines count from the next request on, for their card and their window
    given: { card_token: c1, amount_minor: 90000 }
    requests:
      - { at: 0s, expect: { hits: [large, new-card] } }
      - { at: 1s, expect: { hits: [large, new-card] } }
      - { at: 2s, expect: { hits: [large, new-card, declined-twice] } }
      - { at: 3s, card_token: c2, expect: { hits: [large, new-card] } }
      - { at: 599s, amount_minor: 100, expect: { hits: [new-card, declined-twice] } }
      - { at: 601s, amount_minor: 100, expect: { hits: [new-card] } }
  - name: a card is new for its first hour, and again after a pause
    given: { card_token: c1, amount_minor: 100 }
    requests:
      - { at: 0s, expect: { hits: [new-card] } }
      - { at: 59m, kind: refund, expect: { hits: [new-card] } }
      - { at: 60m, expect: { hits: [] } }
      - { at: 49h, expect: { hits: [] } }
      - { at: 98h, expect: { hits: [new-card] } }
";

#[test]
fn declines_and_ages_come_out_as_a_table_says() {
    let dir = rules_dir(RULES);
    std::fs::write(dir.path().join("memory.test.yaml"), TABLE).expect("writable");
    let tested = sparr().arg("test").arg(dir.path()).output().expect("it runs");
    let out = text(&tested.stdout);
    assert_eq!(tested.status.code(), Some(0), "{out}");
    assert!(out.contains("2 tests, 11 requests, 0 findings"), "{out}");
}

/// Requests of one new card each hour: whether one is new is known only after two days of watching.
#[test]
fn whether_a_card_is_new_is_not_guessed_before_the_memory_is_full() {
    let dir = rules_dir(RULES);
    let data = dir.path().join("rows.csv");
    let mut rows = "time,card,amount\n".to_owned();
    for hour in 0..60 {
        let (day, hour_of_day) = (1 + hour / 24, hour % 24);
        writeln!(rows, "2026-03-{day:02}T{hour_of_day:02}:00:00,c{hour},1.00").expect("a text");
    }
    std::fs::write(&data, rows).expect("writable");
    let map = dir.path().join("map.toml");
    let columns = "[columns]\nevent_time = \"time\"\ncard_token = \"card\"\namount = \"amount\"\n\
        [defaults]\nkind = \"card_payment\"\ncurrency = \"SEK\"\n";
    std::fs::write(&map, columns).expect("writable");
    let mut backtest = sparr();
    backtest.args(["backtest", "--json", "--rules"]).arg(dir.path());
    let ran = backtest.arg("--data").arg(&data).arg("--map").arg(&map).output().expect("it runs");
    let found: serde_json::Value =
        serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{}", text(&ran.stderr)));
    let hits = found["rules"].as_array().expect("rules").iter().find(|rule| rule["id"] == "new-card");
    assert_eq!(hits.expect("it ran")["hits"], 12, "hours 48 to 59, and none of the first two days: {found}");
}
