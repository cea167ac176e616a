//! The exchange from the command line alone: a person's flag and its pass, an indicator and the police, members.

use crate::support::{EngineProcess, TOLVAN, id, text};
use serde_json::{Value, json};

/// Runs a command as somebody, with JSON; what it printed and whether it succeeded.
pub(crate) fn run_as(engine: &EngineProcess, who: &str, arguments: &[&str]) -> (Value, bool) {
    let identity = engine.data_dir.join("dev").join(who).display().to_string();
    let output = engine.sparr(&[arguments, &["--json", "--identity", &identity]].concat());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let value =
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{who} {arguments:?}: {error}: {out}{err}"));
    (value, output.status.success())
}

/// A command that must be refused: the refusal's name.
pub(crate) fn refused(engine: &EngineProcess, who: &str, arguments: &[&str]) -> String {
    let (value, fine) = run_as(engine, who, arguments);
    assert!(!fine, "{who} {arguments:?}: {value}");
    value["refused"].as_str().unwrap_or_else(|| panic!("{who} {arguments:?}: {value}")).to_owned()
}

/// A command that must succeed.
pub(crate) fn done(engine: &EngineProcess, who: &str, arguments: &[&str]) -> Value {
    let (value, fine) = run_as(engine, who, arguments);
    assert!(fine, "{who} {arguments:?}: {value}");
    value
}

/// Screens payments, each under an id of its own, and says their outcomes.
pub(crate) struct Gateway<'e> {
    pub(crate) engine: &'e EngineProcess,
    pub(crate) number: u64,
}

impl Gateway<'_> {
    pub(crate) fn asks(&mut self, fields: &Value) -> Value {
        self.number += 1;
        let mut request = json!({
            "request_id": id(self.number), "kind": "card_payment", "amount_minor": 5_000, "currency": "SEK",
        });
        for (name, value) in fields.as_object().expect("fields") {
            request[name] = value.clone();
        }
        self.engine.screen(&request)
    }

    pub(crate) fn outcome(&mut self, fields: &Value) -> String {
        let answer = self.asks(fields);
        answer["outcome"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

pub(crate) fn now_ms() -> i64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    #[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
    let now = SystemTime::now();
    i64::try_from(now.duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("in range")
}

#[test]
fn a_flag_is_met_passed_lifted_and_reported() {
    let engine = EngineProcess::start();
    let mut gateway = Gateway { engine: &engine, number: 0 };
    let person = json!({ "subject": TOLVAN, "merchant_id": "m1" });
    assert_eq!(gateway.outcome(&person), "approve");
    let subject = ["--subject", TOLVAN];
    let raise = ["flag", "raise", "--wish", "verify", "--until", "2030-12-31", "--reason", "scam"];
    assert_eq!(done(&engine, "desk", &[&raise[..], &subject].concat())["durable"], true);

    // Met by a fresh authentication of this payment, and by nothing else.
    assert_eq!(gateway.outcome(&person), "challenge");
    let mut met = person.clone();
    met["auth"] = json!({ "method": "bankid", "result": "passed", "time": now_ms() });
    assert_eq!(gateway.outcome(&met), "approve");

    // A pass opens it for one shop, up to an amount.
    let soon = (now_ms() + 3_600_000).to_string();
    let until = jiff_text(&soon);
    let pass = |merchant: &'static str| {
        [&["flag", "pass"][..], &subject, &["--merchant", merchant, "--max", "60SEK", "--until"]].concat()
    };
    done(&engine, "desk-2", &[&pass("m1")[..], &[&until]].concat());
    assert_eq!(gateway.outcome(&person), "approve", "the pass");
    let with = |name: &str, value: Value| {
        let mut fields = person.clone();
        fields[name] = value;
        fields
    };
    assert_eq!(gateway.outcome(&with("merchant_id", json!("m2"))), "challenge", "another shop");
    assert_eq!(gateway.outcome(&with("amount_minor", json!(6_001))), "challenge", "more than was said");
    assert_eq!(gateway.outcome(&with("currency", json!("EUR"))), "challenge", "another currency");
    done(&engine, "desk", &[&pass("556016-0680")[..], &[&until]].concat());
    let mut elsewhere = with("merchant_id", json!("m9"));
    elsewhere["merchant_org"] = json!("5560160680");
    assert_eq!(gateway.outcome(&elsewhere), "approve", "a pass for an organisation");
    let too_long = [&pass("m1")[..], &["2030-01-01"]].concat();
    assert_eq!(refused(&engine, "desk", &too_long), "until_too_far");
    let status = done(&engine, "desk", &[&["flag", "status"][..], &subject].concat());
    assert_eq!(status["flags"][0]["passes"], 2);

    // Another member's desk changes nothing, and may ask.
    let lift = [&["flag", "lift"][..], &subject].concat();
    assert_eq!(refused(&engine, "desk-b", &lift), "not_registrar");
    assert_eq!(refused(&engine, "desk-b", &[&pass("m1")[..], &[&until]].concat()), "not_registrar");
    let ask = [&["flag", "lift-request"][..], &subject, &["--registrar", "dev"]].concat();
    done(&engine, "desk-b", &ask);
    done(&engine, "desk-b", &ask);
    let list = done(&engine, "desk", &["flag", "list"]);
    assert_eq!(list["flags"][0]["lift_requests"], 1, "one member asked, twice");
    assert_eq!(list["flags"][0]["standing"], "active", "asking lifts nothing");

    // Extended, listed ahead, reported.
    let extend = |until: &'static str| [&["flag", "extend"][..], &subject, &["--until", until]].concat();
    assert_eq!(refused(&engine, "desk", &extend("2029-12-31")), "not_longer");
    done(&engine, "desk", &extend("2031-06-30"));
    let expiring = |days: &'static str| done(&engine, "desk", &["flag", "list", "--expiring", days]);
    assert_eq!(expiring("30")["flags"], json!([]));
    assert_eq!(expiring("3000")["flags"][0]["until"], "2031-06-30");
    let report = done(&engine, "desk", &[&["flag", "report"][..], &subject].concat());
    let looks = report["looks"].as_array().expect("looks");
    assert!(looks.iter().any(|look| look["by"] == "screening" && look["outcome"] == "challenge"), "{report}");
    assert!(
        looks.iter().any(|look| look["by"] == "status" && look["member_kind"] == "payment_provider"),
        "{report}"
    );
    assert!(report["enforcement"].as_array().is_some_and(|lines| lines.len() >= 3), "{report}");

    // The extension was a new word of the person: the passes of before are closed.
    assert_eq!(gateway.outcome(&person), "challenge");
    done(&engine, "desk", &lift);
    assert_eq!(gateway.outcome(&person), "approve");
    assert_eq!(refused(&engine, "desk", &lift), "not_flagged");
}

/// A time in milliseconds as the command line takes it.
pub(crate) fn jiff_text(ms: &str) -> String {
    sparr_protocol::time::Timestamp::parse(ms).expect("a time").to_string()
}

#[test]
fn flags_follow_the_person_and_two_persons_of_the_centre_lift_what_the_registrar_does_not() {
    const OTHER: &str = "189001059808";
    let engine = EngineProcess::start();
    let mut gateway = Gateway { engine: &engine, number: 0 };
    let raise =
        ["flag", "raise", "--subject", TOLVAN, "--wish", "deny", "--until", "2030-12-31", "--reason", "scam"];
    done(
        &engine,
        "desk",
        &[&raise[..], &["--requested-by", "guardian", "--authenticated-by", "in_person"]].concat(),
    );
    assert_eq!(gateway.outcome(&json!({ "subject": OTHER })), "approve");
    let link = ["flag", "link", "--old", TOLVAN, "--new", OTHER];
    done(&engine, "desk", &link);
    assert_eq!(gateway.outcome(&json!({ "subject": OTHER })), "decline", "the flag follows");
    let status = done(&engine, "desk", &["flag", "status", "--subject", OTHER]);
    assert_eq!(
        (&status["flags"][0]["linked"], &status["flags"][0]["requested_by"]),
        (&json!(true), &json!("guardian"))
    );
    done(&engine, "desk", &[&link[..], &["--undo"]].concat());
    assert_eq!(gateway.outcome(&json!({ "subject": OTHER })), "approve");
    assert_eq!(refused(&engine, "desk", &["flag", "link", "--old", TOLVAN, "--new", TOLVAN]), "same_subject");

    let lift = ["flag", "override", "--subject", TOLVAN, "--registrar", "dev"];
    assert_eq!(refused(&engine, "desk-b", &lift), "not_permitted");
    assert_eq!(done(&engine, "centre", &lift)["second_person_needed"], true);
    assert_eq!(gateway.outcome(&json!({ "subject": TOLVAN })), "decline", "one person lifts nothing");
    assert_eq!(refused(&engine, "centre", &lift), "same_person");
    assert_eq!(done(&engine, "centre-2", &lift)["second_person_needed"], false);
    assert_eq!(gateway.outcome(&json!({ "subject": TOLVAN })), "approve");
}

#[test]
fn a_suspended_member_can_do_nothing_from_that_moment() {
    let engine = EngineProcess::start();
    let status = ["flag", "status", "--subject", TOLVAN];
    let raise =
        ["flag", "raise", "--subject", TOLVAN, "--wish", "deny", "--until", "2030-12-31", "--reason", "scam"];
    done(&engine, "desk-b", &raise);
    assert_eq!(refused(&engine, "desk-b", &["member", "suspend", "dev", "--why", "x"]), "not_permitted");
    let suspend = ["member", "suspend", "bank-b", "--why", "does not answer contests"];
    done(&engine, "centre", &suspend);
    for (who, arguments) in [
        ("desk-b", &status[..]),
        ("desk-b", &raise[..]),
        ("desk-b", &["flag", "list"]),
        ("analyst-b", &["indicator", "list"]),
        (
            "analyst-b",
            &[
                "indicator",
                "draft",
                "--kind",
                "email",
                "--value",
                "a@b.se",
                "--class",
                "x",
                "--grade",
                "observed",
            ],
        ),
    ] {
        assert_eq!(refused(&engine, who, arguments), "member_suspended", "{who} {arguments:?}");
    }
    let flags = done(&engine, "desk", &status);
    assert_eq!(
        (&flags["flagged"], &flags["flags"][0]["registrar"]),
        (&json!(true), &json!("bank-b")),
        "its flags stay"
    );
    let members = done(&engine, "centre", &["member", "list"]);
    let standing = |name: &str| {
        let all = members["members"].as_array().expect("a list");
        all.iter().find(|one| one["member"] == name).map(|one| one["standing"].clone())
    };
    assert_eq!((standing("bank-b"), standing("dev")), (Some(json!("suspended")), Some(json!("configured"))));
    done(&engine, "centre", &["member", "admit", "bank-b", "--kind", "bank"]);
    done(&engine, "desk-b", &status);

    // The engine's own member as well: its gateway gets no answer that could be taken for one.
    done(&engine, "centre", &["member", "suspend", "dev", "--why", "x"]);
    let request = json!({ "request_id": id(1), "kind": "invoice", "amount_minor": 100, "currency": "SEK" });
    assert_eq!(engine.screen(&request)["not_screened"], "not_permitted");
    assert_eq!(refused(&engine, "centre", &["member", "suspend", "centre", "--why", "x"]), "not_permitted");
    assert_eq!(refused(&engine, "centre", &["member", "suspend", "nobody", "--why", "x"]), "no_such_member");

    // A new key for the police: receipts of the old one no longer count.
    let key = "00".repeat(31) + "01";
    done(&engine, "centre", &["member", "rotate-key", "police", "--key", &key]);
    let members = done(&engine, "centre", &["member", "list"]);
    let police = members["members"].as_array().expect("a list").iter().find(|one| one["member"] == "police");
    assert_eq!(police.map(|one| one["key_number"].clone()), Some(json!(2)));
}

/// Every change can be asked for again under its id: it is done once, and says the same.
#[test]
fn a_repeated_operation_changes_nothing_and_an_id_is_good_for_one() {
    let engine = EngineProcess::start();
    let until = jiff_text(&(now_ms() + 3_600_000).to_string());
    let (subject, op) = (["--subject", TOLVAN], |number: u64| ["--operation".to_owned(), id(number)]);
    let indicator = {
        let draft = [
            "indicator",
            "draft",
            "--kind",
            "domain",
            "--value",
            "a.example",
            "--class",
            "x",
            "--grade",
            "observed",
        ];
        let ids = op(1);
        let draft = [&draft[..], &[&ids[0], &ids[1]]].concat();
        let first = done(&engine, "analyst", &draft);
        let again = done(&engine, "analyst", &draft);
        assert_eq!((&first["id"], &first["digest"]), (&again["id"], &again["digest"]));
        first["id"].as_str().expect("an id").to_owned()
    };
    let raise = ["flag", "raise", "--wish", "deny", "--until", "2030-12-31", "--reason", "scam"];
    let operations: Vec<(&str, Vec<&str>)> = vec![
        ("desk", [&raise[..], &subject].concat()),
        ("desk", [&["flag", "extend", "--until", "2031-06-30"][..], &subject].concat()),
        (
            "desk",
            [&["flag", "pass", "--merchant", "m1", "--max", "60SEK", "--until", &until][..], &subject]
                .concat(),
        ),
        ("desk-b", [&["flag", "lift-request", "--registrar", "dev"][..], &subject].concat()),
        ("desk", vec!["flag", "link", "--old", TOLVAN, "--new", "189001059808"]),
        ("centre", [&["flag", "override", "--registrar", "dev"][..], &subject].concat()),
        ("analyst", vec!["receipt", "add", "--indicator", &indicator, "--reference", "K1", "--own-word"]),
        ("centre", vec!["member", "suspend", "bank-b", "--why", "fees"]),
        ("centre", vec!["member", "admit", "bank-b", "--kind", "bank"]),
        ("desk", [&["flag", "lift"][..], &subject].concat()),
    ];
    for (number, (who, arguments)) in operations.iter().enumerate() {
        let ids = op(100 + number as u64);
        let with_id = [&arguments[..], &[&ids[0], &ids[1]]].concat();
        let first = done(&engine, who, &with_id);
        let again = done(&engine, who, &with_id);
        assert_eq!(first["position"], again["position"], "{arguments:?}: nothing was recorded again");
        assert_eq!(first["second_person_needed"], again["second_person_needed"], "{arguments:?}");
    }
    // The id of the raise, for something else.
    let ids = op(100);
    let other = [&["flag", "lift"][..], &subject, &[&ids[0], &ids[1]]].concat();
    assert_eq!(refused(&engine, "desk", &other), "id_conflict");
}
