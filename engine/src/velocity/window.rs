//! The events of one key: exact one by one up to a bound, beyond it panes that may count too much, never too little.
//!
//! A window `w` at time `t` holds the events with `t − w < time ≤ t`. Events may arrive in any order; what a window
//! holds depends on their times alone.

use super::distinct::{Sketch, Tag, exactly};
use super::event::Event;
use super::panes::{Pane, Panes};
use super::spec::{KeyPlan, KindSet, Mark};
use smallvec::SmallVec;
use sparr_protocol::time::Timestamp;

/// Events of a key that are kept one by one. Velocity thresholds live below this; the memory of one key that is
/// hammered stays bounded above it.
pub const EXACT_EVENTS_MAX: usize = 64;

/// Events that lie in the record itself. Most keys have no more, and reading them is reading the record.
const INLINE_EVENTS: usize = 2;

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
    /// Events until this time may be missing, where the key's earlier record may have had to make room.
    pub(super) missing_until: Timestamp,
    /// By time, oldest first; equal times in order of arrival.
    pub(super) events: SmallVec<[Event; INLINE_EVENTS]>,
    /// What is older than the exact events, where there were that many.
    pub(super) panes: Option<Box<Panes>>,
}

impl Default for Record {
    fn default() -> Self {
        Self::missing(Timestamp::MIN)
    }
}

impl Record {
    /// Of a key of which nothing is known, and events until this time may be missing.
    pub(super) const fn missing(missing_until: Timestamp) -> Self {
        Self {
            first: Timestamp::from_ms(i64::MAX),
            kept_until: Timestamp::MIN,
            missing_until,
            events: SmallVec::new_const(),
            panes: None,
        }
    }

    /// Adds an event and forgets what is older than the horizon before the newest one.
    pub(super) fn observe(&mut self, event: Event, kept: KeptFor) {
        let KeptFor { horizon_ms, memory_ms, first_seen_ms } = kept;
        let paused =
            self.events.is_empty() || event.time.ms_since(self.newest()) > first_seen_ms.unwrap_or(memory_ms);
        self.first = if paused { event.time } else { self.first.min(event.time) };
        self.kept_until = self.kept_until.max(event.time.saturating_add_ms(memory_ms));
        let newest = self.newest().max(event.time);
        // The newest event stays even where no window is asked for: a pause is counted from it.
        let forgotten = newest.saturating_add_ms(-horizon_ms.max(1));
        let over = self.events.iter().take_while(|oldest| oldest.time <= forgotten).count();
        if over > 0 {
            self.events.drain(..over);
        }
        if let Some(panes) = &mut self.panes {
            panes.forget(forgotten);
        }
        if event.time <= forgotten {
            return;
        }
        // Room is made before it is needed: a table of 64 events never grows to 128.
        if self.events.len() == EXACT_EVENTS_MAX {
            let is_oldest = self.events.first().is_some_and(|oldest| event.time < oldest.time);
            let oldest = if is_oldest { event } else { self.events.remove(0) };
            self.panes.get_or_insert_default().add(oldest, newest);
            if is_oldest {
                return;
            }
        }
        let place = self.events.iter().rposition(|known| known.time <= event.time).map_or(0, |at| at + 1);
        // A request that went to two engines of a member is one.
        let same_time = self.events[..place].iter().rev().take_while(|known| known.time == event.time);
        if event.id != 0 && same_time.into_iter().any(|known| known.id == event.id) {
            return;
        }
        self.events.insert(place, event);
    }

    /// Groups of events that are known only together.
    pub(super) fn panes(&self) -> &[Pane] {
        self.panes.as_ref().map_or(&[], |panes| panes.all())
    }

    /// What the window `(at − span_ms, at]` holds of events of these kinds.
    pub(super) fn read(&self, at: Timestamp, span_ms: i64, kinds: KindSet, asked: Asked) -> Reading {
        let after = at.saturating_add_ms(-span_ms);
        let inside = |time: Timestamp| after < time && time <= at;
        // Newest first: a short window of a key with many events ends soon.
        let newer = || self.events.iter().rev().take_while(|event| after < event.time);
        let events = || newer().filter(|event| event.time <= at && kinds.contains(event.kind));
        let overlaps = |pane: &&Pane| pane.last > after && pane.first <= at && kinds.intersects(pane.kinds);
        let panes = || self.panes().iter().filter(overlaps);
        let total = match asked {
            Asked::Count => Some(events().count() as i64 + panes().map(|pane| pane.count).sum::<i64>()),
            Asked::Sum => {
                let mut amounts =
                    events().map(|event| event.amount.minor()).chain(panes().map(|pane| pane.sum));
                amounts.try_fold(0i64, |sum, amount| Some(sum.saturating_add(amount?)))
            }
            Asked::Max => {
                let mut amounts =
                    events().map(|event| event.amount.minor()).chain(panes().map(|pane| pane.max));
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
            Some(total) if exact && after >= self.missing_until => Reading::Exact(total),
            Some(total) => Reading::Capped(total),
        }
    }

    /// How long ago the key was first seen, ms, at most `span_ms`. It is new where it was not seen before.
    pub(super) fn age_ms(&self, at: Timestamp, span_ms: i64) -> Reading {
        let paused = at.ms_since(self.newest()) > span_ms;
        let age_ms = if paused { 0 } else { at.ms_since(self.first).clamp(0, span_ms) };
        // What is known may go on what was lost, without a pause that makes the key new.
        let (known_since, is_new_again) =
            if self.events.is_empty() { (at, false) } else { (self.first, paused) };
        let goes_on = known_since.ms_since(self.missing_until) <= span_ms;
        let may_be_older = age_ms < span_ms && goes_on && !is_new_again;
        if may_be_older { Reading::Unknown } else { Reading::Exact(age_ms) }
    }

    /// Notes what became known of an event, or that it does not hold any more. Called once for each change. It is told
    /// apart by its time and id; among the panes, the one that covers its time takes the mark, so that a window never holds fewer marks than there were.
    pub(super) fn mark(&mut self, time: Timestamp, id: u32, mark: Mark, holds: bool) {
        let known = self.events.iter_mut().rev().find(|event| event.time == time && event.id == id);
        match (known, &mut self.panes) {
            (Some(event), _) => event.marks.set(mark, holds),
            (None, Some(panes)) => panes.mark(time, mark, holds),
            (None, None) => {}
        }
    }

    /// Until when the record is kept, if nothing else comes.
    pub(super) fn kept_until(&self) -> Timestamp {
        self.kept_until
    }

    /// Time of the newest event.
    pub(super) fn newest(&self) -> Timestamp {
        self.events.last().map_or(Timestamp::MIN, |event| event.time)
    }

    /// Bytes that the record takes beside its place in the table.
    pub(super) fn heap_bytes(&self) -> usize {
        let events = if self.events.spilled() { self.events.capacity() * size_of::<Event>() } else { 0 };
        events + self.panes.as_ref().map_or(0, |panes| panes.bytes())
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
