//! `versus`: sparr beside its peers in one run, as ratios.
//!
//! Absolute figures drift from machine to machine and from hour to hour, so each goal is a ratio against something
//! measured beside it: A B B A, medians. The first peer is the bare echo: the same transport, the same frames, the
//! same answers, and no screening.

mod contest;
mod table;

use clap::Parser;
use contest::{Contestants, Setting};
use std::process::ExitCode;
use table::Goal;

/// Measures sparr beside its peers.
#[derive(Parser)]
#[command(name = "versus")]
struct Args {
    /// Fewer and shorter rounds: a minute instead of six
    #[arg(long)]
    quick: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let setting = if args.quick { Setting::QUICK } else { Setting::FULL };
    match measure(setting, args.json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("versus: {problem}");
            ExitCode::from(2)
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn measure(setting: Setting, json: bool) -> Result<(), Failure> {
    let contestants = Contestants::start()?;
    if !json {
        println!("{}", contestants.describe());
    }
    let mut goals: Vec<Goal> = Vec::new();
    for (id, in_flight, bold, beyond) in [("1", 64, 0.55, 0.65), ("1 deep", 1_024, 0.33, 0.5)] {
        let what = format!("requests/s, {in_flight} in flight, closed loop");
        let pair = contest::interleaved(setting.pairs, |who| contestants.saturate(who, in_flight, setting))?;
        goals.push(Goal::at_least(id, &what, &pair, bold, beyond));
    }
    for (id, rate, bold, beyond) in [("2 at 20k", 20_000, 1.15, 1.05), ("2 at 50k", 50_000, 1.15, 1.05)] {
        let mut cpu = (Vec::new(), Vec::new());
        let mut datagrams = (Vec::new(), Vec::new());
        let pair = contest::interleaved(setting.pairs, |who| {
            let paced = contestants.pace(who, rate, setting)?;
            let (ours, peers) = (who.of(&mut cpu), paced.cpu_us);
            ours.extend(peers);
            who.of(&mut datagrams).push(paced.datagrams);
            Ok(paced.w99_us)
        })?;
        goals.push(Goal::at_most(id, &format!("w99 at {rate}/s, open loop, µs"), &pair, bold, beyond));
        if rate == 20_000 {
            goals.push(Goal::at_most("3", "server CPU per request at 20000/s, µs", &cpu.into(), 1.10, 1.05));
            let what = "datagrams per request, both ways, at 20000/s";
            goals.push(Goal::at_most("–", what, &datagrams.into(), 1.0, 1.0));
        }
    }
    let deep = contestants.datagrams(64, setting)?;
    goals.push(Goal::count("5", "datagrams per request, both ways, 64 in flight", deep, 0.40, 0.30));
    if json {
        println!("{}", table::json(&goals, &contestants.describe()));
    } else {
        print!("{}", table::text(&goals));
    }
    Ok(())
}
