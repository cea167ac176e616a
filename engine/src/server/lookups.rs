//! How many different people a member's desks may look up in a day: nobody walks through all numbers.

use super::audit::AuditHandle;
use sparr_protocol::ids::{MemberName, Pseudonym};
use sparr_protocol::time::Date;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

/// What every look-up passes: the budget, and the audit.
pub(super) struct Looking {
    /// How many different people may still be looked up.
    pub(super) budget: Lookups,
    /// Where each look-up is noted.
    pub(super) audit: AuditHandle,
    /// Look-ups of numbers that nobody was ever given: each has its own line already.
    pub(super) honey: AtomicU64,
}

/// Look-ups by member, of one day.
pub(super) struct Lookups {
    per_day_max: usize,
    by_member: Mutex<HashMap<MemberName, Day>>,
}

/// Whom a member has looked up today. Asking for the same person again is free.
struct Day {
    date: Date,
    people: HashSet<Pseudonym>,
}

impl Lookups {
    /// A budget of so many different people a day, for each member.
    pub(super) fn new(per_day_max: usize) -> Self {
        Self { per_day_max, by_member: Mutex::default() }
    }

    /// Whether a member may look this person up today. It counts, if so.
    pub(super) fn allows(&self, member: MemberName, person: Pseudonym, today: Date) -> bool {
        let mut members = self.by_member.lock().unwrap_or_else(PoisonError::into_inner);
        let day = members.entry(member).or_insert_with(|| Day { date: today, people: HashSet::new() });
        if day.date != today {
            *day = Day { date: today, people: HashSet::new() };
        }
        if day.people.contains(&person) {
            return true;
        }
        day.people.len() < self.per_day_max && day.people.insert(person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_people_are_counted_and_each_day_and_member_for_itself() {
        let lookups = Lookups::new(3);
        let member = |name: &str| MemberName::parse(name).expect("legal");
        let person = |number: u8| Pseudonym([number; 16]);
        let (today, tomorrow) = (Date::new(2026, 11, 22), Date::new(2026, 11, 23));
        for number in [1, 2, 1, 3, 2] {
            assert!(lookups.allows(member("a"), person(number), today), "{number}");
        }
        assert!(!lookups.allows(member("a"), person(4), today), "the fourth person");
        assert!(lookups.allows(member("a"), person(3), today), "known already");
        assert!(lookups.allows(member("b"), person(4), today), "another member");
        assert!(lookups.allows(member("a"), person(4), tomorrow), "another day");
    }
}
