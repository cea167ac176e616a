//! Numbers that are one person: a samordningsnummer and the personnummer after it, or a number that was changed.

use super::Version;
use crate::pack::pack_fields;
use dashmap::DashMap;
use sparr_protocol::ids::{MemberName, Pseudonym};
use std::sync::atomic::{AtomicBool, Ordering};

/// Numbers of one person that are followed at most.
pub const NUMBERS_MAX: usize = 8;

/// What one member last said about two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The other number.
    pub other: Pseudonym,
    /// Who said so.
    pub member: MemberName,
    /// Its place in the merged history.
    pub version: Version,
    /// Whether they are one person.
    pub linked: bool,
}

pack_fields!(Link { other, member, version, linked });

/// Links by number, in both directions.
#[derive(Default)]
pub struct Links {
    /// Whether there are any: asked for each flagged or unflagged payer, and a map that is asked for its length looks
    /// at all of its shards.
    any: AtomicBool,
    of: DashMap<Pseudonym, Vec<Link>, foldhash::fast::RandomState>,
}

/// A person's numbers: the one that was asked for first.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    numbers: [Pseudonym; NUMBERS_MAX],
    len: usize,
}

impl Numbers {
    /// The numbers, the one that was asked for first.
    pub fn as_slice(&self) -> &[Pseudonym] {
        &self.numbers[..self.len]
    }

    fn push(&mut self, number: Pseudonym) {
        if self.len < NUMBERS_MAX && !self.numbers[..self.len].contains(&number) {
            self.numbers[self.len] = number;
            self.len += 1;
        }
    }
}

impl Links {
    /// Takes in what a member says of two numbers. Idempotent, and independent of the order of arrival.
    pub fn link(&self, one: Pseudonym, other: Pseudonym, member: MemberName, version: Version, linked: bool) {
        self.any.store(true, Ordering::Release);
        for (from, to) in [(one, other), (other, one)] {
            let mut links = self.of.entry(from).or_default();
            let said = Link { other: to, member, version, linked };
            match links.binary_search_by_key(&(to, member), |link| (link.other, link.member)) {
                Ok(at) if links[at].version < version => links[at] = said,
                Ok(_) => {}
                Err(at) => links.insert(at, said),
            }
        }
    }

    /// Every number of the person with this one. Any member's word links; each takes back its own alone.
    pub fn numbers(&self, number: Pseudonym) -> Numbers {
        let mut numbers = Numbers { numbers: [number; NUMBERS_MAX], len: 1 };
        if !self.any.load(Ordering::Acquire) {
            return numbers;
        }
        let mut at = 0;
        while at < numbers.len {
            if let Some(links) = self.of.get(&numbers.numbers[at]) {
                links.iter().filter(|link| link.linked).for_each(|link| numbers.push(link.other));
            }
            at += 1;
        }
        numbers
    }

    /// Everything that was said, in order.
    pub fn all(&self) -> Vec<(Pseudonym, Link)> {
        let mut all: Vec<_> = self
            .of
            .iter()
            .flat_map(|entry| entry.value().iter().map(|link| (*entry.key(), *link)).collect::<Vec<_>>())
            .collect();
        all.sort_by_key(|(number, link)| (*number, link.other, link.member));
        all
    }
}
