//! What the recorder appends to: answers as bytes, handed to the writer in chunks, soon.

use super::gate::Gate;
use super::segment;
use crate::decision::VerifyUnavailable;
use crate::decisions::{Entry, Gap, GapWhy, Logged};
use crate::pack::Pack as _;
use crate::recent::{Fresh, Reads, Recorded};
use crate::server::clock;
use crossbeam::channel::{Receiver, Sender};
use sparr_protocol::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A chunk is handed on at this size.
const CHUNK_BYTES: usize = 256 << 10;
/// A chunk is handed on at this age: with [`super::writer::SYNC_EVERY`] an answer is durable within 200 ms.
pub(super) const CHUNK_AGE: Duration = Duration::from_millis(50);

/// Entries on their way to the disk.
pub(super) struct Chunk {
    /// The entries, each behind its length.
    pub(super) bytes: Vec<u8>,
    /// How many entries.
    pub(super) entries: u32,
    /// How many of them are answers.
    pub(super) answers: usize,
    /// When the first and the last were made.
    pub(super) times: (Timestamp, Timestamp),
    /// What places of rules mean in it.
    pub(super) sets: Vec<Arc<Reads>>,
}

impl Chunk {
    fn new(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        let times = (Timestamp::from_ms(i64::MAX), Timestamp::MIN);
        Self { bytes, entries: 0, answers: 0, times, sets: Vec::new() }
    }

    fn push(&mut self, at: Timestamp, write: impl FnOnce(&mut Vec<u8>)) {
        segment::push(&mut self.bytes, write);
        self.entries += 1;
        self.times = (self.times.0.min(at), self.times.1.max(at));
    }
}

/// The recorder's end of the log.
pub(in crate::server) struct Feed {
    gate: Arc<Gate>,
    chunks: Sender<Chunk>,
    /// Memory of chunks that were written.
    spare: Receiver<Vec<u8>>,
    chunk: Chunk,
    since: Instant,
    verify_unavailable: VerifyUnavailable,
}

impl Feed {
    pub(super) fn new(
        gate: Arc<Gate>,
        chunks: Sender<Chunk>,
        spare: Receiver<Vec<u8>>,
        verify_unavailable: VerifyUnavailable,
        first: &[Entry],
    ) -> Self {
        let (chunk, since) = (Chunk::new(Vec::new()), clock::instant());
        let mut feed = Self { gate, chunks, spare, chunk, since, verify_unavailable };
        first.iter().for_each(|entry| feed.note(entry));
        feed.hand_on();
        feed
    }

    /// Appends an answer that has a place.
    pub(in crate::server) fn take(&mut self, fresh: &Fresh<'_>, recorded: Option<&Recorded>) {
        if self.chunk.entries == 0 {
            self.since = clock::instant();
        }
        let verify_unavailable = self.verify_unavailable;
        self.chunk.push(fresh.moment.now, |out| {
            crate::decisions::DECISION.pack(out);
            Logged::append(fresh, recorded, verify_unavailable, out);
        });
        self.chunk.answers += 1;
        if let Some(reads) = fresh.reads
            && !self.chunk.sets.iter().any(|known| known.digest == reads.digest)
        {
            self.chunk.sets.push(reads.clone());
        }
        if self.chunk.bytes.len() >= CHUNK_BYTES {
            self.hand_on();
        }
    }

    fn note(&mut self, entry: &Entry) {
        let at = entry.at();
        self.chunk.push(at, |out| entry.append(out));
    }

    /// Hands on what has waited for long enough, and says what is missing.
    pub(in crate::server) fn tick(&mut self) {
        if let Some((missing, from, until)) = self.gate.take_missing() {
            self.note(&Entry::Gap(Gap { from, until, missing: Some(missing), why: GapWhy::NoRoom }));
            self.gate.counted().gaps.fetch_add(1, Ordering::Relaxed);
            self.hand_on();
        } else if self.chunk.entries > 0 && clock::instant().duration_since(self.since) >= CHUNK_AGE {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        if self.chunk.entries == 0 {
            return;
        }
        let memory = self.spare.try_recv().unwrap_or_default();
        let chunk = std::mem::replace(&mut self.chunk, Chunk::new(memory));
        // A writer that is gone has said so; the next start finds that the end is missing.
        let _ = self.chunks.send(chunk);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.tick();
        self.note(&Entry::Stopped { at: clock::now() });
        self.hand_on();
    }
}
