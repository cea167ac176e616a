//! `overload`: what an engine does that is asked more than it can answer, and what one caller's flood does to another caller.
//!
//! The engine's rules are made dear, so that one core answers some thousands of requests a second and the generator on the other
//! core can send ten times as many. Goodput is what was decided before its deadline, counted from the intended send time.

mod attack;
mod engine;
mod load;

use attack::Attack;
use clap::Parser;
use engine::{Bench, Failure};
use std::process::ExitCode;

/// Measures an engine under too much load.
#[derive(Parser)]
#[command(name = "overload")]
struct Args {
    /// Seconds at each load
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Microseconds that each payment gives the engine
    #[arg(long, default_value_t = 20_000)]
    deadline_us: u32,
    /// Rounds with and without each attack
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// Requests per second of the gateway that is attacked
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// Measures this attack and nothing else
    #[arg(long)]
    only: Option<Attack>,
}

/// Offered load in tenths of the capacity, and the goodput that is asked for, in hundredths of its peak.
const LOADS: [(u64, u32); 4] = [(10, 95), (20, 95), (50, 90), (100, 80)];

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("overload: {problem}");
            ExitCode::from(2)
        }
    }
}

fn measure(args: &Args) -> Result<(), Failure> {
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned();
    println!("load before: {}", load());
    let bench = Bench::start(true)?;
    let capacity = bench.capacity()?;
    println!("{}\ncapacity: {capacity:.0} requests/s, closed loop of 64", bench.describe());
    if args.only.is_none() {
        offer_too_much(&bench, capacity, args)?;
    }
    println!(
        "\na gateway with {} requests/s, alone and attacked by another ({} rounds, A B B A)",
        args.rate, args.rounds
    );
    println!(
        "{:<34}{:>9}{:>10}{:>13}{:>8}  {:<14}{:>10}{:>11}{:>16}",
        "attack",
        "made/s",
        "alone µs",
        "attacked µs",
        "ratio",
        "of the pairs",
        "decided %",
        "refused %",
        "generator's µs"
    );
    for attack in Attack::ALL.into_iter().filter(|attack| args.only.is_none_or(|only| only == *attack)) {
        println!("{}", attack::measure(&bench, attack, args.rounds, args.rate)?);
    }
    println!("the bound is 2 × or 2 ms more, and 99.9 % decided; the aim 1.5 ×\nload after: {}", load());
    Ok(())
}

/// Offers as much as there is room for, and up to ten times as much.
fn offer_too_much(bench: &Bench, capacity: f64, args: &Args) -> Result<(), Failure> {
    let calm = bench.offer((capacity * 0.7) as u64, args.seconds, args.deadline_us)?;
    println!("\n{}", load::Offered::HEAD);
    println!("{}", calm.row("0.7", f64::NAN));
    let offered: Vec<_> = LOADS
        .iter()
        .map(|(tenths, _)| {
            bench.offer((capacity * *tenths as f64 / 10.0) as u64, args.seconds, args.deadline_us)
        })
        .collect::<Result<_, _>>()?;
    let peak = offered.iter().map(|one| one.goodput).fold(calm.goodput, f64::max);
    let mut met = true;
    for ((tenths, percent), one) in LOADS.iter().zip(&offered) {
        println!("{}", one.row(&format!("{}", tenths / 10), one.goodput / peak));
        met &=
            one.goodput * 100.0 >= peak * f64::from(*percent) && one.refused_late == 0.0 && one.late <= 0.001;
    }
    let flags = bench.flags_meanwhile((capacity * 10.0) as u64, args.seconds, args.deadline_us)?;
    println!("at 10 ×: {} raises and lifts, {} refused", flags.0, flags.1);
    met &= flags.1 == 0;
    let recovery = bench.recover(capacity, args.deadline_us)?;
    println!("back to normal {} after a load of 10 × has ended", recovery);
    let unprotected = Bench::start(false)?;
    let one = unprotected.offer((capacity * 2.0) as u64, args.seconds, args.deadline_us)?;
    println!("{}  <- control: queue_ms_max = 0", one.row("2", one.goodput / peak));
    println!("goodput, refusals in time, late answers, flags: {}", if met { "met" } else { "missed" });
    drop(unprotected);
    Ok(())
}
