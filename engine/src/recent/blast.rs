//! Blast radius: what a candidate rule set would have changed among the requests of the last hour.

use super::Recorded;
use super::again::{Again, Answer, Windows, Words as _, all_kept};
use crate::request::About;
use crate::rules::{Mode, RuleSet};
use crate::state::{ActiveRules, State};
use crate::velocity::{Observed, Velocity};
use hashbrown::HashSet;
use sparr_protocol::codes::Outcome;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much of a new rule's hits another rule hits too.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleShare {
    /// The rule that is new, or another one than before.
    pub rule: String,
    /// Requests that it hits.
    pub hits: u64,
    /// The rule of the active set that shares most of them, and how many.
    pub other: Option<(String, u64)>,
}

/// What would have changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blast {
    /// Requests that were looked at.
    pub requests: u64,
    /// When the oldest of them was answered.
    pub since: Option<Timestamp>,
    /// Requests by what they would be answered now and under the candidate, where that differs.
    pub changed: BTreeMap<(String, String), u64>,
    /// Declines now.
    pub declines_before: u64,
    /// Declines under the candidate.
    pub declines_after: u64,
    /// Different people whose answer differs.
    pub people: u64,
    /// Of those: with a flag in force.
    pub flagged: u64,
    /// Rules that the active set does not have in this form.
    pub rules: Vec<RuleShare>,
}

impl Blast {
    /// Requests that would be answered otherwise.
    pub fn changes(&self) -> u64 {
        self.changed.values().sum()
    }

    /// Share of all requests that would be answered otherwise.
    pub fn share(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.changes() as f64 / self.requests as f64 }
    }

    /// In a sentence.
    pub fn sentence(&self) -> String {
        let percent = |count: u64| 100.0 * count as f64 / self.requests.max(1) as f64;
        let mut text = format!(
            "declines {:.2} % → {:.2} %, {} of {} requests differ, {} people, {} flagged",
            percent(self.declines_before),
            percent(self.declines_after),
            self.changes(),
            self.requests,
            self.people,
            self.flagged
        );
        for share in &self.rules {
            if let Some((other, both)) = &share.other {
                let percent = 100.0 * *both as f64 / share.hits.max(1) as f64;
                text.push_str(&format!("; overlap of {} {percent:.0} % with {other}", share.rule));
            }
        }
        text
    }
}

/// Decides recent requests under the active set and a candidate, and compares. Windows that only the candidate reads begin
/// with the oldest of the requests: they hold too little at first, as they would after a reload.
pub fn blast(
    recent: &[Arc<Recorded>],
    state: &State,
    active: Option<&ActiveRules>,
    candidate: &ActiveRules,
    now: Timestamp,
) -> Blast {
    let table = |set: &RuleSet| (!all_kept(recent, set)).then(|| Velocity::new(recent.len() * 8));
    let tables = [active.and_then(|rules| table(&rules.set)), table(&candidate.set)];
    let [windows_before, windows_after] = tables.each_ref().map(|table| match table {
        None => Windows::Kept,
        Some(table) => Windows::Observed(table),
    });
    let mut before = active.map(|rules| Again::new(state, rules, windows_before));
    let mut after = Again::new(state, candidate, windows_after);
    let mut blast = Blast { since: recent.first().map(|it| it.answered_at()), ..Blast::default() };
    let mut people: HashSet<Pseudonym> = HashSet::new();
    let mut flagged: HashSet<Pseudonym> = HashSet::new();
    let fresh = fresh_rules(active.map(|rules| &rules.set), &candidate.set);
    let mut shares: Vec<(u64, BTreeMap<usize, u64>)> = vec![(0, BTreeMap::new()); fresh.len()];
    let declines = |answer: &Answer| u64::from(matches!(answer, Ok((Outcome::Decline, _))));
    for recorded in recent {
        let was = before.as_mut().map_or_else(|| recorded.answer(), |before| before.decide(recorded, now));
        let is = after.decide(recorded, now);
        blast.requests += 1;
        blast.declines_before += declines(&was);
        blast.declines_after += declines(&is);
        for (place, share) in fresh.iter().zip(&mut shares) {
            if after.enforced().contains(place) {
                share.0 += 1;
                let others = before.iter().flat_map(|before| before.enforced());
                others.for_each(|other| *share.1.entry(*other).or_default() += 1);
            }
        }
        if was == is {
            continue;
        }
        *blast.changed.entry((was.words(), is.words())).or_default() += 1;
        if let Some(person) = recorded.known().get(About::Subject) {
            people.insert(person.current.1);
            let mut is_flagged = false;
            person.iter().for_each(|(_, number)| {
                state.stores.flags.visit_person(number, |_, flag| is_flagged |= flag.active(now).is_some());
            });
            if is_flagged {
                flagged.insert(person.current.1);
            }
        }
    }
    (blast.people, blast.flagged) = (people.len() as u64, flagged.len() as u64);
    let names = active.map(|rules| rules.set.rules()).unwrap_or_default();
    blast.rules = fresh
        .iter()
        .zip(shares)
        .map(|(place, (hits, others))| {
            // Of two that share as much, the one that stands first.
            let most = others.into_iter().max_by_key(|(place, both)| (*both, std::cmp::Reverse(*place)));
            let other = most.map(|(place, both)| (names[place].id.clone(), both));
            RuleShare { rule: candidate.set.rules()[*place].id.clone(), hits, other }
        })
        .collect();
    blast
}

/// Places of the candidate's enforced rules that the active set does not have in this form; few, so that a sentence holds
/// them.
fn fresh_rules(active: Option<&RuleSet>, candidate: &RuleSet) -> Vec<usize> {
    let known = |id: &str| active.and_then(|set| set.rule(id));
    let rules = candidate.rules().iter().enumerate();
    let fresh = rules.filter(|(_, rule)| {
        rule.mode == Mode::Enforce
            && known(&rule.id).is_none_or(|before| {
                (before.mode, before.rollout, &before.when, before.action)
                    != (rule.mode, rule.rollout, &rule.when, rule.action)
            })
    });
    fresh.map(|(place, _)| place).take(FRESH_MAX).collect()
}

/// Rules of which overlaps are counted.
const FRESH_MAX: usize = 32;

/// A rule set as if it decided, for looking at recent requests with it.
pub fn as_if_active(set: RuleSet) -> ActiveRules {
    let observed_since = vec![Observed::since(Timestamp::MIN); set.plan().keys().len()];
    ActiveRules { set, observed_since }
}
