//! Events that are older than those a record keeps one by one: known by groups, which can count too many, never too few.

use super::distinct::Sketch;
use super::event::Event;
use super::spec::{KindSet, Mark, TAGS_MAX};
use sparr_protocol::time::Timestamp;

/// Panes of a key for events older than the exact ones. They grow with age, so an error is a share of the window.
pub const PANES_MAX: usize = 32;

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
        let amount = amount.minor();
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

/// The panes of one key, by time, oldest first; all before the oldest exact event when they were made.
#[derive(Debug, Default)]
pub(super) struct Panes(pub(super) Vec<Pane>);

impl Panes {
    /// Each of them.
    pub(super) fn all(&self) -> &[Pane] {
        &self.0
    }

    /// Adds an event; where there are enough panes, two become one. `newest` is the key's newest event.
    pub(super) fn add(&mut self, event: Event, newest: Timestamp) {
        if self.0.len() == PANES_MAX {
            self.merge_the_least_telling_panes(newest);
        }
        self.0.push(Pane::of(event));
    }

    /// Forgets those that end at this time or before.
    pub(super) fn forget(&mut self, forgotten: Timestamp) {
        self.0.retain(|pane| pane.last > forgotten);
    }

    /// Notes what became known of an event at this time: the pane that covers it takes the mark, so that a window never
    /// holds fewer marks than there were.
    pub(super) fn mark(&mut self, time: Timestamp, mark: Mark, holds: bool) {
        if let Some(pane) = self.0.iter_mut().find(|pane| pane.first <= time && time <= pane.last) {
            let marked = &mut pane.marked[mark as usize];
            *marked = if holds { marked.saturating_add(1) } else { marked.saturating_sub(1) };
        }
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.capacity() * size_of::<Pane>()
    }

    /// Merges the two neighbours whose common span is the smallest share of their age.
    fn merge_the_least_telling_panes(&mut self, newest: Timestamp) {
        self.0.sort_unstable_by_key(|pane| pane.first);
        let share = |pair: &[Pane]| {
            let span = pair[1].last.max(pair[0].last).ms_since(pair[0].first) as f64;
            span / (newest.ms_since(pair[0].first) as f64 + 1.0)
        };
        let cheapest = self
            .0
            .windows(2)
            .enumerate()
            .min_by(|(_, one), (_, other)| share(one).total_cmp(&share(other)))
            .map(|(at, _)| at);
        if let Some(at) = cheapest {
            let newer = self.0.remove(at + 1);
            self.0[at] = self.0[at].merged(newer);
        }
    }
}
