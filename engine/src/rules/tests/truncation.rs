//! Files that were cut off: whatever byte they end at, nothing panics, and nothing loads as something else unsaid.

use super::*;
use std::fmt::Write as _;

const GOOD: &str = r#"# å rule file with every key
rules:
  - id: first
    description: Många små köp — with 'quotes' and "quotes"
    owner: risk-cards
    mode: enforce
    rollout: 50
    when: |
      // a comment, å ä ö
      kind == "card_payment" && (amount_minor < 5000 || mcc in [5732, 5733])
        && velocity([card, merchant], "10m").count > 5 && email_domain.matches(r"^mail\d+\.")
    then: decline
    reason: other
    kinds: [card_payment, refund]
    expires: 2030-06-30
    examples:
      - match: { amount_minor: 100, email: a@mail1.example, velocity: { "[card, merchant]": { 10m: { count: 9 } } } }
      - no_match: { amount_minor: 900000 }
  - id: second
    description: >-
      folded
      text
    owner: risk-cards
    mode: shadow
    when: "flag.verify ? auth.result != \"passed\" : ip in cidrs(\"l\")"
    review: hold
    reason: another
    examples:
      - match: { flag: verify, auth.result: failed }
  - {id: third, description: d, owner: o, mode: enforce, when: has(ip), score: 40, reason: other, examples: [match: {ip: 192.0.2.1}]}
"#;

/// What decides, of each rule.
fn decides(set: &RuleSet) -> Vec<String> {
    let facts = |rule: &super::super::Rule| {
        let mut out = String::new();
        let _ = write!(
            out,
            "{} {:?} {} {:?} {:?} {:?} {:?} {:?}",
            rule.id,
            rule.mode,
            rule.rollout,
            rule.action,
            rule.reason,
            rule.kinds,
            rule.expires,
            rule.condition.is
        );
        out
    };
    set.rules().iter().map(facts).collect()
}

#[test]
fn a_file_cut_off_anywhere_is_refused_or_warned_about_or_means_the_same() {
    let lists = [("l.txt", "192.0.2.0/24\n")];
    let whole = decides(&set_of(&sources(&[GOOD], &lists)));
    assert!(load(&sources(&[GOOD], &lists)).diagnostics.is_empty());
    let mut silent = 0;
    for cut in (0..GOOD.len()).filter(|cut| GOOD.is_char_boundary(*cut)) {
        let sources = sources(&[&GOOD[..cut]], &lists);
        let loaded = load(&sources);
        for diagnostic in &loaded.diagnostics {
            // Whatever is said can be shown.
            assert!(!diagnostic.render_plain(&sources).is_empty());
            assert!(!diagnostic.render_json(&sources).is_empty());
            assert!(!diagnostic.render_github(&sources).is_empty());
        }
        if let Some(set) = loaded.set
            && loaded.diagnostics.iter().all(|finding| finding.code.text() == "W005")
        {
            silent += 1;
            let decided = decides(&set);
            assert_eq!(decided, whole[..decided.len()], "cut at {cut}: {:?}", &GOOD[..cut]);
        }
    }
    assert!(silent > 0, "a file that ends behind a whole rule is a good file");
}

/// Any one byte gone, doubled, or turned into something that means a lot to a parser.
#[test]
fn a_file_with_one_wrong_byte_never_panics() {
    let lists = [("l.txt", "192.0.2.0/24\n")];
    let boundaries: Vec<usize> = GOOD.char_indices().map(|(at, _)| at).collect();
    for pair in boundaries.windows(2).step_by(3) {
        let (before, letter, after) = (&GOOD[..pair[0]], &GOOD[pair[0]..pair[1]], &GOOD[pair[1]..]);
        for instead in ["", "\"", "(", "]", "\t", "\n", ": ", "å", "&", "\\", "\u{0}", &letter.repeat(2)] {
            let text = [before, instead, after].concat();
            let sources = sources(&[&text], &lists);
            for diagnostic in load(&sources).diagnostics {
                assert!(!diagnostic.render_plain(&sources).is_empty());
            }
        }
    }
}

#[test]
fn reasons_and_lists_cut_off_anywhere_never_panic() {
    for cut in (0..REASONS.len()).filter(|cut| REASONS.is_char_boundary(*cut)) {
        let mut sources = sources(&["rules: []\n"], &[]);
        sources.reasons.text.truncate(cut);
        for diagnostic in load(&sources).diagnostics {
            assert!(!diagnostic.render_plain(&sources).is_empty());
        }
    }
    let list = "value,reason,expires\n\"exa\"\"mple.com\",\"why, oh\nwhy\",2030-01-01\n# å\nexample.net,,\n";
    let rules = format!("rules:\n{}", rule("a", "email_domain in list(\"l\")", ""));
    for cut in (0..list.len()).filter(|cut| list.is_char_boundary(*cut)) {
        let sources = sources(&[&rules], &[("l.csv", &list[..cut])]);
        for diagnostic in load(&sources).diagnostics {
            assert!(!diagnostic.render_plain(&sources).is_empty());
        }
    }
}
