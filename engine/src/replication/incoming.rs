//! What other engines say, and what of it is believed.

use super::authority::{Authority, Held};
use super::chains::{self, Chain, Reach, Taken};
use super::compare::Missing;
use super::message::{Body, Chunk, EngineOf, EpochHead, Message, Place, Position, Summary};
use super::{BEAT_MS, Effect, Now, READS_MAX, Reader, Replica, STORING_MAX, repair};
use sparr_protocol::record::{Commit, Origin, Record};

impl<A: Authority> Replica<A> {
    /// A message came, by the stream or by the own mailbox.
    pub fn handle_message(&mut self, bytes: &[u8], now: Now) {
        let message = Message::decode(bytes, |content, seal| self.authority.is_sealed(content, seal));
        let Some(Message { from, body }) = message else {
            self.refused += 1;
            return;
        };
        let (me, sender) = (EngineOf::of(self.me), EngineOf::of(from));
        if sender == me {
            self.came_back(from, body, now);
            return;
        }
        let takes_part = self.authority.takes_part(from.member);
        if !takes_part {
            self.stranger_at = Some(now.steady_ms);
            // Who is on its way in does not know yet who takes part, and records speak for themselves.
            if self.joining.is_over() && !matches!(body, Body::Records(_)) {
                self.refused += 1;
                return;
            }
        }
        if let Body::Position { position, signature } = &body
            && takes_part
            && !self.authority.has_signed(from.member, &position.signed_bytes(from), signature)
        {
            self.refused += 1;
            return;
        }
        let is_new =
            self.peers.get(sender).is_none_or(|peer| peer.epoch < from.epoch || !peer.is_live(now.steady_ms));
        if takes_part || !self.joining.is_over() {
            let is_late = self.peers.heard(from, takes_part, now.steady_ms).is_none();
            if is_late && !matches!(body, Body::Records(_)) {
                if matches!(body, Body::Beat { .. }) {
                    self.spoke_late(from, now);
                }
                return;
            }
            if is_new && !is_late {
                // Who comes hears at once what there is.
                self.next_position = self.next_position.min(now.steady_ms + BEAT_MS);
            }
        }
        self.take_body(body, from, now);
    }

    fn take_body(&mut self, body: Body, from: Origin, now: Now) {
        let sender = EngineOf::of(from);
        match body {
            Body::Beat { sequence, .. } => {
                if let Some(peer) = self.peers.get_mut(from) {
                    peer.beat(sequence);
                }
                self.look_at(sender, now);
            }
            Body::Position { position, .. } => self.take_position(&position, from, now),
            Body::Records(chunk) => self.take(&chunk, from, now),
            Body::Ask(of) => {
                let heads = self.chains.get(&of).map(|chain| chain.heads(Reach::Stored).collect());
                self.send(sender, Body::Told { of, heads: heads.unwrap_or_default() });
            }
            Body::Told { of, heads } => self.was_told(from, of, heads, now),
            Body::Want { of, after } => {
                if self.reads.len() < READS_MAX && self.reads.insert((sender, of)) {
                    self.read(Reader::Peer(sender), of, after);
                }
            }
            // What is said of this very life answers an old message of an earlier one, which came to somebody again.
            Body::Later { epoch } if epoch > self.me.epoch => self.heard_of_own(epoch, now),
            Body::Later { .. } => {}
        }
    }

    /// What this engine had sent: a heartbeat of this life, or records of an earlier one, which may be lost here. Of a later
    /// life, or one that had come further, it knows nothing any more.
    fn came_back(&mut self, from: Origin, body: Body, now: Now) {
        // Records speak for themselves, by their signature.
        if from.epoch > self.me.epoch && !matches!(body, Body::Records(_)) {
            self.heard_of_own(from.epoch, now);
        }
        match body {
            Body::Beat { sequence, .. } if from == self.me && sequence > self.outbox.head() => {
                self.heard_of_own(from.epoch, now);
            }
            Body::Beat { sent_ms, .. } if from == self.me => {
                self.returned.came(sent_ms.min(now.steady_ms));
                self.settle(now);
            }
            Body::Records(chunk) => self.take(&chunk, from, now),
            Body::Beat { .. }
            | Body::Position { .. }
            | Body::Ask(_)
            | Body::Told { .. }
            | Body::Want { .. }
            | Body::Later { .. } => {}
        }
    }

    fn take_position(&mut self, position: &Position, from: Origin, now: Now) {
        let sender = EngineOf::of(from);
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.position(position, now.steady_ms);
        self.confirmed(now);
        for summary in &position.has {
            self.compare(sender, summary, now);
        }
        self.settle(now);
    }

    fn was_told(&mut self, from: Origin, of: EngineOf, heads: Vec<EpochHead>, now: Now) {
        let sender = EngineOf::of(from);
        if !self.repairs.has_asked(sender, of) {
            return;
        }
        self.chains.entry(of).or_default().look_for_fork(&heads);
        if let Some(peer) = self.peers.get_mut(from) {
            peer.tells(of, heads);
            self.repairs.hurry(of, now.steady_ms);
        }
        self.look_at(of, now);
    }

    pub(super) fn read(&mut self, reader: Reader, of: EngineOf, after: Place) {
        // Of a member that was suspended, others may take in less than is here: commit by commit.
        let chunk_bytes = if self.authority.takes_part(of.member) { repair::CHUNK_BYTES } else { 1 };
        let chunks = repair::CHUNKS_PER_WANT;
        self.effects.push_back(Effect::Read { reader, of, after, chunks, chunk_bytes });
    }

    /// Takes in records of another engine, or asks for what is missing.
    fn take(&mut self, chunk: &Chunk, from: Origin, now: Now) {
        let Commit { origin, last_sequence, .. } = chunk.commit;
        let (of, sender) = (EngineOf::of(origin), EngineOf::of(from));
        // This life's own records come from nowhere else.
        if origin == self.me {
            if last_sequence > self.outbox.head() && self.is_signed(chunk) {
                self.heard_of_own(origin.epoch, now);
            }
            return;
        }
        let peer = self.peers.get(sender);
        let chain = self.chains.entry(of).or_default();
        let taken = chain.take(chunk, peer).and_then(|taken| {
            if let Taken::Gap(records) | Taken::Unlinked(records) | Taken::Next(records) = &taken {
                let records: Vec<Record> = records.iter().map(|sealed| sealed.record.clone()).collect();
                self.authority.judge(&chunk.commit, &records)?;
            }
            Ok(taken)
        });
        match &taken {
            Ok(Taken::Known) => return,
            // Whoever sent what cannot be taken in now has it: so it is missing.
            Ok(_) => self.shows(from, of, Place { epoch: origin.epoch, sequence: last_sequence }, now),
            // What is garbled or not signed says nothing of its origin, and little of who sent it.
            Err(held @ (Held::Damaged | Held::SignatureWrong)) => {
                self.refused += 1;
                if sender == of {
                    self.chains.entry(of).or_default().held = Some(*held);
                }
            }
            Err(held) => {
                let held = *held;
                self.shows(from, of, Place { epoch: origin.epoch, sequence: last_sequence }, now);
                self.chains.entry(of).or_default().held = Some(held);
            }
        }
        match taken {
            Ok(Taken::Gap(_)) => self.repairs.gaps += 1,
            Ok(Taken::Unlinked(_)) => self.ask(sender, of, now),
            Ok(Taken::Next(records)) if self.returned.storing() < STORING_MAX => {
                let chain = self.chains.entry(of).or_default();
                if chain.held.is_some() {
                    // Heartbeats that came back did not count on it; they do from here on.
                    self.returned.something_is_missing();
                }
                chain.taken_in(&records);
                self.returned.given();
                self.repairs.advanced(of, now.steady_ms);
                self.effects.push_back(Effect::Store { commit: chunk.commit.clone(), records });
            }
            Ok(Taken::Known | Taken::Next(_)) | Err(_) => {}
        }
        self.look_at(of, now);
    }

    fn is_signed(&self, chunk: &Chunk) -> bool {
        let Ok(records) = chains::read(chunk) else { return false };
        let records: Vec<Record> = records.into_iter().map(|sealed| sealed.record).collect();
        self.authority.judge(&chunk.commit, &records).is_ok()
    }

    fn shows(&mut self, from: Origin, of: EngineOf, place: Place, now: Now) {
        if self.authority.takes_part(from.member)
            && EngineOf::of(from) != EngineOf::of(self.me)
            && let Some(peer) = self.peers.heard(from, true, now.steady_ms)
        {
            peer.shows(of, place);
        }
    }

    /// What somebody says that it has, beside what is here.
    fn compare(&mut self, sender: EngineOf, theirs: &Summary, now: Now) {
        if theirs.of == EngineOf::of(self.me) && theirs.last.epoch > self.me.epoch {
            self.heard_of_own(theirs.last.epoch, now);
        }
        let ours = self.chains.entry(theirs.of).or_default().summary(theirs.of);
        if ours.last == theirs.last && ours.earlier == theirs.earlier && ours.digest != theirs.digest {
            // Two histories under the same numbers: the heads show it.
            self.ask(sender, theirs.of, now);
        }
        self.look_at(theirs.of, now);
    }

    fn ask(&mut self, peer: EngineOf, of: EngineOf, now: Now) {
        if peer != EngineOf::of(self.me) && self.repairs.may_ask(peer, of, now.steady_ms) {
            self.send(peer, Body::Ask(of));
        }
    }

    /// Notes whether somebody has more of an engine than is here.
    pub(super) fn look_at(&mut self, of: EngineOf, now: Now) {
        let chain = self.chains.entry(of).or_default();
        let (mut is_behind, mut unclear) = (false, Vec::new());
        for (peer, known) in self.peers.live(now.steady_ms) {
            match chain.lacks(of, peer, known, Reach::Taken) {
                Missing::Nothing => {}
                Missing::After(_) => is_behind = true,
                Missing::Unclear => unclear.push(peer),
            }
        }
        if is_behind || !unclear.is_empty() {
            chain.behind_since.get_or_insert(now.steady_ms);
        } else {
            chain.is_level();
        }
        if is_behind {
            chain.missing_since.get_or_insert(now.steady_ms);
        } else {
            chain.missing_since = None;
            self.repairs.done(of);
        }
        unclear.into_iter().for_each(|peer| self.ask(peer, of, now));
    }

    /// Who is there and has more of an engine than is here, and after which place it comes.
    pub(super) fn holders(&self, of: EngineOf, now: Now) -> Vec<(EngineOf, Place)> {
        let Some(chain) = self.chains.get(&of) else { return Vec::new() };
        let lacks = |(peer, known)| match chain.lacks(of, peer, known, Reach::Taken) {
            Missing::After(place) => Some((peer, place)),
            Missing::Nothing | Missing::Unclear => None,
        };
        self.peers.live(now.steady_ms).filter_map(lacks).collect()
    }

    /// Heartbeats that came back count while nobody who is there is known to have more.
    pub(super) fn settle(&mut self, now: Now) {
        let is_behind = self.chains.values().any(Chain::is_behind);
        let is_held = |of: EngineOf| self.chains.get(&of).is_some_and(|chain| chain.held.is_some());
        let is_pending =
            self.peers.live(now.steady_ms).any(|(of, peer)| peer.is_pending(now.steady_ms) && !is_held(of));
        if is_behind || is_pending {
            self.returned.something_is_missing();
        } else {
            self.returned.nothing_is_missing();
        }
    }

    /// Somebody has said what it has: which own records are everywhere now?
    fn confirmed(&mut self, now: Now) {
        let me = EngineOf::of(self.me);
        let everywhere = self.peers.live(now.steady_ms).map(|(peer, known)| {
            let last = known.has(me).map_or_else(Place::default, |summary| summary.last);
            (if last.epoch == self.me.epoch { last.sequence } else { 0 }, peer)
        });
        if let Some((sequence, slowest)) = everywhere.min() {
            self.latencies.everywhere(sequence, slowest, now.steady_ms);
        }
    }
}
