//! The journal thread: decides what a change may do, makes it durable, applies it, and only then acknowledges it.
//!
//! Group commit: everything that waits goes into one durable transaction. After a failed write nothing is
//! acknowledged any more until the file was opened and read again (`writer`), because a failed fsync may have dropped
//! pages that look written (the 2020 study of five databases found none that handled it). On a full disk what ends a
//! protection is written from a reserve (`disk`).

mod disk;
mod intent;
mod plan;
mod plan_flags;
mod plan_indicators;
mod repeat;
mod store;
mod writer;

pub use disk::{Disk, Room, TRANSACTION_BYTES_MAX};
pub use intent::{By, Intent};
pub use store::{Store, StoreError, guarded};

use super::clock;
use super::keys::SigningKey;
use crate::journal::Chain;
use crate::metrics::Metrics;
use crate::policy::Sharing;
use crate::state::State;
use arc_swap::ArcSwap;
use crossbeam::channel::{Sender, TrySendError, bounded};
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::ids::{Actor, MemberName, RequestId};
use sparr_protocol::limits::RECORD_BYTES_MAX;
use sparr_protocol::record::{Origin, Payload, Record};
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use writer::Writer;

/// Changes that may wait for the disk. More are refused at once instead of queueing past anybody's patience.
const WAITING_MAX: usize = 8_192;

/// Records that one transaction takes at most (measured: 645,000 records/s at 1,000 a commit).
const RECORDS_PER_COMMIT_MAX: usize = 1_000;

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

/// Hands changes to the journal thread.
#[derive(Clone)]
pub struct JournalHandle {
    changes: Sender<Change>,
}

impl JournalHandle {
    /// Queues a change; `reply` hears what became of it, on the journal's thread.
    pub fn submit(&self, actor: Actor, operation: RequestId, intent: Intent, reply: Reply) {
        match self.changes.try_send(Change { actor, operation, intent, reply: Answer(Some(reply)) }) {
            Ok(()) => {}
            Err(TrySendError::Full(change)) => change.reply.say(Said::Refused(Refusal::Overloaded)),
            Err(TrySendError::Disconnected(change)) => change.reply.say(Said::Refused(Refusal::NotReady)),
        }
    }
}

/// The journal as it was found.
pub struct Opened {
    store: Store,
    chain: Chain,
    operations: Operations,
}

/// Operations that were carried out: what each recorded, and its stamp.
type Operations = HashMap<(MemberName, RequestId), (Payload, u64)>;

/// Opens the file and begins a new epoch.
pub fn open(
    store: Store,
    member: MemberName,
    engine: u16,
    epoch: u32,
    state: &State,
) -> Result<Opened, StoreError> {
    let mut operations = Operations::new();
    let oldest_kept = oldest_kept_stamp();
    let own = store.replay(member, engine, |sealed| {
        state.apply(&sealed.record, sealed.digest)?;
        let Record { stamp, actor, operation, payload, .. } = sealed.record;
        if stamp >= oldest_kept {
            operations.insert((actor.member, operation), (payload, stamp));
        }
        Ok(())
    })?;
    let chain = Chain::new(Origin { member, engine, epoch }, own.last_digest(), own.highest_stamp());
    Ok(Opened { store, chain, operations })
}

/// Starts the journal thread. It ends when every handle is gone, after the last commit.
///
/// `sharing` is looked at for each change: a configuration that is read again counts from then on.
pub fn start(
    opened: Opened,
    key: SigningKey,
    sharing: Arc<ArcSwap<Sharing>>,
    state: Arc<State>,
    metrics: Arc<Metrics>,
) -> std::io::Result<(JournalHandle, JoinHandle<()>)> {
    let (changes, waiting) = bounded(WAITING_MAX);
    let mut writer = Writer::new(opened, key, sharing, state, metrics);
    let thread =
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&waiting))?;
    Ok((JournalHandle { changes }, thread))
}
