//! `sparr backtest`: rule files over recorded requests, before anybody's payment meets them.

mod live;
mod page;
mod source;
mod table;
mod then;

use super::connect::ConnectArgs;
use super::{CannotRun, Ended, Outcome};
use crate::backtest::{Backtest, Changes, Recorded};
use crate::rules::{self, RuleSet};
use crate::server::{clock, sources};
use clap::Args;
use crossbeam::channel::{Receiver, Sender, bounded};
use indicatif::{ProgressBar, ProgressStyle};
use source::Source;
use sparr_protocol::limits::FRAME_HEADER_BYTES;
use sparr_protocol::time::Timestamp;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use then::Then;

/// Arguments of `sparr backtest`.
#[derive(Args)]
#[command(after_help = "Examples:
  sparr backtest --rules config/rules --data rows.csv.zst --map config/maps/fdh.toml
  sparr backtest --rules candidate --against config/rules --data rows.csv --map map.toml --html report.html
  sparr backtest --rules candidate --data day.ndjson.zst --labels labels.ndjson --results results.ndjson --as-of 2026-11-01
  sparr backtest --live

The map's `label` names the column that says what was fraud: 1 or 0. Without it there is no precision and no recall.")]
pub(crate) struct BacktestArgs {
    /// Folder of rule files
    #[arg(long, value_name = "DIR", required_unless_present = "live")]
    rules: Option<PathBuf>,
    /// Folder of the rule files that it is compared with
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Requests in the order in which they happened: CSV, or NDJSON as `sparr screen` takes it, with `label` beside the
    /// fields where it is known; .zst and .gz are unpacked
    #[arg(long, value_name = "FILE", required_unless_present = "live")]
    data: Option<PathBuf>,
    /// Which column of a CSV file is which field
    #[arg(long, value_name = "MAP.toml")]
    map: Option<PathBuf>,
    /// What payments turned out to be, as `sparr label` takes it; the file's own labels do not count then
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// What became of requests, as `sparr result` takes it: windows see an issuer's decline from its time on
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Use what was known then: no later request, result or label. A day ends at its midnight in Stockholm
    #[arg(long, value_name = "DATE", value_parser = super::exchange::until, requires = "labels")]
    as_of: Option<Timestamp>,
    /// Keys that are kept at most
    #[arg(long, value_name = "N", default_value_t = 4_000_000)]
    velocity_keys_max: usize,
    /// Write a page with plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Ask a running engine what its rule files, if they were loaded now, would have changed in the last hour
    #[arg(long, conflicts_with_all = ["rules", "against", "data", "map", "html", "labels", "results"])]
    live: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What the page and the tables show.
pub(super) struct Run<'a> {
    /// The candidate.
    pub(super) new: &'a Backtest,
    /// What it is compared with, and how they differ.
    pub(super) against: Option<(&'a Backtest, &'a Changes)>,
    /// The file.
    pub(super) data: &'a Path,
    /// Whether the file says what was fraud.
    pub(super) labelled: bool,
    /// How long it took.
    pub(super) took: Duration,
}

impl Run<'_> {
    /// Rows a second.
    pub(super) fn rows_per_s(&self) -> f64 {
        self.new.findings().rows as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Requests that pass between the threads at once.
const BATCH: usize = 1_024;
/// Batches that wait between them: enough that neither waits long, little enough memory.
const BATCHES_WAITING: usize = 16;

/// Encoded requests: their bytes, where each ends, and what is known of them.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    rows: Vec<(usize, Recorded)>,
}

/// Runs the rules over the file.
pub(crate) fn run(args: &BacktestArgs) -> Outcome {
    let (Some(rules), Some(data)) = (&args.rules, &args.data) else {
        return live::run(&args.connect, args.json);
    };
    let new = load(rules)?;
    let old = args.against.as_deref().map(load).transpose()?;
    let then = Then::read(args.labels.as_deref(), args.results.as_deref(), args.as_of)?;
    let mut rows = Source::open(data, args.map.as_deref())?;
    let labelled = rows.has_label() || then.has_labels();
    let bar = progress_bar(rows.bytes);
    let started = clock::instant();
    let (send, receive) = bounded(BATCHES_WAITING);
    let keys_max = args.velocity_keys_max;
    // One thread reads and encodes, one screens: the order of the rows is the order of the screening, so the same file
    // and rules always find the same.
    let (screened, read) = std::thread::scope(|scope| {
        let screening = scope.spawn(|| screen_all(new, old, keys_max, &then, &receive));
        let read = read_all(&mut rows, &then, send, &bar);
        (screening.join(), read)
    });
    bar.finish_and_clear();
    let Ok((new, old, changes)) = screened else { return Err(CannotRun("screening stopped".to_owned())) };
    read.map_err(|problem| CannotRun(format!("{}: {problem}", data.display())))?;
    let took = clock::instant().duration_since(started);
    let against = old.as_ref().map(|old| (old, &changes));
    let run = Run { new: &new, against, data, labelled, took };
    if args.json {
        println!("{}", table::json(&run));
    } else {
        print!("{}", table::text(&run));
    }
    if let Some(file) = &args.html {
        let written = std::fs::write(file, page::html(&run));
        written.map_err(|error| CannotRun(format!("{}: {error}", file.display())))?;
    }
    Ok(Ended::Fine)
}

/// Loads a folder's rules, or says everything that is wrong with them.
fn load(dir: &Path) -> Result<RuleSet, CannotRun> {
    let sources = sources::read_dir(dir)?;
    let loaded = rules::load(&sources);
    loaded.set.ok_or_else(|| {
        let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
        let said: Vec<String> = errors.map(|diagnostic| diagnostic.render_plain(&sources)).collect();
        CannotRun(format!("{} does not load:\n{}", dir.display(), said.join("\n")))
    })
}

fn read_all(rows: &mut Source, then: &Then, send: Sender<Batch>, bar: &ProgressBar) -> Result<(), String> {
    let mut batch = Batch::default();
    let (mut number, started) = (0u64, clock::instant());
    while let Some((request, fraud)) = rows.next()? {
        number += 1;
        let Some(time) = request.event_time else {
            return Err("a request without a time cannot be tested: the map needs event_time".to_owned());
        };
        if !then.had_come(time) {
            continue;
        }
        let fraud = then.fraud(&request, fraud);
        request.encode(&mut batch.bytes).map_err(|error| format!("row {number}: {error}"))?;
        let amount_minor = request.amount_minor.unwrap_or_default();
        batch.rows.push((batch.bytes.len(), Recorded { time, amount_minor, fraud }));
        if batch.rows.len() == BATCH {
            bar.set_position(rows.bytes_read());
            let seconds = clock::instant().duration_since(started).as_secs_f64();
            bar.set_message(format!("{number} rows, {:.0} per second", number as f64 / seconds.max(1e-9)));
            if send.send(std::mem::take(&mut batch)).is_err() {
                return Err("screening stopped".to_owned());
            }
        }
    }
    send.send(batch).map_err(|_| "screening stopped".to_owned())
}

fn screen_all(
    new: RuleSet,
    old: Option<RuleSet>,
    velocity_keys_max: usize,
    then: &Then,
    receive: &Receiver<Batch>,
) -> (Backtest, Option<Backtest>, Changes) {
    let mut new = Backtest::new(new, velocity_keys_max);
    let mut old = old.map(|set| Backtest::new(set, velocity_keys_max));
    new.will_be_declined(then.declined.clone());
    if let Some(old) = &mut old {
        old.will_be_declined(then.declined.clone());
    }
    let mut changes = Changes::default();
    let mut number = 0;
    while let Ok(batch) = receive.recv() {
        let mut start = 0;
        for (end, recorded) in &batch.rows {
            number += 1;
            let message = &batch.bytes[start + FRAME_HEADER_BYTES..*end];
            start = *end;
            let answer = new.screen(message, *recorded).answer;
            if let Some(old) = &mut old {
                changes.add(number, &old.screen(message, *recorded).answer, &answer, *recorded);
            }
        }
    }
    (new, old, changes)
}

/// A day and a time, without the milliseconds.
pub(super) fn when(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| time.to_string().chars().take(16).collect())
}

/// A bar on a terminal, and nothing of it in a pipe.
fn progress_bar(bytes: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {eta} left") {
        bar.set_style(style);
    }
    bar
}
