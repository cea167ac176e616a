//! What places of rules mean: the ids of each rule set's rules, kept beside the segments, so that hits have names though the
//! copy of the set is gone.

use crate::recent::Reads;
use sparr_protocol::ids::RuleSetDigest;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

fn file(folder: &Path, digest: RuleSetDigest) -> PathBuf {
    folder.join(format!("{digest}.rules"))
}

/// Keeps the names of a set's rules, durably, where they are not there yet.
pub(super) fn keep(folder: &Path, set: &Reads) -> io::Result<()> {
    let path = file(folder, set.digest);
    if path.exists() {
        return Ok(());
    }
    let body = set.rules.join("\n");
    let unfinished = path.with_extension("new");
    let mut out = fs::File::create(&unfinished)?;
    write!(out, "{}\n{body}", blake3::hash(body.as_bytes()).to_hex())?;
    out.sync_all()?;
    fs::rename(&unfinished, &path)?;
    fs::File::open(folder)?.sync_all()
}

/// The names of a set's rules; none where they are not there, or not whole.
pub(super) fn read(folder: &Path, digest: RuleSetDigest) -> Option<Vec<String>> {
    let text = fs::read_to_string(file(folder, digest)).ok()?;
    let (sum, body) = text.split_once('\n')?;
    let whole = sum == blake3::hash(body.as_bytes()).to_hex().as_str();
    whole.then(|| body.lines().map(str::to_owned).collect())
}
