//! Who has more of an engine's records than somebody else, as far as positions, heartbeats and what was sent say.

use super::chains::{Chain, Reach, digest_of};
use super::message::{EngineOf, EpochHead, Place};
use super::peers::Peer;

/// What is missing here of what a peer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nothing.
    Nothing,
    /// What comes after this place.
    After(Place),
    /// It knows other lives of the engine, or others of their records: it is to be asked which.
    Unclear,
}

impl Chain {
    /// What of an engine's records is missing here that a peer has. Earlier lives come first.
    pub(super) fn lacks(&self, of: EngineOf, peer_of: EngineOf, peer: &Peer, reach: Reach) -> Missing {
        let mut missing = Vec::new();
        let mut is_unclear = false;
        if let Some(theirs) = peer.has(of) {
            let epoch = theirs.last.epoch;
            if self.digest_before(epoch, reach) != theirs.earlier {
                match peer.told(of).and_then(|told| before(told, epoch, theirs.earlier)) {
                    Some(earlier) => missing.extend(earlier.iter().copied().map(place)),
                    None => is_unclear = true,
                }
            }
            missing.push(theirs.last);
        }
        missing.extend(peer.shown(of));
        if peer_of == of {
            missing.push(peer.own());
        }
        let first = missing.into_iter().filter(|place| !self.covers(*place, reach)).min();
        match first {
            Some(Place { epoch, .. }) => {
                Missing::After(Place { epoch, sequence: self.sequence(epoch, reach) })
            }
            None if is_unclear => Missing::Unclear,
            None => Missing::Nothing,
        }
    }

    /// Which records of an engine a peer has on its disk, by the last of each life, as far as that is certain.
    pub(super) fn held_by(&self, of: EngineOf, peer: &Peer) -> Vec<Place> {
        let Some(theirs) = peer.has(of) else { return Vec::new() };
        let epoch = theirs.last.epoch;
        let mut places = if self.digest_before(epoch, Reach::Stored) == theirs.earlier {
            self.heads(Reach::Stored).filter(|head| head.epoch < epoch).map(place).collect()
        } else {
            let told = peer.told(of).and_then(|told| before(told, epoch, theirs.earlier));
            told.map_or_else(Vec::new, |earlier| earlier.iter().copied().map(place).collect())
        };
        places.push(theirs.last);
        places
    }
}

/// The lives before one, where they are those of which a digest was made.
fn before(told: &[EpochHead], epoch: u32, digest: [u8; 16]) -> Option<&[EpochHead]> {
    let end = told.partition_point(|head| head.epoch < epoch);
    let earlier = told.get(..end)?;
    (digest_of(earlier.iter().copied()) == digest).then_some(earlier)
}

fn place(head: EpochHead) -> Place {
    Place { epoch: head.epoch, sequence: head.sequence }
}
