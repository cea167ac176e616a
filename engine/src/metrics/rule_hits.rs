//! Hits by rule.
//!
//! A worker counts by a rule's place in its set. Names come in when somebody reads, and counts of a set that no longer
//! decides are put aside whole: a new set of ten thousand rules costs a worker a row of zeros and nothing more.

use crate::rules::{Hits, RuleSet};
use sparr_protocol::ids::RuleSetDigest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many hits a rule had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleHits {
    /// That counted.
    pub enforced: u64,
    /// That were only looked at.
    pub shadow: u64,
    /// Evaluations that failed.
    pub errors: u64,
}

/// Hits by rule of one rule set, in the set's order.
#[derive(Clone)]
pub(super) struct RuleCounts {
    digest: RuleSetDigest,
    ids: Arc<[String]>,
    hits: Vec<RuleHits>,
}

impl RuleCounts {
    /// Adds what was counted to sums by name.
    pub(super) fn add_to(&self, sums: &mut BTreeMap<String, RuleHits>) {
        for (id, hits) in self.ids.iter().zip(&self.hits) {
            if !sums.contains_key(id) {
                sums.insert(id.clone(), RuleHits::default());
            }
            let Some(sum) = sums.get_mut(id) else { continue };
            sum.enforced += hits.enforced;
            sum.shadow += hits.shadow;
            sum.errors += hits.errors;
        }
    }
}

/// What one worker has counted of rules.
#[derive(Default)]
pub(super) struct RuleTally {
    current: Option<RuleCounts>,
    /// Of sets that no longer decide, until [`take_closed`](Self::take_closed).
    closed: Vec<RuleCounts>,
}

impl RuleTally {
    pub(super) fn hit(&mut self, set: &RuleSet, hits: &Hits) {
        if [&hits.enforced, &hits.shadow, &hits.errors, &hits.shadow_errors]
            .iter()
            .all(|some| some.is_empty())
        {
            return;
        }
        if self.current.as_ref().is_none_or(|counts| counts.digest != set.digest()) {
            self.closed.extend(self.current.take());
            let (ids, hits) = (set.ids().clone(), vec![RuleHits::default(); set.rules().len()]);
            self.current = Some(RuleCounts { digest: set.digest(), ids, hits });
        }
        let Some(counts) = &mut self.current else { return };
        hits.enforced.iter().for_each(|index| counts.hits[*index].enforced += 1);
        hits.shadow.iter().for_each(|index| counts.hits[*index].shadow += 1);
        let errors = hits.errors.iter().chain(&hits.shadow_errors);
        errors.for_each(|index| counts.hits[*index].errors += 1);
    }

    /// Counts of sets that no longer decide.
    pub(super) fn take_closed(&mut self) -> Vec<RuleCounts> {
        std::mem::take(&mut self.closed)
    }

    /// A copy of the counts of the set that decides.
    pub(super) fn current(&self) -> Option<RuleCounts> {
        self.current.clone()
    }
}
