//! One engine: its disk, and while it runs its state, its journal's thread and its replica.

use crate::authority::{CENTRE, SimAuthority, Standing};
use crate::disk::Disk;
use crate::writer::Writer;
use sparr_engine::decision::VerifyUnavailable;
use sparr_engine::journal::Sealed;
use sparr_engine::policy::{Policy, Required, StaleAfter};
use sparr_engine::replication::{EngineOf, EpochHead, Now, Place, Replica, ReplicaConfig};
use sparr_engine::request::{Keyring, NetworkKey};
use sparr_engine::state::{EngineClock, State, StateConfig};
use sparr_protocol::ids::MemberName;
use sparr_protocol::member::MemberKind;
use sparr_protocol::record::{Commit, Payload, RecordDigest};
use sparr_protocol::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::rc::Rc;

/// The wall clock when a simulation begins, ms since 1970.
pub(crate) const BEGAN_MS: u64 = 1_795_348_800_000;

/// The last records of every life of every engine on a disk at some time.
pub(crate) type Heads = Rc<Vec<(EngineOf, EpochHead)>>;

/// What the journal's thread has to do, in order.
pub(crate) enum Job {
    /// Records of this engine.
    Own { commit: Commit, records: Vec<Sealed> },
    /// Records of another engine, or of an earlier life.
    Foreign { commit: Commit, records: Vec<Sealed> },
}

impl Job {
    pub(crate) fn parts(&self) -> (&Commit, &[Sealed]) {
        match self {
            Self::Own { commit, records } | Self::Foreign { commit, records } => (commit, records),
        }
    }
}

/// A job with its number.
pub(crate) struct Queued {
    pub(crate) number: u64,
    pub(crate) job: Job,
}

/// A broadcast with records that the broker has taken and that is on its way here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owed {
    pub(crate) of: EngineOf,
    pub(crate) last: Place,
    pub(crate) session: u64,
}

/// An engine that runs.
pub(crate) struct Process {
    /// No other process has this number.
    pub(crate) number: u64,
    pub(crate) epoch: u32,
    pub(crate) replica: Replica<SimAuthority>,
    pub(crate) state: Rc<State>,
    pub(crate) standing: Rc<Standing>,
    /// The steady clock is the time of the simulation and this.
    pub(crate) steady_base: u64,
    pub(crate) writer: Writer,
    pub(crate) jobs: VecDeque<Queued>,
    /// When the last of them is done.
    pub(crate) jobs_until: u64,
    /// Reads that were not answered.
    pub(crate) reads: usize,
    /// Broadcasts of records that were not answered, by number, with their time.
    pub(crate) unanswered: BTreeMap<u64, u64>,
    pub(crate) wake_at: u64,
    pub(crate) applied: HashSet<RecordDigest>,
    pub(crate) is_joined: bool,
    pub(crate) caught_up: bool,
    /// By time at which the broker took it, and place.
    pub(crate) owed: BTreeMap<(u64, u64), Owed>,
    /// By life and number, what each engine had on its disk when it sent the newest position that came here since the broker had nothing
    /// more, and when each was heard.
    pub(crate) positions: BTreeMap<EngineOf, ((u32, u64), Heads)>,
    pub(crate) heard: BTreeMap<EngineOf, u64>,
}

/// The link of an engine, as the network has it and as the engine sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pub(crate) is_up: bool,
    /// Changes with each link.
    pub(crate) session: u64,
    /// To the broker, and from it.
    pub(crate) cut_up: bool,
    pub(crate) cut_down: bool,
    /// Nothing overtakes: when the last message arrives.
    pub(crate) up_clock: u64,
    pub(crate) down_clock: u64,
    /// Place in the stream up to which was delivered.
    pub(crate) delivered: u64,
    /// Which of the broker's streams it has seen.
    pub(crate) generation: u64,
}

/// One engine of one member.
pub(crate) struct Node {
    pub(crate) of: EngineOf,
    pub(crate) disk: Disk,
    pub(crate) backup: Option<Disk>,
    pub(crate) process: Option<Process>,
    pub(crate) link: Link,
    pub(crate) paused_until: u64,
    /// The wall clock is ahead by so much, ms.
    pub(crate) skew: i64,
    pub(crate) has_departed: bool,
    /// It dies right after its next commit is durable.
    pub(crate) dies_after_sync: bool,
    /// Less is on its disk than was, and it has not started since.
    pub(crate) is_damaged: bool,
    /// No life before this one had as little on its disk as the one in which it came back with less.
    pub(crate) damaged_in: u32,
    /// The newest life of each engine of which a message came here, through all processes.
    pub(crate) heard_lives: BTreeMap<EngineOf, u32>,
}

/// What a simulation has of members.
pub(crate) struct Network {
    pub(crate) configured: Vec<(MemberName, MemberKind, [u8; 32])>,
}

pub(crate) fn member(name: &str) -> MemberName {
    MemberName::parse(name).expect("legal")
}

pub(crate) fn kind_of(name: MemberName) -> MemberKind {
    match name.as_str() {
        CENTRE => MemberKind::CentralOrganisation,
        "police" => MemberKind::Police,
        _ => MemberKind::Bank,
    }
}

fn new_state(of: EngineOf, epoch: u32) -> State {
    State::new(StateConfig {
        keyring: Keyring::new(NetworkKey::new(1, [7; 32].into()), None),
        policy: Policy {
            required: Required::default(),
            verify_unavailable: VerifyUnavailable::Hold,
            cooling_off_ms: 0,
            stale_after: StaleAfter::default(),
        },
        clock: EngineClock::Wall { began: Timestamp::from_ms(BEGAN_MS as i64) },
        member: of.member,
        engine: of.engine,
        epoch,
        velocity_keys_max: 1,
        ids_kept_max: 1,
    })
}

impl Node {
    pub(crate) fn new(of: EngineOf) -> Self {
        Self {
            of,
            disk: Disk::default(),
            backup: None,
            process: None,
            link: Link::default(),
            paused_until: 0,
            skew: 0,
            has_departed: false,
            dies_after_sync: false,
            is_damaged: false,
            damaged_in: 0,
            heard_lives: BTreeMap::new(),
        }
    }

    /// The wall clock at a time of the simulation.
    pub(crate) fn wall(&self, time: u64) -> u64 {
        (BEGAN_MS + time).saturating_add_signed(self.skew)
    }

    /// Starts the engine in a new life from what its disk holds.
    pub(crate) fn start(&mut self, network: &Network, number: u64, epoch: u32, steady_base: u64, time: u64) {
        let state = Rc::new(new_state(self.of, epoch));
        state.members.configure_all(&network.configured);
        let standing = Rc::new(Standing::default());
        standing.wall.set(self.wall(time));
        let authority = SimAuthority { me: self.of.member, state: state.clone(), standing: standing.clone() };
        let now = Now { steady_ms: time + steady_base, wall_ms: self.wall(time) };
        self.disk.epoch = epoch;
        self.is_damaged = false;
        let config = ReplicaConfig {
            me: self.of.in_epoch(epoch),
            journal: self.disk.heads(),
            has_joined: self.disk.has_joined,
            seed: number,
        };
        let mut process = Process {
            number,
            epoch,
            replica: Replica::new(authority, config, now),
            state,
            standing,
            steady_base,
            writer: self.writer(epoch),
            jobs: VecDeque::new(),
            jobs_until: 0,
            reads: 0,
            unanswered: BTreeMap::new(),
            wake_at: u64::MAX,
            applied: HashSet::new(),
            is_joined: self.disk.has_joined,
            caught_up: false,
            owed: BTreeMap::new(),
            positions: BTreeMap::new(),
            heard: BTreeMap::new(),
        };
        self.disk.records().for_each(|sealed| process.apply(sealed));
        self.process = Some(process);
    }

    /// The writer of a life. It begins after what is on the disk of this engine; where the disk holds that very life, it
    /// goes on with it, as no engine should.
    pub(crate) fn writer(&self, epoch: u32) -> Writer {
        let heads = self.disk.heads();
        let before = |(of, head): &&(EngineOf, EpochHead)| *of == self.of && head.epoch <= epoch;
        let last = heads.iter().rfind(before).map(|(_, head)| *head);
        let highest = self.disk.records().map(|sealed| sealed.record.stamp).max().unwrap_or(0);
        Writer::new(self.of.in_epoch(epoch), last, highest)
    }

    pub(crate) fn now(&self, time: u64) -> Now {
        let base = self.process.as_ref().map_or(0, |process| process.steady_base);
        Now { steady_ms: time + base, wall_ms: self.wall(time) }
    }
}

impl Process {
    /// A record is durable: it acts.
    pub(crate) fn apply(&mut self, sealed: &Sealed) {
        if let Payload::MemberSuspended { member, .. } = &sealed.record.payload {
            let mut suspended = self.standing.suspended.borrow_mut();
            let at = suspended.entry(*member).or_default();
            *at = (*at).max(sealed.record.stamp);
        }
        self.state.apply(&sealed.record, sealed.digest).expect("understood");
        self.writer.observe(sealed.record.stamp);
        self.applied.insert(sealed.digest);
    }

    /// Members that this engine expects.
    pub(crate) fn expected(&self) -> BTreeSet<MemberName> {
        self.state.members.all().iter().map(|entry| entry.member).collect()
    }
}
