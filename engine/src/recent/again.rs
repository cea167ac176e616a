//! Deciding a recent request again: with the flags, indicators and rules of now, and the readings of then.

use super::{Reads, Recorded};
use crate::decision::Floor;
use crate::facts::windows::{self, Keys};
use crate::facts::{Facts, Gathering, Wanted};
use crate::rules::RuleSet;
use crate::screen::{Folding, fold};
use crate::state::{ActiveRules, State};
use crate::velocity::spec::Plan;
use crate::velocity::{Observed, Reading, Velocity};
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::ids::RuleSetDigest;
use sparr_protocol::response::{AuthorisationResponse, Why};
use sparr_protocol::time::Timestamp;
use std::sync::Arc;

/// An answer without what does not matter for whether a payment goes through.
pub type Answer = Result<(Outcome, Review), Why>;

/// Names of [`Answer`] for people.
pub trait Words {
    /// In a word or two.
    fn words(&self) -> String;
}

impl Words for Answer {
    fn words(&self) -> String {
        match self {
            Ok((outcome, Review::NoReview)) => outcome.name().to_owned(),
            Ok((outcome, review)) => format!("{} + {}", outcome.name(), review.name()),
            Err(why) => format!("not screened ({})", why.name()),
        }
    }
}

/// Makes an [`Answer`] of a whole one.
pub trait AnswerOf {
    /// What matters of it.
    fn of(response: &AuthorisationResponse) -> Self;
}

impl AnswerOf for Answer {
    fn of(response: &AuthorisationResponse) -> Self {
        match &response.answer {
            Ok(decided) => Ok((decided.outcome, decided.review)),
            Err(not_screened) => Err(not_screened.why),
        }
    }
}

/// Where readings come from that a recent request was not asked for.
#[derive(Clone, Copy)]
pub enum Windows<'a> {
    /// Nowhere: the set reads no others, see `all_kept`.
    Kept,
    /// What the engine knows of the request's keys now, as of the request's time.
    Live(&'a Velocity),
    /// A table of their own, in which the recent requests are observed one after the other.
    Observed(&'a Velocity),
}

/// Decides recent requests again.
pub struct Again<'a> {
    state: &'a State,
    rules: &'a ActiveRules,
    windows: Windows<'a>,
    observed_since: Vec<Observed>,
    readings: Vec<Reading>,
    folding: Folding,
    shared: Shared,
}

/// Readings that a set has in common with another one: their places in both. Worked out once for each other set.
type Shared = Option<(RuleSetDigest, Vec<(usize, usize)>)>;

impl<'a> Again<'a> {
    /// With the rules of a set.
    pub fn new(state: &'a State, rules: &'a ActiveRules, windows: Windows<'a>) -> Self {
        // The readings of then were whole, or their answer has said so.
        let observed_since = vec![Observed::since(Timestamp::MIN); rules.set.plan().keys().len()];
        Self {
            state,
            rules,
            windows,
            observed_since,
            readings: Vec::new(),
            folding: Folding::default(),
            shared: None,
        }
    }

    /// What would be answered with the flags and indicators of `now`. Freshness of an authentication and the end of a rule
    /// are judged as of then.
    pub fn decide(&mut self, recorded: &Recorded, now: Timestamp) -> Answer {
        let request = recorded.request();
        let wanted = Wanted {
            plan: self.rules.set.plan(),
            observed_since: &self.observed_since,
            rates: self.rules.set.rates(),
            zone: self.rules.set.zone(),
            began: Timestamp::MIN,
        };
        let mut readings = std::mem::take(&mut self.readings);
        readings.clear();
        readings.resize(wanted.plan.readings(), Reading::Absent);
        let recorded_by_this_set =
            recorded.reads.as_ref().is_some_and(|reads| reads.digest == self.rules.set.digest());
        if recorded_by_this_set && recorded.readings.len() == readings.len() {
            readings.copy_from_slice(&recorded.readings);
        } else {
            let source = match self.windows {
                Windows::Kept => None,
                Windows::Live(velocity) => Some((velocity, Gathering::Peek)),
                Windows::Observed(velocity) => Some((velocity, Gathering::Observe)),
            };
            let (keyring, keys) = (&self.state.keyring, &mut Keys::default());
            if let Some(source) = source {
                windows::read(&request, &wanted, keyring, source, keys, &mut readings, |_, _, _| {});
            }
            take_over(recorded, wanted.plan, &mut self.shared, &mut readings);
        }
        let (stores, keyring) = (&self.state.stores, &self.state.keyring);
        let facts =
            Facts::gather(&request, stores, &wanted, keyring, now, Gathering::Recorded, &mut readings);
        let then = recorded.at;
        self.rules.set.evaluate(&facts, then, &mut self.folding.hits);
        let floor = Floor::of(&facts, then, self.state.policy.verify_unavailable, recorded.of_this_payment);
        let folded = fold(&facts, self.rules, floor, now, self.state, &mut self.folding);
        self.readings = readings;
        folded.decided.map(|decided| (decided.outcome, decided.review))
    }

    /// Places of the rules that hit the last one, enforced.
    pub fn enforced(&self) -> &[usize] {
        &self.folding.hits.enforced
    }
}

/// What another set has read of the same windows stands.
fn take_over(recorded: &Recorded, plan: &Plan, shared: &mut Shared, readings: &mut [Reading]) {
    let Some(reads) = recorded.reads.as_ref() else { return };
    let (_, places) = match shared {
        Some(known) if known.0 == reads.digest => known,
        _ => shared.insert((reads.digest, in_common(plan, reads))),
    };
    for (here, there) in places {
        if let Some(reading) = recorded.readings.get(*there) {
            readings[*here] = *reading;
        }
    }
}

/// Places of the readings that a plan has in common with another set.
fn in_common(plan: &Plan, reads: &Reads) -> Vec<(usize, usize)> {
    let all = plan.keys().iter().flat_map(|plan| &plan.readings);
    all.filter_map(|(index, spec)| {
        let there = reads.specs.iter().position(|known| known == spec)?;
        Some((index.0, there))
    })
    .collect()
}

/// Whether everything that a set reads of windows was read when these requests were answered, and is kept with them. To
/// observe the windows of a hundred thousand requests anew takes longer than to decide them.
pub(super) fn all_kept(recent: &[Arc<Recorded>], rules: &RuleSet) -> bool {
    let mut last: Option<(RuleSetDigest, bool)> = None;
    recent.iter().all(|recorded| {
        let Some(reads) = recorded.reads.as_ref() else { return false };
        let (_, all) = match last {
            Some(known) if known.0 == reads.digest => known,
            _ => {
                *last.insert((reads.digest, in_common(rules.plan(), reads).len() == rules.plan().readings()))
            }
        };
        all && recorded.readings.len() == reads.specs.len()
    })
}
