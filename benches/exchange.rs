//! What the exchange's sets cost at full size: bytes per flag and per indicator, look-ups beside bare maps, networks,
//! one request's keys, and readers beside a writer.
//!
//! `cargo bench -p sparr-benches --bench exchange`; `SPARR_FLAGS` and `SPARR_INDICATORS` make the sets smaller. A
//! program of its own, because a set of this size is built once. Figures stand in `BUDGET.md`.

use dashmap::DashMap;
use hashbrown::HashMap;
use sparr_benches::clock::now;
use sparr_benches::planted::{
    self, KEYS_OF_A_REQUEST, NOW, OneRequest, member, police, pseudonym, raise, share,
};
use sparr_engine::flags::FlagSet;
use sparr_engine::indicators::IndicatorSet;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::indicator::IndicatorKind;
use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The engine's own allocator, counting what is in use.
struct Counting;

static IN_USE: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts and passes on")]
// SAFETY: every call goes to mimalloc unchanged; counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from `alloc`.
        unsafe { mimalloc::MiMalloc.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Look-ups of one measurement.
const LOOKUPS: u64 = 2_000_000;

/// Bytes that are allocated.
fn in_use() -> u64 {
    IN_USE.load(Ordering::Relaxed)
}

fn wanted(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Nanoseconds of one look-up, over keys in an order that no cache foresees.
fn per_lookup(look: impl FnMut(Pseudonym) -> bool, first: u64, count: u64) -> f64 {
    planted::per_lookup(LOOKUPS, look, first, count)
}

/// What making the keys costs by itself: it is in every figure above.
fn per_key(count: u64) -> f64 {
    per_lookup(|key| black_box(key).0[0] == 0, 0, count)
}

fn flags(count: u64) -> FlagSet {
    let (before, started) = (in_use(), now());
    let set = FlagSet::default();
    (0..count).for_each(|number| raise(&set, number));
    let built = started.elapsed();
    let bytes = in_use().saturating_sub(before) as f64 / count as f64;
    println!(
        "flags: {count}, {bytes:.1} bytes each, of which the filter {:.2}, built in {:.1} s, {:.0} per second",
        set.filter_bytes() as f64 / count as f64,
        built.as_secs_f64(),
        count as f64 / built.as_secs_f64()
    );
    let look = |key| {
        let mut active = false;
        set.visit_person(key, |_, flag| active |= flag.active(NOW).is_some());
        active
    };
    println!(
        "  look-up ns: hit {:.0}, miss {:.0} (making the key {:.0})",
        per_lookup(look, 0, count),
        per_lookup(look, count, count),
        per_key(count)
    );
    set
}

/// One request's keys at once, beside a bare map that is asked for one after the other.
fn one_request(set: &FlagSet, count: u64) {
    let both = OneRequest::over(set, count);
    let mut ratios: Vec<_> = (0..5)
        .map(|_| {
            // A B B A: what drifts, drifts for both.
            let (a, b, c, d) = (
                both.at_once(LOOKUPS),
                both.one_by_one(LOOKUPS),
                both.one_by_one(LOOKUPS),
                both.at_once(LOOKUPS),
            );
            ((a + d) / (b + c), (a + d) / 2.0, (b + c) / 2.0)
        })
        .collect();
    ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, batch, serial) = ratios[2];
    println!(
        "{KEYS_OF_A_REQUEST} unknown keys of a request: {batch:.0} ns together, hashbrown one by one {serial:.0} ns: {ratio:.2} ({:.2}-{:.2})",
        ratios[0].0, ratios[4].0
    );
}

/// Bare maps of the same keys to one number: what a probe costs without anything that sparr needs.
fn bare_maps(count: u64) {
    let before = in_use();
    let map: HashMap<Pseudonym, u32, foldhash::fast::RandomState> =
        (0..count).map(|number| (pseudonym(number), number as u32)).collect();
    let bytes = in_use().saturating_sub(before) as f64 / count as f64;
    let look = |key| map.contains_key(&key);
    println!(
        "hashbrown: {bytes:.0} bytes each, ns hit {:.0}, miss {:.0}",
        per_lookup(look, 0, count),
        per_lookup(look, count, count)
    );
    drop(map);
    let before = in_use();
    let map: DashMap<Pseudonym, u32, foldhash::fast::RandomState> =
        (0..count).map(|number| (pseudonym(number), number as u32)).collect();
    let bytes = in_use().saturating_sub(before) as f64 / count as f64;
    let look = |key| map.contains_key(&key);
    println!(
        "dashmap: {bytes:.0} bytes each, ns hit {:.0}, miss {:.0}",
        per_lookup(look, 0, count),
        per_lookup(look, count, count)
    );
    drop(map);
    let before = in_use();
    let map: papaya::HashMap<Pseudonym, u32, foldhash::fast::RandomState> =
        (0..count).map(|number| (pseudonym(number), number as u32)).collect();
    let bytes = in_use().saturating_sub(before) as f64 / count as f64;
    let guard = map.pin();
    let look = |key| guard.contains_key(&key);
    println!(
        "papaya: {bytes:.0} bytes each, ns hit {:.0}, miss {:.0}",
        per_lookup(look, 0, count),
        per_lookup(look, count, count)
    );
}

fn indicators(count: u64) {
    let by = police();
    let (before, started) = (in_use(), now());
    let set = IndicatorSet::default();
    (0..count).for_each(|number| share(&set, number, IndicatorKind::Email, String::new(), &by));
    let built = started.elapsed();
    let bytes = in_use().saturating_sub(before) as f64 / count as f64;
    println!("indicators: {count} shared, {bytes:.0} bytes each, built in {:.1} s", built.as_secs_f64());
    let here = member("bench");
    let look = |key| set.look(std::iter::once(key), here, NOW).is_some();
    println!(
        "  look-up ns: hit {:.0}, miss {:.0}",
        per_lookup(look, 0, count),
        per_lookup(look, count, count)
    );
    let request = |key: Pseudonym| {
        let mut found = false;
        for at in 0..KEYS_OF_A_REQUEST {
            let mut key = key;
            key.0[15] ^= at as u8 + 1;
            found |= set.look(std::iter::once(key), here, NOW).is_some();
        }
        found
    };
    println!(
        "  {KEYS_OF_A_REQUEST} keys of one request, all unknown: {:.0} ns",
        per_lookup(request, 0, count)
    );

    // Networks of real lengths, most of them /24.
    let networks = 100_000u64;
    for number in 0..networks {
        let bits = u32::from_le_bytes([0, number as u8, (number >> 8) as u8, (number >> 16) as u8 + 11]);
        let length = if number % 10 == 0 { 22 } else { 24 };
        let address = Ipv4Addr::from_bits(bits & (u32::MAX << (32 - length)));
        share(&set, count + number, IndicatorKind::Cidr, format!("{address}/{length}"), &by);
    }
    let around = |key: Pseudonym| {
        let [a, b, c, d, ..] = key.0;
        set.look_around(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), here, NOW).is_some()
    };
    println!("  longest of {networks} networks: {:.0} ns", per_lookup(around, 0, count));
}

/// Latency of look-ups with nobody else at work, and beside a writer of 50,000 raises a second.
fn beside_a_writer(set: &FlagSet, count: u64) {
    let quantiles = |what: &str, mut ns: Vec<u64>| {
        ns.sort_unstable();
        let at = |quantile: f64| ns[((ns.len() - 1) as f64 * quantile) as usize];
        println!("  {what}: p50 {} p99 {} p99.9 {} max {} ns", at(0.5), at(0.99), at(0.999), at(1.0));
    };
    let read = || {
        let mut all = Vec::with_capacity(LOOKUPS as usize);
        for step in 0..LOOKUPS {
            let key = pseudonym(step.wrapping_mul(0x9E37_79B9_7F4A_7C15) % count);
            let started = now();
            let mut active = false;
            set.visit_person(key, |_, flag| active |= flag.active(NOW).is_some());
            black_box(active);
            all.push(started.elapsed().as_nanos() as u64);
        }
        all
    };
    println!("one reader (a look at the clock is in each):");
    quantiles("alone", read());
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let started = now();
            let mut number = count;
            while !stop.load(Ordering::Relaxed) {
                let due = (started.elapsed().as_secs_f64() * 50_000.0) as u64;
                while number - count < due {
                    raise(set, number);
                    number += 1;
                }
                written.store(number - count, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let (started, all) = (now(), read());
        let rate = written.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        quantiles(&format!("beside {rate:.0} raises a second"), all);
    });
}

fn main() {
    let (flag_count, indicator_count) =
        (wanted("SPARR_FLAGS", 10_000_000), wanted("SPARR_INDICATORS", 5_000_000));
    let set = flags(flag_count);
    beside_a_writer(&set, flag_count);
    one_request(&set, flag_count);
    drop(set);
    bare_maps(flag_count);
    indicators(indicator_count);
}
