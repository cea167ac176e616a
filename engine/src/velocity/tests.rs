//! The whole table against a naive twin: every event of every key in a plain list.

use super::spec::{KindSet, Plan, ReadingSpec};
use super::*;
use crate::request::KeyName;
use sparr_protocol::codes::Kind;
use std::collections::{HashMap, VecDeque};

const MINUTE_MS: i64 = 60_000;
const SHORT_MS: i64 = MINUTE_MS;
const LONG_MS: i64 = 60 * MINUTE_MS;

fn plan() -> Plan {
    let mut plan = Plan::default();
    let key = KeyExpr { first: KeyName::Card, second: None };
    for (span_ms, measure) in
        [(SHORT_MS, Measure::Count), (LONG_MS, Measure::Count), (LONG_MS, Measure::FirstSeen)]
    {
        plan.add(ReadingSpec { key, kinds: KindSet::DEFAULT, span_ms, measure }).expect("few");
    }
    plan
}

fn event(time_ms: i64, id: u32) -> Event {
    Event {
        time: Timestamp::from_ms(time_ms),
        amount: Amount::of(100),
        tags: [0; 2],
        id,
        kind: Kind::CardPayment,
        marks: Marks::default(),
    }
}

fn place(plan: &KeyPlan, number: u64) -> Place {
    let digest = blake3::hash(&number.to_le_bytes());
    Place::of(plan, Pseudonym(std::array::from_fn(|at| digest.as_bytes()[at])), None)
}

/// Numbers that come in the same order each time (splitmix64).
fn below(state: &mut u64, end: u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ *state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB) % end
}

/// What came of a stream of events: how many readings of each window were exact, and how many were not.
#[derive(Debug, Default)]
struct Seen {
    exact: [u64; 3],
    inexact: [u64; 3],
}

/// Observes so many events of so many keys, a second apart; every reading that says that it is exact is.
fn observe(velocity: &Velocity, events: u32, keys: u64) -> Seen {
    let plan = plan();
    let of = &plan.keys()[0];
    let (mut random, mut seen) = (1, Seen::default());
    let mut known: HashMap<u64, VecDeque<i64>> = HashMap::new();
    let mut readings = [Reading::Absent; 3];
    for number in 1..=events {
        let (now, key) = (i64::from(number) * 1_000, below(&mut random, keys));
        let place = place(of, key);
        velocity.expect(std::iter::once(place));
        velocity.observe(of, place, event(now, number), &mut readings);
        let times = known.entry(key).or_default();
        let before = times.back().copied();
        times.push_back(now);
        let within = |span: i64| times.iter().filter(|time| now - span < **time).count() as i64;
        // Since the last pause of the whole window.
        let pause = times.iter().zip(times.iter().skip(1)).rposition(|(one, next)| next - one > LONG_MS);
        let first = times[pause.map_or(0, |at| at + 1)];
        let is_new = before.is_none_or(|before| now - before > LONG_MS);
        let age = if is_new { 0 } else { (now - first).min(LONG_MS) };
        for (at, naive) in [within(SHORT_MS), within(LONG_MS), age].into_iter().enumerate() {
            match readings[at] {
                Reading::Exact(value) => {
                    assert_eq!(value, naive, "reading {at} of event {number}");
                    seen.exact[at] += 1;
                }
                Reading::Capped(_) | Reading::Unknown => seen.inexact[at] += 1,
                Reading::Absent => panic!("reading {at} of event {number} is absent"),
            }
        }
        if number.is_multiple_of(5_000) {
            velocity.forget(Timestamp::from_ms(now));
        }
    }
    seen
}

#[test]
fn a_table_with_room_is_exact_while_keys_come_and_are_forgotten() {
    let velocity = Velocity::new(usize::MAX);
    let seen = observe(&velocity, 60_000, 20_000);
    assert_eq!(seen.inexact, [0; 3]);
    assert_eq!(velocity.evicted(), 0);
    assert!(velocity.size().keys < 20_000, "keys that were not seen for long are forgotten");
}

#[test]
fn in_a_full_table_old_keys_make_room_and_no_reading_is_wrong() {
    let velocity = Velocity::new(3_000);
    let seen = observe(&velocity, 60_000, 20_000);
    assert!(velocity.size().keys <= 3_000, "{:?}", velocity.size());
    assert!(velocity.evicted() > 10_000, "{}", velocity.evicted());
    // Each of the small tables has three keys here, and the oldest of three was sometimes seen within the last minute.
    assert!(seen.inexact[0] * 20 < seen.exact[0], "{seen:?}");
    // An hour holds 3,600 events: what reaches back to what was lost says so.
    assert!(seen.inexact[1] > 1_000 && seen.exact[1] > 1_000, "{seen:?}");
    assert!(seen.inexact[2] > 1_000, "{seen:?}");
}

#[test]
fn a_table_without_any_room_says_that_it_knows_nothing_for_certain() {
    let velocity = Velocity::new(0);
    let seen = observe(&velocity, 100, 10);
    assert_eq!((seen.exact, velocity.size().keys), ([0; 3], 0));
}

#[test]
fn a_restart_goes_on_with_what_was_kept_and_with_what_was_lost() {
    let (before, plan) = (Velocity::new(3_000), plan());
    let of = &plan.keys()[0];
    observe(&before, 20_000, 20_000);
    let mut blocks = Vec::new();
    let keep = |block: &[u8]| {
        blocks.push(block.to_vec());
        Ok(())
    };
    before.save(keep).expect("memory");
    let after = Velocity::new(3_000);
    let now = Timestamp::from_ms(20_001_000);
    let (front, rest) = blocks.split_first().expect("there is always a front");
    after.load_front(front).expect("as written");
    rest.iter().for_each(|block| after.load(block, now).expect("as written"));
    let still = before.size().keys - after.size().keys;
    assert!(after.size().keys > 1_000 && still < 1_500, "{:?} {:?}", before.size(), after.size());
    for key in 0..20_000 {
        let (mut one, mut two) = ([Reading::Absent; 3], [Reading::Absent; 3]);
        before.peek(of, place(of, key), now, &mut one);
        after.peek(of, place(of, key), now, &mut two);
        // What was lost is known for the whole table after a restart, no longer for each part of it.
        let is_as_exact = |(one, two): (&Reading, &Reading)| one == two || !matches!(two, Reading::Exact(_));
        assert!(one.iter().zip(&two).all(is_as_exact), "{key}: {one:?} {two:?}");
    }
    assert_eq!(after.load(&[1, 2, 3], now), None);
    assert_eq!(after.load_front(&[1; 9]), None);
}
