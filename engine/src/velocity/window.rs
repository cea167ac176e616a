//! The events of one key: exact one by one up to a bound, beyond it panes that may count too much, never too little.
//!
//! A window `w` at time `t` holds the events with `t − w < time ≤ t`. Events may arrive in any order; what a window
//! holds depends on their times alone.

use super::spec::{KindSet, Measure};
use sparr_protocol::codes::Kind;
use sparr_protocol::time::Timestamp;
use std::collections::VecDeque;

/// Events of a key that are kept one by one. Velocity thresholds live below this; the memory of one key that is
/// hammered stays bounded above it.
pub const EXACT_EVENTS_MAX: usize = 64;

/// Panes of a key for events older than the exact ones. They grow with age, so an error is a share of the window.
pub const PANES_MAX: usize = 32;

/// One event of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened.
    pub time: Timestamp,
    /// Amount in minor units of the base currency, never negative; `None` where no rate converts it.
    pub amount: Option<i64>,
    /// What kind of payment it was.
    pub kind: Kind,
}

/// Several old events, known only together.
#[derive(Clone, Copy, Debug)]
struct Pane {
    first: Timestamp,
    last: Timestamp,
    count: i64,
    /// `None` once any amount in it is unknown.
    sum: Option<i64>,
    kinds: KindSet,
}

impl Pane {
    fn of(event: Event) -> Self {
        let kinds = KindSet::EMPTY.with(event.kind);
        Self { first: event.time, last: event.time, count: 1, sum: event.amount, kinds }
    }

    fn merged(self, newer: Self) -> Self {
        Self {
            first: self.first.min(newer.first),
            last: self.last.max(newer.last),
            count: self.count + newer.count,
            sum: self.sum.zip(newer.sum).map(|(ours, theirs)| ours.saturating_add(theirs)),
            kinds: self.kinds.union(newer.kinds),
        }
    }
}

/// What a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The request does not carry the key, or a sum has an amount that no rate converts.
    Absent,
    /// Exactly this.
    Exact(i64),
    /// About this, and the answer says so: some events are known only by pane, which can only count too many, or
    /// the table was full, so that the key's earlier events are missing.
    Capped(i64),
}

/// The events of one key.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// By time, oldest first; equal times in order of arrival.
    events: VecDeque<Event>,
    /// By time, oldest first; all before the oldest exact event when they were made.
    panes: Vec<Pane>,
}

impl Record {
    /// Adds an event and forgets what is older than the horizon before the newest one.
    pub(super) fn observe(&mut self, event: Event, horizon_ms: i64) {
        let place = self.events.iter().rposition(|known| known.time <= event.time).map_or(0, |at| at + 1);
        self.events.insert(place, event);
        let newest = self.newest();
        let forgotten = newest.saturating_add_ms(-horizon_ms);
        while self.events.front().is_some_and(|oldest| oldest.time <= forgotten) {
            self.events.pop_front();
        }
        self.panes.retain(|pane| pane.last > forgotten);
        if self.events.len() > EXACT_EVENTS_MAX {
            self.panes.extend(self.events.pop_front().map(Pane::of));
            if self.panes.len() > PANES_MAX {
                self.merge_the_least_telling_panes(newest);
            }
        }
    }

    /// Merges the two neighbours whose common span is the smallest share of their age.
    fn merge_the_least_telling_panes(&mut self, newest: Timestamp) {
        self.panes.sort_by_key(|pane| pane.first);
        let share = |pair: &[Pane]| {
            let span = pair[1].last.max(pair[0].last).ms_since(pair[0].first) as f64;
            span / (newest.ms_since(pair[0].first) as f64 + 1.0)
        };
        let cheapest = self
            .panes
            .windows(2)
            .enumerate()
            .min_by(|(_, one), (_, other)| share(one).total_cmp(&share(other)))
            .map(|(at, _)| at);
        if let Some(at) = cheapest {
            let newer = self.panes.remove(at + 1);
            self.panes[at] = self.panes[at].merged(newer);
        }
    }

    /// What the window of `span_ms` that ends at `at` holds, of the given kinds.
    pub(super) fn read(&self, at: Timestamp, span_ms: i64, kinds: KindSet, measure: Measure) -> Reading {
        let after = at.saturating_add_ms(-span_ms);
        let inside = |time: Timestamp| after < time && time <= at;
        let mut total = Some(0i64);
        let mut exact = true;
        let mut add = |count: i64, sum: Option<i64>| {
            let amount = match measure {
                Measure::Count => Some(count),
                Measure::Sum => sum,
            };
            total = total.zip(amount).map(|(total, amount)| total.saturating_add(amount));
        };
        for event in &self.events {
            if inside(event.time) && kinds.contains(event.kind) {
                add(1, event.amount);
            }
        }
        for pane in &self.panes {
            let overlaps = pane.last > after && pane.first <= at && kinds.intersects(pane.kinds);
            if overlaps {
                add(pane.count, pane.sum);
                exact &= inside(pane.first) && inside(pane.last) && kinds.includes(pane.kinds);
            }
        }
        match total {
            None => Reading::Absent,
            Some(total) if exact => Reading::Exact(total),
            Some(total) => Reading::Capped(total),
        }
    }

    /// Time of the newest event.
    pub(super) fn newest(&self) -> Timestamp {
        self.events.back().map_or(Timestamp::MIN, |event| event.time)
    }

    /// Bytes that the record takes beside its place in the table.
    pub(super) fn heap_bytes(&self) -> usize {
        self.events.capacity() * size_of::<Event>() + self.panes.capacity() * size_of::<Pane>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_MS: i64 = 3_600_000;

    fn event(time_ms: i64, amount: i64) -> Event {
        Event { time: Timestamp::from_ms(time_ms), amount: Some(amount), kind: Kind::CardPayment }
    }

    fn read(record: &Record, at_ms: i64, span_ms: i64, measure: Measure) -> Reading {
        record.read(Timestamp::from_ms(at_ms), span_ms, KindSet::DEFAULT, measure)
    }

    #[test]
    fn a_window_is_open_at_its_start_and_closed_at_its_end() {
        let mut record = Record::default();
        for (time, amount) in [(0, 1), (HOUR_MS, 10), (HOUR_MS, 100)] {
            record.observe(event(time, amount), 24 * HOUR_MS);
        }
        for (at, span, count, sum) in [
            (HOUR_MS, HOUR_MS, 2, 110),
            (HOUR_MS, HOUR_MS + 1, 3, 111),
            (HOUR_MS - 1, HOUR_MS, 1, 1),
            (2 * HOUR_MS, HOUR_MS, 0, 0),
            (2 * HOUR_MS - 1, HOUR_MS, 2, 110),
        ] {
            assert_eq!(read(&record, at, span, Measure::Count), Reading::Exact(count), "{at} {span}");
            assert_eq!(read(&record, at, span, Measure::Sum), Reading::Exact(sum), "{at} {span}");
        }
    }

    #[test]
    fn a_sum_with_an_amount_that_no_rate_converts_is_absent_and_not_too_small() {
        let mut record = Record::default();
        record.observe(event(0, 5), HOUR_MS);
        record.observe(Event { amount: None, ..event(10, 0) }, HOUR_MS);
        assert_eq!(read(&record, 10, HOUR_MS, Measure::Sum), Reading::Absent);
        assert_eq!(read(&record, 10, HOUR_MS, Measure::Count), Reading::Exact(2));
        assert_eq!(read(&record, 9, HOUR_MS, Measure::Sum), Reading::Exact(5));
    }

    #[test]
    fn memory_of_one_key_is_bounded_however_often_it_is_seen() {
        let mut record = Record::default();
        for time in 0..100_000 {
            record.observe(event(time, 1), 90 * 24 * HOUR_MS);
        }
        assert!(record.events.len() <= EXACT_EVENTS_MAX && record.panes.len() <= PANES_MAX);
        assert!(record.heap_bytes() < 8_192, "{} bytes", record.heap_bytes());
    }

    proptest! {
        /// The naive twin: every event kept, filtered at reading.
        #[test]
        fn readings_equal_a_plain_list_while_exact_and_never_fall_below_it(
            steps in prop::collection::vec((0i64..4_000, 0i64..500, prop::bool::weighted(0.1)), 1..200),
            span in 1i64..60_000,
        ) {
            let (mut record, mut all, mut now) = (Record::default(), Vec::new(), 0);
            for (step, amount, late) in steps {
                now += step;
                let time = if late { (now - 10_000).max(0) } else { now };
                let event = event(time, amount);
                record.observe(event, 60_000);
                all.push(event);
                for at in [now, time] {
                    let inside = all.iter().filter(|e| at - span < e.time.ms() && e.time.ms() <= at);
                    let (count, sum) = inside.fold((0, 0), |(count, sum), e| (count + 1, sum + e.amount.unwrap_or(0)));
                    // A window whose start lies before the horizon of the newest event is not asked of a record.
                    if record.newest().ms() - (at - span) > 60_000 { continue; }
                    for (measure, naive) in [(Measure::Count, count), (Measure::Sum, sum)] {
                        match read(&record, at, span, measure) {
                            Reading::Exact(value) => prop_assert_eq!(value, naive),
                            Reading::Capped(value) => prop_assert!(value >= naive, "{} < {}", value, naive),
                            Reading::Absent => prop_assert!(false, "every amount is known"),
                        }
                    }
                    if all.len() <= EXACT_EVENTS_MAX {
                        prop_assert!(matches!(read(&record, at, span, Measure::Count), Reading::Exact(_)));
                    }
                }
            }
        }
    }
}
