//! Velocity over a restart: the table in a file, written now and then and at an ordered stop.
//!
//! The file begins with a magic word, whether it was written at an ordered stop, and how each key was observed; then come
//! blocks of keys. Each part has its length and a digest. It is written under another name and gets its own when it is
//! durable. Keys are pseudonyms, so a file of another network key is of no use and is left aside.
//!
//! After an ordered stop nothing is missing: windows hold what this engine has screened. After a kill the events since the
//! file was written are missing; the windows go on with what is known and say so (`window_warming`) until they have filled.

use super::clock;
use crate::pack::Pack;
use crate::state::State;
use crate::velocity::Observed;
use crate::velocity::spec::KeyPlan;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const MAGIC: &[u8; 8] = b"sparrve2";
/// No part is longer: a length that lies asks for no memory.
const PART_BYTES_MAX: u32 = 16 << 20;

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("velocity.snapshot")
}

/// What stands in front of the keys.
struct Head {
    /// Whether nothing was screened after it was written.
    at_stop: bool,
    keys: Vec<[u8; 16]>,
    observed: Vec<(KeyPlan, Observed)>,
}

crate::pack::pack_fields!(Head { at_stop, keys, observed });

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
    Head { at_stop, keys: state.keyring.fingerprints(), observed: state.observed() }.pack(&mut head);
    put(&mut out, &mut place, &head)?;
    state.stores.velocity.save(|block| put(&mut out, &mut place, block))?;
    put(&mut out, &mut place, &[])?;
    let written = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    written.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(data_dir)?.sync_all()
}

/// Reads what an earlier life has counted, before any rule set decides. What cannot be read is left aside, and windows begin
/// anew.
pub(super) fn read(data_dir: &Path, state: &State) {
    match read_file(data_dir, state) {
        Ok(Some((head, keys))) => {
            let now = clock::now();
            let lost = !head.at_stop;
            let observed = head.observed.into_iter();
            let observed = observed.map(|(plan, observed)| (plan, observed.restored(lost, now)));
            state.go_on_observing(observed.collect());
            tracing::info!(keys, after_kill = lost, "velocity goes on from its snapshot");
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(%error, "the velocity snapshot cannot be read: windows begin anew");
        }
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
        while take(&mut input, &mut place, &mut bytes)? {
            if takes_in {
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
