//! The journal's thread: plan, commit, apply, acknowledge; and how it comes back after a failure. What comes from other
//! engines is in `arrivals`.

use super::disk::Room;
use super::foreign::{Foreign, Hear, News, epoch_head};
use super::intent::Touched;
use super::plan::{self, Asker, Planned};
use super::store::{StoreError, guarded};
use super::{
    Answer, COMMIT_BYTES_MAX, Change, OPERATIONS_BEFORE_PRUNING, Opened, RECORDS_PER_COMMIT_MAX, Work,
    oldest_kept_stamp, repeat,
};
use crate::journal::{Chain, JournalHead, Sealed};
use crate::metrics::{JournalState, Metrics};
use crate::policy::Sharing;
use crate::server::clock;
use crate::server::keys::{FIRST_SIGNING_KEY, SigningKey};
use crate::state::State;
use arc_swap::ArcSwap;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::ids::{MemberName, RequestId};
use sparr_protocol::record::{Origin, Record, RecordDigest};
use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the first attempt to open the file again waits; each one after it waits twice as long.
const REOPEN_FIRST: Duration = Duration::from_millis(100);
/// How long an attempt waits at most.
const REOPEN_LAST: Duration = Duration::from_secs(30);

/// How soon it is looked again whether a full disk has room for what came from other engines.
const ROOM_AGAIN: Duration = Duration::from_millis(500);

/// Batches of other engines that one transaction takes at most: each is shorter than a message.
pub(super) const FOREIGN_PER_COMMIT_MAX: usize = 4;

/// The journal's thread.
pub(super) struct Writer {
    pub(super) opened: Opened,
    /// The last record of this engine that is known to be durable; zeros before the very first.
    pub(super) durable: RecordDigest,
    key: SigningKey,
    sharing: Arc<ArcSwap<Sharing>>,
    pub(super) state: Arc<State>,
    metrics: Arc<Metrics>,
    hear: Option<Hear>,
    pub(super) failed: Option<Failed>,
    /// Records of other engines that act and are not durable here yet, in order.
    pub(super) arrived: VecDeque<Foreign>,
}

/// After a failure nothing is acknowledged until the file was read again.
pub(super) struct Failed {
    next_attempt: Instant,
    wait: Duration,
}

/// Changes that go into one transaction.
#[derive(Default)]
struct Batch {
    records: Vec<Sealed>,
    bytes: usize,
    replies: Vec<(Answer, Said)>,
    touched: HashSet<Touched>,
    operations: HashSet<(MemberName, RequestId)>,
}

impl Batch {
    /// Whether a change must see what this batch has done: it is about the same thing, or is the same operation.
    fn concerns(&self, change: &Change, touches: &[Touched]) -> bool {
        let all = Touched::Everything;
        self.touched.contains(&all)
            || touches.contains(&all) && !self.records.is_empty()
            || touches.iter().any(|touched| self.touched.contains(touched))
            || self.operations.contains(&(change.actor.member, change.operation))
    }
}

impl Writer {
    pub(super) fn new(
        opened: Opened,
        key: SigningKey,
        sharing: Arc<ArcSwap<Sharing>>,
        state: Arc<State>,
        metrics: Arc<Metrics>,
        hear: Option<Hear>,
    ) -> Self {
        let durable = opened.chain.head().digest;
        let arrived = VecDeque::new();
        Self { opened, durable, key, sharing, state, metrics, hear, failed: None, arrived }
    }

    /// Runs until every handle is gone.
    pub(super) fn run(&mut self, waiting: &Receiver<Work>) {
        loop {
            let first = match &self.failed {
                Some(failed) => waiting.recv_deadline(failed.next_attempt),
                None if self.arrived.is_empty() => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
                // The disk is full.
                None => waiting.recv_timeout(ROOM_AGAIN),
            };
            if matches!(first, Err(RecvTimeoutError::Disconnected)) {
                if self.failed.is_none() && !self.opened.is_damaged.load(Ordering::Acquire) {
                    self.opened.store.end(self.durable);
                    self.opened.running.end();
                } else {
                    // Guarded: what redb makes of a broken disk at the end is nobody's concern any more.
                    self.opened.store.close();
                }
                return;
            }
            if self.failed.is_none() && self.opened.is_damaged.swap(false, Ordering::AcqRel) {
                self.fail("an older part of it is damaged");
            }
            if self.failed.as_ref().is_some_and(|failed| clock::instant() >= failed.next_attempt) {
                self.come_back();
            }
            // An error of ours, or of redb's, ends this round and not the engine: who waits is refused.
            let round = catch_unwind(AssertUnwindSafe(|| self.take_in(first.ok(), waiting)));
            if round.is_err() {
                self.fail("an error in the program");
            }
        }
    }

    /// Takes in one piece of work and everything that waits behind it.
    fn take_in(&mut self, first: Option<Work>, waiting: &Receiver<Work>) {
        let mut batch = Batch::default();
        for work in first.into_iter().chain(waiting.try_iter()) {
            match work {
                Work::Change(change) => {
                    let touches = change.intent.touches();
                    if batch.concerns(&change, &touches) {
                        self.commit(std::mem::take(&mut batch));
                    }
                    self.plan(change, touches, &mut batch);
                }
                Work::Foreign(foreign) => self.arrives(foreign),
                Work::Read(wanted, done) => {
                    let read = guarded(Path::new(FILE), || self.opened.store.chunks(wanted));
                    done(read.unwrap_or_else(|error| {
                        tracing::error!(%error, "records could not be read for another engine");
                        Vec::new()
                    }));
                }
                Work::Renew { above } => {
                    self.commit(std::mem::take(&mut batch));
                    self.renew(above);
                }
                Work::Joined => {
                    if let Err(error) = guarded(Path::new(FILE), || self.opened.store.note_joined()) {
                        tracing::warn!(%error, "the next start proves again that it has everything");
                    }
                }
            }
            if batch.records.len() >= RECORDS_PER_COMMIT_MAX || batch.bytes >= COMMIT_BYTES_MAX {
                self.commit(std::mem::take(&mut batch));
            }
            if self.arrived.len() >= FOREIGN_PER_COMMIT_MAX {
                self.keep();
            }
        }
        self.commit(batch);
        self.keep();
    }

    pub(super) fn offer_snapshot(&mut self) {
        let Opened { snapshots, heads, .. } = &mut self.opened;
        snapshots.offer(&self.state, || heads.clone());
    }

    /// Decides what a change may do and adds its records to the batch, or refuses it.
    fn plan(&mut self, change: Change, touches: Vec<Touched>, batch: &mut Batch) {
        let Change { actor, operation, intent, reply } = change;
        let refuse = |reply: Answer, refusal| reply.say(Said::Refused(refusal));
        if self.failed.is_some() {
            return refuse(reply, Refusal::JournalFailed);
        }
        let moment = clock::moment();
        if let Some(known) = self.opened.operations.get(&(actor.member, operation)) {
            return reply.say(repeat::said(known, &intent, &self.state));
        }
        let sharing = self.sharing.load();
        let asker = Asker { actor: &actor, operation, state: &self.state, sharing: &sharing, moment };
        match plan::plan(&intent, &asker) {
            Err(refusal) => refuse(reply, refusal),
            // It is so already.
            Ok(Planned { payloads, said, .. }) if payloads.is_empty() => reply.say(said),
            // Before redb has begun anything: its file stays whole, and open.
            Ok(_) if !self.has_room(intent.may_use_reserve()) => refuse(reply, Refusal::LogFull),
            Ok(Planned { payloads, legal_basis, said }) => {
                batch.touched.extend(touches);
                batch.operations.insert((actor.member, operation));
                for payload in payloads {
                    let chain = &mut self.opened.chain;
                    let sealed = chain.append(moment.now, actor.clone(), operation, &legal_basis, payload);
                    batch.bytes += sealed.bytes.len();
                    batch.records.push(sealed);
                }
                batch.replies.push((reply, said));
            }
        }
    }

    pub(super) fn has_room(&self, may_use_reserve: bool) -> bool {
        let room = self.opened.store.room();
        let state = if room == Room::Plenty { JournalState::Open } else { JournalState::Full };
        if self.metrics.journal_is(state) != state {
            match state {
                JournalState::Full => tracing::error!("the disk is full: raises are refused, lifts go on"),
                JournalState::Open | JournalState::Failed => tracing::info!("the disk has room again"),
            }
        }
        match room {
            Room::Plenty => true,
            Room::ReserveOnly => may_use_reserve,
            Room::Nothing => false,
        }
    }

    /// Makes a batch durable, applies it, and acknowledges it: in this order.
    fn commit(&mut self, batch: Batch) {
        let Some(first) = batch.records.first().map(|sealed| sealed.record.sequence) else { return };
        let mut commit = self.opened.chain.commit(first, FIRST_SIGNING_KEY);
        commit.signature = self.key.sign(&commit.signed_bytes());
        let started = clock::instant();
        let written = guarded(Path::new(FILE), || self.opened.store.append(&batch.records, &commit));
        self.metrics.journal_committed(clock::nanos_between(started, clock::instant()), batch.records.len());
        if let Err(error) = written {
            let refusal = if error.is_full() { Refusal::LogFull } else { Refusal::JournalFailed };
            self.fail(&error.to_string());
            for (reply, _) in batch.replies {
                reply.say(Said::Refused(refusal));
            }
            return;
        }
        self.durable = self.opened.chain.head().digest;
        let records: Arc<[Sealed]> = batch.records.into();
        records.iter().for_each(|sealed| self.apply(sealed));
        if let Some(hear) = &self.hear {
            hear(News::Committed { commit, records });
        }
        if self.opened.operations.len() > OPERATIONS_BEFORE_PRUNING {
            let oldest_kept = oldest_kept_stamp();
            self.opened.operations.retain(|_, (_, stamp)| *stamp >= oldest_kept);
        }
        for (reply, said) in batch.replies {
            reply.say(said);
        }
        if let Some(head) = self.opened.chain.journal_head() {
            self.opened.note_head(head);
        }
        self.offer_snapshot();
    }

    /// Has a record act.
    pub(super) fn apply(&mut self, sealed: &Sealed) {
        // The engine wrote this record itself, or judged it when it came: it understands it.
        let applied = self.state.apply(&sealed.record, sealed.digest);
        debug_assert!(applied.is_ok());
        let Record { origin, stamp, actor, operation, payload, .. } = &sealed.record;
        // What is asked for again at another engine of the same member is the same operation there.
        if origin.member == self.state.member() {
            self.opened.operations.insert((actor.member, *operation), (payload.clone(), *stamp));
        }
    }

    /// From here on nothing is acknowledged until the file was read again.
    pub(super) fn fail(&mut self, why: &str) {
        self.metrics.journal_failed();
        tracing::error!(why, "the journal could not be written: changes are refused until it was read again");
        self.opened.store.close();
        let wait = REOPEN_FIRST;
        self.failed = Some(Failed { next_attempt: clock::instant() + wait, wait });
    }

    /// Tries to open the file again. Where that fails, everything stays as it is until the next attempt.
    fn come_back(&mut self) {
        match self.read_again() {
            Ok(()) => {
                self.failed = None;
                self.metrics.journal_is(JournalState::Open);
                tracing::info!("the journal was read again and is whole: changes are taken in");
            }
            Err(error) => {
                self.opened.store.close();
                let wait =
                    self.failed.as_ref().map_or(REOPEN_FIRST, |failed| (failed.wait * 2).min(REOPEN_LAST));
                tracing::error!(%error, wait_ms = wait.as_millis(), "the journal cannot be used yet");
                self.failed = Some(Failed { next_attempt: clock::instant() + wait, wait });
            }
        }
    }

    /// Reads the whole file, checks every chain, and goes on in a new epoch behind what is there. What was acknowledged
    /// must be there; what was on its way when the journal failed may be, and is taken in then: whoever asks again under
    /// the same id hears that it is durable.
    fn read_again(&mut self) -> Result<(), StoreError> {
        let Origin { member, engine, .. } = self.opened.chain.origin();
        let (durable, store) = (self.durable, &mut self.opened.store);
        // Before the very first record there is nothing that must be found.
        let mut found = durable == [0; 32];
        let mut behind = Vec::new();
        let (lives, epoch) = guarded(Path::new(FILE), || {
            store.reopen()?;
            let lives = store.replay_after(&[], |sealed| {
                let Origin { member: of, engine: number, .. } = sealed.record.origin;
                if (of, number) == (member, engine) {
                    if found {
                        behind.push(sealed);
                    } else {
                        found = sealed.digest == durable;
                    }
                }
                Ok(())
            })?;
            if !found {
                return Err(StoreError::Rewound);
            }
            Ok((lives, store.begin_epoch((member, engine), clock::now(), 0)?))
        })?;
        behind.iter().for_each(|sealed| self.apply(sealed));
        self.go_on(epoch, &lives);
        lives.into_iter().for_each(|head| self.opened.note_head(head));
        Ok(())
    }

    /// Goes on in a new epoch behind these lives.
    fn go_on(&mut self, epoch: u32, lives: &[JournalHead]) {
        let Origin { member, engine, .. } = self.opened.chain.origin();
        let end = self.opened.end(lives);
        self.opened.chain = Chain::new(Origin { member, engine, epoch }, end.last_digest, end.highest_stamp);
        self.durable = end.last_digest;
        self.state.begin_epoch(epoch);
        if let Some(hear) = &self.hear {
            let own = |head: &&JournalHead| (head.origin.member, head.origin.engine) == (member, engine);
            let heads = lives.iter().filter(own).map(|head| epoch_head(head).1).collect();
            hear(News::Reopened { epoch, heads });
        }
    }

    /// Others have heard of a later life of this engine: goes on in one that is later still.
    fn renew(&mut self, above: u32) {
        let Origin { member, engine, epoch } = self.opened.chain.origin();
        if self.failed.is_some() || epoch > above {
            return;
        }
        let store = &self.opened.store;
        let begun = guarded(Path::new(FILE), || store.begin_epoch((member, engine), clock::now(), above));
        match begun {
            Err(error) => self.fail(&error.to_string()),
            Ok(epoch) => {
                tracing::warn!(
                    above,
                    epoch,
                    "others have heard of a later life of this engine: its disk or clock was put back"
                );
                let lives = self.opened.heads.clone();
                self.go_on(epoch, &lives);
            }
        }
    }
}

/// What the journal's file is called in errors.
pub(super) const FILE: &str = "journal.redb";
