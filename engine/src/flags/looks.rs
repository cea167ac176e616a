//! Who looked at a person's flag: the last few looks of each flagged person, for the report that the person may ask for.
//!
//! In memory alone, since this engine started; the report says since when.

use dashmap::DashMap;
use sparr_protocol::exchange::Look;
use sparr_protocol::ids::Pseudonym;
use std::collections::VecDeque;

/// Looks that are kept of one person.
pub const LOOKS_KEPT: usize = 32;

/// Flagged persons whose looks are kept. Beyond that, nobody new is followed.
const PERSONS_KEPT: usize = 1_000_000;

/// The last looks at each flagged person.
#[derive(Default)]
pub struct Looks {
    by_subject: DashMap<Pseudonym, VecDeque<Look>, foldhash::fast::RandomState>,
}

impl Looks {
    /// Somebody looked.
    pub fn note(&self, subject: Pseudonym, look: Look) {
        if !self.by_subject.contains_key(&subject) && self.by_subject.len() >= PERSONS_KEPT {
            return;
        }
        let mut looks = self.by_subject.entry(subject).or_default();
        if looks.len() >= LOOKS_KEPT {
            looks.pop_front();
        }
        looks.push_back(look);
    }

    /// The last looks, oldest first.
    pub fn of(&self, subject: Pseudonym) -> Vec<Look> {
        self.by_subject.get(&subject).map_or_else(Vec::new, |looks| looks.iter().copied().collect())
    }
}
