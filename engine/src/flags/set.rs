//! All flags in memory: a fold of the journal, merged in any order to the same state.
//!
//! Nearly every look-up is about somebody who is not flagged, and ends in the [`Filter`]. Behind it, flags lie packed in
//! parts by the first bits of their subjects, each under a lock of its own that a look-up takes only when the filter says
//! "perhaps". A flag that is being lifted, or does not fit into its 34 bytes, lies whole beside the packed ones of its
//! part, so that no look-up finds neither form.

use super::interned::Interned;
use super::slots::{PART_BITS, Part, Slot};
use super::{Flag, Links, Looks, Passes, Raise, Version, Votes};
use crate::filter::Filter;
use sparr_protocol::flag::Terms;
use sparr_protocol::ids::{MemberName, Pseudonym};
use sparr_protocol::record::Origin;
use sparr_protocol::time::Timestamp;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Packed times count milliseconds from 2020-01-01T00:00:00Z on, for 34 years.
const PACKED_TIMES_FROM_MS: i64 = 1_577_836_800_000;
const PACKED_TIME_BITS: u32 = 40;

/// Flags by subject.
pub struct FlagSet {
    pub(super) filter: Filter,
    pub(super) parts: Box<[RwLock<Part>]>,
    pub(super) authors: Interned<Author>,
    pub(super) terms: Interned<Terms>,
    /// Openings in flags.
    pub passes: Passes,
    /// Numbers that are one person.
    pub links: Links,
    /// What others say of a registrar's flag.
    pub votes: Votes,
    /// Who looked at whom.
    pub looks: Looks,
}

/// Who entered a flag, and where its record lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Author {
    pub(super) registrar: MemberName,
    pub(super) origin: Origin,
}

/// How many flags there are, by standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlagSize {
    /// Subjects with any record.
    pub subjects: usize,
    /// Subjects with a flag that acts.
    pub active: usize,
}

impl Default for FlagSet {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            parts: (0..1usize << PART_BITS).map(|_| RwLock::default()).collect(),
            authors: Interned::default(),
            terms: Interned::default(),
            passes: Passes::default(),
            links: Links::default(),
            votes: Votes::default(),
            looks: Looks::default(),
        }
    }
}

/// What one change does to one registrar's flag on a subject.
struct Before {
    /// The flag as it was; its place, if it was packed.
    known: Option<(Flag, Option<usize>)>,
    /// Whether the subject has any flag at all.
    is_known_subject: bool,
}

impl FlagSet {
    /// Takes in a raise. Idempotent, and independent of the order of arrival.
    pub fn raise(&self, subject: Pseudonym, registrar: MemberName, raise: Raise) {
        self.change(subject, registrar, |flag| {
            if flag.raised.is_none_or(|known| known.version < raise.version) {
                flag.raised = Some(raise);
            }
        });
    }

    /// Takes in a lift. Idempotent, and independent of the order of arrival.
    pub fn lift(
        &self,
        subject: Pseudonym,
        registrar: MemberName,
        version: Version,
        effective_from: Timestamp,
    ) {
        self.change(subject, registrar, |flag| {
            if flag.lifted.is_none_or(|(known, _)| known < version) {
                flag.lifted = Some((version, effective_from));
            }
        });
    }

    fn change(&self, subject: Pseudonym, registrar: MemberName, change: impl FnOnce(&mut Flag)) {
        let is_new = {
            let mut part = self.part_mut(subject);
            let Before { known, is_known_subject } = self.before(&part, subject, registrar);
            let at = known.and_then(|(_, at)| at);
            let mut flag = known.map_or(Flag { registrar, raised: None, lifted: None }, |(flag, _)| flag);
            change(&mut flag);
            // A lift below the raise says nothing any more: the flag packs again.
            flag.lifted =
                flag.lifted.filter(|(lift, _)| flag.raised.is_none_or(|raise| *lift > raise.version));
            match (self.pack(subject, &flag), at) {
                (Some(slot), Some(at)) => part.replace(at, slot),
                (Some(slot), None) => {
                    part.insert(slot);
                    forget_whole(&mut part, subject, registrar);
                }
                (None, at) => {
                    if let Some(at) = at {
                        part.remove(at);
                    }
                    let whole = part.whole.entry(subject).or_default();
                    match whole.binary_search_by_key(&registrar, |flag| flag.registrar) {
                        Ok(at) => whole[at] = flag,
                        Err(at) => whole.insert(at, flag),
                    }
                }
            }
            !is_known_subject
        };
        // Only now, and without the part's lock: a filter that is made anew reads all parts.
        if is_new {
            self.filter.insert(subject, |insert| self.for_each_subject(insert));
        }
    }

    fn before(&self, part: &Part, subject: Pseudonym, registrar: MemberName) -> Before {
        let mut before = Before { known: None, is_known_subject: false };
        for (at, slot) in part.of(subject) {
            before.is_known_subject = true;
            if let Some(flag) = self.unpack(slot).filter(|flag| flag.registrar == registrar) {
                before.known = Some((flag, Some(at)));
            }
        }
        for flag in part.whole.get(&subject).into_iter().flatten() {
            before.is_known_subject = true;
            if flag.registrar == registrar {
                before.known = Some((*flag, None));
            }
        }
        before
    }

    fn index(subject: Pseudonym) -> usize {
        let [first, second, ..] = subject.0;
        usize::from(u16::from_be_bytes([first, second]) >> (16 - PART_BITS))
    }

    fn part(&self, subject: Pseudonym) -> RwLockReadGuard<'_, Part> {
        self.parts[Self::index(subject)].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn part_mut(&self, subject: Pseudonym) -> RwLockWriteGuard<'_, Part> {
        self.parts[Self::index(subject)].write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A flag in 34 bytes, if it fits: it is raised, not being lifted, and its numbers are as usual.
    fn pack(&self, subject: Pseudonym, flag: &Flag) -> Option<Slot> {
        let Flag { registrar, raised: Some(Raise { version, terms }), lifted: None } = *flag else {
            return None;
        };
        let Version { stamp, member, engine, epoch, sequence } = version;
        let author = Author { registrar, origin: Origin { member, engine, epoch } };
        Some(Slot {
            subject: subject.0,
            until: packed_time(terms.valid_until.ms())?,
            stamp: packed_time(i64::try_from(stamp).ok()?)?,
            sequence: u32::try_from(sequence).ok()?.to_le_bytes(),
            // The end is in the slot; everything else that a flag says, many say.
            terms: self.terms.number(Terms { valid_until: Timestamp::from_ms(0), ..terms })?.to_le_bytes(),
            author: self.authors.number(author)?.to_le_bytes(),
        })
    }

    /// The flag of a slot that this set has packed.
    fn unpack(&self, slot: &Slot) -> Option<Flag> {
        let Author { registrar, origin } = self.authors.value(u16::from_le_bytes(slot.author))?;
        let terms = self.terms.value(u16::from_le_bytes(slot.terms))?;
        let version = Version {
            stamp: u64::try_from(unpacked_time(slot.stamp)).ok()?,
            member: origin.member,
            engine: origin.engine,
            epoch: origin.epoch,
            sequence: u32::from_le_bytes(slot.sequence).into(),
        };
        let valid_until = Timestamp::from_ms(unpacked_time(slot.until));
        let raise = Raise { version, terms: Terms { valid_until, ..terms } };
        Some(Flag { registrar, raised: Some(raise), lifted: None })
    }

    /// Calls `visit` with each flag of a subject, in a part that must not be changed meanwhile.
    fn visit_in(&self, part: &Part, subject: Pseudonym, mut visit: impl FnMut(&Flag)) {
        for (_, slot) in part.of(subject) {
            let flag = self.unpack(slot);
            debug_assert!(flag.is_some(), "numbers are never taken back");
            flag.iter().for_each(&mut visit);
        }
        part.whole.get(&subject).into_iter().flatten().for_each(visit);
    }

    /// Calls `visit` with each flag of a subject.
    #[inline]
    pub fn visit(&self, subject: Pseudonym, visit: impl FnMut(&Flag)) {
        if self.filter.may_know(subject) {
            self.visit_in(&self.part(subject), subject, visit);
        }
    }

    /// Which of several subjects may have a flag, one bit each; 0 is certain. See [`Filter::may_know_which`].
    #[inline]
    pub fn may_know_which(&self, subjects: &[Pseudonym]) -> u64 {
        self.filter.may_know_which(subjects)
    }

    /// Calls `visit` with each flag of a person, under whichever of their numbers it was raised: all of them are asked about
    /// at once.
    pub fn visit_person(&self, number: Pseudonym, mut visit: impl FnMut(Pseudonym, &Flag)) {
        let numbers = self.links.numbers(number);
        let known = self.filter.may_know_which(numbers.as_slice());
        for (at, number) in numbers.as_slice().iter().enumerate() {
            if known >> at & 1 == 1 {
                self.visit_in(&self.part(*number), *number, |flag| visit(*number, flag));
            }
        }
    }

    /// The flag of one registrar on a subject.
    pub fn of(&self, subject: Pseudonym, registrar: MemberName) -> Option<Flag> {
        let mut found = None;
        self.visit(subject, |flag| {
            if flag.registrar == registrar {
                found = Some(*flag);
            }
        });
        found
    }

    fn for_each_subject(&self, each: &mut dyn FnMut(Pseudonym)) {
        for part in &self.parts {
            let part = part.read().unwrap_or_else(PoisonError::into_inner);
            part.packed().for_each(|slot| each(Pseudonym(slot.subject)));
            part.whole.keys().for_each(|subject| each(*subject));
        }
    }

    /// Calls `each` with every flag, by subject and registrar: for lists and digests, not for screening. A part at a
    /// time, so that nobody waits for all of it and no copy of all of it is made.
    pub fn for_each(&self, mut each: impl FnMut(Pseudonym, &Flag)) {
        for part in &self.parts {
            let mut flags: Vec<(Pseudonym, Flag)> = {
                let part = part.read().unwrap_or_else(PoisonError::into_inner);
                let packed =
                    part.packed().filter_map(|slot| Some((Pseudonym(slot.subject), self.unpack(slot)?)));
                let whole =
                    part.whole.iter().flat_map(|(subject, flags)| flags.iter().map(|flag| (*subject, *flag)));
                packed.chain(whole).collect()
            };
            flags.sort_by_key(|(subject, flag)| (*subject, flag.registrar));
            flags.iter().for_each(|(subject, flag)| each(*subject, flag));
        }
    }

    /// A copy of one part: its packed flags, and the others.
    pub(super) fn copy_of(&self, part: &RwLock<Part>) -> (Vec<Slot>, Vec<(Pseudonym, Flag)>) {
        let part = part.read().unwrap_or_else(PoisonError::into_inner);
        let whole = part.whole.iter().flat_map(|(subject, flags)| flags.iter().map(|flag| (*subject, *flag)));
        (part.packed().copied().collect(), whole.collect())
    }

    /// Takes in packed flags that come in the order of their subjects, past the filter. `None` where one of them holds a
    /// number that was not given out.
    pub(super) fn load(&self, slots: &[Slot]) -> Option<()> {
        let (authors, terms) = (self.authors.len(), self.terms.len());
        let is_legal = |slot: &Slot| {
            usize::from(u16::from_le_bytes(slot.author)) < authors
                && usize::from(u16::from_le_bytes(slot.terms)) < terms
        };
        for slots in slots.chunk_by(|one, next| Self::index(one.subject()) == Self::index(next.subject())) {
            if !slots.iter().all(is_legal) {
                return None;
            }
            let Some(first) = slots.first() else { continue };
            let mut part = self.part_mut(first.subject());
            if part.is_empty() && slots.is_sorted_by_key(Slot::subject) {
                part.load(slots);
            } else {
                slots.iter().for_each(|slot| part.insert(*slot));
            }
        }
        Some(())
    }

    /// Makes the filter for what was loaded past it.
    pub(crate) fn loaded(&self) {
        let mut subjects = 0;
        self.for_each_subject(&mut |_| subjects += 1);
        self.filter.make(subjects, |insert| self.for_each_subject(insert));
    }

    /// How many there are at `now`.
    pub fn size(&self, now: Timestamp) -> FlagSize {
        let (mut size, mut last) = (FlagSize::default(), None);
        self.for_each(|subject, flag| {
            let active = flag.active(now).is_some();
            let (known, was_active) = last.filter(|(known, _)| *known == subject).unwrap_or((subject, false));
            size.subjects += usize::from(last.is_none_or(|(last, _)| last != known));
            size.active += usize::from(active && !was_active);
            last = Some((subject, active || was_active));
        });
        size
    }

    /// Bytes of the filter, which is in front of the flags.
    pub fn filter_bytes(&self) -> usize {
        self.filter.bytes()
    }
}

fn forget_whole(part: &mut Part, subject: Pseudonym, registrar: MemberName) {
    if let Some(whole) = part.whole.get_mut(&subject) {
        whole.retain(|flag| flag.registrar != registrar);
        if whole.is_empty() {
            part.whole.remove(&subject);
        }
    }
}

fn packed_time(ms: i64) -> Option<[u8; 5]> {
    let since =
        u64::try_from(ms.checked_sub(PACKED_TIMES_FROM_MS)?).ok().filter(|ms| ms >> PACKED_TIME_BITS == 0)?;
    let [a, b, c, d, e, ..] = since.to_le_bytes();
    Some([a, b, c, d, e])
}

fn unpacked_time([a, b, c, d, e]: [u8; 5]) -> i64 {
    i64::from_le_bytes([a, b, c, d, e, 0, 0, 0]) + PACKED_TIMES_FROM_MS
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
