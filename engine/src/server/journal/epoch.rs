//! The lives of an engine: each start begins one, and none may be taken for another.

use super::read::{EngineOf, bounds};
use super::store::{COMMITS, META, Store, StoreError, place, storage};
use crate::journal::epoch_at;
use crate::server::clock;
use redb::ReadableDatabase as _;
use sparr_protocol::time::Timestamp;
use std::time::Duration;

const EPOCH: &str = "epoch";

impl Store {
    /// Begins a new epoch of this engine and makes it durable: later than every one before that this file knows of, and
    /// than `above`, whatever the clock says.
    pub fn begin_epoch(&self, of: EngineOf, clock: Timestamp, above: u32) -> Result<u32, StoreError> {
        let last = self.last_epoch(of)?.max(above);
        let epoch = u32::try_from(epoch_at(clock)).unwrap_or(u32::MAX).max(last.saturating_add(1));
        let write = self.database()?.begin_write().map_err(storage)?;
        write.open_table(META).map_err(storage)?.insert(EPOCH, u64::from(epoch)).map_err(storage)?;
        write.commit().map_err(storage)?;
        Ok(epoch)
    }

    /// Waits, for a second at most, until the clock has passed this engine's last epoch. So epochs do not run ahead of the
    /// clock where an engine starts again and again, and one that a copy of this file gives out, put back later, is not one
    /// that this file gives out now. Where the clock was set back by more there is no waiting for it.
    pub fn outlive_last_epoch(&self, of: EngineOf) -> Result<(), StoreError> {
        let (last, now) = (u64::from(self.last_epoch(of)?), clock::now());
        if epoch_at(now) == last {
            let begun_ms = u64::try_from(now.ms()).unwrap_or(0) % 1_000;
            std::thread::sleep(Duration::from_millis(1_000 - begun_ms));
        }
        Ok(())
    }

    /// The last epoch that was given out, or of which records of this engine came back from others; 0 before the first.
    fn last_epoch(&self, of: EngineOf) -> Result<u32, StoreError> {
        let read = self.database()?.begin_read().map_err(storage)?;
        let given = read.open_table(META).map_err(storage)?.get(EPOCH).map_err(storage)?;
        let given = given.map_or(0, |epoch| u32::try_from(epoch.value()).unwrap_or(u32::MAX));
        let commits = read.open_table(COMMITS).map_err(storage)?;
        let (first, last) = bounds(of);
        let mut own = commits.range(first.as_slice()..=last.as_slice()).map_err(storage)?;
        let Some((key, _)) = own.next_back().transpose().map_err(storage)? else { return Ok(given) };
        let (origin, _) = place(key.value()).ok_or(StoreError::Key)?;
        Ok(given.max(origin.epoch))
    }
}
