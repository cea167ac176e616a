//! Velocity windows beside what is usual: bursts that hopping windows miss, and what a look-up costs beside one
//! `entry += 1` per key.
//!
//! `cargo run --release -p sparr-benches --bin velocity-windows`

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use sparr_benches::windows::{BEGIN_MS, FourKeys, Random, event, plan, pseudonym};
use sparr_engine::request::KeyName;
use sparr_engine::velocity::{Place, Reading, Velocity};
use sparr_protocol::time::Timestamp;
use std::time::Instant;

/// The engine's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MINUTE_MS: i64 = 60_000;
const WINDOW_MS: i64 = 10 * MINUTE_MS;
/// Events of a burst, all within one window: a rule that asks for so many must hit.
const BURST: usize = 6;

fn main() {
    if !std::env::args().any(|argument| argument == "--costs") {
        bursts();
    }
    costs();
}

/// What a hopping window of so many panes counts at the burst's last event: the panes that lie whole in the window, and
/// the one that is filling.
fn hopping(times: &[i64], panes: i64) -> usize {
    let pane_ms = WINDOW_MS / panes;
    let Some(last) = times.last() else { return 0 };
    let begins = (last.div_euclid(pane_ms) - (panes - 1)) * pane_ms;
    times.iter().filter(|time| **time >= begins).count()
}

/// Bursts at random times, of which first and last lie so far apart that they are just within one window.
fn bursts() {
    const BURSTS: u64 = 200_000;
    println!("Bursts of {BURST} payments within ten minutes that are missed, of {BURSTS}");
    println!("{:<44}{:>12}{:>12}{:>8}", "first to last", "12 panes", "60 panes", "sparr");
    let plan = plan(&[KeyName::Card], &[WINDOW_MS]);
    for (what, shortest) in
        [("0 to 10 min, as it comes", 0), ("9 to 10 min", 9 * MINUTE_MS), ("over 9 min 50 s", 590_000)]
    {
        let mut random = Random::new(7);
        let velocity = Velocity::new(4_000_000);
        let (mut missed, mut readings) = ([0u64; 3], vec![Reading::Absent; plan.readings()]);
        for burst in 0..BURSTS {
            let span = shortest + random.below((WINDOW_MS - shortest) as u64) as i64;
            let start = 1_000_000_000 + random.below(86_400_000) as i64;
            let mut times: Vec<i64> =
                (2..BURST).map(|_| start + random.below(span.max(1) as u64) as i64).collect();
            times.extend([start, start + span]);
            times.sort_unstable();
            for (at, panes) in [12, 60].into_iter().enumerate() {
                missed[at] += u64::from(hopping(&times, panes) < BURST);
            }
            for (id, time) in (0..).zip(&times) {
                let key = pseudonym(burst);
                let place = Place::of(&plan.keys()[0], key, None);
                velocity.observe(&plan.keys()[0], place, event(*time, id), &mut readings);
            }
            missed[2] += u64::from(readings[0] != Reading::Exact(BURST as i64));
        }
        let percent = missed.map(|missed| 100.0 * missed as f64 / BURSTS as f64);
        println!("{what:<44}{:>10.2} %{:>10.2} %{:>6.2} %", percent[0], percent[1], percent[2]);
    }
}

/// Requests of four keys each, with three windows each, over a million live keys; beside them one `entry += 1` per key.
fn costs() {
    const LIVE: u64 = 1_000_000;
    const REQUESTS: usize = 1_000_000;
    let mut both = FourKeys::with(LIVE);
    let size = both.velocity.size();
    println!("\n{} live keys: {:.0} bytes each", size.keys, size.bytes as f64 / size.keys as f64);
    let keys = both.draw(REQUESTS);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (round, keys) in keys.chunks(keys.len() / 8).enumerate() {
        // A B B A: what the machine does besides meets both.
        let order = if round % 2 == 0 { [true, false] } else { [false, true] };
        for is_ours in order {
            if is_ours {
                ours.push(both.ours(keys, round * keys.len()));
            } else {
                theirs.push(both.plainly(keys));
            }
        }
    }
    let (median_ours, median_theirs) = (median(&mut ours), median(&mut theirs));
    println!(
        "A request with 4 keys and 12 windows: {median_ours:.0} ns; 4 × `entry += 1`: {median_theirs:.0} ns; {:.1} times (goal 3)",
        median_ours / median_theirs
    );
    let FourKeys { plan, velocity, .. } = both;
    let mut readings = vec![Reading::Absent; plan.readings()];
    // One update at a time, while another thread forgets what is over.
    let mut times: Vec<f64> = Vec::new();
    std::thread::scope(|scope| {
        let forgetting = scope.spawn(|| {
            for step in 0..20 {
                velocity.forget(Timestamp::from_ms(BEGIN_MS + 3_000_000 + step * 60_000));
            }
        });
        let mut random = Random::new(13);
        let mut number = 0;
        while !forgetting.is_finished() || times.len() < 200_000 {
            let key = pseudonym(random.below(LIVE));
            let event = event(BEGIN_MS + 20_000_000, number);
            let started = Instant::now();
            let plan = &plan.keys()[(number % 4) as usize];
            velocity.observe(plan, Place::of(plan, key, None), event, &mut readings);
            times.push(started.elapsed().as_nanos() as f64);
            number = number.wrapping_add(1);
        }
    });
    times.sort_by(f64::total_cmp);
    let at = |quantile: f64| times[((times.len() - 1) as f64 * quantile) as usize];
    println!(
        "One update while keys are forgotten: median {:.0} ns, p99.9 {:.0} ns, {:.1} times (goal 10); {} keys left",
        at(0.5),
        at(0.999),
        at(0.999) / at(0.5),
        velocity.size().keys
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
