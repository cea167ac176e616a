//! The decision log: every answer, with what deciding it again needs, on the disk within 200 ms.
//!
//! A worker takes a place for an answer before it gives it (`gate`), so an answer that does not say `unlogged` has one. The
//! recorder, which turns requests into pseudonyms anyway, appends them to a chunk (`feed`); a thread of its own seals and
//! writes chunks (`writer`, `segment`). Screening waits for neither. After a kill at most the last 200 ms are missing, and
//! the next life begins with a gap that says so.

mod again;
mod desk;
mod export;
mod feed;
mod gate;
mod index;
mod lines;
mod names;
mod query;
mod segment;
mod tail;
mod writer;

pub(super) use desk::{DecisionsDesk, Page};
pub(super) use feed::Feed;
pub(crate) use gate::Gate;
pub(super) use gate::{Admission, WAITING_MAX};
pub use gate::{DecisionLogSize, WhenFull};
pub(super) use tail::{reach, replay};

use super::clock;
use super::config::EngineConfig;
use super::polite;
use super::rule_store::RuleStore;
use crate::decision::VerifyUnavailable;
use crate::decisions::{Entry, Gap, GapWhy};
use crate::state::State;
use crossbeam::channel::{bounded, unbounded};
use segment::{Found, Reader, folder};
use sparr_protocol::time::Timestamp;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use writer::{Keeps, Writer};

/// How the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionLogConfig {
    /// Whether there is one.
    pub is_on: bool,
    /// What happens to an answer for which there is no room.
    pub when_full: WhenFull,
    /// Days that answers are kept.
    pub keep_days: u32,
    /// Bytes that they may take.
    pub bytes_max: u64,
}

/// Chunks whose memory is kept.
const SPARE_MAX: usize = 16;

/// A log that is kept, or none.
pub(super) struct DecisionLog {
    /// Where answers take their places, and where they are appended.
    pub(super) feed: Option<(Arc<Gate>, Feed)>,
    /// Where questions go.
    pub(super) desk: DecisionsDesk,
    /// They end when feed and desk are gone, with everything on the disk.
    pub(super) threads: Vec<JoinHandle<()>>,
}

impl DecisionLog {
    /// Goes on with the log of a data folder, as it is configured.
    pub(super) fn open(
        config: &EngineConfig,
        key: &[u8; 32],
        epoch: u32,
        rule_sets: RuleStore,
        state: &Arc<State>,
    ) -> io::Result<Self> {
        if !config.decision_log.is_on {
            return Ok(Self { feed: None, desk: DecisionsDesk::closed(), threads: Vec::new() });
        }
        let verify_unavailable = config.policy.verify_unavailable;
        let (gate, feed, writer) =
            start(&config.data_dir, key, config.decision_log, epoch, verify_unavailable)?;
        let (desk, reader) = desk::start(&config.data_dir, key, rule_sets, state.clone())?;
        Ok(Self { feed: Some((gate, feed)), desk, threads: vec![writer, reader] })
    }
}

/// Starts the log behind what is there. The thread ends when the feed is gone, with everything on the disk.
fn start(
    data_dir: &Path,
    key: &[u8; 32],
    config: DecisionLogConfig,
    epoch: u32,
    verify_unavailable: VerifyUnavailable,
) -> io::Result<(Arc<Gate>, Feed, JoinHandle<()>)> {
    let folder = folder(data_dir);
    std::fs::create_dir_all(&folder)?;
    let gate = Arc::new(Gate::new(config.when_full));
    let now = clock::now();
    let mut first = Vec::new();
    if let Some(from) = cut_short(&folder, key)? {
        tracing::warn!(%from, "the engine before this one was killed: its last answers are missing in the decision log");
        first.push(Entry::Gap(Gap { from, until: now.max(from), missing: None, why: GapWhy::Killed }));
        gate.counted().gaps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    first.push(Entry::Began { at: now, epoch });
    // The gate bounds what is on its way.
    let (chunks, waiting) = unbounded();
    let (spare, spares) = bounded(SPARE_MAX);
    let keeps = Keeps { days: config.keep_days, bytes_max: config.bytes_max };
    let writer = Writer::new(folder, key, epoch, keeps, gate.clone(), spare);
    let thread = std::thread::Builder::new().name("decision-log".to_owned()).spawn(move || {
        polite::stand_back();
        writer.run(&waiting);
    })?;
    let feed = Feed::new(gate.clone(), chunks, spares, verify_unavailable, &first);
    Ok((gate, feed, thread))
}

/// The time of the last entry of a life that did not stop in order.
fn cut_short(folder: &Path, key: &[u8; 32]) -> io::Result<Option<Timestamp>> {
    for number in segment::numbers(folder)?.into_iter().rev() {
        let Some(mut reader) = Reader::open(folder, number, key)? else { continue };
        let (mut last, mut stopped) = (None, false);
        while let Some(found) = reader.next(|_| true)? {
            let Found::Batch(_, head, body) = found else {
                stopped = false;
                continue;
            };
            let entry = segment::entries(body).last().and_then(|(_, entry)| Entry::read(entry));
            stopped = matches!(entry, Some(Entry::Stopped { .. }));
            last = last.max(Some(head.last));
        }
        return Ok(if stopped { None } else { Some(last.unwrap_or(reader.head.began)) });
    }
    Ok(None)
}
