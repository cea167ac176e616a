//! The simulation: one clock, one queue of events, and what each event does.

use crate::broker::Broker;
use crate::ledger::Ledger;
use crate::node::{Network, Node};
use crate::plan::{Control, Fault, Plan};
use crate::random::Random;
use sparr_engine::replication::{EngineOf, EpochHead, Place, Reader, Slot};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::rc::Rc;

/// Something that happens at a time.
pub(crate) enum Event {
    /// The replica asked to be polled.
    Wake { node: usize, process: u64 },
    /// The stream brings a message.
    Deliver { node: usize, session: u64, place: u64, at: u64, bytes: Rc<[u8]> },
    /// The mailbox brings a message.
    Mail { node: usize, bytes: Rc<[u8]> },
    /// The stream has brought what it held when the link came up.
    CaughtUp { node: usize, session: u64 },
    /// The journal has done its oldest job.
    Journal { node: usize, process: u64, job: u64 },
    /// The journal has not taken records in.
    NotStored { node: usize, process: u64, of: EngineOf, head: EpochHead },
    /// The journal has read.
    Read {
        node: usize,
        process: u64,
        reader: Reader,
        of: EngineOf,
        after: Place,
        chunks: usize,
        bytes: usize,
    },
    /// A message reaches the broker.
    Publish { node: usize, session: u64, slot: Slot, id: Option<u64>, bytes: Rc<[u8]> },
    /// The broker's answer, or that there was none.
    Published { node: usize, process: u64, id: u64, stored: bool },
    /// The engine notices that its link is gone.
    LinkLost { node: usize, session: u64 },
    /// The engine tries to link.
    Relink { node: usize },
    /// The engine notices that the stream is another.
    Reset { node: usize, session: u64 },
    /// The engine starts again.
    Restart { node: usize },
    /// A cut is over.
    Mend { node: usize },
    /// The broker is back.
    BrokerBack,
    /// Somebody changes something somewhere.
    Work,
    /// A fault begins.
    Fault(Fault),
    /// Something is looked into.
    Check,
}

impl Event {
    /// Whose process must be awake for it.
    fn node(&self) -> Option<usize> {
        match self {
            Self::Wake { node, .. }
            | Self::Deliver { node, .. }
            | Self::Mail { node, .. }
            | Self::CaughtUp { node, .. }
            | Self::Journal { node, .. }
            | Self::NotStored { node, .. }
            | Self::Read { node, .. }
            | Self::Published { node, .. }
            | Self::LinkLost { node, .. }
            | Self::Relink { node }
            | Self::Reset { node, .. } => Some(*node),
            Self::Publish { .. }
            | Self::Restart { .. }
            | Self::Mend { .. }
            | Self::BrokerBack
            | Self::Work
            | Self::Fault(_)
            | Self::Check => None,
        }
    }
}

struct At {
    time: u64,
    number: u64,
    event: Event,
}

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        (self.time, self.number) == (other.time, other.number)
    }
}
impl Eq for At {}
impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.number).cmp(&(other.time, other.number))
    }
}

/// What went wrong, and when.
pub(crate) type Outcome = Result<(), String>;

/// One run of some engines, their disks, their broker, and people who change things.
pub(crate) struct Sim {
    pub(crate) time: u64,
    pub(crate) random: Random,
    queue: BinaryHeap<Reverse<At>>,
    numbers: u64,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    pub(crate) broker: Broker,
    pub(crate) ledger: Ledger,
    pub(crate) plan: Plan,
    pub(crate) control: Control,
    /// How often each fault was met.
    pub(crate) hits: BTreeMap<Fault, u64>,
    /// Chaos is over.
    pub(crate) is_healed: bool,
    pub(crate) epochs: u32,
    /// Lives that began before some that were lost, by their node.
    pub(crate) lives_before: HashSet<(usize, u32)>,
    pub(crate) operations: u64,
    pub(crate) is_told: bool,
}

/// Numbers of lives between two that follow each other.
const LIVES_BETWEEN: u32 = 16;

impl Sim {
    pub(crate) fn new(seed: u64, plan: Plan, network: Network, control: Control, random: Random) -> Self {
        let broker = Broker::new(plan.record_slots);
        Self {
            time: 0,
            random,
            queue: BinaryHeap::new(),
            numbers: seed << 20,
            network,
            nodes: Vec::new(),
            broker,
            ledger: Ledger::default(),
            plan,
            control,
            hits: BTreeMap::new(),
            is_healed: false,
            epochs: 0,
            lives_before: HashSet::new(),
            operations: 0,
            is_told: std::env::var("SPARR_TOLD").is_ok(),
        }
    }

    /// A life that is later than any so far, with room for some between.
    pub(crate) fn next_epoch(&mut self) -> u32 {
        self.epochs += LIVES_BETWEEN;
        self.epochs
    }

    /// A number that nothing else has.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn push(&mut self, time: u64, event: Event) {
        let number = self.number();
        self.queue.push(Reverse(At { time: time.max(self.time), number, event }));
    }

    pub(crate) fn hit(&mut self, fault: Fault) {
        *self.hits.entry(fault).or_default() += 1;
    }

    /// Says what happens, where somebody wants to know.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            println!("{:>7} {}", self.time, what());
        }
    }

    /// Runs up to a time.
    pub(crate) fn run_until(&mut self, end: u64) -> Outcome {
        while self.queue.peek().is_some_and(|Reverse(at)| at.time <= end) {
            let Some(Reverse(At { time, number, event })) = self.queue.pop() else { break };
            self.time = time;
            let asleep = event.node().map(|node| self.nodes[node].paused_until).filter(|until| time < *until);
            match asleep {
                // In the order in which it would have come.
                Some(time) => self.queue.push(Reverse(At { time, number, event })),
                None => self.happens(event)?,
            }
        }
        self.time = end;
        Ok(())
    }

    fn happens(&mut self, event: Event) -> Outcome {
        match event {
            Event::Wake { node, process } => self.wake(node, process),
            Event::Deliver { node, session, place, at, bytes } => {
                self.delivered(node, session, (at, place), &bytes)
            }
            Event::Mail { node, bytes } => self.mailed(node, &bytes),
            Event::CaughtUp { node, session } => self.caught_up(node, session),
            Event::Journal { node, process, job } => self.journal_done(node, process, job),
            Event::NotStored { node, process, of, head } => self.not_stored(node, process, of, head),
            Event::Read { node, process, reader, of, after, chunks, bytes } => {
                self.journal_read(node, process, reader, (of, after), (chunks, bytes))
            }
            Event::Publish { node, session, slot, id, bytes } => {
                self.published_at_broker(node, session, slot, id, bytes);
                Ok(())
            }
            Event::Published { node, process, id, stored } => self.published(node, process, id, stored),
            Event::LinkLost { node, session } => self.link_lost(node, session),
            Event::Relink { node } => self.relink(node),
            Event::Reset { node, session } => self.stream_reset(node, session),
            Event::Restart { node } => self.restart(node),
            Event::Mend { node } => {
                self.mend(node);
                Ok(())
            }
            Event::BrokerBack => {
                self.broker_back();
                Ok(())
            }
            Event::Work => self.work(),
            Event::Fault(fault) => self.fault(fault),
            Event::Check => self.check(),
        }
    }
}
