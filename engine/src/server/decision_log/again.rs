//! Rule sets by their digest, as long as an answer of theirs is kept: for running answers again and explaining them.

use crate::decisions::{self, Logged, Rerun};
use crate::request::Keyring;
use crate::rules::{self, RuleExplanation, RuleSet};
use crate::server::rule_store::RuleStore;
use hashbrown::HashMap;
use serde_json::{Value, json};
use sparr_protocol::ids::RuleSetDigest;

/// Sets that are kept loaded while a query runs.
const LOADED_MAX: usize = 8;

/// Loads sets from their copies, each once.
pub(super) struct Sets<'a> {
    store: &'a RuleStore,
    loaded: HashMap<RuleSetDigest, Option<RuleSet>>,
}

impl<'a> Sets<'a> {
    pub(super) fn of(store: &'a RuleStore) -> Self {
        Self { store, loaded: HashMap::new() }
    }

    /// The set that decided an answer; none where its copy is gone, or is not the one.
    pub(super) fn of_answer(&mut self, logged: &Logged) -> Option<&RuleSet> {
        let digest = logged.response.rule_set_digest;
        if self.loaded.len() >= LOADED_MAX && !self.loaded.contains_key(&digest) {
            self.loaded.clear();
        }
        let store = self.store;
        let load = || {
            let (sources, killed) = store.read_with_killed(&digest.to_string())?;
            rules::load_without(&sources, &killed).set.filter(|set| set.digest() == digest)
        };
        self.loaded.entry(digest).or_insert_with(load).as_ref()
    }
}

/// Whether running an answer again comes to the same, as JSON.
pub(super) fn rerun(logged: &Logged, sets: &mut Sets<'_>, keyring: &Keyring) -> Value {
    if logged.basis.is_none() {
        return json!({ "equal": null, "why": "no rule was asked" });
    }
    let Some(set) = sets.of_answer(logged) else {
        return json!({ "equal": null, "why": "the copy of the rule set that decided is gone" });
    };
    let Some(Rerun { decided, differs }) = decisions::rerun(logged, set, keyring) else {
        return json!({ "equal": null, "why": "no rule was asked" });
    };
    let mut value = json!({ "equal": differs.is_empty(), "differs": differs });
    match decided {
        Ok(decided) => {
            let name = |code| set.reasons().name(code).map_or_else(|| code.0.to_string(), str::to_owned);
            value["outcome"] = decided.outcome.name().into();
            value["review"] = decided.review.name().into();
            value["score"] = decided.score.into();
            value["reasons"] = decided.reasons.iter().map(name).collect::<Vec<_>>().into();
        }
        Err(why) => value["not_screened"] = why.name().into(),
    }
    value
}

/// What each rule made of an answer, with the set that decided it.
pub(super) fn explained<'s>(
    logged: &Logged,
    sets: &'s mut Sets<'_>,
    keyring: &Keyring,
) -> Option<(Vec<RuleExplanation>, &'s RuleSet)> {
    let set = sets.of_answer(logged)?;
    Some((decisions::explain(logged, set, keyring)?, set))
}
