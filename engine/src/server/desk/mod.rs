//! A caller's desk: answers frames, whatever door they came in by.

mod screening;
mod told;

use super::admission::{Alone, Rate, Ticket};
use super::clock;
use super::lane::Tray;
use super::recorder;
use super::worker::Shared;
use crate::ids::CallerNo;
use crate::metrics::{WorkerStats, lock};
use crate::recent::Reads;
use crate::rights::{Right, permits};
use crate::screen::Scratch;
use crate::state::{ActiveRules, Moment};
use quinn::VarInt;
use sparr_protocol::aftermath::{FinalResult, Label};
use sparr_protocol::exchange::Refusal;
use sparr_protocol::frame::{CloseCode, Frame, FrameError, MessageKind, Next};
use sparr_protocol::ids::{Actor, RequestId};
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::response::Why;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

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
    /// How many screenings the caller may ask for in a second, where there is a bound.
    rate: Option<Arc<Rate>>,
    /// Its place among those who share a worker.
    ticket: Option<Ticket>,
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
            rate: shared.rates.of(&actor),
            ticket: None,
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

    /// The same desk at a worker that takes on what it can answer in time.
    pub(super) fn at(self, ticket: Ticket) -> Self {
        Self { ticket: Some(ticket), ..self }
    }

    /// Waits for a turn where the caller crowds others; it ends with what this gives back.
    pub(super) async fn alone(&self) -> Option<Alone> {
        self.ticket.as_ref()?.alone().await
    }

    /// Answers every whole frame on these trays. One look at rules, clock and counters serves them all: no request among
    /// them mixes versions.
    pub(super) fn turn<'t>(&mut self, trays: impl Iterator<Item = &'t mut Tray>, stats: &Mutex<WorkerStats>) {
        let rules = self.shared.state.rules();
        let may_screen = self.may_screen();
        let batch = Batch { rules: rules.as_deref(), moment: clock::moment(), may_screen };
        if let Some(ticket) = &mut self.ticket {
            ticket.turn(clock::instant());
        }
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
}
