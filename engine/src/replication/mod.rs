//! One flag, everywhere: how the records of one engine come to all others. A state machine without I/O: messages, times
//! and what became of its wishes go in, effects come out.
//!
//! - An engine's own journal comes first. What is durable there is broadcast, and what the broker loses is asked for: each
//!   engine says ten times a second how far its records go and every two seconds what it has of everybody, and whoever has
//!   less asks one that has more, until nobody lacks anything. The broker is a mover; nothing hangs on what it keeps.
//! - Records are taken in without gaps, life by life (`chains`), once their signature and their right were judged
//!   (`authority`), and say so in a signed position: that is the receipt.
//! - How old the state is, is the age of the newest own heartbeat that came back by the way that records come, with
//!   everything that came before it on the disk and no known gap. An engine that is gone makes nobody stale.

mod authority;
mod chains;
mod compare;
mod due;
mod incoming;
mod joining;
mod latency;
mod message;
mod outbox;
mod peers;
mod renewal;
mod repair;
mod returned;
mod status;

pub use authority::{Authority, Held};
pub use message::{
    Body, Chunk, EngineOf, EpochHead, MESSAGE_BYTES_MAX, MESSAGE_VERSION, Message, Place, Position, Seal,
    Summary,
};
pub use status::{Enforced, EngineStatus, ExchangeView, MemberStatus};

use crate::journal::Sealed;
use chains::{Chain, head_of};
use joining::Joining;
use latency::Latencies;
use outbox::Outbox;
use peers::Peers;
use renewal::Renewal;
use repair::Repairs;
use returned::Returned;
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
    /// Let these records of another engine act, make them durable, and say [`Replica::handle_stored`].
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
    /// Begin a life of this engine that is later than this one, and say [`Replica::handle_epoch`].
    Renew {
        /// The latest that anybody has heard of.
        above: u32,
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
    /// Own heartbeats that came back.
    returned: Returned,
    renewal: Renewal,
    /// When somebody was heard last whom this engine does not know as a member.
    stranger_at: Option<u64>,
    reads: BTreeSet<(EngineOf, EngineOf)>,
    /// Messages that were no messages: of another version or key, damaged, or of nobody who takes part.
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
            returned: Returned::default(),
            renewal: Renewal::default(),
            stranger_at: None,
            reads: BTreeSet::new(),
            refused: 0,
        }
    }

    /// The link is up.
    pub fn handle_up(&mut self, now: Now) {
        self.linked = true;
        self.returned.linked(now.steady_ms);
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

    /// The journal begins a new life of this engine: it had failed and was read again, or a later life was heard of. `heads`
    /// are the last records of the lives before it: what was on its way when the journal failed may be there after all.
    pub fn handle_epoch(&mut self, epoch: u32, heads: &[EpochHead]) {
        let own = self.chains.entry(EngineOf::of(self.me)).or_default();
        heads.iter().for_each(|head| own.stored(*head));
        self.me.epoch = epoch;
        self.outbox.begin();
        self.latencies.begin();
        self.next_position = 0;
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

    /// Records of another engine are durable and act, or could not be stored. Records that follow what could not be stored
    /// are not stored either.
    pub fn handle_stored(&mut self, of: EngineOf, head: EpochHead, is_durable: bool, now: Now) {
        self.returned.stored();
        let Some(chain) = self.chains.get_mut(&of) else { return };
        if is_durable {
            chain.stored(head);
            if of != EngineOf::of(self.me) {
                self.receipts_due.insert(of);
            }
        } else {
            chain.not_stored();
        }
        self.look_at(of, now);
        self.settle(now);
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
                if !self.outbox.was_read() {
                    return;
                }
                for chunk in chunks {
                    let Commit { origin, last_sequence, .. } = chunk.commit;
                    if origin == self.me && last_sequence > self.outbox.place() {
                        self.broadcast_records(chunk, now);
                    }
                }
            }
        }
    }

    /// Steady time up to which the state is known to be whole; `None` before the first heartbeat came back.
    ///
    /// What the broker had taken before that time and delivered is on the disk and acts, and so is what any engine that was
    /// heard lately has said or shown to have; but for records that are held, and those of engines that have gone silent.
    pub fn confirmed_ms(&self) -> Option<u64> {
        self.returned.whole_ms()
    }
}
