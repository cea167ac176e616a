//! What the loaded rules want to read of velocity: keys, windows, measures. Derived from the rules, never configured.

use crate::limits::{EVENT_EARLY_MS_MAX, EVENT_LATE_MS_MAX};
use crate::pack::{Pack, pack_fields};
use crate::request::KeyName;
use sparr_protocol::codes::Kind;

/// A key by which events are kept: one field, or a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyExpr {
    /// The key.
    pub first: KeyName,
    /// The second half of a pair.
    pub second: Option<KeyName>,
}

const _: () = assert!(KeyName::ALL.len() * (KeyName::ALL.len() + 1) <= 256, "a key's number is one byte");

impl KeyExpr {
    /// Every key and every pair.
    pub fn all() -> impl Iterator<Item = Self> {
        let seconds = || std::iter::once(None).chain(KeyName::ALL.into_iter().map(Some));
        KeyName::ALL.into_iter().flat_map(move |first| seconds().map(move |second| Self { first, second }))
    }

    /// Its number: no two have the same.
    pub(super) const fn number(self) -> u8 {
        let second = match self.second {
            None => 0,
            Some(second) => second as u8 + 1,
        };
        self.first as u8 * (KeyName::ALL.len() as u8 + 1) + second
    }

    /// As a rule writes it: `card`, or `[card, merchant]`.
    pub fn text(self) -> String {
        match self.second {
            None => self.first.name().to_owned(),
            Some(second) => format!("[{}, {}]", self.first.name(), second.name()),
        }
    }
}

/// A set of kinds of payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindSet(u16);

pack_fields!(KeyExpr { first, second });

impl Pack for KindSet {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let set = Self(u16::unpack(from)?);
        Self::ALL.includes(set).then_some(set)
    }
}

impl Pack for KeyPlan {
    /// Without its readings: they are the rules'.
    fn pack(&self, out: &mut Vec<u8>) {
        let Self { key, kinds, tags, horizon_ms, memory_ms, first_seen_ms, readings: _ } = self;
        key.pack(out);
        kinds.pack(out);
        tags.pack(out);
        horizon_ms.pack(out);
        memory_ms.pack(out);
        first_seen_ms.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            key: Pack::unpack(from)?,
            kinds: Pack::unpack(from)?,
            tags: Pack::unpack(from)?,
            horizon_ms: Pack::unpack(from)?,
            memory_ms: Pack::unpack(from)?,
            first_seen_ms: Pack::unpack(from)?,
            readings: Vec::new(),
        })
    }
}

impl KindSet {
    /// The kinds that move a customer's money, and are counted unless a rule says otherwise.
    pub const DEFAULT: Self =
        Self::EMPTY.with(Kind::CardPayment).with(Kind::Invoice).with(Kind::Transfer).with(Kind::Instant);
    /// Every kind.
    pub const ALL: Self = {
        let (mut set, mut at) = (Self::EMPTY, 0);
        while at < Kind::ALL.len() {
            set = set.with(Kind::ALL[at]);
            at += 1;
        }
        set
    };
    /// No kind.
    pub const EMPTY: Self = Self(0);

    /// This set and one more kind.
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind.wire())
    }

    /// Whether a kind is in the set.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & 1 << kind.wire() != 0
    }

    /// The kinds of both sets.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a kind in common.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether every kind of `other` is in this set.
    pub const fn includes(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

/// What is read of the events in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// How many events.
    Count,
    /// Sum of their amounts, in minor units of the rule set's base currency.
    Sum,
    /// The largest of their amounts, in minor units of the rule set's base currency.
    Max,
    /// How many different values of another key they carry.
    Distinct(KeyName),
    /// How many of them have this mark.
    Marked(Mark),
    /// How long ago the key was first seen, ms, at most the window: a key that was not seen for longer than the window
    /// is new again.
    FirstSeen,
}

/// Different keys whose values one record can tell apart.
pub const TAGS_MAX: usize = 2;

/// What becomes known of an event after it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// This engine declined it.
    DeclinedBySparr,
    /// Its final result says that the issuer, or the payer's bank, declined it.
    DeclinedFinal,
}

impl Mark {
    /// Every mark.
    pub const ALL: [Self; 2] = [Self::DeclinedBySparr, Self::DeclinedFinal];
}

/// One reading that a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadingSpec {
    /// Whose events.
    pub key: KeyExpr,
    /// Which kinds of payment count.
    pub kinds: KindSet,
    /// Length of the window, ms: it holds the events with `t − span < time ≤ t`.
    pub span_ms: i64,
    /// What is read.
    pub measure: Measure,
}

/// Place of a reading in [`Facts`](crate::facts::Facts).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadingIndex(pub usize);

/// Everything that one key's record is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlan {
    /// Whose events.
    pub key: KeyExpr,
    /// Kinds that any reading of this key counts; others are not kept.
    pub kinds: KindSet,
    /// Keys whose different values are counted, at most [`TAGS_MAX`]. A record belongs to its tags: a rule set that asks
    /// for others begins anew.
    pub tags: Vec<KeyName>,
    /// Longest window and the lateness that events may have, ms: older events are forgotten.
    pub horizon_ms: i64,
    /// How long a key is remembered that is not seen again, ms: at least the horizon.
    pub memory_ms: i64,
    /// After which pause a key counts as new again, ms; `None` where no rule asks. A key has one such length, because its
    /// record holds one first time.
    pub first_seen_ms: Option<i64>,
    /// The readings, with their places.
    pub readings: Vec<(ReadingIndex, ReadingSpec)>,
}

/// All readings of a rule set, by key, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    keys: Vec<KeyPlan>,
    readings: usize,
}

impl KeyPlan {
    /// Whether records of this plan hold what another one asks for.
    pub fn serves(&self, wanted: &Self) -> bool {
        self.key == wanted.key && self.tags == wanted.tags && self.kinds.includes(wanted.kinds)
    }

    /// Whether any reading asks for a mark.
    pub fn asks_for(&self, mark: Mark) -> bool {
        self.readings.iter().any(|(_, spec)| spec.measure == Measure::Marked(mark))
    }
}

impl Plan {
    /// Adds a reading and gives back its place; a reading that is already there keeps its place. `None` where it asks
    /// for the different values of one key too many, or for a second length after which a key is new again.
    pub fn add(&mut self, spec: ReadingSpec) -> Option<ReadingIndex> {
        let at = match self.keys.iter().position(|plan| plan.key == spec.key) {
            Some(at) => at,
            None => {
                let (key, kinds) = (spec.key, spec.kinds);
                self.keys.push(KeyPlan {
                    key,
                    kinds,
                    tags: Vec::new(),
                    horizon_ms: 0,
                    memory_ms: 0,
                    first_seen_ms: None,
                    readings: Vec::new(),
                });
                self.keys.len() - 1
            }
        };
        let plan = &mut self.keys[at];
        if let Some((index, _)) = plan.readings.iter().find(|(_, known)| *known == spec) {
            return Some(*index);
        }
        if let Measure::Distinct(name) = spec.measure
            && !plan.tags.contains(&name)
        {
            if plan.tags.len() == TAGS_MAX {
                return None;
            }
            plan.tags.push(name);
        }
        if spec.measure == Measure::FirstSeen {
            if plan.first_seen_ms.is_some() {
                return None;
            }
            plan.first_seen_ms = Some(spec.span_ms);
        }
        let index = ReadingIndex(self.readings);
        self.readings += 1;
        plan.kinds = plan.kinds.union(spec.kinds);
        let needed_ms = spec.span_ms + EVENT_LATE_MS_MAX + EVENT_EARLY_MS_MAX;
        plan.memory_ms = plan.memory_ms.max(needed_ms);
        // When a key was first seen is one number of its record: no event is kept for it.
        if spec.measure != Measure::FirstSeen {
            plan.horizon_ms = plan.horizon_ms.max(needed_ms);
        }
        plan.readings.push((index, spec));
        Some(index)
    }

    /// The keys, in the order in which rules first named them.
    pub fn keys(&self) -> &[KeyPlan] {
        &self.keys
    }

    /// How many readings there are.
    pub fn readings(&self) -> usize {
        self.readings
    }
}
