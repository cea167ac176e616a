//! The disk by itself, in the same run: what it takes to make a record durable at every other engine, without engines.

use crate::{Failure, now};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::thread;

/// What an engine writes for one record: redb's pages are of this size.
const BYTES: [u8; 4_096] = [7; 4_096];

/// Files that are written to and synced at once.
pub(crate) struct Disk(Vec<File>);

impl Disk {
    pub(crate) fn new(folder: &Path, files: usize) -> Result<Self, Failure> {
        let file = |number| File::create(folder.join(format!("plain-{number}")));
        Ok(Self((0..files).map(file).collect::<Result<_, _>>()?))
    }

    /// Writes a page to each file and syncs it, all at once, and says how long it took until the last was durable, ms.
    pub(crate) fn sync_all(&mut self) -> Result<f64, Failure> {
        let began = now();
        thread::scope(|scope| {
            let writers: Vec<_> = self
                .0
                .iter_mut()
                .map(|file| {
                    scope.spawn(move || {
                        file.write_all(&BYTES)?;
                        file.sync_data()
                    })
                })
                .collect();
            writers
                .into_iter()
                .try_for_each(|writer| writer.join().map_err(|_| "a writer panicked")?.map_err(Failure::from))
        })?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }
}
