//! What screening feels of a new rule set: latency while a large set is loaded again and again, beside the same load in
//! peace.
//!
//! ```text
//! cargo run --release -p sparr-benches --bin reload
//! ```
//!
//! Steady and reloading rounds take turns (A B B A). The thread that asks for reloads stands on the worker's own core,
//! the worst place: whatever loading takes, it takes from screening.

use clap::Parser;
use sparr_benches::rules::{forms, sources};
use sparr_benches::shipped_rules;
use sparr_engine::server::Engine;
use sparr_engine::server::config::{EngineConfig, Overrides};
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, Stamp};
use sparr_loadgen::measure::Measured;
use sparr_loadgen::open_loop::{self, NEVER, Settings};
use sparr_loadgen::people::Population;
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::stream::{Plan, Stream};
use sparr_loadgen::{fresh_run, machine};
use sparr_protocol::client::{ClientConfig, FailPolicy, Fallback, Identity};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Measures screening while rules are loaded.
#[derive(Parser)]
#[command(name = "reload")]
struct Args {
    /// Rules of the set
    #[arg(long, default_value_t = 10_000)]
    rules: usize,
    /// Requests per second
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Reloads in all, at least
    #[arg(long, default_value_t = 100)]
    reloads: usize,
    /// Seconds of a round
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

type Failure = Box<dyn std::error::Error>;

/// An answer that took longer than this is late, ns.
const LATE_NS: u64 = 1_000_000;

/// The core of the worker, and of reloads.
const WORKER_CORE: usize = 0;

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("reload: {problem}");
            ExitCode::from(2)
        }
    }
}

/// One round.
struct Round {
    w99_us: f64,
    late: u64,
    requests: u64,
    /// How long each reload took, s.
    reloads: Vec<f64>,
    /// Digests that were not the set that decides, or answers that were no decision.
    undecided: u64,
}

/// An engine, and two sets that take turns.
struct Bench {
    engine: Engine,
    client: ClientConfig,
    folder: tempfile::TempDir,
    sets: [String; 2],
}

impl Bench {
    fn start(rules: usize) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let dir = folder.path().join("rules");
        std::fs::create_dir(&dir)?;
        let one = sources(&forms(rules), &shipped_rules());
        let text = one.rules[0].text.clone();
        // The same rules, one of which gives two points: another digest, the same work.
        let other = text.replacen("score: 1\n", "score: 2\n", 1);
        std::fs::write(dir.join("reasons.toml"), &one.reasons.text)?;
        std::fs::write(dir.join("rules.yaml"), &text)?;
        let local = || Some("127.0.0.1:0".to_owned());
        let config = EngineConfig::load(
            None,
            Overrides {
                dev: true,
                data_dir: Some(folder.path().join("data")),
                listen: local(),
                admin: local(),
                rules: Some(dir),
                activation: Some("reload".to_owned()),
                workers: Some(1),
                ..Overrides::default()
            },
        )?;
        let engine = Engine::start(config)?;
        let cores = std::thread::available_parallelism()?.get();
        if cores >= 2 {
            machine::threads(None, "worker-").into_iter().for_each(|thread| {
                machine::pin(Some(thread), WORKER_CORE);
            });
            machine::pin(None, cores - 1);
        }
        let gateway = Identity::from_dir(&folder.path().join("data/dev/gateway"))?;
        let policy = FailPolicy::by_kind(|_| Fallback::Decline);
        let client = ClientConfig::new(engine.listen, gateway, policy);
        Ok(Self { engine, client, folder, sets: [other, text] })
    }

    fn rules_file(&self) -> std::path::PathBuf {
        self.folder.path().join("rules/rules.yaml")
    }

    /// Loads the sets in turn, until it is told to stop: how long each took, s.
    fn reload_until(&self, stop: &AtomicBool) -> Result<Vec<f64>, Failure> {
        let mut took = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            for set in &self.sets {
                replace(&self.rules_file(), set)?;
                let start = now();
                self.engine.reload().result?;
                took.push(start.elapsed().as_secs_f64());
            }
        }
        Ok(took)
    }

    fn round(&self, reloading: bool, args: &Args) -> Result<Round, Failure> {
        let schedule = Schedule::constant(args.rate, args.seconds);
        let run = fresh_run();
        let population = Population { people: 400_000, merchants: 20_000, flags: 0 };
        let (requests, seed) = (schedule.requests().min(200_000), 1);
        let plan = Plan { seed, population, midnight: SOME_MIDNIGHT, requests, listed: 0, run };
        let frames = Frames::prepare(Stream::new(plan), 0)?;
        let patience = Duration::from_secs(5);
        let settings = Settings { connections: 1, streams: 4, stamp: Stamp::AtReceipt, run, patience };
        let stop = AtomicBool::new(!reloading);
        let undecided = std::rc::Rc::new(std::cell::Cell::new(0));
        let counted = undecided.clone();
        let (measured, reloads) = std::thread::scope(|scope| {
            let reloads = scope.spawn(|| {
                machine::pin(None, WORKER_CORE);
                self.reload_until(&stop).map_err(|error| error.to_string())
            });
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let measured = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
                let load = open_loop::run(&self.client, settings, &schedule, &frames, move |_, answer| {
                    counted.set(counted.get() + u64::from(answer.answer.is_err()));
                });
                runtime.block_on(load).map_err(|error| error.to_string())
            });
            stop.store(true, Ordering::Relaxed);
            let reloads = reloads.join().unwrap_or_else(|_| Err("a reload panicked".to_owned()));
            (measured, reloads)
        });
        let (measured, reloads) = (measured?, reloads?);
        let late = measured.latency_ns.iter().filter(|ns| **ns > LATE_NS || **ns == NEVER).count() as u64;
        let w99_us = Measured::of(&measured, 0..measured.intended_ns.len()).w99_us();
        Ok(Round { w99_us, late, requests: schedule.requests(), reloads, undecided: undecided.get() })
    }
}

/// A new file takes the place of the old one, as editors and configuration maps do it.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = file.with_extension("new");
    std::fs::write(&unfinished, text)?;
    std::fs::rename(&unfinished, file)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
fn now() -> Instant {
    Instant::now()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn measure(args: &Args) -> Result<(), Failure> {
    let start = now();
    let bench = Bench::start(args.rules)?;
    println!("{} rules, started in {:.2} s", args.rules, start.elapsed().as_secs_f64());
    let mut alone = Vec::new();
    for _ in 0..3 {
        // One turn of both sets, with nobody asking.
        let stop = AtomicBool::new(false);
        let took = std::thread::scope(|scope| {
            let reloads = scope.spawn(|| bench.reload_until(&stop).map_err(|error| error.to_string()));
            std::thread::sleep(Duration::from_millis(10));
            stop.store(true, Ordering::Relaxed);
            reloads.join().unwrap_or_else(|_| Err("a reload panicked".to_owned()))
        })?;
        alone.extend(took);
    }
    println!(
        "loading without load: median {:.3} s, worst {:.3} s (goal: under 2 s)",
        median(alone.iter().copied()),
        alone.iter().copied().fold(0.0, f64::max)
    );
    println!("{}/s, open loop, rounds of {} s; late: over 1 ms", args.rate, args.seconds);
    let (mut steady, mut reloading): (Vec<Round>, Vec<Round>) = (Vec::new(), Vec::new());
    bench.round(false, args)?;
    while reloading.iter().map(|round| round.reloads.len()).sum::<usize>() < args.reloads {
        let order = if steady.len().is_multiple_of(2) { [false, true] } else { [true, false] };
        for with_reloads in order {
            let round = bench.round(with_reloads, args)?;
            println!(
                "{:<10} w99 {:>8.0} µs, late {:>6} of {}, not decided {}, reloads {}",
                if with_reloads { "reloading" } else { "steady" },
                round.w99_us,
                round.late,
                round.requests,
                round.undecided,
                round.reloads.len()
            );
            if with_reloads { reloading.push(round) } else { steady.push(round) }
        }
    }
    let ratios: Vec<f64> =
        reloading.iter().zip(&steady).map(|(reloading, steady)| reloading.w99_us / steady.w99_us).collect();
    let late = |rounds: &[Round]| {
        let late: u64 = rounds.iter().map(|round| round.late).sum();
        late as f64 / rounds.iter().map(|round| round.requests).sum::<u64>() as f64
    };
    let all = |rounds: &[Round]| median(rounds.iter().map(|round| round.w99_us));
    let took: Vec<f64> = reloading.iter().flat_map(|round| round.reloads.iter().copied()).collect();
    println!(
        "\nw99: steady {:.0} µs, reloading {:.0} µs, ratio {:.2} ({:.2}–{:.2}); goal 1.2",
        all(&steady),
        all(&reloading),
        median(ratios.iter().copied()),
        ratios.iter().copied().fold(f64::INFINITY, f64::min),
        ratios.iter().copied().fold(0.0, f64::max)
    );
    println!(
        "late: steady {:.4} %, reloading {:.4} %, ratio {:.2}; goal 2",
        late(&steady) * 100.0,
        late(&reloading) * 100.0,
        late(&reloading) / late(&steady)
    );
    println!(
        "{} reloads under load: median {:.2} s, worst {:.2} s",
        took.len(),
        median(took.iter().copied()),
        took.iter().copied().fold(0.0, f64::max)
    );
    bench.engine.drain();
    Ok(())
}
