//! The flags as a snapshot keeps them: packed entries as they lie in memory, in their order, and the rest value by value.

use super::set::Author;
use super::slots::{SLOT_BYTES, Slot};
use super::{Flag, FlagSet, Link, Overridden, Pass, RaiseRef};
use crate::pack::{Pack, pack_fields};
use crate::snapshot::{Damaged, Items as _, Section, Sink};
use crate::version::Version;
use sparr_protocol::flag::Terms;
use sparr_protocol::ids::{Actor, MemberName, Pseudonym};

pack_fields!(Author { registrar, origin });

type Requests = (RaiseRef, Vec<MemberName>);
type Overrides = (Overridden, Vec<(Actor, Version)>);

impl FlagSet {
    /// Writes everything that records have brought about. Looks are not among it: they are audited elsewhere.
    pub(crate) fn write(&self, sink: &mut impl Sink) -> std::io::Result<()> {
        // Every part is named, so that a new one does not compile until it is written as well.
        let Self { filter: _, parts, authors: _, terms: _, passes, links, votes, looks: _ } = self;
        let mut whole: Vec<(Pseudonym, Flag)> = Vec::new();
        let (mut authors, mut terms) = (0, 0);
        for part in parts {
            let (slots, mut others) = self.copy_of(part);
            whole.append(&mut others);
            // The numbers that these flags hold were given out before they were copied.
            sink.items(Section::FlagAuthors, self.authors.from(&mut authors))?;
            sink.items(Section::FlagTerms, self.terms.from(&mut terms))?;
            sink.items(Section::FlagSlots, slots.into_iter())?;
        }
        sink.items(Section::Flags, whole.into_iter())?;
        sink.items(Section::Passes, passes.every().into_iter())?;
        sink.items(Section::Links, links.all().into_iter())?;
        sink.items(Section::LiftRequests, votes.all_requests().into_iter())?;
        sink.items(Section::Overrides, votes.all_votes().into_iter())
    }

    /// Takes in one block of a snapshot, in the order in which it was written; `None` where it is not one of flags.
    pub(crate) fn read(&self, section: Section, mut block: &[u8]) -> Option<Result<(), Damaged>> {
        let block = &mut block;
        Some(match section {
            Section::FlagAuthors => each(block, |author: Author| self.authors.append(author)),
            Section::FlagTerms => each(block, |terms: Terms| self.terms.append(terms)),
            Section::FlagSlots => self.read_slots(block),
            Section::Flags => each(block, |(subject, flag): (Pseudonym, Flag)| {
                let Flag { registrar, raised, lifted } = flag;
                raised.into_iter().for_each(|raise| self.raise(subject, registrar, raise));
                lifted.into_iter().for_each(|(version, from)| self.lift(subject, registrar, version, from));
                true
            }),
            Section::Passes => each(block, |(subject, pass): (Pseudonym, Pass)| {
                self.passes.grant(subject, pass);
                true
            }),
            // Each is said in both directions, and taking it in a second time changes nothing.
            Section::Links => {
                each(block, |(number, Link { other, member, version, linked }): (Pseudonym, Link)| {
                    self.links.link(number, other, member, version, linked);
                    true
                })
            }
            Section::LiftRequests => each(block, |(about, members): Requests| {
                members.into_iter().for_each(|member| self.votes.request(about, member));
                true
            }),
            // The flag itself is as the votes have left it.
            Section::Overrides => each(block, |(about, votes): Overrides| {
                for (by, version) in votes {
                    let _ = self.votes.overridden(about, &by, version);
                }
                true
            }),
            Section::Head | Section::Indicators | Section::Members | Section::Exemptions | Section::End => {
                return None;
            }
        })
    }

    fn read_slots(&self, block: &mut &[u8]) -> Result<(), Damaged> {
        let mut slots = Vec::with_capacity(block.len() / SLOT_BYTES);
        each(block, |slot: Slot| {
            slots.push(slot);
            true
        })?;
        self.load(&slots).ok_or(Damaged)
    }
}

impl Pack for Slot {
    fn pack(&self, out: &mut Vec<u8>) {
        self.to_bytes().pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        <[u8; SLOT_BYTES]>::unpack(from).map(|bytes| Self::from_bytes(&bytes))
    }
}

/// Every item of a block.
pub(crate) fn each<T: Pack>(block: &mut &[u8], mut take: impl FnMut(T) -> bool) -> Result<(), Damaged> {
    while !block.is_empty() {
        let item = T::unpack(block).ok_or(Damaged)?;
        if !take(item) {
            return Err(Damaged);
        }
    }
    Ok(())
}
