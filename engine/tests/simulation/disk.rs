//! What is durable at one engine: the journal of every engine that it knows, and whether it was live.

use sparr_engine::journal::Sealed;
use sparr_engine::replication::{Chunk, EngineOf, EpochHead, Place};
use sparr_protocol::record::{Commit, RecordDigest};
use std::collections::BTreeMap;
use std::rc::Rc;

/// One life of an engine.
#[derive(Clone, Default)]
struct Life {
    /// By number, from 1.
    records: BTreeMap<u64, Rc<Sealed>>,
    /// By the number of the last record.
    commits: BTreeMap<u64, Commit>,
}

/// The disk of one engine.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    lives: BTreeMap<(EngineOf, u32), Life>,
    pub(crate) has_joined: bool,
    /// The epoch that was given out last.
    pub(crate) epoch: u32,
}

impl Disk {
    /// Makes records durable with the commit that came with them.
    pub(crate) fn append(&mut self, commit: &Commit, records: &[Sealed]) {
        let life = self.lives.entry((EngineOf::of(commit.origin), commit.origin.epoch)).or_default();
        for sealed in records {
            life.records.insert(sealed.record.sequence, Rc::new(sealed.clone()));
        }
        life.commits.insert(commit.last_sequence, commit.clone());
    }

    /// Number of the last record of a life.
    pub(crate) fn last(&self, of: EngineOf, epoch: u32) -> u64 {
        let life = self.lives.get(&(of, epoch));
        life.and_then(|life| life.records.last_key_value()).map_or(0, |(last, _)| *last)
    }

    /// The last record of every life of every engine.
    pub(crate) fn heads(&self) -> Vec<(EngineOf, EpochHead)> {
        let head = |((of, epoch), life): (&(EngineOf, u32), &Life)| {
            let (sequence, sealed) = life.records.last_key_value()?;
            let Sealed { record, digest, .. } = &**sealed;
            let head = EpochHead { epoch: *epoch, sequence: *sequence, digest: *digest, stamp: record.stamp };
            Some((*of, head))
        };
        self.lives.iter().filter_map(head).collect()
    }

    /// Every record, in order of engines, lives and numbers.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Rc<Sealed>> {
        self.lives.values().flat_map(|life| life.records.values())
    }

    /// Whether a record is there.
    pub(crate) fn has(&self, of: EngineOf, place: Place, digest: &RecordDigest) -> bool {
        let life = self.lives.get(&(of, place.epoch));
        life.and_then(|life| life.records.get(&place.sequence)).is_some_and(|here| here.digest == *digest)
    }

    /// Chunks of whole commits after a place, each of one life.
    pub(crate) fn chunks(&self, of: EngineOf, after: Place, most: usize, chunk_bytes: usize) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for ((_, epoch), life) in self.lives.range((of, after.epoch)..=(of, u32::MAX)) {
            let mut last = if *epoch == after.epoch { after.sequence } else { 0 };
            let mut bytes = Vec::new();
            let from = last + 1;
            let end = life.commits.last_key_value().map_or(0, |(end, _)| *end);
            for (sequence, commit) in life.commits.range(from.min(end + 1)..) {
                for (_, sealed) in life.records.range(last + 1..=*sequence) {
                    bytes.extend_from_slice(&sealed.bytes);
                }
                last = *sequence;
                if bytes.len() >= chunk_bytes || last == end {
                    chunks.push(Chunk { commit: commit.clone(), records: std::mem::take(&mut bytes) });
                    if chunks.len() == most {
                        return chunks;
                    }
                }
            }
        }
        chunks
    }
}
