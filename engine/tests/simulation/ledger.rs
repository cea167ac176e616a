//! What the simulation knows of every record: who made it, whether it was acknowledged, and whether it may be gone.

use crate::node::{Heads, Node};
use sparr_engine::journal::Sealed;
use sparr_engine::replication::{EngineOf, Place};
use sparr_protocol::ids::MemberName;
use sparr_protocol::indicator::{Content, ContentDigest, IndicatorId};
use sparr_protocol::record::{Origin, RecordDigest};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// A record that somebody made.
pub(crate) struct Made {
    pub(crate) sealed: Sealed,
    /// The time at which its engine said that it is durable.
    pub(crate) acknowledged: Option<u64>,
}

/// An indicator on its way.
pub(crate) struct Traced {
    pub(crate) digest: ContentDigest,
    pub(crate) id: IndicatorId,
    pub(crate) registrar: MemberName,
    pub(crate) content: Content,
    /// Records that say that the police have it.
    pub(crate) receipts: Vec<RecordDigest>,
}

/// Everything that ever was.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) made: HashMap<RecordDigest, Made>,
    /// In order of making.
    pub(crate) order: Vec<RecordDigest>,
    /// Of these the last copy on a disk was destroyed: they may be missing.
    pub(crate) lost: HashSet<RecordDigest>,
    pub(crate) indicators: Vec<Traced>,
    /// What an engine had on its disk when it sent a position, by its number.
    pub(crate) said: BTreeMap<(Origin, u64), Heads>,
}

impl Ledger {
    pub(crate) fn made(&mut self, sealed: &Sealed) {
        self.order.push(sealed.digest);
        self.made.insert(sealed.digest, Made { sealed: sealed.clone(), acknowledged: None });
    }

    /// Whether a record of a life up to a place is on no disk any more.
    pub(crate) fn lost_of(&self, of: EngineOf, last: Place) -> bool {
        self.lost.iter().filter_map(|digest| self.made.get(digest)).any(|made| {
            let (lost, place) = place_of(&made.sealed);
            lost == of && place.epoch == last.epoch && place.sequence <= last.sequence
        })
    }

    /// Notes what is on no disk any more, of what was on one that is destroyed.
    pub(crate) fn destroyed(&mut self, before: &[Rc<Sealed>], nodes: &[Node]) {
        for sealed in before {
            let (of, place) = place_of(sealed);
            let kept =
                nodes.iter().any(|node| !node.has_departed && node.disk.has(of, place, &sealed.digest));
            if !kept {
                self.lost.insert(sealed.digest);
            }
        }
    }
}

/// Where a record belongs.
pub(crate) fn place_of(sealed: &Sealed) -> (EngineOf, Place) {
    let origin = sealed.record.origin;
    (EngineOf::of(origin), Place { epoch: origin.epoch, sequence: sealed.record.sequence })
}
