//! The set beside its naive twin, in both forms of an entry.

use super::super::Standing;
use super::*;
use proptest::prelude::*;
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Wish};
use sparr_protocol::flag::{Methods, Scope};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Times around the base of packed times: half of the entries are packed, half are whole.
const BASE_MS: i64 = PACKED_TIMES_FROM_MS - 25;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(BASE_MS + ms)
}

fn version(stamp: u64, member: &str, sequence: u64) -> Version {
    let stamp = BASE_MS as u64 + stamp;
    Version { stamp, member: MemberName::parse(member).expect("legal"), engine: 1, epoch: 1, sequence }
}

fn terms(wish: Wish, valid_until: Timestamp) -> Terms {
    Terms {
        wish,
        scope: Scope::Any,
        reason: FlagReason::SuspectedFraud,
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        compromised: Methods::default(),
        valid_until,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Raise(Pseudonym, Raise),
    Lift(Pseudonym, Version, Timestamp),
}

fn step() -> impl Strategy<Value = Step> {
    let about = (0u8..3, 0u8..2, 0u64..50).prop_map(|(subject, member, stamp)| {
        let member = if member == 0 { "a" } else { "b" };
        (Pseudonym([subject; 16]), member, stamp)
    });
    (about, any::<bool>(), any::<bool>(), 0i64..100).prop_map(
        |((subject, member, stamp), is_raise, deny, from)| {
            if is_raise {
                // A stamp is given out once: its terms follow from it.
                let wish = if deny { Wish::Deny } else { Wish::Verify };
                let terms = terms(wish, at(stamp as i64 * 2 + i64::from(deny)));
                Step::Raise(
                    subject,
                    Raise { version: version(stamp, member, stamp * 2 + u64::from(deny)), terms },
                )
            } else {
                Step::Lift(subject, version(stamp, member, 1_000 + from as u64), at(from))
            }
        },
    )
}

fn fold(steps: &[Step]) -> Vec<(Pseudonym, Flag)> {
    let set = FlagSet::default();
    for step in steps {
        match *step {
            Step::Raise(subject, raise) => set.raise(subject, raise.version.member, raise),
            Step::Lift(subject, version, from) => set.lift(subject, version.member, version, from),
        }
    }
    let mut all = Vec::new();
    set.for_each(|subject, flag| all.push((subject, *flag)));
    for (subject, flag) in &all {
        assert_eq!(set.of(*subject, flag.registrar), Some(*flag));
        assert_eq!(set.may_know_which(&[*subject]), 1);
    }
    all
}

/// The same by a plain map: the highest raise, and the highest lift where it is above the raise.
fn twin(steps: &[Step]) -> Vec<(Pseudonym, Flag)> {
    let mut flags = BTreeMap::new();
    for step in steps {
        let (subject, registrar) = match step {
            Step::Raise(subject, raise) => (*subject, raise.version.member),
            Step::Lift(subject, version, _) => (*subject, version.member),
        };
        let new = Flag { registrar, raised: None, lifted: None };
        let flag: &mut Flag = flags.entry((subject, registrar)).or_insert(new);
        match *step {
            Step::Raise(_, raise) if flag.raised.is_none_or(|known| known.version < raise.version) => {
                flag.raised = Some(raise);
            }
            Step::Lift(_, version, from) if flag.lifted.is_none_or(|(known, _)| known < version) => {
                flag.lifted = Some((version, from));
            }
            Step::Raise(..) | Step::Lift(..) => {}
        }
    }
    for flag in flags.values_mut() {
        flag.lifted = flag.lifted.filter(|(lift, _)| flag.raised.is_none_or(|raise| *lift > raise.version));
    }
    flags.into_iter().map(|((subject, _), flag)| (subject, flag)).collect()
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_gives_the_state_of_a_plain_map(
        steps in prop::collection::vec(step(), 0..40), seed in any::<u64>()
    ) {
        let expected = twin(&steps);
        prop_assert_eq!(&fold(&steps), &expected);
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
    for later in [0, 1_000] {
        let (set, subject, a) = (FlagSet::default(), Pseudonym([1; 16]), version(later + 1, "a", 1));
        let time = |ms: i64| at(later as i64 + ms);
        let standing = |ms: i64| set.of(subject, a.member).map(|flag| flag.standing(time(ms)));
        assert_eq!(standing(0), None);
        set.lift(subject, a.member, version(later + 2, "a", 2), time(50));
        assert_eq!(standing(60), Some(Standing::Unraised), "the lift came first");
        let raised = terms(Wish::Deny, time(100));
        set.raise(subject, a.member, Raise { version: a, terms: raised });
        assert_eq!(standing(49), Some(Standing::Lifting(raised, time(50))));
        assert_eq!(standing(50), Some(Standing::Lifted));
        let again = terms(Wish::Verify, time(100));
        set.raise(subject, a.member, Raise { version: version(later + 3, "a", 3), terms: again });
        assert_eq!((standing(99), standing(100)), (Some(Standing::Active(again)), Some(Standing::Expired)));
        assert_eq!(set.size(time(99)), FlagSize { subjects: 1, active: 1 });
        assert_eq!(set.size(time(100)), FlagSize { subjects: 1, active: 0 });
    }
}

#[test]
fn a_reader_beside_a_flag_that_changes_its_form_always_finds_it() {
    let (set, subject) = (FlagSet::default(), Pseudonym([1; 16]));
    let member = version(0, "a", 0).member;
    let raise = |number: u64| {
        let raise =
            Raise { version: version(1_000 + number, "a", number), terms: terms(Wish::Deny, at(9_000_000)) };
        set.raise(subject, member, raise);
    };
    raise(0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0u64;
            // On a busy machine the writer may be done before the first look: there is always one.
            loop {
                let flag = set.of(subject, member).expect("it was raised and stays so");
                assert!(flag.active(at(2_000)).is_some(), "the lift takes effect much later");
                looks += 1;
                if stop.load(Ordering::Relaxed) {
                    return looks;
                }
            }
        });
        for number in (1..20_000).step_by(2) {
            // Lifted, it is kept whole; raised again, it is packed.
            set.lift(subject, member, version(1_000 + number, "a", number), at(8_000_000));
            raise(number + 1);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("no look failed") > 0);
    });
}
