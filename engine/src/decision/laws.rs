//! Laws of the fold, for hits at random: another hit never lowers a decision, and shadow rules never change one.

use super::{Floor, fold, fold_exempted};
use crate::rules::{Hits, RuleSet, SourceFile, Sources, load};
use proptest::prelude::*;
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::response::Decided;

const REASONS: &str = include_str!("../../../config/reasons.toml");

/// Rules of every action.
fn set() -> RuleSet {
    let actions = [
        "then: challenge",
        "then: decline",
        "review: after",
        "review: hold",
        "score: 20",
        "score: 45",
        "score: 90",
    ];
    let rules: String = actions
        .iter()
        .enumerate()
        .map(|(at, action)| {
            format!("  - {{id: r-{at}, mode: enforce, when: mcc == {at}, {action}, reason: velocity_card}}\n")
        })
        .collect();
    let file = |name: &str, text: String| SourceFile { name: name.to_owned(), text };
    let sources = Sources {
        rules: vec![file("rules.yaml", format!("rules:\n{rules}"))],
        lists: Vec::new(),
        reasons: file("reasons.toml", REASONS.to_owned()),
    };
    load(&sources).set.expect("legal rules")
}

fn decided(set: &RuleSet, enforced: &[usize], shadow: &[usize], floor: Floor) -> Decided {
    let mut hits = Hits::default();
    hits.enforced.extend_from_slice(enforced);
    hits.shadow.extend_from_slice(shadow);
    hits.shadow_errors.extend_from_slice(shadow);
    fold(set, &hits, floor, &mut Vec::new()).expect("no rule failed")
}

fn floors() -> impl Strategy<Value = Floor> {
    let outcome = prop::sample::select(&[Outcome::Approve, Outcome::Challenge, Outcome::Decline][..]);
    let review = prop::sample::select(&[Review::NoReview, Review::After, Review::Hold][..]);
    (outcome, review).prop_map(|(outcome, review)| Floor { outcome, review, reason: None })
}

proptest! {
    #[test]
    fn another_hit_never_lowers_a_decision_and_shadow_rules_never_change_one(
        hits in prop::collection::btree_set(0usize..7, 0..7),
        more in 0usize..7,
        shadow in prop::collection::vec(0usize..7, 0..4),
        floor in floors(),
    ) {
        let set = set();
        let enforced: Vec<usize> = hits.iter().copied().collect();
        let before = decided(&set, &enforced, &[], floor);
        prop_assert!(before.outcome >= floor.outcome && before.review >= floor.review, "the floor holds");
        let mut with_more = hits.clone();
        with_more.insert(more);
        let after = decided(&set, &with_more.into_iter().collect::<Vec<_>>(), &[], floor);
        prop_assert!(after.outcome >= before.outcome, "{after:?} {before:?}");
        prop_assert!(after.review >= before.review);
        prop_assert!(after.score >= before.score);
        prop_assert_eq!(decided(&set, &enforced, &shadow, floor), before);
    }

    /// However much is exempt, of rules that hit and of rules that failed: the floor holds, nothing is stricter than the
    /// natural decision, what could not be told stays so, and the natural decision stands beside.
    #[test]
    fn an_exemption_never_lowers_below_the_floor_and_never_hides_what_is_natural(
        hits in prop::collection::btree_set(0usize..7, 0..7),
        errors in prop::collection::btree_set(0usize..7, 0..3),
        silent in prop::collection::vec(0usize..7, 0..7),
        floor in floors(),
    ) {
        let set = set();
        let mut found = Hits::default();
        found.enforced.extend(&hits);
        found.errors.extend(errors.difference(&hits));
        let natural = fold(&set, &found, floor, &mut Vec::new());
        match (natural, fold_exempted(&set, &found, floor, &silent, &mut Vec::new())) {
            (Err(why), exempted) => prop_assert_eq!(exempted.err(), Some(why)),
            (Ok(_), Err(why)) => prop_assert!(false, "an exemption made it {:?}", why),
            (Ok(natural), Ok((decided, beside))) => {
                prop_assert!(decided.outcome >= floor.outcome && decided.review >= floor.review);
                prop_assert!(decided.outcome <= natural.outcome && decided.review <= natural.review);
                match beside {
                    None => prop_assert_eq!(decided, natural),
                    Some(beside) => {
                        prop_assert!(hits.iter().any(|hit| silent.contains(hit)));
                        prop_assert_eq!(
                            (beside.outcome, beside.review, beside.score),
                            (natural.outcome, natural.review, natural.score)
                        );
                    }
                }
            }
        }
    }
}
