//! The other engines: when each was heard, what each has, and what each enforces.

use super::message::{EngineOf, Place, Position, Summary};
use sparr_protocol::record::Origin;
use std::collections::BTreeMap;

/// An engine that was silent for so long is not there: what it has cannot be had, and what it has not is its own affair.
pub(super) const SILENT_MS: u64 = 5_000;

/// One other engine.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its life.
    pub(super) epoch: u32,
    /// When it was heard last.
    pub(super) heard: u64,
    /// The last record of its life, by its heartbeats.
    beat: u64,
    /// Digest of its rule set, and the kinds that it screens with a subject; none before its first position.
    pub(super) enforces: Option<([u8; 16], u16)>,
    has: BTreeMap<EngineOf, Summary>,
    /// Whether it has said what it has of everybody, in this life.
    pub(super) is_known: bool,
    number: u64,
}

/// The other engines of the exchange.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(BTreeMap<EngineOf, Peer>);

impl Peers {
    /// A message came.
    pub(super) fn heard(&mut self, from: Origin, now: u64) -> &mut Peer {
        let peer = self.0.entry(EngineOf::of(from)).or_insert_with(|| Peer {
            epoch: from.epoch,
            heard: now,
            beat: 0,
            enforces: None,
            has: BTreeMap::new(),
            is_known: false,
            number: 0,
        });
        peer.heard = now;
        if peer.epoch < from.epoch {
            // Another life: what it had before may be gone.
            (peer.epoch, peer.beat, peer.number, peer.is_known) = (from.epoch, 0, 0, false);
            peer.has.clear();
        }
        peer
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (EngineOf, &Peer)> {
        self.0.iter().map(|(of, peer)| (*of, peer))
    }

    pub(super) fn get(&self, of: EngineOf) -> Option<&Peer> {
        self.0.get(&of)
    }

    /// Those that are there.
    pub(super) fn live(&self, now: u64) -> impl Iterator<Item = (EngineOf, &Peer)> {
        self.all().filter(move |(_, peer)| peer.is_live(now))
    }
}

impl Peer {
    pub(super) fn is_live(&self, now: u64) -> bool {
        now < self.heard + SILENT_MS
    }

    pub(super) fn beat(&mut self, sequence: u64) {
        self.beat = sequence;
    }

    /// Takes in what it says that it has. Messages come by two ways, so an older one may come later.
    pub(super) fn position(&mut self, position: &Position) {
        if position.number <= self.number {
            return;
        }
        self.number = position.number;
        self.enforces = Some((position.rule_set, position.screens));
        if position.is_whole {
            self.has.clear();
            self.is_known = true;
        }
        self.has.extend(position.has.iter().map(|summary| (summary.of, *summary)));
    }

    /// What it has of an engine, as it said.
    pub(super) fn has(&self, of: EngineOf) -> Option<&Summary> {
        self.has.get(&of)
    }

    /// Every engine of which it has something.
    pub(super) fn summaries(&self) -> impl Iterator<Item = &Summary> {
        self.has.values()
    }

    /// The last record of an engine that it has, as far as it has said in any way.
    pub(super) fn claims(&self, me: EngineOf, of: EngineOf) -> Place {
        let said = self.has.get(&of).map_or(Place::default(), |summary| summary.last);
        if me == of && self.beat > 0 {
            said.max(Place { epoch: self.epoch, sequence: self.beat })
        } else {
            said
        }
    }
}
