//! Screening at a desk: what is asked, what becomes of it, and what is kept of it.

use super::{Batch, Desk};
use crate::exchanged;
use crate::metrics::WorkerStats;
use crate::recent::{Fresh, Reads};
use crate::sandbox;
use crate::screen::{Asked, Stage, StageObserver, Stopwatch, Unobserved, screen};
use crate::server::admission::{Ticket, Verdict};
use crate::server::clock;
use crate::server::decision_log::Admission;
use crate::server::lane::Tray;
use sparr_protocol::codes::Outcome;
use sparr_protocol::ids::RequestId;
use sparr_protocol::response::{AuthorisationResponse, Decided, Degraded, NotScreened, Why};
use sparr_protocol::view::RequestView;
use std::sync::Arc;
use std::time::Instant;

/// One request in so many has its stages timed: a look at the clock costs as much as a stage.
const STAGES_TIMED_EVERY: u32 = 16;

impl Desk<'_> {
    pub(super) fn screen(
        &mut self,
        message: &[u8],
        tray: &mut Tray,
        batch: &Batch<'_>,
        stats: &mut WorkerStats,
    ) {
        let now = || self.ticket.as_ref().map_or_else(clock::instant, Ticket::at);
        if let Some(rate) = &self.rate
            && let Err(retry_after_ms) = rate.take(now())
        {
            return self.shed(message, retry_after_ms, tray, batch, stats);
        }
        let verdict = self.ticket.as_mut().map_or(Verdict::Screen, |ticket| {
            ticket.judge(RequestView::deadline_us_of(message).unwrap_or_default(), spread(message))
        });
        let without_shadow = match verdict {
            Verdict::Screen => false,
            Verdict::WithoutShadow => true,
            Verdict::Refuse { retry_after_ms } => {
                return self.shed(message, retry_after_ms, tray, batch, stats);
            }
        };
        if self.shared.sandbox
            && let Ok(view) = RequestView::parse(message)
            && let Some(answer) = view.merchant_id().and_then(sandbox::forced)
        {
            return self.unscreened(view.request_id(), answer, Degraded::SANDBOX, tray, batch, stats);
        }
        let since_read = SinceRead(tray.read_at);
        let asked =
            Asked { caller: self.caller, moment: batch.moment, since_read: &since_read, without_shadow };
        let (state, scratch) = (&*self.shared.state, &mut self.scratch);
        self.screened = self.screened.wrapping_add(1);
        let mut response = if self.screened.is_multiple_of(STAGES_TIMED_EVERY) {
            let mut timer = StageTimer { since: clock::instant(), stats };
            screen(message, asked, state, batch.rules, scratch, &mut timer)
        } else {
            screen(message, asked, state, batch.rules, scratch, &mut Unobserved)
        };
        if let Some(rules) = batch.rules {
            stats.hit(&rules.set, scratch.hits());
        }
        self.note(message, batch, &mut response);
        let now = self.send(&response, tray, stats);
        if let Some(ticket) = &mut self.ticket {
            ticket.screened(now);
        }
    }

    /// Refuses a request that the worker has no time for, and does nothing else: it is counted, and neither kept nor logged,
    /// which its answer says. No clock is looked at for it.
    fn shed(
        &self,
        message: &[u8],
        retry_after_ms: u32,
        tray: &mut Tray,
        batch: &Batch<'_>,
        stats: &mut WorkerStats,
    ) {
        let state = &self.shared.state;
        let staleness_ms = state.staleness_ms(batch.moment);
        let waited_ns =
            self.ticket.as_ref().map_or(0, |ticket| clock::nanos_between(tray.read_at, ticket.at()));
        let mut response = AuthorisationResponse {
            request_id: message.first_chunk().map_or(RequestId::UNREADABLE, |id| RequestId(*id)),
            answer: Err(NotScreened { retry_after_ms, ..Why::Overloaded.into() }),
            rule_set_digest: batch.rules.map(|active| active.set.digest()).unwrap_or_default(),
            position: state.position(),
            staleness_ms,
            degraded: exchanged::degraded(staleness_ms),
            natural: None,
            checked: Default::default(),
            engine_us: u32::try_from(waited_ns / 1_000).unwrap_or(u32::MAX),
        };
        response.degraded.insert(Degraded::UNLOGGED);
        stats.answered(&response, waited_ns);
        response.encode(&mut tray.outbox);
    }

    /// Takes a place in the decision log for an answer, or says in it that it has none, and puts it with the others of its
    /// batch for the recorder.
    pub(super) fn note(&mut self, message: &[u8], batch: &Batch<'_>, response: &mut AuthorisationResponse) {
        let is_declined = response.answer.is_ok_and(|decided| decided.outcome == Outcome::Decline);
        let matters = is_declined || !self.scratch.basis().flags.is_empty();
        let log = self.shared.recorder.log.as_ref();
        let admission = log.map_or(Admission::Unlogged, |log| log.admit(matters, batch.moment.now));
        match admission {
            Admission::Logged => {}
            Admission::Doubtful | Admission::Unlogged => response.degraded.insert(Degraded::UNLOGGED),
        }
        if !self.shared.recorder.listens() {
            return;
        }
        if let Some(rules) = batch.rules
            && self.reads.as_ref().is_none_or(|reads| reads.digest != rules.set.digest())
        {
            self.reads = Some(Arc::new(Reads::of(&rules.set)));
        }
        let hits = self.scratch.hits();
        self.places.clear();
        self.places.extend(hits.enforced.iter().chain(&hits.shadow).map(|place| *place as u16));
        self.silent.clear();
        self.silent.extend(self.scratch.silent().iter().map(|place| *place as u16));
        let fresh = Fresh {
            message,
            moment: batch.moment,
            caller: self.caller,
            response: *response,
            noted: self.scratch.noted(),
            readings: self.scratch.readings(),
            hits: &self.places,
            enforced: hits.enforced.len(),
            silent: &self.silent,
            basis: Some(self.scratch.basis()),
            reads: self.reads.as_ref(),
        };
        self.fresh.push(&fresh, admission != Admission::Unlogged);
    }

    /// Hands what was screened in this batch to the recorder.
    pub(super) fn hand_on(&mut self) {
        if !self.fresh.is_empty() {
            let next = self.shared.recorder.batch();
            self.shared.recorder.screened(std::mem::replace(&mut self.fresh, next));
        }
    }

    pub(super) fn not_screened(
        &mut self,
        id: RequestId,
        why: Why,
        tray: &mut Tray,
        batch: &Batch<'_>,
        stats: &mut WorkerStats,
    ) {
        let why = Err(NotScreened::from(why));
        self.unscreened(id, why, Degraded::default(), tray, batch, stats);
    }

    /// Answers a request that was not looked at.
    pub(super) fn unscreened(
        &mut self,
        id: RequestId,
        answer: Result<Decided, NotScreened>,
        so: Degraded,
        tray: &mut Tray,
        batch: &Batch<'_>,
        stats: &mut WorkerStats,
    ) {
        let state = &self.shared.state;
        let staleness_ms = state.staleness_ms(batch.moment);
        let mut response = AuthorisationResponse {
            request_id: id,
            answer,
            rule_set_digest: batch.rules.map(|active| active.set.digest()).unwrap_or_default(),
            position: state.position(),
            staleness_ms,
            degraded: exchanged::degraded(staleness_ms),
            natural: None,
            checked: Default::default(),
            engine_us: clock::micros_since(tray.read_at),
        };
        response.degraded.insert(so);
        self.scratch.forget();
        self.note(&[], batch, &mut response);
        self.send(&response, tray, stats);
    }

    /// Sends an answer, and says what time it is.
    fn send(&self, response: &AuthorisationResponse, tray: &mut Tray, stats: &mut WorkerStats) -> Instant {
        let now = clock::instant();
        stats.answered(response, clock::nanos_between(tray.read_at, now));
        response.encode(&mut tray.outbox);
        now
    }
}

/// A number of a request's own, whatever its id looks like: gateways that are refused together come back one by one.
fn spread(message: &[u8]) -> u32 {
    let id = message.first_chunk().map_or(0, |id| u128::from_le_bytes(*id));
    let folded = (id as u64) ^ (id >> 64) as u64;
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

/// Since a stream's newest bytes were read.
struct SinceRead(Instant);

impl Stopwatch for SinceRead {
    fn elapsed_us(&self) -> u32 {
        clock::micros_since(self.0)
    }
}

/// Times the stages of one screening.
struct StageTimer<'a> {
    since: Instant,
    stats: &'a mut WorkerStats,
}

impl StageObserver for StageTimer<'_> {
    fn ended(&mut self, stage: Stage) {
        let now = clock::instant();
        self.stats.stage(stage, clock::nanos_between(self.since, now));
        self.since = now;
    }
}
