//! How two rule sets differ over the same requests.

use super::Recorded;
use super::findings::{Money, is_stopped};
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::response::{Decided, NotScreened, Why};
use std::collections::BTreeMap;

/// How two rule sets differ over the same requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Requests by what the old set and the new set say, where they differ.
    pub changed: BTreeMap<(String, String), u64>,
    /// Numbers of the first requests of each kind of change, from 1.
    pub examples: BTreeMap<(String, String), Vec<u64>>,
    /// Good customers whom only the new set declines.
    pub newly_declined_good: Money,
    /// Fraud that only the new set stops.
    pub newly_stopped_fraud: Money,
    /// Fraud that only the old set stops.
    pub no_longer_stopped_fraud: Money,
}

/// Examples that are kept of each kind of change.
const EXAMPLES_MAX: usize = 5;

impl Changes {
    /// Compares two answers to one request.
    pub fn add(
        &mut self,
        old: &Result<Decided, NotScreened>,
        new: &Result<Decided, NotScreened>,
        recorded: Recorded,
    ) {
        if in_short(old) == in_short(new) {
            return;
        }
        let (was, is) = (said(old), said(new));
        let outcome =
            |answer: &Result<Decided, NotScreened>| answer.as_ref().ok().map(|decided| decided.outcome);
        let declines = outcome(new) == Some(Outcome::Decline) && outcome(old) != Some(Outcome::Decline);
        match (recorded.fraud, is_stopped(old), is_stopped(new)) {
            (Some(true), false, true) => self.newly_stopped_fraud.add(recorded),
            (Some(true), true, false) => self.no_longer_stopped_fraud.add(recorded),
            (Some(false), _, _) if declines => self.newly_declined_good.add(recorded),
            (Some(_) | None, _, _) => {}
        }
        let key = (was, is);
        let examples = self.examples.entry(key.clone()).or_default();
        if examples.len() < EXAMPLES_MAX {
            examples.push(recorded.number);
        }
        *self.changed.entry(key).or_default() += 1;
    }

    /// Adds what differs in other requests of the file. The order of merging changes nothing: the first examples of all
    /// are kept.
    pub fn merge(&mut self, other: &Self) {
        for (key, n) in &other.changed {
            *self.changed.entry(key.clone()).or_default() += n;
        }
        for (key, numbers) in &other.examples {
            let examples = self.examples.entry(key.clone()).or_default();
            examples.extend(numbers);
            examples.sort_unstable();
            examples.truncate(EXAMPLES_MAX);
        }
        self.newly_declined_good.merge(other.newly_declined_good);
        self.newly_stopped_fraud.merge(other.newly_stopped_fraud);
        self.no_longer_stopped_fraud.merge(other.no_longer_stopped_fraud);
    }

    /// Requests whose decision differs.
    pub fn total(&self) -> u64 {
        self.changed.values().sum()
    }
}

/// An answer without its score and reasons.
fn in_short(answer: &Result<Decided, NotScreened>) -> Result<(Outcome, Review), Why> {
    answer.as_ref().map(|decided| (decided.outcome, decided.review)).map_err(|not_screened| not_screened.why)
}

/// An answer in a word or two.
fn said(answer: &Result<Decided, NotScreened>) -> String {
    match answer {
        Ok(decided) if decided.review == Review::NoReview => decided.outcome.name().to_owned(),
        Ok(decided) => format!("{} + {}", decided.outcome.name(), decided.review.name()),
        Err(not_screened) => format!("not screened ({})", not_screened.why.name()),
    }
}
