//! `sparr-load run` and `replay`: a schedule, one run, its tables and files.

use crate::options::{Clock, Connect, Spread};
use crate::{CannotRun, Ended, Outcome, runtime};
use clap::Args;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use indicatif::{ProgressBar, ProgressStyle};
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, numbered};
use sparr_loadgen::machine::{self, Ticks};
use sparr_loadgen::measure::Measured;
use sparr_loadgen::names::ReasonNames;
use sparr_loadgen::open_loop::{self, NEVER, Run};
use sparr_loadgen::people::Population;
use sparr_loadgen::record::Record;
use sparr_loadgen::report::Report;
use sparr_loadgen::rows::{RowClock, Rows};
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::stream::{Plan, Planned, Stream, Truth};
use sparr_loadgen::summary::{self, Names, OpenLoop};
use sparr_loadgen::tally::Tally;
use sparr_protocol::client::{Client, ClientConfig};
use sparr_protocol::response::AuthorisationResponse;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Requests that are prepared at most; a longer run begins again with them, under new ids.
const PREPARED_MAX: u64 = 500_000;

/// Arguments of `sparr-load run`.
#[derive(Args)]
#[command(after_help = "Examples:
  sparr-load run --data-dir D --rate 20000 --seconds 10 --fail-policy decline --html report.html
  sparr-load run --connect engine:7443 --identity gateway/ --rate 10000,50000,20000 --shuffle --fail-policy hold")]
pub(crate) struct RunArgs {
    /// Requests per second; several rates follow each other
    #[arg(long, value_name = "N,…", default_value = "20000", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    rate: Vec<u64>,
    /// Seconds of each rate
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Take the rates in an order that follows from the seed, so that a warming machine favours none
    #[arg(long)]
    shuffle: bool,
    /// The same seed gives the same requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Payers
    #[arg(long, value_name = "N", default_value_t = 400_000, value_parser = clap::value_parser!(u64).range(1_000..=520_000))]
    people: u64,
    /// Which time requests carry
    #[arg(long, value_name = "CLOCK", default_value = "now")]
    clock: Clock,
    #[command(flatten)]
    shared: Shared,
}

/// Arguments of `sparr-load replay`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr-load replay --data-dir D --input rows.csv.zst --map config/maps/fdh.toml --clock event --streams 1 \\
      --rate 50000 --fail-policy decline")]
pub(crate) struct ReplayArgs {
    /// A CSV file whose rows are sent; .zst and .gz are unpacked
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Which column is which field
    #[arg(long, value_name = "MAP.toml")]
    map: PathBuf,
    /// Rows per second
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    rate: u64,
    /// Rows at most
    #[arg(long, value_name = "N", default_value_t = 5_000_000)]
    requests: u64,
    /// Which time requests carry
    #[arg(long, value_name = "CLOCK", default_value = "event")]
    clock: Clock,
    #[command(flatten)]
    shared: Shared,
}

/// Options of both.
#[derive(Args)]
struct Shared {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    spread: Spread,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write a page with plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write what is sent and what comes back into a folder, in the order of sending, for `sparr backtest`; wants --clock
    /// event, one stream of one connection, and no more requests than are prepared
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Write the latencies of each second as an HdrHistogram log
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
}

/// Sends a seeded stream.
pub(crate) fn run(args: &RunArgs) -> Outcome {
    let mut rates = args.rate.clone();
    if args.shuffle {
        // SplitMix's odd constant spreads the places; the same seed gives the same order.
        rates.sort_by_cached_key(|rate| (rate ^ args.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    }
    let schedule = Schedule::stepped(&rates, args.seconds);
    let run = sparr_loadgen::fresh_run();
    let mut record = recording(&args.shared, args.clock)?;
    if record.is_some() && schedule.requests() > PREPARED_MAX {
        return Err(CannotRun(format!("--record takes {PREPARED_MAX} requests at most")));
    }
    let stream = Stream::new(plan(&schedule, args.seed, args.people, run));
    let frames = prepare(stream, args.shared.spread.deadline_us, &mut record)?;
    let title = format!("sparr-load run, seed {}", args.seed);
    go(&args.shared, &schedule, frames, (args.clock, run), &title, record)
}

/// The record that was asked for. Only an engine on the requests' own clock that got them in one order can be run again.
fn recording(shared: &Shared, clock: Clock) -> Result<Option<Record>, CannotRun> {
    let Some(dir) = &shared.record else { return Ok(None) };
    if clock != Clock::Event || !shared.spread.keeps_order() {
        return Err(CannotRun("--record wants --clock event, --connections 1 and --streams 1".to_owned()));
    }
    Ok(Some(Record::begin(dir)?))
}

/// Encodes requests, and notes them where they are recorded.
fn prepare(
    planned: impl Iterator<Item = Planned>,
    deadline_us: u32,
    record: &mut Option<Record>,
) -> Result<Frames, CannotRun> {
    let noted = planned.inspect(|planned| record.iter_mut().for_each(|record| record.sends(planned)));
    let frames = Frames::prepare(noted, deadline_us)?;
    record.iter_mut().try_for_each(Record::sent)?;
    Ok(frames)
}

/// The seeded stream of a schedule.
pub(crate) fn seeded(
    schedule: &Schedule,
    seed: u64,
    people: u64,
    run: [u8; 8],
    deadline_us: u32,
) -> Result<Frames, CannotRun> {
    Ok(Frames::prepare(Stream::new(plan(schedule, seed, people, run)), deadline_us)?)
}

fn plan(schedule: &Schedule, seed: u64, people: u64, run: [u8; 8]) -> Plan {
    Plan {
        seed,
        population: Population { people, merchants: 20_000, flags: 0 },
        midnight: SOME_MIDNIGHT,
        requests: schedule.requests().min(PREPARED_MAX),
        listed: 0,
        run,
    }
}

/// Sends the rows of a file.
pub(crate) fn replay(args: &ReplayArgs) -> Outcome {
    let clock = match args.clock {
        Clock::Event => RowClock::Event,
        Clock::Now => RowClock::Now,
    };
    let mut rows = Rows::open(&args.input, &args.map, clock)?;
    let run = sparr_loadgen::fresh_run();
    let planned = (0..args.requests).zip(&mut rows).map(|(number, mut request)| {
        request.request_id = numbered(run, number);
        Planned { request, truth: Truth::default() }
    });
    let mut record = recording(&args.shared, args.clock)?;
    let frames = prepare(planned, args.shared.spread.deadline_us, &mut record)?;
    if let Some(error) = rows.failed {
        return Err(CannotRun(format!("{}: {error}; nothing was sent", args.input.display())));
    }
    if frames.is_empty() {
        return Err(CannotRun(format!("{}: no row in it", args.input.display())));
    }
    let schedule = Schedule::of_requests(args.rate, frames.len() as u64);
    let title = format!("sparr-load replay of {}", args.input.display());
    go(&args.shared, &schedule, frames, (args.clock, run), &title, record)
}

/// What one run brought.
pub(crate) struct Load {
    pub(crate) run: Run,
    pub(crate) tally: Tally,
    pub(crate) fallbacks: BTreeMap<&'static str, u64>,
    pub(crate) server_cpu_ns: Option<u64>,
    pub(crate) stolen_percent: Option<f64>,
    /// Each answer with the number of its request, where they are kept.
    answers: Vec<(u64, AuthorisationResponse)>,
}

/// Sends a schedule, and keeps the answers where somebody wants them.
pub(crate) fn send(
    config: &ClientConfig,
    spread: &Spread,
    schedule: &Schedule,
    frames: &Rc<Frames>,
    (clock, run): (Clock, [u8; 8]),
    keeps_answers: bool,
) -> Result<Load, CannotRun> {
    if let Some(core) = spread.pin
        && !machine::pin(None, core)
    {
        return Err(CannotRun(format!("the system does not let the generator stay on core {core}")));
    }
    let bar = progress_bar(schedule.requests());
    let (tally, shown) = (Rc::new(RefCell::new(Tally::default())), bar.clone());
    let counted = tally.clone();
    let answers = Rc::new(RefCell::new(Vec::new()));
    let kept = answers.clone();
    let take = move |number: u64, response: &AuthorisationResponse| {
        if keeps_answers {
            kept.borrow_mut().push((number, *response));
        }
        let tally = &mut *counted.borrow_mut();
        tally.add(response, Duration::ZERO);
        if tally.answers.is_multiple_of(8_192) {
            shown.set_position(tally.answers);
        }
    };
    let cpu = || spread.server_pid.and_then(|process| machine::cpu_ns(Some(process), "worker-"));
    let (cpu_before, ticks_before) = (cpu(), Ticks::now());
    let settings = spread.settings(clock.stamp(), run);
    let sent = runtime()?.block_on(open_loop::run(config, settings, schedule, frames, take))?;
    let server_cpu_ns = cpu().zip(cpu_before).map(|(after, before)| after - before);
    let stolen_percent =
        Ticks::now().zip(ticks_before).map(|(after, before)| after.stolen_percent_since(&before));
    bar.finish_and_clear();
    // A gateway has waited in vain where the answer came after the deadline, or not at all.
    let deadline_ns = match spread.deadline_us {
        0 => NEVER,
        deadline_us => u64::from(deadline_us) * 1_000,
    };
    let mut fallbacks = BTreeMap::new();
    for (number, _) in sent.latency_ns.iter().enumerate().filter(|(_, ns)| **ns >= deadline_ns) {
        let fallback = config.fail_policy.for_kind(frames.summary(number as u64).kind);
        *fallbacks.entry(fallback.name()).or_insert(0) += 1;
    }
    let answers = answers.take();
    Ok(Load { run: sent, tally: tally.take(), fallbacks, server_cpu_ns, stolen_percent, answers })
}

fn go(
    shared: &Shared,
    schedule: &Schedule,
    frames: Frames,
    sent_as: (Clock, [u8; 8]),
    title: &str,
    record: Option<Record>,
) -> Outcome {
    let config = shared.connect.config()?;
    let frames = Rc::new(frames);
    let load = send(&config, &shared.spread, schedule, &frames, sent_as, record.is_some())?;
    let names = runtime()?.block_on(async {
        if load.tally.reasons.is_empty() {
            return Ok(Names::new());
        }
        let client = Client::connect(config).await?;
        let names = ReasonNames::of(&client, load.tally.reasons.keys().copied()).await;
        client.close().await;
        Ok::<Names, CannotRun>(names)
    })?;
    if let Some(record) = &record {
        record.answered(load.run.intended_ns.len(), &load.answers, &names)?;
    }
    let measured = Measured::of(&load.run, 0..load.run.intended_ns.len());
    let open = OpenLoop {
        measured: &measured,
        traffic: load.run.traffic,
        budget_us: shared.spread.budget_us,
        server_cpu_ns: load.server_cpu_ns,
        stolen_percent: load.stolen_percent,
    };
    let table = table(&load, schedule, &open, &names);
    if shared.json {
        let mut object = summary::answers_object(&load.tally, load.run.took, &names);
        object.extend(summary::open_loop_object(&open));
        object.insert("fallbacks".to_owned(), serde_json::json!(load.fallbacks));
        println!("{}", serde_json::Value::from(object));
    } else {
        print!("{table}");
    }
    if let Some(file) = &shared.html {
        let report = Report {
            title,
            summary: &table,
            tally: &load.tally,
            measured: &measured,
            budget_us: shared.spread.budget_us,
        };
        std::fs::write(file, report.html()).map_err(|error| named(file, &error))?;
    }
    if let Some(file) = &shared.hlog {
        write_hlog(file, &load.run).map_err(|CannotRun(problem)| named(file, &problem))?;
    }
    Ok(if open.within_budget() && measured.doubts().is_empty() { Ended::Fine } else { Ended::Findings })
}

fn named(file: &Path, error: &dyn std::fmt::Display) -> CannotRun {
    CannotRun(format!("{}: {error}", file.display()))
}

fn table(load: &Load, schedule: &Schedule, open: &OpenLoop<'_>, names: &Names) -> String {
    let mut table = summary::answers_table(&load.tally, names);
    if !load.fallbacks.is_empty() {
        table.push_str("\nWithout a decision in time: the fail policy\n");
        for (fallback, requests) in &load.fallbacks {
            table.push_str(&format!("  {fallback:<36}{requests:>12}\n"));
        }
    }
    if schedule.steps().len() > 1 {
        table.push_str("\n  per second     p50 µs     p99 µs  p99/200 ms     max µs  lateness p99 µs\n");
        let mut first = 0;
        for step in schedule.steps() {
            let numbers = first..first + step.requests as usize;
            first = numbers.end;
            let measured = Measured::of(&load.run, numbers);
            table.push_str(&format!(
                "{:>12}{:>11.0}{:>11.0}{:>12.0}{:>11.0}{:>17.0}\n",
                step.per_second,
                measured.latency_us(0.5),
                measured.latency_us(0.99),
                measured.w99_us(),
                measured.latency_us(1.0),
                measured.lateness_us(0.99),
            ));
        }
    }
    table + &summary::open_loop_table(&load.tally, load.run.took, open)
}

/// One interval for each second of intended times, in ns: what HdrHistogram's own tools read and plot.
fn write_hlog(file: &Path, run: &Run) -> Result<(), CannotRun> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("latency from the intended send time, ns")
        .begin_log_with(&mut out, &mut serializer)?;
    const SECOND_NS: u64 = 1_000_000_000;
    let mut interval = sparr_loadgen::measure::histogram();
    let mut second = 0;
    let mut write = |second: u64, interval: &hdrhistogram::Histogram<u64>| {
        let (start, length) = (Duration::from_secs(second), Duration::from_secs(1));
        log.write_histogram(interval, start, length, None).map_err(|error| CannotRun(format!("{error:?}")))
    };
    for (intended, latency) in run.intended_ns.iter().zip(&run.latency_ns) {
        if intended / SECOND_NS != second {
            write(second, &interval)?;
            interval.reset();
            second = intended / SECOND_NS;
        }
        if *latency != NEVER {
            interval.saturating_record(*latency);
        }
    }
    write(second, &interval)
}

fn progress_bar(requests: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(requests);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} requests  {eta} left") {
        bar.set_style(style);
    }
    bar
}
