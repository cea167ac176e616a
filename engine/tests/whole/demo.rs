//! The demonstration finds what was put into its stream: every flag as its person wished, every listed device, and
//! nothing that is not there; and the same seed gives the same answers.

use crate::support::{sparr, text};
use serde_json::Value;

fn demo(arguments: &[&str]) -> Value {
    let mut command = sparr();
    command.args(["demo", "--json", "--rate", "8000", "--seconds", "2"]);
    if !arguments.contains(&"--flags") {
        command.args(["--flags", "5000"]);
    }
    let output = command.args(["--list-entries", "3000"]).args(arguments).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_demonstration_is_exact_and_reproducible() {
    let said = demo(&[]);
    let truth = &said["truth"];
    assert_eq!(truth["exact"], true, "{said}");
    for what in ["flags", "lists"] {
        assert!(truth[what]["right"].as_u64().is_some_and(|right| right >= 10), "{what}: {said}");
        assert_eq!((&truth[what]["missed"], &truth[what]["invented"]), (&0.into(), &0.into()), "{what}");
    }
    assert_eq!((&said["unanswered"], &said["decisions"]), (&0.into(), &16_000.into()), "{said}");
    assert!(said["explained"].as_str().is_some_and(|words| words.contains("Declined.")), "{said}");
    // Which fraud the shipped rules find, and when: card testing at the eleventh payment from one address, a mule at
    // the fifteenth payment in. The shop that nobody has reported is not found, and that is said.
    let campaign = |name: &str, key: &str| said["campaigns"][name][key].as_u64().expect(name);
    assert_eq!(campaign("card_testing", "before_first"), 10);
    assert_eq!(campaign("mule_transfers", "before_first"), 14);
    assert_eq!(campaign("account_takeover", "before_first"), 1);
    assert_eq!(campaign("flagged_persons", "before_first"), 0);
    assert_eq!(campaign("flagged_persons", "stopped"), campaign("flagged_persons", "requests"));
    assert_eq!(campaign("fake_shop", "stopped"), 0);

    let again = demo(&[]);
    for key in ["outcomes", "reviews", "reasons", "not_screened", "truth", "campaigns"] {
        assert_eq!(said[key], again[key], "{key}");
    }
    let other = demo(&["--seed", "2"]);
    assert_ne!(said["reasons"], other["reasons"]);
    assert_eq!(other["truth"]["exact"], true, "{other}");
}

#[test]
fn without_its_flags_the_demonstration_would_notice() {
    // The control: the same people, and nobody has asked for anything.
    let said = demo(&["--flags", "0"]);
    assert_eq!(
        (&said["truth"]["flags"]["right"], &said["truth"]["exact"]),
        (&0.into(), &true.into()),
        "{said}"
    );
    assert_eq!(said["reasons"]["flag_verify"], Value::Null);
}

#[test]
fn the_reasons_of_local_lists_are_the_shipped_ones() {
    use sparr_loadgen::stream::Listed;
    use sparr_loadgen::verdict::listed_reason;
    let reasons = include_str!("../../../config/reasons.toml");
    for (listed, name) in [
        (Listed::Device, "listed_device"),
        (Listed::Address, "listed_address"),
        (Listed::Domain, "listed_domain"),
    ] {
        let entry = format!("code = {}\nname = \"{name}\"", listed_reason(listed).0);
        assert!(reasons.contains(&entry), "{entry}");
    }
}

#[test]
fn bad_options_and_files_are_named() {
    for (arguments, expected) in [
        (&["--rate", "0"][..], "0 is not in 1..=1000000"),
        (&["--rate", "1000000", "--seconds", "3600"], "for longer runs there is sparr-load"),
        (&["--input", "none.csv"], "none.csv: No such file"),
        (&["--flags", "130000"], "130000 is not in"),
    ] {
        let output = sparr().arg("demo").args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
}
