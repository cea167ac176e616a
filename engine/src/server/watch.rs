//! Loading rules when their files change.
//!
//! The folder is watched and not the files: editors and configuration maps replace files by renaming. Changes come in
//! bursts, so quiet is waited for first, and then until the last activation is old enough.

use super::reload::{Cause, Reloader};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long nothing must have changed before the files are read.
const QUIET: Duration = Duration::from_millis(300);

/// Watches a folder until the watcher that is given back is dropped.
pub(super) fn start(dir: &Path, reloader: Arc<Reloader>) -> notify::Result<RecommendedWatcher> {
    let (changed, changes) = channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Being read changes nothing. A receiver that is gone says that the engine stops.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = changed.send(());
        }
    })?;
    watcher.watch(dir, RecursiveMode::Recursive)?;
    std::thread::Builder::new().name("rule-watch".to_owned()).spawn(move || {
        while changes.recv().is_ok() {
            loop {
                match changes.recv_timeout(QUIET.max(reloader.damping_left())) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            reloader.reload(Cause::Watch);
        }
    })?;
    Ok(watcher)
}
