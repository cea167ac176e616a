//! What time brings: heartbeats, positions, receipts, broadcasts that are due again, and questions.

use super::authority::Authority;
use super::message::{Body, EngineOf, Place, Position, Summary};
use super::{BEAT_MS, Effect, Enforces, Now, POSITION_MS, RECEIPT_MS, Reader, Replica, STORING_MAX, Slot};

impl<A: Authority> Replica<A> {
    /// The next thing to do, if there is one now.
    pub fn poll(&mut self, now: Now) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        if self.linked {
            self.due(now);
        }
        if let Some(since) = self.joining.since() {
            let equals = self.equals_the_network(since, now);
            if self.joining.is_done(now.steady_ms, equals) {
                // From here on only who takes part is listened to.
                let authority = &self.authority;
                self.peers.retain(|of| authority.takes_part(of.member));
                self.effects.push_back(Effect::Joined);
            }
        }
        self.effects.pop_front()
    }

    fn due(&mut self, now: Now) {
        let steady = now.steady_ms;
        if steady >= self.next_beat {
            self.next_beat = steady + BEAT_MS;
            self.refresh(now);
            let bytes = self.encode(Body::Beat { sent_ms: steady, sequence: self.outbox.head() });
            self.effects.push_back(Effect::Broadcast { slot: Slot::Beat, id: None, bytes });
        }
        if steady >= self.next_position {
            self.next_position = steady + POSITION_MS + self.repairs.jitter(POSITION_MS / 8);
            let has = self.chains.iter().map(|(of, chain)| chain.summary(*of));
            let has = has.filter(|summary| summary.last > Place::default()).collect();
            let body = self.position(has, true, now);
            let bytes = self.encode(body);
            self.effects.push_back(Effect::Broadcast { slot: Slot::Position, id: None, bytes });
        }
        if steady >= self.receipts_at() {
            self.receipts_at = steady;
            for of in std::mem::take(&mut self.receipts_due) {
                let has = self.chains.get(&of).map(|chain| chain.summary(of)).into_iter().collect();
                let body = self.position(has, false, now);
                self.send(of, body);
            }
        }
        if let Some(after) = self.outbox.wants(steady) {
            let after = Place { epoch: self.me.epoch, sequence: after };
            self.read(Reader::Outbox, EngineOf::of(self.me), after);
        }
        self.repair(now);
    }

    /// When receipts are to be sent: the more engines there are, the more go into one.
    fn receipts_at(&self) -> u64 {
        let pause = RECEIPT_MS.max(self.peers.all().count() as u64);
        if self.receipts_due.is_empty() { u64::MAX } else { self.receipts_at + pause }
    }

    /// What falls silent is noticed by time alone.
    fn refresh(&mut self, now: Now) {
        let peers = &self.peers;
        self.repairs.forget_asked(|of| peers.get(of).is_some_and(|peer| peer.is_live(now.steady_ms)));
        let every: Vec<_> = self.chains.keys().copied().collect();
        for of in every {
            if let Some(chain) = self.chains.get(&of) {
                self.peers.forget_what_is_here(of, chain);
            }
            self.look_at(of, now);
        }
        self.settle(now);
    }

    fn position(&mut self, has: Vec<Summary>, is_whole: bool, now: Now) -> Body {
        self.position_number += 1;
        let Enforces { rule_set, screens } = self.enforces;
        let number = self.position_number;
        let position = Position { at: now.wall_ms, number, is_whole, rule_set, screens, has };
        let signature = self.authority.sign(&position.signed_bytes(self.me));
        Body::Position { position, signature }
    }

    /// Asks for what is missing.
    fn repair(&mut self, now: Now) {
        let behind = self.chains.iter().filter_map(|(of, chain)| Some((*of, chain.missing_since?)));
        let behind: Vec<(EngineOf, u64)> = behind.collect();
        for (of, since) in behind {
            if self.returned.storing() >= STORING_MAX / 2 || !self.repairs.is_due(of, since, now.steady_ms) {
                continue;
            }
            let mut holders = self.holders(of, now);
            // Its own engine first, where it is there.
            holders.sort_by_key(|(holder, _)| (*holder != of, *holder));
            match self.repairs.choose(of, &holders, now.steady_ms) {
                Some((to, after)) => self.send(to, Body::Want { of, after }),
                // Who had it has fallen silent.
                None => self.look_at(of, now),
            }
        }
    }

    /// When [`Self::poll`] has something to do again, at the latest. Not before it has given nothing more.
    pub fn poll_at(&self) -> u64 {
        if !self.linked {
            return u64::MAX;
        }
        let behind = self.chains.iter().filter_map(|(of, chain)| Some((of, chain.missing_since?)));
        let repair = behind.map(|(of, since)| self.repairs.due_at(*of, since)).min();
        let repair = repair.filter(|_| self.returned.storing() < STORING_MAX / 2).unwrap_or(u64::MAX);
        // What becomes due by others' silence alone, such as being the first engine, is looked at with each heartbeat.
        let talk = self.next_beat.min(self.next_position).min(self.receipts_at());
        talk.min(self.outbox.next()).min(repair)
    }
}
