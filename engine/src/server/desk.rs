//! A caller's desk: answers frames, whatever door they came in by.

use super::clock;
use super::decision_log::{Admission, Page};
use super::exchange::{self, Handled};
use super::journal::Reply;
use super::lane::Tray;
use super::recorder;
use super::worker::Shared;
use crate::exchanged;
use crate::ids::CallerNo;
use crate::metrics::{WorkerStats, lock};
use crate::recent::{Fresh, Reads};
use crate::rights::{Right, permits};
use crate::sandbox;
use crate::screen::{Asked, Scratch, Stage, StageObserver, Stopwatch, Unobserved, screen};
use crate::state::{ActiveRules, Moment};
use quinn::VarInt;
use sparr_protocol::aftermath::{FinalResult, Label};
use sparr_protocol::codes::Outcome;
use sparr_protocol::exchange::{ExchangeAnswer, ExchangeError, RecallOperation, Refusal, Said};
use sparr_protocol::frame::{CloseCode, Frame, FrameError, MessageKind, Next};
use sparr_protocol::ids::{Actor, RequestId};
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::response::{AuthorisationResponse, Decided, Degraded, NotScreened, Why};
use sparr_protocol::view::RequestView;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// One request in so many has its stages timed: a look at the clock costs as much as a stage.
const STAGES_TIMED_EVERY: u32 = 16;

/// What all requests of a batch have in common.
struct Batch<'a> {
    rules: Option<&'a ActiveRules>,
    moment: Moment,
    /// Whether the caller may screen: looked at for each batch, because a suspension acts at once.
    may_screen: bool,
}

/// Answers one caller's frames, whatever door they came in by.
pub(super) struct Desk<'a> {
    actor: Actor,
    caller: CallerNo,
    shared: &'a Shared,
    scratch: Scratch,
    screened: u32,
    /// What was screened in this batch, for the recorder.
    fresh: Box<recorder::Batch>,
    /// What the rule set of the last batch reads.
    reads: Option<Arc<Reads>>,
    /// Places of the rules that the last request hit.
    places: Vec<u16>,
    /// Places of those that exemptions silenced.
    silent: Vec<u16>,
}

impl<'a> Desk<'a> {
    /// The desk of a caller.
    pub(super) fn new(actor: Actor, caller: CallerNo, shared: &'a Shared) -> Self {
        Self {
            actor,
            caller,
            shared,
            scratch: Scratch::default(),
            screened: 0,
            fresh: shared.recorder.batch(),
            reads: None,
            places: Vec::new(),
            silent: Vec::new(),
        }
    }

    /// Answers every whole frame on these trays. One look at rules, clock and counters serves them all: no request among
    /// them mixes versions.
    pub(super) fn turn<'t>(&mut self, trays: impl Iterator<Item = &'t mut Tray>, stats: &Mutex<WorkerStats>) {
        let rules = self.shared.state.rules();
        let may_screen = self.may_screen();
        let batch = Batch { rules: rules.as_deref(), moment: clock::moment(), may_screen };
        {
            let mut stats = lock(stats);
            stats.serving(&self.actor);
            trays.for_each(|tray| self.answer(tray, &batch, &mut stats));
        }
        self.hand_on();
    }

    fn may_screen(&self) -> bool {
        let Shared { state, member, .. } = self.shared;
        let kind = state.members.acting_kind(self.actor.member);
        kind.is_some_and(|kind| permits(kind, self.actor.role, Right::Screen, self.actor.member == *member))
    }

    /// Answers every whole frame in a stream's inbox, in order.
    fn answer(&mut self, tray: &mut Tray, batch: &Batch<'_>, stats: &mut WorkerStats) {
        let inbox = std::mem::take(&mut tray.inbox);
        let mut at = tray.skip.min(inbox.len());
        tray.skip -= at;
        let mut sane = true;
        while sane && tray.skip == 0 {
            match Next::parse(&inbox[at..], REQUEST_FRAME_BYTES_MAX) {
                Next::Frame { frame, consumed } => {
                    at += consumed;
                    sane = self.answer_frame(&frame, tray, batch, stats);
                }
                Next::TooLarge { id, skip } => {
                    self.not_screened(id, Why::TooLarge, tray, batch, stats);
                    let here = skip.min(inbox.len() - at);
                    at += here;
                    tray.skip = skip - here;
                }
                Next::Incomplete(_) => break,
            }
        }
        let rest = &inbox[at..];
        if tray.ended && sane && !(rest.is_empty() && tray.skip == 0) {
            // The client ended its side in the middle of a frame.
            let id = rest
                .get(8..24)
                .and_then(|id| id.first_chunk())
                .map_or(RequestId::UNREADABLE, |id| RequestId(*id));
            self.not_screened(id, Why::FrameMalformed, tray, batch, stats);
        }
        tray.inbox = inbox;
        tray.inbox.drain(..at);
        if !sane {
            tray.hang_up(VarInt::from_u32(CloseCode::FrameMalformed.wire().into()));
        }
    }

    /// Answers one frame. `false` where the stream can no longer be trusted to be in step.
    fn answer_frame(
        &mut self,
        frame: &Frame<'_>,
        tray: &mut Tray,
        batch: &Batch<'_>,
        stats: &mut WorkerStats,
    ) -> bool {
        self.shared.frames.fetch_add(1, Ordering::Relaxed);
        let id = frame.id();
        match frame.open() {
            Ok((MessageKind::Screen, message)) => {
                if batch.may_screen {
                    self.screen(message, tray, batch, stats);
                } else {
                    self.not_screened(id, Why::NotPermitted, tray, batch, stats);
                }
            }
            Ok((MessageKind::Exchange, message)) => self.exchange(id, message, tray, stats),
            Ok((MessageKind::FinalResult, message)) => {
                match self.told(Right::FinalResult, || FinalResult::decode(message)) {
                    Ok(result) => self.shared.recorder.result(result, self.late_reply(id, tray)),
                    Err(refusal) => self.refuse(id, refusal, tray, stats),
                }
            }
            Ok((MessageKind::Label, message)) => match self.told(Right::Label, || Label::decode(message)) {
                Ok(label) => self.shared.recorder.label(label, self.late_reply(id, tray)),
                Err(refusal) => self.refuse(id, refusal, tray, stats),
            },
            // Answers are what an engine sends.
            Ok((MessageKind::ScreenAnswer | MessageKind::ExchangeAnswer, _)) | Err(FrameError::Kind(_)) => {
                self.refuse(id, Refusal::UnknownKind, tray, stats);
            }
            Err(FrameError::Version(_)) => self.not_screened(id, Why::WrongVersion, tray, batch, stats),
            Err(FrameError::Checksum) => {
                self.not_screened(id, Why::FrameMalformed, tray, batch, stats);
                return false;
            }
        }
        true
    }

    fn screen(&mut self, message: &[u8], tray: &mut Tray, batch: &Batch<'_>, stats: &mut WorkerStats) {
        if self.shared.sandbox
            && let Ok(view) = RequestView::parse(message)
            && let Some(answer) = view.merchant_id().and_then(sandbox::forced)
        {
            return self.unscreened(view.request_id(), answer, Degraded::SANDBOX, tray, batch, stats);
        }
        let since_read = SinceRead(tray.read_at);
        let asked = Asked { caller: self.caller, moment: batch.moment, since_read: &since_read };
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
        self.send(&response, tray, stats);
    }

    /// Takes a place in the decision log for an answer, or says in it that it has none, and puts it with the others of its
    /// batch for the recorder.
    fn note(&mut self, message: &[u8], batch: &Batch<'_>, response: &mut AuthorisationResponse) {
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
    fn hand_on(&mut self) {
        if !self.fresh.is_empty() {
            let next = self.shared.recorder.batch();
            self.shared.recorder.screened(std::mem::replace(&mut self.fresh, next));
        }
    }

    /// Reads what somebody tells of a payment, if they may.
    fn told<T>(&self, right: Right, decode: impl FnOnce() -> Result<T, ExchangeError>) -> Result<T, Refusal> {
        let Shared { state, member, .. } = self.shared;
        let kind = state.members.acting_kind(self.actor.member).ok_or(Refusal::MemberSuspended)?;
        if !permits(kind, self.actor.role, right, self.actor.member == *member) {
            return Err(Refusal::NotPermitted);
        }
        if !state.is_ready() {
            return Err(Refusal::NotReady);
        }
        decode().map_err(exchange::refusal)
    }

    fn exchange(&mut self, id: RequestId, message: &[u8], tray: &mut Tray, stats: &mut WorkerStats) {
        let Shared { state, journal, looking, .. } = self.shared;
        match exchange::handle(id, message, &self.actor, state, looking, stats) {
            Handled::Now(answers) => answers.iter().for_each(|answer| answer.encode(&mut tray.outbox)),
            Handled::Recall(operation) => self.recall(id, operation, tray, stats),
            Handled::Decisions(query) => {
                let page = self.late_page(id, tray);
                self.shared.decisions.submit(query, page);
            }
            Handled::Rules(operation) => {
                let reply = self.late_reply(id, tray);
                self.shared.rules.submit(self.actor.clone(), operation, reply);
            }
            Handled::Change { operation, intent } => {
                let reply = self.late_reply(id, tray);
                journal.submit(self.actor.clone(), operation, intent, reply);
            }
        }
    }

    /// Recalls that are known, and for who watches every other one.
    fn recall(&self, id: RequestId, operation: RecallOperation, tray: &mut Tray, stats: &mut WorkerStats) {
        let (recalls, position) = (&self.shared.recorder.recalls, self.shared.state.position());
        match operation {
            RecallOperation::List(after) => {
                let found = recalls.after(after).into_iter().map(|entry| Said::Recalled(Box::new(entry)));
                for said in found.chain([Said::End]) {
                    ExchangeAnswer { id, position, said }.encode(&mut tray.outbox);
                }
            }
            RecallOperation::Watch(after) => {
                if !recalls.watch(id, after, position, tray.expect_late_answers()) {
                    self.refuse(id, Refusal::Overloaded, tray, stats);
                }
            }
        }
    }

    /// How another thread answers an operation once it is carried out.
    fn late_reply(&self, id: RequestId, tray: &mut Tray) -> Reply {
        let page = self.late_page(id, tray);
        Box::new(move |said: Said| page(vec![said]))
    }

    /// The same where there are many answers.
    fn late_page(&self, id: RequestId, tray: &mut Tray) -> Page {
        let late = tray.expect_late_answer();
        let (state, waiting) = (self.shared.state.clone(), self.shared.waiting.clone());
        waiting.fetch_add(1, Ordering::Relaxed);
        Box::new(move |all: Vec<Said>| {
            let mut frames = Vec::new();
            let position = state.position();
            all.into_iter().for_each(|said| ExchangeAnswer { id, position, said }.encode(&mut frames));
            // A client that has gone does not hear that its change is durable; it may ask again.
            let _ = late.send(frames);
            waiting.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn not_screened(
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
    fn unscreened(
        &mut self,
        id: RequestId,
        answer: Result<Decided, NotScreened>,
        so: Degraded,
        tray: &mut Tray,
        batch: &Batch<'_>,
        stats: &mut WorkerStats,
    ) {
        let state = &self.shared.state;
        let staleness_ms = state.staleness_ms(clock::moment());
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

    fn send(&self, response: &AuthorisationResponse, tray: &mut Tray, stats: &mut WorkerStats) {
        stats.answered(response, clock::nanos_between(tray.read_at, clock::instant()));
        response.encode(&mut tray.outbox);
    }

    fn refuse(&self, id: RequestId, refusal: Refusal, tray: &mut Tray, stats: &mut WorkerStats) {
        stats.refused(refusal);
        let position = self.shared.state.position();
        ExchangeAnswer { id, position, said: Said::Refused(refusal) }.encode(&mut tray.outbox);
    }
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
