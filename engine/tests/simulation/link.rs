//! The way to the broker and back, and what the broker does with what it gets.

use crate::broker::Kept;
use crate::drive::{RECORDS, kind_of};
use crate::node::Owed;
use crate::plan::Fault;
use crate::sim::{Event, Outcome, Sim};
use sparr_engine::replication::{Body, EngineOf, Message, Place, Slot};
use std::rc::Rc;

/// After so long without an answer the link says that there was none.
const NO_ANSWER_MS: u64 = 2_000;

impl Sim {
    /// An engine hands a message to its link.
    pub(crate) fn publish(&mut self, node: usize, slot: Slot, id: Option<u64>, bytes: Rc<[u8]>) {
        let link = &self.nodes[node].link;
        let (is_up, cut_up, session) = (link.is_up, link.cut_up, link.session);
        let is_lost = self.loses(self.plan.publish_loss, Fault::PublishLost);
        if !is_up || cut_up || is_lost {
            // Sometimes the link does not even say so.
            if self.random.chance(60) {
                self.answer(node, id, false, if is_up { NO_ANSWER_MS } else { 1 });
            }
            return;
        }
        let at = self.time + self.random.between(0, 3);
        let link = &mut self.nodes[node].link;
        link.up_clock = link.up_clock.max(at);
        let at = link.up_clock;
        self.push(at, Event::Publish { node, session, slot, id, bytes });
    }

    fn answer(&mut self, node: usize, id: Option<u64>, stored: bool, after: u64) {
        if let (Some(id), Some(process)) = (id, &self.nodes[node].process) {
            let process = process.number;
            self.push(self.time + after, Event::Published { node, process, id, stored });
        }
    }

    /// A message reaches the broker.
    pub(crate) fn published_at_broker(
        &mut self,
        node: usize,
        session: u64,
        slot: Slot,
        id: Option<u64>,
        bytes: Rc<[u8]>,
    ) {
        let is_cut = self.nodes[node].link.cut_up;
        if !self.broker.is_up || is_cut {
            self.answer(node, id, false, NO_ANSWER_MS);
            return;
        }
        let message = (kind_of(&bytes) == RECORDS).then(|| Message::decode(&bytes, |_, _| true)).flatten();
        let records = match message {
            Some(Message { body: Body::Records(chunk), .. }) => {
                let origin = chunk.commit.origin;
                let last = Place { epoch: origin.epoch, sequence: chunk.commit.last_sequence };
                Some((EngineOf::of(origin), last))
            }
            Some(_) | None => None,
        };
        let replaced = self.broker.replaced;
        let place = self.broker.take(self.nodes[node].of, slot, bytes, records);
        if self.broker.replaced > replaced {
            self.hit(Fault::SlotReplaced);
        }
        if let Some(kept) = self.broker.get(place).cloned() {
            (0..self.nodes.len()).for_each(|to| self.deliver(to, place, &kept, true));
        }
        let same_link = self.nodes[node].link.session == session;
        if self.loses(self.plan.answer_loss, Fault::AnswerLost) || !same_link {
            self.answer(node, id, false, NO_ANSWER_MS);
        } else {
            let after = self.random.between(1, 3);
            self.answer(node, id, true, after);
        }
    }

    /// A message of the stream sets out for an engine.
    pub(crate) fn deliver(&mut self, node: usize, place: u64, kept: &Kept, may_fail: bool) {
        let link = &self.nodes[node].link;
        if !link.is_up || self.nodes[node].process.is_none() {
            return;
        }
        let (session, sent) = (link.session, self.time);
        let event = |bytes: Rc<[u8]>| Event::Deliver { node, session, place, at: sent, bytes };
        self.nodes[node].link.delivered = place;
        if may_fail && self.loses(self.plan.stream_loss, Fault::StreamLost) {
            return;
        }
        if may_fail && self.loses(self.plan.duplicates, Fault::Duplicated) {
            let again = self.time + self.random.between(1, 300);
            self.push(again, event(kept.bytes.clone()));
        }
        if may_fail && self.loses(self.plan.overtaking, Fault::Overtaken) {
            let late = self.time + self.random.between(5, 200);
            self.push(late, event(kept.bytes.clone()));
            return;
        }
        let at = self.time + self.random.between(0, 3);
        let link = &mut self.nodes[node].link;
        link.down_clock = link.down_clock.max(at);
        let at = link.down_clock;
        let me = self.nodes[node].of;
        if let (Some((of, last)), Some(process)) = (kept.records, &mut self.nodes[node].process)
            && (of != me || last.epoch != process.epoch)
        {
            // What was lost and comes again after all is owed from now on.
            process.owed.insert((sent, place), Owed { of, last, session });
        }
        self.push(at, event(kept.bytes.clone()));
    }

    /// An engine sends another one a message, at most once.
    pub(crate) fn send(&mut self, node: usize, to: EngineOf, bytes: Rc<[u8]>) {
        let Some(at) = self.nodes.iter().position(|other| other.of == to) else { return };
        let (from, mailbox) = (&self.nodes[node].link, &self.nodes[at].link);
        let goes = from.is_up && !from.cut_up && self.broker.is_up && mailbox.is_up && !mailbox.cut_down;
        if !goes || self.loses(self.plan.mail_loss, Fault::MailLost) {
            return;
        }
        if self.loses(self.plan.duplicates, Fault::Duplicated) {
            let again = self.time + self.random.between(1, 500);
            self.push(again, Event::Mail { node: at, bytes: bytes.clone() });
        }
        let slow = if self.random.chance(5) { 200 } else { 5 };
        let comes = self.time + self.random.between(1, slow);
        self.push(comes, Event::Mail { node: at, bytes });
    }

    pub(crate) fn link_lost(&mut self, node: usize, session: u64) -> Outcome {
        if self.nodes[node].link.session != session || !self.nodes[node].link.is_up {
            return Ok(());
        }
        let link = &mut self.nodes[node].link;
        (link.is_up, link.session) = (false, session + 1);
        if let Some(process) = &mut self.nodes[node].process {
            process.replica.handle_down();
            process.caught_up = false;
            process.positions.clear();
            let unanswered: Vec<u64> = process.unanswered.keys().copied().collect();
            for id in unanswered {
                self.answer(node, Some(id), false, 1);
            }
        }
        let again = self.time + self.random.between(50, 500);
        self.push(again, Event::Relink { node });
        self.drive(node)
    }

    pub(crate) fn relink(&mut self, node: usize) -> Outcome {
        let now = self.now(node);
        let link = &self.nodes[node].link;
        if link.is_up || self.nodes[node].process.is_none() {
            return Ok(());
        }
        if !self.broker.is_up || link.cut_up || link.cut_down {
            self.push(self.time + 200, Event::Relink { node });
            return Ok(());
        }
        let is_another = link.generation != self.broker.generation;
        let goes_on = link.delivered > 0 && !is_another && self.random.chance(50);
        let link = &mut self.nodes[node].link;
        link.is_up = true;
        link.session += 1;
        link.generation = self.broker.generation;
        let from = if goes_on { link.delivered } else { 0 };
        let session = link.session;
        if let Some(process) = &mut self.nodes[node].process {
            process.replica.handle_up(now);
            if is_another {
                process.replica.handle_stream_reset();
            }
        }
        self.catch_up(node, from);
        let at = self.nodes[node].link.down_clock;
        self.push(at, Event::CaughtUp { node, session });
        self.drive(node)
    }

    /// Everything that the stream holds after a place sets out for an engine.
    fn catch_up(&mut self, node: usize, after: u64) {
        let link = &mut self.nodes[node].link;
        link.down_clock = link.down_clock.max(self.time);
        for (place, kept) in self.broker.after(after) {
            self.deliver(node, place, &kept, false);
        }
    }

    /// An engine notices that the stream is another than the one it knew.
    pub(crate) fn stream_reset(&mut self, node: usize, session: u64) -> Outcome {
        let link = &mut self.nodes[node].link;
        if link.session != session || !link.is_up {
            return Ok(());
        }
        link.generation = self.broker.generation;
        if let Some(process) = &mut self.nodes[node].process {
            process.replica.handle_stream_reset();
        }
        self.catch_up(node, 0);
        self.drive(node)
    }

    /// A cut is over.
    pub(crate) fn mend(&mut self, node: usize) {
        let link = &mut self.nodes[node].link;
        (link.cut_up, link.cut_down) = (false, false);
    }

    pub(crate) fn broker_back(&mut self) {
        self.broker.is_up = true;
    }
}
