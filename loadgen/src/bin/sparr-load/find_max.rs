//! `sparr-load find-max`: the highest rate at which the p99 stays within the budget.

use crate::options::{Clock, Connect, Spread};
use crate::run::{seeded, send};
use crate::{CannotRun, Ended, Outcome};
use clap::Args;
use serde_json::json;
use sparr_loadgen::measure::Measured;
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::search::{Found, Search};
use std::rc::Rc;

/// Arguments of `sparr-load find-max`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr-load find-max --data-dir D --budget-p99 500us --fail-policy decline")]
pub(crate) struct FindMaxArgs {
    /// The first rate that is tried, per second
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    from: u64,
    /// The highest rate that is tried
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    to: u64,
    /// Seconds of each try
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Stop when the answer is known to within so many percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
    within: u64,
    /// Tries of each rate around the answer, in a shuffled order; the majority counts. 1 leaves this out
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=99))]
    repeats: u64,
    /// The same seed gives the same requests in the same order of tries
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    spread: Spread,
}

/// One try.
struct Try {
    rate: u64,
    w99_us: f64,
    p99_us: f64,
    decided: f64,
    passes: bool,
}

/// Searches: doubles until a rate fails, halves the gap, and tries what is around the answer again.
pub(crate) fn run(args: &FindMaxArgs) -> Outcome {
    let config = args.connect.config()?;
    if args.to < args.from {
        return Err(CannotRun(format!("--to {} is below --from {}", args.to, args.from)));
    }
    if !args.json {
        println!("  per second  p99/200 ms µs     p99 µs  decided %");
    }
    let mut tries = Vec::new();
    let mut attempt = |rate: u64| -> Result<bool, CannotRun> {
        let schedule = Schedule::constant(rate, args.seconds);
        let run = sparr_loadgen::fresh_run();
        let frames = Rc::new(seeded(&schedule, args.seed, 400_000, run, args.spread.deadline_us)?);
        let load = send(&config, &args.spread, &schedule, &frames, (Clock::Now, run), false)?;
        let measured = Measured::of(&load.run, 0..load.run.intended_ns.len());
        let decided = load.tally.decisions() as f64 / schedule.requests() as f64;
        // The windows' median, so that one pause of a shared machine does not decide the search; and everything was
        // decided, because an engine that refuses is quick.
        let passes = measured.w99_us() <= args.spread.budget_us as f64 && decided >= 0.9999;
        let tried =
            Try { rate, w99_us: measured.w99_us(), p99_us: measured.latency_us(0.99), decided, passes };
        if !args.json {
            println!(
                "{:>12}{:>15.0}{:>11.0}{:>11.3}{}",
                tried.rate,
                tried.w99_us,
                tried.p99_us,
                tried.decided * 100.0,
                if passes { "" } else { "  over" }
            );
        }
        tries.push(tried);
        Ok(passes)
    };
    let search = Search {
        rates: args.from..=args.to,
        within_percent: args.within,
        repeats: args.repeats,
        seed: args.seed,
    };
    let found = search.run(&mut attempt)?;
    say(args, &found, &tries);
    Ok(if found.max_per_s == 0 { Ended::Findings } else { Ended::Fine })
}

fn say(args: &FindMaxArgs, found: &Found, tries: &[Try]) {
    let (max, budget_us) = (found.max_per_s, args.spread.budget_us);
    if args.json {
        let tries: Vec<_> = tries
            .iter()
            .map(|one| {
                json!({
                    "rate": one.rate, "w99_us": one.w99_us, "p99_us": one.p99_us, "decided": one.decided,
                    "passes": one.passes,
                })
            })
            .collect();
        let repeated: Vec<_> = found
            .repeated
            .iter()
            .map(|one| json!({ "rate": one.rate, "passed": one.passed, "tries": one.tries }))
            .collect();
        let all = json!({ "max_per_s": max, "budget_us": budget_us, "tries": tries, "repeated": repeated });
        println!("{all}");
        return;
    }
    for one in &found.repeated {
        let passes = if one.passes() { "" } else { "  over" };
        println!("{:>12}  passed {} of {}{passes}", one.rate, one.passed, one.tries);
    }
    match max {
        0 => println!("no rate from {} per second on stays within {budget_us} µs", args.from),
        _ => println!("{max} requests per second stay within {budget_us} µs"),
    }
}
