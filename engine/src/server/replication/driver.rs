//! The loop: events in, effects out.

use super::authority::Judge;
use super::siblings::Siblings;
use crate::replication::{
    Chunk, Effect, Enforces, EngineOf, EpochHead, Now, Reader, Replica, ReplicaConfig, Slot,
};
use crate::server::clock;
use crate::server::config::LinkConfig;
use crate::server::journal::{Foreign, JournalHandle, News, Wanted};
use crate::server::keys::{self, SigningKey};
use crate::server::link::{Link, LinkEvent, Slot as Place};
use crate::state::State;
use sparr_protocol::ids::MemberName;
use sparr_protocol::member::MemberKind;
use sparr_protocol::record::Origin;
use sparr_protocol::time::Timestamp;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

/// How often what is known is laid out for others.
const SHOWN_EVERY_MS: u64 = 50;
/// How often it is looked at what this engine enforces.
const ENFORCES_EVERY_MS: u64 = 1_000;
/// Records of others may come so much later than they were stamped, and are still delivered at the start.
const LATE_MS: i64 = 600_000;

/// What the thread works with.
pub(super) struct Parts {
    /// Where the broker is.
    pub link: LinkConfig,
    /// Who this is, in this life.
    pub me: Origin,
    /// What lies in the journal.
    pub lives: Vec<(EngineOf, EpochHead)>,
    /// Whether this engine was live before.
    pub has_joined: bool,
    /// Where records go to and come from.
    pub journal: JournalHandle,
    /// What the journal says.
    pub news: mpsc::Receiver<News>,
    /// What the engine knows.
    pub state: Arc<State>,
    /// With what it signs.
    pub signing: SigningKey,
}

/// The running thread.
pub(in crate::server) struct RunningExchange {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl RunningExchange {
    /// Ends the thread. What is durable is sent after the next start.
    pub(in crate::server) fn stop(self) {
        self.stop.send_replace(true);
        // It has said itself what went wrong.
        let _ = self.thread.join();
    }
}

/// Starts the thread.
pub(super) fn start(parts: Parts) -> io::Result<RunningExchange> {
    let (stop, stopped) = watch::channel(false);
    let thread = std::thread::Builder::new().name("exchange".to_owned()).spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "the exchange has no runtime"),
        };
        LocalSet::new().block_on(&runtime, Driver::run(parts, stopped));
    })?;
    Ok(RunningExchange { stop, thread })
}

/// What the journal has done for the exchange.
enum Done {
    Stored(EngineOf, EpochHead, bool),
    Read(Reader, EngineOf, Vec<Chunk>),
}

struct Driver {
    siblings: Siblings,
    link: Link,
    replica: Replica<Judge>,
    me: Origin,
    journal: JournalHandle,
    state: Arc<State>,
    done: mpsc::UnboundedSender<Done>,
    shown_at: u64,
    enforces_at: u64,
}

fn now() -> Now {
    Now { steady_ms: clock::steady_ms(), wall_ms: u64::try_from(clock::now().ms()).unwrap_or(0) }
}

impl Driver {
    async fn run(parts: Parts, mut stopped: watch::Receiver<bool>) {
        let Parts { link, me, lives, has_joined, journal, mut news, state, signing } = parts;
        let seed = u64::from_le_bytes(std::array::from_fn(|at| keys::random_id()[at]));
        let others = lives.iter().filter(|(of, _)| *of != EngineOf::of(me));
        let newest = others.map(|(_, head)| head.stamp).max().and_then(|stamp| i64::try_from(stamp).ok());
        let since = newest.map(|ms| Timestamp::from_ms(ms).saturating_add_ms(-LATE_MS));
        let config = ReplicaConfig { me, journal: lives, has_joined, seed };
        // Bounded by what the state machine has under way at a time.
        let (done, mut outcomes) = mpsc::unbounded_channel();
        let mut driver = Self {
            siblings: Siblings::new(me, &signing),
            link: Link::start(link, (me.member, me.engine), since),
            replica: Replica::new(Judge::new(state.clone(), signing), config, now()),
            me,
            journal,
            state,
            done,
            shown_at: 0,
            enforces_at: 0,
        };
        loop {
            driver.work();
            let wait = driver
                .replica
                .poll_at()
                .min(driver.siblings.due_at())
                .clamp(clock::steady_ms() + 1, clock::steady_ms() + SHOWN_EVERY_MS);
            let wait = Duration::from_millis(wait.saturating_sub(clock::steady_ms()));
            tokio::select! {
                event = driver.link.next() => driver.heard(event),
                Some(outcome) = outcomes.recv() => driver.outcome(outcome),
                one = news.recv() => match one {
                    Some(one) => driver.news(one),
                    // The journal has ended: so does the engine.
                    None => return,
                },
                () = tokio::time::sleep(wait) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            // What came with it is taken in before anything is done about it.
            while let Ok(outcome) = outcomes.try_recv() {
                driver.outcome(outcome);
            }
            while let Ok(one) = news.try_recv() {
                driver.news(one);
            }
        }
    }

    fn heard(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { server } => {
                for sentence in &server.remarks {
                    tracing::warn!(%sentence, "the broker promises less than is asked of it");
                }
                tracing::info!(version = %server.version, "linked to the exchange");
                self.state.exchange.linked(Some(server.remarks));
                self.replica.handle_up(now());
            }
            LinkEvent::CaughtUp => self.replica.handle_caught_up(now()),
            LinkEvent::Down { why } => {
                tracing::warn!(%why, "no link to the exchange: screening goes on with what is known");
                self.state.exchange.linked(None);
                self.replica.handle_down();
            }
            LinkEvent::Broadcast(bytes) | LinkEvent::Direct(bytes) => {
                self.replica.handle_message(&bytes, now())
            }
            LinkEvent::Published { id, stored } => self.replica.handle_published(id, stored, now()),
            LinkEvent::StreamReset => {
                tracing::warn!("the broker's store lost what it had: it is filled again from the journal");
                self.replica.handle_stream_reset();
            }
            LinkEvent::Own(bytes) => self.siblings.heard(&bytes, &self.state),
        }
    }

    fn outcome(&mut self, outcome: Done) {
        match outcome {
            Done::Stored(of, head, is_durable) => self.replica.handle_stored(of, head, is_durable, now()),
            Done::Read(reader, of, chunks) => self.replica.handle_read(reader, of, chunks, now()),
        }
    }

    fn news(&mut self, news: News) {
        match news {
            News::Committed { commit, records } => self.replica.handle_committed(&commit, &records, now()),
            News::Reopened { epoch, heads } => {
                self.me.epoch = epoch;
                self.replica.handle_epoch(epoch, &heads);
            }
        }
    }

    /// Does everything that is to be done now.
    fn work(&mut self) {
        let steady = clock::steady_ms();
        if steady >= self.enforces_at {
            self.enforces_at = steady + ENFORCES_EVERY_MS;
            let rules = self.state.rules();
            let rule_set = rules.as_ref().map_or([0; 16], |active| active.set.digest().0);
            let screens = self.state.exchange.screens();
            self.replica.handle_enforces(Enforces { rule_set, screens });
        }
        while let Some(effect) = self.replica.poll(now()) {
            self.perform(effect);
        }
        if let Some(batch) = self.siblings.due(steady) {
            self.link.send_own(batch);
        }
        if let Some(confirmed) = self.replica.confirmed_ms() {
            self.state.exchange.confirm(confirmed);
        }
        if steady >= self.shown_at {
            self.shown_at = steady + SHOWN_EVERY_MS;
            let expected = expected(&self.state);
            let view = self.replica.view(&expected, now());
            self.siblings.look(&view, &self.state);
            self.state.exchange.show(view);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Broadcast { slot, id, bytes } => {
                let (place, msg_id) = match slot {
                    Slot::Beat => (Place::Beat, None),
                    Slot::Position => (Place::Position, None),
                    Slot::Records { sequence } => {
                        let Origin { member, engine, epoch } = self.me;
                        let msg_id = format!("{member}/{engine}:{epoch}:{sequence}");
                        (Place::Records { sequence }, Some(msg_id))
                    }
                };
                // Nobody asks what became of a heartbeat.
                self.link.broadcast(id.unwrap_or(0), place, msg_id, bytes);
            }
            Effect::Send { to, bytes } => self.link.send((to.member, to.engine), bytes),
            Effect::Store { commit, records } => {
                let Some(last) = records.last() else { return };
                let of = EngineOf::of(commit.origin);
                let head = EpochHead {
                    epoch: commit.origin.epoch,
                    sequence: last.record.sequence,
                    digest: last.digest,
                    stamp: last.record.stamp,
                };
                self.state.exchange.received(records.len());
                let done = self.done.clone();
                let done = Box::new(move |is_durable| {
                    // The thread that would hear it has ended.
                    let _ = done.send(Done::Stored(of, head, is_durable));
                });
                self.journal.keep(Foreign { commit, records, done });
            }
            Effect::Read { reader, of, after, chunks, chunk_bytes } => {
                let done = self.done.clone();
                let done = Box::new(move |chunks| {
                    let _ = done.send(Done::Read(reader, of, chunks));
                });
                self.journal.read(Wanted { of, after, chunks, chunk_bytes }, done);
            }
            Effect::Renew { above } => self.journal.renew(above),
            Effect::Joined => {
                tracing::info!("everything that the others have is here: this engine is live");
                self.journal.joined();
                self.state.set_ready(true);
            }
        }
    }
}

/// Members that should have an engine: those that screen and are let in.
fn expected(state: &State) -> BTreeSet<MemberName> {
    let screens = |kind: MemberKind| matches!(kind, MemberKind::PaymentProvider | MemberKind::Bank);
    let members = state.members.all().into_iter().filter(|entry| screens(entry.kind));
    members.map(|entry| entry.member).filter(|member| state.members.acting_kind(*member).is_some()).collect()
}
