//! Where the record of each key lies in a table: eight bytes a key, so that a look-up reads one line of memory.
//!
//! Open addressing with linear probing. An entry holds a print, 32 bits of a hash of its key, which tell it from nearly all
//! others, and the record's number. Entries are moved when the index grows or one goes, without looking at what they
//! stand for: a table that grows moves eight bytes a key, and its records stay where they are.

use crate::prefetch::prefetch;

/// A print, and the number of its record plus one; zero is free.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Entry(u64);

impl Entry {
    const FREE: Self = Self(0);

    const fn of(print: u32, at: u32) -> Self {
        Self((print as u64) << 32 | (at as u64 + 1))
    }

    const fn print(self) -> u32 {
        (self.0 >> 32) as u32
    }

    const fn at(self) -> u32 {
        (self.0 as u32).wrapping_sub(1)
    }
}

/// The index of one table.
#[derive(Default)]
pub(crate) struct Index {
    /// A power of two of entries, a quarter of them free; none before the first.
    entries: Box<[Entry]>,
    taken: usize,
}

impl Index {
    fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    /// Where the entry of a print belongs. Prints are uniform.
    fn home(&self, print: u32) -> usize {
        print as usize & self.mask()
    }

    /// Has the line of memory fetched in which the entry of a print lies.
    pub(crate) fn expect(&self, print: u32) {
        if !self.entries.is_empty() {
            prefetch(&self.entries[self.home(print)]);
        }
    }

    /// Finds the record that `is_it` knows among those with this print.
    pub(crate) fn find(&self, print: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let at = self.position(print, |entry| is_it(entry.at()))?;
        Some(self.entries[at].at())
    }

    fn position(&self, print: u32, mut is_it: impl FnMut(Entry) -> bool) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        let mut at = self.home(print);
        // A quarter is free, so this ends.
        while self.entries[at] != Entry::FREE {
            let entry = self.entries[at];
            if entry.print() == print && is_it(entry) {
                return Some(at);
            }
            at = (at + 1) & self.mask();
        }
        None
    }

    /// Adds a record that is not there.
    pub(crate) fn add(&mut self, print: u32, at: u32) {
        if (self.taken + 1) * 4 > self.entries.len() * 3 {
            self.grow();
        }
        self.taken += 1;
        self.put(Entry::of(print, at));
    }

    fn put(&mut self, entry: Entry) {
        let mut at = self.home(entry.print());
        while self.entries[at] != Entry::FREE {
            at = (at + 1) & self.mask();
        }
        self.entries[at] = entry;
    }

    fn grow(&mut self) {
        let room = (self.entries.len() * 2).max(8);
        let before = std::mem::replace(&mut self.entries, vec![Entry::FREE; room].into());
        before.iter().filter(|entry| **entry != Entry::FREE).for_each(|entry| self.put(*entry));
    }

    /// Removes a record. What comes behind it moves up, as far as it belongs there: a search never meets a hole.
    pub(crate) fn remove(&mut self, print: u32, record: u32) {
        let Some(mut hole) = self.position(print, |entry| entry.at() == record) else { return };
        self.taken -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask();
            let entry = self.entries[at];
            if entry == Entry::FREE {
                break;
            }
            // It may move up to the hole if its home is not between the two.
            let from_home = at.wrapping_sub(self.home(entry.print())) & self.mask();
            let from_hole = at.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = Entry::FREE;
    }

    /// Forgets all, and keeps its room.
    pub(crate) fn clear(&mut self) {
        self.entries.fill(Entry::FREE);
        self.taken = 0;
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Few prints, so that many records share one and their runs wrap round the end.
        #[test]
        fn it_finds_what_a_plain_map_finds(steps in prop::collection::vec((0u32..40, prop::bool::ANY), 1..400)) {
            let (mut index, mut plain) = (Index::default(), HashMap::new());
            for (number, (what, comes)) in (0u32..).zip(steps) {
                // Homes at the end and the beginning of the index.
                let print = if what % 3 == 0 { u32::MAX - what % 4 } else { what % 7 };
                let key = (print, what);
                if comes && !plain.contains_key(&key) {
                    index.add(print, number);
                    plain.insert(key, number);
                } else if let Some(record) = plain.remove(&key) {
                    index.remove(print, record);
                }
                prop_assert_eq!(index.taken, plain.len());
                for ((print, _), record) in &plain {
                    prop_assert_eq!(index.find(*print, |at| at == *record), Some(*record));
                }
                let gone = index.find(print, |at| at == number && plain.get(&key) != Some(&number));
                prop_assert_eq!(gone, None);
            }
        }
    }
}
