//! `sparr map` and `sparr screen` together: messages in, requests to a real engine, codes out.

use crate::map_cards::{PAN, purchase};
use crate::map_support::{ASCII, config, mutated, random, shipped};
use crate::map_transfers::document;
use crate::support::{EngineProcess, TOLVAN, rules_dir, seed, sparr, text};
use serde_json::Value;
use sparr_engine::edge::Refusal;
use std::fs;
use std::path::Path;
use std::process::Output;

/// Runs `sparr map` in a folder.
fn map(folder: &Path, arguments: &[&str]) -> Output {
    sparr().arg("map").args(arguments).current_dir(folder).output().expect("it runs")
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// Rules that answer an amount of whole crowns with each ending: 100 asks, 200 holds, 300 declines.
const RULES: &str = "rules:
  - {id: ask, description: d, owner: o, mode: enforce, when: amount_minor == 10000, then: challenge, reason: card_checks}
  - {id: hold, description: d, owner: o, mode: enforce, when: amount_minor == 20000, review: hold, reason: mule_account}
  - {id: stop, description: d, owner: o, mode: enforce, when: amount_minor == 30000, then: decline, reason: velocity_card}
";

/// Maps a file, screens the requests at a real engine, and maps the answers back: the codes of each message.
fn there_and_back(engine: &EngineProcess, folder: &Path, standard: &str, file: &str) -> Vec<Value> {
    let mapped = map(folder, &[standard, file, "--clock", "now"]);
    assert_eq!(mapped.status.code(), Some(0), "{}", text(&mapped.stderr));
    fs::write(folder.join("requests.ndjson"), &mapped.stdout).expect("written");
    let requests = folder.join("requests.ndjson");
    let screened = engine.sparr(&["screen", "--json", &requests.display().to_string()]);
    assert!(screened.status.success(), "{}{}", text(&screened.stdout), text(&screened.stderr));
    fs::write(folder.join("answers.ndjson"), &screened.stdout).expect("written");
    let codes = map(folder, &[standard, file, "--answers", "answers.ndjson"]);
    assert_eq!(codes.status.code(), Some(0), "{}{}", text(&codes.stdout), text(&codes.stderr));
    lines(&codes.stdout)
}

#[test]
fn a_real_engine_answers_mapped_messages_and_its_answers_become_the_networks_codes() {
    let rules = rules_dir(RULES);
    let engine = EngineProcess::start_with(&["--rules", &rules.path().display().to_string()]);
    engine.raise(TOLVAN, "deny");
    let folder = tempfile::tempdir().expect("folder");
    let amounts = ["000000001000", "000000010000", "000000020000", "000000030000"];
    let messages = amounts.iter().zip(["100001", "100002", "100003", "100004"]).map(|(amount, stan)| {
        let with = purchase().into_iter().map(|(number, value)| match number {
            4 => (4, *amount),
            11 => (11, stan),
            _ => (number, value),
        });
        ASCII.message("0100", &with.collect::<Vec<_>>())
    });
    let reversal: Vec<_> = purchase().into_iter().filter(|(number, _)| *number != 3).collect();
    let mut file = messages.collect::<Vec<_>>().join(&b'\n');
    file.push(b'\n');
    file.extend(ASCII.message("0420", &reversal));
    fs::write(folder.path().join("cards.dat"), file).expect("written");
    let codes = there_and_back(&engine, folder.path(), "iso8583", "cards.dat");
    let said: Vec<_> = codes
        .iter()
        .map(|one| (one["mti"].as_str(), one["field_39"].as_str(), one["stan"].as_str()))
        .collect();
    let answered = |mti, code, stan| (Some(mti), Some(code), Some(stan));
    assert_eq!(
        said,
        [
            answered("0110", "00", "100001"),
            answered("0110", "1A", "100002"),
            answered("0110", "01", "100003"),
            answered("0110", "59", "100004"),
            answered("0430", "00", "100331"),
        ]
    );
    let all = codes.iter().map(Value::to_string).collect::<String>();
    assert!(!all.contains(PAN), "{all}");

    // A person who asked for it is declined, and not called a fraudster for it; somebody who cannot be read is not screened.
    for (change, expected) in [
        (vec![], ("RJCT", Some("AG01"))),
        (vec![(TOLVAN, "191212121213")], ("RJCT", Some("BE16"))),
        (vec![("NIDN", "CCPT")], ("ACCP", None)),
        (vec![("NIDN", "CCPT"), ("574.16", "100")], ("PDNG", None)),
        (vec![("NIDN", "CCPT"), ("574.16", "200")], ("PDNG", None)),
        (vec![("NIDN", "CCPT"), ("574.16", "300")], ("RJCT", Some("FRAD"))),
    ] {
        let unique = format!("<MsgId>{}", change.iter().map(|(_, to)| *to).collect::<String>());
        let change: Vec<_> = change.into_iter().chain([("<MsgId>M-1", unique.as_str())]).collect();
        fs::write(folder.path().join("transfer.xml"), document("pacs.008.001.09", &change)).expect("written");
        let codes = there_and_back(&engine, folder.path(), "iso20022", "transfer.xml");
        let said = (codes[0]["status"].as_str(), codes[0]["status_reason"].as_str());
        assert_eq!(said, (Some(expected.0), expected.1), "{change:?}: {}", codes[0]);
        assert_eq!(codes[0]["original_end_to_end_id"], "E-1");
    }
}

#[test]
fn the_command_says_what_it_used_and_nothing_of_what_stood_there() {
    let folder = tempfile::tempdir().expect("folder");
    let message = ASCII.message("0100", &purchase());
    let file = [
        &message[..],
        b"\n",
        &message[..120],
        b"\n",
        &ASCII.message("0800", &[(7, "1123132000"), (11, "1"), (70, "301")][..0]),
    ]
    .concat();
    fs::write(folder.path().join("cards.dat"), file).expect("written");
    let key = folder.path().join("pan.key");
    fs::write(&key, "07".repeat(32)).expect("written");
    let mapped = map(folder.path(), &["iso8583", "cards.dat", "--pan-key", "pan.key"]);
    assert_eq!(mapped.status.code(), Some(2), "a key that others can read is none");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
    fs::set_permissions(&key, mode).expect("set");
    let mapped = map(folder.path(), &["iso8583", "cards.dat", "--pan-key", "pan.key", "--clock", "now"]);
    let (out, err) = (text(&mapped.stdout), text(&mapped.stderr));
    assert_eq!(mapped.status.code(), Some(1), "{err}");
    let requests = lines(&mapped.stdout);
    assert_eq!(requests.len(), 1, "{out}");
    // Keyed BLAKE3 of `sparr pan v1` and the digits, as WIRE.md has it.
    let mut digest = blake3::Hasher::new_keyed(&[7; 32]);
    digest.update(b"sparr pan v14111111111111111");
    assert_eq!(requests[0]["pan_digest"], digest.finalize().to_hex()[..32].to_owned());
    assert!(err.contains("2 as card_bin, 2 as pan_digest"), "{err}");
    assert!(err.contains("12 (a request has no field for it)") && err.contains("35 (it is secret"), "{err}");
    assert!(err.contains("message 2 0100 (byte 254): refused: truncated: element 35"), "{err}");
    assert!(err.contains("message 3 0800") && err.contains("network_management"), "{err}");
    for secret in [PAN, "30121010000000", "0007"] {
        assert!(!out.contains(secret) && !err.contains(secret), "{secret}: {out}{err}");
    }
    // The same as JSON, in a file; then nothing is said on standard error.
    let mapped = map(folder.path(), &["iso8583", "cards.dat", "--report", "report.ndjson"]);
    assert_eq!((mapped.status.code(), text(&mapped.stderr)), (Some(1), String::new()));
    let report = lines(&fs::read(folder.path().join("report.ndjson")).expect("readable"));
    assert_eq!(report[0]["mapped"]["used"][0], serde_json::json!({"element": "2", "field": "card_bin"}));
    assert_eq!(
        (&report[1]["refused"]["code"], &report[1]["refused"]["element"]),
        (&"truncated".into(), &"35".into())
    );
    // A request without an answer is one that nobody screened.
    fs::write(folder.path().join("none.ndjson"), "{\"line\": 1, \"error\": \"timeout\"}\n").expect("written");
    let codes = map(folder.path(), &["iso8583", "cards.dat", "--answers", "none.ndjson"]);
    let said = lines(&codes.stdout);
    assert_eq!(codes.status.code(), Some(1));
    assert_eq!((&said[0]["error"], &said[0]["field_39"]), (&"no_answer".into(), &"91".into()));
    assert_eq!(said[1]["error"], "truncated");
}

#[test]
fn tables_are_checked_like_rules_and_a_wrong_one_maps_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let tables =
        [config("edge/iso8583.toml"), config("edge/iso20022.toml")].map(|path| path.display().to_string());
    let checked = map(folder.path(), &["check", &tables[0], &tables[1]]);
    assert_eq!((checked.status.code(), text(&checked.stdout).as_str()), (Some(0), "2 tables, 0 errors\n"));
    let broken = shipped("edge/iso8583.toml").replace("hold = \"01\"", "hold = \"1\"");
    fs::write(folder.path().join("broken.toml"), broken).expect("written");
    let checked = map(folder.path(), &["check", "broken.toml"]);
    let said = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        said.contains("error[E007]") && said.contains("broken.toml:") && said.contains("1 errors"),
        "{said}"
    );
    fs::write(folder.path().join("cards.dat"), ASCII.message("0100", &purchase())).expect("written");
    let mapped = map(folder.path(), &["iso8583", "cards.dat", "--table", "broken.toml"]);
    assert_eq!(mapped.status.code(), Some(2));
    assert!(!text(&mapped.stdout).contains("request_id"));
    let absent = map(folder.path(), &["iso20022", "absent.xml"]);
    assert_eq!((absent.status.code(), text(&absent.stdout)), (Some(2), String::new()));
}

#[test]
fn an_engine_takes_whatever_was_mapped_of_changed_messages() {
    // What `sparr map` hands out, `sparr screen` takes: no line of it is no request, and none is malformed but by who it names.
    let engine = EngineProcess::start();
    let folder = tempfile::tempdir().expect("folder");
    let mut random = random(seed());
    let whole = ASCII.message("0200", &purchase());
    let file: Vec<u8> =
        (0..10_000).flat_map(|_| [mutated(&whole, &mut random), vec![b'\n']].concat()).collect();
    fs::write(folder.path().join("cards.dat"), file).expect("written");
    let mapped = map(folder.path(), &["iso8583", "cards.dat", "--clock", "now"]);
    fs::write(folder.path().join("requests.ndjson"), &mapped.stdout).expect("written");
    let requests = folder.path().join("requests.ndjson").display().to_string();
    let screened = engine.sparr(&["screen", "--json", &requests]);
    let answers = lines(&screened.stdout);
    assert!(answers.len() > 100, "{}", answers.len());
    let wrong: Vec<_> = answers
        .iter()
        .filter(|answer| {
            // One id for two contents is what a repeat with another amount is.
            let twice = answer["error"] == "id_twice" || answer["not_screened"] == "id_conflict";
            answer["outcome"].is_null() && !twice
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_manual_names_every_refusal() {
    let path = config("EDGE.md");
    let before = fs::read_to_string(&path).expect("readable");
    let rows = Refusal::ALL.iter().map(|one| format!("| `{}` | {} |\n", one.name(), one.title()));
    let table = format!("\n| code | |\n|---|---|\n{}", rows.collect::<String>());
    let (open, close) = ("<!-- refusals -->", "<!-- /refusals -->");
    let start = before.find(open).expect(open) + open.len();
    let end = before.find(close).expect(close);
    let after = format!("{}{table}{}", &before[..start], &before[end..]);
    if std::env::var_os("SPARR_BLESS").is_some() {
        fs::write(path, after).expect("writable");
    } else {
        assert_eq!(before, after, "SPARR_BLESS=1 writes the table anew");
    }
}
