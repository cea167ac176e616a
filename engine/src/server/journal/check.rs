//! After an unclean stop: the part of the journal that a snapshot stands for is read as well, while the engine serves.
//!
//! What is served does not hang on it: the snapshot was made of records that were checked, and everything after it is read
//! before the engine is ready. But a journal that is damaged must not be written on as if it were whole.

use super::store::{Store, StoreError};
use crate::metrics::Metrics;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file that is there as long as an engine runs.
pub(super) struct Running {
    marker: PathBuf,
    /// Whether the last engine did not stop by itself.
    pub(super) was_unclean: bool,
}

impl Running {
    /// Notes that an engine runs on this folder.
    pub(super) fn begin(data_dir: &Path) -> io::Result<Self> {
        let marker = data_dir.join("journal.running");
        let was_unclean = marker.exists();
        fs::write(&marker, "An engine runs here, or did not stop by itself: then the journal is checked.\n")?;
        Ok(Self { marker, was_unclean })
    }

    /// The engine stops by itself, with a whole journal.
    pub(super) fn end(&self) {
        if let Err(error) = fs::remove_file(&self.marker) {
            tracing::warn!(%error, "the next start will check the whole journal");
        }
    }
}

/// Reads the whole journal on a thread of its own. `is_damaged` is set where a chain does not hold.
pub(super) fn start(
    store: &Store,
    is_damaged: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
) -> Result<(), StoreError> {
    let reading = store.reading()?;
    let thread = std::thread::Builder::new().name("journal-check".to_owned());
    let check = move || {
        let mut records = 0u64;
        let checked = super::guarded(Path::new(super::writer::FILE), || {
            reading.replay_after(&[], |_| {
                records += 1;
                Ok(())
            })
        });
        match checked {
            Ok(_) => tracing::info!(records, "the journal is whole"),
            Err(error) => {
                tracing::error!(%error, "the journal is damaged: screening goes on, and nothing is changed any more");
                metrics.journal_failed();
                is_damaged.store(true, Ordering::Release);
            }
        }
    };
    thread.spawn(check).map(drop).map_err(|error| StoreError::Storage(redb::Error::Io(error)))
}
