//! Police first, from the command line alone: what was not with the police is not with anybody else.

use crate::exchange::{Gateway, done, jiff_text, now_ms, refused, run_as};
use crate::support::{EngineProcess, TOLVAN, shipped_rules, sparr};
use serde_json::{Value, json};

#[test]
fn police_first() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = shipped_rules().display().to_string();
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    let mut gateway = Gateway { engine: &engine, number: 0 };
    let victim = json!({ "email": "mule@shop.example" });
    let draft = |kind: &'static str, value: &'static str| {
        [
            "indicator",
            "draft",
            "--kind",
            kind,
            "--value",
            value,
            "--class",
            "phishing",
            "--grade",
            "investigated",
        ]
    };
    assert_eq!(gateway.outcome(&victim), "approve");
    let drafted = done(&engine, "analyst", &draft("email", "Mule@Shop.example"));
    let indicator = drafted["id"].as_str().expect("an id").to_owned();
    assert!(drafted["digest"].as_str().is_some_and(|digest| digest.starts_with(&indicator)));
    let answer = gateway.asks(&victim);
    assert_eq!(
        (&answer["outcome"], &answer["reasons"]),
        (&json!("challenge"), &json!(["shared_indicator"])),
        "a draft acts"
    );

    // Nobody else sees it, and it cannot be shared before the police have it.
    let list =
        |who| done(&engine, who, &["indicator", "list"])["indicators"].as_array().expect("a list").len();
    assert_eq!((list("analyst"), list("analyst-b"), list("police")), (1, 0, 0));
    let share = ["indicator", "share", &indicator];
    assert_eq!(refused(&engine, "analyst", &share), "receipt_missing");
    assert_eq!(refused(&engine, "analyst-b", &share), "not_registrar");
    let document = done(&engine, "analyst", &["indicator", "report", &indicator]);
    assert_eq!(document["digest"], drafted["digest"]);
    assert_eq!((list("police"), list("analyst-b")), (1, 0), "the police were told, and nobody else");
    assert_eq!(refused(&engine, "analyst", &share), "receipt_missing", "telling them is not enough");

    // A receipt of another indicator, a receipt from the future, a receipt without the police's key.
    let other = done(&engine, "analyst", &draft("email", "other@shop.example"))["id"]
        .as_str()
        .expect("id")
        .to_owned();
    let receipt = |of: &str| {
        [
            "receipt".to_owned(),
            "add".to_owned(),
            "--indicator".to_owned(),
            of.to_owned(),
            "--reference".to_owned(),
            "5000-K123-26".to_owned(),
        ]
    };
    let texts = |arguments: &[String]| arguments.to_vec();
    let run = |who: &str, arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run_as(&engine, who, &arguments)
    };
    assert!(run("police", texts(&receipt(&other))).1);
    assert_eq!(refused(&engine, "analyst", &share), "receipt_missing", "another's receipt");
    let future =
        [&receipt(&indicator)[..], &["--received-at".to_owned(), "2031-01-01T00:00:00Z".to_owned()]].concat();
    assert_eq!(run("police", future).0["refused"], "time_skew");
    let stranger = [&receipt(&indicator)[..], &["--own-word".to_owned()]].concat();
    assert_eq!(run("police", stranger.clone()).0["refused"], "signature_wrong", "an unsigned receipt");
    assert_eq!(run("analyst-b", stranger).0["refused"], "not_registrar");
    assert_eq!(refused(&engine, "analyst", &share), "receipt_missing");

    // The police's own receipt: shared, and effective right after.
    assert!(run("police", texts(&receipt(&indicator))).1);
    assert_eq!(list("analyst-b"), 0, "a receipt shares nothing");
    done(&engine, "analyst", &share);
    let seen = done(&engine, "analyst-b", &["indicator", "list"]);
    assert_eq!(
        (&seen["indicators"][0]["standing"], &seen["indicators"][0]["attested"]),
        (&json!("shared"), &json!("police"))
    );
    assert_eq!(seen["indicators"][0]["content"]["value"], Value::Null, "nobody keeps the address");

    // Contested, answered, confirmed, withdrawn.
    let evidence = engine.data_dir.join("evidence.txt");
    std::fs::write(&evidence, "our own case").expect("written");
    let evidence = evidence.display().to_string();
    let soon = jiff_text(&(now_ms() + 86_400_000).to_string());
    let contest = ["indicator", "contest", &indicator, "--why", "another person", "--due", &soon];
    assert_eq!(refused(&engine, "analyst", &contest), "not_permitted");
    done(&engine, "analyst-b", &contest);
    let answer = gateway.asks(&victim);
    assert_eq!(
        (&answer["outcome"], &answer["review"]),
        (&json!("approve"), &json!("after")),
        "a review alone"
    );
    let confirm = ["indicator", "confirm", &indicator, "--evidence", &evidence];
    done(&engine, "analyst", &confirm);
    assert_eq!(gateway.outcome(&victim), "challenge", "answered");
    done(&engine, "analyst-b", &confirm);
    let one = done(&engine, "analyst", &["indicator", "list"]);
    let one = one["indicators"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["id"] == *indicator)
        .expect("there");
    assert_eq!(one["sources"], 2);
    assert_eq!(
        refused(&engine, "analyst-b", &["indicator", "withdraw", &indicator, "--why", "no"]),
        "not_registrar"
    );
    done(&engine, "analyst", &["indicator", "withdraw", &indicator, "--why", "closed"]);
    assert_eq!(gateway.outcome(&victim), "approve");
    assert_eq!(refused(&engine, "analyst", &share), "withdrawn");

    // The member's own word takes two persons and stays visible as such.
    let own = done(&engine, "analyst", &draft("domain", "fake-shop.example"))["id"]
        .as_str()
        .expect("id")
        .to_owned();
    let own_word = [&receipt(&own)[..], &["--own-word".to_owned()]].concat();
    assert_eq!(run("analyst", own_word.clone()).0["second_person_needed"], true);
    assert_eq!(refused(&engine, "analyst", &["indicator", "share", &own]), "second_person_needed");
    assert_eq!(run("analyst", own_word.clone()).0["refused"], "same_person");
    assert_eq!(run("analyst-2", own_word).0["second_person_needed"], false);
    done(&engine, "analyst", &["indicator", "share", &own]);
    let seen = done(&engine, "analyst-b", &["indicator", "list"]);
    let seen = seen["indicators"].as_array().expect("a list").iter().find(|one| one["id"] == *own).cloned();
    assert_eq!(seen.map(|one| one["attested"].clone()), Some(json!("member")));
    assert_eq!(
        gateway.outcome(&json!({ "kind": "card_payment", "domain": "fake-shop.example" })),
        "challenge"
    );

    // What cannot be drafted or shared, with its reason.
    for (kind, value, more, why) in [
        ("subject", TOLVAN, &["--role", "identity_misused"][..], "victim_not_suspect"),
        ("subject", TOLVAN, &[], "role_missing"),
        ("subject", "191212121213", &["--role", "mule"], "identity_malformed"),
        ("card", "4111111111111111", &[], "card_number_refused"),
        ("cidr", "0.0.0.0/0", &[], "value_malformed"),
        ("ip", "192.0.2.7", &["--until", "2031-01-01"], "until_too_far"),
    ] {
        assert_eq!(
            refused(&engine, "analyst", &[&draft(kind, value)[..], more].concat()),
            why,
            "{kind} {value}"
        );
    }
    let local = done(&engine, "analyst", &draft("device", "dev-1"))["id"].as_str().expect("id").to_owned();
    assert_eq!(gateway.outcome(&json!({ "device_id": "dev-1" })), "challenge", "a local draft acts");
    assert!(run("police", texts(&receipt(&local))).1);
    assert_eq!(refused(&engine, "analyst", &["indicator", "share", &local]), "local_identifier");

    // The whole history holds.
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    let verify = sparr()
        .args(["journal", "verify", "--json", "--data-dir"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    let proven: Value = serde_json::from_slice(&verify.stdout).expect("JSON");
    assert_eq!((&proven["findings"], &proven["indicators_shared"]), (&json!([]), &json!(2)), "{proven}");
}
