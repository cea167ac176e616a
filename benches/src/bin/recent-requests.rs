//! What keeping the requests of the last hour costs beside screening them, and how soon they are looked through: for a flag, for
//! an import of flags, for a candidate rule set.
//!
//! `cargo run --release -p sparr-benches --bin recent-requests`

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use sparr_benches::{MOMENT, core, messages, shipped_rules};
use sparr_engine::ids::CallerNo;
use sparr_engine::recent::{Fresh, Reads, Recaller, Recorded, Touch, as_if_active, blast};
use sparr_engine::request::About;
use sparr_engine::rules;
use sparr_engine::screen::{Asked, Scratch, Stopped, Unobserved, screen};
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::record::RecordKind;
use std::sync::Arc;
use std::time::Instant;

/// The engine's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many as an engine keeps unless it is told otherwise.
const RING: usize = 100_000;
/// Records that an import may leave waiting.
const IMPORTED: usize = 65_536;
const ROUNDS: usize = 8;

fn main() {
    let state = core(100_000);
    state.recent.keep(RING);
    let all = messages(RING);
    let guard = state.rules();
    let Some(active) = guard.as_deref() else { panic!("rules are active") };
    let reads = Arc::new(Reads::of(&active.set));
    let mut scratch = Scratch::default();
    let asked = Asked { caller: CallerNo(0), moment: MOMENT, since_read: &Stopped, without_shadow: false };
    let (mut screening, mut recording) = (Vec::new(), Vec::new());
    let (mut responses, mut kept) = (Vec::new(), Vec::new());
    // Each round screens its messages, and then records them: what one of them costs is beside what the other does.
    for chunk in all.chunks(RING / ROUNDS) {
        responses.clear();
        kept.clear();
        let started = Instant::now();
        for message in chunk {
            responses.push(screen(message, asked, &state, Some(active), &mut scratch, &mut Unobserved));
            let hits: Vec<u16> = scratch.hits().enforced.iter().map(|place| *place as u16).collect();
            kept.push((scratch.readings().to_vec(), hits, scratch.noted().copied()));
        }
        screening.push(started.elapsed().as_nanos() as f64 / chunk.len() as f64);
        let started = Instant::now();
        for ((message, response), (readings, hits, noted)) in chunk.iter().zip(&responses).zip(&kept) {
            let fresh = Fresh {
                message,
                moment: MOMENT,
                caller: CallerNo(0),
                response: *response,
                noted: noted.as_ref(),
                readings,
                hits,
                reads: Some(&reads),
                enforced: 0,
                silent: &[],
                basis: None,
            };
            if let Some(recorded) = Recorded::of(&fresh, &state) {
                state.recent.add(recorded);
            }
        }
        recording.push(started.elapsed().as_nanos() as f64 / chunk.len() as f64);
    }
    let (screening, recording) = (median(&mut screening), median(&mut recording));
    let size = state.recent.size();
    println!(
        "screening {screening:.0} ns, recording {recording:.0} ns for each request: {:.2} of it; {} kept, {} bytes each",
        recording / screening,
        size.requests,
        size.bytes / size.requests.max(1)
    );

    let recent = state.recent.all(MOMENT.now);
    let mut sources = shipped_rules();
    if let Some(file) = sources.rules.first_mut() {
        file.text.push_str(
            "  - id: one-more\n    description: d\n    owner: o\n    when: amount_minor > 10000\n    then: challenge\n    reason: velocity_card\n",
        );
    }
    let Some(set) = rules::load(&sources).set else { panic!("the candidate loads") };
    let candidate = as_if_active(set);
    let mut times = Vec::new();
    let mut sentence = String::new();
    for _ in 0..5 {
        let started = Instant::now();
        sentence = blast(&recent, &state, Some(active), &candidate, MOMENT.now).sentence();
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    println!(
        "blast radius over {} requests: {:.0} ms (goal 1000): {sentence}",
        recent.len(),
        median(&mut times)
    );

    let people: Vec<Pseudonym> = recent
        .iter()
        .filter_map(|recorded| recorded.known().get(About::Subject))
        .map(|person| person.current.1)
        .collect();
    for (what, touched) in [("one flag", 1), ("an import of flags", IMPORTED)] {
        let touch = |at: usize| Touch {
            kind: RecordKind::FlagRaised,
            values: vec![people.get(at).copied().unwrap_or(Pseudonym([7; 16]))],
            network: None,
        };
        let touches: Vec<Touch> = (0..touched).map(touch).collect();
        let mut times = Vec::new();
        for _ in 0..5 {
            let started = Instant::now();
            let found = Recaller::default().find(&touches, &recent, &state, active, MOMENT.now);
            std::hint::black_box(found.len());
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        println!("recall after {what}: {:.1} ms over {} requests", median(&mut times), recent.len());
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
