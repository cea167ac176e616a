//! Overload, tried out on a clock of its own: a worker whose requests take 150 µs and whose refusals take 2, in rounds as the
//! real one has them. What the promises ask for holds, and without each protection it does not.

use super::{Admission, Verdict};
use crate::server::clock;
use sparr_protocol::ids::Actor;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

const SCREENING: Duration = Duration::from_micros(150);
const REFUSING: Duration = Duration::from_micros(2);
const DEADLINE: Duration = Duration::from_millis(20);
/// Requests per second that can be screened.
const PEAK: f64 = 1e9 / 150_000.0;
/// Tries that a gateway makes after the first, and of so many refused requests one is tried again at all: retrying all of them
/// would make four times as much of what is too much.
const RETRIES: u8 = 3;
const RETRIED_OF: u32 = 5;

/// A request on its way to the worker, the earliest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at: std::cmp::Reverse<Duration>,
    number: u32,
    caller: usize,
    tries: u8,
}

/// What became of one try.
struct Ended {
    caller: usize,
    began: Duration,
    took: Duration,
    /// `None` where it was screened.
    retry_after_ms: Option<u32>,
}

/// How the worker is protected.
#[derive(Clone, Copy, PartialEq)]
enum Protection {
    All,
    /// Nothing is refused.
    NoAdmission,
    /// All callers are one.
    NoShares,
    /// A caller of whom something was refused is one like all others.
    NoMemory,
}

fn actor(number: usize) -> Actor {
    Actor::parse_uri(&format!("sparr://member/shop/gateway/g{number}")).expect("an actor")
}

/// Lets requests come at these times to a worker, whose callers try again when they are told to.
fn run(
    arrivals: impl Iterator<Item = (Duration, usize)>,
    callers: usize,
    protection: Protection,
) -> Vec<Ended> {
    let began: Instant = clock::instant();
    let longest = (protection != Protection::NoAdmission).then_some(Duration::from_secs(1));
    let mut admission = Admission::new(longest, began);
    let places: Vec<usize> = (0..callers)
        .map(|number| {
            admission.shares.enter(&actor(if protection == Protection::NoShares { 0 } else { number }))
        })
        .collect();
    let mut coming: BinaryHeap<Arrival> = (0..)
        .zip(arrivals)
        .map(|(number, (at, caller))| Arrival { at: std::cmp::Reverse(at), number, caller, tries: 0 })
        .collect();
    let (mut now, mut round, mut ended) = (Duration::ZERO, 0, Vec::new());
    while let Some(next) = coming.peek() {
        now = now.max(next.at.0);
        round += 1;
        // The socket is read until nothing is left; connections have their turns one after the other, another one first.
        let mut read: Vec<Vec<Arrival>> = (0..callers).map(|_| Vec::new()).collect();
        while let Some(arrival) = coming.peek().filter(|arrival| arrival.at.0 <= now) {
            read[arrival.caller].extend(coming.pop());
        }
        read.rotate_left(round as usize % callers);
        for arrival in read.into_iter().flatten() {
            admission.turn(round, began + now);
            if protection == Protection::NoMemory {
                admission.shares.forget_refusals();
            }
            let place = places[arrival.caller];
            let retry_after_ms = match admission.judge(
                place,
                DEADLINE.as_micros() as u32,
                arrival.number.wrapping_mul(0x9E37_79B9),
            ) {
                Verdict::Screen | Verdict::WithoutShadow => {
                    now += SCREENING;
                    admission.took(place, SCREENING);
                    None
                }
                Verdict::Refuse { retry_after_ms } => {
                    now += REFUSING;
                    Some(retry_after_ms)
                }
            };
            let (caller, began) = (arrival.caller, arrival.at.0);
            ended.push(Ended { caller, began, took: now - began, retry_after_ms });
            if let Some(wait) =
                retry_after_ms.filter(|_| arrival.tries < RETRIES && arrival.number % RETRIED_OF == 0)
            {
                let at = std::cmp::Reverse(now + Duration::from_millis(wait.into()));
                coming.push(Arrival { at, tries: arrival.tries + 1, ..arrival });
            }
        }
    }
    ended
}

/// Requests of one caller at an even rate, with some chance in it.
fn at_rate(
    per_second: f64,
    from: Duration,
    until: Duration,
    caller: usize,
) -> impl Iterator<Item = (Duration, usize)> {
    let mut seed = 0x5EED_u64 + caller as u64;
    let mut at = from;
    std::iter::from_fn(move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (((seed >> 33) as f64) + 1.0) / (1u64 << 31) as f64;
        at += Duration::from_secs_f64(-uniform.ln() / per_second);
        (at < until).then_some((at, caller))
    })
}

/// Requests that were screened within their deadline while load was offered, beside as many as can be.
fn goodput(ended: &[Ended]) -> f64 {
    let good = accepted(ended).filter(|one| one.took <= DEADLINE && one.began + one.took <= END);
    good.count() as f64 / END.as_secs_f64() / PEAK
}

fn p99(took: impl Iterator<Item = Duration>) -> Duration {
    let mut took: Vec<Duration> = took.collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

fn accepted(ended: &[Ended]) -> impl Iterator<Item = &Ended> {
    ended.iter().filter(|one| one.retry_after_ms.is_none())
}

const END: Duration = Duration::from_secs(10);

fn overload(times: f64, protection: Protection) -> Vec<Ended> {
    run(at_rate(PEAK * times, Duration::ZERO, END, 0), 1, protection)
}

#[test]
fn what_can_be_answered_in_time_is_and_the_rest_is_refused_before_its_deadline() {
    let unhurried = p99(overload(0.7, Protection::All).iter().map(|one| one.took));
    for (times, least) in [(0.9, 0.895), (1.0, 0.95), (2.0, 0.95), (5.0, 0.9), (10.0, 0.8)] {
        let ended = overload(times, Protection::All);
        let share = goodput(&ended);
        assert!(share >= least, "goodput at {times} × is {share:.3} of the peak");
        let late = accepted(&ended).filter(|one| one.took > DEADLINE).count();
        assert!(late * 1_000 <= accepted(&ended).count(), "{late} late answers at {times} ×");
        let refused: Vec<&Ended> = ended.iter().filter(|one| one.retry_after_ms.is_some()).collect();
        let in_time = refused.iter().filter(|one| one.took <= DEADLINE).count();
        assert!(in_time * 1_000 >= refused.len() * 999, "refusals at {times} ×");
        assert!(refused.iter().all(|one| one.retry_after_ms >= Some(25)));
        // Who is accepted while too much comes does not wait for long, once it is clear that it is no burst.
        let settled = accepted(&ended).filter(|one| one.began > Duration::from_secs(1));
        let hurried = p99(settled.map(|one| one.took));
        let bound = if times >= 2.0 { unhurried * 3 } else { DEADLINE / 2 };
        assert!(hurried <= bound, "p99 of the accepted {hurried:?} at {times} ×, {unhurried:?} at 0.7 ×");
    }
    // The control: whoever refuses nothing answers everybody late.
    let unprotected = goodput(&overload(2.0, Protection::NoAdmission));
    assert!(unprotected < 0.1, "without admission {unprotected:.3} of the peak is in time at 2 ×");
}

#[test]
fn retries_come_later_the_more_is_refused_and_not_all_at_once() {
    let median = |times: f64| {
        let mut waits: Vec<u32> =
            overload(times, Protection::All).iter().filter_map(|one| one.retry_after_ms).collect();
        waits.sort_unstable();
        waits[waits.len() / 2]
    };
    let (double, tenfold) = (median(2.0), median(10.0));
    assert!(double * 2 < tenfold, "{double} ms at 2 ×, {tenfold} ms at 10 ×");
    let first: Vec<u32> = overload(10.0, Protection::All)
        .iter()
        .filter_map(|one| one.retry_after_ms)
        .skip(10_000)
        .take(100)
        .collect();
    let distinct = first.iter().collect::<std::collections::BTreeSet<_>>().len();
    assert!(distinct > 30, "a hundred callers are told {distinct} different times");
}

#[test]
fn an_overload_leaves_nothing_behind() {
    let second = Duration::from_secs(1);
    let steady = at_rate(PEAK * 0.5, Duration::ZERO, 20 * second, 0);
    let calm = p99(run(steady, 1, Protection::All).iter().map(|one| one.took));
    let both = at_rate(PEAK * 0.5, Duration::ZERO, 20 * second, 0).chain(at_rate(
        PEAK * 9.5,
        5 * second,
        10 * second,
        0,
    ));
    let ended = run(both, 1, Protection::All);
    let after = ended.iter().filter(|one| one.began > 12 * second);
    assert!(after.clone().all(|one| one.retry_after_ms.is_none()), "nobody is refused two seconds later");
    let after = p99(after.map(|one| one.took));
    assert!(after <= calm.mul_f64(1.2), "{after:?} afterwards, {calm:?} without");
}

#[test]
fn the_flood_of_one_caller_does_not_refuse_the_others() {
    let seen = |protection| {
        let light = at_rate(1_000.0, Duration::ZERO, END, 0);
        // The light caller has had the worker to itself for a moment: that is not held against it.
        let flood = at_rate(PEAK * 10.0, Duration::from_millis(500), END, 1);
        let ended = run(light.chain(flood), 2, protection);
        let light: Vec<&Ended> = ended.iter().filter(|one| one.caller == 0).collect();
        let refused = light.iter().filter(|one| one.retry_after_ms.is_some()).count();
        (refused as f64 / light.len() as f64, p99(light.iter().map(|one| one.took)), goodput(&ended))
    };
    let (refused, took, goodput) = seen(Protection::All);
    assert!(refused <= 0.001, "{refused:.4} of the light caller's requests are refused");
    assert!(took <= DEADLINE / 3, "the light caller's p99 is {took:?}");
    // Four fifths while the flood lasts, nineteen twentieths of the time.
    assert!(goodput >= 0.8 * 0.95, "{goodput:.3}");
    // The control: where all callers are one, the light one is refused like the flood.
    let (refused, ..) = seen(Protection::NoShares);
    assert!(refused > 0.3, "without shares {refused:.4} are refused");
}

#[test]
fn the_bursts_of_one_caller_do_not_keep_the_others_waiting() {
    let seen = |protection| {
        let light = at_rate(1_000.0, Duration::ZERO, END, 0);
        // Half of what can be done, 160 at once: between two bursts there is a pause in which no queue stands.
        let at = |number: u32| Duration::from_millis(50) * number;
        let bursts = (0..200).flat_map(|number| (0..160).map(move |_| (at(number), 1)));
        let mut arrivals: Vec<_> = light.chain(bursts).collect();
        arrivals.sort_unstable();
        let ended = run(arrivals.into_iter(), 2, protection);
        let light = ended.iter().filter(|one| one.caller == 0 && one.began > Duration::from_secs(1));
        assert!(light.clone().all(|one| one.retry_after_ms.is_none()), "the light caller is never refused");
        p99(light.map(|one| one.took))
    };
    let (took, without) = (seen(Protection::All), seen(Protection::NoMemory));
    assert!(took <= DEADLINE / 5, "the light caller's p99 is {took:?}");
    // The control: each burst has the room of a first one, and everybody waits for it.
    assert!(without >= DEADLINE / 4, "without memory it is {without:?}");
}

#[test]
fn equal_callers_have_equal_shares_however_many_connections_they_open() {
    // Caller 0 has one connection, the others four each: the simulation gives each of nine places its own requests.
    let began = clock::instant();
    let mut admission = Admission::new(Some(Duration::from_secs(1)), began);
    let connections: Vec<usize> =
        [0, 1, 1, 1, 1, 2, 2, 2, 2].map(|number| admission.shares.enter(&actor(number))).into();
    let mut had = [0u32; 3];
    let callers = [0usize, 1, 1, 1, 1, 2, 2, 2, 2];
    let mut now = Duration::ZERO;
    for round in 1..2_000 {
        admission.turn(round, began + now);
        // Every connection has ten requests; who comes first changes.
        for turn in 0..90 {
            let connection = (turn / 10 + round as usize) % 9;
            match admission.judge(connections[connection], 20_000, 0) {
                Verdict::Screen | Verdict::WithoutShadow => {
                    admission.took(connections[connection], SCREENING);
                    had[callers[connection]] += 1;
                    now += SCREENING;
                }
                Verdict::Refuse { .. } => now += REFUSING,
            }
        }
    }
    let (least, most) = (had.iter().min().expect("three"), had.iter().max().expect("three"));
    // Ten requests of nine connections a round: the caller with one connection cannot have more than ten.
    assert!(f64::from(*least) >= 0.6 * f64::from(*most), "{had:?}");
}

#[test]
fn a_patient_load_and_a_pause_of_the_machine_refuse_nobody() {
    let began = clock::instant();
    let mut admission = Admission::new(Some(Duration::from_secs(1)), began);
    let place = admission.shares.enter(&actor(0));
    // A thousand requests without a deadline at once.
    admission.turn(1, began);
    for _ in 0..1_000 {
        assert_eq!(admission.judge(place, 0, 0), Verdict::Screen);
        admission.took(place, SCREENING);
    }
    // With a deadline of 50 ms there is room for twelve and a half. One is kept waiting by the machine for ten: it is counted as some usual ones.
    admission.turn(2, began);
    for number in 0..60 {
        assert!(!matches!(admission.judge(place, 50_000, 0), Verdict::Refuse { .. }), "request {number}");
        admission.took(place, if number == 3 { Duration::from_millis(10) } else { SCREENING });
    }
}
