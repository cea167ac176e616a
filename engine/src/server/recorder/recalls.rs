//! The list of recalls, and who watches it.

use crate::recent::Recall;
use sparr_protocol::exchange::{ExchangeAnswer, RecallEntry, Said};
use sparr_protocol::ids::RequestId;
use sparr_protocol::response::Position;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::UnboundedSender;

/// Recalls that are kept; the oldest go first.
const RECALLS_MAX: usize = 10_000;
/// Streams that are told of each recall as it is found.
const WATCHERS_MAX: usize = 16;

/// What was found since the engine was started.
#[derive(Default)]
pub(in crate::server) struct Recalls {
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    found: VecDeque<RecallEntry>,
    last: u64,
    watchers: Vec<(RequestId, UnboundedSender<Vec<u8>>)>,
}

impl Recalls {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was found, and tells everybody who watches.
    pub(super) fn add(&self, found: Vec<Recall>, position: Position) {
        let list = &mut *self.list();
        for recall in found {
            list.last += 1;
            let Recall { request_id, payment_id, answered_at, was, is, cause, found_at } = recall;
            let number = list.last;
            let entry = RecallEntry { number, request_id, payment_id, answered_at, found_at, was, is, cause };
            // Who has gone is no longer told.
            list.watchers.retain(|(id, watcher)| watcher.send(frame(*id, position, &entry)).is_ok());
            if list.found.len() == RECALLS_MAX {
                list.found.pop_front();
            }
            list.found.push_back(entry);
        }
    }

    /// Those with a higher number than this.
    pub(in crate::server) fn after(&self, number: u64) -> Vec<RecallEntry> {
        self.list().found.iter().filter(|entry| entry.number > number).cloned().collect()
    }

    /// Sends those with a higher number than this, and from then on every other one. `false` where too many watch.
    pub(in crate::server) fn watch(
        &self,
        id: RequestId,
        number: u64,
        position: Position,
        watcher: UnboundedSender<Vec<u8>>,
    ) -> bool {
        let list = &mut *self.list();
        list.watchers.retain(|(_, watcher)| !watcher.is_closed());
        if list.watchers.len() >= WATCHERS_MAX {
            return false;
        }
        for entry in list.found.iter().filter(|entry| entry.number > number) {
            // Who has gone already is found out at the next recall.
            let _ = watcher.send(frame(id, position, entry));
        }
        list.watchers.push((id, watcher));
        true
    }

    /// How many were found.
    pub(in crate::server) fn found(&self) -> u64 {
        self.list().last
    }
}

fn frame(id: RequestId, position: Position, entry: &RecallEntry) -> Vec<u8> {
    let mut bytes = Vec::new();
    ExchangeAnswer { id, position, said: Said::Recalled(Box::new(entry.clone())) }.encode(&mut bytes);
    bytes
}
