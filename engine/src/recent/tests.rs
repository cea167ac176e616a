//! Deciding again comes to the same whether windows are observed anew or taken as they were read.

use super::again::all_kept;
use super::*;
use crate::decisions::tests::{NOW, message, screened, set, state};
use crate::screen::Scratch;
use crate::state::ActiveRules;
use crate::velocity::Velocity;

const RULES: &str = "
rules:
  - {id: often, when: 'velocity(card, \"1h\").count >= 30', then: challenge, reason: velocity_card}
  - {id: busy, when: 'velocity(subject, \"2h\").count >= 35', then: decline, reason: velocity_card}
";
/// The same windows, in another order and with other thresholds.
const STRICTER: &str = "
rules:
  - {id: busy, when: 'velocity(subject, \"2h\").count >= 20', then: decline, reason: velocity_card}
  - {id: often, when: 'velocity(card, \"1h\").count >= 10', then: challenge, reason: velocity_card}
";
/// A window that was not read.
const LONGER: &str = "
rules:
  - {id: often, when: 'velocity(card, \"1d\").count >= 10', then: decline, reason: velocity_card}
";

#[test]
fn windows_that_were_read_need_not_be_observed_again() {
    let (state, mut scratch) = (state(RULES), Scratch::default());
    state.recent.keep(64);
    for number in 1..=40 {
        screened(&message(number), &state, &mut scratch, |fresh| {
            state.recent.add(Recorded::of(fresh, &state).expect("a request"));
        });
    }
    let recent = state.recent.all(NOW);
    assert_eq!(recent.len(), 40);
    let decided = |rules: &ActiveRules, windows: Windows<'_>| -> Vec<String> {
        let mut again = Again::new(&state, rules, windows);
        recent.iter().map(|recorded| again.decide(recorded, NOW).words()).collect()
    };
    let observed = |rules: &ActiveRules| decided(rules, Windows::Observed(&Velocity::new(1_000)));
    let [stricter, longer] = [STRICTER, LONGER].map(|text| as_if_active(set(text)));
    assert!(all_kept(&recent, &stricter.set));
    let kept = decided(&stricter, Windows::Kept);
    assert_eq!(kept, observed(&stricter));
    let count = |all: &[String], word: &str| all.iter().filter(|answer| *answer == word).count();
    assert_eq!(["approve", "challenge", "decline"].map(|word| count(&kept, word)), [9, 10, 21]);
    // The control: where a window is new, what was kept does not say it.
    assert!(!all_kept(&recent, &longer.set));
    assert_eq!(count(&decided(&longer, Windows::Kept), "decline"), 0);
    assert_eq!(count(&observed(&longer), "decline"), 31);
    // One among them that never came to its windows: all are observed.
    screened(&message(41), &state, &mut scratch, |fresh| {
        let fresh = Fresh { readings: &[], ..*fresh };
        state.recent.add(Recorded::of(&fresh, &state).expect("a request"));
    });
    assert!(!all_kept(&state.recent.all(NOW), &stricter.set));
}
