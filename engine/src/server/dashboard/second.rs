//! What one second saw, and what several saw together.

use crate::metrics::{Caller, CallerCounts, RuleHits, WorkerStats};
use crate::screen::Stage;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Cells of a heatmap's column: two for each doubling, from 1 µs to about a second. What is shorter or longer is in the
/// first or the last.
pub(super) const CELLS: usize = 41;

/// What is timed: the whole, and each stage.
const TIMED: usize = 1 + Stage::ALL.len();

/// How long something took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Times {
    /// p50, p90, p99, p99.9 and the longest, µs.
    quantiles: [f64; 5],
    /// How often it took so long, by cell.
    cells: Vec<u32>,
}

/// The cell of a time.
fn cell(ns: u64) -> usize {
    let place = ((ns as f64 / 1e3).log2() * 2.0).floor();
    // From 0 to the last: the cast keeps it.
    place.clamp(0.0, (CELLS - 1) as f64) as usize
}

/// Where a cell begins, µs.
pub(super) fn cell_begins_us(cell: usize) -> f64 {
    (cell as f64 / 2.0).exp2()
}

impl Times {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let mut cells = vec![0; CELLS];
        for step in histogram.iter_recorded() {
            let times = u32::try_from(step.count_since_last_iteration()).unwrap_or(u32::MAX);
            let cell: &mut u32 = &mut cells[cell(step.value_iterated_to())];
            *cell = cell.saturating_add(times);
        }
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self { quantiles: [at(0.5), at(0.9), at(0.99), at(0.999), histogram.max() as f64 / 1e3], cells }
    }

    /// Of each quantile the worst.
    fn join(&mut self, other: &Self) {
        for (ours, theirs) in self.quantiles.iter_mut().zip(other.quantiles) {
            *ours = ours.max(theirs);
        }
        self.cells.resize(self.cells.len().max(other.cells.len()), 0);
        for (ours, theirs) in self.cells.iter_mut().zip(&other.cells) {
            *ours = ours.saturating_add(*theirs);
        }
    }

    fn json(&self) -> Value {
        if self.cells.is_empty() {
            return Value::Null;
        }
        let [p50, p90, p99, p999, max] = self.quantiles;
        json!({ "p50": p50, "p90": p90, "p99": p99, "p999": p999, "max": max, "cells": self.cells })
    }
}

/// One second, or some together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Second {
    /// When it ended, ms since 1970.
    pub at_ms: i64,
    /// How long it was, ms.
    pub took_ms: u64,
    /// Decisions by outcome.
    pub answers: BTreeMap<&'static str, u64>,
    /// Requests that were not screened, by reason.
    pub not_screened: BTreeMap<&'static str, u64>,
    /// How long the whole took, and each stage.
    pub times: [Times; TIMED],
    /// Hits by rule.
    pub rules: BTreeMap<String, RuleHits>,
    /// What was asked, by member and role.
    pub callers: BTreeMap<String, CallerCounts>,
    /// How old the state was at the end, ms.
    pub staleness_ms: u32,
    /// Durable commits of the journal.
    pub commits: Times,
    /// Records that were committed.
    pub records: u64,
}

/// What was counted so far, to be taken from what will be.
#[derive(Default)]
pub(super) struct Counted {
    total: WorkerStats,
    pub rules: BTreeMap<String, RuleHits>,
    commits: Option<Histogram<u64>>,
    records: u64,
}

impl Counted {
    pub(super) fn new(
        total: WorkerStats,
        rules: BTreeMap<String, RuleHits>,
        (commits, records): (Option<Histogram<u64>>, u64),
    ) -> Self {
        Self { total, rules, commits, records }
    }

    /// What came since.
    pub(super) fn since(&self, before: &Self) -> Second {
        let more = |now: u64, then: u64| now.saturating_sub(then);
        let answers = self.total.outcomes().zip(before.total.outcomes());
        let answers = answers.map(|((one, now), (_, then))| (one.name(), more(now, then))).collect();
        let refused = self.total.not_screened().zip(before.total.not_screened());
        let refused = refused.map(|((why, now), (_, then))| (why.name(), more(now, then)));
        let mut rules = self.rules.clone();
        for (id, then) in &before.rules {
            if let Some(now) = rules.get_mut(id) {
                now.enforced = more(now.enforced, then.enforced);
                now.shadow = more(now.shadow, then.shadow);
                now.errors = more(now.errors, then.errors);
            }
        }
        rules.retain(|_, hits| *hits != RuleHits::default());
        let stage = |at: usize| Stage::ALL.get(at.wrapping_sub(1)).copied();
        let times = |total: &WorkerStats, at| match stage(at) {
            None => total.decisions().clone(),
            Some(stage) => total.stage_times(stage).clone(),
        };
        let known = before.total.callers();
        let callers = self.total.callers().iter().map(|(caller, counts)| {
            let then = known.iter().find(|(one, _)| one == caller).map(|(_, then)| *then).unwrap_or_default();
            (caller_name(caller), counts.since(&then))
        });
        let commits = self.commits.clone().map(|now| without(now, before.commits.as_ref()));
        Second {
            answers,
            not_screened: refused.filter(|(_, n)| *n > 0).collect(),
            times: std::array::from_fn(|at| {
                Times::of(&without(times(&self.total, at), Some(&times(&before.total, at))))
            }),
            rules,
            callers: callers.filter(|(_, counts)| *counts != CallerCounts::default()).collect(),
            commits: commits.as_ref().map(Times::of).unwrap_or_default(),
            records: more(self.records, before.records),
            ..Second::default()
        }
    }
}

/// A caller as the page names it.
fn caller_name(caller: &Caller) -> String {
    caller
        .map_or_else(|| "others".to_owned(), |(member, role)| format!("{} {}", member.as_str(), role.name()))
}

fn without(mut now: Histogram<u64>, then: Option<&Histogram<u64>>) -> Histogram<u64> {
    // What was counted then is part of what is counted now: nothing is refused.
    let _ = then.map(|then| now.subtract(then));
    now
}

impl Second {
    /// Adds what a later second saw: counts add up, and of times and ages the worst stays.
    pub(super) fn join(&mut self, later: &Self) {
        (self.at_ms, self.took_ms) = (later.at_ms, self.took_ms + later.took_ms);
        for (ours, theirs) in
            [(&mut self.answers, &later.answers), (&mut self.not_screened, &later.not_screened)]
        {
            theirs.iter().for_each(|(name, n)| *ours.entry(name).or_default() += n);
        }
        self.times.iter_mut().zip(&later.times).for_each(|(ours, theirs)| ours.join(theirs));
        for (id, hits) in &later.rules {
            let ours = self.rules.entry(id.clone()).or_default();
            ours.enforced += hits.enforced;
            ours.shadow += hits.shadow;
            ours.errors += hits.errors;
        }
        for (name, counts) in &later.callers {
            self.callers.entry(name.clone()).or_default().add(counts);
        }
        self.staleness_ms = self.staleness_ms.max(later.staleness_ms);
        self.commits.join(&later.commits);
        self.records += later.records;
    }

    pub(super) fn json(&self) -> Value {
        let names = std::iter::once("whole").chain(Stage::ALL.into_iter().map(Stage::name));
        let times: Map<String, Value> =
            names.zip(&self.times).map(|(name, times)| (name.to_owned(), times.json())).collect();
        let rules = self
            .rules
            .iter()
            .map(|(id, hits)| (id.clone(), json!([hits.enforced, hits.shadow, hits.errors])));
        let callers = self.callers.iter().map(|(name, counts)| {
            (name.clone(), json!([counts.decided, counts.not_screened, counts.operations]))
        });
        json!({
            "at_ms": self.at_ms, "took_ms": self.took_ms,
            "answers": self.answers, "not_screened": self.not_screened, "times": times,
            "rules": rules.collect::<Map<_, _>>(), "callers": callers.collect::<Map<_, _>>(), "staleness_ms": self.staleness_ms,
            "commits": self.commits.json(), "records": self.records,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::nanoseconds;

    #[test]
    fn a_time_lies_in_its_cell() {
        for (ns, place) in
            [(0, 0), (1_000, 0), (1_413, 0), (1_415, 1), (2_000, 2), (1_000_000, 19), (u64::MAX, CELLS - 1)]
        {
            assert_eq!(cell(ns), place, "{ns} ns");
        }
        assert!((0..CELLS).all(|at| cell((cell_begins_us(at) * 1e3).ceil() as u64) == at));
    }

    #[test]
    fn a_second_is_what_came_since_and_an_hour_is_the_worst_of_it() {
        let (mut first, mut both) = (nanoseconds(), nanoseconds());
        (0..1_000).for_each(|at| first.saturating_record(100_000 + at));
        both.add(&first).expect("the same bounds");
        (0..10).for_each(|_| both.saturating_record(5_000_000));
        let second = Times::of(&without(both, Some(&first)));
        let [p50, .., max] = second.quantiles;
        assert!((4_900.0..5_100.0).contains(&p50) && (4_900.0..5_100.0).contains(&max), "{second:?}");
        assert_eq!(second.cells.iter().sum::<u32>(), 10);
        let mut hour = Times::of(&first);
        let [quiet, ..] = hour.quantiles;
        hour.join(&second);
        assert_eq!((hour.quantiles, hour.cells.iter().sum()), (second.quantiles, 1_010_u32));
        assert!(quiet < p50);
        assert_eq!(Times::of(&nanoseconds()).json(), Value::Null, "no requests have no latency");
    }
}
