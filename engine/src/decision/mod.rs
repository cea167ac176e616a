//! From hits to a decision: the strictest of every enforced hit, the summed score, and the floor.

mod floor;
#[cfg(test)]
mod laws;

pub use floor::{FLAG_DENY, FLAG_VERIFY, FLAG_VERIFY_UNAVAILABLE, Floor, VerifyUnavailable};

use crate::rules::{Action, Hits, Rule, RuleSet};
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::response::{Decided, Natural, ReasonCode, Reasons, Why};

/// The summed score reached a threshold.
pub const SCORE: ReasonCode = ReasonCode(10);

/// Outcome and review of several things together: each the strictest, and the scores added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fold {
    outcome: Outcome,
    review: Review,
    score: i32,
}

impl Fold {
    fn hit(mut self, rule: &Rule) -> Self {
        match rule.action {
            Action::Outcome(outcome) => self.outcome = self.outcome.max(outcome),
            Action::Review(review) => self.review = self.review.max(review),
            Action::Score(score) => self.score = self.score.saturating_add(score),
        }
        self
    }

    /// What the summed score adds.
    fn with_score(mut self, set: &RuleSet) -> Self {
        let thresholds = set.thresholds();
        if self.score >= thresholds.decline {
            self.outcome = self.outcome.max(Outcome::Decline);
        } else if self.score >= thresholds.challenge {
            self.outcome = self.outcome.max(Outcome::Challenge);
        }
        if self.score >= thresholds.review {
            self.review = self.review.max(Review::After);
        }
        self
    }
}

/// Folds hits, score and floor into a decision.
///
/// A rule that failed and could have raised the result makes it "not screened (rule_error)": an unknown that
/// matters is never an approval. One that could not have is counted and the decision stands. `ranked` is scratch.
pub fn fold(
    set: &RuleSet,
    hits: &Hits,
    floor: Floor,
    ranked: &mut Vec<(u16, ReasonCode)>,
) -> Result<Decided, Why> {
    fold_without(set, hits, floor, &[], ranked)
}

/// The same where some rules, by their places, are silent: the decision without them, and beside it the natural one.
///
/// The floor is the same for both. What could not be told without an exemption cannot be told with one: an exemption
/// silences an objection, it answers no question. And where the silence itself lets a rule that failed matter, the
/// natural decision stands.
pub fn fold_exempted(
    set: &RuleSet,
    hits: &Hits,
    floor: Floor,
    silent: &[usize],
    ranked: &mut Vec<(u16, ReasonCode)>,
) -> Result<(Decided, Option<Natural>), Why> {
    let natural = fold(set, hits, floor, ranked)?;
    if !hits.enforced.iter().any(|rule| silent.contains(rule)) {
        return Ok((natural, None));
    }
    match fold_without(set, hits, floor, silent, ranked) {
        Ok(exempted) => {
            let Decided { outcome, review, score, .. } = natural;
            Ok((exempted, Some(Natural { outcome, review, score })))
        }
        Err(_) => Ok((natural, None)),
    }
}

fn fold_without(
    set: &RuleSet,
    hits: &Hits,
    floor: Floor,
    silent: &[usize],
    ranked: &mut Vec<(u16, ReasonCode)>,
) -> Result<Decided, Why> {
    let rule = |index: &usize| &set.rules()[*index];
    let speaks = |index: &&usize| !silent.contains(index);
    let start = Fold { outcome: floor.outcome, review: floor.review, score: 0 };
    let hit = hits.enforced.iter().filter(speaks).map(rule).fold(start, Fold::hit);
    let decided = hit.with_score(set);
    let worst = hits.errors.iter().filter(speaks).map(rule).fold(hit, Fold::hit).with_score(set);
    if (worst.outcome, worst.review) != (decided.outcome, decided.review) {
        return Err(Why::RuleError);
    }

    ranked.clear();
    let mut add = |reason: ReasonCode| ranked.push((set.reasons().rank(reason), reason));
    floor.reason.into_iter().for_each(&mut add);
    hits.enforced.iter().filter(speaks).map(|index| rule(index).reason).for_each(&mut add);
    if (decided.outcome, decided.review) != (hit.outcome, hit.review) {
        add(SCORE);
    }
    ranked.sort_unstable_by_key(|(rank, reason)| (*rank, *reason));
    let mut reasons = Reasons::default();
    for (_, reason) in ranked.iter() {
        if !reasons.push(*reason) {
            break;
        }
    }
    Ok(Decided {
        outcome: decided.outcome,
        review: decided.review,
        hold_until: None,
        score: decided.score,
        reasons,
    })
}
