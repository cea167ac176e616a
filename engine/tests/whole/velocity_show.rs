//! A look at one key shows what its rules would read of it now, to a risk team alone, as a pseudonym, and is in the audit.

use crate::audit::looks;
use crate::exchange::{done, refused, run_as};
use crate::support::{EngineProcess, TOLVAN, id, rules_dir, text};
use serde_json::{Value, json};

const RULES: &str = "\
rules:
  - id: card
    when: velocity(card, \"10m\").count >= 3 && velocity(card, \"24h\", [\"refund\"]).sum > 5
    then: challenge
    reason: velocity_card
  - id: pair
    when: velocity([card, merchant], \"1h\").distinct(ip) >= 2
    then: challenge
    reason: velocity_card
  - id: person
    when: velocity(subject, \"1s\").count >= 3 && first_seen(subject, \"2d\") < duration(\"1h\")
    then: challenge
    reason: velocity_card
";

fn pay(engine: &EngineProcess, number: u64, card: &str, kind: &str) {
    let answer = engine.screen(&json!({
        "request_id": id(number), "kind": kind, "card_token": card, "amount_minor": 700, "currency": "SEK",
        "merchant_id": "m1", "subject": TOLVAN, "ip": format!("192.0.2.{number}"),
    }));
    assert!(answer["outcome"].is_string(), "{answer}");
}

/// What each window of a key shows: reading, state, value, whether it is whole.
fn windows(key: &Value) -> Vec<(&str, &str, Option<i64>, bool)> {
    let all = key["windows"].as_array().expect("windows").iter();
    let text = |window: &'static str, one: &Value| one[window].as_str().map(str::len);
    all.map(|one| {
        assert!(text("reading", one).is_some());
        let words = |key: &str| one[key].as_str().expect("a word");
        (words("reading"), words("state"), one["value"].as_i64(), one["full_at"].is_null())
    })
    .collect()
}

#[test]
fn a_key_is_shown_as_its_rules_would_read_it_and_the_look_is_in_the_audit() {
    let rules = rules_dir(RULES);
    let engine = EngineProcess::start_with(&["--rules", &rules.path().display().to_string()]);
    for (number, card, kind) in [
        (1, "tok-1", "card_payment"),
        (2, "tok-1", "card_payment"),
        (3, "tok-1", "refund"),
        (4, "tok-2", "card_payment"),
    ] {
        pay(&engine, number, card, kind);
    }
    let show = |keys: &[&str]| done(&engine, "risk", &[&["velocity", "show"], keys].concat());

    let card = show(&["card=tok-1"])["keys"].clone();
    assert_eq!(card.as_array().map(Vec::len), Some(1), "the pair is another key: {card}");
    assert_eq!(card[0]["key"], "card");
    assert_eq!(card[0]["kept"]["events"], 3);
    assert!(card[0]["kept"]["bytes"].as_u64() > Some(100), "{card}");
    assert_eq!(
        windows(&card[0]),
        [
            ("velocity(card, \"10m\").count", "exact", Some(2), false),
            ("velocity(card, \"1d\", [\"refund\"]).sum", "exact", Some(700), false),
        ]
    );
    // A pair is one whichever half is named first; its default kinds leave the refund out.
    let pair = show(&["merchant=m1", "card=tok-1"])["keys"].clone();
    assert_eq!(
        windows(&pair[0]),
        [("velocity([card, merchant], \"1h\").distinct(ip)", "exact", Some(2), false)]
    );
    assert_eq!(show(&["card=tok-1", "merchant=m1"])["keys"], pair);
    assert_eq!(show(&["card=tok-1", "merchant=m2"])["keys"][0]["kept"], Value::Null);

    // Every spelling is one person. A window of a second is whole by now, and whether a person is new is not known yet.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let person = show(&["subject=121212+1212"])["keys"].clone();
    assert_eq!(
        windows(&person[0]),
        [
            ("velocity(subject, \"1s\").count", "exact", Some(0), true),
            ("first_seen(subject, \"2d\")", "unknown", None, false),
        ]
    );
    let unknown = show(&["card=tok-9"])["keys"].clone();
    assert_eq!((&unknown[0]["kept"], windows(&unknown[0])[0].1), (&Value::Null, "absent"));

    for (who, keys, expected) in [
        ("desk", ["card=tok-1"], "not_permitted"),
        ("gateway", ["card=tok-1"], "not_permitted"),
        ("risk", ["terminal=t1"], "no_such_key"),
        ("risk", ["cards=tok-1"], "no_such_key"),
        ("risk", ["subject=121212-1213"], "identity_malformed"),
        ("risk", ["card=4111111111111111"], "card_number_refused"),
        ("risk", ["ip=somewhere"], "value_malformed"),
    ] {
        let arguments = [&["velocity", "show"], &keys[..]].concat();
        assert_eq!(refused(&engine, who, &arguments), expected, "{who} {keys:?}");
    }
    let words = engine.sparr(&["velocity", "show", "card=tok-1"]);
    let words = text(&words.stdout);
    assert!(words.contains("3 events one by one") && words.contains("warming: whole from"), "{words}");
    assert!(!words.contains("tok-1"), "a pseudonym alone: {words}");

    let looks = looks(&engine.data_dir, 14);
    assert_eq!(looks.len(), 14, "each look, refused or not: {looks:?}");
    assert_eq!((&looks[0]["subject"], &looks[0]["shown"]), (&card[0]["pseudonym"], &1.into()));
    assert_eq!((&looks[7]["role"], &looks[7]["refused"]), (&"gateway".into(), &"not_permitted".into()));
    assert!(
        looks.iter().all(|look| look["operation"] == "velocity_show" && !look.to_string().contains("tok-1"))
    );

    // Memory by key, on the page and for machines.
    assert_eq!(engine.metric("sparr_velocity_keys_by_key{key=\"card\"}"), 2.0);
    assert_eq!(engine.metric("sparr_velocity_keys_by_key{key=\"[card, merchant]\"}"), 2.0);
    assert_eq!(engine.metric("sparr_velocity_keys"), 5.0);
    let bytes = engine.metric("sparr_velocity_bytes_by_key{key=\"subject\"}");
    assert!(bytes > 100.0 && bytes < engine.metric("sparr_velocity_bytes"), "{bytes}");
    assert!(engine.get("/plain").1.contains("<td>[card, merchant]<td class=n>2"));
}

/// Looks at keys are counted like looks at people: nobody walks through all values.
#[test]
fn a_days_looks_are_bounded() {
    let rules = rules_dir(RULES);
    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("engine.toml");
    std::fs::write(&config, "lookups_per_day_max = 2\n").expect("written");
    let (rules, config) = (rules.path().display().to_string(), config.display().to_string());
    let engine = EngineProcess::start_with(&["--rules", &rules, "--config", &config]);
    let show = |key: &str| {
        let (value, _) = run_as(&engine, "risk", &["velocity", "show", key]);
        value["refused"].as_str().map(str::to_owned)
    };
    let spent = Some("lookup_budget_spent".to_owned());
    let asked = ["card=a", "subject=191212121212", "card=b", "card=a"].map(show);
    assert_eq!(asked, [None, None, spent, None]);
}
