//! `versus`: sparr beside its peers in one run, as a table of goals.
//!
//! Absolute figures drift from machine to machine and from hour to hour, so a goal is a ratio against something measured
//! beside it: A B B A, medians of the pairs. The peers: the bare echo (the same transport, the same frames, the same
//! answers, and no screening), the same on stock quinn and over TCP with TLS, and what one would pick instead: gRPC,
//! the `cel` crate and windows in Redis.
//!
//! A round in which the generator was late or a packet was lost is left out with its partner, and the table says so;
//! where half of the pairs are left out the row is INVALID. What is not measured has a row as well, and says why.

mod engine;
mod instead;
mod noise;
mod parts;
mod progress;
mod setting;
mod table;
mod tcp;
mod turns;
mod whole;

use clap::{Parser, ValueEnum};
use engine::{Contestant, Load};
use instead::Instead;
use noise::Before;
use progress::Progress;
use setting::Setting;
use sparr_benches::Failure;
use sparr_loadgen::machine;
use sparr_loadgen::service::Keys;
use std::process::ExitCode;
use whole::{Echoes, Whole};

/// The engine's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures sparr beside its peers and prints the goals with this run's figures
#[derive(Parser)]
#[command(name = "versus")]
struct Args {
    /// Fewer and shorter rounds and 100,000 flags instead of 10 million: under three minutes instead of half an hour
    #[arg(long)]
    quick: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Which load the engine has while it is measured whole
    #[arg(long, value_enum, default_value_t = Which::Both)]
    rules: Which,
}

/// Which loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The rules that sparr comes with, no flags
    Shipped,
    /// 1,000 rules, 12 windows over 4 keys, flags, indicators and live keys: what the goals are about
    Reference,
    /// One after the other
    Both,
}

impl Which {
    const fn loads(self) -> &'static [Load] {
        match self {
            Self::Shipped => &[Load::Shipped],
            Self::Reference => &[Load::Reference],
            Self::Both => &[Load::Shipped, Load::Reference],
        }
    }
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("versus: {problem}");
            ExitCode::from(2)
        }
    }
}

fn measure(args: &Args) -> Result<(), Failure> {
    let setting = if args.quick { Setting::QUICK } else { Setting::FULL };
    let before = Before::now();
    let keys = Keys::make()?;
    let echoes = Echoes::start(&keys)?;
    let loads = args.rules.loads();
    let mut progress = Progress::of(loads.len() as u64 * (1 + Whole::STEPS) + instead::STEPS + parts::STEPS);
    let (mut rows, mut descriptions) = (Vec::new(), Vec::new());
    for load in loads {
        progress.begin(&format!("{}: starting", load.name()));
        let engine = Contestant::start(*load, setting.scale)?;
        let instead = (*load == Load::Reference).then(|| Instead::start(&keys, *load)).transpose()?;
        keep_apart(instead.as_ref().and_then(Instead::process).as_slice());
        let whole = Whole::new(*load, &engine, &echoes, setting)?;
        rows.extend(whole.rows(&mut progress)?);
        if let Some(instead) = instead {
            rows.extend(instead.rows(&whole, setting, &mut progress)?);
        }
        drop(whole);
        descriptions.push(engine.description.clone());
        engine.stop();
    }
    if !loads.contains(&Load::Reference) {
        rows.extend(instead::without_reference());
    }
    rows.extend(parts::rows(setting, &mut progress)?);
    rows.extend(parts::elsewhere());
    progress.end();
    let (machine, noise) = (noise::machine(), before.until_now());
    if args.json {
        let machine = format!("{machine}; {}", descriptions.join("; "));
        println!("{}", table::json(&rows, &machine, &noise));
    } else {
        println!("{machine}");
        descriptions.iter().for_each(|description| println!("{description}"));
        println!("{} rounds of each side, in turns there and back; {}\n", setting.pairs, noise::text(&noise));
        print!("{}", table::text(&rows));
    }
    Ok(())
}

/// Everybody but this thread goes to the first core, where there are two: whatever serves, with all that it does
/// besides, and no more than that. The generator has the last core alone.
fn keep_apart(others: &[u32]) {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2) {
        let here = std::process::id();
        for thread in machine::threads(None, "").iter().filter(|id| **id != here) {
            machine::pin(Some(*thread), 0);
        }
        for thread in others.iter().flat_map(|process| machine::threads(Some(*process), "")) {
            machine::pin(Some(thread), 0);
        }
    }
}

/// Runs on a thread that has the last core: what is started from here later inherits nothing of it.
fn on_the_generators_core<T: Send>(work: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    let cores = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let generator = scope.spawn(|| {
            if cores >= 2 {
                machine::pin(None, cores - 1);
            }
            work()
        });
        generator.join().map_err(|_| "the generator panicked")?
    })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
