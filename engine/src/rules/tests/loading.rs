//! All or nothing, the same whatever the order of files, and within bounds.

use super::*;
use crate::limits::{READINGS_MAX, RULE_COST_MAX, RULES_MAX, SET_COST_MAX};
use sparr_protocol::ids::RuleSetDigest;
use sparr_protocol::response::ReasonCode;

fn codes(sources: &Sources) -> Vec<&'static str> {
    let loaded = load(sources);
    let errors = loaded.diagnostics.iter().any(|finding| finding.is_error());
    assert_eq!(loaded.set.is_none(), errors, "a set loads exactly when nothing is an error");
    loaded.diagnostics.iter().map(|finding| finding.code.text()).collect()
}

const SETTINGS: &str = "set:\n  thresholds: { review: 10, challenge: 20, decline: 30 }\n";

fn parts() -> (Vec<String>, Vec<(&'static str, &'static str)>) {
    let rules = vec![
        format!("{SETTINGS}rules:\n{}", rule("a", "amount_minor > 5", "")),
        format!("rules:\n{}{}", rule("b", "ip in cidrs(\"l\")", ""), rule("c", "mcc == 1", "score: 5")),
    ];
    (rules, vec![("l.txt", "192.0.2.0/24\n198.51.100.0/24\n"), ("m.txt", "x\n")])
}

fn digest(rules: &[String], lists: &[(&str, &str)], reasons: &str) -> RuleSetDigest {
    let texts: Vec<&str> = rules.iter().map(String::as_str).collect();
    let sources = Sources { reasons: file("elsewhere.toml", reasons), ..sources(&texts, lists) };
    set_of(&sources).digest()
}

#[test]
fn the_digest_says_what_decides_and_nothing_else() {
    let (rules, lists) = parts();
    let original = digest(&rules, &lists, REASONS);

    let turned: Vec<String> = rules.iter().rev().cloned().collect();
    assert_eq!(digest(&turned, &lists, REASONS), original, "order of files");
    let joined = format!(
        "{SETTINGS}rules:\n{}{}{}",
        rule("c", "mcc == 1", "score: 5"),
        rule("b", "ip in cidrs(\"l\")", ""),
        rule("a", "amount_minor > 5", "")
    );
    assert_eq!(digest(&[joined], &lists, REASONS), original, "which file, and in which order");
    let lists_turned = [("l.csv", "value,reason\n198.51.100.0/24,why\n192.0.2.0/24,\n"), ("m.txt", "y\n")];
    assert_eq!(digest(&rules, &lists_turned, REASONS), original, "form and order of lists, unused ones");
    assert_eq!(digest(&rules, &lists, &REASONS.replace("\"å\"", "\"other words\"")), original, "sentences");
    for (from, to) in [
        ("description: d", "description: other words"),
        ("amount_minor > 5", "(amount_minor>5) // five"),
        ("reason: other\n", "reason: other\n    owner: somebody\n"),
        ("reason: other\n", "reason: other\n    examples: [no_match: {}]\n"),
    ] {
        let changed: Vec<String> = rules.iter().map(|text| text.replace(from, to)).collect();
        assert_eq!(digest(&changed, &lists, REASONS), original, "{to}");
    }

    let mut seen = vec![original];
    for (from, to) in [
        ("id: a", "id: z"),
        ("mode: enforce", "mode: shadow"),
        ("mode: enforce", "mode: off"),
        ("amount_minor > 5", "amount_minor > 6"),
        ("amount_minor > 5", "amount_minor >= 5"),
        ("amount_minor > 5", "amount_base_minor > 5"),
        ("amount_minor > 5", "5 > amount_minor"),
        ("then: challenge", "then: decline"),
        ("then: challenge", "review: hold"),
        ("score: 5", "score: 6"),
        ("reason: other", "reason: another"),
        ("reason: other\n", "reason: other\n    rollout: 50\n"),
        ("reason: other\n", "reason: other\n    kinds: [refund]\n"),
        ("reason: other\n", "reason: other\n    expires: 2030-01-01\n"),
        ("decline: 30", "decline: 31"),
        ("set:\n", "set:\n  time_zone: Europe/Oslo\n"),
        ("set:\n", "set:\n  base_currency: EUR\n"),
        ("set:\n", "set:\n  rates: { date: 2026-11-01, EUR: \"11\" }\n"),
        ("set:\n", "set:\n  rates: { date: 2026-11-02, EUR: \"11\" }\n"),
    ] {
        let changed: Vec<String> = rules.iter().map(|text| text.replacen(from, to, 1)).collect();
        seen.push(digest(&changed, &lists, REASONS));
    }
    seen.push(digest(&rules, &[("l.txt", "192.0.2.0/24\n")], REASONS));
    seen.push(digest(
        &rules,
        &[("l.csv", "value,expires\n192.0.2.0/24,2030-01-01\n198.51.100.0/24,\n")],
        REASONS,
    ));
    seen.push(digest(&rules, &lists, &REASONS.replace("900", "901")));
    let last = REASONS.rfind("[[reason]]").expect("several");
    let before = REASONS[..last].rfind("[[reason]]").expect("several");
    let swapped = [&REASONS[..before], &REASONS[last..], &REASONS[before..last]].concat();
    seen.push(digest(&rules, &lists, &swapped));
    for (at, one) in seen.iter().enumerate() {
        assert!(seen[at + 1..].iter().all(|other| other != one), "change {at} does not show");
    }
}

#[test]
fn one_set_group_and_one_rule_of_a_name_in_all_files_together() {
    let file = |id: &str| format!("{SETTINGS}rules:\n{}", rule(id, "mcc == 1", "mode: off"));
    assert_eq!(codes(&sources(&[&file("a"), &file("b")], &[])), ["E011"]);
    let alone = format!("rules:\n{}", rule("a", "mcc == 2", ""));
    assert_eq!(codes(&sources(&[&file("a"), &alone], &[])), ["E008"]);
    let lists = [("l.txt", "x\n"), ("l.csv", "value\nx\n")];
    assert_eq!(codes(&sources(&["rules: []\n"], &lists)), ["E008"]);
    assert_eq!(codes(&sources(&[], &[])), ["E006"], "a set of no rules approves everything");
    assert_eq!(codes(&sources(&[SETTINGS], &[])), ["E006"]);
    assert_eq!(codes(&sources(&[SETTINGS, "rules: []\n"], &[])), ["W009"], "unless a file says so");
}

#[test]
fn a_set_is_what_its_files_say() {
    let (rules, lists) = parts();
    let texts: Vec<&str> = rules.iter().map(String::as_str).collect();
    let set = set_of(&sources(&texts, &lists));
    assert_eq!(set.rules().iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    let c = &set.rules()[2];
    assert_eq!(
        (c.action, c.rollout, c.reason, c.cost),
        (super::super::Action::Score(5), 100, ReasonCode(900), 1)
    );
    assert_eq!((c.location.file.as_str(), c.location.line, c.location.column), ("rules1.yaml", 9, 9));
    assert_eq!(c.when, "mcc == 1");
    assert_eq!((set.thresholds().review, set.thresholds().decline, set.cost()), (10, 30, 6));
    let reasons = set.reasons();
    assert_eq!((reasons.name(ReasonCode(900)), reasons.rank(ReasonCode(900))), (Some("other"), 4));
    assert_eq!((reasons.rank(ReasonCode(800)), reasons.rank(ReasonCode(7))), (5, u16::MAX));
    assert_eq!(reasons.named("another").map(|reason| reason.code), Some(ReasonCode(800)));
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&set);
}

#[test]
fn rules_share_readings_and_rules_that_are_off_ask_for_none() {
    let rules = [
        rule("a", "velocity(card, \"10m\").count > 1", ""),
        rule("b", "velocity(card, \"600s\").count > 2 && velocity(card, \"10m\").sum > 2", "mode: shadow"),
        rule("c", "velocity([merchant, card], \"1h\").count > 1", ""),
        rule("d", "velocity([card, merchant], \"1h\").count > 2", ""),
        rule(
            "e",
            "velocity(device, \"1h\").count > 2",
            "mode: off\nexamples: [match: {velocity: {device: {1h: {count: 3}}}}]",
        ),
    ];
    let set = set_of(&sources(&[&format!("rules:\n{}", rules.concat())], &[]));
    let keys: Vec<_> = set.plan().keys().iter().map(|plan| (plan.key.text(), plan.readings.len())).collect();
    assert_eq!(keys, [("card".to_owned(), 2), ("[card, merchant]".to_owned(), 1)]);
}

#[test]
fn bounds_are_kept() {
    let windows = |count: usize| -> String {
        (1..=count)
            .map(|at| rule(&format!("r-{at}"), &format!("velocity(card, \"{at}s\").count > 1"), ""))
            .collect()
    };
    let load = |rules: String| codes(&sources(&[&format!("rules:\n{rules}")], &[]));
    assert!(!load(windows(READINGS_MAX)).contains(&"E013"));
    assert!(load(windows(READINGS_MAX + 1)).contains(&"E013"));

    // One rule that asks too much, by lists that multiply.
    let numbers = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let product = |condition: &str| format!("[{numbers}].exists(a, [{numbers}].all(b, {condition}))");
    assert!(load(rule("a", &product("mcc == a * b"), "")).contains(&"E013"));
    let cubed = format!("[{numbers}].all(a, [{numbers}].all(b, [{numbers}].all(c, a + b + c >= 0)))");
    assert!(load(rule("a", &cubed, "")).contains(&"E013"), "also where nothing is asked");

    // Many rules that ask a lot: each within its bound, all together not.
    let each = (RULE_COST_MAX as usize - 1) / 8;
    let rules = SET_COST_MAX as usize / each + 1;
    let asks = |rule_no: usize| -> String {
        let terms = (0..each).map(|n| (rule_no * each + n).to_string()).collect::<Vec<_>>().join(",");
        rule(&format!("r-{rule_no}"), &format!("[{terms}].exists(n,mcc==n)"), "")
    };
    assert!(load((0..rules).map(asks).collect()).contains(&"E013"));

    let many: String = (0..=RULES_MAX).map(|at| rule(&format!("r-{at}"), "has(mcc)", "mode: off")).collect();
    assert!(load(many).contains(&"E013"));
}
