//! `doors`: HTTPS beside QUIC in one run, A B B A: throughput, latency and CPU per request; and the data plane's latency
//! with and without a flood on HTTPS.
//!
//! The engine's threads share one core, the clients the other. Latency is the median over 200 ms of each window's p99, from
//! the intended send time (open loop).

mod http;
mod turns;

use clap::Parser;
use http::HttpClient;
use rustix::process::{Pid, setpriority_process};
use sparr_benches::Failure;
use sparr_engine::server::Engine;
use sparr_engine::server::config::{EngineConfig, Overrides, RulesFrom};
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, Stamp, numbered};
use sparr_loadgen::measure::Measured;
use sparr_loadgen::open_loop::{self, Settings};
use sparr_loadgen::people::Population;
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::stream::{Plan, Stream};
use sparr_loadgen::workload::Workload;
use sparr_loadgen::{closed_loop, fresh_run, machine};
use sparr_protocol::client::{ClientConfig, EngineConnection, FailPolicy, Fallback, Identity};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use turns::{Row, Who};

/// Measures the engine's doors beside each other.
#[derive(Parser)]
#[command(name = "doors")]
struct Args {
    /// Rounds of each side
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Seconds of a round at a rate
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Requests of a round without a rate
    #[arg(long, default_value_t = 40_000)]
    requests: u64,
    /// Requests per second at each door, for latency and CPU
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Requests per second on the data plane, beside the flood
    #[arg(long, default_value_t = 10_000)]
    plane_rate: u64,
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("doors: {problem}");
            ExitCode::from(2)
        }
    }
}

const POPULATION: Population = Population { people: 400_000, merchants: 20_000, flags: 0 };
/// Requests under way in a closed loop.
const IN_FLIGHT: usize = 64;
/// Requests in one body.
const BATCH: u64 = 64;
/// Requests under way in the flood.
const FLOOD_IN_FLIGHT: usize = 64;
/// The data plane's latency with the flood, beside that without.
const GOAL: f64 = 1.2;

/// Linux's lowest ordinary priority.
const LOWEST: i32 = 19;

const PLANE_THREADS: &str = "worker-";
const HTTPS_THREADS: &str = "https";

fn measure(args: &Args) -> Result<(), Failure> {
    let bench = Bench::start()?;
    println!("{}", bench.describe(args)?);
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before: {}", load().trim());
    let mut rows = Vec::new();
    rows.push(Row::of(
        format!("requests/s, {IN_FLIGHT} in flight, closed loop"),
        turns::interleaved(args.rounds, |who| match who {
            Who::Quic => bench.saturate_quic(args.requests),
            Who::Https => bench.saturate_https(args.requests, 1),
        })?,
    ));
    rows.push(Row::of(
        format!("the same, HTTPS in bodies of {BATCH}"),
        turns::interleaved(args.rounds, |who| match who {
            Who::Quic => bench.saturate_quic(args.requests),
            Who::Https => bench.saturate_https(args.requests, BATCH),
        })?,
    ));
    let mut cpu = turns::Pair::default();
    let latency = turns::interleaved(args.rounds, |who| {
        let (w99_us, cpu_us) = match who {
            Who::Quic => bench.pace_quic(args.rate, args.seconds)?,
            Who::Https => bench.pace_https(args.rate, args.seconds)?,
        };
        cpu.push(who, cpu_us);
        Ok(w99_us)
    })?;
    rows.push(Row::of(format!("w99 at {}/s, µs", args.rate), latency));
    rows.push(Row::of(format!("engine's CPU per request at {}/s, µs", args.rate), cpu));
    print!("{}", turns::table("QUIC", "HTTPS", &rows));

    let mut answered = 0;
    let mut cpu = turns::Pair::default();
    let flooded = turns::interleaved(args.rounds, |who| {
        let flood = match who {
            Who::Quic => None,
            Who::Https => Some(Flood::start(&bench)?),
        };
        let measured = bench.pace_quic(args.plane_rate, args.seconds);
        answered += flood.map_or(Ok(0), Flood::stop)?;
        let (w99_us, cpu_us) = measured?;
        cpu.push(who, cpu_us);
        Ok(w99_us)
    })?;
    let row = Row::of(format!("data plane's w99 at {}/s, µs", args.plane_rate), flooded);
    let ratio = row.ratio();
    print!(
        "{}",
        turns::table("alone", "flood on HTTPS", &[row, Row::of("its CPU per request, µs".to_owned(), cpu)])
    );
    let per_second = answered as f64 / (args.rounds as u64 * args.seconds) as f64;
    println!("the flood was answered {per_second:.0} times a second");
    let verdict = if ratio <= GOAL { "met" } else { "missed" };
    println!("a flood on HTTPS moves the data plane's w99 {ratio:.2} x; the goal is {GOAL} x: {verdict}");
    println!("load after: {}", load().trim());
    Ok(())
}

/// An engine with both doors open, and clients of both.
struct Bench {
    engine: Engine,
    quic: ClientConfig,
    https: HttpClient,
    bodies: Arc<Vec<String>>,
    requests: Vec<AuthorisationRequest>,
    cores: usize,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn start() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let local = || Some("127.0.0.1:0".to_owned());
        let overrides = Overrides {
            dev: true,
            data_dir: Some(folder.path().to_owned()),
            listen: local(),
            https: local(),
            admin: local(),
            workers: Some(1),
            ..Overrides::default()
        };
        let mut config = EngineConfig::load(None, overrides)?;
        config.rules = RulesFrom::Shipped;
        let engine = Engine::start(config)?;
        let gateway = folder.path().join("dev/gateway");
        let policy = FailPolicy::by_kind(|_| Fallback::Decline);
        let quic = ClientConfig::new(engine.listen, Identity::from_dir(&gateway)?, policy);
        let https = HttpClient::new(engine.https.ok_or("the HTTPS door is shut")?, &gateway)?;
        let cores = std::thread::available_parallelism()?.get();
        if cores >= 2 {
            for thread in [PLANE_THREADS, HTTPS_THREADS].iter().flat_map(|name| machine::threads(None, name))
            {
                machine::pin(Some(thread), 0);
            }
            machine::pin(None, cores - 1);
        }
        let requests = requests(50_000);
        let bodies = requests.iter().map(|request| request.to_json().to_string()).collect();
        Ok(Self { engine, quic, https, bodies: Arc::new(bodies), requests, cores, _folder: folder })
    }

    fn describe(&self, args: &Args) -> Result<String, Failure> {
        let info = std::fs::read_to_string("/proc/cpuinfo")?;
        let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(" unknown");
        let rules = self.engine.state.rules().as_ref().map_or(0, |active| active.set.rules().len());
        Ok(format!(
            "{} cores, {}; engine on one, clients on another; the shipped {rules} rules, no flags; {} rounds of each",
            self.cores,
            model.trim_start_matches([' ', '\t', ':']).trim_end(),
            args.rounds
        ))
    }

    fn saturate_quic(&self, count: u64) -> Result<f64, Failure> {
        let run = fresh_run();
        let known = self.requests.len() as u64;
        let numbered = (0..count).map(|number| {
            let mut request = self.requests[(number % known) as usize].clone();
            request.request_id = numbered(run, number);
            request
        });
        runtime()?.block_on(async {
            let connection = EngineConnection::open(&self.quic).await?;
            let started = tokio::time::Instant::now();
            closed_loop::run(connection.pipe().await?, numbered, IN_FLIGHT, |_, _| {}).await?;
            let took = started.elapsed();
            connection.close().await;
            Ok(count as f64 / took.as_secs_f64())
        })
    }

    fn saturate_https(&self, count: u64, batch: u64) -> Result<f64, Failure> {
        let run = fresh_run();
        let bodies =
            (0..count / batch).map(|body| http::body(&self.bodies, run, body * batch..(body + 1) * batch));
        let in_flight = (IN_FLIGHT as u64 / batch).max(1) as usize;
        runtime()?.block_on(async {
            let connection = self.https.connect().await?;
            let started = tokio::time::Instant::now();
            connection.closed_loop(bodies, in_flight, &AtomicBool::new(false)).await?;
            Ok((count / batch * batch) as f64 / started.elapsed().as_secs_f64())
        })
    }

    /// An open loop: w99 and the engine's CPU per request, both in µs.
    fn pace_quic(&self, rate: u64, seconds: u64) -> Result<(f64, f64), Failure> {
        let schedule = Schedule::constant(rate, seconds);
        let run = fresh_run();
        let requests = schedule.requests();
        let plan =
            Plan { seed: 1, population: POPULATION, midnight: SOME_MIDNIGHT, requests, listed: 0, run };
        let frames = Frames::prepare(Stream::new(plan), 0)?;
        let settings =
            Settings { connections: 1, streams: 4, stamp: Stamp::AtReceipt, run, patience: PATIENCE };
        let before = machine::cpu_ns(None, PLANE_THREADS);
        let run = runtime()?.block_on(open_loop::run(&self.quic, settings, &schedule, &frames, |_, _| {}))?;
        Ok((w99_us(&run)?, cpu_us(PLANE_THREADS, before, requests)))
    }

    fn pace_https(&self, rate: u64, seconds: u64) -> Result<(f64, f64), Failure> {
        let schedule = Schedule::constant(rate, seconds);
        let (run, requests) = (fresh_run(), schedule.requests());
        let before = machine::cpu_ns(None, HTTPS_THREADS);
        let run = runtime()?.block_on(async {
            let connection = self.https.connect().await?;
            connection.open_loop(&schedule, |number| http::body(&self.bodies, run, number..number + 1)).await
        })?;
        Ok((w99_us(&run)?, cpu_us(HTTPS_THREADS, before, requests)))
    }
}

/// How long answers are waited for after the last request.
const PATIENCE: Duration = Duration::from_secs(5);

fn w99_us(run: &open_loop::Run) -> Result<f64, Failure> {
    let measured = Measured::of(run, 0..run.intended_ns.len());
    if measured.unanswered > 0 {
        return Err(format!("{} requests had no answer", measured.unanswered).into());
    }
    Ok(measured.w99_us())
}

fn cpu_us(threads: &str, before: Option<u64>, requests: u64) -> f64 {
    let used = machine::cpu_ns(None, threads).zip(before).map(|(after, before)| after - before);
    used.map_or(f64::NAN, |ns| ns as f64 / requests as f64 / 1e3)
}

/// A client that asks over HTTPS as often as it is answered, with the time that nobody else wants.
struct Flood {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Result<(), Failure>>,
}

impl Flood {
    fn start(bench: &Bench) -> Result<Self, Failure> {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, counted) = (stop.clone(), answered.clone());
        let (client, known) = (bench.https.clone(), bench.bodies.clone());
        let cores = bench.cores;
        let thread = std::thread::Builder::new().name("flood".to_owned()).spawn(move || {
            // The generator that measures must not wait for it: what is to be seen is the engine.
            if cores >= 2 {
                machine::pin(None, 0);
            }
            setpriority_process(None::<Pid>, LOWEST)?;
            let run = fresh_run();
            runtime()?.block_on(async {
                let connection = client.connect().await?;
                let bodies = (0..).map(|number| {
                    counted.store(number, Ordering::Relaxed);
                    http::body(&known, run, number..number + 1)
                });
                connection.closed_loop(bodies, FLOOD_IN_FLIGHT, &told).await
            })
        })?;
        Ok(Self { stop, answered, thread })
    }

    /// Ends it and says how often it was answered.
    fn stop(self) -> Result<u64, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the flood panicked")??;
        Ok(self.answered.load(Ordering::Relaxed))
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn requests(count: u64) -> Vec<AuthorisationRequest> {
    let mut workload = Workload::new(1, POPULATION);
    let request = |_| {
        let mut request = workload.next_request(Timestamp::from_ms(0));
        request.event_time = None;
        request
    };
    (0..count).map(request).collect()
}
