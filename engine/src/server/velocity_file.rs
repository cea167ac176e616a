//! Velocity over a restart: the table in a file, written now and then and at an ordered stop.
//!
//! The file begins with a magic word, whether it was written at an ordered stop, and how each key was observed; then come
//! until when keys had to make room for others, and blocks of keys. Each part has its length and a digest. It is written under another name and gets its own when it is
//! durable. Keys are pseudonyms, so a file of another network key is of no use and is left aside.
//!
//! After an ordered stop nothing is missing: windows hold what this engine has screened. After a kill the events since the
//! file was written are observed again out of the decision log, and what is missing is its last moments; windows that reach
//! back to these say so (`window_warming`). Without a whole log everything since the file is missing, and windows say so until
//! they have filled.

use super::clock;
use super::decision_log;
use crate::pack::Pack;
use crate::state::State;
use crate::velocity::Observed;
use crate::velocity::spec::KeyPlan;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use sparr_protocol::time::Timestamp;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const MAGIC: &[u8; 8] = b"sparrve4";
/// A request that was on its way while the file was begun may have been observed or not; twice is once.
const OVERLAP_MS: i64 = 5_000;
/// What was answered in so many milliseconds before a kill is not in the decision log.
const UNTOLD_MS: i64 = 200;
/// No part is longer: a length that lies asks for no memory.
const PART_BYTES_MAX: u32 = 16 << 20;

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("velocity.snapshot")
}

/// What stands in front of the keys.
struct Head {
    /// Whether nothing was screened after it was written.
    at_stop: bool,
    /// When writing it began: what came before is in it.
    began: Timestamp,
    keys: Vec<[u8; 16]>,
    observed: Vec<(KeyPlan, Observed)>,
}

crate::pack::pack_fields!(Head { at_stop, began, keys, observed });

fn put(out: &mut impl Write, place: &mut u64, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&digest(*place, bytes))?;
    *place += 1;
    out.write_all(bytes)
}

fn digest(place: u64, bytes: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&place.to_le_bytes()).update(bytes);
    let whole = hasher.finalize();
    std::array::from_fn(|at| whole.as_bytes()[at])
}

/// The next part; an empty one is the last.
fn take(input: &mut impl Read, place: &mut u64, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is not what was written");
    let mut prefix = [0; 20];
    input.read_exact(&mut prefix)?;
    let [a, b, c, d, expected @ ..] = prefix;
    let length = u32::from_le_bytes([a, b, c, d]);
    if length > PART_BYTES_MAX {
        return Err(damaged());
    }
    bytes.clear();
    input.by_ref().take(length.into()).read_to_end(bytes)?;
    if bytes.len() as u64 != u64::from(length) || digest(*place, bytes) != expected {
        return Err(damaged());
    }
    *place += 1;
    Ok(length > 0)
}

/// Writes the table as it is.
fn write(data_dir: &Path, state: &State, at_stop: bool) -> io::Result<()> {
    let (path, new) = (file(data_dir), data_dir.join("velocity.snapshot.new"));
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&new)?);
    let mut place = 0;
    out.write_all(MAGIC)?;
    let mut head = Vec::new();
    let (began, keys) = (clock::now(), state.keyring.fingerprints());
    Head { at_stop, began, keys, observed: state.observed() }.pack(&mut head);
    put(&mut out, &mut place, &head)?;
    state.stores.velocity.save(|block| put(&mut out, &mut place, block))?;
    put(&mut out, &mut place, &[])?;
    let written = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    written.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(data_dir)?.sync_all()
}

/// Reads what an earlier life has counted, before any rule set decides. What cannot be read is left aside, and windows begin
/// anew. Gives back from when on the decision log is to be observed again, once a rule set decides.
pub(super) fn read(data_dir: &Path, log_key: &[u8; 32], state: &State) -> Option<Timestamp> {
    let (head, keys) = match read_file(data_dir, state) {
        Ok(Some(found)) => found,
        Ok(None) => return None,
        Err(error) => {
            tracing::error!(%error, "the velocity snapshot cannot be read: windows begin anew");
            return None;
        }
    };
    let now = clock::now();
    let since = head.began.saturating_add_ms(-OVERLAP_MS);
    let tail = if head.at_stop { None } else { decision_log::reach(data_dir, log_key, since).transpose() };
    let tail = tail.and_then(|tail| {
        tail.inspect_err(
            |error| tracing::error!(%error, "the decision log cannot be read: velocity does without"),
        )
        .ok()
    });
    let whole_until = tail.filter(|tail| tail.is_whole).map(|tail| tail.until.saturating_add_ms(UNTOLD_MS));
    let go_on = |observed: Observed| match whole_until {
        Some(until) => observed.restored_until(until),
        None => observed.restored(!head.at_stop, now),
    };
    let observed = head.observed.into_iter().map(|(plan, observed)| (plan, go_on(observed)));
    state.go_on_observing(observed.collect());
    tracing::info!(keys, after_kill = !head.at_stop, "velocity goes on from its snapshot");
    tail.map(|_| since)
}

/// Observes the end of the decision log again, behind the snapshot.
pub(super) fn replay(data_dir: &Path, log_key: &[u8; 32], since: Option<Timestamp>, state: &State) {
    let Some(since) = since else { return };
    match decision_log::replay(data_dir, log_key, since, state) {
        Ok(requests) => tracing::info!(requests, "velocity has observed the end of the decision log again"),
        Err(error) => tracing::error!(%error, "the decision log cannot be read: velocity does without"),
    }
}

fn read_file(data_dir: &Path, state: &State) -> io::Result<Option<(Head, usize)>> {
    let path = file(data_dir);
    if !path.exists() {
        return Ok(None);
    }
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is not what was written");
    let now = clock::now();
    // Every part is looked at before the first one is taken in: half of a table would look whole.
    for takes_in in [false, true] {
        let mut input = BufReader::with_capacity(1 << 20, File::open(&path)?);
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(damaged());
        }
        let (mut place, mut bytes) = (0, Vec::new());
        take(&mut input, &mut place, &mut bytes)?;
        let head = Head::unpack(&mut bytes.as_slice()).ok_or_else(damaged)?;
        if head.keys != state.keyring.fingerprints() {
            tracing::warn!("the velocity snapshot is of another network key: windows begin anew");
            return Ok(None);
        }
        let mut is_front = true;
        while take(&mut input, &mut place, &mut bytes)? {
            if takes_in && std::mem::take(&mut is_front) {
                state.stores.velocity.load_front(&bytes).ok_or_else(damaged)?;
            } else if takes_in {
                state.stores.velocity.load(&bytes, now).ok_or_else(damaged)?;
            }
        }
        if takes_in {
            if head.at_stop {
                // If this life is killed, its own events are missing in the file: it must not say that none are.
                fs::remove_file(&path)?;
            }
            return Ok(Some((head, state.stores.velocity.size().keys)));
        }
    }
    Ok(None)
}

/// Writes the table now and then, until `stopped`; at the end once more, and that nothing was screened after it.
pub(super) fn start(
    data_dir: PathBuf,
    every: Duration,
    state: Arc<State>,
    stopped: Receiver<()>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("velocity-file".to_owned()).spawn(move || {
        let save = |at_stop: bool| {
            if let Err(error) = write(&data_dir, &state, at_stop) {
                tracing::error!(%error, "the velocity snapshot cannot be written");
            }
        };
        // At once, so that a kill soon after a start does not forget what was just read.
        save(false);
        while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            save(false);
        }
        save(true);
    })
}
