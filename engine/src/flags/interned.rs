//! Values that many entries share, each kept once and known by a small number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

/// Values by number. Nothing is ever taken out: there are few, and entries hold their numbers.
pub(super) struct Interned<T> {
    values: RwLock<Values<T>>,
}

struct Values<T> {
    by_number: Vec<T>,
    numbers: HashMap<T, u16, foldhash::fast::RandomState>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { values: RwLock::new(Values { by_number: Vec::new(), numbers: HashMap::default() }) }
    }
}

impl<T: Copy + Eq + Hash> Interned<T> {
    /// The number of a value. `None` once 65,535 others are known: its entry is kept in another way.
    pub(super) fn number(&self, value: T) -> Option<u16> {
        if let Some(known) = self.values.read().unwrap_or_else(PoisonError::into_inner).numbers.get(&value) {
            return Some(*known);
        }
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let next = u16::try_from(values.by_number.len()).ok().filter(|number| *number != u16::MAX);
        let number = values.numbers.get(&value).copied().or(next)?;
        if Some(number) == next {
            values.by_number.push(value);
            values.numbers.insert(value, number);
        }
        Some(number)
    }

    /// Gives a value the next number, as it had it when it was written down. `false` where it has another one.
    pub(super) fn append(&self, value: T) -> bool {
        let next = self.len();
        self.number(value).is_some_and(|number| usize::from(number) == next)
    }

    /// The value of a number that was given out.
    pub(super) fn value(&self, number: u16) -> Option<T> {
        self.values.read().unwrap_or_else(PoisonError::into_inner).by_number.get(usize::from(number)).copied()
    }

    /// How many numbers were given out.
    pub(super) fn len(&self) -> usize {
        self.values.read().unwrap_or_else(PoisonError::into_inner).by_number.len()
    }

    /// The values of the numbers from `first` on, and moves `first` behind them.
    pub(super) fn from(&self, first: &mut usize) -> std::vec::IntoIter<T> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let new = values.by_number.get(*first..).unwrap_or_default().to_vec();
        *first += new.len();
        new.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_number_and_the_last_number_is_never_given_out() {
        let interned = Interned::default();
        for value in 0..u32::from(u16::MAX) {
            assert_eq!(interned.number(value), u16::try_from(value).ok());
        }
        assert_eq!(interned.number(1_000_000), None, "full");
        assert_eq!(
            (interned.number(7), interned.value(7), interned.value(u16::MAX)),
            (Some(7), Some(7), None)
        );
    }
}
