//! Ids that are forgotten together.
//!
//! An index of eight bytes for each id, and what is kept of it in chunks that never move. In a plain map it would lie in the
//! map, and as all shards fill alike, all of them would move all their answers at about the same moment: what the
//! slowest request waits for (`benches/BUDGET.md`, "Ids").

use super::{CallerNo, Kept};
use crate::compact_index::Index;
use sparr_protocol::ids::RequestId;

/// Rows of a chunk.
const CHUNK: usize = 128;

/// An id and who gave it.
pub(super) type Key = (RequestId, CallerNo);

/// What is kept of an id.
struct Row {
    key: Key,
    kept: Kept,
}

/// Some ids. The print of a key is 32 bits of a hash that its givers cannot foresee.
#[derive(Default)]
pub(super) struct Generation {
    index: Index,
    chunks: Vec<Vec<Row>>,
    /// Rows that were ever used since the last [`clear`](Self::clear).
    used: usize,
    /// Rows of ids that were given back.
    free: Vec<u32>,
}

impl Generation {
    /// How many ids it holds.
    pub(super) fn len(&self) -> usize {
        self.used - self.free.len()
    }

    /// Whether it holds none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find(&self, print: u32, key: Key) -> Option<u32> {
        self.index.find(print, |at| self.row(at).is_some_and(|row| row.key == key))
    }

    fn row(&self, at: u32) -> Option<&Row> {
        self.chunks.get(at as usize / CHUNK)?.get(at as usize % CHUNK)
    }

    fn row_mut(&mut self, at: u32) -> Option<&mut Row> {
        self.chunks.get_mut(at as usize / CHUNK)?.get_mut(at as usize % CHUNK)
    }

    /// What is kept of an id.
    pub(super) fn get(&self, print: u32, key: Key) -> Option<&Kept> {
        self.find(print, key).and_then(|at| self.row(at)).map(|row| &row.kept)
    }

    /// What is kept of an id.
    pub(super) fn get_mut(&mut self, print: u32, key: Key) -> Option<&mut Kept> {
        self.find(print, key).and_then(|at| self.row_mut(at)).map(|row| &mut row.kept)
    }

    /// Keeps an id that it does not hold.
    pub(super) fn add(&mut self, print: u32, key: Key, kept: Kept) {
        let row = Row { key, kept };
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(free) = self.row_mut(at) {
                    *free = row;
                }
                at
            }
            None => {
                let at = self.used;
                if at / CHUNK == self.chunks.len() {
                    self.chunks.push(Vec::with_capacity(CHUNK));
                }
                self.chunks[at / CHUNK].push(row);
                self.used += 1;
                at as u32
            }
        };
        self.index.add(print, at);
    }

    /// Gives an id back.
    pub(super) fn remove(&mut self, print: u32, key: Key) {
        if let Some(at) = self.find(print, key) {
            self.index.remove(print, at);
            self.free.push(at);
        }
    }

    /// Forgets all, and keeps its room.
    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.chunks.iter_mut().for_each(Vec::clear);
        self.free.clear();
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Binding, BodyDigest};
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn kept(number: u64) -> Kept {
        Kept { body: BodyDigest(number), binding: Binding(number), answer: None }
    }

    proptest! {
        /// Few ids, so that many come again, and fewer prints, so that many share one.
        #[test]
        fn it_holds_what_a_plain_map_holds(steps in prop::collection::vec((0u8..60, 0u8..100), 1..2_000)) {
            let (mut generation, mut plain) = (Generation::default(), HashMap::new());
            for (number, (id, what)) in (0u64..).zip(steps) {
                let (key, print) = ((RequestId([id; 16]), CallerNo(u16::from(id % 2))), u32::from(id / 4));
                match what {
                    0 => {
                        generation.clear();
                        plain.clear();
                    }
                    1..40 => {
                        generation.remove(print, key);
                        plain.remove(&key);
                    }
                    _ if generation.get(print, key).is_none() => {
                        generation.add(print, key, kept(number));
                        plain.insert(key, number);
                    }
                    _ => {
                        if let Some(known) = generation.get_mut(print, key) {
                            known.body = BodyDigest(number);
                        }
                        plain.insert(key, number);
                    }
                }
                prop_assert_eq!((generation.len(), generation.is_empty()), (plain.len(), plain.is_empty()));
                let known = generation.get(print, key).map(|kept| kept.body.0);
                prop_assert_eq!(known, plain.get(&key).copied());
            }
        }
    }
}
