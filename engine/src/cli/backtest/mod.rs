//! `sparr backtest`: rule files over recorded requests, before anybody's payment meets them.

mod live;
mod page;
mod plots;
mod source;
mod table;
mod then;
mod threads;

use super::connect::ConnectArgs;
use super::{CannotRun, Ended, Outcome};
use crate::backtest::{Changes, Findings};
use crate::rules::{self, RuleSet};
use crate::server::{clock, sources};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use source::Source;
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
    /// Threads that read, screen and count; what is found does not depend on it [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Keys that are kept at most
    #[arg(long, value_name = "N", default_value_t = 4_000_000)]
    velocity_keys_max: usize,
    /// Write the answer to each request, one JSON object a line, as `sparr screen --json` prints it
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Write a page with plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Ask a running engine what its rule files, if they were loaded now, would have changed in the last hour
    #[arg(long, conflicts_with_all = ["rules", "against", "data", "map", "html", "labels", "results", "threads", "answers"])]
    live: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What the page and the tables show.
pub(super) struct Run<'a> {
    /// What the candidate found.
    pub(super) new: &'a Findings,
    /// What the rules that it is compared with found, and how they differ.
    pub(super) against: Option<(&'a Findings, &'a Changes)>,
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
        self.new.rows as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Runs the rules over the file.
pub(crate) fn run(args: &BacktestArgs) -> Outcome {
    let (Some(rules), Some(data)) = (&args.rules, &args.data) else {
        return live::run(&args.connect, args.json);
    };
    let new = load(rules)?;
    let old = args.against.as_deref().map(load).transpose()?;
    let then = Then::read(args.labels.as_deref(), args.results.as_deref(), args.as_of)?;
    let rows = Source::open(data, args.map.as_deref())?;
    let labelled = rows.has_label() || then.has_labels();
    let bar = progress_bar(rows.bytes);
    let started = clock::instant();
    let threads = args.threads.map_or_else(threads::default_threads, usize::from);
    let answers = args.answers.as_deref().map(|file| {
        let made = std::fs::File::create(file).map(std::io::BufWriter::new);
        made.map_err(|error| CannotRun(format!("{}: {error}", file.display())))
    });
    let how = threads::How {
        velocity_keys_max: args.velocity_keys_max,
        then: &then,
        threads,
        answers: answers.transpose()?,
        bar: &bar,
    };
    let found = threads::run(rows, (new, old), how);
    bar.finish_and_clear();
    let found = found.map_err(|problem| CannotRun(format!("{}: {problem}", data.display())))?;
    let took = clock::instant().duration_since(started);
    let against = found.old.as_ref().map(|(old, changes)| (old, changes));
    let run = Run { new: &found.new, against, data, labelled, took };
    if args.json {
        println!("{}", table::json(&run));
    } else {
        let (seconds, per_s) = (took.as_secs_f64(), run.rows_per_s());
        println!("{} rows in {seconds:.1} s, {per_s:.0} per second, {threads} threads", run.new.rows);
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
