//! The recorder: a thread that keeps what was screened for an hour, takes in what became of payments, and finds what a new
//! flag, indicator or withdrawal would have changed.
//!
//! One thread for all of it, so that a final result never overtakes the request that it is about. Workers hand on whole
//! batches and wait for nothing: where too much is on its way, a batch is counted and not kept.

mod batch;
mod file;
mod recalls;

pub(super) use batch::Batch;
pub(in crate::server) use recalls::Recalls;

use super::clock;
use super::decision_log::{Feed, Gate, WAITING_MAX as LOGGED_MAX};
use super::journal::Reply;
use super::polite;
use crate::aftermath::{AFTERMATH_MAX, KeptLabel, KeptResult, Told};
use crate::facts::windows;
use crate::recent::{Recaller, Recorded, Touch};
use crate::request::{KeyName, ValueKind};
use crate::state::State;
use crate::velocity::spec::Mark;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};
use file::{AftermathFile, Line};
use sparr_protocol::aftermath::{Final, FinalResult, Label};
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::time::Timestamp;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches, results and labels that may wait.
const WAITING_MAX: usize = 1_024;
/// What may wait at most: each batch with a logged answer has a place in the decision log, and there are so many.
const QUEUE_MAX: usize = LOGGED_MAX + 2 * WAITING_MAX;
/// Batches whose memory is kept.
const SPARE_MAX: usize = 256;
/// Results and labels that are made durable at once.
const TOLD_AT_ONCE_MAX: usize = 1_024;
/// How often records are looked at that came in. A request that was on its way while its flag came is found in the second
/// look.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long batches gather while there are any: answers wait for none of it, results and labels so long.
const GATHER: Duration = Duration::from_millis(2);

/// What the recorder is handed.
enum Handed {
    Screened(Box<Batch>),
    Result(Box<FinalResult>, Reply),
    Label(Box<Label>, Reply),
}

/// Hands things to the recorder.
#[derive(Clone)]
pub(super) struct RecorderHandle {
    handed: Sender<Handed>,
    /// Batches that were taken in, with their memory.
    spare: Receiver<Box<Batch>>,
    state: Arc<State>,
    /// Room in the decision log, where there is one.
    pub(super) log: Option<Arc<Gate>>,
    /// What was found.
    pub(super) recalls: Arc<Recalls>,
}

impl RecorderHandle {
    /// Whether anybody wants to hear of what was screened.
    pub(super) fn listens(&self) -> bool {
        self.log.is_some() || self.state.recent.is_on()
    }

    /// An empty batch.
    pub(super) fn batch(&self) -> Box<Batch> {
        self.spare.try_recv().unwrap_or_default()
    }

    /// Hands on what was answered; where too much waits, it is counted and not kept. What has a place in the decision log
    /// always finds room: there are fewer such places than batches that may wait.
    pub(super) fn screened(&self, batch: Box<Batch>) {
        let ((requests, last), logged) = (batch.size(), batch.logged);
        if (logged > 0 || self.has_room()) && self.handed.try_send(Handed::Screened(batch)).is_ok() {
            return;
        }
        self.state.recent.missed(requests);
        if let (Some(log), Some(last)) = (&self.log, last) {
            log.releases(logged);
            log.misses(logged as u64, last);
        }
    }

    fn has_room(&self) -> bool {
        self.handed.len() < WAITING_MAX
    }

    /// Hands on a final result; `reply` hears when it is durable.
    pub(super) fn result(&self, result: FinalResult, reply: Reply) {
        self.told(Handed::Result(Box::new(result), reply));
    }

    /// Hands on a label; `reply` hears when it is durable.
    pub(super) fn label(&self, label: Label, reply: Reply) {
        self.told(Handed::Label(Box::new(label), reply));
    }

    fn told(&self, handed: Handed) {
        let sent =
            if self.has_room() { self.handed.try_send(handed) } else { Err(TrySendError::Full(handed)) };
        let (handed, refusal) = match sent {
            Ok(()) => return,
            Err(TrySendError::Full(handed)) => (handed, Refusal::Overloaded),
            Err(TrySendError::Disconnected(handed)) => (handed, Refusal::NotReady),
        };
        match handed {
            Handed::Result(_, reply) | Handed::Label(_, reply) => reply(Said::Refused(refusal)),
            Handed::Screened(_) => {}
        }
    }
}

/// Starts the recorder, with what became of payments before. The thread ends when every handle is gone.
pub(super) fn start(
    data_dir: &Path,
    recent_requests_max: usize,
    state: Arc<State>,
    log: Option<(Arc<Gate>, Feed)>,
) -> io::Result<(RecorderHandle, JoinHandle<()>)> {
    state.recent.keep(recent_requests_max);
    let file = AftermathFile::open(data_dir, |line| take_in(&line, &state))?;
    let (handed, waiting) = bounded(QUEUE_MAX);
    let (give_back, spare) = bounded(SPARE_MAX);
    let recalls = Arc::new(Recalls::default());
    let (gate, feed) = log.unzip();
    let handle = RecorderHandle { handed, spare, state: state.clone(), log: gate, recalls: recalls.clone() };
    let (recaller, touched) = (Recaller::default(), Vec::new());
    let mut recorder = Recorder { state, file, recalls, recaller, touched, feed, give_back };
    let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
        polite::stand_back();
        recorder.run(&waiting);
    })?;
    Ok((handle, thread))
}

/// Takes in a line of an earlier life.
fn take_in(line: &Line, state: &State) {
    match line {
        Line::Result { request, result, time_ms, .. } => {
            let time = Timestamp::from_ms(*time_ms);
            state.aftermath.keep_result(*request, KeptResult { result: *result, time });
        }
        Line::Label { payment, class, known_at_ms, rules, .. } => {
            let known_at = Timestamp::from_ms(*known_at_ms);
            let rules = rules.clone();
            state.aftermath.keep_label(*payment, KeptLabel { class: *class, known_at, rules });
        }
    }
}

struct Recorder {
    state: Arc<State>,
    file: AftermathFile,
    recalls: Arc<Recalls>,
    recaller: Recaller,
    /// Records that were looked at once.
    touched: Vec<Touch>,
    /// The decision log, where there is one.
    feed: Option<Feed>,
    /// Where batches go back to.
    give_back: Sender<Box<Batch>>,
}

/// A result or label that is not durable yet.
struct Pending {
    line: Line,
    reply: Reply,
}

impl Recorder {
    fn run(&mut self, waiting: &Receiver<Handed>) {
        let (mut looked, mut is_busy) = (clock::instant(), false);
        loop {
            // While there is much, nobody is woken for each batch: a wake-up costs a worker more than a screening.
            let first = if is_busy {
                std::thread::sleep(GATHER);
                waiting.try_recv().map_err(|error| error == TryRecvError::Disconnected)
            } else {
                waiting.recv_timeout(LOOK_EVERY).map_err(|error| error == RecvTimeoutError::Disconnected)
            };
            is_busy = first.is_ok();
            match first {
                Ok(first) => self.take(first, waiting),
                Err(false) => {}
                Err(true) => return,
            }
            if let Some(feed) = &mut self.feed {
                feed.tick();
            }
            let now = clock::instant();
            if now.duration_since(looked) >= LOOK_EVERY {
                looked = now;
                self.look();
            }
        }
    }

    fn take(&mut self, first: Handed, waiting: &Receiver<Handed>) {
        let mut pending: Vec<Pending> = Vec::new();
        for handed in std::iter::once(first).chain(waiting.try_iter().take(TOLD_AT_ONCE_MAX)) {
            match handed {
                Handed::Screened(mut batch) => {
                    self.record(&batch);
                    batch.clear();
                    // A spare too many is simply freed.
                    let _ = self.give_back.try_send(batch);
                }
                Handed::Result(result, reply) => self.result(&result, reply, &mut pending),
                Handed::Label(label, reply) => self.label(*label, reply, &mut pending),
            }
        }
        self.make_durable(pending);
    }

    fn record(&mut self, batch: &Batch) {
        let (state, mut feed) = (&self.state, self.feed.as_mut());
        batch.each(|fresh, is_logged| {
            let recorded = Recorded::of(fresh, state);
            if let Some(feed) = feed.as_mut().filter(|_| is_logged) {
                feed.take(fresh, recorded.as_ref());
            }
            let Some(recorded) = recorded else { return };
            let recorded = state.recent.add(recorded);
            if recorded.hits().next().is_some()
                && let Some(payment) = recorded.payment(&state.keyring)
            {
                state.aftermath.hit(payment, recorded.hits());
            }
        });
    }

    fn result(&self, told: &FinalResult, reply: Reply, pending: &mut Vec<Pending>) {
        let FinalResult { request_id, result, response_code, time, .. } = *told;
        if time > latest(&self.state) {
            return reply(Said::Refused(Refusal::TimeSkew));
        }
        let code = response_code.map(|code| String::from_utf8_lossy(&code).into_owned());
        let line = Line::Result { request: request_id, result, code, time_ms: time.ms() };
        let before = pending.iter().rev().find_map(|other| match &other.line {
            Line::Result { request, result, time_ms, .. } if *request == request_id => {
                Some((*result, *time_ms))
            }
            Line::Result { .. } | Line::Label { .. } => None,
        });
        let asked = match before {
            // Two about one request at once: the second waits for a moment in which the first is known.
            Some(same) if same != (result, time.ms()) => Err(Refusal::Overloaded),
            Some(_) => Ok(Told::Known),
            None => self.state.aftermath.asks_result(request_id, KeptResult { result, time }),
        };
        self.queue(asked, line, reply, pending);
    }

    fn label(&self, label: Label, reply: Reply, pending: &mut Vec<Pending>) {
        let payment = self.state.keyring.current(ValueKind::Payment, label.payment_id.as_bytes());
        let Label { class, chargeback_code: code, amount_minor, known_at, .. } = label;
        if known_at > latest(&self.state) {
            return reply(Said::Refused(Refusal::TimeSkew));
        }
        let rules = self.state.aftermath.rules_that_hit(payment);
        let known_at_ms = known_at.ms();
        let line = Line::Label { payment, class, code, amount_minor, known_at_ms, rules };
        let before = pending.iter().rev().find_map(|other| match &other.line {
            Line::Label { payment: known, class, known_at_ms, .. } if *known == payment => {
                Some((*class, *known_at_ms))
            }
            Line::Label { .. } | Line::Result { .. } => None,
        });
        let asked = match before {
            Some(same) if same != (class, known_at_ms) => Err(Refusal::Overloaded),
            Some(_) => Ok(Told::Known),
            None => self.state.aftermath.asks_label(payment, class, known_at),
        };
        self.queue(asked, line, reply, pending);
    }

    fn queue(&self, asked: Result<Told, Refusal>, line: Line, reply: Reply, pending: &mut Vec<Pending>) {
        match asked {
            Ok(Told::New) => pending.push(Pending { line, reply }),
            Ok(Told::Known) => reply(self.durable()),
            Err(refusal) => reply(Said::Refused(refusal)),
        }
    }

    fn durable(&self) -> Said {
        let effective_from = self.state.now(clock::moment());
        Said::Durable { peers: 0, effective_from, second_person: false }
    }

    /// Writes what was told, takes it in, and only then says so.
    fn make_durable(&mut self, pending: Vec<Pending>) {
        if pending.is_empty() {
            return;
        }
        let written = self.file.append(pending.iter().map(|pending| &pending.line));
        if let Err(error) = &written {
            tracing::error!(%error, "results and labels could not be written, and were refused");
        }
        for Pending { line, reply } in pending {
            if written.is_err() {
                reply(Said::Refused(Refusal::NotKept));
                continue;
            }
            if let Line::Result { request, result, time_ms, .. } = &line {
                let time = Timestamp::from_ms(*time_ms);
                let before = self.state.aftermath.keep_result(*request, KeptResult { result: *result, time });
                let was = before.is_some_and(|before| before.result == Final::Declined);
                let is = *result == Final::Declined;
                if was != is {
                    self.mark(*request, is);
                }
            } else {
                take_in(&line, &self.state);
            }
            reply(self.durable());
        }
    }

    /// Lets windows know that the issuer declined a request, or that it did not after all.
    fn mark(&self, request: sparr_protocol::ids::RequestId, declined: bool) {
        let Some(recorded) = self.state.recent.of(request) else { return };
        let rules = self.state.rules();
        let Some(active) = rules.as_ref() else { return };
        let request = recorded.request();
        let key = |name: KeyName| request.key(name, &self.state.keyring);
        let mark = (Mark::DeclinedFinal, declined);
        windows::mark_request(&request, key, active.set.plan(), &self.state.stores, mark);
    }

    /// Looks whether records that came in would have changed answers of the last hour.
    fn look(&mut self) {
        let (fresh, forgotten) = self.state.touched.take();
        if forgotten > 0 {
            tracing::warn!(
                forgotten,
                "too many records at once: recent requests were not looked through for these"
            );
        }
        if fresh.is_empty() && self.touched.is_empty() {
            return;
        }
        let mut touches = std::mem::replace(&mut self.touched, fresh.clone());
        touches.extend(fresh);
        let rules = self.state.rules();
        let Some(active) = rules.as_ref() else { return };
        let now = self.state.now(clock::moment());
        let recent = self.state.recent.all(now);
        let found = self.recaller.find(&touches, &recent, &self.state, active, now);
        if !found.is_empty() {
            tracing::info!(recalls = found.len(), "recent requests would be answered otherwise now");
            self.recalls.add(found, self.state.position());
        }
    }
}

/// What became of a payment is not told before it has become so; clocks may differ a little.
fn latest(state: &State) -> Timestamp {
    state.now(clock::moment()).max(clock::now()).saturating_add_ms(crate::limits::EVENT_EARLY_MS_MAX)
}

const _: () = assert!(TOLD_AT_ONCE_MAX <= AFTERMATH_MAX);
