//! What a rule set found in recorded requests, rule by rule and in all.

use super::{Recorded, Screened};
use crate::rules::{Mode, RuleSet};
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::response::{Decided, NotScreened};
use sparr_protocol::time::Timestamp;
use std::collections::BTreeMap;

/// Requests and their amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// Requests.
    pub requests: u64,
    /// Their amounts, minor units. A sum over several currencies adds unlike things: a file has one.
    pub amount_minor: i64,
}

impl Money {
    pub(super) fn add(&mut self, recorded: Recorded) {
        self.requests += 1;
        self.amount_minor = self.amount_minor.saturating_add(recorded.amount_minor);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.amount_minor = self.amount_minor.saturating_add(other.amount_minor);
    }
}

/// Lower bounds of the amounts that are counted together, minor units: 1, 2 and 5 of each power of ten, from one unit of a
/// currency with two decimals to ten million.
pub const AMOUNT_BOUNDS: [i64; 23] = [
    0,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];

/// Requests by their amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Fraud that was stopped.
    pub fraud_stopped: u64,
    /// Fraud that was not.
    pub fraud_missed: u64,
    /// Good customers who were stopped.
    pub good_stopped: u64,
    /// Everything else.
    pub other: u64,
}

/// What one rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFindings {
    /// The rule.
    pub id: String,
    /// How it runs. A shadow rule's hits are counted like an enforced one's.
    pub mode: Mode,
    /// Requests that it hit.
    pub hits: u64,
    /// Of those: fraud.
    pub caught: Money,
    /// Of those: good customers.
    pub wrongly: Money,
    /// Of those: hit by no other rule.
    pub alone: u64,
    /// When it hit first.
    pub first: Option<Timestamp>,
    /// When it hit last.
    pub last: Option<Timestamp>,
    /// For each rule, by place, the requests that both hit.
    pub with: Vec<u64>,
    /// Hits by day since 1970.
    pub by_day: BTreeMap<i64, u64>,
}

impl RuleFindings {
    /// Share of fraud among its labelled hits.
    pub fn precision(&self) -> Option<f64> {
        share(self.caught.requests, self.caught.requests + self.wrongly.requests)
    }

    /// Share of all fraud that it hit.
    pub fn recall(&self, fraud: Money) -> Option<f64> {
        share(self.caught.requests, fraud.requests)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    if whole == 0 { None } else { Some(part as f64 / whole as f64) }
}

/// What a rule set found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Requests in all.
    pub rows: u64,
    /// Of those: known to be fraud.
    pub fraud: Money,
    /// Of those: known to be good.
    pub good: Money,
    /// Fraud that was challenged, declined or held.
    pub stopped: Money,
    /// Good customers that were challenged, declined or held.
    pub blocked_wrongly: Money,
    /// Good customers that were declined.
    pub declined_wrongly: Money,
    /// Decisions by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Decisions by review, without those that ask for none.
    pub reviews: BTreeMap<&'static str, u64>,
    /// Requests without a decision, by reason.
    pub not_screened: BTreeMap<&'static str, u64>,
    /// Requests by their amount, by place in [`AMOUNT_BOUNDS`].
    pub amounts: [Amounts; AMOUNT_BOUNDS.len()],
    /// Each rule that was evaluated, in the set's order.
    pub rules: Vec<RuleFindings>,
    /// Place in `rules` of each of the set's rules that is evaluated.
    places: Vec<Option<usize>>,
}

const DAY_MS: i64 = 86_400_000;

impl Findings {
    /// Nothing yet.
    pub fn of(set: &RuleSet) -> Self {
        let mut rules = Vec::new();
        let mut places = Vec::new();
        for rule in set.rules() {
            let runs = rule.mode != Mode::Off;
            places.push(runs.then_some(rules.len()));
            if runs {
                rules.push(RuleFindings {
                    id: rule.id.clone(),
                    mode: rule.mode,
                    hits: 0,
                    caught: Money::default(),
                    wrongly: Money::default(),
                    alone: 0,
                    first: None,
                    last: None,
                    with: Vec::new(),
                    by_day: BTreeMap::new(),
                });
            }
        }
        let count = rules.len();
        rules.iter_mut().for_each(|rule| rule.with = vec![0; count]);
        Self {
            rows: 0,
            fraud: Money::default(),
            good: Money::default(),
            stopped: Money::default(),
            blocked_wrongly: Money::default(),
            declined_wrongly: Money::default(),
            outcomes: Outcome::ALL.iter().map(|outcome| (outcome.name(), 0)).collect(),
            reviews: BTreeMap::new(),
            not_screened: BTreeMap::new(),
            amounts: [Amounts::default(); AMOUNT_BOUNDS.len()],
            rules,
            places,
        }
    }

    /// Counts what came of one request.
    pub fn add(&mut self, recorded: Recorded, screened: Screened<'_>) {
        self.rows += 1;
        match recorded.fraud {
            Some(true) => self.fraud.add(recorded),
            Some(false) => self.good.add(recorded),
            None => {}
        }
        match &screened.response.answer {
            Ok(decided) => self.decided(decided, recorded),
            Err(not_screened) => *self.not_screened.entry(not_screened.why.name()).or_default() += 1,
        }
        let stopped = is_stopped(&screened.response.answer);
        let amounts = &mut self.amounts[bucket(recorded.amount_minor)];
        match (recorded.fraud, stopped) {
            (Some(true), true) => amounts.fraud_stopped += 1,
            (Some(true), false) => amounts.fraud_missed += 1,
            (Some(false), true) => amounts.good_stopped += 1,
            (Some(false), false) | (None, _) => amounts.other += 1,
        }
        let hits = screened.hits.iter();
        let places: Vec<usize> =
            hits.filter_map(|rule| self.places.get(usize::from(*rule)).copied().flatten()).collect();
        for place in &places {
            let rule = &mut self.rules[*place];
            rule.hits += 1;
            rule.alone += u64::from(places.len() == 1);
            rule.first = Some(rule.first.map_or(recorded.time, |first| first.min(recorded.time)));
            rule.last = Some(rule.last.map_or(recorded.time, |last| last.max(recorded.time)));
            places.iter().for_each(|other| rule.with[*other] += 1);
            *rule.by_day.entry(recorded.time.ms().div_euclid(DAY_MS)).or_default() += 1;
            match recorded.fraud {
                Some(true) => rule.caught.add(recorded),
                Some(false) => rule.wrongly.add(recorded),
                None => {}
            }
        }
    }

    fn decided(&mut self, decided: &Decided, recorded: Recorded) {
        count(&mut self.outcomes, decided.outcome.name(), 1);
        if decided.review != Review::NoReview {
            count(&mut self.reviews, decided.review.name(), 1);
        }
        let stopped = stops(decided);
        match recorded.fraud {
            Some(true) if stopped => self.stopped.add(recorded),
            Some(false) if stopped => self.blocked_wrongly.add(recorded),
            Some(_) | None => {}
        }
        if recorded.fraud == Some(false) && decided.outcome == Outcome::Decline {
            self.declined_wrongly.add(recorded);
        }
    }

    /// Adds what the same rules found in other requests of the file. The order of merging changes nothing.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.fraud.merge(other.fraud);
        self.good.merge(other.good);
        self.stopped.merge(other.stopped);
        self.blocked_wrongly.merge(other.blocked_wrongly);
        self.declined_wrongly.merge(other.declined_wrongly);
        for (ours, theirs) in [
            (&mut self.outcomes, &other.outcomes),
            (&mut self.reviews, &other.reviews),
            (&mut self.not_screened, &other.not_screened),
        ] {
            theirs.iter().for_each(|(name, n)| count(ours, name, *n));
        }
        for (ours, theirs) in self.amounts.iter_mut().zip(&other.amounts) {
            ours.fraud_stopped += theirs.fraud_stopped;
            ours.fraud_missed += theirs.fraud_missed;
            ours.good_stopped += theirs.good_stopped;
            ours.other += theirs.other;
        }
        self.rules.iter_mut().zip(&other.rules).for_each(|(ours, theirs)| ours.merge(theirs));
    }
}

impl RuleFindings {
    fn merge(&mut self, other: &Self) {
        self.hits += other.hits;
        self.caught.merge(other.caught);
        self.wrongly.merge(other.wrongly);
        self.alone += other.alone;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
        self.with.iter_mut().zip(&other.with).for_each(|(ours, theirs)| *ours += theirs);
        other.by_day.iter().for_each(|(day, hits)| *self.by_day.entry(*day).or_default() += hits);
    }
}

fn count(counts: &mut BTreeMap<&'static str, u64>, name: &'static str, n: u64) {
    *counts.entry(name).or_default() += n;
}

fn bucket(amount_minor: i64) -> usize {
    AMOUNT_BOUNDS.partition_point(|bound| *bound <= amount_minor).saturating_sub(1)
}

/// Whether a decision keeps a payment from simply going on.
fn stops(decided: &Decided) -> bool {
    decided.outcome != Outcome::Approve || decided.review == Review::Hold
}

/// The same of an answer: what was not screened stops nothing by itself.
pub(super) fn is_stopped(answer: &Result<Decided, NotScreened>) -> bool {
    answer.as_ref().is_ok_and(stops)
}
