//! One flag, everywhere: how the records of one engine come to all others. A state machine without I/O: messages, times
//! and what became of its wishes go in, effects come out.
//!
//! - An engine's own journal comes first. What is durable there is broadcast, and what the broker loses is asked for: each
//!   engine says ten times a second how far its records go and every two seconds what it has of everybody, and whoever has
//!   less asks one that has more, until nobody lacks anything. The broker is a mover; nothing hangs on what it keeps.
//! - Records are taken in without gaps, life by life (`chains`), once their signature and their right were judged
//!   (`authority`), and say so in a signed position: that is the receipt.
//! - How old the state is, is the age of the newest own heartbeat that came back by the way that records come, or the time
//!   since a gap is known, whichever is more. An engine that is gone makes nobody stale.

mod authority;
mod chains;
mod joining;
mod latency;
mod message;
mod outbox;
mod peers;
mod repair;
mod status;

pub use authority::{Authority, Held};
pub use message::{
    Body, Chunk, EngineOf, EpochHead, MESSAGE_BYTES_MAX, MESSAGE_VERSION, Message, Place, Position, Seal,
    Summary,
};
pub use status::{Enforced, EngineStatus, ExchangeView, MemberStatus};

use crate::journal::Sealed;
use chains::{Chain, Taken, head_of};
use joining::Joining;
use latency::Latencies;
use outbox::Outbox;
use peers::Peers;
use repair::Repairs;
use sparr_protocol::record::{Commit, Origin};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How often an engine says that it is there.
pub const BEAT_MS: u64 = 100;
/// How often it says what it has of everybody.
pub const POSITION_MS: u64 = 2_000;
/// How soon after taking something in it says so to whom it came from.
const RECEIPT_MS: u64 = 2;
/// Batches that wait for the disk at most; what comes meanwhile is asked for later.
const STORING_MAX: usize = 64;
/// Reads of the journal for others at a time.
const READS_MAX: usize = 8;

/// Which place in the broker's stream a message takes; one of the same slot is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A heartbeat.
    Beat,
    /// What an engine has.
    Position,
    /// Records of this life.
    Records {
        /// Number of the last one.
        sequence: u64,
    },
}

/// For whom the journal is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// To be broadcast.
    Outbox,
    /// Another engine asked.
    Peer(EngineOf),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send to everybody, this engine included, in order; say [`Replica::handle_published`] of it where it has a number.
    Broadcast {
        /// Which slot.
        slot: Slot,
        /// Number of the broadcast, where its fate matters.
        id: Option<u64>,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send to one engine, at most once.
    Send {
        /// To whom.
        to: EngineOf,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Make these records of another engine durable, apply them, and say [`Replica::handle_stored`].
    Store {
        /// The commit that covers them.
        commit: Commit,
        /// The records.
        records: Vec<Sealed>,
    },
    /// Read what comes after a place, as whole commits, and say [`Replica::handle_read`].
    Read {
        /// For whom.
        reader: Reader,
        /// Whose records.
        of: EngineOf,
        /// After which.
        after: Place,
        /// Chunks at most.
        chunks: usize,
        /// A chunk ends with the commit that makes it so long, bytes.
        chunk_bytes: usize,
    },
    /// Everything that the others have is here: the engine may be live.
    Joined,
}

/// What an engine says of itself in each position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enforces {
    /// Digest of its rule set; zeros without one.
    pub rule_set: [u8; 16],
    /// Kinds that it screens with a subject, a bit each.
    pub screens: u16,
}

/// The time as the shell's clocks give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Steady, ms from any beginning.
    pub steady_ms: u64,
    /// The wall clock, ms since 1970.
    pub wall_ms: u64,
}

/// What a replica begins with.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// Who this is, in this life.
    pub me: Origin,
    /// What lies in the journal: the last record of every life of every engine.
    pub journal: Vec<(EngineOf, EpochHead)>,
    /// Whether this engine was live before.
    pub has_joined: bool,
    /// For the jitter of retries.
    pub seed: u64,
}

/// One engine's part of the exchange.
pub struct Replica<A> {
    authority: A,
    me: Origin,
    chains: BTreeMap<EngineOf, Chain>,
    peers: Peers,
    outbox: Outbox,
    repairs: Repairs,
    joining: Joining,
    latencies: Latencies,
    effects: VecDeque<Effect>,
    enforces: Enforces,
    linked: bool,
    next_id: u64,
    next_beat: u64,
    next_position: u64,
    position_number: u64,
    /// To whom it is due to say that their records were taken in, and when that was said last.
    receipts_due: BTreeSet<EngineOf>,
    receipts_at: u64,
    /// When the newest own heartbeat that came back had been sent.
    returned_ms: Option<u64>,
    storing: usize,
    reads: BTreeSet<(EngineOf, EngineOf)>,
    /// Messages that were no messages: of another version or key, or damaged.
    refused: u64,
}

impl<A: Authority> Replica<A> {
    /// A replica that is not linked yet.
    pub fn new(authority: A, config: ReplicaConfig, now: Now) -> Self {
        let ReplicaConfig { me, journal, has_joined, seed } = config;
        let mut chains: BTreeMap<EngineOf, Chain> = BTreeMap::new();
        for (of, head) in journal {
            chains.entry(of).or_default().begin(head);
        }
        Self {
            authority,
            me,
            chains,
            peers: Peers::default(),
            outbox: Outbox::default(),
            repairs: Repairs::new(seed),
            joining: Joining::new(has_joined),
            latencies: Latencies::default(),
            effects: VecDeque::new(),
            enforces: Enforces::default(),
            linked: false,
            next_id: 1,
            next_beat: now.steady_ms,
            next_position: now.steady_ms,
            position_number: 0,
            receipts_due: BTreeSet::new(),
            receipts_at: 0,
            returned_ms: None,
            storing: 0,
            reads: BTreeSet::new(),
            refused: 0,
        }
    }

    /// The link is up.
    pub fn handle_up(&mut self, now: Now) {
        self.linked = true;
        (self.next_beat, self.next_position) = (now.steady_ms, now.steady_ms);
    }

    /// Everything that the broker held when the link came up has been delivered.
    pub fn handle_caught_up(&mut self, now: Now) {
        self.joining.caught_up(now.steady_ms);
    }

    /// The link is down. Nothing is forgotten but what was to be sent to one engine.
    pub fn handle_down(&mut self) {
        self.linked = false;
        self.joining.unlinked();
    }

    /// The broker's store was emptied or put back: what it should hold is sent again.
    pub fn handle_stream_reset(&mut self) {
        self.outbox.refill();
    }

    /// The broker took a broadcast, or did not.
    pub fn handle_published(&mut self, id: u64, stored: bool, now: Now) {
        self.outbox.answered(id, stored, now.steady_ms);
    }

    /// What this engine enforces from now on.
    pub fn handle_enforces(&mut self, enforces: Enforces) {
        if self.enforces != enforces {
            self.enforces = enforces;
            self.next_position = 0;
        }
    }

    /// The journal begins a new life of this engine: it had failed and was read again.
    pub fn handle_epoch(&mut self, epoch: u32) {
        self.me.epoch = epoch;
        self.outbox.begin();
        self.latencies.begin();
    }

    /// A commit of this engine is durable.
    pub fn handle_committed(&mut self, commit: &Commit, records: &[Sealed], now: Now) {
        let of = EngineOf::of(self.me);
        let Some(last) = records.last() else { return };
        self.chains.entry(of).or_default().stored(head_of(last));
        self.latencies.committed(commit.last_sequence, now.steady_ms);
        if self.outbox.committed(commit.first_sequence, commit.last_sequence, self.linked) {
            let records = records.iter().flat_map(|sealed| sealed.bytes.iter().copied()).collect();
            self.broadcast_records(Chunk { commit: commit.clone(), records }, now);
        }
    }

    fn broadcast_records(&mut self, chunk: Chunk, now: Now) {
        let last = chunk.commit.last_sequence;
        let id = self.next_id;
        self.next_id += 1;
        self.outbox.sent(id, last, now.steady_ms);
        let bytes = self.encode(Body::Records(chunk));
        self.effects.push_back(Effect::Broadcast {
            slot: Slot::Records { sequence: last },
            id: Some(id),
            bytes,
        });
    }

    fn encode(&self, body: Body) -> Vec<u8> {
        Message { from: self.me, body }.encode(|content| self.authority.seal(content))
    }

    fn send(&mut self, to: EngineOf, body: Body) {
        let bytes = self.encode(body);
        self.effects.push_back(Effect::Send { to, bytes });
    }

    /// A message came, by the stream or by the own mailbox.
    pub fn handle_message(&mut self, bytes: &[u8], now: Now) {
        let message = Message::decode(bytes, |content, seal| self.authority.is_sealed(content, seal));
        let Some(Message { from, body }) = message else {
            self.refused += 1;
            return;
        };
        let (me, sender) = (EngineOf::of(self.me), EngineOf::of(from));
        if sender == me {
            // Nothing but heartbeats: an older one than this life's says nothing.
            if let Body::Beat { sent_ms, .. } = body
                && from == self.me
            {
                self.returned_ms = self.returned_ms.max(Some(sent_ms.min(now.steady_ms)));
            }
            return;
        }
        if !self.authority.takes_part(from.member) {
            self.refused += 1;
            return;
        }
        let is_new =
            self.peers.get(sender).is_none_or(|peer| peer.epoch < from.epoch || !peer.is_live(now.steady_ms));
        let peer = self.peers.heard(from, now.steady_ms);
        match body {
            Body::Beat { sequence, .. } => {
                peer.beat(sequence);
                self.look_at(sender, now);
            }
            Body::Position { position, signature } => {
                if !self.authority.has_signed(from.member, &position.signed_bytes(from), &signature) {
                    self.refused += 1;
                    return;
                }
                peer.position(&position);
                self.confirmed(now);
                for summary in &position.has {
                    self.compare(sender, summary, now);
                }
            }
            Body::Records(chunk) => self.take(&chunk, sender, now),
            Body::Ask(of) => {
                let heads = self.chains.get(&of).map(Chain::heads).unwrap_or_default();
                self.send(sender, Body::Told { of, heads });
            }
            Body::Told { of, heads } => {
                self.chains.entry(of).or_default().was_told(sender, heads);
                self.look_at(of, now);
            }
            Body::Want { of, after } => {
                if self.reads.len() < READS_MAX && self.reads.insert((sender, of)) {
                    self.read(Reader::Peer(sender), of, after);
                }
            }
        }
        if is_new {
            // Who comes hears at once what there is.
            self.next_position = self.next_position.min(now.steady_ms + BEAT_MS);
        }
    }

    fn read(&mut self, reader: Reader, of: EngineOf, after: Place) {
        // Of a member that was suspended, others may take in less than is here: commit by commit.
        let chunk_bytes = if self.authority.takes_part(of.member) { repair::CHUNK_BYTES } else { 1 };
        let chunks = repair::CHUNKS_PER_WANT;
        self.effects.push_back(Effect::Read { reader, of, after, chunks, chunk_bytes });
    }

    /// Takes in records of another engine, or asks for what is missing.
    fn take(&mut self, chunk: &Chunk, sender: EngineOf, now: Now) {
        let origin = chunk.commit.origin;
        let of = EngineOf::of(origin);
        // This life's own records come from nowhere else.
        if origin == self.me {
            return;
        }
        let chain = self.chains.entry(of).or_default();
        let taken = chain.take(chunk).and_then(|taken| {
            if let Taken::Next(records) = &taken {
                let records: Vec<_> = records.iter().map(|sealed| sealed.record.clone()).collect();
                self.authority.judge(&chunk.commit, &records)?;
            }
            Ok(taken)
        });
        match taken {
            Ok(Taken::Known) => {}
            Ok(Taken::Gap) => self.repairs.gaps += 1,
            Ok(Taken::Unlinked) => self.ask(sender, of, now),
            Ok(Taken::Next(_)) if self.storing >= STORING_MAX => {}
            Ok(Taken::Next(records)) => {
                chain.taken_in(&records);
                self.storing += 1;
                self.repairs.advanced(of, now.steady_ms);
                self.effects.push_back(Effect::Store { commit: chunk.commit.clone(), records });
            }
            Err(held) => chain.held = Some(held),
        }
        self.look_at(of, now);
    }

    /// Records of another engine are durable and act, or could not be stored.
    pub fn handle_stored(&mut self, of: EngineOf, head: EpochHead, is_durable: bool, now: Now) {
        self.storing = self.storing.saturating_sub(1);
        let Some(chain) = self.chains.get_mut(&of) else { return };
        if is_durable {
            chain.stored(head);
            self.receipts_due.insert(of);
        } else {
            chain.not_stored();
        }
        self.look_at(of, now);
    }

    /// The journal was read for somebody.
    pub fn handle_read(&mut self, reader: Reader, of: EngineOf, chunks: Vec<Chunk>, now: Now) {
        match reader {
            Reader::Peer(peer) => {
                self.reads.remove(&(peer, of));
                for chunk in chunks {
                    self.repairs.sent += 1;
                    self.send(peer, Body::Records(chunk));
                }
            }
            Reader::Outbox => {
                self.outbox.was_read();
                for chunk in chunks {
                    let Commit { origin, last_sequence, .. } = chunk.commit;
                    if origin == self.me && last_sequence > self.outbox.place() {
                        self.broadcast_records(chunk, now);
                    }
                }
            }
        }
    }

    /// What somebody says that it has, beside what is here.
    fn compare(&mut self, peer: EngineOf, summary: &Summary, now: Now) {
        let ours = self.chains.entry(summary.of).or_default().summary(summary.of);
        if ours.last == summary.last && ours.digest != summary.digest {
            self.ask(peer, summary.of, now);
        }
        self.look_at(summary.of, now);
    }

    fn ask(&mut self, peer: EngineOf, of: EngineOf, now: Now) {
        if self.repairs.may_ask(of, now.steady_ms) {
            self.send(peer, Body::Ask(of));
        }
    }

    /// Who is there and has more of an engine than is here, and after which place it comes.
    fn holders(&self, of: EngineOf, now: Now) -> Vec<(EngineOf, Place)> {
        let Some(chain) = self.chains.get(&of) else { return Vec::new() };
        let told = chain.missing_of_told().filter(|(by, _)| self.is_live(*by, now));
        let claims = self.peers.live(now.steady_ms).map(|(peer, known)| (peer, known.claims(peer, of)));
        let claims = claims.filter(|(_, place)| *place > Place::default() && !chain.covers(*place));
        told.into_iter().chain(claims.map(|(peer, place)| (peer, chain.before(place)))).collect()
    }

    fn is_live(&self, peer: EngineOf, now: Now) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.is_live(now.steady_ms))
    }

    /// Notes whether somebody has more of an engine than is here.
    fn look_at(&mut self, of: EngineOf, now: Now) {
        if of == EngineOf::of(self.me) && !self.chains.contains_key(&of) {
            self.chains.insert(of, Chain::default());
        }
        let behind = !self.holders(of, now).is_empty();
        let Some(chain) = self.chains.get_mut(&of) else {
            // Its first heartbeat: nothing of it is here.
            self.chains.insert(of, Chain::default());
            return;
        };
        chain.behind_since = if behind { chain.behind_since.or(Some(now.steady_ms)) } else { None };
        if !behind {
            self.repairs.done(of);
        }
    }

    /// Somebody has said what it has: which own records are everywhere now?
    fn confirmed(&mut self, now: Now) {
        let me = EngineOf::of(self.me);
        let everywhere = self.peers.live(now.steady_ms).map(|(peer, known)| {
            let last = known.has(me).map_or(Place::default(), |summary| summary.last);
            (if last.epoch == self.me.epoch { last.sequence } else { 0 }, peer)
        });
        if let Some((sequence, slowest)) = everywhere.min() {
            self.latencies.everywhere(sequence, slowest, now.steady_ms);
        }
    }

    /// The next thing to do, if there is one now.
    pub fn poll(&mut self, now: Now) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        if self.linked {
            self.due(now);
        }
        if !self.joining.is_over() {
            let equals = self.equals_the_network(now);
            if self.joining.is_done(now.steady_ms, equals) {
                self.effects.push_back(Effect::Joined);
            }
        }
        self.effects.pop_front()
    }

    /// What time brings.
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
        let pause = RECEIPT_MS.max(self.peers.all().count() as u64);
        if !self.receipts_due.is_empty() && steady >= self.receipts_at + pause {
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

    /// What falls silent is noticed by time alone.
    fn refresh(&mut self, now: Now) {
        let silent: Vec<_> =
            self.peers.all().filter(|(_, peer)| !peer.is_live(now.steady_ms)).map(|(of, _)| of).collect();
        let every: Vec<_> = self.chains.keys().copied().collect();
        for of in every {
            if let Some(chain) = self.chains.get_mut(&of) {
                silent.iter().for_each(|peer| chain.forget_told_by(*peer));
            }
            self.look_at(of, now);
        }
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
        let behind = self.chains.iter().filter_map(|(of, chain)| Some((*of, chain.behind_since?)));
        let behind: Vec<(EngineOf, u64)> = behind.collect();
        for (of, since) in behind {
            if self.storing >= STORING_MAX / 2 || !self.repairs.is_due(of, since, now.steady_ms) {
                continue;
            }
            let mut holders = self.holders(of, now);
            // Its own engine first, where it is there.
            holders.sort_by_key(|(holder, _)| (*holder != of, *holder));
            if let Some((to, after)) = self.repairs.choose(of, &holders, now.steady_ms) {
                self.send(to, Body::Want { of, after });
            }
        }
    }

    /// When [`Self::poll`] has something to do again, at the latest.
    pub fn poll_at(&self) -> u64 {
        let receipts = if self.receipts_due.is_empty() { u64::MAX } else { self.receipts_at + RECEIPT_MS };
        self.next_beat.min(self.next_position).min(receipts).min(self.repairs.next())
    }

    /// Steady time up to which the state is known to be whole; `None` before the first heartbeat came back.
    pub fn confirmed_ms(&self) -> Option<u64> {
        let returned = self.returned_ms?;
        let behind =
            self.chains.values().filter(|chain| chain.held.is_none()).filter_map(|chain| chain.behind_since);
        Some(behind.min().map_or(returned, |since| since.min(returned)))
    }
}
