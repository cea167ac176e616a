//! A filter in front of a set: nearly every value that a payment brings is unknown, and one cache line says so.
//!
//! A blocked Bloom filter ("Cache-, Hash- and Space-Efficient Bloom Filters", Putze, Sanders, Singler 2007): all bits of
//! a key lie in 32 bytes. Between 16 and 20 bits a key, some 0.2 % of the unknown are asked for in the set behind it.
//! It never says "unknown" of a key that was inserted. Keys are pseudonyms, keyed digests that nobody can choose, so
//! their own bits are the hash.

use arc_swap::ArcSwap;
use sparr_protocol::ids::Pseudonym;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Words of a block, and bits of a key in each.
const WORDS: usize = 4;
const BITS_PER_BLOCK: usize = WORDS * 64;

/// With fewer bits a key than this, the filter grows …
const BITS_PER_KEY_MIN: usize = 16;
/// … to so many.
const BITS_PER_KEY_GROWN: usize = 20;

/// Blocks of an empty filter.
const BLOCKS_FIRST: usize = 64;

/// Keys that one question is about at most.
pub const KEYS_MAX: usize = 64;

#[derive(Default)]
#[repr(align(32))]
struct Block([AtomicU64; WORDS]);

struct Blocks(Box<[Block]>);

impl Blocks {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| Block::default()).collect())
    }

    fn of(keys: usize, all: impl FnOnce(&mut dyn FnMut(Pseudonym))) -> Self {
        let grown = Self::new((keys * BITS_PER_KEY_GROWN / BITS_PER_BLOCK).max(BLOCKS_FIRST));
        all(&mut |key| grown.insert(key));
        grown
    }

    /// The key's block, and its bits there.
    #[inline]
    fn place(&self, key: Pseudonym) -> (&Block, [u64; WORDS]) {
        let (bits, place) = halves(key);
        let at = ((u128::from(place) * self.0.len() as u128) >> 64) as usize;
        let mask = |word: usize| 1 << (bits >> (12 * word) & 63) | 1 << (bits >> (12 * word + 6) & 63);
        (&self.0[at], std::array::from_fn(mask))
    }

    fn insert(&self, key: Pseudonym) {
        let (block, mask) = self.place(key);
        for (word, mask) in block.0.iter().zip(mask) {
            word.fetch_or(mask, Ordering::Relaxed);
        }
    }

    #[inline]
    fn contains(&self, key: Pseudonym) -> bool {
        let (block, mask) = self.place(key);
        let missing =
            |missing, (word, mask): (&AtomicU64, u64)| missing | mask & !word.load(Ordering::Relaxed);
        block.0.iter().zip(mask).fold(0, missing) == 0
    }
}

/// The two halves of a key, as numbers.
#[inline]
fn halves(key: Pseudonym) -> (u64, u64) {
    let whole = u128::from_be_bytes(key.0);
    ((whole >> 64) as u64, whole as u64)
}

/// Which keys a set may know.
pub struct Filter {
    blocks: ArcSwap<Blocks>,
    keys: AtomicUsize,
    /// Who inserts holds it for reading; who makes the filter anew, for writing: no key falls between two filters.
    growing: RwLock<()>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            blocks: ArcSwap::from_pointee(Blocks::new(BLOCKS_FIRST)),
            keys: AtomicUsize::new(0),
            growing: RwLock::default(),
        }
    }
}

impl Filter {
    /// Takes in a key that the set behind it has just taken in for the first time. Where it has become too dense, it
    /// is made anew from `all`, which calls its argument with every key of that set.
    pub fn insert(&self, key: Pseudonym, all: impl FnOnce(&mut dyn FnMut(Pseudonym))) {
        let keys = self.keys.fetch_add(1, Ordering::Relaxed) + 1;
        let is_dense = {
            let _inserting = self.growing.read().unwrap_or_else(PoisonError::into_inner);
            let blocks = self.blocks.load();
            blocks.insert(key);
            is_dense(&blocks, keys)
        };
        if is_dense {
            self.grow(keys, all);
        }
    }

    fn grow(&self, keys: usize, all: impl FnOnce(&mut dyn FnMut(Pseudonym))) {
        let _alone = self.growing.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have done it meanwhile.
        if is_dense(&self.blocks.load(), keys) {
            self.blocks.store(Arc::new(Blocks::of(keys, all)));
        }
    }

    /// Makes the filter of a set that was filled without it, with so many keys.
    pub fn make(&self, keys: usize, all: impl FnOnce(&mut dyn FnMut(Pseudonym))) {
        let _alone = self.growing.write().unwrap_or_else(PoisonError::into_inner);
        self.keys.store(keys, Ordering::Relaxed);
        self.blocks.store(Arc::new(Blocks::of(keys, all)));
    }

    /// Whether the set may know a key. `false` is certain.
    #[inline]
    pub fn may_know(&self, key: Pseudonym) -> bool {
        self.blocks.load().contains(key)
    }

    /// Which of several keys the set may know, one bit each: their cache misses overlap, because nothing here waits for
    /// an answer before it asks the next question. Of at most [`KEYS_MAX`] keys; those after them are said to be known.
    #[inline]
    pub fn may_know_which(&self, keys: &[Pseudonym]) -> u64 {
        let blocks = self.blocks.load();
        keys.iter()
            .take(KEYS_MAX)
            .enumerate()
            .fold(0, |known, (at, key)| known | u64::from(blocks.contains(*key)) << at)
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.blocks.load().0.len() * size_of::<Block>()
    }
}

fn is_dense(blocks: &Blocks, keys: usize) -> bool {
    blocks.0.len() * BITS_PER_BLOCK < keys * BITS_PER_KEY_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pseudonym that is as random as a real one.
    fn pseudonym(number: u64) -> Pseudonym {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
        Pseudonym(bytes)
    }

    #[test]
    fn what_was_inserted_is_known_through_every_growth_and_little_else_is() {
        let filter = Filter::default();
        const KEYS: u64 = 50_000;
        for number in 0..KEYS {
            filter.insert(pseudonym(number), |insert| (0..=number).map(pseudonym).for_each(insert));
        }
        let known: Vec<_> = (0..KEYS).map(pseudonym).collect();
        assert!(known.iter().all(|key| filter.may_know(*key)));
        assert!(
            known
                .chunks(KEYS_MAX)
                .all(|keys| filter.may_know_which(keys).count_ones() as usize == keys.len())
        );
        let strangers: Vec<_> = (KEYS..2 * KEYS).map(pseudonym).collect();
        let mistaken = strangers.iter().filter(|key| filter.may_know(**key)).count();
        assert!(mistaken * 100 < KEYS as usize, "{mistaken} of {KEYS}: less than one in a hundred");
        let together: u32 =
            strangers.chunks(KEYS_MAX).map(|keys| filter.may_know_which(keys).count_ones()).sum();
        assert_eq!(together as usize, mistaken);
        assert!(
            (2 * KEYS as usize..=5 * KEYS as usize / 2 + 64).contains(&filter.bytes()),
            "{}",
            filter.bytes()
        );
    }
}
