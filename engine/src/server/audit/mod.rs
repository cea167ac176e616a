//! The audit: who asked about whom. Every look-up and every number that nobody was ever given leaves a line on the disk,
//! chained and checksummed, with pseudonyms alone.
//!
//! A thread of its own writes what has come in, all at once: a look-up waits for nothing. After a kill at most what came
//! in during the last fsync is missing, and the next life writes a `gap`. Where the disk takes nothing in, look-ups are
//! refused as soon as too much waits: what cannot be audited is not answered. Screening is not concerned.

mod entry;
mod file;

pub use entry::{Entry, Event, Looked};
pub use file::Found;

use super::clock;
use super::keys::SigningKey;
use crate::metrics::Metrics;
use crate::state::State;
use crossbeam::channel::{Receiver, Sender, bounded};
use file::{Writer, folder, read};
use sparr_protocol::exchange::Refusal;
use sparr_protocol::time::Timestamp;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Lines that may wait for the disk.
const WAITING_MAX: usize = 8_192;
/// Lines that are written at once.
const LINES_AT_ONCE_MAX: usize = 1_024;
/// How long a disk that takes nothing in is left alone.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Hands lines to the audit's thread.
#[derive(Clone)]
pub struct AuditHandle(Sender<Entry>);

impl AuditHandle {
    /// Notes what happened.
    ///
    /// # Errors
    /// `overloaded` where too much waits for the disk: what is not noted is not answered.
    pub(super) fn note(&self, event: Event) -> Result<(), Refusal> {
        let entry = Entry { at_ms: clock::now().ms(), event };
        self.0.try_send(entry).map_err(|_| Refusal::Overloaded)
    }
}

/// Starts the audit behind what is there, and gives the looks at flagged people back to the state. The thread ends when
/// every handle is gone, after the line that says so.
pub fn start(
    data_dir: &Path,
    key: &SigningKey,
    epoch: u32,
    state: &State,
    metrics: Arc<Metrics>,
) -> io::Result<(AuditHandle, JoinHandle<()>)> {
    let mut oldest = None;
    let (mut writer, last, found) = Writer::open(&folder(data_dir), key.audit_key(), |entry| {
        oldest.get_or_insert(entry.at_ms);
        if let Some((subject, look)) = entry.look() {
            state.stores.flags.looks.note(subject, look);
        }
    })?;
    for finding in &found.findings {
        tracing::error!(finding, "the audit is damaged; a new segment begins");
    }
    let now = clock::now().ms();
    state.looks_are_known_since(Timestamp::from_ms(oldest.unwrap_or(now)));
    let mut first = Vec::new();
    if let Some(last) = last.filter(|last| last.event != Event::Stopped) {
        first.push(Entry { at_ms: now, event: Event::Gap { last_ms: last.at_ms } });
    }
    first.push(Entry { at_ms: now, event: Event::Began { epoch } });
    let (lines, waiting) = bounded(WAITING_MAX);
    let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
        write(&mut writer, first, &waiting, &metrics);
    })?;
    Ok((AuditHandle(lines), thread))
}

/// Writes what comes in until every handle is gone.
fn write(writer: &mut Writer, mut batch: Vec<Entry>, waiting: &Receiver<Entry>, metrics: &Metrics) {
    let mut is_over = false;
    loop {
        batch.extend(waiting.try_iter().take(LINES_AT_ONCE_MAX.saturating_sub(batch.len())));
        if batch.is_empty() {
            match waiting.recv() {
                Ok(entry) => batch.push(entry),
                Err(_) if is_over => return,
                Err(_) => {
                    is_over = true;
                    batch.push(Entry { at_ms: clock::now().ms(), event: Event::Stopped });
                }
            }
            continue;
        }
        match writer.append(&batch) {
            Ok(()) => {
                metrics.audited(batch.len());
                batch.clear();
            }
            // An engine that ends does not wait for a broken disk: the missing line says that something is missing.
            Err(error) if is_over => {
                return tracing::error!(%error, "the end of the audit could not be written");
            }
            Err(error) => {
                metrics.audit_failed();
                tracing::error!(%error, "the audit could not be written; look-ups wait for it");
                std::thread::sleep(RETRY_AFTER);
            }
        }
    }
}

/// Reads the audit of a data folder, beside a running engine or without one, and checks it.
pub fn verify(data_dir: &Path, each: impl FnMut(&Entry)) -> Result<Found, String> {
    let folder = folder(data_dir);
    if !folder.is_dir() {
        return Err(format!("{}: there is no audit", folder.display()));
    }
    let key =
        SigningKey::from_file(&data_dir.join("keys").join("signing-1.key")).map_err(|e| e.to_string())?;
    read(&folder, key.audit_key(), each).map_err(|error| format!("{}: {error}", folder.display()))
}
