//! What this engine has of another's records: a chain for each of its lives, without gaps.
//!
//! A life begins where the one before it ended, as far as its engine knew. An engine whose disk was put back to an older
//! state begins from there, and its peers know records that it does not: both are true, both are kept, and because the
//! state is the same whatever the order of records, nothing is lost.

use super::authority::Held;
use super::message::{Chunk, EngineOf, EpochHead, Place, Summary};
use crate::journal::{ChainReader, JournalHead, Sealed};
use sparr_protocol::record::Record;
use std::collections::BTreeMap;

/// One life of an engine.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// The last record that was taken in; it may be on its way to the disk.
    tip: EpochHead,
    /// The last record that is on the disk and acts.
    stored: EpochHead,
}

/// What a peer said of every life of an engine.
#[derive(Clone, Debug)]
struct Told {
    by: EngineOf,
    heads: Vec<EpochHead>,
}

/// What became of records that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// They are known.
    Known,
    /// Records before them are missing.
    Gap,
    /// They begin a life whose place in the chain is not clear yet: the sender is asked which lives it knows.
    Unlinked,
    /// They come next.
    Next(Vec<Sealed>),
}

/// The records of one engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    lives: BTreeMap<u32, Life>,
    told: Option<Told>,
    /// Since when it is known that somebody has more.
    pub(super) behind_since: Option<u64>,
    /// Why what was sent last was not taken in.
    pub(super) held: Option<Held>,
}

impl Chain {
    /// What lies on the disk at the start.
    pub(super) fn begin(&mut self, head: EpochHead) {
        self.lives.insert(head.epoch, Life { tip: head, stored: head });
    }

    /// The last record that acts; zeros where there is none.
    pub(super) fn last(&self) -> Place {
        let acting = self.lives.values().rev().find(|life| life.stored.sequence > 0);
        acting.map_or(Place::default(), |life| Place {
            epoch: life.stored.epoch,
            sequence: life.stored.sequence,
        })
    }

    /// The last acting record of each life.
    pub(super) fn heads(&self) -> Vec<EpochHead> {
        self.lives.values().map(|life| life.stored).filter(|head| head.sequence > 0).collect()
    }

    /// What this engine says of it to others.
    pub(super) fn summary(&self, of: EngineOf) -> Summary {
        let mut hasher = blake3::Hasher::new();
        for head in self.heads() {
            hasher.update(&head.epoch.to_le_bytes());
            hasher.update(&head.sequence.to_le_bytes());
            hasher.update(&head.digest);
        }
        let whole = hasher.finalize();
        Summary { of, last: self.last(), digest: std::array::from_fn(|at| whole.as_bytes()[at]) }
    }

    fn tip_of(&self, epoch: u32) -> u64 {
        self.lives.get(&epoch).map_or(0, |life| life.tip.sequence)
    }

    /// Whether a place has been taken in.
    pub(super) fn covers(&self, place: Place) -> bool {
        self.tip_of(place.epoch) >= place.sequence
    }

    /// What a peer knows of each life.
    pub(super) fn was_told(&mut self, by: EngineOf, heads: Vec<EpochHead>) {
        let forked = heads.iter().any(|head| {
            self.lives
                .get(&head.epoch)
                .is_some_and(|life| life.tip.sequence == head.sequence && life.tip.digest != head.digest)
        });
        if forked {
            self.held = Some(Held::Forked);
        }
        self.told = Some(Told { by, heads });
    }

    /// Who has told of records that are missing here, if anybody, and after which place they come.
    pub(super) fn missing_of_told(&self) -> Option<(EngineOf, Place)> {
        let told = self.told.as_ref()?;
        let missing = told.heads.iter().find(|head| self.tip_of(head.epoch) < head.sequence)?;
        Some((told.by, Place { epoch: missing.epoch, sequence: self.tip_of(missing.epoch) }))
    }

    /// Forgets what a peer told that is gone.
    pub(super) fn forget_told_by(&mut self, peer: EngineOf) {
        if self.told.as_ref().is_some_and(|told| told.by == peer) {
            self.told = None;
        }
    }

    /// After which record those come that lead to `place`.
    pub(super) fn before(&self, place: Place) -> Place {
        Place { epoch: place.epoch, sequence: self.tip_of(place.epoch) }
    }

    /// Whether everything that a peer knows of lives before this one is here, as far as one has told.
    fn is_settled_before(&self, epoch: u32) -> bool {
        self.told.as_ref().is_some_and(|told| {
            let earlier = told.heads.iter().filter(|head| head.epoch < epoch);
            earlier.clone().all(|head| self.tip_of(head.epoch) >= head.sequence)
        })
    }

    /// Looks at records that came in. Their signature is somebody else's business.
    pub(super) fn take(&self, chunk: &Chunk) -> Result<Taken, Held> {
        let origin = chunk.commit.origin;
        if self.tip_of(origin.epoch) >= chunk.commit.last_sequence {
            return Ok(Taken::Known);
        }
        let records = read(chunk)?;
        let Some(first) = records.first() else { return Err(Held::Damaged) };
        let first_sequence = first.record.sequence;
        match self.lives.get(&origin.epoch) {
            Some(Life { tip, .. }) if first_sequence <= tip.sequence + 1 => {
                let known = usize::try_from(tip.sequence + 1 - first_sequence).unwrap_or(usize::MAX);
                // What links the first new record to what is here.
                let link = match known.checked_sub(1) {
                    None => first.record.previous,
                    Some(at) => records.get(at).map(|sealed| sealed.digest).ok_or(Held::Damaged)?,
                };
                if link != tip.digest {
                    return Err(Held::Forked);
                }
                Ok(Taken::Next(records.into_iter().skip(known).collect()))
            }
            Some(_) => Ok(Taken::Gap),
            None if first_sequence != 1 => Ok(Taken::Gap),
            None => {
                let before = self.lives.range(..origin.epoch).next_back().map(|(_, life)| life.tip.digest);
                let follows = before.unwrap_or([0; 32]) == first.record.previous;
                let taken = follows || self.is_settled_before(origin.epoch);
                Ok(if taken { Taken::Next(records) } else { Taken::Unlinked })
            }
        }
    }

    /// These are on their way to the disk.
    pub(super) fn taken_in(&mut self, records: &[Sealed]) {
        let Some(last) = records.last() else { return };
        let head = head_of(last);
        let none = EpochHead { epoch: head.epoch, sequence: 0, digest: [0; 32], stamp: 0 };
        self.lives.entry(head.epoch).or_insert(Life { tip: none, stored: none }).tip = head;
        self.held = None;
    }

    /// They are on the disk and act.
    pub(super) fn stored(&mut self, head: EpochHead) {
        let life = self.lives.entry(head.epoch).or_insert(Life { tip: head, stored: head });
        if life.stored.sequence < head.sequence {
            life.stored = head;
        }
        if life.tip.sequence < head.sequence {
            life.tip = head;
        }
    }

    /// What was on its way to the disk did not get there.
    pub(super) fn not_stored(&mut self) {
        for life in self.lives.values_mut() {
            life.tip = life.stored;
        }
        // A life of which nothing is here is none.
        self.lives.retain(|_, life| life.tip.sequence > 0);
    }
}

/// The last record of a run.
pub(super) fn head_of(sealed: &Sealed) -> EpochHead {
    let Record { origin, sequence, stamp, .. } = &sealed.record;
    EpochHead { epoch: origin.epoch, sequence: *sequence, digest: sealed.digest, stamp: *stamp }
}

/// Reads the records of a chunk: a chain that ends with its commit.
fn read(chunk: &Chunk) -> Result<Vec<Sealed>, Held> {
    let Chunk { commit, records } = chunk;
    let damaged = |_| Held::Damaged;
    let (first, _) = Record::body(records).map_err(damaged)?;
    let first = Record::decode(first).map_err(damaged)?;
    let mut sequence = first.sequence.checked_sub(1).ok_or(Held::Damaged)?;
    let stamp = first.stamp.checked_sub(1).ok_or(Held::Damaged)?;
    let before = JournalHead { origin: commit.origin, sequence, digest: first.previous, stamp };
    let mut reader = ChainReader::after(&before);
    let (mut sealed, mut rest) = (Vec::new(), records.as_slice());
    while !rest.is_empty() {
        let (_, after) = Record::body(rest).map_err(damaged)?;
        let bytes = &rest[..rest.len() - after.len()];
        sequence += 1;
        sealed.push(reader.read(commit.origin, sequence, bytes).map_err(|_| Held::Damaged)?);
        rest = after;
    }
    let ends = |last: &Sealed| last.record.sequence == commit.last_sequence && last.digest == commit.head;
    if sealed.last().is_some_and(ends) { Ok(sealed) } else { Err(Held::Damaged) }
}
