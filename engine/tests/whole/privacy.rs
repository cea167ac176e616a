//! No personal number, e-mail address or card token in anything that is written, in no encoding and no plain hash.
//!
//! A canary run: known values through every door and every error path at the loudest log level; then everything
//! that the engine and its commands wrote is searched.

use crate::support::{EngineProcess, id, send_raw, text};
use data_encoding::BASE64;
use serde_json::json;
use std::fs;
use std::path::Path;

/// Published test numbers (Skatteverket), an address and tokens that occur nowhere else.
const PEOPLE: &[&str] = &["189001059808", "189102279800", "191212121212"];
const TEXTS: &[&str] =
    &["kanariefagel.viktoria@example.se", "tok_canary_58ff31aa", "dev_canary_77e1", "+46700000011"];

/// One secret in one encoding.
struct Needle {
    what: String,
    bytes: Vec<u8>,
}

/// Every encoding in which a value could leak.
fn needles() -> Vec<Needle> {
    let mut needles = Vec::new();
    for person in PEOPLE {
        let (long, short) = ((*person).to_owned(), person[2..].to_owned());
        let dashed =
            |digits: &str| format!("{}-{}", &digits[..digits.len() - 4], &digits[digits.len() - 4..]);
        for spelling in [long.clone(), short.clone(), dashed(&long), dashed(&short)] {
            add_text(&mut needles, &spelling);
        }
        for digits in [&long, &short] {
            let number: u64 = digits.parse().expect("digits");
            add(&mut needles, "u64, little-endian", digits, number.to_le_bytes().to_vec());
            add(&mut needles, "u64, big-endian", digits, number.to_be_bytes().to_vec());
            let pairs: Vec<u8> =
                digits.as_bytes().chunks(2).map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0')).collect();
            add(&mut needles, "BCD", digits, pairs);
        }
    }
    for text in TEXTS {
        add_text(&mut needles, text);
    }
    needles
}

fn add(needles: &mut Vec<Needle>, how: &str, secret: &str, bytes: Vec<u8>) {
    needles.push(Needle { what: format!("{secret} as {how}"), bytes });
}

/// A text as it is, in UTF-16, hexadecimal and base64 in all three phases, and its plain digests.
fn add_text(needles: &mut Vec<Needle>, secret: &str) {
    let bytes = secret.as_bytes();
    add(needles, "text", secret, bytes.to_vec());
    add(needles, "UTF-16", secret, secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
    add(needles, "hexadecimal", secret, hex(bytes).into_bytes());
    for phase in 0..3 {
        let padded = [&b"\0\0"[..phase], bytes].concat();
        let encoded = BASE64.encode(&padded);
        // The characters that also depend on the neighbours are left out.
        let (from, to) = (if phase == 0 { 0 } else { 4 }, encoded.len() - 4);
        add(needles, "base64", secret, encoded.as_bytes()[from..to].to_vec());
    }
    for (name, digest) in [
        ("SHA-1", digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes)),
        ("SHA-256", digest(&aws_lc_rs::digest::SHA256, bytes)),
        ("SHA-512", digest(&aws_lc_rs::digest::SHA512, bytes)),
        ("MD5", {
            use md5::Digest as _;
            md5::Md5::digest(bytes).to_vec()
        }),
        ("BLAKE3", blake3::hash(bytes).as_bytes().to_vec()),
    ] {
        // A shortened digest gives the value away as well.
        let short = digest[..16].to_vec();
        add(needles, &format!("plain {name}, hexadecimal"), secret, hex(&short).into_bytes());
        add(needles, &format!("plain {name}"), secret, short);
    }
}

fn digest(algorithm: &'static aws_lc_rs::digest::Algorithm, bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(algorithm, bytes).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn found_in(place: &str, bytes: &[u8], needles: &[Needle]) -> Vec<String> {
    let found = needles.iter().filter(|needle| contains(bytes, &needle.bytes));
    found.map(|needle| format!("{place}: {}", needle.what)).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

fn found_in_folder(folder: &Path, needles: &[Needle]) -> (Vec<String>, u64) {
    let (mut found, mut searched) = (Vec::new(), 0);
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            let (inner, bytes) = found_in_folder(&path, needles);
            found.extend(inner);
            searched += bytes;
        } else {
            let bytes = fs::read(&path).expect("readable");
            searched += bytes.len() as u64;
            found.extend(found_in(&path.display().to_string(), &bytes, needles));
        }
    }
    (found, searched)
}

/// Every value through every door, rightly and wrongly. Gives back what the commands printed.
fn canary_run(engine: &EngineProcess) -> Vec<u8> {
    let mut printed = Vec::new();
    let mut run = |arguments: &[&str]| {
        let output = engine.sparr(arguments);
        printed.extend_from_slice(&output.stdout);
        printed.extend_from_slice(&output.stderr);
        text(&output.stdout)
    };
    let mut number = 0;
    for (person, wish) in PEOPLE.iter().zip(["verify", "deny", "verify"]) {
        run(&[
            "flag",
            "raise",
            "--subject",
            person,
            "--wish",
            wish,
            "--until",
            "2030-12-31",
            "--reason",
            "scam",
        ]);
        run(&["flag", "status", "--subject", person, "--json"]);
        let wrong = format!("{}9", &person[..11]);
        run(&["flag", "status", "--subject", &wrong]);
        run(&[
            "flag",
            "raise",
            "--subject",
            person,
            "--wish",
            wish,
            "--until",
            "2001-12-31",
            "--reason",
            "scam",
        ]);
        for subject in [(*person).to_owned(), wrong, format!(" {person}"), person[2..].to_owned()] {
            for kind in ["card_payment", "invoice", "instant", "cheque"] {
                number += 1;
                let request = json!({
                    "request_id": id(number), "kind": kind, "subject": subject, "amount_minor": 500_000_000,
                    "currency": "SEK", "email": TEXTS[0], "card_token": TEXTS[1], "device_id": TEXTS[2],
                    "phone": TEXTS[3], "merchant_id": "m1", "payment_id": "P1",
                });
                run(&["screen", "--json", &request.to_string()]);
            }
        }
        for broken in [
            json!({ "request_id": id(900), "kind": "invoice", "ip": person }),
            json!({ "request_id": id(901), "kind": "invoice", "payment_id": format!("{person}4242") }),
            json!({ "request_id": id(902), "kind": "invoice", "subject": [person] }),
            json!({ "request_id": person, "kind": "invoice" }),
            // A number alone is an amount, and is shown as one.
            json!({ "request_id": id(903), "kind": "invoice", "amount_minor": format!("{person} kr") }),
        ] {
            run(&["screen", "--json", &broken.to_string()]);
        }
        run(&["screen", "--json", &format!("{{\"subject\": \"{person}\"")]);
        exchange_run(&mut run, person, &engine.data_dir.join("dev"));
        run(&["flag", "lift", "--subject", person]);
        run(&["flag", "lift", "--subject", person]);
        // Bytes that are no frame, with the number in the middle.
        for role in ["gateway", "desk"] {
            let bytes = [&[30, 0, 1, 1, 0, 0, 0, 0][..], person.as_bytes(), &[0; 18]].concat();
            send_raw(&engine.client(role), &bytes);
        }
    }
    run(&["flag", "list", "--json"]);
    run(&["flag", "list"]);
    // Everything that the decision log gives away, in every form.
    run(&["decisions", "--json", "--rerun", "--limit", "0"]);
    run(&["decisions", "--export", "--allow-gaps"]);
    run(&["explain", &id(1), "--all", "--rerun"]);
    run(&["explain", &id(1), "--all", "--json"]);
    run(&["incident-export", "--json"]);
    for page in ["/", "/metrics", "/readyz?verbose", &format!("/{}", PEOPLE[0])] {
        printed.extend_from_slice(engine.get(page).1.as_bytes());
    }
    printed
}

/// Every command of the exchange, rightly and with the value where it does not belong.
fn exchange_run(run: &mut dyn FnMut(&[&str]) -> String, person: &str, identities: &Path) {
    let (analyst_b, key) = (identities.join("analyst-b").display().to_string(), "ab".repeat(32));
    let folder = tempfile::tempdir().expect("folder");
    let rows = format!("subject,wish,until\n{person},deny,2030-12-31\n{person}9,deny,2030-12-31\n");
    let flags = folder.path().join("flags.csv");
    fs::write(&flags, rows).expect("written");
    let flags = flags.display().to_string();
    let list = folder.path().join("list.txt");
    fs::write(&list, format!("{}\n{person}\n", TEXTS[0])).expect("written");
    let list = list.display().to_string();
    let subject = ["--subject", person];
    run(&[&["flag", "pass", "--merchant", person, "--max", "5SEK", "--until", "2030-01-01"][..], &subject]
        .concat());
    run(&[&["flag", "extend", "--until", "2031-01-01"][..], &subject].concat());
    run(&[&["flag", "lift-request", "--registrar", "bank-b"][..], &subject].concat());
    run(&["flag", "link", "--old", person, "--new", PEOPLE[0]]);
    run(&[&["flag", "report"][..], &subject].concat());
    run(&[&["flag", "report", "--json"][..], &subject].concat());
    run(&[&["flag", "override", "--registrar", "dev"][..], &subject].concat());
    run(&["flag", "import", &flags, "--dry-run"]);
    run(&["flag", "import", &flags, "--json"]);
    let draft = |kind, value| {
        ["indicator", "draft", "--class", "x", "--grade", "observed", "--kind", kind, "--value", value]
    };
    run(&[&draft("subject", person)[..], &["--role", "mule"]].concat());
    for kind in ["email", "phone", "card", "device", "ip", "par", "account", "domain"] {
        for value in TEXTS.iter().copied().chain([person]) {
            // A domain is kept as it is: what is no domain is refused, and an own id is hashed whatever it is.
            run(&draft(kind, value));
        }
    }
    let id = "0123456789abcdef0123456789abcdef";
    for text in [person, TEXTS[0]] {
        run(&["receipt", "add", "--indicator", id, "--reference", text]);
        run(&["receipt", "add", "--indicator", id, "--reference", text, "--own-word"]);
        run(&["indicator", "withdraw", id, "--why", text]);
        run(&["indicator", "contest", id, "--why", text, "--due", "2026-12-01"]);
        run(&["member", "suspend", "bank-b", "--why", text]);
    }
    run(&["indicator", "import", &list, "--class", "x"]);
    run(&["indicator", "list"]);
    run(&["indicator", "list", "--json"]);
    run(&["indicator", "export"]);
    run(&["member", "list"]);
    run(&["member", "rights"]);
    // An indicator of a person through its whole life, and members, with the value wherever a word may stand.
    let drafted = run(&[&draft("subject", person)[..], &["--role", "mule", "--json"]].concat());
    let id = drafted.split("\"id\":\"").nth(1).and_then(|rest| rest.get(..32)).unwrap_or(id).to_owned();
    for arguments in [
        &["indicator", "report", &id][..],
        &["receipt", "add", "--indicator", &id, "--reference", "K1"],
        &["indicator", "share", &id],
        &["indicator", "confirm", &id, "--evidence", &list],
        &["indicator", "confirm", &id, "--evidence", &list, "--identity", &analyst_b],
        &["indicator", "contest", &id, "--why", person, "--due", "2026-12-01", "--identity", &analyst_b],
        &["indicator", "override", &id, "--why", person],
        &["indicator", "report", person],
        &["member", "admit", person, "--kind", "bank"],
        &["member", "admit", "bank-c", "--kind", "bank"],
        &["member", "rotate-key", "bank-c", "--key", &key],
        &["member", "rotate-key", "bank-c", "--key", person],
        &["audit", "list"],
        &["audit", "list", "--json", "--member", person],
        &["audit", "verify"],
        &["journal", "verify"],
    ] {
        run(arguments);
    }
}

#[test]
fn nothing_personal_is_written_anywhere_in_any_encoding() {
    let needles = needles();
    let folder = tempfile::tempdir().expect("folder");
    let rules = crate::support::shipped_rules().display().to_string();
    let config = folder.path().join("engine.toml");
    fs::write(&config, "snapshot_records = 1\n").expect("written");
    let config = config.display().to_string();
    let engine =
        EngineProcess::start_logging(folder.path(), &["--config", &config, "--rules", &rules], "trace");
    let printed = canary_run(&engine);
    for life in
        ["Receipt K1 of", "Shared with every member", "Confirmed", "signs with another key", "flag_status"]
    {
        assert!(contains(&printed, life.as_bytes()), "the run reached this: {life}");
    }
    let mut findings = found_in("what commands print", &printed, &needles);
    engine.signal("HUP");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let log = engine.log();
    assert!(log.lines().count() > 100, "the log is at its loudest: {} lines", log.lines().count());
    findings.extend(found_in("the log", log.as_bytes(), &needles));
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    for arguments in [&["journal", "verify"][..], &["journal", "verify", "--json"], &["audit", "list"]] {
        let output = crate::support::sparr()
            .args(arguments)
            .arg("--data-dir")
            .arg(folder.path())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        findings.extend(found_in("proof", &[output.stdout, output.stderr].concat(), &needles));
    }
    assert!(folder.path().join("snapshots").is_dir(), "the run reached this as well");
    let (in_files, searched) = found_in_folder(folder.path(), &needles);
    findings.extend(in_files);
    assert!(searched > 10_000, "{searched} bytes of files");
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// The negative control: what is planted is found, each encoding by itself.
#[test]
fn the_search_finds_every_encoding_that_it_looks_for() {
    let needles = needles();
    assert!(needles.len() > 250, "{} needles", needles.len());
    for needle in &needles {
        let planted = [&b"some log line: "[..], &needle.bytes, b" and more"].concat();
        assert!(!found_in("here", &planted, &needles).is_empty(), "{}", needle.what);
    }
    assert_eq!(found_in("here", b"some log line without anything", &needles), Vec::<String>::new());
    let folder = tempfile::tempdir().expect("folder");
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("made");
    fs::write(inner.join("file"), format!("x{}x", text(&needles[0].bytes))).expect("written");
    assert!(!found_in_folder(folder.path(), &needles).0.is_empty());
}
