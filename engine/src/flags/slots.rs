//! Flags as they lie in memory: 34 bytes each, in the order of their subjects.
//!
//! A part of the set is an array that is kept sorted and nearly full: an entry lies at its home, the place that its
//! subject's bits name, or after it with no gap between (linear probing in the order of the keys). Subjects are keyed
//! digests, so homes are evenly spread. A look-up reads from the home on until it meets the subject or a greater one:
//! one or two cache lines. What does not fit into 34 bytes, and every flag that is being lifted, lies beside it whole.

use super::Flag;
use sparr_protocol::ids::Pseudonym;
use std::collections::BTreeMap;

/// One raised flag that nobody lifts, packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(super) struct Slot {
    /// Whose.
    pub(super) subject: [u8; 16],
    /// Its end: ms since the base of times, little-endian, as all of these.
    pub(super) until: [u8; 5],
    /// Stamp of the raise: ms since the base of times.
    pub(super) stamp: [u8; 5],
    /// Sequence of the raise.
    pub(super) sequence: [u8; 4],
    /// Number of its terms.
    pub(super) terms: [u8; 2],
    /// Number of its registrar and origin.
    pub(super) author: [u8; 2],
}

/// Bytes of a packed flag.
pub(super) const SLOT_BYTES: usize = 34;
const _: () = assert!(size_of::<Slot>() == SLOT_BYTES);

/// No author has this number.
const EMPTY: Slot = Slot {
    subject: [0; 16],
    until: [0; 5],
    stamp: [0; 5],
    sequence: [0; 4],
    terms: [0; 2],
    author: [u8::MAX; 2],
};

impl Slot {
    fn is_empty(&self) -> bool {
        self.author == EMPTY.author
    }

    /// Whose it is.
    pub(super) fn subject(&self) -> Pseudonym {
        Pseudonym(self.subject)
    }

    /// As it lies in a snapshot.
    pub(super) fn to_bytes(self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..16].copy_from_slice(&self.subject);
        bytes[16..21].copy_from_slice(&self.until);
        bytes[21..26].copy_from_slice(&self.stamp);
        bytes[26..30].copy_from_slice(&self.sequence);
        bytes[30..32].copy_from_slice(&self.terms);
        bytes[32..].copy_from_slice(&self.author);
        bytes
    }

    /// From a snapshot.
    pub(super) fn from_bytes(bytes: &[u8; SLOT_BYTES]) -> Self {
        let part = |from: usize| &bytes[from..];
        let five = |from: usize| std::array::from_fn(|at| part(from)[at]);
        Self {
            subject: std::array::from_fn(|at| bytes[at]),
            until: five(16),
            stamp: five(21),
            sequence: std::array::from_fn(|at| part(26)[at]),
            terms: [bytes[30], bytes[31]],
            author: [bytes[32], bytes[33]],
        }
    }
}

/// Entries for each hundred places from which on a part grows, and to which it grows.
const FULL_PERCENT: usize = 95;
const GROWN_PERCENT: usize = 89;

/// Places after the last home, for entries that were pushed past it.
const SPARE: usize = 8;

/// One part of the set: the subjects that begin with the same bits.
#[derive(Default)]
pub(super) struct Part {
    slots: Vec<Slot>,
    homes: usize,
    len: usize,
    /// Flags that are not packed.
    pub(super) whole: BTreeMap<Pseudonym, Vec<Flag>>,
}

/// Bits of a subject by which its part is chosen.
pub(super) const PART_BITS: u32 = 12;

fn key(slot: &Slot) -> u128 {
    u128::from_be_bytes(slot.subject)
}

impl Part {
    /// The place at which a subject's entry lies or would lie, if nothing were in the way.
    #[inline]
    fn home(&self, subject: u128) -> usize {
        let spread = ((subject << PART_BITS) >> 64) as u64;
        ((u128::from(spread) * self.homes as u128) >> 64) as usize
    }

    /// The first place with this subject, or a greater one, or nothing.
    #[inline]
    fn find(&self, subject: u128) -> usize {
        let mut at = self.home(subject);
        while self.slots.get(at).is_some_and(|slot| !slot.is_empty() && key(slot) < subject) {
            at += 1;
        }
        at
    }

    /// The packed entries of a subject, with their places.
    #[inline]
    pub(super) fn of(&self, subject: Pseudonym) -> impl Iterator<Item = (usize, &Slot)> {
        let first = self.find(u128::from_be_bytes(subject.0));
        let following = self.slots.get(first..).unwrap_or_default().iter();
        following
            .take_while(move |slot| !slot.is_empty() && slot.subject == subject.0)
            .enumerate()
            .map(move |(at, slot)| (first + at, slot))
    }

    /// Puts an entry in the place of another one of the same subject.
    pub(super) fn replace(&mut self, at: usize, slot: Slot) {
        self.slots[at] = slot;
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, slot: Slot) {
        if (self.len + 1) * 100 > self.homes * FULL_PERCENT {
            self.grow();
        }
        let mut at = self.find(key(&slot));
        while self.slots.get(at).is_some_and(|known| !known.is_empty() && known.subject == slot.subject) {
            at += 1;
        }
        let free = (at..self.slots.len()).find(|at| self.slots[*at].is_empty());
        let free = free.unwrap_or_else(|| {
            let end = self.slots.len();
            lengthen(&mut self.slots, end + SPARE);
            end
        });
        self.slots.copy_within(at..free, at + 1);
        self.slots[at] = slot;
        self.len += 1;
    }

    /// Takes an entry out. Those after it that are not at their homes move up, so that no gap cuts them off.
    pub(super) fn remove(&mut self, at: usize) {
        let mut end = at + 1;
        while self.slots.get(end).is_some_and(|slot| !slot.is_empty() && self.home(key(slot)) < end) {
            end += 1;
        }
        self.slots.copy_within(at + 1..end, at);
        self.slots[end - 1] = EMPTY;
        self.len -= 1;
    }

    fn grow(&mut self) {
        let wanted = (self.len + 1) * 100 / GROWN_PERCENT + 1;
        let old = std::mem::take(&mut self.slots);
        self.fill(wanted, old.into_iter().filter(|slot| !slot.is_empty()));
    }

    /// Lays entries out that come in the order of their subjects.
    fn fill(&mut self, homes: usize, sorted: impl Iterator<Item = Slot>) {
        self.homes = homes;
        let mut slots = vec![EMPTY; homes + SPARE];
        let mut next = 0;
        self.len = 0;
        for slot in sorted {
            let at = self.home(key(&slot)).max(next);
            if at >= slots.len() {
                lengthen(&mut slots, at + SPARE);
            }
            slots[at] = slot;
            next = at + 1;
            self.len += 1;
        }
        self.slots = slots;
    }

    /// Takes the place of an empty part: entries that come in the order of their subjects.
    pub(super) fn load(&mut self, sorted: &[Slot]) {
        self.fill(sorted.len() * 100 / GROWN_PERCENT + 1, sorted.iter().copied());
    }

    /// Every packed entry, in the order of subjects.
    pub(super) fn packed(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.is_empty())
    }

    /// Whether nothing is packed here.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Adds places at the end, and no more: a vector that grows by itself doubles.
fn lengthen(slots: &mut Vec<Slot>, places: usize) {
    slots.reserve_exact(places - slots.len());
    slots.resize(places, EMPTY);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(subject: u128, author: u8) -> Slot {
        Slot { subject: subject.to_be_bytes(), author: [author, 0], ..EMPTY }
    }

    /// Subjects of one part, crowded so that many share a home.
    fn subject() -> impl Strategy<Value = u128> {
        prop_oneof![
            0u128..40,
            (0u128..40).prop_map(|low| (u128::MAX >> PART_BITS) - low),
            (0u128..1000).prop_map(|n| n << 100)
        ]
    }

    proptest! {
        #[test]
        fn a_part_holds_what_a_sorted_list_holds(
            steps in prop::collection::vec((subject(), 0u8..3, any::<bool>()), 0..300)
        ) {
            let mut part = Part::default();
            let mut twin: Vec<(u128, u8)> = Vec::new();
            for (subject, author, add) in steps {
                let name = Pseudonym(subject.to_be_bytes());
                let at = part.of(name).find(|(_, slot)| slot.author[0] == author).map(|(at, _)| at);
                let twin_at = twin.iter().position(|known| *known == (subject, author));
                prop_assert_eq!(at.is_some(), twin_at.is_some());
                match (at, twin_at, add) {
                    (None, None, true) => {
                        part.insert(slot(subject, author));
                        twin.push((subject, author));
                    }
                    (Some(at), Some(twin_at), false) => {
                        part.remove(at);
                        twin.remove(twin_at);
                    }
                    (Some(at), _, true) => part.replace(at, slot(subject, author)),
                    (_, _, false) | (None, Some(_), true) => {}
                }
                prop_assert_eq!(part.len, twin.len());
            }
            twin.sort_unstable();
            let mut held: Vec<_> = part.packed().map(|slot| (key(slot), slot.author[0])).collect();
            prop_assert!(held.is_sorted_by_key(|(subject, _)| *subject));
            held.sort_unstable();
            prop_assert_eq!(held, twin);

            let sorted: Vec<Slot> = part.packed().copied().collect();
            let mut loaded = Part::default();
            loaded.load(&sorted);
            prop_assert!(loaded.packed().eq(part.packed()));
            for slot in &sorted {
                prop_assert!(loaded.of(Pseudonym(slot.subject)).any(|(_, found)| found == slot));
                prop_assert_eq!(Slot::from_bytes(&slot.to_bytes()), *slot);
            }
        }
    }
}
