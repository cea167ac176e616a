//! What each stage of a screening costs, on the seeded workload, 100,000 flags and the shipped rules.
//!
//! `cargo bench -p sparr-benches`. Figures with machine and date stand in `BUDGET.md`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sparr_benches::{MOMENT, core, messages};
use sparr_engine::decision::{Floor, VerifyUnavailable, fold};
use sparr_engine::facts::{Facts, Gathering, Wanted};
use sparr_engine::ids::CallerNo;
use sparr_engine::request::Request;
use sparr_engine::rules::Hits;
use sparr_engine::screen::{Asked, Scratch, Stopped, Unobserved, screen};
use sparr_engine::velocity::Reading;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;
use sparr_protocol::view::RequestView;
use std::hint::black_box;

/// Messages in turn, so that caches see a population and not one person.
const MESSAGES: usize = 16_384;

const ASKED: Asked<'_> =
    Asked { caller: CallerNo(0), moment: MOMENT, since_read: &Stopped, without_shadow: false };

fn parse(criterion: &mut Criterion) {
    let (state, messages) = (core(0), messages(MESSAGES));
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    let mut next = (0..MESSAGES).cycle();
    group.bench_function("view", |bench| {
        bench.iter(|| RequestView::parse(black_box(&messages[next.next().unwrap_or(0)])).is_ok());
    });
    group.bench_function("view and identity", |bench| {
        bench.iter(|| {
            Request::parse(
                black_box(&messages[next.next().unwrap_or(0)]),
                &state.keyring,
                MOMENT.today,
                MOMENT.now,
            )
            .is_ok()
        });
    });
    group.finish();
}

fn gather_and_evaluate(criterion: &mut Criterion) {
    let (state, messages) = (core(100_000), messages(MESSAGES));
    let rules = state.rules();
    let Some(active) = rules.as_ref() else { return };
    let wanted = Wanted {
        plan: active.set.plan(),
        observed_since: &active.observed_since,
        rates: active.set.rates(),
        zone: active.set.zone(),
        began: Timestamp::from_ms(0),
    };
    let parsed: Vec<Request<'_>> = messages
        .iter()
        .filter_map(|message| Request::parse(message, &state.keyring, MOMENT.today, MOMENT.now).ok())
        .collect();
    let mut next = (0..parsed.len()).cycle();
    let mut readings = vec![Reading::Absent; wanted.plan.readings()];
    let mut group = criterion.benchmark_group("gather");
    group.throughput(Throughput::Elements(1));
    group.bench_function("flags and velocity", |bench| {
        bench.iter(|| {
            let request = &parsed[next.next().unwrap_or(0)];
            let facts = Facts::gather(
                request,
                &state.stores,
                &wanted,
                &state.keyring,
                MOMENT.now,
                Gathering::Observe,
                &mut readings,
            );
            black_box(facts.checked)
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("evaluate");
    group.throughput(Throughput::Elements(1));
    let mut hits = Hits::default();
    let (stores, keyring) = (&state.stores, &state.keyring);
    // Gathering is not what is measured here: one request's facts serve many evaluations.
    let mut of_each: Vec<Vec<Reading>> = vec![readings.clone(); 64];
    let facts: Vec<Facts<'_>> = parsed
        .iter()
        .zip(&mut of_each)
        .map(|(request, readings)| {
            Facts::gather(request, stores, &wanted, keyring, MOMENT.now, Gathering::Peek, readings)
        })
        .collect();
    let mut next = (0..facts.len()).cycle();
    group.bench_function("shipped rules", |bench| {
        bench.iter(|| {
            hits.clear();
            active.set.evaluate(&facts[next.next().unwrap_or(0)], MOMENT.now, &mut hits);
            black_box(hits.enforced.len())
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("decide");
    group.throughput(Throughput::Elements(1));
    let mut ranked = Vec::new();
    let decided = facts.iter().map(|facts| {
        let mut hits = Hits::default();
        active.set.evaluate(facts, MOMENT.now, &mut hits);
        hits
    });
    let hits: Vec<Hits> = decided.collect();
    let mut next = (0..facts.len()).cycle();
    group.bench_function("floor and fold", |bench| {
        bench.iter(|| {
            let at = next.next().unwrap_or(0);
            let floor = Floor::of(&facts[at], MOMENT.now, VerifyUnavailable::Hold, true);
            fold(&active.set, &hits[at], floor, &mut ranked)
        });
    });
    group.finish();
}

fn whole(criterion: &mut Criterion) {
    let (state, messages) = (core(100_000), messages(MESSAGES));
    let rules = state.rules();
    let active = rules.as_deref();
    let mut scratch = Scratch::default();
    let mut number = 0u64;
    let mut group = criterion.benchmark_group("screen");
    group.throughput(Throughput::Elements(1));
    group.bench_function("bytes to answer", |bench| {
        bench.iter_batched(
            || {
                // A new id each time: a repeated one would only be looked up.
                number += 1;
                let mut message = messages[number as usize % MESSAGES].clone();
                message[..8].copy_from_slice(&number.to_le_bytes());
                message
            },
            |message| screen(&message, ASKED, &state, active, &mut scratch, &mut Unobserved),
            BatchSize::LargeInput,
        );
    });
    let answer: AuthorisationResponse =
        screen(&messages[0], ASKED, &state, active, &mut scratch, &mut Unobserved);
    let mut out = Vec::with_capacity(128);
    group.bench_function("encode the answer", |bench| {
        bench.iter(|| {
            out.clear();
            answer.encode(black_box(&mut out));
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, parse, gather_and_evaluate, whole);
criterion_main!(benches);
