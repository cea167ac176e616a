//! All flags in memory: a fold of the journal, merged in any order to the same state.

use super::{Flag, Links, Looks, Passes, Raise, Version, Votes};
use dashmap::DashMap;
use sparr_protocol::ids::{MemberName, Pseudonym};
use sparr_protocol::time::Timestamp;

/// Flags by subject.
#[derive(Default)]
pub struct FlagSet {
    by_subject: DashMap<Pseudonym, Flags, foldhash::fast::RandomState>,
    /// Openings in flags.
    pub passes: Passes,
    /// Numbers that are one person.
    pub links: Links,
    /// What others say of a registrar's flag.
    pub votes: Votes,
    /// Who looked at whom.
    pub looks: Looks,
}

/// One subject's flags: nearly always one registrar's.
type Flags = Vec<Flag>;

/// How many flags there are, by standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlagSize {
    /// Subjects with any record.
    pub subjects: usize,
    /// Subjects with a flag that acts.
    pub active: usize,
}

impl FlagSet {
    /// Takes in a raise. Idempotent, and independent of the order of arrival.
    pub fn raise(&self, subject: Pseudonym, registrar: MemberName, raise: Raise) {
        self.change(subject, registrar, |flag| {
            if flag.raised.is_none_or(|known| known.version < raise.version) {
                flag.raised = Some(raise);
            }
        });
    }

    /// Takes in a lift. Idempotent, and independent of the order of arrival.
    pub fn lift(
        &self,
        subject: Pseudonym,
        registrar: MemberName,
        version: Version,
        effective_from: Timestamp,
    ) {
        self.change(subject, registrar, |flag| {
            if flag.lifted.is_none_or(|(known, _)| known < version) {
                flag.lifted = Some((version, effective_from));
            }
        });
    }

    fn change(&self, subject: Pseudonym, registrar: MemberName, change: impl FnOnce(&mut Flag)) {
        let mut flags = self.by_subject.entry(subject).or_default();
        let at = match flags.iter().position(|flag| flag.registrar == registrar) {
            Some(at) => at,
            None => {
                // Nearly everybody has one: room for four would triple the memory of all.
                flags.reserve_exact(1);
                flags.push(Flag { registrar, raised: None, lifted: None });
                flags.len() - 1
            }
        };
        change(&mut flags[at]);
    }

    /// Calls `visit` with each flag of a subject.
    pub fn visit(&self, subject: Pseudonym, visit: impl FnMut(&Flag)) {
        if let Some(flags) = self.by_subject.get(&subject) {
            flags.iter().for_each(visit);
        }
    }

    /// Calls `visit` with each flag of a person, under whichever of their numbers it was raised.
    pub fn visit_person(&self, number: Pseudonym, mut visit: impl FnMut(Pseudonym, &Flag)) {
        for number in self.links.numbers(number).iter() {
            self.visit(number, |flag| visit(number, flag));
        }
    }

    /// The flag of one registrar on a subject.
    pub fn of(&self, subject: Pseudonym, registrar: MemberName) -> Option<Flag> {
        self.by_subject.get(&subject)?.iter().find(|flag| flag.registrar == registrar).copied()
    }

    /// Every flag of every subject, ordered by subject: for lists, digests and snapshots, not for screening.
    pub fn all(&self) -> Vec<(Pseudonym, Flag)> {
        let mut all: Vec<_> = self
            .by_subject
            .iter()
            .flat_map(|entry| entry.value().iter().map(|flag| (*entry.key(), *flag)).collect::<Vec<_>>())
            .collect();
        all.sort_by_key(|(subject, flag)| (*subject, flag.registrar));
        all
    }

    /// How many there are at `now`.
    pub fn size(&self, now: Timestamp) -> FlagSize {
        let mut size = FlagSize::default();
        for entry in &self.by_subject {
            size.subjects += 1;
            size.active += usize::from(entry.value().iter().any(|flag| flag.active(now).is_some()));
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::super::Standing;
    use super::*;
    use proptest::prelude::*;
    use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Wish};
    use sparr_protocol::flag::{Methods, Scope, Terms};

    fn version(stamp: u64, member: &str, sequence: u64) -> Version {
        Version { stamp, member: MemberName::parse(member).expect("legal"), engine: 1, epoch: 1, sequence }
    }

    fn raise(version: Version, terms: Terms) -> Raise {
        Raise { version, record: [version.sequence as u8; 32], terms }
    }

    fn terms(wish: Wish, until: i64) -> Terms {
        Terms {
            wish,
            scope: Scope::Any,
            reason: FlagReason::SuspectedFraud,
            requested_by: RequestedBy::Person,
            authenticated_by: AuthMethod::BankId,
            compromised: Methods::default(),
            valid_until: Timestamp::from_ms(until),
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Raise(u8, u8, u64, bool),
        Lift(u8, u8, u64, i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u8..3, 0u8..2, 0u64..50, any::<bool>()).prop_map(|(s, m, t, deny)| Step::Raise(s, m, t, deny)),
            (0u8..3, 0u8..2, 0u64..50, 0i64..100).prop_map(|(s, m, t, from)| Step::Lift(s, m, t, from)),
        ]
    }

    fn fold(steps: &[Step]) -> Vec<(Pseudonym, Flag)> {
        let set = FlagSet::default();
        for step in steps {
            match *step {
                Step::Raise(subject, member, stamp, deny) => {
                    let name = if member == 0 { "a" } else { "b" };
                    let wish = if deny { Wish::Deny } else { Wish::Verify };
                    // A stamp is given out once: its terms follow from it.
                    let until = stamp as i64 * 2 + i64::from(deny);
                    let version = version(stamp, name, stamp * 2 + u64::from(deny));
                    set.raise(Pseudonym([subject; 16]), version.member, raise(version, terms(wish, until)));
                }
                Step::Lift(subject, member, stamp, from) => {
                    let name = if member == 0 { "a" } else { "b" };
                    let version = version(stamp, name, 1_000 + from as u64);
                    set.lift(Pseudonym([subject; 16]), version.member, version, Timestamp::from_ms(from));
                }
            }
        }
        set.all()
    }

    proptest! {
        #[test]
        fn any_order_and_any_repetition_gives_the_same_state(
            steps in prop::collection::vec(step(), 0..40), seed in any::<u64>()
        ) {
            let expected = fold(&steps);
            let mut shuffled = [steps.clone(), steps].concat();
            let mut random = seed | 1;
            for at in (1..shuffled.len()).rev() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(at, (random >> 33) as usize % (at + 1));
            }
            prop_assert_eq!(fold(&shuffled), expected);
        }
    }

    #[test]
    fn a_flag_acts_from_its_raise_until_its_lift_takes_effect_or_its_time_is_over() {
        let (set, subject, a) = (FlagSet::default(), Pseudonym([1; 16]), version(1, "a", 1));
        let at = |ms: i64| set.of(subject, a.member).map(|flag| flag.standing(Timestamp::from_ms(ms)));
        assert_eq!(at(0), None);
        set.lift(subject, a.member, version(2, "a", 2), Timestamp::from_ms(50));
        assert_eq!(at(60), Some(Standing::Unraised), "the lift came first");
        let raised = terms(Wish::Deny, 100);
        set.raise(subject, a.member, raise(a, raised));
        assert_eq!(at(49), Some(Standing::Lifting(raised, Timestamp::from_ms(50))));
        assert_eq!(at(50), Some(Standing::Lifted));
        let again = terms(Wish::Verify, 100);
        set.raise(subject, a.member, raise(version(3, "a", 3), again));
        assert_eq!((at(99), at(100)), (Some(Standing::Active(again)), Some(Standing::Expired)));
        assert_eq!(set.size(Timestamp::from_ms(99)), FlagSize { subjects: 1, active: 1 });
        assert_eq!(set.size(Timestamp::from_ms(100)), FlagSize { subjects: 1, active: 0 });
    }
}
