//! What velocity takes: how many keys, and how many bytes, of each key expression.

use super::spec::KeyExpr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Size of the table, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VelocitySize {
    /// Live keys.
    pub keys: usize,
    /// Bytes that the table takes: its places, those for keys to come included, and what records have beside it.
    pub bytes: usize,
}

/// Size of all records of one key expression, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySize {
    /// Whose records.
    pub key: KeyExpr,
    /// Live keys.
    pub keys: usize,
    /// Bytes that their records take, without room for keys to come.
    pub bytes: usize,
}

/// Counters that change when a key comes, grows or goes: most events change none.
pub(super) struct Sizes {
    keys: AtomicUsize,
    by_expr: Box<[Size; 256]>,
}

#[derive(Default)]
struct Size {
    keys: AtomicUsize,
    heap_bytes: AtomicUsize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { keys: AtomicUsize::new(0), by_expr: Box::new(std::array::from_fn(|_| Size::default())) }
    }
}

impl Sizes {
    fn at(&self, expr: u8) -> &Size {
        &self.by_expr[usize::from(expr)]
    }

    /// Live keys of all expressions.
    pub(super) fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// A key has come.
    pub(super) fn added(&self, expr: u8, heap_bytes: usize) {
        self.keys.fetch_add(1, Ordering::Relaxed);
        self.at(expr).keys.fetch_add(1, Ordering::Relaxed);
        self.grown(expr, heap_bytes);
    }

    /// A key's record has grown.
    pub(super) fn grown(&self, expr: u8, bytes: usize) {
        self.at(expr).heap_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A key has gone.
    pub(super) fn removed(&self, expr: u8, heap_bytes: usize) {
        self.keys.fetch_sub(1, Ordering::Relaxed);
        self.at(expr).keys.fetch_sub(1, Ordering::Relaxed);
        self.at(expr).heap_bytes.fetch_sub(heap_bytes, Ordering::Relaxed);
    }

    /// All of it, for a table that takes so many bytes.
    pub(super) fn all(&self, table_bytes: usize) -> VelocitySize {
        let heap: usize = self.by_expr.iter().map(|size| size.heap_bytes.load(Ordering::Relaxed)).sum();
        VelocitySize { keys: self.keys(), bytes: table_bytes + heap }
    }

    /// One expression.
    pub(super) fn of(&self, key: KeyExpr, slot_bytes: usize) -> KeySize {
        let size = self.at(key.number());
        let keys = size.keys.load(Ordering::Relaxed);
        KeySize { key, keys, bytes: keys * slot_bytes + size.heap_bytes.load(Ordering::Relaxed) }
    }
}
