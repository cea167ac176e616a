//! Many at a time: files of flags and of indicators, budgets, the legal basis, and a change of the network key.

use crate::exchange::{done, refused, run_as};
use crate::support::{EngineProcess, TOLVAN, id, shipped_rules, sparr, text};
use serde_json::{Value, json};
use sparr_loadgen::workload::personal_number;
use sparr_protocol::testing::test_data;
use std::fs;
use std::path::Path;

fn write(folder: &Path, name: &str, content: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, content).expect("written");
    file.display().to_string()
}

#[test]
fn a_file_of_flags_is_compared_guarded_and_raised() {
    let engine = EngineProcess::start();
    let folder = tempfile::tempdir().expect("folder");
    let mut rows = String::from("subject,wish,until,scope\n");
    for person in 0..150 {
        rows.push_str(&format!("{},verify,2030-12-31,any\n", personal_number(person)));
    }
    rows.push_str("191212121213,verify,2030-12-31,any\n");
    rows.push_str(&format!("{},maybe,2030-12-31,any\n", personal_number(500)));
    rows.push_str(&format!("{},deny,2001-12-31,any\n", personal_number(501)));
    let file = write(folder.path(), "flags.csv", &rows);

    let (dry, _) = run_as(&engine, "desk", &["flag", "import", &file, "--dry-run"]);
    assert_eq!((&dry["new"], &dry["same"], &dry["raised"]), (&json!(151), &json!(0), &json!(0)), "{dry}");
    assert_eq!(
        dry["rejected"],
        json!([
            { "line": 152, "why": "identity_malformed" }, { "line": 153, "why": "wish is verify or deny" },
        ])
    );
    let (guarded, fine) = run_as(&engine, "desk", &["flag", "import", &file]);
    assert_eq!(
        (&guarded["too_many"], &guarded["raised"], fine),
        (&json!(true), &json!(0), false),
        "the guard"
    );
    assert_eq!(done(&engine, "desk", &["flag", "list"])["flags"], json!([]), "nothing was changed");

    let (raised, _) = run_as(&engine, "desk", &["flag", "import", &file, "--changes-max", "151"]);
    assert_eq!((&raised["new"], &raised["raised"]), (&json!(151), &json!(150)), "{raised}");
    assert!(
        raised["rejected"].as_array().is_some_and(|all| all.iter().any(|one| one["why"] == "until_in_past"))
    );
    // Again: nothing is left to do. And one row that says something else.
    let again = rows.lines().take(151).collect::<Vec<_>>().join("\n").replacen("verify", "deny", 1) + "\n";
    let file = write(folder.path(), "again.csv", &again);
    let again = done(&engine, "desk", &["flag", "import", &file]);
    assert_eq!(
        (&again["new"], &again["replaced"], &again["same"]),
        (&json!(0), &json!(1), &json!(149)),
        "{again}"
    );
    assert_eq!(done(&engine, "desk", &["flag", "list"])["flags"].as_array().map(Vec::len), Some(150));
    let shown = engine.sparr(&["flag", "import", &write(folder.path(), "bad.csv", "person\n1\n")]);
    assert_eq!(shown.status.code(), Some(2));
    assert!(text(&shown.stderr).contains("no column is called \"person\""), "{}", text(&shown.stderr));
}

/// Real lists, as their makers publish them: how much of each is understood, and what is not.
#[test]
fn real_lists_are_read_with_counts_and_every_reject_has_its_place() {
    let unproven = "import of real lists";
    let engine = EngineProcess::start();
    let import = |path: &str, more: &[&str]| -> Option<Value> {
        let file = test_data(&format!("indicators/{path}"), unproven)?.display().to_string();
        let arguments = [&["indicator", "import", &file, "--class", "listed"][..], more].concat();
        Some(run_as(&engine, "analyst", &arguments).0)
    };
    // File; what is found; how many are rejected at most.
    for (path, found, rejected_max) in [
        ("ip/x4b_vpn_ipv4.txt", json!({ "cidr": 10_862 }), 0),
        ("domain/openphish_domains.txt", Value::Null, 200),
        ("email/disposable_email_domains.txt", Value::Null, 20),
        ("stix21/indicator-for-c2-ip-address.json", json!({ "ip": 1 }), 0),
        ("misp-warninglists/vpn-ipv4.json", Value::Null, 20),
        ("misp-warninglists/cloudflare.json", Value::Null, 0),
        ("misp-warninglists/url-shortener.json", Value::Null, 10),
    ] {
        let Some(read) = import(path, &["--dry-run"]) else { return };
        let count: u64 = read["found"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
        let rejected = read["rejected"].as_array().expect("a list");
        println!("{path}: {}, {} duplicates, {} rejected", read["found"], read["duplicates"], rejected.len());
        assert!(count > 0 && rejected.len() <= rejected_max, "{path}: {} {rejected:?}", read["found"]);
        assert!(found.is_null() || read["found"] == found, "{path}: {}", read["found"]);
        assert!(rejected.iter().all(|one| one["at"].is_string() && one["why"].is_string()), "{path}");
        assert_eq!(read["drafted"], 0);
    }
    // For real: networks, of which one address is then known, and no other.
    let Some(drafted) = import("ip/x4b_vpn_ipv6.txt", &[]) else { return };
    assert_eq!(drafted["drafted"], drafted["found"]["cidr"], "{drafted}");
    let text = fs::read_to_string(test_data("indicators/ip/x4b_vpn_ipv6.txt", unproven).expect("there"));
    let text = text.expect("readable");
    let network = text.lines().find(|line| line.ends_with("/32")).expect("a network").trim_end_matches("/32");
    let asks = |number: u64, ip: &str| {
        let request = json!({ "request_id": id(number), "kind": "card_payment", "amount_minor": 100, "currency": "SEK", "ip": ip });
        engine.screen(&request)["outcome"].clone()
    };
    assert_eq!(
        (asks(1, &format!("{network}1")), asks(2, "2001:db8::1")),
        (json!("challenge"), json!("approve"))
    );
    // The way out: a bundle in which a withdrawn one is revoked.
    let list = done(&engine, "analyst", &["indicator", "list"]);
    let first = list["indicators"][0]["id"].as_str().expect("an id").to_owned();
    done(&engine, "analyst", &["indicator", "withdraw", &first, "--why", "closed"]);
    let bundle = done(&engine, "analyst", &["indicator", "export"]);
    let objects = bundle["objects"].as_array().expect("objects");
    assert_eq!(objects.len(), list["indicators"].as_array().expect("a list").len());
    assert_eq!(objects.iter().filter(|one| one["revoked"] == true).count(), 1);
    let folder = tempfile::tempdir().expect("folder");
    let file = write(folder.path(), "bundle.json", &bundle.to_string());
    let (back, _) = run_as(&engine, "analyst", &["indicator", "import", &file, "--class", "x", "--dry-run"]);
    assert_eq!(back["found"]["cidr"].as_u64(), Some(objects.len() as u64 - 1), "what is revoked is left out");
}

/// Sharing is off for every kind without a legal basis; a desk's look-ups have a budget.
#[test]
fn sharing_needs_a_legal_basis_and_look_ups_have_a_budget() {
    let folder = tempfile::tempdir().expect("folder");
    let honey = write(folder.path(), "honey.txt", &format!("{}\n", personal_number(77)));
    let basis = "lookups_per_day_max = 2\nhoney_numbers = \"HONEY\"\n[[legal_basis]]\nkinds = [\"domain\"]\nreference = \"board 2026-14\"\n\
                 assessment = \"DPIA 3\"\nvalid_until = \"2035-12-31\"\n[[legal_basis]]\nkinds = [\"phone\"]\n\
                 reference = \"old\"\nassessment = \"old\"\nvalid_until = \"2020-01-01\"\n";
    let config = write(folder.path(), "engine.toml", &basis.replace("HONEY", &honey));
    let rules = shipped_rules().display().to_string();
    let engine = EngineProcess::start_with(&["--config", &config, "--rules", &rules]);
    for (kind, value, shared) in [
        ("domain", "shop.example", None),
        ("email", "a@shop.example", Some("sharing_off")),
        ("phone", "+46700000011", Some("sharing_off")),
    ] {
        let draft =
            ["indicator", "draft", "--kind", kind, "--value", value, "--class", "x", "--grade", "observed"];
        let drafted = done(&engine, "analyst", &draft)["id"].as_str().expect("an id").to_owned();
        done(&engine, "police", &["receipt", "add", "--indicator", &drafted, "--reference", "K1"]);
        let share = ["indicator", "share", &drafted];
        match shared {
            None => drop(done(&engine, "analyst", &share)),
            Some(why) => assert_eq!(refused(&engine, "analyst", &share), why, "{kind}"),
        }
    }
    let status = |who: &str, person: u64| {
        run_as(&engine, who, &["flag", "status", "--subject", &personal_number(person)])
    };
    for person in [1, 2, 1] {
        assert!(status("desk", person).1);
    }
    assert_eq!(status("desk", 3).0["refused"], "lookup_budget_spent");
    assert_eq!(status("desk-2", 3).0["refused"], "lookup_budget_spent", "a member's, not a person's");
    assert!(status("desk", 2).1 && status("desk-b", 3).1);
    // A number that nobody was ever given betrays who walks through numbers, whether they screen or ask.
    let touched = || engine.metric("sparr_honey_lookups_total");
    assert_eq!(touched(), 0.0);
    status("desk-b", 77);
    let request = json!({
        "request_id": id(1), "kind": "invoice", "amount_minor": 100, "currency": "SEK", "subject": personal_number(77),
    });
    assert_eq!(engine.screen(&request)["outcome"], "approve");
    assert_eq!(touched(), 2.0);
    assert_eq!(engine.metric("sparr_screened_people"), 1.0);
    // Protection has no budget.
    let raise =
        ["flag", "raise", "--subject", TOLVAN, "--wish", "deny", "--until", "2030-12-31", "--reason", "scam"];
    done(&engine, "desk", &raise);

    let bad = write(
        folder.path(),
        "bad.toml",
        "kind = \"club\"\n[members]\npolis = { kind = \"x\", key = \"1\" }\n[[legal_basis]]\nkinds = [\"device\", \"hat\"]\nreference = \"\"\nassessment = \"a\"\nvalid_until = \"soon\"\n",
    );
    let refusal = sparr()
        .args(["serve", "--dev", "--config", &bad, "--data-dir"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    let said = text(&refusal.stderr);
    for words in [
        "kind: \"club\" is no kind of member",
        "members.polis.kind",
        "members.polis.key",
        "\"soon\" is no date",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// Nobody keeps the numbers, so a new network key takes over while the old one's flags live on.
#[test]
fn flags_and_indicators_of_the_old_network_key_are_found_and_lifted() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = shipped_rules().display().to_string();
    let raise =
        ["flag", "raise", "--subject", TOLVAN, "--wish", "deny", "--until", "2030-12-31", "--reason", "scam"];
    let draft = [
        "indicator",
        "draft",
        "--kind",
        "email",
        "--value",
        "a@shop.example",
        "--class",
        "x",
        "--grade",
        "observed",
    ];
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    done(&engine, "desk", &raise);
    done(&engine, "analyst", &draft);
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    let key = folder.path().join("keys/network-2.key");
    fs::write(&key, "ab".repeat(32) + "\n").expect("written");
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).expect("allowed");

    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    let asks = |number: u64, fields: Value| {
        let mut request = json!({ "request_id": id(number), "kind": "card_payment", "amount_minor": 100, "currency": "SEK" });
        fields.as_object().expect("fields").iter().for_each(|(name, value)| request[name] = value.clone());
        engine.screen(&request)["outcome"].clone()
    };
    assert_eq!(asks(1, json!({ "subject": TOLVAN })), "decline");
    assert_eq!(asks(2, json!({ "email": "A@shop.example" })), "challenge");
    let flags = |engine: &EngineProcess| {
        done(engine, "desk", &["flag", "status", "--subject", TOLVAN])["flags"]
            .as_array()
            .expect("flags")
            .clone()
    };
    let old = flags(&engine);
    // Raised again under the new key, both act, and one lift lifts both.
    done(&engine, "desk", &raise);
    let both = flags(&engine);
    assert_eq!((old.len(), both.len()), (1, 2));
    assert_ne!(both[0]["subject"], both[1]["subject"]);
    done(&engine, "desk", &["flag", "lift", "--subject", TOLVAN]);
    assert!(flags(&engine).iter().all(|flag| flag["standing"] == "lifted"));
    assert_eq!(asks(3, json!({ "subject": TOLVAN })), "approve");
}
