//! What the engine notices of itself and tells: a rule that stopped firing, a rule whose hit rate left its band, a state that is
//! old, gaps in the decision log, a canary that was not stopped or did not come.
//!
//! All of it comes from counters, once a second on the admin port's thread; screening knows nothing of it. An alert stands on
//! the page and in `/api/now`, is a metric (`sparr_alert`), and its beginning and end are lines of the log.

mod board;
mod rates;

pub(crate) use board::Board;

use super::clock;
use super::decision_log::Gate;
use crate::planted::{Canary, CanaryFate};
use crate::rules::Mode;
use crate::state::State;
use rates::{Finding, Rates};
use sparr_protocol::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Slices that a window is made of: it moves on by one of them.
const SLICES: u64 = 5;

/// What is told of. The names are for scripts and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AlertName {
    /// A rule that used to hit did not.
    RuleSilent,
    /// A rule hits much more or less often than it used to.
    RuleOffBand,
    /// The state of the exchange is old.
    Stale,
    /// Answers are missing in the decision log, or it cannot be written.
    DecisionLogGap,
    /// The last payment of the canary was not stopped, though the person has a flag.
    CanaryPassed,
    /// No payment of the canary has come for long: the way from the gateway is broken, or nobody sends one.
    CanaryMissing,
}

impl AlertName {
    /// Every name.
    pub(crate) const ALL: [Self; 6] = [
        Self::RuleSilent,
        Self::RuleOffBand,
        Self::Stale,
        Self::DecisionLogGap,
        Self::CanaryPassed,
        Self::CanaryMissing,
    ];

    /// The name, as metrics and scripts know it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RuleSilent => "rule_silent",
            Self::RuleOffBand => "rule_off_band",
            Self::Stale => "stale",
            Self::DecisionLogGap => "decision_log_gap",
            Self::CanaryPassed => "canary_passed",
            Self::CanaryMissing => "canary_missing",
        }
    }

    /// Whether there may be several at a time, each about something else.
    pub(crate) const fn is_about_something(self) -> bool {
        match self {
            Self::RuleSilent | Self::RuleOffBand => true,
            Self::Stale | Self::DecisionLogGap | Self::CanaryPassed | Self::CanaryMissing => false,
        }
    }
}

/// From where on somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertsConfig {
    /// How long is looked back at how often rules hit now, seconds: five at least.
    pub window_seconds: u64,
    /// How long before that their usual rate is taken from, seconds.
    pub baseline_seconds: u64,
    /// A rule is judged when by its usual rate it should have hit so often in the window, or has.
    pub rule_hits_min: u64,
    /// A rule that hits more than so many times as often as usual, or less than that part of it, has left its band.
    pub band_factor: u64,
    /// How old the state of the exchange may be, ms.
    pub stale_ms: u32,
    /// How long no canary may come, seconds.
    pub canary_seconds: u64,
}

/// Watches one engine.
pub(super) struct Watcher {
    config: AlertsConfig,
    board: Arc<Board>,
    rates: Rates,
    /// Seconds until the slice ends.
    left: u64,
    /// What was found of rules when the last slice ended.
    of_rules: Vec<Finding>,
    /// Gaps and answers without a place that were known a second ago, and when there were more last.
    missing: (u64, Option<Timestamp>),
    began: Timestamp,
}

impl Watcher {
    /// Watches from now on.
    pub(super) fn new(config: AlertsConfig, board: Arc<Board>) -> Self {
        let slice = config.window_seconds.div_ceil(SLICES).max(1);
        let rates = Rates::new(SLICES as usize, (config.baseline_seconds / slice) as usize);
        Self {
            config,
            board,
            rates,
            left: slice,
            of_rules: Vec::new(),
            missing: (0, None),
            began: clock::now(),
        }
    }

    /// Takes in what one second saw: decisions, and hits by rule, enforced or not.
    pub(super) fn second(
        &mut self,
        decisions: u64,
        hits: impl Iterator<Item = (String, u64)>,
        (state, log): (&State, Option<&Gate>),
    ) {
        let now = clock::now();
        self.rates.count(decisions, hits);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.left = self.config.window_seconds.div_ceil(SLICES).max(1);
            self.of_rules = self.rates.end_slice(&acting(state), &self.config);
        }
        let mut found: BTreeMap<(AlertName, String), String> =
            self.of_rules.iter().map(|finding| (finding.key(), finding.said())).collect();
        if let Some(said) = self.stale(state) {
            found.insert((AlertName::Stale, String::new()), said);
        }
        if let Some((name, said)) = self.canary(&state.canary, now) {
            found.insert((name, String::new()), said);
        }
        if let Some(said) = log.and_then(|log| self.gaps(log, now)) {
            found.insert((AlertName::DecisionLogGap, String::new()), said);
        }
        self.board.set(found, now);
    }

    fn stale(&self, state: &State) -> Option<String> {
        let age = state.staleness_ms(clock::moment());
        let is_old = state.exchange.is_networked() && age > self.config.stale_ms;
        is_old.then(|| {
            format!("What other members said is {age} ms old, more than {} ms.", self.config.stale_ms)
        })
    }

    /// Whether the flagged person whom nobody is was stopped the last time, and came at all.
    fn canary(&self, canary: &Canary, now: Timestamp) -> Option<(AlertName, String)> {
        if !canary.is_there() {
            return None;
        }
        let seconds_since = |then: Timestamp| now.ms_since(then).max(0) as u64 / 1_000;
        let silent = |since: Timestamp| seconds_since(since) > self.config.canary_seconds;
        match canary.last() {
            None => silent(self.began).then(|| {
                (
                    AlertName::CanaryMissing,
                    format!("No canary has come since the start, {} s ago.", seconds_since(self.began)),
                )
            }),
            Some((at, _)) if silent(at) => {
                Some((AlertName::CanaryMissing, format!("No canary has come for {} s.", seconds_since(at))))
            }
            Some((_, CanaryFate::Stopped)) => None,
            Some((at, fate @ (CanaryFate::Passed | CanaryFate::NotScreened))) => {
                let fate = fate.name();
                Some((
                    AlertName::CanaryPassed,
                    format!(
                        "The canary was not stopped at {at} ({fate}): a flagged person is not protected."
                    ),
                ))
            }
        }
    }

    /// A gap is told of for as long as a window, so that nobody who looks now and then misses it.
    fn gaps(&mut self, log: &Gate, now: Timestamp) -> Option<String> {
        let size = log.size();
        let (before, last) = self.missing;
        let known = size.gaps + size.dropped;
        let last = if known > before { Some(now) } else { last };
        self.missing = (known, last);
        if !log.is_well() {
            return Some("The decision log cannot be written: answers say unlogged.".to_owned());
        }
        let window_ms = i64::try_from(self.config.window_seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
        last.filter(|last| now.ms().saturating_sub(last.ms()) < window_ms).map(|_| {
            format!(
                "The decision log has {} gaps since the start, {} answers are missing in it.",
                size.gaps, size.dropped
            )
        })
    }
}

/// Rules that are evaluated now.
fn acting(state: &State) -> Vec<String> {
    let active = state.rules();
    let rules = active.iter().flat_map(|active| active.set.rules());
    rules
        .filter(|rule| match rule.mode {
            Mode::Enforce | Mode::Shadow => true,
            Mode::Off => false,
        })
        .map(|rule| rule.id.clone())
        .collect()
}
