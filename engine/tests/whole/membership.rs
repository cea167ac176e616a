//! Members and legal bases are read again at SIGHUP: all of a configuration or nothing of it.

use crate::exchange::{done, refused};
use crate::support::{EngineProcess, TOLVAN, shipped_rules, text};
use std::fs;

const MEMBERS: &str =
    "[members]\npolice = { kind = \"police\" }\ncentre = { kind = \"central_organisation\" }\n";
const BANK_B: &str = "bank-b = { kind = \"bank\" }\n";

fn basis(kinds: &str) -> String {
    format!(
        "[[legal_basis]]\nkinds = [{kinds}]\nreference = \"board 2026-14\"\nassessment = \"DPIA 3\"\nvalid_until = \"2035-12-31\"\n"
    )
}

#[test]
fn members_and_legal_bases_are_read_again_all_or_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("engine.toml");
    let write = |text: String| fs::write(&file, text).expect("written");
    write([MEMBERS, BANK_B, &basis("\"domain\"")].concat());
    let (rules, config) = (shipped_rules().display().to_string(), file.display().to_string());
    let engine = EngineProcess::start_with(&["--rules", &rules, "--config", &config]);
    let reloads = |line: &str| engine.metric(line) as u64;
    // A configuration that is refused counts, and the rules that are read after it.
    let hup = |times: u64| {
        let before = reloads("sparr_reloads_total");
        engine.signal("HUP");
        engine.metric_becomes("sparr_reloads_total", (before + times) as f64);
    };
    let indicator = |value: &str| {
        let draft = [
            "indicator",
            "draft",
            "--kind",
            "email",
            "--value",
            value,
            "--class",
            "x",
            "--grade",
            "observed",
        ];
        let id = done(&engine, "analyst", &draft)["id"].as_str().expect("an id").to_owned();
        done(&engine, "police", &["receipt", "add", "--indicator", &id, "--reference", "K1"]);
        id
    };
    let (first, second, third) =
        (indicator("a@x.example"), indicator("b@x.example"), indicator("c@x.example"));
    let status_b = || {
        let identity = engine.data_dir.join("dev/desk-b").display().to_string();
        let output = engine.sparr(&["flag", "status", "--subject", TOLVAN, "--identity", &identity]);
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    assert_eq!(refused(&engine, "analyst", &["indicator", "share", &first]), "sharing_off");
    assert!(status_b().0);

    write([MEMBERS, BANK_B, &basis("\"domain\", \"email\"")].concat());
    hup(1);
    done(&engine, "analyst", &["indicator", "share", &first]);

    // Each of these would also take sharing or bank-b away: nothing of it counts.
    for bad in [
        "kind = \"club\"\n".to_owned() + MEMBERS,
        "kind = \"bank\"\n".to_owned() + MEMBERS,
        "member = \"another\"\n".to_owned() + MEMBERS,
        MEMBERS.replace("police\" }", "polis\" }"),
        MEMBERS.to_owned() + &basis("\"hat\""),
        "this is no TOML".to_owned(),
    ] {
        let failures = reloads("sparr_reload_failures_total");
        write(bad.clone());
        hup(2);
        assert_eq!(reloads("sparr_reload_failures_total"), failures + 1, "{bad}");
        assert!(status_b().0, "{bad}");
    }
    fs::remove_file(&file).expect("removed");
    hup(2);
    done(&engine, "analyst", &["indicator", "share", &second]);

    // Named no more: nothing from then on; named again, everything. Without a basis, no sharing.
    write(MEMBERS.to_owned() + &basis("\"domain\""));
    hup(1);
    let (fine, said) = status_b();
    assert!(!fine && said.contains("member"), "{said}");
    assert_eq!(refused(&engine, "analyst", &["indicator", "share", &third]), "sharing_off");
    write("listen = \"127.0.0.1:1\"\n".to_owned() + MEMBERS + BANK_B);
    hup(1);
    assert!(status_b().0);
    // The address is given on the command line: it is not another.
    write("drain_seconds = 77\n".to_owned() + MEMBERS + BANK_B);
    hup(1);
    assert!(engine.log().contains("other keys count from the next start"), "{}", engine.log());
}
