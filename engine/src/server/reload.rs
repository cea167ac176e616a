//! Loading rules, at the start and again: a bad set changes nothing and says why.
//!
//! `load → stage or activate → keep a copy → note it in the history`. Every way to another set goes through here, one at a
//! time, on threads that give way to screening.

use super::blast::Bounds;
use super::clock;
use super::config::{Activation, RulesFrom};
use super::polite;
use super::rule_store::{Entry, RuleStore};
use super::sources;
use crate::metrics::{Metrics, lock};
use crate::rules::{self, Diagnostic, EVERY_RULE, RuleSet, Sources};
use crate::state::State;
use serde_json::Value;
use sparr_protocol::exchange::RulesOperation;
use sparr_protocol::ids::{Actor, RuleSetDigest};
use sparr_protocol::time::Timestamp;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Least time between two activations that nobody asked for.
pub(super) const DAMPING: Duration = Duration::from_secs(10);

/// How long a set that was replaced is left alone between two looks at whether a batch is still on its way through it.
const BATCH_WAIT: Duration = Duration::from_millis(1);

/// Why a set is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The engine starts.
    Start,
    /// Somebody asked: a signal, or the admin port.
    Asked,
    /// A file changed.
    Watch,
}

impl Cause {
    const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Asked => "reload",
            Self::Watch => "watch",
        }
    }
}

/// How a reload ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// The set that was loaded, and how many rules it has; or why it was not.
    pub result: Result<(RuleSetDigest, usize), String>,
    /// Whether the set waits for approval instead of deciding.
    pub staged: bool,
    /// Whether it would have been loaded with somebody's word that the change is meant.
    pub needs_accept: bool,
    /// Findings that did not stop it.
    pub warnings: usize,
}

/// Why a change of rule sets was refused. Nothing was changed.
#[derive(Debug)]
pub(super) enum RulesError {
    /// No set waits for approval.
    NothingStaged,
    /// Another set waits than the one that was named.
    OtherStaged,
    /// Who approves has staged it: two persons means two.
    SamePerson,
    /// No such set decided before, or its copy is not whole.
    NoSuchSet,
    /// The active set has no rule of this name.
    NoSuchRule,
    /// The rule is off, or on, already.
    AlreadySo,
    /// It could not be kept on the disk.
    NotKept(#[expect(dead_code, reason = "it is printed where somebody debugs")] io::Error),
    /// The files have errors; the log has them.
    Refused,
    /// The set would change more answers than it may without a word; the log says which.
    AcceptNeeded,
}

/// Loads rule sets into a state.
pub(super) struct Reloader {
    pub(super) from: RulesFrom,
    activation: Activation,
    store: Option<RuleStore>,
    pub(super) bounds: Bounds,
    pub(super) state: Arc<State>,
    metrics: Arc<Metrics>,
    /// Whoever holds it loads: for seconds, and at the lowest priority. Nobody who answers others waits for it.
    last: Mutex<Last>,
    /// How the last load ended, held for a moment.
    report: Mutex<Option<Report>>,
}

#[derive(Default)]
struct Last {
    activated: Option<Instant>,
    staged: Option<String>,
}

impl Reloader {
    /// A reloader that has loaded nothing yet. Without a store nothing outlives the process.
    pub(super) fn new(
        from: RulesFrom,
        activation: Activation,
        store: Option<RuleStore>,
        bounds: Bounds,
        state: Arc<State>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            from,
            activation,
            store,
            bounds,
            state,
            metrics,
            last: Mutex::default(),
            report: Mutex::default(),
        }
    }

    /// Reads, checks and compiles the rules, and makes them the ones that decide, or stages them: all of it, or nothing.
    ///
    /// Requests go on with the old set until the one step at the end.
    pub(super) fn reload(&self, cause: Cause) -> Report {
        match cause {
            // Nobody is served yet, and everybody waits.
            Cause::Start => self.load(cause, "", true),
            Cause::Asked | Cause::Watch => polite::aside(|| self.load(cause, "", false)),
        }
    }

    /// `by` is empty where nobody proved who they are: a signal, a file, the admin port.
    fn load(&self, cause: Cause, by: &str, accept: bool) -> Report {
        // One at a time: two reloads must not overtake each other.
        let mut last = lock(&self.last);
        let mut report = Report {
            at: clock::now(),
            result: Err(String::new()),
            staged: false,
            needs_accept: false,
            warnings: 0,
        };
        report.result = sources::read(&self.from).map_err(|error| error.to_string()).and_then(|sources| {
            let (set, warnings) = self.checked(&sources)?;
            report.warnings = warnings;
            let set = self.within_bounds(set, accept).inspect_err(|_| report.needs_accept = true)?;
            let about = (set.digest(), set.rules().len());
            // At the start there is nothing that a set could be compared with, unless one was approved before.
            let approved = self.approved();
            let approves =
                self.activation == Activation::Approve && (cause != Cause::Start || approved.is_some());
            if approves && approved.as_deref() != Some(&about.0.to_string()) {
                report.staged = true;
                self.keep(&set, &sources, "staged", by);
                last.staged = Some(about.0.to_string());
            } else {
                self.activate(set, &sources, cause.name(), by, &mut last);
            }
            Ok(about)
        });
        if cause == Cause::Start && self.state.rules().is_none() {
            self.take_last_good(&mut last);
        }
        self.metrics.reloaded(report.result.is_ok());
        match &report.result {
            Ok((digest, rules)) if report.staged => {
                tracing::info!(%digest, rules, report.warnings, "rules staged: they wait for approval");
            }
            Ok((digest, rules)) => tracing::info!(%digest, rules, report.warnings, "rules loaded"),
            Err(problem) => tracing::error!("rules not loaded, nothing changed:\n{problem}"),
        }
        *lock(&self.report) = Some(report.clone());
        report
    }

    /// The set that decided last, by the history.
    fn approved(&self) -> Option<String> {
        let history = self.store.as_ref()?.history();
        history.into_iter().rev().find(Entry::activated).map(|entry| entry.digest)
    }

    /// The copy of the set that decided last: what a start falls back on.
    fn take_last_good(&self, last: &mut Last) {
        let Some(store) = &self.store else { return };
        let Some(digest) = self.approved() else { return };
        let kept = store.read(&digest).and_then(|sources| Some((self.checked(&sources).ok()?.0, sources)));
        match kept {
            Some((set, sources)) => {
                tracing::warn!(%digest, "the last good rule set decides, from its second copy");
                self.activate(set, &sources, "last_good", "", last);
            }
            None => tracing::error!(%digest, "the second copy of the last good rule set is not whole"),
        }
    }

    fn activate(&self, set: RuleSet, sources: &Sources, how: &str, by: &str, last: &mut Last) {
        let active = self.state.rules().as_ref().map(|active| active.set.digest());
        if active == Some(set.digest()) {
            return;
        }
        self.keep(&set, sources, how, by);
        last.staged = last.staged.take().filter(|staged| *staged != set.digest().to_string());
        let before = self.state.activate(set, clock::moment());
        // A worker that had it last would free it in the middle of screening.
        before.wait(|| std::thread::sleep(BATCH_WAIT));
        self.metrics.settle_rules();
        last.activated = Some(clock::instant());
    }

    fn keep(&self, set: &RuleSet, sources: &Sources, how: &str, by: &str) {
        let Some(store) = &self.store else { return };
        let entry = Entry {
            at: clock::now(),
            digest: set.digest().to_string(),
            rules: set.rules().len() as u64,
            how: how.to_owned(),
            by: by.to_owned(),
        };
        if let Err(error) = store.keep(set.digest(), sources).and_then(|()| store.note(&entry)) {
            tracing::error!(%error, "no second copy of the rule set could be kept");
        }
    }

    /// Carries out what a person asks for. Gives back the set that was loaded, and whether it waits for approval.
    pub(super) fn carry_out(
        &self,
        operation: &RulesOperation,
        by: &Actor,
    ) -> Result<(RuleSetDigest, bool), RulesError> {
        let name = by.to_string();
        match operation {
            RulesOperation::Reload { accept } => {
                let report = self.load(Cause::Asked, &name, *accept);
                let error = if report.needs_accept { RulesError::AcceptNeeded } else { RulesError::Refused };
                report.result.map(|(digest, _)| (digest, report.staged)).map_err(|_| error)
            }
            // It is answered without changing anything: see `plan`.
            RulesOperation::Plan => Err(RulesError::Refused),
            RulesOperation::Approve(digest) => self.approve(*digest, &name),
            RulesOperation::Rollback(digest) => self.roll_back(*digest, &name),
            RulesOperation::Kill(rule) => self.kill(Some(rule), true, &name),
            RulesOperation::Revive(rule) => self.kill(Some(rule), false, &name),
            RulesOperation::KillAll => self.kill(None, true, &name),
            RulesOperation::ReviveAll => self.kill(None, false, &name),
        }
    }

    /// Makes the staged set decide. It must be named by its digest, so that nobody approves what they have not seen, and
    /// by another person than any who staged it.
    fn approve(&self, digest: RuleSetDigest, by: &str) -> Result<(RuleSetDigest, bool), RulesError> {
        let mut last = lock(&self.last);
        let digest = digest.to_string();
        match &last.staged {
            None => return Err(RulesError::NothingStaged),
            Some(staged) if *staged != digest => return Err(RulesError::OtherStaged),
            Some(_) => {}
        }
        // All of the history counts: whoever staged it stays that, though a file or a restart has staged it again since.
        let staged = |entry: &Entry| !entry.activated() && entry.digest == digest && entry.by == by;
        if self.history_entries().iter().any(staged) {
            return Err(RulesError::SamePerson);
        }
        self.take(&digest, "approve", by, &mut last)
    }

    /// Makes an earlier set decide again: the one of this digest, or the one before the active one.
    fn roll_back(
        &self,
        digest: Option<RuleSetDigest>,
        by: &str,
    ) -> Result<(RuleSetDigest, bool), RulesError> {
        let mut last = lock(&self.last);
        let active = self.state.rules().as_ref().map(|active| active.set.digest().to_string());
        let earlier = self.history_entries().into_iter().rev().filter(Entry::activated);
        let mut earlier = earlier.filter(|entry| Some(&entry.digest) != active.as_ref());
        let wanted = match digest.map(|digest| digest.to_string()) {
            Some(digest) => earlier.find(|entry| entry.digest == digest),
            None => earlier.next(),
        };
        self.take(&wanted.ok_or(RulesError::NoSuchSet)?.digest, "rollback", by, &mut last)
    }

    fn take(
        &self,
        digest: &str,
        how: &str,
        by: &str,
        last: &mut Last,
    ) -> Result<(RuleSetDigest, bool), RulesError> {
        let kept = self.store.as_ref().and_then(|store| store.read(digest));
        let sources = kept.ok_or(RulesError::NoSuchSet)?;
        let (set, _) = self.checked(&sources).map_err(|problem| {
            tracing::error!(%digest, "a kept rule set does not load:\n{problem}");
            RulesError::Refused
        })?;
        let digest = set.digest();
        tracing::info!(%digest, how, by, "rule set activated");
        self.activate(set, &sources, how, by, last);
        Ok((digest, false))
    }

    /// A set with the number of its warnings, or everything that is wrong with it. Rules that were switched off by hand
    /// are off.
    pub(super) fn checked(&self, sources: &Sources) -> Result<(RuleSet, usize), String> {
        let killed = self.store.as_ref().map(RuleStore::killed).unwrap_or_default();
        let loaded = rules::load_without(sources, &killed);
        let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        let warnings = loaded.diagnostics.len() - errors;
        loaded.set.map(|set| (set, warnings)).ok_or_else(|| rendered(&loaded.diagnostics, sources))
    }

    /// Switches a rule of the active set, or all of them, off at once, or lets the files speak again. It needs no approval:
    /// a rule that is off asks for nothing, and people's flags act without rules.
    fn kill(&self, rule: Option<&str>, off: bool, by: &str) -> Result<(RuleSetDigest, bool), RulesError> {
        let mut last = lock(&self.last);
        let store =
            self.store.as_ref().ok_or_else(|| RulesError::NotKept(io::ErrorKind::Unsupported.into()))?;
        let (digest, known) = match self.state.rules().as_ref() {
            Some(active) => (active.set.digest(), rule.is_none_or(|rule| active.set.rule(rule).is_some())),
            None => return Err(RulesError::NoSuchSet),
        };
        let name = rule.unwrap_or(EVERY_RULE);
        let mut killed = store.killed();
        if !(known || !off && killed.contains(name)) {
            return Err(RulesError::NoSuchRule);
        }
        let changed = if off { killed.insert(name.to_owned()) } else { killed.remove(name) };
        if !changed {
            return Err(RulesError::AlreadySo);
        }
        store.keep_killed(&killed).map_err(RulesError::NotKept)?;
        let how = match (rule, off) {
            (Some(_), true) => "kill",
            (Some(_), false) => "revive",
            (None, true) => "kill_all",
            (None, false) => "revive_all",
        };
        self.take(&digest.to_string(), how, by, &mut last)
    }

    fn history_entries(&self) -> Vec<Entry> {
        self.store.as_ref().map(RuleStore::history).unwrap_or_default()
    }

    /// The history, newest first.
    pub(super) fn history(&self) -> Vec<Value> {
        self.history_entries().iter().rev().map(Entry::to_json).collect()
    }

    /// How long a change of files still has to wait.
    pub(super) fn damping_left(&self) -> Duration {
        let activated = lock(&self.last).activated;
        activated.map_or(Duration::ZERO, |at| DAMPING.saturating_sub(clock::instant().duration_since(at)))
    }

    /// How the last load ended.
    pub(super) fn last(&self) -> Option<Report> {
        lock(&self.report).clone()
    }
}

fn rendered(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    diagnostics
        .iter()
        .filter(|d| d.is_error())
        .map(|d| d.render_plain(sources))
        .collect::<Vec<_>>()
        .join("\n")
}
