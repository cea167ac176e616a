//! One record against naive twins: plain lists of every event.

use super::super::event::{Amount, Marks};
use super::super::panes::PANES_MAX;
use super::*;
use proptest::prelude::*;
use sparr_protocol::codes::Kind;

const HOUR_MS: i64 = 3_600_000;

fn event(time_ms: i64, amount: i64) -> Event {
    Event {
        time: Timestamp::from_ms(time_ms),
        amount: Amount::of(amount),
        kind: Kind::CardPayment,
        tags: [0; 2],
        id: (time_ms + amount * 7_919) as u32,
        marks: Marks::default(),
    }
}

const fn kept(span_ms: i64) -> KeptFor {
    KeptFor { horizon_ms: span_ms, memory_ms: span_ms, first_seen_ms: Some(span_ms) }
}

fn read(record: &Record, at_ms: i64, span_ms: i64, measure: Asked) -> Reading {
    record.read(Timestamp::from_ms(at_ms), span_ms, KindSet::DEFAULT, measure)
}

#[test]
fn a_window_is_open_at_its_start_and_closed_at_its_end() {
    let mut record = Record::default();
    for (time, amount) in [(0, 1), (HOUR_MS, 10), (HOUR_MS, 100)] {
        record.observe(event(time, amount), kept(24 * HOUR_MS));
    }
    for (at, span, count, sum) in [
        (HOUR_MS, HOUR_MS, 2, 110),
        (HOUR_MS, HOUR_MS + 1, 3, 111),
        (HOUR_MS - 1, HOUR_MS, 1, 1),
        (2 * HOUR_MS, HOUR_MS, 0, 0),
        (2 * HOUR_MS - 1, HOUR_MS, 2, 110),
    ] {
        assert_eq!(read(&record, at, span, Asked::Count), Reading::Exact(count), "{at} {span}");
        assert_eq!(read(&record, at, span, Asked::Sum), Reading::Exact(sum), "{at} {span}");
    }
}

#[test]
fn a_sum_with_an_amount_that_no_rate_converts_is_absent_and_not_too_small() {
    let mut record = Record::default();
    record.observe(event(0, 5), kept(HOUR_MS));
    record.observe(Event { amount: Amount::UNKNOWN, ..event(10, 0) }, kept(HOUR_MS));
    assert_eq!(read(&record, 10, HOUR_MS, Asked::Sum), Reading::Absent);
    assert_eq!(read(&record, 10, HOUR_MS, Asked::Count), Reading::Exact(2));
    assert_eq!(read(&record, 9, HOUR_MS, Asked::Sum), Reading::Exact(5));
}

#[test]
fn memory_of_one_key_is_bounded_however_often_it_is_seen() {
    let mut record = Record::default();
    for time in 0..100_000 {
        record.observe(event(time, 1), kept(90 * 24 * HOUR_MS));
    }
    assert!(record.events.len() <= EXACT_EVENTS_MAX && record.panes().len() <= PANES_MAX);
    assert!(record.heap_bytes() < 8_192, "{} bytes", record.heap_bytes());
}

proptest! {
    /// The naive twin: every event kept, filtered at reading.
    #[test]
    fn readings_equal_a_plain_list_while_exact_and_never_fall_below_it(
        steps in prop::collection::vec((0i64..4_000, 0i64..500, prop::bool::weighted(0.1)), 1..200),
        span in 1i64..60_000,
    ) {
        let (mut record, mut all, mut declined, mut now) = (Record::default(), Vec::new(), Vec::new(), 0);
        for (step, amount, late) in steps {
            now += step;
            let time = if late { (now - 10_000).max(0) } else { now };
            // A few different values, and sometimes none.
            let event = Event { tags: [amount as u32 % 7, 0], id: all.len() as u32, ..event(time, amount) };
            record.observe(event, kept(60_000));
            all.push(event);
            if amount % 5 == 0 {
                record.mark(event.time, event.id, Mark::DeclinedBySparr, true);
                declined.push(event.time.ms());
            }
            for at in [now, time] {
                let within = |e: &&Event| at - span < e.time.ms() && e.time.ms() <= at;
                let max = all.iter().filter(within).filter_map(|e| e.amount.minor()).max().unwrap_or(0);
                let values: std::collections::HashSet<u32> =
                    all.iter().filter(within).map(|e| e.tags[0]).filter(|tag| *tag != 0).collect();
                let inside = all.iter().filter(|e| at - span < e.time.ms() && e.time.ms() <= at);
                let (count, sum) = inside.fold((0, 0), |(count, sum), e| (count + 1, sum + e.amount.minor().unwrap_or(0)));
                // A window whose start lies before the horizon of the newest event is not asked of a record.
                if record.newest().ms() - (at - span) > 60_000 { continue; }
                let declined = declined.iter().filter(|time| at - span < **time && **time <= at).count() as i64;
                let marked = Asked::Marked(Mark::DeclinedBySparr);
                for (measure, naive) in
                    [(Asked::Count, count), (Asked::Sum, sum), (Asked::Max, max), (marked, declined)]
                {
                    match read(&record, at, span, measure) {
                        Reading::Exact(value) => prop_assert_eq!(value, naive),
                        Reading::Capped(value) => prop_assert!(value >= naive, "{} < {}", value, naive),
                        Reading::Absent | Reading::Unknown => prop_assert!(false, "every amount is known"),
                    }
                }
                match read(&record, at, span, Asked::Distinct(0)) {
                    Reading::Exact(value) => prop_assert_eq!(value, values.len() as i64),
                    // A sketch may be off, and is never below what is at hand.
                    Reading::Capped(value) => prop_assert!(value > 0),
                    Reading::Absent | Reading::Unknown => prop_assert!(false, "there is always a number"),
                }
                if all.len() <= EXACT_EVENTS_MAX {
                    prop_assert!(matches!(read(&record, at, span, Asked::Count), Reading::Exact(_)));
                }
            }
        }
    }
}

proptest! {
    /// The naive twin walks the whole history for pauses.
    #[test]
    fn a_key_is_as_old_as_its_last_long_pause_says(
        steps in prop::collection::vec(prop_oneof![0i64..4_000, 50_000i64..70_000], 1..120),
        later in 0i64..70_000,
        // Where no rule asks for a window, no event is needed for one.
        horizon_ms in prop_oneof![Just(0), Just(1_000)],
    ) {
        const SPAN: i64 = 60_000;
        let kept = KeptFor { horizon_ms, memory_ms: SPAN, first_seen_ms: Some(SPAN) };
        let (mut record, mut now, mut first, mut before) = (Record::default(), 1_000_000, None, None);
        for step in steps {
            now += step;
            record.observe(event(now, 1), kept);
            if before.is_none_or(|before| now - before > SPAN) {
                first = Some(now);
            }
            before = Some(now);
            let age = first.map_or(0, |first| (now - first).min(SPAN));
            prop_assert_eq!(record.age_ms(Timestamp::from_ms(now), SPAN), Reading::Exact(age));
        }
        let at = now + later;
        let age = if later > SPAN { 0 } else { (at - first.unwrap_or(at)).min(SPAN) };
        prop_assert_eq!(record.age_ms(Timestamp::from_ms(at), SPAN), Reading::Exact(age));
        prop_assert!(record.kept_until.ms() >= now + SPAN);
    }
}
