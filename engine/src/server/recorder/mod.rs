//! The recorder: a thread that keeps what was screened for an hour, takes in what became of payments, and finds what a new
//! flag, indicator or withdrawal would have changed.
//!
//! One thread for all of it, so that a final result never overtakes the request that it is about. Workers hand on whole
//! batches and wait for nothing: where too much is on its way, a batch is counted and not kept.

mod file;
mod recalls;

pub(in crate::server) use recalls::Recalls;

use super::clock;
use super::journal::Reply;
use crate::aftermath::{AFTERMATH_MAX, KeptLabel, KeptResult, Told};
use crate::facts::windows;
use crate::ids::CallerNo;
use crate::recent::{Fresh, Reads, Recaller, Recorded, Touch};
use crate::request::{KeyName, Noted, ValueKind};
use crate::state::{Moment, State};
use crate::velocity::Reading;
use crate::velocity::spec::Mark;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use file::{AftermathFile, Line};
use sparr_protocol::aftermath::{Final, FinalResult, Label};
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches, results and labels that may wait.
const WAITING_MAX: usize = 1_024;
/// Results and labels that are made durable at once.
const TOLD_AT_ONCE_MAX: usize = 1_024;
/// How often records are looked at that came in. A request that was on its way while its flag came is found in the second
/// look.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Requests that one worker has screened in one go.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    readings: Vec<Reading>,
    hits: Vec<u16>,
    rows: Vec<Row>,
    reads: Option<Arc<Reads>>,
}

/// One request: where its parts end, and its answer.
struct Row {
    bytes: usize,
    readings: usize,
    hits: usize,
    noted: Option<Noted>,
    moment: Moment,
    caller: CallerNo,
    response: AuthorisationResponse,
}

impl Batch {
    /// Adds a request that was just screened.
    pub(super) fn push(&mut self, fresh: &Fresh<'_>) {
        self.bytes.extend_from_slice(fresh.message);
        self.readings.extend_from_slice(fresh.readings);
        self.hits.extend_from_slice(fresh.hits);
        if self.reads.is_none() {
            self.reads = fresh.reads.cloned();
        }
        self.rows.push(Row {
            bytes: self.bytes.len(),
            readings: self.readings.len(),
            hits: self.hits.len(),
            noted: fresh.noted.copied(),
            moment: fresh.moment,
            caller: fresh.caller,
            response: fresh.response,
        });
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn each(&self, mut take: impl FnMut(&Fresh<'_>)) {
        let (mut bytes, mut readings, mut hits) = (0, 0, 0);
        for row in &self.rows {
            take(&Fresh {
                message: &self.bytes[bytes..row.bytes],
                moment: row.moment,
                caller: row.caller,
                response: row.response,
                noted: row.noted.as_ref(),
                readings: &self.readings[readings..row.readings],
                hits: &self.hits[hits..row.hits],
                reads: self.reads.as_ref(),
            });
            (bytes, readings, hits) = (row.bytes, row.readings, row.hits);
        }
    }
}

/// What the recorder is handed.
enum Handed {
    Screened(Batch),
    Result(FinalResult, Reply),
    Label(Label, Reply),
}

/// Hands things to the recorder.
#[derive(Clone)]
pub(super) struct RecorderHandle {
    handed: Sender<Handed>,
    state: Arc<State>,
    /// What was found.
    pub(super) recalls: Arc<Recalls>,
}

impl RecorderHandle {
    /// Hands on what was screened; where too much waits, it is counted and not kept.
    pub(super) fn screened(&self, batch: Batch) {
        let requests = batch.rows.len() as u64;
        if self.handed.try_send(Handed::Screened(batch)).is_err() {
            self.state.recent.missed(requests);
        }
    }

    /// Hands on a final result; `reply` hears when it is durable.
    pub(super) fn result(&self, result: FinalResult, reply: Reply) {
        self.told(Handed::Result(result, reply));
    }

    /// Hands on a label; `reply` hears when it is durable.
    pub(super) fn label(&self, label: Label, reply: Reply) {
        self.told(Handed::Label(label, reply));
    }

    fn told(&self, handed: Handed) {
        let (handed, refusal) = match self.handed.try_send(handed) {
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
) -> io::Result<(RecorderHandle, JoinHandle<()>)> {
    state.recent.keep(recent_requests_max);
    let file = AftermathFile::open(data_dir, |line| take_in(&line, &state))?;
    let (handed, waiting) = bounded(WAITING_MAX);
    let recalls = Arc::new(Recalls::default());
    let handle = RecorderHandle { handed, state: state.clone(), recalls: recalls.clone() };
    let mut recorder = Recorder { state, file, recalls, recaller: Recaller::default(), touched: Vec::new() };
    let thread =
        std::thread::Builder::new().name("recorder".to_owned()).spawn(move || recorder.run(&waiting))?;
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
}

/// A result or label that is not durable yet.
struct Pending {
    line: Line,
    reply: Reply,
}

impl Recorder {
    fn run(&mut self, waiting: &Receiver<Handed>) {
        let mut looked = clock::instant();
        loop {
            match waiting.recv_timeout(LOOK_EVERY) {
                Ok(first) => self.take(first, waiting),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
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
                Handed::Screened(batch) => self.record(&batch),
                Handed::Result(result, reply) => self.result(&result, reply, &mut pending),
                Handed::Label(label, reply) => self.label(label, reply, &mut pending),
            }
        }
        self.make_durable(pending);
    }

    fn record(&self, batch: &Batch) {
        let state = &self.state;
        batch.each(|fresh| {
            let Some(recorded) = Recorded::of(fresh, state) else { return };
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
