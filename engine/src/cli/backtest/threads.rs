//! A backtest on several threads, with the same result as on one.
//!
//! Windows depend on what came before, so rows are screened in the file's order. What needs no order is most of the work
//! beside: making requests of rows, reading them as the engine does, making their pseudonyms, counting what came of them. So
//! each thread takes a batch of rows off the file, and with it a ticket; makes requests; waits for its turn, and screens; and
//! counts. While one screens, the others do the rest. Two rule sets have their own turns.

use super::source::{RawRows, Source};
use super::then::Then;
use crate::backtest::{Answers, Backtest, Changes, Findings, Reader, Recorded};
use crate::rules::{ReasonTable, RuleSet};
use crate::server::clock;
use indicatif::ProgressBar;
use sparr_protocol::limits::FRAME_HEADER_BYTES;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Rows that one thread takes at once: a turn takes about a millisecond.
const BATCH: usize = 512;

/// What was found.
pub(super) struct Found {
    /// By the candidate.
    pub(super) new: Findings,
    /// By what it is compared with, and how they differ.
    pub(super) old: Option<(Findings, Changes)>,
}

/// One for each core.
pub(super) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Something that is used by one ticket after the other.
struct Turns<T> {
    now: Mutex<Now<T>>,
    moved: Condvar,
}

struct Now<T> {
    ticket: u64,
    given_up: bool,
    thing: T,
}

impl<T> Turns<T> {
    fn of(thing: T) -> Self {
        Self { now: Mutex::new(Now { ticket: 0, given_up: false, thing }), moved: Condvar::new() }
    }

    /// Waits for a ticket's turn and does something; `None` where somebody has given up.
    fn take<R>(&self, ticket: u64, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let waits = |now: &mut Now<T>| now.ticket != ticket && !now.given_up;
        let now = self.moved.wait_while(lock(&self.now), waits);
        let mut now = now.unwrap_or_else(PoisonError::into_inner);
        if now.given_up {
            return None;
        }
        let done = work(&mut now.thing);
        now.ticket += 1;
        self.moved.notify_all();
        Some(done)
    }

    fn give_up(&self) {
        lock(&self.now).given_up = true;
        self.moved.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all threads share.
struct Shared<'a> {
    /// The file, and the number of the next batch; `None` when it is at its end.
    rows: Mutex<(Option<Source>, u64)>,
    reader: Reader,
    then: &'a Then,
    new: Turns<Backtest>,
    old: Option<Turns<Backtest>>,
    /// The first thing that was wrong, in the order of the file.
    problem: Mutex<Option<String>>,
    /// Where each answer is written, and what reasons are called.
    answers: Option<(Turns<BufWriter<File>>, ReasonTable)>,
    bar: &'a ProgressBar,
    started: Instant,
}

/// Lets the others go when a thread panics: they would wait for its turn for ever.
struct GivesUp<'a>(&'a Shared<'a>);

impl Drop for GivesUp<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.give_up();
        }
    }
}

/// How a file is screened.
pub(super) struct How<'a> {
    /// Keys that are kept at most.
    pub(super) velocity_keys_max: usize,
    /// What was known when.
    pub(super) then: &'a Then,
    /// Threads.
    pub(super) threads: usize,
    /// Where the candidate's answers are written, if they are.
    pub(super) answers: Option<BufWriter<File>>,
    /// Shows how far it has come.
    pub(super) bar: &'a ProgressBar,
}

/// Screens the rows of a file with one or two rule sets.
pub(super) fn run(
    rows: Source,
    (new, old): (RuleSet, Option<RuleSet>),
    how: How<'_>,
) -> Result<Found, String> {
    let How { velocity_keys_max, then, threads, answers, bar } = how;
    let answers = answers.map(|out| (Turns::of(out), new.reasons().clone()));
    let found = Found {
        new: Findings::of(&new),
        old: old.as_ref().map(|old| (Findings::of(old), Changes::default())),
    };
    let backtest = |set: RuleSet| {
        let mut backtest = Backtest::new(set, velocity_keys_max);
        backtest.will_be_declined(then.declined.clone());
        Turns::of(backtest)
    };
    let shared = Shared {
        reader: Reader::of(std::iter::once(&new).chain(&old)),
        rows: Mutex::new((Some(rows), 0)),
        then,
        new: backtest(new),
        old: old.map(backtest),
        problem: Mutex::new(None),
        answers,
        bar,
        started: clock::instant(),
    };
    let parts: Vec<Option<Found>> = std::thread::scope(|scope| {
        let start = || {
            let (shared, empty) = (&shared, found.emptied());
            scope.spawn(move || {
                let _gives_up = GivesUp(shared);
                shared.work(empty)
            })
        };
        let threads: Vec<_> = (0..threads).map(|_| start()).collect();
        threads.into_iter().map(|thread| thread.join().ok()).collect()
    });
    if let Some((turns, _)) = &shared.answers {
        let flushed = lock(&turns.now).thing.flush();
        flushed.map_err(|error| format!("its answers cannot be written: {error}"))?;
    }
    if let Some(problem) = lock(&shared.problem).take() {
        return Err(problem);
    }
    let mut found = found;
    for part in parts {
        found.merge(&part.ok_or_else(|| "screening stopped".to_owned())?);
    }
    Ok(found)
}

impl Found {
    fn emptied(&self) -> Self {
        // Nothing has been found yet: a copy is as empty.
        Self { new: self.new.clone(), old: self.old.clone() }
    }

    fn merge(&mut self, other: &Self) {
        self.new.merge(&other.new);
        if let (Some((old, changes)), Some((more, differ))) = (&mut self.old, &other.old) {
            old.merge(more);
            changes.merge(differ);
        }
    }
}

impl Shared<'_> {
    fn give_up(&self) {
        self.new.give_up();
        self.old.iter().for_each(Turns::give_up);
        self.answers.iter().for_each(|(turns, _)| turns.give_up());
    }

    /// What one thread does until the file is at its end.
    fn work(&self, mut found: Found) -> Found {
        let mut raw = None;
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let (mut new_answers, mut old_answers) = (Answers::default(), Answers::default());
        while let Some((ticket, mut taken)) = self.take(&mut raw) {
            bytes.clear();
            ends.clear();
            if let Some(raw) = &raw {
                let made = self.make_requests(raw, &mut bytes, &mut ends);
                // A row that cannot be made comes before one that cannot be read.
                taken = made.and(taken);
            }
            let messages = ends.iter().map(|(start, end, recorded)| (&bytes[*start..*end], *recorded));
            let rows = self.reader.read(messages);
            let screened = self.new.take(ticket, |new| {
                if let Err(problem) = taken {
                    lock(&self.problem).get_or_insert(problem);
                    return false;
                }
                new.screen(&rows, &mut new_answers);
                true
            });
            if screened != Some(true) {
                self.give_up();
                return found;
            }
            for (recorded, screened) in rows.recorded().zip(new_answers.iter()) {
                found.new.add(recorded, screened);
            }
            if !self.write(ticket, &new_answers) {
                return found;
            }
            let (Some(turns), Some((old, changes))) = (&self.old, &mut found.old) else { continue };
            if turns.take(ticket, |old| old.screen(&rows, &mut old_answers)).is_none() {
                return found;
            }
            for ((recorded, was), is) in rows.recorded().zip(old_answers.iter()).zip(new_answers.iter()) {
                old.add(recorded, was);
                changes.add(&was.response.answer, &is.response.answer, recorded);
            }
        }
        found
    }

    /// Writes answers, each a line, in the file's order. `false` where nothing more is to be done.
    fn write(&self, ticket: u64, answers: &Answers) -> bool {
        let Some((turns, reasons)) = &self.answers else { return true };
        let name = |code| reasons.name(code).map_or_else(|| format!("reason_{}", code.0), str::to_owned);
        let lines: String =
            answers.iter().map(|screened| format!("{}\n", screened.response.to_json(name))).collect();
        match turns.take(ticket, |out| out.write_all(lines.as_bytes())) {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                lock(&self.problem).get_or_insert(format!("its answers cannot be written: {error}"));
                self.give_up();
                false
            }
            None => false,
        }
    }

    /// Takes rows off the file, and a ticket; `None` at its end. Beside the ticket: what was wrong with the row behind them.
    fn take(&self, raw: &mut Option<RawRows>) -> Option<(u64, Result<(), String>)> {
        let mut rows = lock(&self.rows);
        let (source, next) = &mut *rows;
        let from = source.as_mut()?;
        let taken = from.take(raw.get_or_insert_with(|| from.room()), BATCH);
        let ticket = *next;
        *next += 1;
        self.bar.set_position(from.bytes_read());
        if ticket.is_multiple_of(16) {
            let seconds = clock::instant().duration_since(self.started).as_secs_f64();
            let (number, per_s) = (from.rows_read(), from.rows_read() as f64 / seconds.max(1e-9));
            self.bar.set_message(format!("{number} rows, {per_s:.0} per second"));
        }
        if taken != Ok(true) {
            *source = None;
        }
        Some((ticket, taken.map(|_| ())))
    }

    /// Makes frames of rows, as a client would send them: where each message begins and ends, and what is known of it.
    fn make_requests(
        &self,
        raw: &RawRows,
        bytes: &mut Vec<u8>,
        ends: &mut Vec<(usize, usize, Recorded)>,
    ) -> Result<(), String> {
        raw.each(|(request, fraud, number)| {
            let Some(time) = request.event_time else {
                return Err("a request without a time cannot be tested: the map needs event_time".to_owned());
            };
            if !self.then.had_come(time) {
                return Ok(());
            }
            let fraud = self.then.fraud(&request, fraud);
            let start = bytes.len() + FRAME_HEADER_BYTES;
            request.encode(bytes).map_err(|error| format!("row {number}: {error}"))?;
            let amount_minor = request.amount_minor.unwrap_or_default();
            ends.push((start, bytes.len(), Recorded { number, time, amount_minor, fraud }));
            Ok(())
        })
    }
}
