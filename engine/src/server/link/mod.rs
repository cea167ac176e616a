//! The link: moves bytes between the engines of an exchange, over NATS JetStream, and promises nothing more.
//!
//! One stream holds what everybody must get, so that all of it has one order, and a heartbeat that comes back proves that
//! what was sent before it came too. What is meant for one engine goes to its mailbox, at most once. Whatever happens to
//! the broker, the link goes on trying by itself and says what it has found: lost, back, or back with less than before.
//! An acknowledgement of the broker is progress, not durability: it is given before anything is on a disk.

mod connect;
mod courier;
mod names;
mod reader;
mod stream;
mod writer;

pub use names::RECORD_SLOTS;

use crate::server::config::LinkConfig;
use bytes::Bytes;
use courier::Courier;
use names::Names;
use sparr_protocol::ids::MemberName;
use sparr_protocol::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

/// Events that wait for their reader. The stream waits with them.
const EVENTS_MAX: usize = 1_024;

/// Bytes from the mailbox that wait for their reader. What does not fit is lost, as these messages may be.
const DIRECT_BYTES_MAX: usize = 32 << 20;

/// Messages that wait for the broker.
const OUTGOING_MAX: usize = 8_192;

/// Bytes of messages that wait for the broker or for its acknowledgement.
const OUTGOING_BYTES_MAX: usize = 32 << 20;

/// What the link has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The broker is reached, the stream is there, and reading has begun.
    Up {
        /// What kind of broker it is.
        server: ServerFacts,
    },
    /// Once after each `Up`: all that the stream held then was delivered.
    CaughtUp,
    /// The broker, the stream or the reading is lost, or could not be had. The link goes on trying by itself. Said once for
    /// each reason, not for each attempt.
    Down {
        /// Why, for a person who operates it.
        why: String,
    },
    /// From the stream, in its order; one's own too. After a loss some come again.
    Broadcast(Bytes),
    /// From one's own mailbox.
    Direct(Bytes),
    /// From an engine of the same member, or from this one.
    Own(Bytes),
    /// What became of a broadcast. Once for each.
    Published {
        /// As it was given.
        id: u64,
        /// The broker says that it has it. Otherwise it may have it nevertheless.
        stored: bool,
    },
    /// After `Up`: the stream is new, was emptied, or is at an older place than was seen. What it has lost must be published
    /// again, under its old ids. Everything that it does hold is delivered again.
    StreamReset,
}

/// What a broker is, and what it cannot promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its name.
    pub name: String,
    /// Its version, such as 2.9.10.
    pub version: String,
    /// On how many of its nodes the stream lies.
    pub replicas: usize,
    /// What it cannot promise or has not done as it was asked, each a sentence for a person.
    pub remarks: Vec<String>,
}

/// Where in the stream a broadcast goes. Each slot keeps its newest message alone, so the stream is bounded by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The engine's heartbeat.
    Beat,
    /// What the engine has, origin by origin.
    Position,
    /// Records of the engine's own: one of [`RECORD_SLOTS`] slots.
    Records {
        /// Number of the first one in its origin.
        sequence: u64,
    },
}

/// A message on its way to the broker.
enum Outgoing {
    Broadcast { id: u64, subject: String, own_beat: bool, msg_id: Option<String>, bytes: Bytes },
    Plain { subject: String, bytes: Bytes },
}

impl Outgoing {
    fn len(&self) -> usize {
        match self {
            Self::Broadcast { bytes, .. } | Self::Plain { bytes, .. } => bytes.len(),
        }
    }
}

/// What the handle and the courier both see.
#[derive(Debug, Default)]
struct Shared {
    up: AtomicBool,
    /// Of messages that wait for the broker or its acknowledgement.
    bytes: AtomicUsize,
    /// Of messages from the mailbox that wait for their reader.
    direct_bytes: AtomicUsize,
}

/// Where the courier puts what it has to say.
struct Ends {
    events: mpsc::Sender<LinkEvent>,
    direct: UnboundedSender<LinkEvent>,
    refuse: UnboundedSender<u64>,
    shared: Arc<Shared>,
}

impl Ends {
    /// Waits until there is room. False where nobody listens any more.
    async fn tell(&self, event: LinkEvent) -> bool {
        self.events.send(event).await.is_ok()
    }

    /// Hands on what came outside of the stream, or loses it where too much waits. False where nobody listens any more.
    fn hand_on(&self, event: LinkEvent) -> bool {
        let weight = weight(&event);
        if self.shared.direct_bytes.load(Ordering::Relaxed) + weight > DIRECT_BYTES_MAX {
            return true;
        }
        self.shared.direct_bytes.fetch_add(weight, Ordering::Relaxed);
        self.direct.send(event).is_ok()
    }
}

/// Bytes that an event from outside of the stream holds, with what keeping it takes.
fn weight(event: &LinkEvent) -> usize {
    match event {
        LinkEvent::Direct(bytes) | LinkEvent::Own(bytes) => bytes.len() + 100,
        LinkEvent::Up { .. }
        | LinkEvent::CaughtUp
        | LinkEvent::Down { .. }
        | LinkEvent::Broadcast(_)
        | LinkEvent::Published { .. }
        | LinkEvent::StreamReset => 0,
    }
}

/// A link to the broker, with a task of its own that lives as long as this.
pub struct Link {
    events: mpsc::Receiver<LinkEvent>,
    direct: UnboundedReceiver<LinkEvent>,
    refused: UnboundedReceiver<u64>,
    refuse: UnboundedSender<u64>,
    outgoing: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
    names: Names,
    task: JoinHandle<()>,
}

impl Link {
    /// Begins to reach for the broker, on the caller's runtime. Never fails: what is wrong comes as an event.
    ///
    /// The stream is read from `since` on, or from its beginning.
    pub fn start(config: LinkConfig, me: (MemberName, u16), since: Option<Timestamp>) -> Self {
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        let (outgoing, outgoing_out) = mpsc::channel(OUTGOING_MAX);
        // One number for each broadcast that was refused and not yet told: bounded by who broadcasts.
        let (refuse, refused) = mpsc::unbounded_channel();
        let (direct_in, direct) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let names = Names::new(&config.network, me);
        let ends =
            Ends { events: events_in, direct: direct_in, refuse: refuse.clone(), shared: shared.clone() };
        let courier = Courier::new(config, names.clone(), since, ends, outgoing_out);
        let task = tokio::spawn(courier.run());
        Self { events, direct, refused, refuse, outgoing, shared, names, task }
    }

    /// The next event. Nothing is lost where the future is dropped before it is ready.
    pub async fn next(&mut self) -> LinkEvent {
        tokio::select! {
            Some(id) = self.refused.recv() => LinkEvent::Published { id, stored: false },
            Some(event) = self.direct.recv() => {
                self.shared.direct_bytes.fetch_sub(weight(&event), Ordering::Relaxed);
                event
            }
            Some(event) = self.events.recv() => event,
            // The courier ends with its runtime only.
            else => std::future::pending().await,
        }
    }

    /// Sends to everybody, through the stream. Never waits: where the link is down or too much waits already, it is
    /// `Published { stored: false }`. A message id lets the broker drop what it has had within two minutes.
    pub fn broadcast(&self, id: u64, slot: Slot, msg_id: Option<String>, bytes: Vec<u8>) {
        let subject = self.names.slot(slot);
        let own_beat = slot == Slot::Beat;
        let message = Outgoing::Broadcast { id, subject, own_beat, msg_id, bytes: bytes.into() };
        if !self.hand_over(message) {
            // Its reader is `self`.
            let _ = self.refuse.send(id);
        }
    }

    /// Sends to one engine's mailbox, at most once; dropped where the link is down or too much waits already.
    pub fn send(&self, to: (MemberName, u16), bytes: Vec<u8>) {
        self.hand_over(Outgoing::Plain { subject: self.names.mailbox(to), bytes: bytes.into() });
    }

    /// Sends to all engines of the own member, this one too, at most once; dropped as with [`Self::send`].
    pub fn send_own(&self, bytes: Vec<u8>) {
        self.hand_over(Outgoing::Plain { subject: self.names.own(), bytes: bytes.into() });
    }

    fn hand_over(&self, message: Outgoing) -> bool {
        let len = message.len();
        let up = self.shared.up.load(Ordering::Acquire);
        if !up || self.shared.bytes.load(Ordering::Relaxed) + len > OUTGOING_BYTES_MAX {
            return false;
        }
        self.shared.bytes.fetch_add(len, Ordering::Relaxed);
        let taken = self.outgoing.try_send(message).is_ok();
        if !taken {
            self.shared.bytes.fetch_sub(len, Ordering::Relaxed);
        }
        taken
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}
