//! What an engine can say of the exchange: who is there, who lacks what, and where a flag is enforced.

use super::authority::{Authority, Held};
use super::chains::{Chain, Reach};
use super::compare::Missing;
use super::joining::Equals;
use super::latency::Measured;
use super::message::{EngineOf, Place};
use super::peers::{Peer, SILENT_MS};
use super::{Now, Replica};
use sparr_protocol::ids::MemberName;
use sparr_protocol::record::RecordRef;
use std::collections::{BTreeMap, BTreeSet};

/// One engine of the exchange, as another sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineStatus {
    /// Which one.
    pub of: EngineOf,
    /// Whether it is the one that says this.
    pub is_own: bool,
    /// Its last record here.
    pub last: Place,
    /// Digest of what is here of it.
    pub digest: [u8; 16],
    /// Time since it was heard, ms; none where it was not, since this engine started.
    pub heard_ms: Option<u64>,
    /// Whether it is there.
    pub is_live: bool,
    /// Since when it is known that there is more of it than is here, ms ago.
    pub behind_ms: Option<u64>,
    /// Why what it sent is not taken in.
    pub held: Option<Held>,
    /// Own records that it has not said to have.
    pub lacks: u64,
    /// Digest of its rule set.
    pub rule_set: Option<[u8; 16]>,
    /// Kinds that it screens with a subject, a bit each.
    pub screens: u16,
}

/// One member, by its engines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberStatus {
    /// Engines that have been heard, with what each has of whom: the last record of each life, as far as it is certain.
    engines: Vec<(EngineOf, BTreeMap<EngineOf, Vec<Place>>)>,
    /// Kinds that any of them screens with a subject.
    screens: u16,
}

/// Where a record is enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// Members that screen people and have it at every engine.
    pub at: usize,
    /// Members that have it and do not say that they screen anybody by a number.
    pub held: usize,
    /// Members that should have it.
    pub of: usize,
    /// From the acknowledgement to the last receipt, ms, where this engine recorded it lately.
    pub ms: Option<u64>,
    /// Whose receipt was the last.
    pub slowest: Option<MemberName>,
    /// Who does not have it yet, or has not said so.
    pub missing: Vec<MemberName>,
}

/// The exchange at one moment, for whoever asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeView {
    /// Whether the link is up.
    pub linked: bool,
    /// Whether this engine has what all others had when it came.
    pub joined: bool,
    /// Every engine of which something is known.
    pub engines: Vec<EngineStatus>,
    /// Members by name.
    pub members: BTreeMap<MemberName, MemberStatus>,
    /// Own records that the broker has not taken yet.
    pub waiting: u64,
    /// Times that records came whose predecessors had not.
    pub gaps: u64,
    /// Questions for missing records.
    pub questions: u64,
    /// Batches of records that were sent to who lacked them.
    pub repaired: u64,
    /// Messages that were none.
    pub refused: u64,
    me: Option<(EngineOf, u32)>,
    measured: Vec<Measured>,
}

impl ExchangeView {
    /// Where a record is enforced.
    pub fn enforced(&self, record: RecordRef) -> Enforced {
        let of = EngineOf::of(record.origin);
        let place = Place { epoch: record.origin.epoch, sequence: record.sequence };
        let mut enforced = Enforced { of: self.members.len(), ..Enforced::default() };
        for (name, member) in &self.members {
            let reaches = |last: &Place| last.epoch == place.epoch && last.sequence >= place.sequence;
            let has = |(_, has): &(EngineOf, BTreeMap<EngineOf, Vec<Place>>)| {
                has.get(&of).is_some_and(|lives| lives.iter().any(reaches))
            };
            match member.engines.iter().all(has) && !member.engines.is_empty() {
                true if member.screens != 0 => enforced.at += 1,
                true => enforced.held += 1,
                false => enforced.missing.push(*name),
            }
        }
        if self.me == Some((of, place.epoch)) {
            let at = self.measured.partition_point(|measured| measured.sequence < place.sequence);
            if let Some(measured) = self.measured.get(at) {
                (enforced.ms, enforced.slowest) = (Some(measured.ms), Some(measured.slowest.member));
            }
        }
        enforced
    }

    /// From the acknowledgement to the last receipt, ms, of every commit that is remembered.
    pub fn latencies(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.measured.iter().map(|measured| (measured.sequence, measured.ms))
    }
}

impl<A: Authority> Replica<A> {
    /// The exchange as it is now. `expected` names members that should have an engine, heard or not.
    pub fn view(&self, expected: &BTreeSet<MemberName>, now: Now) -> ExchangeView {
        let me = EngineOf::of(self.me);
        let own = Place { epoch: self.me.epoch, sequence: self.outbox.head() };
        let known: BTreeSet<EngineOf> =
            self.chains.keys().copied().chain(self.peers.all().map(|(of, _)| of)).chain([me]).collect();
        let mut engines = Vec::new();
        let mut members: BTreeMap<MemberName, MemberStatus> =
            expected.iter().map(|name| (*name, MemberStatus::default())).collect();
        for of in known {
            let (chain, peer) = (self.chains.get(&of), self.peers.get(of));
            let is_own = of == me;
            let enforces = peer.and_then(|peer| peer.enforces);
            let (rule_set, screens) = match is_own {
                true => (Some(self.enforces.rule_set), self.enforces.screens),
                false => (enforces.map(|(rule_set, _)| rule_set), enforces.map_or(0, |(_, screens)| screens)),
            };
            let confirmed =
                peer.and_then(|peer| peer.has(me)).map_or_else(Place::default, |summary| summary.last);
            let confirmed = if confirmed.epoch == own.epoch { confirmed.sequence } else { 0 };
            engines.push(EngineStatus {
                of,
                is_own,
                last: chain.map(Chain::last).unwrap_or_default(),
                digest: chain.map(|chain| chain.summary(of).digest).unwrap_or_default(),
                heard_ms: peer.map(|peer| now.steady_ms.saturating_sub(peer.heard)),
                is_live: is_own || peer.is_some_and(|peer| peer.is_live(now.steady_ms)),
                behind_ms: chain
                    .and_then(|chain| chain.behind_since)
                    .map(|since| now.steady_ms.saturating_sub(since)),
                held: chain.and_then(|chain| chain.held),
                lacks: if is_own { 0 } else { own.sequence.saturating_sub(confirmed) },
                rule_set,
                screens,
            });
            if !self.authority.takes_part(of.member) {
                continue;
            }
            let member = members.entry(of.member).or_default();
            if is_own || peer.is_some() {
                let lives = |chain: &Chain| -> Vec<Place> {
                    let places = chain.heads(Reach::Stored);
                    places.map(|head| Place { epoch: head.epoch, sequence: head.sequence }).collect()
                };
                let held = |peer: &Peer, of: EngineOf| match self.chains.get(&of) {
                    Some(chain) => chain.held_by(of, peer),
                    None => Vec::new(),
                };
                let has: BTreeMap<EngineOf, Vec<Place>> = match peer {
                    Some(peer) => peer.summaries().map(|theirs| (theirs.of, held(peer, theirs.of))).collect(),
                    None => self.chains.iter().map(|(of, chain)| (*of, lives(chain))).collect(),
                };
                member.engines.push((of, has));
                member.screens |= screens;
            }
        }
        ExchangeView {
            linked: self.linked,
            joined: self.joining.is_over(),
            engines,
            members,
            waiting: self.outbox.waiting(),
            gaps: self.repairs.gaps,
            questions: self.repairs.questions,
            repaired: self.repairs.sent,
            refused: self.refused,
            me: Some((me, self.me.epoch)),
            measured: self.latencies.all(),
        }
    }

    /// What this engine has on its disk, beside what the others who are there have said to have since the broker had
    /// nothing more. Records that are not taken in here do not count.
    pub(super) fn equals_the_network(&self, since: u64, now: Now) -> Equals {
        let proven = |(_, peer): &(EngineOf, &Peer)| !peer.is_unproven(now.steady_ms);
        let mut live = self.peers.live(now.steady_ms).filter(proven).peekable();
        if live.peek().is_none() {
            let is_quiet = self.returned.storing() == 0
                && self.stranger_at.is_none_or(|at| now.steady_ms >= at + SILENT_MS);
            return if is_quiet { Equals::Alone } else { Equals::NotYet };
        }
        let none = Chain::default();
        let equals = live.all(|(of, peer)| {
            let engines = peer.summaries().map(|theirs| theirs.of).chain([of]);
            peer.is_known_since(since)
                && engines.map(|of| (of, self.chains.get(&of).unwrap_or(&none))).all(|(theirs, chain)| {
                    chain.held.is_some() || chain.lacks(theirs, of, peer, Reach::Stored) == Missing::Nothing
                })
        });
        if equals { Equals::All } else { Equals::NotYet }
    }
}
