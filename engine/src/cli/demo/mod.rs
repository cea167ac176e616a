//! `sparr demo`: the whole of it once, in one process and a folder of its own.

#[cfg(feature = "nats")]
mod broker;
#[cfg(feature = "nats")]
mod exchange;
mod flags;
mod lists;
#[cfg(feature = "nats")]
mod screening;

use super::{CannotRun, Ended, Outcome};
use crate::explain;
use crate::ids::CallerNo;
use crate::server::config::{EngineConfig, Overrides, RulesFrom};
use crate::server::{Engine, clock};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use serde_json::json;
use sparr_loadgen::frames::{Frames, Stamp, numbered};
use sparr_loadgen::fresh_run;
use sparr_loadgen::machine::{self, Ticks};
use sparr_loadgen::measure::Measured;
use sparr_loadgen::names::ReasonNames;
use sparr_loadgen::open_loop::{self, Settings};
use sparr_loadgen::people::{PEOPLE_MAX, Population};
use sparr_loadgen::rows::{RowClock, Rows};
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::stream::{Plan, Planned, Stream, Truth};
use sparr_loadgen::summary::{self, OpenLoop};
use sparr_loadgen::tally::Tally;
use sparr_loadgen::verdict::Verdict;
use sparr_protocol::client::{Client, ClientConfig, FailPolicy, Fallback, Identity};
use sparr_protocol::codes::Outcome as Decision;
use sparr_protocol::frame::Next;
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;
use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Arguments of `sparr demo`.
#[derive(Args)]
#[command(after_help = "Examples:
  sparr demo --rate 50000 --seconds 5
  sparr demo --input rows.csv.zst --map config/maps/fdh.toml --json")]
pub(crate) struct DemoArgs {
    /// Requests per second [default: 20000; with --engines 3000 in all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Option<u64>,
    /// Seconds of traffic
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// The same seed gives the same requests, and the same answers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// People with a flag
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(..=FLAGS_MAX))]
    flags: u64,
    /// Entries of the local lists of bad devices, addresses and domains together
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(..=390_000))]
    list_entries: u64,
    /// The p99 that is asked for in the median 200 ms, from the intended send time
    #[arg(long, value_name = "µs", default_value_t = 1_000)]
    budget_us: u64,
    /// Replay the rows of a CSV file instead; .zst and .gz are unpacked
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Which column is which field [default: a shipped map that fits]
    #[arg(long, value_name = "MAP.toml", requires = "input")]
    map: Option<PathBuf>,
    /// So many engines of as many members, with a nats-server between them that is found on the PATH: how soon a flag is
    /// enforced at all
    #[arg(long, value_name = "N", conflicts_with_all = ["input", "keep_running"], value_parser = clap::value_parser!(u16).range(2..=8))]
    engines: Option<u16>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Leave the engine and its page running afterwards, until Ctrl-C
    #[arg(long)]
    keep_running: bool,
}

/// Requests a second at one engine.
const RATE: u64 = 20_000;
const PAYERS: u64 = 400_000;
/// One payer in a hundred has a flag; the others who have one are customers elsewhere.
const FLAGS_MAX: u64 = PEOPLE_MAX - PAYERS + PAYERS / 100;

/// Requests that one run holds in memory, encoded: about 350 bytes each.
const REQUESTS_MAX: u64 = 10_000_000;

/// The maps that the repository ships, for files that somebody tries the demonstration with.
const MAPS: [(&str, &str); 2] = [
    ("fdh.toml", include_str!("../../../../config/maps/fdh.toml")),
    ("fraud_ecommerce.toml", include_str!("../../../../config/maps/fraud_ecommerce.toml")),
];

impl DemoArgs {
    fn rate(&self) -> u64 {
        self.rate.unwrap_or(RATE)
    }
}

#[cfg(feature = "nats")]
fn run_exchange(args: &DemoArgs, engines: u16) -> Outcome {
    exchange::run(args, engines)
}

#[cfg(not(feature = "nats"))]
fn run_exchange(_: &DemoArgs, _: u16) -> Outcome {
    Err(CannotRun("this sparr was built without the feature `nats`: it runs one engine".to_owned()))
}

/// Runs the demonstration.
pub(crate) fn run(args: &DemoArgs) -> Outcome {
    if let Some(engines) = args.engines {
        return run_exchange(args, engines);
    }
    if args.rate().saturating_mul(args.seconds) > REQUESTS_MAX {
        return Err(CannotRun(format!(
            "--rate times --seconds is more than {REQUESTS_MAX} requests; for longer runs there is sparr-load"
        )));
    }
    let folder = tempfile::tempdir()?;
    let local = || Some("127.0.0.1:0".to_owned());
    let overrides = Overrides {
        dev: true,
        data_dir: Some(folder.path().to_owned()),
        listen: local(),
        admin: local(),
        clock: Some("event".to_owned()),
        // One core for the engine, one for the generator; more cores do not change what is shown.
        workers: Some(1),
        ..Overrides::default()
    };
    let mut config = EngineConfig::load(None, overrides)?;
    config.rules = RulesFrom::Dir(lists::write_rules(folder.path(), args.list_entries)?);
    let engine = Engine::start(config)?;
    let outcome = demonstrate(args, &engine, folder.path());
    if outcome.is_ok() && args.keep_running {
        eprintln!(
            "The engine runs on at {} with its page at http://{}/ and identities in {}. Ctrl-C ends it.",
            engine.listen,
            engine.admin,
            folder.path().join("dev").display()
        );
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?
            .wait();
    }
    engine.drain();
    outcome
}

fn demonstrate(args: &DemoArgs, engine: &Engine, folder: &Path) -> Outcome {
    let say = |text: &str| {
        if !args.json {
            println!("{text}");
        }
    };
    let rules = engine.state.rules();
    let Some(active) = rules.as_ref() else { return Err(CannotRun("the rules do not load".to_owned())) };
    say("sparr demo: one engine, its own journal, development certificates, the shipped rules");
    say(&format!("{} entries in the local lists of bad devices, addresses and domains", args.list_entries));
    let identity = |role: &str| Identity::from_dir(&folder.join("dev").join(role));
    // The demonstration shows what it hears and falls back to nothing.
    let policy = FailPolicy::by_kind(|_| Fallback::Decline);
    let mut desk = ClientConfig::new(engine.listen, identity("desk")?, policy);
    desk.exchange_timeout = Duration::from_secs(30);
    let gateway = ClientConfig::new(engine.listen, identity("gateway")?, policy);

    let population = Population { people: PAYERS, merchants: 20_000, flags: args.flags };
    let runtime = super::runtime()?;
    let raised_in = runtime.block_on(flags::raise(desk, &population))?;
    say(&format!(
        "{} people asked for a flag: raised, durable and acting in {:.2} s",
        args.flags,
        raised_in.as_secs_f64()
    ));

    let run = fresh_run();
    let (frames, what) = prepare(args, population, run)?;
    let frames = Rc::new(frames);
    say(&format!(
        "{what}, {} requests at {} per second in an open loop: each is sent when its time has come",
        frames.len(),
        args.rate()
    ));
    let load = send(args, &gateway, &runtime, &frames, run)?;
    let names = runtime.block_on(async {
        let client = Client::connect(gateway).await?;
        let names = ReasonNames::of(&client, load.tally.reasons.keys().copied()).await;
        client.close().await;
        Ok::<_, CannotRun>(names)
    })?;
    let open = OpenLoop {
        measured: &load.measured,
        traffic: load.run.traffic,
        budget_us: args.budget_us,
        server_cpu_ns: load.server_cpu_ns,
        stolen_percent: load.stolen_percent,
    };
    let explained = load.example.and_then(|number| explain_frame(frames.frame(number), engine));
    if args.json {
        let mut object = summary::answers_object(&load.tally, load.run.took, &names);
        object.extend(summary::open_loop_object(&open));
        if args.input.is_none() {
            object.extend(summary::verdict_object(&load.verdict));
        }
        let position = engine.state.position();
        for (key, value) in [
            ("flags", json!(args.flags)),
            ("indicators", json!(0)),
            ("list_entries", json!(args.list_entries)),
            ("rules", json!(active.set.rules().len())),
            ("rule_set_digest", json!(active.set.digest().to_string())),
            (
                "position",
                json!({ "engine": position.engine, "epoch": position.epoch, "index": position.index }),
            ),
            ("explained", json!(explained)),
        ] {
            object.insert(key.to_owned(), value);
        }
        println!("{}", serde_json::Value::from(object));
    } else {
        print!("{}", summary::answers_table(&load.tally, &names));
        if args.input.is_none() {
            print!("{}", summary::verdict_table(&load.verdict));
        }
        print!("{}", summary::open_loop_table(&load.tally, load.run.took, &open));
        if let Some(explained) = explained {
            println!("\nOne decision explained\n{explained}");
        }
    }
    Ok(if load.verdict.is_exact() { Ended::Fine } else { Ended::Findings })
}

/// Encodes what will be sent, and says what it is.
fn prepare(args: &DemoArgs, population: Population, run: [u8; 8]) -> Result<(Frames, String), CannotRun> {
    let requests = args.rate() * args.seconds;
    let Some(input) = &args.input else {
        let plan = Plan {
            seed: args.seed,
            population,
            midnight: next_midnight()?,
            requests,
            listed: lists::entries_each(args.list_entries),
            run,
        };
        let frames = Frames::prepare(Stream::new(plan), 0)?;
        return Ok((frames, "A provider's day, with fraud put into it".to_owned()));
    };
    let (mut rows, map) = match &args.map {
        Some(map) => (Rows::open(input, map, RowClock::Event)?, map.display().to_string()),
        None => {
            let (rows, map) = Rows::open_with_any(input, &MAPS, RowClock::Event)?;
            (rows, format!("the shipped {map}"))
        }
    };
    let planned = (0..requests).zip(&mut rows).map(|(number, mut request)| {
        request.request_id = numbered(run, number);
        Planned { request, truth: Truth::default() }
    });
    let frames = Frames::prepare(planned, 0)?;
    match rows.failed {
        Some(error) => Err(CannotRun(format!("{}: {error}", input.display()))),
        None if frames.is_empty() => Err(CannotRun(format!("{}: no row in it", input.display()))),
        None => Ok((frames, format!("Rows of {} by {map}", input.display()))),
    }
}

/// When tomorrow begins in Sweden: the day that is played has not been yet, so nothing of it has expired.
fn next_midnight() -> Result<Timestamp, CannotRun> {
    let now = jiff::Timestamp::from_millisecond(clock::now().ms())?;
    let midnight = now.to_zoned(TimeZone::get("Europe/Stockholm")?).tomorrow()?.start_of_day()?;
    Ok(Timestamp::from_ms(midnight.timestamp().as_millisecond()))
}

struct Load {
    run: open_loop::Run,
    measured: Measured,
    tally: Tally,
    verdict: Verdict,
    /// The first request with the strictest outcome for the most reasons, up to two: worth an explanation.
    example: Option<u64>,
    server_cpu_ns: Option<u64>,
    stolen_percent: Option<f64>,
}

/// What answers are counted into while they come.
#[derive(Default)]
struct Answers {
    tally: Tally,
    verdict: Verdict,
    example: Option<((Decision, usize), u64)>,
}

/// Sends the stream in an open loop.
fn send(
    args: &DemoArgs,
    gateway: &ClientConfig,
    runtime: &tokio::runtime::Runtime,
    frames: &Rc<Frames>,
    run: [u8; 8],
) -> Result<Load, CannotRun> {
    let settings = Settings {
        connections: 1,
        // One stream keeps the order, so that the same seed gives the same answers.
        streams: 1,
        stamp: Stamp::AsPrepared,
        run,
        patience: Duration::from_secs(5),
    };
    let schedule = Schedule::of_requests(args.rate(), frames.len() as u64);
    let bar = progress_bar(frames.len() as u64);
    let answers = Rc::new(RefCell::new(Answers::default()));
    let (counted, known, shown) = (answers.clone(), frames.clone(), bar.clone());
    let take = move |number: u64, response: &AuthorisationResponse| {
        let Answers { tally, verdict, example } = &mut *counted.borrow_mut();
        tally.add(response, Duration::ZERO);
        verdict.add(number, known.summary(number), response);
        if tally.answers.is_multiple_of(4_096) {
            shown.set_position(tally.answers);
        }
        let telling = response.answer.as_ref().ok().map(|it| (it.outcome, it.reasons.iter().count().min(2)));
        let telling = telling.filter(|telling| *telling > (Decision::Approve, 0));
        if telling > example.map(|(telling, _)| telling) {
            *example = telling.map(|telling| (telling, number));
        }
    };
    keep_apart();
    let (cpu_before, ticks_before) = (machine::cpu_ns(None, WORKERS), Ticks::now());
    let sent = runtime.block_on(open_loop::run(gateway, settings, &schedule, frames, take))?;
    let server_cpu_ns = machine::cpu_ns(None, WORKERS).zip(cpu_before).map(|(after, before)| after - before);
    let stolen_percent =
        Ticks::now().zip(ticks_before).map(|(after, before)| after.stolen_percent_since(&before));
    bar.finish_and_clear();
    let measured = Measured::of(&sent, 0..frames.len());
    let Answers { tally, verdict, example } = answers.take();
    let example = example.map(|(_, number)| number);
    Ok(Load { run: sent, measured, tally, verdict, example, server_cpu_ns, stolen_percent })
}

/// Names of the engine's data-plane threads begin so.
const WORKERS: &str = "worker-";

/// Keeps the engine's core and the generator's apart, where there are two and the system allows it.
fn keep_apart() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cores >= 2 {
        for worker in machine::threads(None, WORKERS) {
            machine::pin(Some(worker), 0);
        }
        machine::pin(None, cores - 1);
    }
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

/// One decision in words, made again with what the engine knows now.
fn explain_frame(frame: &[u8], engine: &Engine) -> Option<String> {
    let Next::Frame { frame, .. } = Next::parse(frame, REQUEST_FRAME_BYTES_MAX) else { return None };
    let (_, message) = frame.open().ok()?;
    let rules = engine.state.rules();
    let active = rules.as_ref()?;
    let explained = explain::explain(message, CallerNo(0), clock::moment(), &engine.state, active).ok()?;
    Some(explained.words(&active.set))
}
