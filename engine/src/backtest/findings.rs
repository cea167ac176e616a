//! What a rule set found in recorded requests, rule by rule and in all.

use super::Recorded;
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
    fn add(&mut self, recorded: Recorded) {
        self.requests += 1;
        self.amount_minor = self.amount_minor.saturating_add(recorded.amount_minor);
    }
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
    /// Each rule that was evaluated, in the set's order.
    pub rules: Vec<RuleFindings>,
    /// Place in `rules` of each of the set's rules that is evaluated.
    places: Vec<Option<usize>>,
}

const DAY_MS: i64 = 86_400_000;

impl Findings {
    /// Nothing yet.
    pub(super) fn of(set: &RuleSet) -> Self {
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
            rules,
            places,
        }
    }

    pub(super) fn add(
        &mut self,
        answer: &Result<Decided, NotScreened>,
        enforced: &[usize],
        shadow: &[usize],
        recorded: Recorded,
    ) {
        self.rows += 1;
        match recorded.fraud {
            Some(true) => self.fraud.add(recorded),
            Some(false) => self.good.add(recorded),
            None => {}
        }
        match answer {
            Ok(decided) => self.decided(decided, recorded),
            Err(not_screened) => *self.not_screened.entry(not_screened.why.name()).or_default() += 1,
        }
        let hits =
            || enforced.iter().chain(shadow).filter_map(|rule| self.places.get(*rule).copied().flatten());
        let places: Vec<usize> = hits().collect();
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
        *self.outcomes.entry(decided.outcome.name()).or_default() += 1;
        if decided.review != Review::NoReview {
            *self.reviews.entry(decided.review.name()).or_default() += 1;
        }
        let stopped = decided.outcome != Outcome::Approve || decided.review == Review::Hold;
        match recorded.fraud {
            Some(true) if stopped => self.stopped.add(recorded),
            Some(false) if stopped => self.blocked_wrongly.add(recorded),
            Some(_) | None => {}
        }
        if recorded.fraud == Some(false) && decided.outcome == Outcome::Decline {
            self.declined_wrongly.add(recorded);
        }
    }
}

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
    /// Compares two answers to the request with this number.
    pub fn add(
        &mut self,
        number: u64,
        old: &Result<Decided, NotScreened>,
        new: &Result<Decided, NotScreened>,
        recorded: Recorded,
    ) {
        let (was, is) = (said(old), said(new));
        if was == is {
            return;
        }
        let outcome =
            |answer: &Result<Decided, NotScreened>| answer.as_ref().ok().map(|decided| decided.outcome);
        let stops = |answer: &Result<Decided, NotScreened>| {
            answer
                .as_ref()
                .is_ok_and(|decided| decided.outcome != Outcome::Approve || decided.review == Review::Hold)
        };
        let declines = outcome(new) == Some(Outcome::Decline) && outcome(old) != Some(Outcome::Decline);
        match (recorded.fraud, stops(old), stops(new)) {
            (Some(true), false, true) => self.newly_stopped_fraud.add(recorded),
            (Some(true), true, false) => self.no_longer_stopped_fraud.add(recorded),
            (Some(false), _, _) if declines => self.newly_declined_good.add(recorded),
            (Some(_) | None, _, _) => {}
        }
        let key = (was, is);
        let examples = self.examples.entry(key.clone()).or_default();
        if examples.len() < EXAMPLES_MAX {
            examples.push(number);
        }
        *self.changed.entry(key).or_default() += 1;
    }

    /// Requests whose decision differs.
    pub fn total(&self) -> u64 {
        self.changed.values().sum()
    }
}

/// An answer in a word or two.
fn said(answer: &Result<Decided, NotScreened>) -> String {
    match answer {
        Ok(decided) if decided.review == Review::NoReview => decided.outcome.name().to_owned(),
        Ok(decided) => format!("{} + {}", decided.outcome.name(), decided.review.name()),
        Err(not_screened) => format!("not screened ({})", not_screened.why.name()),
    }
}
