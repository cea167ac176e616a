//! The events of one key: exact one by one up to a bound, beyond it panes that may count too much, never too little.
//!
//! A window `w` at time `t` holds the events with `t − w < time ≤ t`. Events may arrive in any order; what a window
//! holds depends on their times alone.

use super::distinct::{Sketch, Tag, exactly};
use super::spec::{KeyPlan, KindSet, Mark, TAGS_MAX};
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
    /// Values of the keys whose different values are counted; zero where there is none.
    pub tags: [u32; TAGS_MAX],
    /// Tells events of one time apart, when something becomes known of one of them: part of a digest of its request id.
    pub id: u32,
    /// What has become known of it.
    pub marks: Marks,
}

/// The marks of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub(super) u8);

impl Marks {
    const fn has(self, mark: Mark) -> bool {
        self.0 & 1 << mark as u8 != 0
    }

    const fn set(&mut self, mark: Mark, holds: bool) {
        let bit = 1 << mark as u8;
        self.0 = if holds { self.0 | bit } else { self.0 & !bit };
    }
}

const _: () = assert!(size_of::<Event>() == 40, "marks and id lie where the padding was");

/// What is read of the events in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Count,
    Sum,
    Max,
    /// Different values of the key with this place among the record's tags.
    Distinct(usize),
    /// Events with a mark.
    Marked(Mark),
}

/// Several old events, known only together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pane {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) count: i64,
    /// `None` once any amount in it is unknown.
    pub(super) sum: Option<i64>,
    /// `None` once any amount in it is unknown.
    pub(super) max: Option<i64>,
    pub(super) kinds: KindSet,
    pub(super) values: [Sketch; TAGS_MAX],
    /// How many have each mark.
    pub(super) marked: [u32; Mark::ALL.len()],
}

impl Pane {
    fn of(event: Event) -> Self {
        let kinds = KindSet::EMPTY.with(event.kind);
        let Event { time, amount, tags, marks, .. } = event;
        Self {
            first: time,
            last: time,
            count: 1,
            sum: amount,
            max: amount,
            kinds,
            values: tags.map(Sketch::of),
            marked: Mark::ALL.map(|mark| marks.has(mark).into()),
        }
    }

    fn merged(self, newer: Self) -> Self {
        Self {
            first: self.first.min(newer.first),
            last: self.last.max(newer.last),
            count: self.count + newer.count,
            sum: self.sum.zip(newer.sum).map(|(ours, theirs)| ours.saturating_add(theirs)),
            max: self.max.zip(newer.max).map(|(ours, theirs)| ours.max(theirs)),
            kinds: self.kinds.union(newer.kinds),
            values: std::array::from_fn(|at| self.values[at].union(newer.values[at])),
            marked: std::array::from_fn(|at| self.marked[at].saturating_add(newer.marked[at])),
        }
    }
}

/// What a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The request does not carry the key, or a sum has an amount that no rate converts.
    Absent,
    /// It cannot be told yet, or no longer: whether a key is new, where not everything was observed for so long.
    Unknown,
    /// Exactly this.
    Exact(i64),
    /// About this, and the answer says so: some events are known only by pane, which can only count too many, or
    /// the table was full, so that the key's earlier events are missing.
    Capped(i64),
}

/// How long a record keeps what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptFor {
    /// Events, ms.
    pub(super) horizon_ms: i64,
    /// The record itself, ms.
    pub(super) memory_ms: i64,
    /// After which pause the key is new again, ms.
    pub(super) first_seen_ms: Option<i64>,
}

impl KeptFor {
    pub(super) const fn of(plan: &KeyPlan) -> Self {
        let KeyPlan { horizon_ms, memory_ms, first_seen_ms, .. } = *plan;
        Self { horizon_ms, memory_ms, first_seen_ms }
    }
}

/// The events of one key.
#[derive(Debug)]
pub(super) struct Record {
    /// The first event after the last pause that makes the key new again.
    pub(super) first: Timestamp,
    /// When the record may be forgotten, if nothing else comes.
    pub(super) kept_until: Timestamp,
    /// By time, oldest first; equal times in order of arrival.
    pub(super) events: VecDeque<Event>,
    /// By time, oldest first; all before the oldest exact event when they were made.
    pub(super) panes: Vec<Pane>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            first: Timestamp::from_ms(i64::MAX),
            kept_until: Timestamp::MIN,
            events: VecDeque::new(),
            panes: Vec::new(),
        }
    }
}

impl Record {
    /// Adds an event and forgets what is older than the horizon before the newest one.
    pub(super) fn observe(&mut self, event: Event, kept: KeptFor) {
        let KeptFor { horizon_ms, memory_ms, first_seen_ms } = kept;
        let paused =
            self.events.is_empty() || event.time.ms_since(self.newest()) > first_seen_ms.unwrap_or(memory_ms);
        self.first = if paused { event.time } else { self.first.min(event.time) };
        self.kept_until = self.kept_until.max(event.time.saturating_add_ms(memory_ms));
        let newest = self.newest().max(event.time);
        let forgotten = newest.saturating_add_ms(-horizon_ms);
        while self.events.front().is_some_and(|oldest| oldest.time <= forgotten) {
            self.events.pop_front();
        }
        self.panes.retain(|pane| pane.last > forgotten);
        if event.time <= forgotten {
            return;
        }
        // Room is made before it is needed: a table of 64 events never grows to 128.
        if self.events.len() == EXACT_EVENTS_MAX {
            if self.panes.len() == PANES_MAX {
                self.merge_the_least_telling_panes(newest);
            }
            let is_oldest = self.events.front().is_some_and(|oldest| event.time < oldest.time);
            let oldest = if is_oldest { Some(event) } else { self.events.pop_front() };
            self.panes.extend(oldest.map(Pane::of));
            if is_oldest {
                return;
            }
        }
        let place = self.events.iter().rposition(|known| known.time <= event.time).map_or(0, |at| at + 1);
        // A request that went to two engines of a member is one.
        let same_time = self.events.iter().take(place).rev().take_while(|known| known.time == event.time);
        if event.id != 0 && same_time.into_iter().any(|known| known.id == event.id) {
            return;
        }
        self.events.insert(place, event);
    }

    /// Merges the two neighbours whose common span is the smallest share of their age.
    fn merge_the_least_telling_panes(&mut self, newest: Timestamp) {
        self.panes.sort_unstable_by_key(|pane| pane.first);
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

    /// What the window `(at − span_ms, at]` holds of events of these kinds.
    pub(super) fn read(&self, at: Timestamp, span_ms: i64, kinds: KindSet, asked: Asked) -> Reading {
        let after = at.saturating_add_ms(-span_ms);
        let inside = |time: Timestamp| after < time && time <= at;
        // Newest first: a short window of a key with many events ends soon.
        let newer = || self.events.iter().rev().take_while(|event| after < event.time);
        let events = || newer().filter(|event| event.time <= at && kinds.contains(event.kind));
        let overlaps = |pane: &&Pane| pane.last > after && pane.first <= at && kinds.intersects(pane.kinds);
        let panes = || self.panes.iter().filter(overlaps);
        let total = match asked {
            Asked::Count => Some(events().count() as i64 + panes().map(|pane| pane.count).sum::<i64>()),
            Asked::Sum => {
                let mut amounts = events().map(|event| event.amount).chain(panes().map(|pane| pane.sum));
                amounts.try_fold(0i64, |sum, amount| Some(sum.saturating_add(amount?)))
            }
            Asked::Max => {
                let mut amounts = events().map(|event| event.amount).chain(panes().map(|pane| pane.max));
                amounts.try_fold(0i64, |max, amount| Some(max.max(amount?)))
            }
            Asked::Distinct(tag) => Some(distinct(tag, events(), panes())),
            Asked::Marked(mark) => Some(
                events().filter(|event| event.marks.has(mark)).count() as i64
                    + panes().map(|pane| i64::from(pane.marked[mark as usize])).sum::<i64>(),
            ),
        };
        let whole = |pane: &Pane| inside(pane.first) && inside(pane.last) && kinds.includes(pane.kinds);
        let exact = match asked {
            Asked::Count | Asked::Sum | Asked::Max | Asked::Marked(_) => panes().all(whole),
            Asked::Distinct(_) => panes().next().is_none(),
        };
        match total {
            None => Reading::Absent,
            Some(total) if exact => Reading::Exact(total),
            Some(total) => Reading::Capped(total),
        }
    }

    /// How long ago the key was first seen, ms, at most `span_ms`. It is new where it was not seen before.
    pub(super) fn age_ms(&self, at: Timestamp, span_ms: i64) -> Reading {
        let paused = at.ms_since(self.newest()) > span_ms;
        Reading::Exact(if paused { 0 } else { at.ms_since(self.first).clamp(0, span_ms) })
    }

    /// Notes what became known of an event, or that it does not hold any more. Called once for each change. It is told
    /// apart by its time and id; among the panes, the one that covers its time takes the mark, so that a window never holds fewer marks than there were.
    pub(super) fn mark(&mut self, time: Timestamp, id: u32, mark: Mark, holds: bool) {
        let known = self.events.iter_mut().rev().find(|event| event.time == time && event.id == id);
        match known {
            Some(event) => event.marks.set(mark, holds),
            None => {
                if let Some(pane) = self.panes.iter_mut().find(|pane| pane.first <= time && time <= pane.last)
                {
                    let marked = &mut pane.marked[mark as usize];
                    *marked = if holds { marked.saturating_add(1) } else { marked.saturating_sub(1) };
                }
            }
        }
    }

    /// Until when the record is kept, if nothing else comes.
    pub(super) fn kept_until(&self) -> Timestamp {
        self.kept_until
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

/// Different values: exact among the events that are at hand, and never below that with the panes' sketches.
fn distinct<'a>(
    tag: usize,
    events: impl Iterator<Item = &'a Event> + Clone,
    panes: impl Iterator<Item = &'a Pane>,
) -> i64 {
    let value = |event: &Event| -> Tag { event.tags[tag] };
    let at_hand = exactly::<{ EXACT_EVENTS_MAX + 1 }>(events.clone().map(value));
    let mut panes = panes.map(|pane| pane.values[tag]).peekable();
    if panes.peek().is_none() {
        return at_hand;
    }
    let of_events = events.map(|event| Sketch::of(value(event)));
    of_events.chain(panes).fold(Sketch::default(), Sketch::union).estimate().max(at_hand)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
