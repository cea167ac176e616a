//! What others say of a registrar's flag: requests to lift it, and the central organisation's two persons.

use super::{Flag, Version};
use crate::pack::{Pack, pack_fields};
use dashmap::DashMap;
use sparr_protocol::ids::{Actor, MemberName, Pseudonym};
use sparr_protocol::indicator::ContentDigest;
use sparr_protocol::record::RecordRef;

/// One raise of one flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RaiseRef {
    /// Whose flag.
    pub subject: Pseudonym,
    /// The member that entered it.
    pub registrar: MemberName,
    /// Which raise: what is said of one says nothing of the next.
    pub raise: RecordRef,
}

pack_fields!(RaiseRef { subject, registrar, raise });

/// The raise that a flag stands by.
fn raise_of(subject: Pseudonym, flag: &Flag) -> Option<RaiseRef> {
    let raise = flag.raised?.version.place();
    Some(RaiseRef { subject, registrar: flag.registrar, raise })
}

/// What the central organisation's two persons override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Overridden {
    /// One raise of a flag: it is lifted.
    Raise(RaiseRef),
    /// An indicator of this registrar: it is withdrawn.
    Indicator(ContentDigest, MemberName),
}

impl Pack for Overridden {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raise(raise) => (false, *raise).pack(out),
            Self::Indicator(digest, registrar) => (true, (*digest, *registrar)).pack(out),
        }
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        if bool::unpack(from)? {
            let (digest, registrar) = Pack::unpack(from)?;
            Some(Self::Indicator(digest, registrar))
        } else {
            Pack::unpack(from).map(Self::Raise)
        }
    }
}

/// What was said of raises, by whom.
#[derive(Default)]
pub struct Votes {
    requests: DashMap<RaiseRef, Vec<MemberName>, foldhash::fast::RandomState>,
    overrides: DashMap<Overridden, Vec<(Actor, Version)>, foldhash::fast::RandomState>,
}

impl Votes {
    /// Takes in a member's request to lift. Idempotent, and independent of the order of arrival.
    pub fn request(&self, about: RaiseRef, by: MemberName) {
        let mut members = self.requests.entry(about).or_default();
        if let Err(at) = members.binary_search(&by) {
            members.insert(at, by);
        }
    }

    /// Takes in one person's override. Gives back the place in history from which on the flag is lifted, once two
    /// different persons have said so. Idempotent, and independent of the order of arrival.
    pub fn overridden(&self, about: Overridden, by: &Actor, version: Version) -> Option<Version> {
        let mut votes = self.overrides.entry(about).or_default();
        if let Err(at) = votes.binary_search_by_key(&version, |(_, known)| *known) {
            votes.insert(at, (by.clone(), version));
        }
        let (first, _) = votes.first()?;
        let two = votes.iter().any(|(person, _)| person != first);
        // The last vote's place, so that the result is the same in whatever order they came in.
        votes.last().filter(|_| two).map(|(_, version)| *version)
    }

    /// Members that have asked for this flag, as it stands, to be lifted.
    pub fn requests(&self, subject: Pseudonym, flag: &Flag) -> usize {
        let members = raise_of(subject, flag).and_then(|about| self.requests.get(&about));
        members.map_or(0, |members| members.len())
    }

    /// Whether one person has overridden this flag, as it stands, and a second one has to.
    pub fn waits(&self, subject: Pseudonym, flag: &Flag) -> bool {
        let about = raise_of(subject, flag).map(Overridden::Raise);
        about.is_some_and(|about| self.has_any(&about) && !self.is_decided(&about))
    }

    /// Whether this person has said so before.
    pub fn has_voted(&self, about: &Overridden, by: &Actor) -> bool {
        self.overrides.get(about).is_some_and(|votes| votes.iter().any(|(person, _)| person == by))
    }

    /// Whether two different persons have said so.
    pub fn is_decided(&self, about: &Overridden) -> bool {
        self.overrides.get(about).is_some_and(|votes| {
            votes.iter().any(|(person, _)| votes.first().is_some_and(|(first, _)| first != person))
        })
    }

    /// Whether anybody has said so.
    pub fn has_any(&self, about: &Overridden) -> bool {
        self.overrides.contains_key(about)
    }

    /// Every request to lift, in order.
    pub fn all_requests(&self) -> Vec<(RaiseRef, Vec<MemberName>)> {
        let mut all: Vec<_> = self.requests.iter().map(|one| (*one.key(), one.value().clone())).collect();
        all.sort_by_key(|(about, _)| *about);
        all
    }

    /// Every word of the central organisation's persons.
    pub(crate) fn all_votes(&self) -> Vec<(Overridden, Vec<(Actor, Version)>)> {
        self.overrides.iter().map(|one| (*one.key(), one.value().clone())).collect()
    }

    /// Every override, in order.
    pub fn all_overrides(&self) -> Vec<(Overridden, Vec<Version>)> {
        let versions = |votes: &[(Actor, Version)]| votes.iter().map(|(_, version)| *version).collect();
        let mut all: Vec<_> = self.overrides.iter().map(|one| (*one.key(), versions(one.value()))).collect();
        all.sort_by_key(|(about, _): &(Overridden, Vec<Version>)| *about);
        all
    }
}
