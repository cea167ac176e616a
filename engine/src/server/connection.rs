//! One task per connection: drain every readable stream, screen the whole batch, write all answers once.

use super::clock;
use super::decision_log::{Admission, Page};
use super::exchange::{self, Handled};
use super::journal::Reply;
use super::lane::{Lane, LaneTurn, Turn};
use super::recorder;
use super::worker::Shared;
use crate::exchanged;
use crate::ids::CallerNo;
use crate::metrics::{WorkerStats, lock};
use crate::recent::{Fresh, Reads};
use crate::rights::{Right, permits};
use crate::screen::{Asked, Scratch, Stage, StageObserver, Stopwatch, Unobserved, screen};
use crate::state::{ActiveRules, Moment};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, VarInt};
use sparr_protocol::aftermath::{FinalResult, Label};
use sparr_protocol::codes::Outcome;
use sparr_protocol::exchange::{ExchangeAnswer, ExchangeError, RecallOperation, Refusal, Said};
use sparr_protocol::frame::{CloseCode, Frame, FrameError, MessageKind, Next};
use sparr_protocol::ids::{Actor, RequestId};
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::response::{AuthorisationResponse, Degraded, NotScreened, Why};
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;

/// One request in so many has its stages timed: a look at the clock costs as much as a stage.
const STAGES_TIMED_EVERY: u32 = 16;

/// Serves a connection until it ends.
pub(super) async fn serve(
    connection: Connection,
    actor: Actor,
    caller: CallerNo,
    shared: &Shared,
    stats: &Mutex<WorkerStats>,
) {
    let mut desk = Desk {
        actor,
        caller,
        shared,
        scratch: Scratch::default(),
        screened: 0,
        fresh: shared.recorder.batch(),
        reads: None,
        places: Vec::new(),
        silent: Vec::new(),
    };
    let mut lanes = FuturesUnordered::new();
    let mut readable: Vec<Lane> = Vec::new();
    let mut opening = pin!(connection.accept_bi());
    loop {
        let alive = poll_fn(|cx| {
            while let Poll::Ready(opened) = opening.as_mut().poll(cx) {
                let Ok((send, recv)) = opened else { return Poll::Ready(false) };
                lanes.push(LaneTurn::new(Lane::new(send, recv, clock::instant())));
                opening.set(connection.accept_bi());
            }
            while let Poll::Ready(Some(turn)) = lanes.poll_next_unpin(cx) {
                match turn {
                    Turn::Readable(lane) => readable.push(lane),
                    Turn::Gone => {}
                }
            }
            if readable.is_empty() { Poll::Pending } else { Poll::Ready(true) }
        });
        if !alive.await {
            return;
        }
        {
            // One look at rules, clock and counters serves the whole batch: no request in it mixes versions.
            let (rules, moment, may_screen) = (shared.state.rules(), clock::moment(), desk.may_screen());
            let batch = Batch { rules: rules.as_deref(), moment, may_screen };
            let mut stats = lock(stats);
            stats.serving(&desk.actor);
            for lane in &mut readable {
                desk.answer(lane, &batch, &mut stats);
            }
        }
        desk.hand_on();
        lanes.extend(readable.drain(..).map(LaneTurn::new));
    }
}

/// What all requests of a batch have in common.
struct Batch<'a> {
    rules: Option<&'a ActiveRules>,
    moment: Moment,
    /// Whether the caller may screen: looked at for each batch, because a suspension acts at once.
    may_screen: bool,
}

/// Answers one caller's frames.
struct Desk<'a> {
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

impl Desk<'_> {
    fn may_screen(&self) -> bool {
        let Shared { state, member, .. } = self.shared;
        let kind = state.members.acting_kind(self.actor.member);
        kind.is_some_and(|kind| permits(kind, self.actor.role, Right::Screen, self.actor.member == *member))
    }

    /// Answers every whole frame in a stream's inbox, in order.
    fn answer(&mut self, lane: &mut Lane, batch: &Batch<'_>, stats: &mut WorkerStats) {
        let inbox = std::mem::take(&mut lane.inbox);
        let mut at = lane.skip.min(inbox.len());
        lane.skip -= at;
        let mut sane = true;
        while sane && lane.skip == 0 {
            match Next::parse(&inbox[at..], REQUEST_FRAME_BYTES_MAX) {
                Next::Frame { frame, consumed } => {
                    at += consumed;
                    sane = self.answer_frame(&frame, lane, batch, stats);
                }
                Next::TooLarge { id, skip } => {
                    self.not_screened(id, Why::TooLarge, lane, batch, stats);
                    let here = skip.min(inbox.len() - at);
                    at += here;
                    lane.skip = skip - here;
                }
                Next::Incomplete(_) => break,
            }
        }
        let rest = &inbox[at..];
        if lane.ended && sane && !(rest.is_empty() && lane.skip == 0) {
            // The client ended its side in the middle of a frame.
            let id = rest
                .get(8..24)
                .and_then(|id| id.first_chunk())
                .map_or(RequestId::UNREADABLE, |id| RequestId(*id));
            self.not_screened(id, Why::FrameMalformed, lane, batch, stats);
        }
        lane.inbox = inbox;
        lane.inbox.drain(..at);
        if !sane {
            lane.hang_up(VarInt::from_u32(CloseCode::FrameMalformed.wire().into()));
        }
    }

    /// Answers one frame. `false` where the stream can no longer be trusted to be in step.
    fn answer_frame(
        &mut self,
        frame: &Frame<'_>,
        lane: &mut Lane,
        batch: &Batch<'_>,
        stats: &mut WorkerStats,
    ) -> bool {
        self.shared.frames.fetch_add(1, Ordering::Relaxed);
        let id = frame.id();
        match frame.open() {
            Ok((MessageKind::Screen, message)) => {
                if batch.may_screen {
                    self.screen(message, lane, batch, stats);
                } else {
                    self.not_screened(id, Why::NotPermitted, lane, batch, stats);
                }
            }
            Ok((MessageKind::Exchange, message)) => self.exchange(id, message, lane, stats),
            Ok((MessageKind::FinalResult, message)) => {
                match self.told(Right::FinalResult, || FinalResult::decode(message)) {
                    Ok(result) => self.shared.recorder.result(result, self.late_reply(id, lane)),
                    Err(refusal) => self.refuse(id, refusal, lane, stats),
                }
            }
            Ok((MessageKind::Label, message)) => match self.told(Right::Label, || Label::decode(message)) {
                Ok(label) => self.shared.recorder.label(label, self.late_reply(id, lane)),
                Err(refusal) => self.refuse(id, refusal, lane, stats),
            },
            // Answers are what an engine sends.
            Ok((MessageKind::ScreenAnswer | MessageKind::ExchangeAnswer, _)) | Err(FrameError::Kind(_)) => {
                self.refuse(id, Refusal::UnknownKind, lane, stats);
            }
            Err(FrameError::Version(_)) => self.not_screened(id, Why::WrongVersion, lane, batch, stats),
            Err(FrameError::Checksum) => {
                self.not_screened(id, Why::FrameMalformed, lane, batch, stats);
                return false;
            }
        }
        true
    }

    fn screen(&mut self, message: &[u8], lane: &mut Lane, batch: &Batch<'_>, stats: &mut WorkerStats) {
        let since_read = SinceRead(lane.read_at);
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
        self.send(&response, lane, stats);
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

    fn exchange(&mut self, id: RequestId, message: &[u8], lane: &mut Lane, stats: &mut WorkerStats) {
        let Shared { state, journal, looking, .. } = self.shared;
        match exchange::handle(id, message, &self.actor, state, looking, stats) {
            Handled::Now(answers) => answers.iter().for_each(|answer| answer.encode(&mut lane.outbox)),
            Handled::Recall(operation) => self.recall(id, operation, lane, stats),
            Handled::Decisions(query) => {
                let page = self.late_page(id, lane);
                self.shared.decisions.submit(query, page);
            }
            Handled::Rules(operation) => {
                let reply = self.late_reply(id, lane);
                self.shared.rules.submit(self.actor.clone(), operation, reply);
            }
            Handled::Change { operation, intent } => {
                let reply = self.late_reply(id, lane);
                journal.submit(self.actor.clone(), operation, intent, reply);
            }
        }
    }

    /// Recalls that are known, and for who watches every other one.
    fn recall(&self, id: RequestId, operation: RecallOperation, lane: &mut Lane, stats: &mut WorkerStats) {
        let (recalls, position) = (&self.shared.recorder.recalls, self.shared.state.position());
        match operation {
            RecallOperation::List(after) => {
                let found = recalls.after(after).into_iter().map(|entry| Said::Recalled(Box::new(entry)));
                for said in found.chain([Said::End]) {
                    ExchangeAnswer { id, position, said }.encode(&mut lane.outbox);
                }
            }
            RecallOperation::Watch(after) => {
                if !recalls.watch(id, after, position, lane.expect_late_answers()) {
                    self.refuse(id, Refusal::Overloaded, lane, stats);
                }
            }
        }
    }

    /// How another thread answers an operation once it is carried out.
    fn late_reply(&self, id: RequestId, lane: &mut Lane) -> Reply {
        let page = self.late_page(id, lane);
        Box::new(move |said: Said| page(vec![said]))
    }

    /// The same where there are many answers.
    fn late_page(&self, id: RequestId, lane: &mut Lane) -> Page {
        let late = lane.expect_late_answer();
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
        lane: &mut Lane,
        batch: &Batch<'_>,
        stats: &mut WorkerStats,
    ) {
        let state = &self.shared.state;
        let staleness_ms = state.staleness_ms(clock::moment());
        let mut response = AuthorisationResponse {
            request_id: id,
            answer: Err(NotScreened::from(why)),
            rule_set_digest: batch.rules.map(|active| active.set.digest()).unwrap_or_default(),
            position: state.position(),
            staleness_ms,
            degraded: exchanged::degraded(staleness_ms),
            natural: None,
            checked: Default::default(),
            engine_us: clock::micros_since(lane.read_at),
        };
        self.scratch.forget();
        self.note(&[], batch, &mut response);
        self.send(&response, lane, stats);
    }

    fn send(&self, response: &AuthorisationResponse, lane: &mut Lane, stats: &mut WorkerStats) {
        stats.answered(response, clock::nanos_between(lane.read_at, clock::instant()));
        response.encode(&mut lane.outbox);
    }

    fn refuse(&self, id: RequestId, refusal: Refusal, lane: &mut Lane, stats: &mut WorkerStats) {
        stats.refused(refusal);
        let position = self.shared.state.position();
        ExchangeAnswer { id, position, said: Said::Refused(refusal) }.encode(&mut lane.outbox);
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
