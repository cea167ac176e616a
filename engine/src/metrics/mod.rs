//! What is counted and measured, and under which names operators see it.
//!
//! Each worker has its own [`WorkerStats`] behind a lock that nobody else wants but a scrape, taken once per batch;
//! histograms are merged on read.

mod callers;
mod exposition;
mod list;
mod native;
mod rule_hits;

pub use callers::{Caller, CallerCounts};
pub(crate) use exposition::registry;
pub use list::{METRICS, MetricDef};
pub use rule_hits::RuleHits;

use crate::rules::{Hits, RuleSet};
use crate::screen::Stage;
use callers::Callers;
use hdrhistogram::Histogram;
use rule_hits::RuleTally;
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::exchange::{OperationKind, Refusal};
use sparr_protocol::ids::Actor;
use sparr_protocol::response::{AuthorisationResponse, Degraded, Why};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longest time that a histogram tells apart: 10 s. What is longer counts as that.
const LONGEST_NS: u64 = 10_000_000_000;

/// A histogram of nanoseconds with two significant digits: 15 KiB.
pub fn nanoseconds() -> Histogram<u64> {
    // The bounds are constants that the crate accepts: 1 ≤ low, 2 × low ≤ high, 2 digits.
    let made = Histogram::new_with_bounds(1, LONGEST_NS, 2);
    let Ok(histogram) = made else { unreachable!("constant bounds") };
    histogram
}

/// What one worker has counted.
pub struct WorkerStats {
    outcomes: [u64; Outcome::ALL.len()],
    reviews: [u64; Review::ALL.len()],
    not_screened: [u64; Why::ALL.len()],
    operations: [u64; OperationKind::ALL.len()],
    refusals: [u64; Refusal::ALL.len()],
    decisions: Histogram<u64>,
    stages: [Histogram<u64>; Stage::ALL.len()],
    /// Answers in which an exemption silenced a rule.
    exempted: u64,
    /// Decisions for which there was no time for shadow rules.
    shadow_shed: u64,
    rules: RuleTally,
    callers: Callers,
}

impl Default for WorkerStats {
    fn default() -> Self {
        Self {
            outcomes: Default::default(),
            reviews: Default::default(),
            not_screened: Default::default(),
            operations: [0; OperationKind::ALL.len()],
            refusals: [0; Refusal::ALL.len()],
            decisions: nanoseconds(),
            stages: std::array::from_fn(|_| nanoseconds()),
            exempted: 0,
            shadow_shed: 0,
            rules: RuleTally::default(),
            callers: Callers::default(),
        }
    }
}

impl WorkerStats {
    /// What is counted from here on is this caller's.
    pub fn serving(&mut self, actor: &Actor) {
        self.callers.serving(actor);
    }

    /// Counts an answer.
    pub fn answered(&mut self, response: &AuthorisationResponse, took_ns: u64) {
        match response.answer {
            Ok(decided) => {
                self.callers.current().decided += 1;
                self.outcomes[decided.outcome as usize - 1] += 1;
                self.reviews[decided.review as usize - 1] += 1;
            }
            Err(not_screened) => {
                self.callers.current().not_screened += 1;
                self.not_screened[not_screened.why as usize - 1] += 1;
            }
        }
        self.exempted += u64::from(response.natural.is_some());
        self.shadow_shed += u64::from(response.degraded.contains(Degraded::SHADOW_SHED));
        self.decisions.saturating_record(took_ns);
    }

    /// Counts the rules that a request hit.
    pub fn hit(&mut self, set: &RuleSet, hits: &Hits) {
        self.rules.hit(set, hits);
    }

    /// Notes how long a stage took.
    pub fn stage(&mut self, stage: Stage, took_ns: u64) {
        self.stages[stage as usize].saturating_record(took_ns);
    }

    /// Counts an operation of the exchange.
    pub fn operation(&mut self, kind: OperationKind) {
        self.callers.current().operations += 1;
        self.operations[place_of(OperationKind::ALL, kind)] += 1;
    }

    /// Counts a refusal outside screening.
    pub fn refused(&mut self, refusal: Refusal) {
        self.refusals[place_of(Refusal::ALL, refusal)] += 1;
    }

    /// Adds what another worker has counted.
    fn add(&mut self, other: &Self) {
        add_all(&mut self.outcomes, &other.outcomes);
        add_all(&mut self.reviews, &other.reviews);
        add_all(&mut self.not_screened, &other.not_screened);
        add_all(&mut self.operations, &other.operations);
        add_all(&mut self.refusals, &other.refusals);
        self.exempted += other.exempted;
        self.shadow_shed += other.shadow_shed;
        self.callers.add(&other.callers);
        // Both have the same bounds, so no value is refused.
        let _ = self.decisions.add(&other.decisions);
        for (ours, theirs) in self.stages.iter_mut().zip(&other.stages) {
            let _ = ours.add(theirs);
        }
    }

    /// Answers by outcome.
    pub fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.iter().copied().zip(self.outcomes)
    }

    /// Answers by review.
    pub fn reviews(&self) -> impl Iterator<Item = (Review, u64)> {
        Review::ALL.iter().copied().zip(self.reviews)
    }

    /// Refusals to decide, by reason.
    pub fn not_screened(&self) -> impl Iterator<Item = (Why, u64)> {
        Why::ALL.iter().copied().zip(self.not_screened)
    }

    /// What each caller has asked.
    pub fn callers(&self) -> &[(Caller, CallerCounts)] {
        self.callers.all()
    }

    /// Time from reading a request to its answer, ns.
    pub fn decisions(&self) -> &Histogram<u64> {
        &self.decisions
    }

    /// Time of a stage, ns.
    pub fn stage_times(&self, stage: Stage) -> &Histogram<u64> {
        &self.stages[stage as usize]
    }
}

fn place_of<T: PartialEq>(all: &[T], value: T) -> usize {
    all.iter().position(|known| *known == value).unwrap_or_default()
}

fn add_all(ours: &mut [u64], theirs: &[u64]) {
    ours.iter_mut().zip(theirs).for_each(|(one, other)| *one += other);
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The TLS handshake failed: no certificate, another authority, expired, revoked.
    Handshake,
    /// The certificate names no caller.
    NoCaller,
    /// The caller belongs to another member.
    OtherMember,
    /// As many connections as there may be are open, of everybody or of this caller.
    Crowded,
}

impl Rejected {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Handshake, Self::NoCaller, Self::OtherMember, Self::Crowded];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::NoCaller => "no_caller",
            Self::OtherMember => "other_member",
            Self::Crowded => "crowded",
        }
    }
}

/// What the journal takes in. The number is the metric's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalState {
    /// Every change.
    Open = 0,
    /// Lifts and what else may use the reserve: the disk is full.
    Full = 1,
    /// Nothing, until the file was read again.
    Failed = 2,
}

impl JournalState {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Open,
            1 => Self::Full,
            _ => Self::Failed,
        }
    }
}

/// Everything that is counted, of all workers.
#[derive(Default)]
pub struct Metrics {
    workers: Mutex<Vec<Arc<Mutex<WorkerStats>>>>,
    /// Hits of sets that no longer decide.
    past_rules: Mutex<BTreeMap<String, RuleHits>>,
    rejected: [AtomicU64; Rejected::ALL.len()],
    connections: AtomicU64,
    commits: Mutex<Option<Histogram<u64>>>,
    records: AtomicU64,
    journal_failures: AtomicU64,
    snapshots: AtomicU64,
    snapshot_failures: AtomicU64,
    journal_state: AtomicU8,
    audited: AtomicU64,
    audit_failures: AtomicU64,
    reloads: AtomicU64,
    reload_failures: AtomicU64,
    last_reload_failed: std::sync::atomic::AtomicBool,
}

impl Metrics {
    /// The counters of one more worker.
    pub fn worker(&self) -> Arc<Mutex<WorkerStats>> {
        let stats = Arc::new(Mutex::new(WorkerStats::default()));
        lock(&self.workers).push(stats.clone());
        stats
    }

    /// What all workers have counted together.
    pub fn total(&self) -> WorkerStats {
        let mut total = WorkerStats::default();
        for worker in lock(&self.workers).iter() {
            total.add(&lock(worker));
        }
        total
    }

    /// Hits by rule id, of every set that decided so far.
    pub fn rule_hits(&self) -> BTreeMap<String, RuleHits> {
        self.settle_rules();
        let mut sums = lock(&self.past_rules).clone();
        for worker in lock(&self.workers).iter() {
            let current = lock(worker).rules.current();
            current.into_iter().for_each(|counts| counts.add_to(&mut sums));
        }
        sums
    }

    /// Adds up what workers have counted under sets that no longer decide. Workers wait for none of it.
    pub fn settle_rules(&self) {
        for worker in lock(&self.workers).iter() {
            let closed = lock(worker).rules.take_closed();
            let mut past = lock(&self.past_rules);
            closed.into_iter().for_each(|counts| counts.add_to(&mut past));
        }
    }

    /// Counts a connection that was not let in.
    pub fn rejected(&self, why: Rejected) {
        self.rejected[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that were not let in.
    pub fn rejections(&self, why: Rejected) -> u64 {
        self.rejected[why as usize].load(Ordering::Relaxed)
    }

    /// Counts a connection that begins (`true`) or ends.
    pub fn connection(&self, begins: bool) {
        if begins {
            self.connections.fetch_add(1, Ordering::Relaxed);
        } else {
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Notes a durable commit.
    pub fn journal_committed(&self, took_ns: u64, records: usize) {
        lock(&self.commits).get_or_insert_with(nanoseconds).saturating_record(took_ns);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// How long durable commits took, once there was one, and how many records they had.
    pub fn commits(&self) -> (Option<Histogram<u64>>, u64) {
        (lock(&self.commits).clone(), self.records.load(Ordering::Relaxed))
    }

    /// Notes that a snapshot was written, or could not be.
    pub fn snapshot_written(&self, succeeded: bool) {
        let counter = if succeeded { &self.snapshots } else { &self.snapshot_failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the journal could not be written.
    pub fn journal_failed(&self) {
        self.journal_failures.fetch_add(1, Ordering::Relaxed);
        self.journal_is(JournalState::Failed);
    }

    /// Notes what the journal takes in, and gives back what it was before.
    pub fn journal_is(&self, state: JournalState) -> JournalState {
        JournalState::of(self.journal_state.swap(state as u8, Ordering::Relaxed))
    }

    /// What the journal takes in.
    pub fn journal_state(&self) -> JournalState {
        JournalState::of(self.journal_state.load(Ordering::Relaxed))
    }

    /// Notes lines of the audit that are durable.
    pub fn audited(&self, lines: usize) {
        self.audited.fetch_add(lines as u64, Ordering::Relaxed);
    }

    /// Notes that the audit could not be written.
    pub fn audit_failed(&self) {
        self.audit_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a reload of rules or certificates.
    pub fn reloaded(&self, succeeded: bool) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.reload_failures.fetch_add(u64::from(!succeeded), Ordering::Relaxed);
        self.last_reload_failed.store(!succeeded, Ordering::Relaxed);
    }
}

/// The guarded value: whole between calls, so a panic while it was held left nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
