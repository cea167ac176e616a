//! How often rules hit now, beside how often they usually do.
//!
//! Decisions and hits are added up by slices of time. The newest slices are the window; those before it are what is usual. A
//! rule is judged once it has been evaluated for twice a window, so that a new one alarms nobody.

use super::{AlertName, AlertsConfig};
use std::collections::{BTreeMap, VecDeque};

#[derive(Default)]
struct Slice {
    decisions: u64,
    hits: BTreeMap<String, u64>,
}

/// What was found of one rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    name: AlertName,
    rule: String,
    hits: u64,
    decisions: u64,
    /// Hits by the usual rate.
    usual: f64,
}

impl Finding {
    pub(super) fn key(&self) -> (AlertName, String) {
        (self.name, self.rule.clone())
    }

    pub(super) fn said(&self) -> String {
        let Self { rule, hits, decisions, usual, .. } = self;
        format!(
            "The rule {rule} hit {hits} times in {decisions} decisions, {usual:.0} times by its usual rate."
        )
    }
}

/// See the module.
pub(super) struct Rates {
    window: usize,
    kept: usize,
    /// The oldest first.
    slices: VecDeque<Slice>,
    current: Slice,
    /// For how many slices each rule has been evaluated.
    seen: BTreeMap<String, usize>,
}

impl Rates {
    /// Slices of the window, and of what is usual.
    pub(super) fn new(window: usize, usual: usize) -> Self {
        let kept = window + usual.max(window);
        Self { window, kept, slices: VecDeque::new(), current: Slice::default(), seen: BTreeMap::new() }
    }

    /// Adds to the slice that is open.
    pub(super) fn count(&mut self, decisions: u64, hits: impl Iterator<Item = (String, u64)>) {
        self.current.decisions += decisions;
        for (rule, n) in hits {
            *self.current.hits.entry(rule).or_default() += n;
        }
    }

    /// Ends the slice and judges the rules that are evaluated now.
    pub(super) fn end_slice(&mut self, acting: &[String], config: &AlertsConfig) -> Vec<Finding> {
        self.slices.push_back(std::mem::take(&mut self.current));
        while self.slices.len() > self.kept {
            self.slices.pop_front();
        }
        let before = std::mem::take(&mut self.seen);
        let seen = |rule: &String| (before.get(rule).copied().unwrap_or(0) + 1).min(self.kept);
        self.seen = acting.iter().map(|rule| (rule.clone(), seen(rule))).collect();
        self.seen.iter().filter_map(|(rule, seen)| self.judge(rule, *seen, config)).collect()
    }

    fn judge(&self, rule: &str, seen: usize, config: &AlertsConfig) -> Option<Finding> {
        if seen < 2 * self.window {
            return None;
        }
        let sum = |slices: &mut dyn Iterator<Item = &Slice>| {
            slices.fold((0, 0), |(decisions, hits), slice| {
                (decisions + slice.decisions, hits + slice.hits.get(rule).copied().unwrap_or(0))
            })
        };
        let newest = self.slices.iter().rev();
        let (decisions, hits) = sum(&mut newest.clone().take(self.window));
        let (usual_decisions, usual_hits) = sum(&mut newest.skip(self.window).take(seen - self.window));
        if decisions == 0 || usual_decisions == 0 {
            return None;
        }
        let usual = usual_hits as f64 / usual_decisions as f64 * decisions as f64;
        let enough = config.rule_hits_min as f64;
        let (found, factor) = (hits as f64, config.band_factor as f64);
        let name = if usual >= enough && hits == 0 {
            AlertName::RuleSilent
        } else if usual >= enough && found * factor < usual || found >= enough && found > usual * factor {
            AlertName::RuleOffBand
        } else {
            return None;
        };
        Some(Finding { name, rule: rule.to_owned(), hits, decisions, usual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: AlertsConfig = AlertsConfig {
        window_seconds: 2,
        baseline_seconds: 4,
        rule_hits_min: 20,
        band_factor: 4,
        stale_ms: 5_000,
        canary_seconds: 180,
    };

    /// Plays slices of (decisions, hits) for one rule and gives back what is said after the last.
    fn play(slices: &[(u64, u64)]) -> Option<AlertName> {
        let mut rates = Rates::new(2, 4);
        let mut found = Vec::new();
        for (decisions, hits) in slices {
            rates.count(*decisions, [("r".to_owned(), *hits)].into_iter());
            found = rates.end_slice(&["r".to_owned()], &CONFIG);
        }
        assert!(found.len() <= 1);
        found.first().map(|finding| finding.name)
    }

    #[test]
    fn what_is_usual_is_quiet_and_what_is_not_is_told() {
        use AlertName::{RuleOffBand, RuleSilent};
        let usual = (1_000, 10);
        let after = |now: [(u64, u64); 2]| [vec![usual; 4], now.to_vec()].concat();
        for (now, expected) in [
            ([usual, usual], None),
            // Twice as often, or half as often, is within the band.
            ([(1_000, 20), (1_000, 20)], None),
            ([(1_000, 5), (1_000, 5)], None),
            ([(1_000, 0), (1_000, 0)], Some(RuleSilent)),
            ([(1_000, 2), (1_000, 2)], Some(RuleOffBand)),
            ([(1_000, 41), (1_000, 41)], Some(RuleOffBand)),
            // At night less comes: nothing is expected of a few decisions.
            ([(10, 0), (10, 0)], None),
            ([(0, 0), (0, 0)], None),
            // The rate counts, not the number: ten times the load hits ten times as often.
            ([(10_000, 100), (10_000, 100)], None),
        ] {
            assert_eq!(play(&after(now)), expected, "{now:?}");
        }
        // A rule that never hit and now does, often.
        assert_eq!(
            play(&[(1_000, 0), (1_000, 0), (1_000, 0), (1_000, 0), (1_000, 30), (1_000, 30)]),
            Some(RuleOffBand)
        );
        // A new rule is not judged before it has been evaluated for twice a window.
        assert_eq!(play(&[(1_000, 0), (1_000, 30), (1_000, 30)]), None);
        // What goes on becomes usual.
        assert_eq!(play(&[vec![usual; 6], vec![(1_000, 0); 6]].concat()), None);
    }

    #[test]
    fn rules_that_are_off_or_gone_are_not_judged() {
        let mut rates = Rates::new(2, 4);
        let mut found = Vec::new();
        for slice in 0..6 {
            let hits = if slice < 4 { 100 } else { 0 };
            let acting: &[String] = if slice == 5 { &[] } else { &["r".to_owned()] };
            rates.count(1_000, [("r".to_owned(), hits)].into_iter());
            found = rates.end_slice(acting, &CONFIG);
        }
        assert_eq!(found, []);
        assert!(rates.slices.len() <= 6 && rates.seen.is_empty());
    }
}
