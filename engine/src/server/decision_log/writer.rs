//! The thread that writes the decision log: one batch for each chunk, one fsync for many, segments that end.

use super::feed::Chunk;
use super::gate::Gate;
use super::index;
use super::names;
use super::segment::{self, Head, Segment};
use crate::decisions::{Entry, Gap, GapWhy};
use crate::server::clock;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use sparr_protocol::time::Timestamp;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long what was written may wait for its fsync.
pub(super) const SYNC_EVERY: Duration = Duration::from_millis(100);
/// How long a disk that takes nothing in is left alone.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// A segment ends at this size.
const SEGMENT_BYTES: u64 = 64 << 20;
/// A segment ends at this age, ms: its key is a daily one.
const SEGMENT_MS: i64 = 86_400_000;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keeps {
    /// For so many days.
    pub(super) days: u32,
    /// In so many bytes at most.
    pub(super) bytes_max: u64,
}

/// The writer's end of the log.
pub(super) struct Writer {
    folder: PathBuf,
    key: Zeroizing<[u8; 32]>,
    epoch: u32,
    keeps: Keeps,
    gate: Arc<Gate>,
    /// Memory of chunks goes back.
    spare: Sender<Vec<u8>>,
    segment: Option<Segment>,
    /// Answers that were written and not yet synced, and when the first of them was made.
    unsynced: Option<(u64, Timestamp)>,
    synced_at: Instant,
    /// To be said in the next batch.
    doubt: Option<Gap>,
}

impl Writer {
    pub(super) fn new(
        folder: PathBuf,
        key: &[u8; 32],
        epoch: u32,
        keeps: Keeps,
        gate: Arc<Gate>,
        spare: Sender<Vec<u8>>,
    ) -> Self {
        Self {
            folder,
            key: Zeroizing::new(*key),
            epoch,
            keeps,
            gate,
            spare,
            segment: None,
            unsynced: None,
            synced_at: clock::instant(),
            doubt: None,
        }
    }

    /// Writes what comes until the feed is gone.
    pub(super) fn run(mut self, chunks: &Receiver<Chunk>) {
        let mut waiting: VecDeque<Chunk> = VecDeque::new();
        let mut is_over = false;
        while !(is_over && waiting.is_empty()) {
            if !is_over && waiting.is_empty() {
                match chunks.recv_timeout(SYNC_EVERY) {
                    Ok(chunk) => waiting.push_back(chunk),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => is_over = true,
                }
            }
            waiting.extend(chunks.try_iter());
            while let Some(chunk) = waiting.front() {
                match self.write(chunk) {
                    Ok(()) => {
                        self.written(chunk.answers);
                        self.gate.written_until(chunk.times.1);
                        let memory = waiting.pop_front().map(|chunk| chunk.bytes);
                        // A spare too many is simply freed.
                        let _ = self.spare.try_send(memory.unwrap_or_default());
                    }
                    Err(error) => {
                        self.failed(&error, is_over);
                        if is_over {
                            return;
                        }
                        break;
                    }
                }
                if clock::instant().duration_since(self.synced_at) >= SYNC_EVERY {
                    self.sync();
                }
            }
            if is_over || clock::instant().duration_since(self.synced_at) >= SYNC_EVERY {
                self.sync();
            }
        }
    }

    fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        for set in &chunk.sets {
            names::keep(&self.folder, set)?;
        }
        let mut doubt = Vec::new();
        if let Some(gap) = self.doubt {
            segment::push(&mut doubt, |out| Entry::Gap(gap).append(out));
        }
        let entries = chunk.entries + u32::from(self.doubt.is_some());
        let segment = self.segment()?;
        let written = segment.append(&[&doubt, &chunk.bytes], entries, chunk.times);
        if written.is_err() {
            segment.abandon();
            self.segment = None;
            return written;
        }
        self.doubt = None;
        let (answers, first) = self.unsynced.unwrap_or((0, chunk.times.0));
        self.unsynced = Some((answers + chunk.answers as u64, first));
        Ok(())
    }

    fn written(&self, answers: usize) {
        self.gate.releases(answers);
        self.gate.counted().written.fetch_add(answers as u64, Ordering::Relaxed);
        if self.gate.fails(false) {
            tracing::info!("the decision log is written again");
        }
    }

    fn failed(&self, error: &io::Error, is_over: bool) {
        self.gate.counted().failures.fetch_add(1, Ordering::Relaxed);
        if self.gate.fails(true) {
            tracing::error!(%error, "the decision log cannot be written: answers say that they are unlogged");
        }
        if is_over {
            // Whoever starts next sees that the end is missing.
            tracing::error!(%error, "the end of the decision log could not be written");
        } else {
            std::thread::sleep(RETRY_AFTER);
        }
    }

    fn sync(&mut self) {
        self.synced_at = clock::instant();
        let Some((answers, from)) = self.unsynced.take() else { return };
        let Some(segment) = &self.segment else { return };
        if let Err(error) = segment.sync() {
            // What the system had not written yet it may have thrown away: nobody knows. What follows is written elsewhere.
            self.gate.counted().failures.fetch_add(1, Ordering::Relaxed);
            self.gate.counted().gaps.fetch_add(1, Ordering::Relaxed);
            let missing = Some(answers + self.doubt.and_then(|gap| gap.missing).unwrap_or(0));
            self.doubt = Some(Gap { from, until: clock::now(), missing, why: GapWhy::NotSynced });
            self.segment = None;
            tracing::error!(%error, answers, "the disk did not take in a part of the decision log");
        }
    }

    /// The segment that is written to: a new one where there is none, or where the last one is full or old.
    fn segment(&mut self) -> io::Result<&mut Segment> {
        let now = clock::now();
        let is_over = |segment: &Segment| {
            segment.bytes >= SEGMENT_BYTES || now.ms_since(segment.head.began) >= SEGMENT_MS
        };
        if self.segment.as_ref().is_some_and(is_over) {
            self.sync();
            self.segment = None;
        }
        if self.segment.is_none() {
            let before = segment::numbers(&self.folder)?.last().copied().unwrap_or(0);
            let before_bytes = match before {
                0 => 0,
                before => fs::metadata(segment::file(&self.folder, before))?.len(),
            };
            let head = Head { number: before + 1, began: now, epoch: self.epoch, before_bytes };
            self.segment = Some(Segment::begin(&self.folder, &self.key, head)?);
            let bytes = forget(&self.folder, &self.key, self.keeps, now)?;
            self.gate.counted().bytes.store(bytes, Ordering::Relaxed);
        }
        match &mut self.segment {
            Some(segment) => Ok(segment),
            None => unreachable!("it was begun"),
        }
    }
}

/// Removes segments that are older or more than is kept, oldest first and never the newest; gives back the bytes of the rest.
fn forget(folder: &Path, key: &[u8; 32], keeps: Keeps, now: Timestamp) -> io::Result<u64> {
    let numbers = segment::numbers(folder)?;
    let length = |number: &u64| fs::metadata(segment::file(folder, *number)).map_or(0, |it| it.len());
    let mut bytes: u64 = numbers.iter().map(length).sum();
    for pair in numbers.windows(2) {
        // Everything in a segment was there before the next one began.
        let next = segment::Reader::open(folder, pair[1], key)?;
        let is_old = next.is_some_and(|next| {
            now.ms_since(next.head.began) > i64::from(keeps.days).saturating_mul(86_400_000)
        });
        if !is_old && bytes <= keeps.bytes_max.saturating_sub(SEGMENT_BYTES) {
            break;
        }
        let length = length(&pair[0]);
        fs::remove_file(segment::file(folder, pair[0]))?;
        // It may have none.
        let _ = fs::remove_file(index::file(folder, pair[0]));
        bytes -= length;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [3; 32];

    #[test]
    fn what_is_too_old_or_too_much_goes_and_the_newest_stays() {
        let dir = tempfile::tempdir().expect("folder");
        let day = 86_400_000;
        for number in 1..=4 {
            let began = Timestamp::from_ms(number as i64 * day);
            let head = Head { number, began, epoch: 1, before_bytes: 0 };
            Segment::begin(dir.path(), &KEY, head).expect("begun");
        }
        let kept = |days, bytes_max, now_days: i64| {
            let keeps = Keeps { days, bytes_max };
            forget(dir.path(), &KEY, keeps, Timestamp::from_ms(now_days * day)).expect("forgotten");
            segment::numbers(dir.path()).expect("readable")
        };
        assert_eq!(kept(3, u64::MAX, 5), [1, 2, 3, 4], "the first ended three days ago");
        assert_eq!(kept(2, u64::MAX, 5), [2, 3, 4]);
        assert_eq!(kept(2, SEGMENT_BYTES + 80, 5), [3, 4]);
        assert_eq!(kept(0, 0, 900), [4]);
    }
}
