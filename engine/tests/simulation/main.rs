//! The exchange, simulated: engines with their journals, disks and clocks, a broker that forgets, and everything that can go
//! wrong between them, from one seed. Then everything heals, and all engines must hold the same.
//!
//! `SPARR_SEED=7 cargo test -p sparr-engine --test simulation` replays one seed, and `SPARR_TOLD=1` beside it says what
//! happens. `SPARR_TIER=1` runs a hundred thousand.

mod authority;
mod broker;
mod checks;
mod disk;
mod drive;
mod faults;
mod forge;
mod golden;
mod healing;
mod journal;
mod ledger;
mod link;
mod node;
mod people;
mod plan;
mod random;
mod run;
mod sim;
mod writer;

use plan::{Control, Fault};
use run::{Ran, run};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SEEDS: u64 = 1_000;
const SEEDS_OF_TIER_1: u64 = 100_000;

/// Seeds in which a protection that is taken away must be missed.
const SEEDS_OF_CONTROLS: u64 = 200;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[derive(Default)]
struct Sum {
    failed: Vec<(u64, String)>,
    /// In how many seeds each fault was met.
    seeds_hit: BTreeMap<Fault, u64>,
    records: usize,
    simulated_ms: u64,
}

/// Runs seeds on every core, up to a few that fail.
fn run_all(seeds: std::ops::Range<u64>, control: Control, failures: usize) -> Sum {
    let next = AtomicU64::new(seeds.start);
    let is_over = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let Ran { outcome, hits, records, time } = run(seed, control);
                    let mut sum = sum.lock().expect("no thread panicked");
                    hits.into_keys().for_each(|fault| *sum.seeds_hit.entry(fault).or_default() += 1);
                    sum.records += records;
                    sum.simulated_ms += time;
                    if let Err(why) = outcome {
                        sum.failed.push((seed, why));
                        is_over.fetch_or(sum.failed.len() >= failures, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    sum.into_inner().expect("no thread panicked")
}

#[test]
fn after_everything_has_healed_all_engines_hold_the_same_and_nothing_is_lost() {
    let (seeds, is_one) = match variable("SPARR_SEED") {
        Some(seed) => (seed..seed + 1, true),
        None if variable("SPARR_TIER") == Some(1) => (0..SEEDS_OF_TIER_1, false),
        None => (0..SEEDS, false),
    };
    let count = seeds.end - seeds.start;
    let sum = run_all(seeds, Control::None, 3);
    let mut failed = sum.failed;
    failed.sort();
    for (seed, why) in &failed {
        println!("seed {seed}: {why}");
        println!(
            "  replay: SPARR_SEED={seed} SPARR_TOLD=1 cargo test -p sparr-engine --test simulation after_everything -- --nocapture"
        );
    }
    assert!(failed.is_empty(), "{} seeds failed", failed.len());
    println!("{count} seeds, {} records, {} s simulated", sum.records, sum.simulated_ms / 1_000);
    for fault in Fault::ALL {
        let seeds = sum.seeds_hit.get(&fault).copied().unwrap_or(0);
        println!("{seeds:>7} {fault:?}");
        assert!(is_one || seeds * 100 >= count, "{fault:?} was met in {seeds} of {count} seeds");
    }
}

fn goes_red(control: Control) {
    let sum = run_all(0..SEEDS_OF_CONTROLS, control, 1);
    match sum.failed.first() {
        Some((seed, why)) => {
            println!("{control:?} goes red with seed {seed}: {}", why.lines().next().unwrap_or(""))
        }
        None => panic!("{control:?} is missed by nothing in {SEEDS_OF_CONTROLS} seeds"),
    }
}

#[test]
fn without_news_of_what_others_have_something_is_missing() {
    goes_red(Control::NoNews);
}

#[test]
fn records_that_are_taken_in_despite_a_gap_are_noticed() {
    goes_red(Control::GapsTaken);
}

#[test]
fn a_disk_that_goes_on_in_its_old_life_is_noticed() {
    goes_red(Control::EpochForgotten);
}
