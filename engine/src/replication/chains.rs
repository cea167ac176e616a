//! What this engine has of another's records: a chain for each of its lives, without gaps.
//!
//! A life begins where the one before it ended, as far as its engine knew. An engine whose disk was put back to an older
//! state begins from there, and its peers know records that it does not: both are true, both are kept, and because the
//! state is the same whatever the order of records, nothing is lost.

use super::authority::Held;
use super::message::{Chunk, EngineOf, EpochHead, Place, Summary};
use super::peers::Peer;
use crate::journal::{ChainReader, JournalHead, Sealed};
use sparr_protocol::record::{Origin, Record};
use std::collections::BTreeMap;

/// How far records must have come to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Taken in; they may be on their way to the disk.
    Taken,
    /// On the disk, and they act.
    Stored,
}

/// One life of an engine.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// The last record that was taken in; it may be on its way to the disk.
    tip: EpochHead,
    /// The last record that is on the disk and acts.
    stored: EpochHead,
}

/// What became of records that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// They are known.
    Known,
    /// Records before them are missing.
    Gap(Vec<Sealed>),
    /// They begin a life whose place in the chain is not clear yet: the sender is asked which lives it knows.
    Unlinked(Vec<Sealed>),
    /// They come next.
    Next(Vec<Sealed>),
}

/// The records of one engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    lives: BTreeMap<u32, Life>,
    /// Since when somebody is known to have more, or others than are here.
    pub(super) behind_since: Option<u64>,
    /// Since when it is known what is missing.
    pub(super) missing_since: Option<u64>,
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
        let last = self.heads(Reach::Stored).last();
        last.map_or_else(Place::default, |head| Place { epoch: head.epoch, sequence: head.sequence })
    }

    /// The last record of each life, in order.
    pub(super) fn heads(&self, reach: Reach) -> impl Iterator<Item = EpochHead> + '_ {
        let head = move |life: &Life| match reach {
            Reach::Taken => life.tip,
            Reach::Stored => life.stored,
        };
        self.lives.values().map(head).filter(|head| head.sequence > 0)
    }

    /// Digest over the lives before one.
    pub(super) fn digest_before(&self, epoch: u32, reach: Reach) -> [u8; 16] {
        digest_of(self.heads(reach).take_while(|head| head.epoch < epoch))
    }

    /// What this engine says of it to others.
    pub(super) fn summary(&self, of: EngineOf) -> Summary {
        let last = self.last();
        let digest = digest_of(self.heads(Reach::Stored));
        Summary { of, last, digest, earlier: self.digest_before(last.epoch, Reach::Stored) }
    }

    /// Number of the last record of a life; 0 where there is none.
    pub(super) fn sequence(&self, epoch: u32, reach: Reach) -> u64 {
        self.lives.get(&epoch).map_or(0, |life| match reach {
            Reach::Taken => life.tip.sequence,
            Reach::Stored => life.stored.sequence,
        })
    }

    /// Whether records up to a place count.
    pub(super) fn covers(&self, place: Place, reach: Reach) -> bool {
        self.sequence(place.epoch, reach) >= place.sequence
    }

    /// A peer knows other records under the same numbers: a copied disk is running twice.
    pub(super) fn look_for_fork(&mut self, heads: &[EpochHead]) {
        let forked = |head: &EpochHead| {
            let same = |life: &Life| life.tip.sequence == head.sequence && life.tip.digest != head.digest;
            self.lives.get(&head.epoch).is_some_and(same)
        };
        if heads.iter().any(forked) {
            self.held = Some(Held::Forked);
        }
    }

    /// Nobody has more: nothing is held up, unless there are two histories.
    pub(super) fn is_level(&mut self) {
        (self.behind_since, self.missing_since) = (None, None);
        self.held = self.held.filter(|held| *held == Held::Forked);
    }

    /// Whether somebody has more, and it would be taken in if it came.
    pub(super) fn is_behind(&self) -> bool {
        self.behind_since.is_some() && self.held.is_none()
    }

    /// Looks at records that came in. Their signature is somebody else's business. `peer` is who sent them, as far as it is
    /// known.
    pub(super) fn take(&self, chunk: &Chunk, peer: Option<&Peer>) -> Result<Taken, Held> {
        let origin = chunk.commit.origin;
        if self.sequence(origin.epoch, Reach::Taken) >= chunk.commit.last_sequence {
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
            Some(_) => Ok(Taken::Gap(records)),
            None if first_sequence != 1 => Ok(Taken::Gap(records)),
            None => {
                let before = self.lives.range(..origin.epoch).next_back().map(|(_, life)| life.tip.digest);
                let follows = before.unwrap_or([0; 32]) == first.record.previous;
                let taken = follows || peer.is_some_and(|peer| self.is_settled_before(origin, peer));
                Ok(if taken { Taken::Next(records) } else { Taken::Unlinked(records) })
            }
        }
    }

    /// Whether everything is here that the sender of a life's first records knows of lives before it. Only who has that
    /// life knows what comes before it.
    fn is_settled_before(&self, life: Origin, peer: &Peer) -> bool {
        let (of, epoch) = (EngineOf::of(life), life.epoch);
        let is_level = peer.has(of).is_some_and(|theirs| {
            theirs.last.epoch == epoch && theirs.earlier == self.digest_before(epoch, Reach::Taken)
        });
        let covered = |head: &EpochHead| self.sequence(head.epoch, Reach::Taken) >= head.sequence;
        is_level
            || peer.told(of).is_some_and(|told| {
                told.iter().any(|head| head.epoch == epoch)
                    && told.iter().filter(|head| head.epoch < epoch).all(covered)
            })
    }

    /// These are on their way to the disk.
    pub(super) fn taken_in(&mut self, records: &[Sealed]) {
        let Some(last) = records.last() else { return };
        let head = head_of(last);
        let none = EpochHead { epoch: head.epoch, sequence: 0, digest: [0; 32], stamp: 0 };
        self.lives.entry(head.epoch).or_insert(Life { tip: none, stored: none }).tip = head;
        self.held = self.held.filter(|held| *held == Held::Forked);
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

/// Digest over the last records of some lives.
pub(super) fn digest_of(heads: impl Iterator<Item = EpochHead>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for head in heads {
        hasher.update(&head.epoch.to_le_bytes());
        hasher.update(&head.sequence.to_le_bytes());
        hasher.update(&head.digest);
    }
    let whole = hasher.finalize();
    std::array::from_fn(|at| whole.as_bytes()[at])
}

/// The last record of a run.
pub(super) fn head_of(sealed: &Sealed) -> EpochHead {
    let Record { origin, sequence, stamp, .. } = &sealed.record;
    EpochHead { epoch: origin.epoch, sequence: *sequence, digest: sealed.digest, stamp: *stamp }
}

/// Reads the records of a chunk: a chain that ends with its commit.
pub(super) fn read(chunk: &Chunk) -> Result<Vec<Sealed>, Held> {
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
