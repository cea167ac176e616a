//! What a replica is told and what becomes of its wishes: the part of the shell.

use crate::authority::seal;
use crate::node::{Job, Queued};
use crate::plan::{Control, Fault};
use crate::sim::{Event, Outcome, Sim};
use sparr_engine::journal::Sealed;
use sparr_engine::replication::{Body, Effect, EngineOf, Message, Now, Place, Reader, Slot};
use std::rc::Rc;

/// Bytes before what a message says: version, seal, sender.
const BODY_AT: usize = 1 + 16 + 24 + 2 + 4;
pub(crate) const RECORDS: u8 = 1;
const BEAT: u8 = 2;
const POSITION: u8 = 3;

/// What kind of message it is.
pub(crate) fn kind_of(bytes: &[u8]) -> u8 {
    bytes.get(BODY_AT).copied().unwrap_or(0)
}

/// A message as whoever holds the network key reads it.
fn open(bytes: &[u8]) -> Option<Message> {
    Message::decode(bytes, |content, with| seal(content) == *with)
}

impl Sim {
    /// The clocks of an engine now.
    pub(crate) fn now(&self, node: usize) -> Now {
        let now = self.nodes[node].now(self.time);
        if let Some(process) = &self.nodes[node].process {
            process.standing.wall.set(now.wall_ms);
        }
        now
    }

    /// Whether an engine still runs as the process that something was meant for.
    pub(crate) fn runs(&self, node: usize, process: u64) -> bool {
        self.nodes[node].process.as_ref().is_some_and(|running| running.number == process)
    }

    pub(crate) fn wake(&mut self, node: usize, process: u64) -> Outcome {
        match &mut self.nodes[node].process {
            Some(running) if running.number == process && running.wake_at == self.time => {
                running.wake_at = u64::MAX;
                self.drive(node)
            }
            Some(running) if running.number == process && running.wake_at < self.time => {
                // It was paused.
                running.wake_at = u64::MAX;
                self.drive(node)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Has a replica do everything that is due.
    pub(crate) fn drive(&mut self, node: usize) -> Outcome {
        let now = self.now(node);
        while let Some(process) = &mut self.nodes[node].process {
            let Some(effect) = process.replica.poll(now) else { break };
            self.effect(node, effect)?;
        }
        let (time, of) = (self.time, self.nodes[node].of);
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let at = process.replica.poll_at();
        if at <= now.steady_ms {
            return Err(format!(
                "{of} wants to be polled at {at} again, which is {} ms ago",
                now.steady_ms - at
            ));
        }
        let at = if at == u64::MAX { u64::MAX } else { at - process.steady_base };
        if at < process.wake_at {
            process.wake_at = at;
            let process = process.number;
            self.push(at.max(time + 1), Event::Wake { node, process });
        }
        self.check_bounds(node)?;
        self.check_freshness(node)
    }

    fn effect(&mut self, node: usize, effect: Effect) -> Outcome {
        match effect {
            Effect::Broadcast { slot, id, bytes } => self.broadcast(node, slot, id, bytes.into()),
            Effect::Send { to, bytes } => {
                self.send(node, to, bytes.into());
                Ok(())
            }
            Effect::Store { commit, records } => self.arrives(node, commit, records),
            Effect::Read { reader, of, after, chunks, chunk_bytes } => {
                let late = if self.random.chance(3) { 500 } else { 10 };
                let time = self.time + self.random.between(1, late);
                let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
                process.reads += 1;
                let process = process.number;
                self.push(time, Event::Read { node, process, reader, of, after, chunks, bytes: chunk_bytes });
                Ok(())
            }
            Effect::Renew { above } => self.renew(node, above),
            Effect::Joined => self.joined(node),
        }
    }

    /// Gives the journal something to do.
    pub(crate) fn queue(&mut self, node: usize, job: Job) {
        let (number, time) = (self.number(), self.time);
        let takes = match &job {
            Job::Own { .. } => self.random.between(1, 5),
            Job::Foreign { .. } => self.random.between(1, 20),
        };
        let Some(process) = &mut self.nodes[node].process else { return };
        process.jobs_until = process.jobs_until.max(time) + takes;
        process.jobs.push_back(Queued { number, job });
        let (at, process) = (process.jobs_until, process.number);
        self.push(at, Event::Journal { node, process, job: number });
    }

    fn broadcast(&mut self, node: usize, slot: Slot, id: Option<u64>, bytes: Rc<[u8]>) -> Outcome {
        let time = self.time;
        if slot == Slot::Position
            && let Some(Message { from, body: Body::Position { position, .. } }) = open(&bytes)
        {
            let heads = Rc::new(self.nodes[node].disk.heads());
            self.ledger.said.insert((from, position.number), heads);
        }
        if let (Some(id), Some(process)) = (id, &mut self.nodes[node].process) {
            process.unanswered.insert(id, time);
        }
        self.publish(node, slot, id, bytes);
        Ok(())
    }

    /// The stream brings a message.
    pub(crate) fn delivered(&mut self, node: usize, session: u64, key: (u64, u64), bytes: &[u8]) -> Outcome {
        let link = &self.nodes[node].link;
        let comes = link.session == session && link.is_up && !link.cut_down;
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        if !comes {
            if process.owed.get(&key).is_some_and(|owed| owed.session == session) {
                process.owed.remove(&key);
            }
            return Ok(());
        }
        // What comes from who is suspended is not listened to: it is not owed.
        if let Some(owed) = process.owed.get(&key)
            && process.state.members.acting_kind(owed.of.member).is_none()
        {
            process.owed.remove(&key);
        }
        self.comes(node, bytes)
    }

    /// The mailbox brings a message.
    pub(crate) fn mailed(&mut self, node: usize, bytes: &[u8]) -> Outcome {
        let link = &self.nodes[node].link;
        if !link.is_up || link.cut_down {
            return Ok(());
        }
        self.comes(node, bytes)
    }

    fn comes(&mut self, node: usize, bytes: &[u8]) -> Outcome {
        let (now, time) = (self.now(node), self.time);
        let of = self.nodes[node].of;
        let kind = kind_of(bytes);
        if self.control == Control::NoNews && (kind == BEAT || kind == POSITION) {
            let own = open(bytes).is_some_and(|message| EngineOf::of(message.from) == of);
            if !own {
                return Ok(());
            }
        }
        if self.control == Control::GapsTaken && kind == RECORDS && self.take_despite_gap(node, bytes) {
            return Ok(());
        }
        let said = &self.ledger.said;
        let node_at = &mut self.nodes[node];
        let Some(process) = &mut node_at.process else { return Ok(()) };
        let is_joined = process.is_joined;
        process.replica.handle_message(bytes, now);
        if let Some(Message { from, body }) = open(bytes) {
            let sender = EngineOf::of(from);
            if is_joined && process.state.members.acting_kind(sender.member).is_none() {
                return self.drive(node);
            }
            let life = node_at.heard_lives.entry(sender).or_default();
            let is_late = *life > from.epoch;
            *life = (*life).max(from.epoch);
            if sender != of {
                if !is_late {
                    process.heard.insert(sender, time);
                }
                if let Body::Position { position, .. } = &body
                    && position.is_whole
                    && process.caught_up
                    && let Some(heads) = said.get(&(from, position.number))
                {
                    // Who was a stranger when a later life was heard knows of no later life: then this is what it has.
                    let is_newer = |(known, _): &(_, _)| *known < (from.epoch, position.number);
                    let known = process.positions.get(&sender);
                    if known.is_none() || !is_late && known.is_some_and(is_newer) {
                        process.positions.insert(sender, ((from.epoch, position.number), heads.clone()));
                    }
                }
            }
        }
        self.drive(node)
    }

    /// What no engine may do: stores records although others before them are missing. Says whether it did.
    fn take_despite_gap(&mut self, node: usize, bytes: &[u8]) -> bool {
        let Some(Message { body: Body::Records(chunk), .. }) = open(bytes) else { return false };
        let commit = &chunk.commit;
        let of = EngineOf::of(commit.origin);
        if self.nodes[node].disk.last(of, commit.origin.epoch) + 1 >= commit.first_sequence {
            return false;
        }
        let made = self.ledger.order.iter().filter_map(|digest| self.ledger.made.get(digest));
        let covered = |sealed: &&Sealed| {
            sealed.record.origin == commit.origin
                && (commit.first_sequence..=commit.last_sequence).contains(&sealed.record.sequence)
        };
        let records: Vec<_> = made.map(|made| &made.sealed).filter(covered).cloned().collect();
        let is_own = of == self.nodes[node].of;
        if records.is_empty() || is_own {
            return false;
        }
        self.queue(node, Job::Foreign { commit: chunk.commit, records });
        true
    }

    /// The journal has read for somebody.
    pub(crate) fn journal_read(
        &mut self,
        node: usize,
        process: u64,
        reader: Reader,
        (of, after): (EngineOf, Place),
        (chunks, bytes): (usize, usize),
    ) -> Outcome {
        if !self.runs(node, process) {
            return Ok(());
        }
        let now = self.now(node);
        let node_at = &mut self.nodes[node];
        // Short chunks, so that a question is answered with several.
        let chunks = node_at.disk.chunks(of, after, chunks, bytes.min(2_000));
        if let Some(process) = &mut node_at.process {
            process.reads -= 1;
            process.replica.handle_read(reader, of, chunks, now);
        }
        self.drive(node)
    }

    pub(crate) fn published(&mut self, node: usize, process: u64, id: u64, stored: bool) -> Outcome {
        if !self.runs(node, process) {
            return Ok(());
        }
        let now = self.now(node);
        if let Some(process) = &mut self.nodes[node].process {
            process.unanswered.remove(&id);
            process.replica.handle_published(id, stored, now);
        }
        self.drive(node)
    }

    pub(crate) fn caught_up(&mut self, node: usize, session: u64) -> Outcome {
        let now = self.now(node);
        let node_at = &mut self.nodes[node];
        if node_at.link.session != session || !node_at.link.is_up {
            return Ok(());
        }
        if let Some(process) = &mut node_at.process {
            process.caught_up = true;
            process.replica.handle_caught_up(now);
        }
        self.drive(node)
    }

    /// Counts what was lost or doubled on the way.
    pub(crate) fn loses(&mut self, percent: u64, fault: Fault) -> bool {
        let lost = !self.is_healed && self.random.chance(percent);
        if lost {
            self.hit(fault);
        }
        lost
    }
}
