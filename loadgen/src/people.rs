//! Who pays, who asked for a flag, and what they asked for.
//!
//! Personal numbers are of the form that Skatteverket publishes for tests: serial numbers 980 to 999, which are
//! given to nobody.

use sparr_protocol::codes::{Kind, Wish};
use sparr_protocol::flag::Scope;
use sparr_protocol::money::Currency;
use sparr_protocol::time::Date;

/// People that there are: after so many the personal numbers would repeat.
pub const PEOPLE_MAX: u64 = 520_000;

/// How many of whom there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    /// Payers, at most [`PEOPLE_MAX`] together with the flagged people who do not pay here.
    pub people: u64,
    /// Shops.
    pub merchants: u64,
    /// People with a flag. One payer in a hundred is one of them; the others are customers elsewhere.
    pub flags: u64,
}

impl Default for Population {
    fn default() -> Self {
        Self { people: 400_000, merchants: 20_000, flags: 100_000 }
    }
}

/// One payer in so many has a flag.
const PAYERS_PER_FLAG: u64 = 100;
/// Which of them.
const FLAGGED: u64 = 7;

impl Population {
    /// Payers with a flag.
    pub const fn flagged_payers(&self) -> u64 {
        let all = self.people / PAYERS_PER_FLAG;
        if all < self.flags { all } else { self.flags }
    }

    /// The payer with this number among those who have a flag.
    pub const fn flagged_payer(&self, number: u64) -> u64 {
        number * PAYERS_PER_FLAG + FLAGGED
    }

    /// What a payer asked for, if anything.
    pub const fn flag_of(&self, person: u64) -> Option<Asked> {
        let number = person / PAYERS_PER_FLAG;
        if person % PAYERS_PER_FLAG == FLAGGED && number < self.flagged_payers() {
            Some(Asked::of(number))
        } else {
            None
        }
    }

    /// Everybody with a flag: the person's number in [`personal_number`], and what they asked for.
    pub fn flags(&self) -> impl Iterator<Item = (u64, Asked)> + use<> {
        let (payers, people, flags, this) = (self.flagged_payers(), self.people, self.flags, *self);
        (0..flags).map(move |number| {
            let person = if number < payers { this.flagged_payer(number) } else { people + number - payers };
            (person, Asked::of(number))
        })
    }
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// To be asked, or to be declined.
    pub wish: Wish,
    /// For which payments.
    pub scope: Scope,
}

/// The amount above which some people want to be asked.
const ABOVE_MINOR: i64 = 300_000;

impl Asked {
    const fn of(number: u64) -> Self {
        Self {
            wish: if number.is_multiple_of(5) { Wish::Deny } else { Wish::Verify },
            scope: match number % 4 {
                0 | 1 => Scope::Any,
                2 => Scope::Credit,
                _ => Scope::Above { amount_minor: ABOVE_MINOR, currency: Currency::SEK },
            },
        }
    }

    /// Whether a payment in SEK is one that the person meant. Written apart from the engine: it is the oracle of the
    /// ground truth.
    pub fn means(&self, kind: Kind, amount_minor: Option<i64>) -> bool {
        if kind == Kind::Refund || kind == Kind::Reversal {
            return false;
        }
        match self.scope {
            Scope::Any => true,
            Scope::Credit => kind == Kind::Invoice || kind == Kind::AccountOpening,
            Scope::Above { amount_minor: limit, .. } => amount_minor.is_none_or(|amount| amount > limit),
        }
    }
}

/// The personal number of the person with this index: a real date from 1935 on, a serial from 980 to 999, the right
/// check digit. There are more than half a million before they repeat.
pub fn personal_number(person: u64) -> String {
    const FIRST: Date = Date::new(1935, 1, 1);
    const DAYS: u64 = 26_000;
    const DAY_MS: i64 = 86_400_000;
    // A step that shares no factor with the number of days, so that neighbours are born on different days.
    let day = (person * 7_919) % DAYS;
    let birth = FIRST.start_utc().saturating_add_ms(day as i64 * DAY_MS).date();
    let serial = 980 + person / DAYS % 20;
    let without_check = format!("{:04}{:02}{:02}{serial}", birth.year, birth.month, birth.day);
    let sum: u32 = without_check[2..]
        .bytes()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0');
            if place % 2 == 0 { value * 2 / 10 + value * 2 % 10 } else { value }
        })
        .sum();
    format!("{without_check}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparr_protocol::codes::SubjectKind;
    use sparr_protocol::identity::Subject;
    use std::collections::HashSet;

    #[test]
    fn everybody_with_a_flag_is_somebody_else_and_one_payer_in_a_hundred() {
        let population = Population::default();
        let flagged: HashSet<u64> = population.flags().map(|(person, _)| person).collect();
        assert_eq!(flagged.len() as u64, population.flags);
        assert!(flagged.iter().all(|person| *person < PEOPLE_MAX));
        let payers = (0..population.people).filter(|person| population.flag_of(*person).is_some());
        assert_eq!(payers.count() as u64, 4_000);
        for (person, asked) in population.flags().take(5_000) {
            let payer = population.flag_of(person);
            assert_eq!(payer, (person < population.people).then_some(asked), "person {person}");
        }
    }

    #[test]
    fn people_have_different_test_numbers_that_parse() {
        let today = Date::new(2026, 11, 22);
        let mut numbers = HashSet::new();
        for person in 0..520_000 {
            let number = personal_number(person);
            if person % 97 == 0 {
                assert!(
                    Subject::parse(&number, SubjectKind::SePerson, None, today).is_ok(),
                    "person {person}"
                );
            }
            assert!((980..=999).contains(&number[8..11].parse::<u32>().expect("digits")));
            assert!(numbers.insert(number), "person {person} has somebody else's number");
        }
    }
}
