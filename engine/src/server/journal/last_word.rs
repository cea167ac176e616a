//! Where the engine's own chain ended, said in a small file beside the journal when the engine ended in order, and taken back
//! before the next record.
//!
//! After an ordered end redb believes its header. A header or a page that shows an older state, whole in itself, would
//! otherwise be served without anybody noticing: the last raises would be gone. A file that does not read as it should
//! says nothing: it is a second opinion, and its loss costs no flag.

use sparr_protocol::record::RecordDigest;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file and what it said.
pub(super) struct LastWord {
    file: PathBuf,
    said: Option<RecordDigest>,
    stands: AtomicBool,
}

impl LastWord {
    /// Reads what was said, if something was.
    pub(super) fn read(file: PathBuf) -> Self {
        let said = fs::read_to_string(&file).ok().and_then(|text| {
            let (digest, check) = text.trim_end().split_once(' ')?;
            let is_whole = check == check_of(digest);
            blake3::Hash::from_hex(digest).ok().filter(|_| is_whole).map(|digest| *digest.as_bytes())
        });
        let stands = AtomicBool::new(file.exists());
        Self { file, said, stands }
    }

    /// The digest of the last record, where the engine ended in order and nothing was added since.
    pub(super) fn standing(&self) -> Option<RecordDigest> {
        self.said.filter(|_| self.stands.load(Ordering::Relaxed))
    }

    /// Takes it back: what follows moves the end.
    pub(super) fn take_back(&self) -> io::Result<()> {
        if self.stands.load(Ordering::Relaxed) {
            match fs::remove_file(&self.file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            self.sync_folder()?;
            self.stands.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Says where the chain ends. An error leaves nothing said, which the next start takes for an end without order.
    pub(super) fn say(&self, head: &RecordDigest) {
        let digest = blake3::Hash::from_bytes(*head).to_hex();
        let written = File::create(&self.file).and_then(|mut file| {
            file.write_all(format!("{digest} {}\n", check_of(&digest)).as_bytes())?;
            file.sync_all()?;
            self.sync_folder()
        });
        if let Err(error) = written {
            tracing::warn!(%error, "the journal's end could not be noted beside it");
        }
    }

    /// Makes what was made or removed in the folder durable.
    fn sync_folder(&self) -> io::Result<()> {
        self.file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

/// A checksum of the line, so that a rotten one is told from a journal that lost something.
fn check_of(digest: &str) -> String {
    blake3::hash(digest.as_bytes()).to_hex()[..16].to_owned()
}
