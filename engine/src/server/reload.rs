//! Loading rules, at the start and again: a bad set changes nothing and says why.

use super::clock;
use super::config::RulesFrom;
use super::sources;
use crate::metrics::{Metrics, lock};
use crate::rules::{self, Diagnostic};
use crate::state::State;
use sparr_protocol::ids::RuleSetDigest;
use sparr_protocol::time::Timestamp;
use std::sync::{Arc, Mutex};

/// How a reload ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// The set that decides now, and how many rules it has; or why it was not loaded.
    pub result: Result<(RuleSetDigest, usize), String>,
    /// Findings that did not stop it.
    pub warnings: usize,
}

/// Loads rule sets into a state.
pub(super) struct Reloader {
    from: RulesFrom,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    last: Mutex<Option<Report>>,
}

impl Reloader {
    /// A reloader that has loaded nothing yet.
    pub(super) fn new(from: RulesFrom, state: Arc<State>, metrics: Arc<Metrics>) -> Self {
        Self { from, state, metrics, last: Mutex::new(None) }
    }

    /// Reads, checks and compiles the rules, and makes them the ones that decide: all of it, or nothing.
    ///
    /// Runs on the caller's thread; requests go on with the old set until the one step at the end.
    pub(super) fn reload(&self) -> Report {
        // One at a time: two reloads must not overtake each other.
        let mut last = lock(&self.last);
        let (result, warnings) = self.load();
        let report = Report { at: clock::now(), result, warnings };
        self.metrics.reloaded(report.result.is_ok());
        match &report.result {
            Ok((digest, rules)) => tracing::info!(%digest, rules, warnings, "rules loaded"),
            Err(problem) => tracing::error!("rules not loaded, nothing changed:\n{problem}"),
        }
        *last = Some(report.clone());
        report
    }

    fn load(&self) -> (Result<(RuleSetDigest, usize), String>, usize) {
        let sources = match sources::read(&self.from) {
            Ok(sources) => sources,
            Err(error) => return (Err(error.to_string()), 0),
        };
        let loaded = rules::load(&sources);
        let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        let warnings = loaded.diagnostics.len() - errors;
        match loaded.set {
            Some(set) => {
                let about = (set.digest(), set.rules().len());
                self.state.activate(set, clock::moment());
                (Ok(about), warnings)
            }
            None => (Err(rendered(&loaded.diagnostics, &sources)), warnings),
        }
    }

    /// How the last load ended.
    pub(super) fn last(&self) -> Option<Report> {
        lock(&self.last).clone()
    }
}

fn rendered(diagnostics: &[Diagnostic], sources: &rules::Sources) -> String {
    diagnostics
        .iter()
        .filter(|d| d.is_error())
        .map(|d| d.render_plain(sources))
        .collect::<Vec<_>>()
        .join("\n")
}
