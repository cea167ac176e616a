//! What others say of a registrar's flag: requests to lift it, and the central organisation's two persons.

use super::{Flag, Version};
use dashmap::DashMap;
use sparr_protocol::ids::{Actor, MemberName, Pseudonym};
use sparr_protocol::indicator::ContentDigest;
use sparr_protocol::record::RecordDigest;

/// What the votes of others are about: one raise of one flag, or one indicator, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RaiseRef {
    /// Whose flag.
    pub subject: Pseudonym,
    /// The member that entered it.
    pub registrar: MemberName,
    /// Digest of the raise's record: what is said of one raise says nothing of the next.
    pub raise: RecordDigest,
}

impl RaiseRef {
    /// An indicator of a registrar: known by its digest, as a raise is by its record's.
    pub fn of_indicator(digest: &ContentDigest, registrar: MemberName) -> Self {
        Self { subject: Pseudonym(digest.id().0), registrar, raise: digest.0 }
    }
}

/// What was said of raises, by whom.
#[derive(Default)]
pub struct Votes {
    requests: DashMap<RaiseRef, Vec<MemberName>, foldhash::fast::RandomState>,
    overrides: DashMap<RaiseRef, Vec<(Actor, Version)>, foldhash::fast::RandomState>,
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
    pub fn overridden(&self, about: RaiseRef, by: &Actor, version: Version) -> Option<Version> {
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
        let Some(raise) = flag.raised else { return 0 };
        let about = RaiseRef { subject, registrar: flag.registrar, raise: raise.record };
        self.requests.get(&about).map_or(0, |members| members.len())
    }

    /// Whether this person has said so before.
    pub fn has_voted(&self, about: &RaiseRef, by: &Actor) -> bool {
        self.overrides.get(about).is_some_and(|votes| votes.iter().any(|(person, _)| person == by))
    }

    /// Whether two different persons have said so.
    pub fn is_decided(&self, about: &RaiseRef) -> bool {
        self.overrides.get(about).is_some_and(|votes| {
            votes.iter().any(|(person, _)| votes.first().is_some_and(|(first, _)| first != person))
        })
    }

    /// Whether anybody has said so.
    pub fn has_any(&self, about: &RaiseRef) -> bool {
        self.overrides.contains_key(about)
    }

    /// Every request to lift, in order.
    pub fn all_requests(&self) -> Vec<(RaiseRef, Vec<MemberName>)> {
        let mut all: Vec<_> = self.requests.iter().map(|one| (*one.key(), one.value().clone())).collect();
        all.sort_by_key(|(about, _)| *about);
        all
    }

    /// Every override, in order.
    pub fn all_overrides(&self) -> Vec<(RaiseRef, Vec<Version>)> {
        let versions = |votes: &[(Actor, Version)]| votes.iter().map(|(_, version)| *version).collect();
        let mut all: Vec<_> = self.overrides.iter().map(|one| (*one.key(), versions(one.value()))).collect();
        all.sort_by_key(|(about, _): &(RaiseRef, Vec<Version>)| *about);
        all
    }
}
