//! How far a change of rules reaches, before it is loaded: tried on the requests of the last hour.

use super::clock;
use super::reload::{Reloader, RulesError};
use super::sources;
use crate::recent::{Blast, as_if_active, blast};
use crate::rules::RuleSet;
use sparr_protocol::ids::RuleSetDigest;

/// How large a change is taken in.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Of a thousand recent requests, so many may be answered otherwise.
    pub(super) per_mille_max: u32,
}

/// A set that changes everything is loaded where nobody has set a bound.
const PER_MILLE: u32 = 1_000;

impl Reloader {
    /// What loading the files now would have changed among recent requests.
    pub(super) fn plan(&self) -> Result<(RuleSetDigest, Blast), RulesError> {
        let sources = sources::read(&self.from).map_err(|_| RulesError::Refused)?;
        let (set, _) = self.checked(&sources).map_err(|problem| {
            tracing::error!("the rule files do not load:\n{problem}");
            RulesError::Refused
        })?;
        let digest = set.digest();
        Ok((digest, self.blast_of(set).1))
    }

    fn blast_of(&self, set: RuleSet) -> (RuleSet, Blast) {
        let candidate = as_if_active(set);
        let now = self.state.now(clock::moment());
        let recent = self.state.recent.all(now);
        let active = self.state.rules();
        let blast = blast(&recent, &self.state, active.as_deref(), &candidate, now);
        (candidate.set, blast)
    }

    /// A set that changes no more answers than it may, or more with somebody's word.
    pub(super) fn within_bounds(&self, set: RuleSet, accept: bool) -> Result<RuleSet, String> {
        let is_new = self.state.rules().as_ref().is_some_and(|active| active.set.digest() != set.digest());
        if accept || !is_new || self.bounds.per_mille_max >= PER_MILLE {
            return Ok(set);
        }
        let (set, blast) = self.blast_of(set);
        if blast.share() * f64::from(PER_MILLE) <= f64::from(self.bounds.per_mille_max) {
            tracing::info!(digest = %set.digest(), "{}", blast.sentence());
            return Ok(set);
        }
        Err(format!(
            "{}; more than {} in a thousand: it is loaded with --accept alone",
            blast.sentence(),
            self.bounds.per_mille_max
        ))
    }
}
