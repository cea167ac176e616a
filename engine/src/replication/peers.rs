//! The other engines: when each was heard, what each has, and what each enforces.

use super::chains::{Chain, Reach};
use super::message::{EngineOf, EpochHead, Place, Position, Summary};
use sparr_protocol::record::Origin;
use std::collections::BTreeMap;

/// An engine that was silent for so long is not there: what it has cannot be had, and what it has not is its own affair.
pub(super) const SILENT_MS: u64 = 5_000;

/// Nobody waits longer than this for an engine that speaks and proves nothing.
const UNPROVEN_MS: u64 = 30_000;

/// One other engine.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its life.
    pub(super) epoch: u32,
    /// Whether it was heard before it was known to take part: nobody knew its signature then.
    is_stranger: bool,
    /// When it was heard last.
    pub(super) heard: u64,
    /// When this life was heard first.
    since: u64,
    /// The last record of its life, by its heartbeats.
    beat: u64,
    /// Digest of its rule set, and the kinds that it screens with a subject; none before its first position.
    pub(super) enforces: Option<([u8; 16], u16)>,
    /// What it has, each with the number of the position that said so: they come by two ways, so not in order.
    has: BTreeMap<EngineOf, (u64, Summary)>,
    /// Which lives of an engine it knows, where that was not clear and it was asked.
    told: BTreeMap<EngineOf, Vec<EpochHead>>,
    /// Up to where it sent records that could not be taken in yet, by their life.
    shown: BTreeMap<(EngineOf, u32), u64>,
    /// Number of its newest position that named everybody, and when that came; none in this life.
    whole: Option<(u64, u64)>,
    /// Number of its newest position.
    number: u64,
}

/// The other engines of the exchange.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(BTreeMap<EngineOf, Peer>);

impl Peers {
    /// A message came. What an earlier life said is late, and says nothing: then there is no peer.
    pub(super) fn heard(&mut self, from: Origin, takes_part: bool, now: u64) -> Option<&mut Peer> {
        let new = || Peer {
            epoch: from.epoch,
            is_stranger: !takes_part,
            heard: now,
            since: now,
            beat: 0,
            enforces: None,
            has: BTreeMap::new(),
            told: BTreeMap::new(),
            shown: BTreeMap::new(),
            whole: None,
            number: 0,
        };
        let peer = self.0.entry(EngineOf::of(from)).or_insert_with(new);
        if peer.is_stranger && takes_part {
            // What was said in its name may have been anybody's.
            *peer = new();
        }
        if peer.epoch > from.epoch {
            return None;
        }
        if peer.epoch < from.epoch {
            // Another life: what it had before may be gone. It enforces what it did until it says something else.
            *peer = Peer { enforces: peer.enforces, ..new() };
        }
        peer.heard = now;
        peer.is_stranger = !takes_part;
        Some(peer)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (EngineOf, &Peer)> {
        self.0.iter().map(|(of, peer)| (*of, peer))
    }

    pub(super) fn get(&self, of: EngineOf) -> Option<&Peer> {
        self.0.get(&of)
    }

    /// An engine in a life.
    pub(super) fn get_mut(&mut self, of: Origin) -> Option<&mut Peer> {
        self.0.get_mut(&EngineOf::of(of)).filter(|peer| peer.epoch == of.epoch)
    }

    /// Those that are there.
    pub(super) fn live(&self, now: u64) -> impl Iterator<Item = (EngineOf, &Peer)> {
        self.all().filter(move |(_, peer)| peer.is_live(now))
    }

    /// Forgets what engines told and showed of one of which it has come here meanwhile.
    pub(super) fn forget_what_is_here(&mut self, of: EngineOf, chain: &Chain) {
        for peer in self.0.values_mut() {
            peer.shown.retain(|(known, epoch), sequence| {
                *known != of || !chain.covers(Place { epoch: *epoch, sequence: *sequence }, Reach::Stored)
            });
            let is_clear = peer.has.get(&of).is_some_and(|(_, theirs)| {
                chain.digest_before(theirs.last.epoch, Reach::Stored) == theirs.earlier
            });
            if is_clear {
                peer.told.remove(&of);
            }
        }
    }

    /// Forgets engines.
    pub(super) fn retain(&mut self, keep: impl Fn(EngineOf) -> bool) {
        self.0.retain(|of, _| keep(*of));
    }
}

impl Peer {
    pub(super) fn is_live(&self, now: u64) -> bool {
        now < self.heard + SILENT_MS
    }

    /// Whether it has come lately and not said yet what it has.
    pub(super) fn is_pending(&self, now: u64) -> bool {
        self.whole.is_none() && now < self.since + SILENT_MS
    }

    /// Whether it has been there for long and never proved what it has: its signature is not the one that is known.
    pub(super) fn is_unproven(&self, now: u64) -> bool {
        self.whole.is_none() && now >= self.since + UNPROVEN_MS
    }

    /// Whether it has said after a time what it has of everybody.
    pub(super) fn is_known_since(&self, time: u64) -> bool {
        self.whole.is_some_and(|(_, at)| at > time)
    }

    /// A heartbeat. They may come in another order.
    pub(super) fn beat(&mut self, sequence: u64) {
        self.beat = self.beat.max(sequence);
    }

    /// Takes in what it says that it has. Messages come by two ways, so an older one may come later.
    pub(super) fn position(&mut self, position: &Position, now: u64) {
        let number = position.number;
        if number > self.number {
            self.number = number;
            self.enforces = Some((position.rule_set, position.screens));
        }
        if position.is_whole {
            if self.whole.is_some_and(|(known, _)| known >= number) {
                return;
            }
            self.whole = Some((number, now));
            self.has.retain(|_, (of, _)| *of > number);
        }
        let named = self.whole.map_or(0, |(whole, _)| if position.is_whole { 0 } else { whole });
        for summary in &position.has {
            let known = self.has.get(&summary.of).map_or(0, |(known, _)| *known).max(named);
            if known < number {
                self.has.insert(summary.of, (number, *summary));
            }
        }
    }

    /// It has said which lives of an engine it knows.
    pub(super) fn tells(&mut self, of: EngineOf, heads: Vec<EpochHead>) {
        self.told.insert(of, heads);
    }

    /// What it said of an engine's lives.
    pub(super) fn told(&self, of: EngineOf) -> Option<&[EpochHead]> {
        self.told.get(&of).map(Vec::as_slice)
    }

    /// It has sent records up to here.
    pub(super) fn shows(&mut self, of: EngineOf, place: Place) {
        let shown = self.shown.entry((of, place.epoch)).or_default();
        *shown = (*shown).max(place.sequence);
    }

    /// Up to where it has sent records of an engine that could not be taken in, by life.
    pub(super) fn shown(&self, of: EngineOf) -> impl Iterator<Item = Place> + '_ {
        let range = self.shown.range((of, 0)..=(of, u32::MAX));
        range.map(|((_, epoch), sequence)| Place { epoch: *epoch, sequence: *sequence })
    }

    /// What it has of an engine, as it said.
    pub(super) fn has(&self, of: EngineOf) -> Option<&Summary> {
        self.has.get(&of).map(|(_, summary)| summary)
    }

    /// Every engine of which it has something.
    pub(super) fn summaries(&self) -> impl Iterator<Item = &Summary> {
        self.has.values().map(|(_, summary)| summary)
    }

    /// The last record of its own life, by its heartbeats.
    pub(super) fn own(&self) -> Place {
        Place { epoch: self.epoch, sequence: self.beat }
    }
}
