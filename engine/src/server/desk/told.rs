//! What a desk is told and asked beside screenings: results, labels and the operations of the exchange.

use super::Desk;
use crate::metrics::WorkerStats;
use crate::rights::{Right, permits};
use crate::server::decision_log::Page;
use crate::server::exchange::{self, Handled};
use crate::server::journal::Reply;
use crate::server::lane::Tray;
use crate::server::worker::Shared;
use sparr_protocol::exchange::{ExchangeAnswer, ExchangeError, RecallOperation, Refusal, Said};
use sparr_protocol::ids::RequestId;
use std::sync::atomic::Ordering;

impl Desk<'_> {
    /// Reads what somebody tells of a payment, if they may.
    pub(super) fn told<T>(
        &self,
        right: Right,
        decode: impl FnOnce() -> Result<T, ExchangeError>,
    ) -> Result<T, Refusal> {
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

    pub(super) fn exchange(
        &mut self,
        id: RequestId,
        message: &[u8],
        tray: &mut Tray,
        stats: &mut WorkerStats,
    ) {
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
    pub(super) fn recall(
        &self,
        id: RequestId,
        operation: RecallOperation,
        tray: &mut Tray,
        stats: &mut WorkerStats,
    ) {
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
    pub(super) fn late_reply(&self, id: RequestId, tray: &mut Tray) -> Reply {
        let page = self.late_page(id, tray);
        Box::new(move |said: Said| page(vec![said]))
    }

    /// The same where there are many answers.
    pub(super) fn late_page(&self, id: RequestId, tray: &mut Tray) -> Page {
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

    pub(super) fn refuse(&self, id: RequestId, refusal: Refusal, tray: &mut Tray, stats: &mut WorkerStats) {
        stats.refused(refusal);
        let position = self.shared.state.position();
        ExchangeAnswer { id, position, said: Said::Refused(refusal) }.encode(&mut tray.outbox);
    }
}
