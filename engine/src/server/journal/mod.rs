//! The journal thread: decides what a change may do, makes it durable, applies it, and only then acknowledges it.
//!
//! Group commit: everything that waits goes into one durable transaction. After a failed write nothing is
//! acknowledged any more until the engine is restarted and has read the file again, because a failed fsync may have
//! dropped pages that look written (the 2020 study of five databases found none that handled it).

mod store;

pub use store::{Store, StoreError, guarded};

use super::clock;
use super::keys::{FIRST_SIGNING_KEY, SigningKey};
use crate::flags::{Flag, Standing};
use crate::journal::{Chain, Sealed};
use crate::limits::FLAG_DAYS_MAX;
use crate::metrics::Metrics;
use crate::request::LivePseudonyms;
use crate::state::{Moment, State};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use sparr_protocol::codes::{AuthMethod, RequestedBy};
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::flag::Terms;
use sparr_protocol::ids::{Actor, MemberName, Pseudonym, RequestId};
use sparr_protocol::record::{Origin, Payload, Record};
use sparr_protocol::time::Timestamp;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Changes that may wait for the disk. More are refused at once instead of queueing past anybody's patience.
const WAITING_MAX: usize = 8_192;

/// Records that one transaction takes at most (measured: 645,000 records/s at 1,000 a commit).
const RECORDS_PER_COMMIT_MAX: usize = 1_000;

/// Repeated operations are recognised for a day: longer than any client retries.
const OPERATIONS_KEPT_MS: i64 = 86_400_000;

/// Operations in memory from which on old ones are looked for and forgotten.
const OPERATIONS_BEFORE_PRUNING: usize = 1_000_000;

fn oldest_kept_stamp() -> u64 {
    u64::try_from(clock::now().ms() - OPERATIONS_KEPT_MS).unwrap_or(0)
}

/// What somebody wants changed.
#[derive(Clone, Debug)]
pub enum Intent {
    /// Raise a flag.
    Raise {
        /// Whose.
        subject: LivePseudonyms,
        /// What it says.
        terms: Terms,
    },
    /// Lift the actor's member's flag.
    Lift {
        /// Whose.
        subject: LivePseudonyms,
        /// On whose behalf.
        requested_by: RequestedBy,
        /// How the person who asked was authenticated.
        authenticated_by: AuthMethod,
        /// Whether a second channel confirmed it.
        second_channel: bool,
    },
}

impl Intent {
    fn subject(&self) -> LivePseudonyms {
        match self {
            Self::Raise { subject, .. } | Self::Lift { subject, .. } => *subject,
        }
    }
}

/// Where the outcome of a change goes.
pub type Reply = Box<dyn FnOnce(Said) + Send>;

struct Change {
    actor: Actor,
    operation: RequestId,
    intent: Intent,
    reply: Reply,
}

/// Hands changes to the journal thread.
#[derive(Clone)]
pub struct JournalHandle {
    changes: Sender<Change>,
}

impl JournalHandle {
    /// Queues a change; `reply` hears what became of it, on the journal's thread.
    pub fn submit(&self, actor: Actor, operation: RequestId, intent: Intent, reply: Reply) {
        match self.changes.try_send(Change { actor, operation, intent, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(change)) => (change.reply)(Said::Refused(Refusal::Overloaded)),
            Err(TrySendError::Disconnected(change)) => (change.reply)(Said::Refused(Refusal::NotReady)),
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
pub fn start(
    opened: Opened,
    key: SigningKey,
    state: Arc<State>,
    metrics: Arc<Metrics>,
) -> std::io::Result<(JournalHandle, JoinHandle<()>)> {
    let (changes, waiting) = bounded(WAITING_MAX);
    let mut writer = Writer { opened, key, state, metrics, failed: false };
    let thread =
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&waiting))?;
    Ok((JournalHandle { changes }, thread))
}

struct Writer {
    opened: Opened,
    key: SigningKey,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    failed: bool,
}

/// Changes that go into one transaction.
#[derive(Default)]
struct Batch {
    records: Vec<Sealed>,
    replies: Vec<(Reply, Said)>,
    subjects: HashSet<Pseudonym>,
}

impl Writer {
    fn run(&mut self, waiting: &Receiver<Change>) {
        while let Ok(first) = waiting.recv() {
            let mut batch = Batch::default();
            for change in std::iter::once(first).chain(waiting.try_iter()) {
                // A second change of one subject must see what the first has done.
                if change.intent.subject().iter().any(|(_, subject)| batch.subjects.contains(&subject)) {
                    self.commit(std::mem::take(&mut batch));
                }
                self.plan(change, &mut batch);
                if batch.records.len() >= RECORDS_PER_COMMIT_MAX {
                    self.commit(std::mem::take(&mut batch));
                }
            }
            self.commit(batch);
        }
    }

    /// Decides what a change may do and adds its records to the batch, or refuses it.
    fn plan(&mut self, change: Change, batch: &mut Batch) {
        let Change { actor, operation, intent, reply } = change;
        if self.failed {
            return reply(Said::Refused(Refusal::JournalFailed));
        }
        let moment = clock::moment();
        if let Some(known) = self.opened.operations.get(&(actor.member, operation)) {
            return reply(repeated(known, &intent));
        }
        let planned = match &intent {
            Intent::Raise { subject, terms } => plan_raise(*subject, *terms, self.state.now(moment)),
            Intent::Lift { subject, requested_by, authenticated_by, second_channel } => {
                let how = How {
                    requested_by: *requested_by,
                    authenticated_by: *authenticated_by,
                    second_channel: *second_channel,
                };
                plan_lift(*subject, actor.member, how, &self.state, moment)
            }
        };
        match planned {
            Err(refusal) => reply(Said::Refused(refusal)),
            Ok(Planned { payloads, effective_from }) => {
                batch.subjects.extend(intent.subject().iter().map(|(_, subject)| subject));
                for payload in payloads {
                    let sealed = self.opened.chain.append(moment.now, actor.clone(), operation, "", payload);
                    batch.records.push(sealed);
                }
                batch.replies.push((reply, Said::Durable { peers: 0, effective_from }));
            }
        }
    }

    /// Makes a batch durable, applies it, and acknowledges it: in this order.
    fn commit(&mut self, batch: Batch) {
        let Some(first) = batch.records.first().map(|sealed| sealed.record.sequence) else { return };
        let mut commit = self.opened.chain.commit(first, FIRST_SIGNING_KEY);
        commit.signature = self.key.sign(&commit.signed_bytes());
        let started = clock::instant();
        let written = self.opened.store.append(&batch.records, &commit);
        self.metrics.journal_committed(clock::nanos_between(started, clock::instant()), batch.records.len());
        if let Err(error) = written {
            self.failed = true;
            self.metrics.journal_failed();
            tracing::error!(%error, "the journal could not be written; changes are refused until a restart");
            for (reply, _) in batch.replies {
                reply(Said::Refused(Refusal::JournalFailed));
            }
            return;
        }
        for sealed in batch.records {
            // The engine wrote these records itself a moment ago, so it understands them.
            let applied = self.state.apply(&sealed.record, sealed.digest);
            debug_assert!(applied.is_ok());
            let Record { stamp, actor, operation, payload, .. } = sealed.record;
            self.opened.operations.insert((actor.member, operation), (payload, stamp));
        }
        if self.opened.operations.len() > OPERATIONS_BEFORE_PRUNING {
            let oldest_kept = oldest_kept_stamp();
            self.opened.operations.retain(|_, (_, stamp)| *stamp >= oldest_kept);
        }
        for (reply, said) in batch.replies {
            reply(said);
        }
    }
}

struct Planned {
    payloads: Vec<Payload>,
    effective_from: Timestamp,
}

/// How a lift was asked for.
#[derive(Clone, Copy)]
struct How {
    requested_by: RequestedBy,
    authenticated_by: AuthMethod,
    second_channel: bool,
}

fn plan_raise(subject: LivePseudonyms, terms: Terms, now: Timestamp) -> Result<Planned, Refusal> {
    if terms.valid_until <= now {
        return Err(Refusal::UntilInPast);
    }
    if terms.valid_until.ms_since(now) > FLAG_DAYS_MAX * 86_400_000 {
        return Err(Refusal::UntilTooFar);
    }
    let (key_id, subject) = subject.current;
    Ok(Planned { payloads: vec![Payload::FlagRaised { subject, key_id, terms }], effective_from: now })
}

/// A lift travels as fast as a raise but is accepted with more care: without a second channel it cools off first,
/// because a lift on the phone is where a person who is being coerced is lost.
fn plan_lift(
    subject: LivePseudonyms,
    member: MemberName,
    how: How,
    state: &State,
    moment: Moment,
) -> Result<Planned, Refusal> {
    let now = state.now(moment);
    let cooling_off_ms = if how.second_channel { 0 } else { state.policy.cooling_off_ms };
    let effective_from = now.saturating_add_ms(cooling_off_ms);
    let acts = |flag: &Flag| matches!(flag.standing(now), Standing::Active(_) | Standing::Lifting(..));
    let (mut payloads, mut others) = (Vec::new(), false);
    for (key_id, subject) in subject.iter() {
        state.stores.flags.visit(subject, |flag| match flag.raised.filter(|_| acts(flag)) {
            Some(raise) if flag.registrar == member => payloads.push(Payload::FlagLifted {
                subject,
                key_id,
                raise: raise.record,
                requested_by: how.requested_by,
                authenticated_by: how.authenticated_by,
                second_channel: how.second_channel,
                effective_from,
            }),
            Some(_) => others = true,
            None => {}
        });
    }
    match (payloads.is_empty(), others) {
        (false, _) => Ok(Planned { payloads, effective_from }),
        (true, true) => Err(Refusal::NotRegistrar),
        (true, false) => Err(Refusal::NotFlagged),
    }
}

/// What an operation that was carried out before hears: the same acknowledgement, or that its id is another's.
fn repeated((known, stamp): &(Payload, u64), intent: &Intent) -> Said {
    let is_about = |subject: &Pseudonym| intent.subject().iter().any(|(_, live)| live == *subject);
    let effective_from = match (known, intent) {
        (Payload::FlagRaised { subject, terms, .. }, Intent::Raise { terms: asked, .. })
            if is_about(subject) && terms == asked =>
        {
            Timestamp::from_ms(i64::try_from(*stamp).unwrap_or(i64::MAX))
        }
        (Payload::FlagLifted { subject, effective_from, .. }, Intent::Lift { .. }) if is_about(subject) => {
            *effective_from
        }
        (Payload::FlagRaised { .. } | Payload::FlagLifted { .. } | Payload::Unknown { .. }, _) => {
            return Said::Refused(Refusal::IdConflict);
        }
    };
    Said::Durable { peers: 0, effective_from }
}
