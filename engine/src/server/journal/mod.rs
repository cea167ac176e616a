//! The journal thread: decides what a change may do, makes it durable, applies it, and only then acknowledges it.
//!
//! Group commit: everything that waits goes into one durable transaction. After a failed write nothing is
//! acknowledged any more until the file was opened and read again (`writer`), because a failed fsync may have dropped
//! pages that look written (the 2020 study of five databases found none that handled it). On a full disk what ends a
//! protection is written from a reserve (`disk`).

mod arrivals;
mod check;
mod disk;
mod epoch;
mod foreign;
mod intent;
mod last_word;
mod plan;
mod plan_exemptions;
mod plan_flags;
mod plan_indicators;
mod read;
mod repeat;
mod store;
mod writer;

pub use disk::{Disk, Room, TRANSACTION_BYTES_MAX};
pub use foreign::{Foreign, Hear, News, Wanted, epoch_head};
pub use intent::{By, Intent};
pub use read::ChainEnd;
pub use store::{Store, StoreError, guarded};

use super::clock;
use super::keys::SigningKey;
use super::snapshots::{self, Snapshots};
use crate::journal::{Chain, JournalHead};
use crate::metrics::Metrics;
use crate::policy::Sharing;
use crate::replication::Chunk;
use crate::state::State;
use arc_swap::ArcSwap;
use check::Running;
use crossbeam::channel::{Sender, TrySendError, bounded};
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::ids::{Actor, MemberName, RequestId};
use sparr_protocol::limits::RECORD_BYTES_MAX;
use sparr_protocol::record::{Origin, Payload, Record};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use writer::Writer;

/// Changes that may wait for the disk. More are refused at once instead of queueing past anybody's patience.
const WAITING_MAX: usize = 8_192;

/// Records that one transaction takes at most (measured: 645,000 records/s at 1,000 a commit).
const RECORDS_PER_COMMIT_MAX: usize = 1_000;

/// A commit ends with the record that makes it so long: it travels as one message, because one signature covers it.
const COMMIT_BYTES_MAX: usize = 256 << 10;

// A transaction that has begun ends: what it needs is there, if not on the disk then in the reserve.
const _: () = assert!(2 * RECORDS_PER_COMMIT_MAX * RECORD_BYTES_MAX <= TRANSACTION_BYTES_MAX as usize);

/// Repeated operations are recognised for a day: longer than any client retries.
const OPERATIONS_KEPT_MS: i64 = 86_400_000;

/// Operations in memory from which on old ones are looked for and forgotten.
const OPERATIONS_BEFORE_PRUNING: usize = 1_000_000;

fn oldest_kept_stamp() -> u64 {
    u64::try_from(clock::now().ms() - OPERATIONS_KEPT_MS).unwrap_or(0)
}

/// Where the outcome of a change goes.
pub type Reply = Box<dyn FnOnce(Said) + Send>;

/// What somebody wants changed, and where they hear what became of it.
struct Change {
    actor: Actor,
    operation: RequestId,
    intent: Intent,
    reply: Answer,
}

/// A reply that is always given: what is dropped on the way, by whatever error of ours, is refused.
struct Answer(Option<Reply>);

impl Answer {
    fn say(mut self, said: Said) {
        if let Some(reply) = self.0.take() {
            reply(said);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(reply) = self.0.take() {
            reply(Said::Refused(Refusal::JournalFailed));
        }
    }
}

/// What the journal's thread is asked to do.
enum Work {
    /// Change something.
    Change(Change),
    /// Let records of another engine act, and keep them.
    Foreign(Foreign),
    /// Read records for another engine.
    Read(Wanted, Box<dyn FnOnce(Vec<Chunk>) + Send>),
    /// Go on in a life that is later than this one.
    Renew {
        /// The latest that anybody has heard of.
        above: u32,
    },
    /// Note that the engine is live in the exchange.
    Joined,
}

/// Hands work to the journal thread.
#[derive(Clone)]
pub struct JournalHandle {
    work: Sender<Work>,
}

impl JournalHandle {
    /// Queues a change; `reply` hears what became of it, on the journal's thread.
    pub fn submit(&self, actor: Actor, operation: RequestId, intent: Intent, reply: Reply) {
        let change = Change { actor, operation, intent, reply: Answer(Some(reply)) };
        match self.work.try_send(Work::Change(change)) {
            Err(TrySendError::Full(Work::Change(change))) => {
                change.reply.say(Said::Refused(Refusal::Overloaded))
            }
            Err(TrySendError::Disconnected(Work::Change(change))) => {
                change.reply.say(Said::Refused(Refusal::NotReady))
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Has records of another engine act and kept.
    pub fn keep(&self, foreign: Foreign) {
        if let Err(error) = self.work.try_send(Work::Foreign(foreign))
            && let Work::Foreign(foreign) = error.into_inner()
        {
            (foreign.done)(false);
        }
    }

    /// Reads records for another engine; nothing where the journal has too much to do.
    pub fn read(&self, wanted: Wanted, done: Box<dyn FnOnce(Vec<Chunk>) + Send>) {
        if let Err(error) = self.work.try_send(Work::Read(wanted, done))
            && let Work::Read(_, done) = error.into_inner()
        {
            done(Vec::new());
        }
    }

    /// Has the journal go on in a life that is later than this one. Where it does not, it is asked again.
    pub fn renew(&self, above: u32) {
        let _ = self.work.try_send(Work::Renew { above });
    }

    /// Notes durably that this engine is live in the exchange. Whether it was noted shows at the next start alone.
    pub fn joined(&self) {
        // Where it is not noted, the next start proves it again.
        let _ = self.work.try_send(Work::Joined);
    }
}

/// The journal as it was found.
pub struct Opened {
    store: Store,
    chain: Chain,
    operations: Operations,
    /// Up to where the journal of each life of each engine has been applied, in order.
    heads: Vec<JournalHead>,
    snapshots: Snapshots,
    running: Running,
    /// Set where a check finds that an older part of the journal is damaged.
    is_damaged: Arc<AtomicBool>,
}

impl Opened {
    /// Up to where the journal of each life of each engine has been applied.
    pub fn heads(&self) -> &[JournalHead] {
        &self.heads
    }

    /// Notes up to where a life's records have been applied.
    fn note_head(&mut self, head: JournalHead) {
        match self.heads.binary_search_by_key(&head.origin, |known| known.origin) {
            Ok(at) => self.heads[at] = head,
            Err(at) => self.heads.insert(at, head),
        }
    }
}

/// Operations that were carried out: what each recorded, and its stamp.
type Operations = HashMap<(MemberName, RequestId), (Payload, u64)>;

/// Where a journal lies, and how often its state is written down.
pub struct JournalFolder<'a> {
    /// The engine's data folder.
    pub data_dir: &'a Path,
    /// Records between two snapshots at least.
    pub snapshot_records: u64,
}

/// Opens the journal for an origin that begins now: reads the newest snapshot, and what came after it.
pub fn open(
    store: Store,
    folder: JournalFolder<'_>,
    origin: Origin,
    state: &Arc<State>,
    metrics: &Arc<Metrics>,
) -> Result<Opened, StoreError> {
    let io = |error| StoreError::Storage(redb::Error::Io(error));
    let running = Running::begin(folder.data_dir).map_err(io)?;
    let snapshots_dir = snapshots::folder(folder.data_dir);
    let snapshot = snapshots::read(&snapshots_dir, state, &store)?;
    let (known, written_at) = snapshot.map_or((Vec::new(), 0), |head| (head.journals, head.applied));
    let heads = store.replay_after(&known, |sealed| Ok(state.apply(&sealed.record, sealed.digest)?))?;
    let is_damaged = Arc::new(AtomicBool::new(false));
    if running.was_unclean && !known.is_empty() {
        check::start(&store, is_damaged.clone(), metrics.clone())?;
    }
    let of = (origin.member, origin.engine);
    let mut operations = Operations::new();
    store.recent(of, oldest_kept_stamp(), |Record { stamp, actor, operation, payload, .. }| {
        // An operation that made several records is known by its last one; from the newest back, the first seen.
        operations.entry((actor.member, operation)).or_insert((payload, stamp));
    })?;
    let end = ChainEnd::of(&heads, of);
    let chain = Chain::new(origin, end.last_digest, end.highest_stamp);
    let snapshots =
        Snapshots::start(snapshots_dir, folder.snapshot_records, written_at, state.clone(), metrics.clone());
    let snapshots = snapshots.map_err(io)?;
    Ok(Opened { store, chain, operations, heads, snapshots, running, is_damaged })
}

/// Starts the journal thread. It ends when every handle is gone, after the last commit.
///
/// `sharing` is looked at for each change: a configuration that is read again counts from then on. `hear` hears what this
/// engine commits, once it is durable and before it is acknowledged: where it waits, the journal waits.
pub fn start(
    opened: Opened,
    key: SigningKey,
    sharing: Arc<ArcSwap<Sharing>>,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    hear: Option<Hear>,
) -> std::io::Result<(JournalHandle, JoinHandle<()>)> {
    let (work, waiting) = bounded(WAITING_MAX);
    let mut writer = Writer::new(opened, key, sharing, state, metrics, hear);
    let thread =
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&waiting))?;
    Ok((JournalHandle { work }, thread))
}
