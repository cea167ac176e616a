//! Exemptions: narrow, for a while, by two persons where others' warnings are silenced, never below a person's own flag,
//! and always with the natural result beside.

use crate::support::{EngineProcess, TOLVAN, id, rules_dir, text};
use serde_json::{Value, json};

const RULES: &str = "rules:
  - {id: declines, mode: enforce, when: mcc == 1, then: decline, reason: velocity_card}
  - {id: asks, mode: enforce, when: mcc == 2, then: challenge, reason: velocity_card}
  - {id: looks, mode: enforce, when: mcc == 3, review: after, reason: velocity_card}
  - {id: holds, mode: enforce, when: mcc == 4, review: hold, reason: velocity_card}
  - {id: scores, mode: enforce, when: mcc == 5, score: 90, reason: velocity_card}
  - {id: watches, mode: shadow, when: mcc == 6, then: decline, reason: velocity_card}
  - {id: fails, mode: enforce, when: mcc == 7 && customer_since_days / device_age_days > 0, then: decline, reason: velocity_card}
  - {id: shared, mode: enforce, when: mcc == 8 && indicator(email).hit && amount_minor > 1, then: challenge, reason: shared_indicator}
  - {id: also, mode: enforce, when: 'mcc in [1, 9]', then: challenge, reason: velocity_device}
";

fn run(engine: &EngineProcess, person: &str, arguments: &[&str]) -> Result<Value, String> {
    let identity = engine.data_dir.join("dev").join(person).display().to_string();
    let output = engine.sparr(&[arguments, &["--json", "--identity", &identity]].concat());
    let out = text(&output.stdout);
    let said: Value =
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{arguments:?}: {out}{}", text(&output.stderr)));
    said["refused"].as_str().map_or(Ok(said.clone()), |why| Err(why.to_owned()))
}

fn add<'a>(rules: &'a str, key: [&'a str; 2], until: &'a str) -> Vec<&'a str> {
    vec!["exempt", "add", "--rules", rules, key[0], key[1], "--until", until, "--why", "a known customer"]
}

/// In a few days, as a date: an exemption lasts thirty of them at most.
fn days_ahead(days: i64) -> String {
    let time = sparr_engine::server::clock::now().saturating_add_ms(days * 86_400_000).to_string();
    time.split('T').next().expect("a date").to_owned()
}

struct Asking<'e> {
    engine: &'e EngineProcess,
    number: u64,
}

impl Asking<'_> {
    fn ask(&mut self, mcc: u64, more: Value) -> Value {
        self.number += 1;
        let mut request = json!({
            "request_id": id(self.number), "kind": "card_payment", "amount_minor": 200, "currency": "SEK",
            "mcc": mcc, "challenge_possible": true, "customer_since_days": 1, "device_age_days": 0,
            "email": "a@shop.example",
        });
        for (key, value) in more.as_object().expect("an object") {
            request[key] = value.clone();
        }
        self.engine.screen(&request)
    }
}

/// Outcome, review and score of an answer, or of the natural result beside it.
fn short(answer: &Value) -> String {
    match answer["not_screened"].as_str() {
        Some(why) => why.to_owned(),
        None => format!("{} {} {}", answer["outcome"], answer["review"], answer["score"]).replace('"', ""),
    }
}

#[test]
fn each_kind_of_rule_is_silent_for_the_key_alone_and_never_below_the_flag() {
    let folder = rules_dir(RULES);
    let data = tempfile::tempdir().expect("folder");
    let rules = folder.path().display().to_string();
    let engine = EngineProcess::start_in(data.path(), &["--rules", &rules]);
    let until = days_ahead(7);
    engine.raise(TOLVAN, "verify");
    run(
        &engine,
        "analyst",
        &[
            "indicator",
            "draft",
            "--kind",
            "email",
            "--value",
            "a@shop.example",
            "--class",
            "phishing",
            "--grade",
            "confirmed",
        ],
    )
    .expect("drafted");

    for (rules, second) in [("declines,asks,looks,holds,scores", false), ("watches,fails,shared", true)] {
        let said = run(&engine, "risk", &add(rules, ["--card", "c-exempt"], &until)).expect("granted");
        assert_eq!(said["second_person_needed"], second, "{rules}");
    }
    // mcc, what is natural, what is left where the card is exempt.
    let table = [
        (1, "decline none 0", "challenge none 0"),
        (2, "challenge none 0", "approve none 0"),
        (3, "approve after 0", "approve none 0"),
        (4, "approve hold 0", "approve none 0"),
        (5, "decline after 90", "approve none 0"),
        (6, "approve none 0", "approve none 0"),
        (7, "rule_error", "rule_error"),
        (8, "challenge none 0", "challenge none 0"),
        (9, "challenge none 0", "challenge none 0"),
    ];
    let check = |asking: &mut Asking<'_>, flagged: bool, two_persons: bool| {
        let more = |card: &str| match flagged {
            true => json!({ "card_token": card, "subject": TOLVAN }),
            false => json!({ "card_token": card }),
        };
        // A flag that asks for verification: the outcome is a challenge at least, whatever is exempt.
        let floored = |result: &str| match flagged {
            true => result.replace("approve", "challenge"),
            false => result.to_owned(),
        };
        for (mcc, natural, exempt) in table {
            let exempt = if mcc == 8 && two_persons { "approve none 0" } else { exempt };
            let at = format!("mcc {mcc}, flagged {flagged}, two persons {two_persons}");
            let other = asking.ask(mcc, more("c-other"));
            assert_eq!((short(&other), &other["natural"]), (floored(natural), &Value::Null), "{at}");
            let own = asking.ask(mcc, more("c-exempt"));
            assert_eq!(short(&own), floored(exempt), "{at}: {own}");
            let silenced = natural != exempt;
            let degraded = own["degraded"].as_array().expect("a list").contains(&json!("exempted"));
            assert_eq!(degraded, silenced, "{at}: {own}");
            match silenced {
                true => assert_eq!(short(&own["natural"]), floored(natural), "{at}"),
                false => assert_eq!(own["natural"], Value::Null, "{at}"),
            }
        }
    };
    let mut asking = Asking { engine: &engine, number: 0 };
    check(&mut asking, false, false);
    check(&mut asking, true, false);

    // Others' warnings are silenced by two persons.
    let listed = |engine: &EngineProcess| {
        run(engine, "risk-2", &["exempt", "list"]).expect("listed")["exemptions"].clone()
    };
    let shared = listed(&engine)[0].clone();
    assert_eq!(
        (&shared["standing"], &shared["rules"]),
        (&json!("waiting"), &json!(["fails", "shared", "watches"]))
    );
    let confirm = ["exempt", "confirm", shared["id"].as_str().expect("an id")];
    assert_eq!(run(&engine, "risk", &confirm), Err("same_person".to_owned()));
    assert_eq!(run(&engine, "risk-b", &confirm), Err("not_permitted".to_owned()));
    run(&engine, "risk-2", &confirm).expect("agreed");
    assert_eq!(run(&engine, "risk-2", &confirm), Err("already_so".to_owned()));
    check(&mut asking, false, true);
    check(&mut asking, true, true);
    assert!(engine.metric("sparr_exempted_total") > 0.0);
    assert_eq!(engine.metric("sparr_exemptions"), 2.0);

    // A restart forgets none of it, and an end ends it.
    engine.kill();
    let engine = EngineProcess::start_in(data.path(), &["--rules", &rules]);
    let mut asking = Asking { engine: &engine, number: 10_000 };
    check(&mut asking, true, true);
    for entry in listed(&engine).as_array().expect("a list") {
        assert_eq!(entry["standing"], "active");
        run(&engine, "risk-2", &["exempt", "end", entry["id"].as_str().expect("an id")]).expect("ended");
    }
    for (mcc, natural, _) in table {
        let answer = asking.ask(mcc, json!({ "card_token": "c-exempt" }));
        assert_eq!((short(&answer), &answer["natural"]), (natural.to_owned(), &Value::Null));
    }
    assert_eq!(run(&engine, "risk-2", &confirm), Err("no_such_exemption".to_owned()));
    engine.kill();
    let verified = crate::support::sparr()
        .args(["journal", "verify", "--data-dir"])
        .arg(data.path())
        .output()
        .expect("it runs");
    assert_eq!(verified.status.code(), Some(0), "{}{}", text(&verified.stdout), text(&verified.stderr));
}

#[test]
fn an_exemption_is_narrow_and_short_and_names_nobody() {
    let folder = rules_dir(RULES);
    let engine = EngineProcess::start_with(&["--rules", &folder.path().display().to_string()]);
    let (soon, late) = (days_ahead(7), days_ahead(40));
    let card = ["--card", "c1"];
    for (person, arguments, why) in [
        ("desk", add("asks", card, &soon), "not_permitted"),
        ("analyst", add("asks", card, &soon), "not_permitted"),
        ("risk-b", add("asks", card, &soon), "not_permitted"),
        ("risk", add("asks,no-such", card, &soon), "no_such_rule"),
        ("risk", add("asks", card, &late), "until_too_far"),
        ("risk", add("asks", card, "2026-01-01"), "until_in_past"),
        ("risk", add("asks", ["--card", "4111111111111111"], &soon), "card_number_refused"),
        ("risk", add("asks", ["--subject", "191212121213"], &soon), "identity_malformed"),
        ("risk", add("asks", ["--account", "12"], &soon), "value_malformed"),
    ] {
        assert_eq!(run(&engine, person, &arguments), Err(why.to_owned()), "{arguments:?}");
    }
    let mut named = add("asks", card, &soon);
    *named.last_mut().expect("words") = "for 19121212-1212";
    assert_eq!(run(&engine, "risk", &named), Err("personal_in_text".to_owned()));
    // What cannot even be said: all rules, more than five, no key, two keys, no end.
    let identity = engine.data_dir.join("dev/risk").display().to_string();
    for arguments in [
        add("*", card, &soon),
        add("a,b,c,d,e,f", card, &soon),
        vec!["exempt", "add", "--rules", "asks", "--until", &soon, "--why", "x"],
        [add("asks", card, &soon), vec!["--subject", TOLVAN]].concat(),
        vec!["exempt", "add", "--rules", "asks", "--card", "c1", "--why", "x"],
    ] {
        let output = engine.sparr(&[arguments.as_slice(), &["--identity", &identity]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(run(&engine, "risk", &["exempt", "list"]).expect("listed")["exemptions"], json!([]));

    // Each kind of key, for who pays alone.
    for (mcc, key, field) in [
        (2, ["--subject", TOLVAN], json!({ "subject": "19121212-1212" })),
        (
            2,
            ["--account", "iban:SE4550000000058398257466"],
            json!({ "payer_account": "iban:SE4550000000058398257466" }),
        ),
        (2, ["--card", "c1"], json!({ "card_token": "c1" })),
    ] {
        let mut asking = Asking { engine: &engine, number: id_of(key[0]) };
        assert_eq!(short(&asking.ask(mcc, field.clone())), "challenge none 0", "{key:?}");
        run(&engine, "risk", &add("asks", key, &soon)).expect("granted");
        let answer = asking.ask(mcc, field);
        assert_eq!(
            (short(&answer), short(&answer["natural"])),
            ("approve none 0".to_owned(), "challenge none 0".to_owned()),
            "{key:?}"
        );
    }
    // Nobody's number stands in what is listed.
    let listed = run(&engine, "risk", &["exempt", "list"]).expect("listed").to_string();
    assert!(!listed.contains("1212") || !listed.contains(TOLVAN), "{listed}");
    assert!(!listed.contains("SE4550000000058398257466"), "{listed}");
}

/// Where the ids of one kind of key begin.
fn id_of(key: &str) -> u64 {
    key.bytes().map(u64::from).sum::<u64>() * 1_000
}
