//! The search for the highest rate that passes, on machines where a try now and then says the wrong thing.
//!
//! Doubling and halving find the place with few tries, and each of them may err: a pause of the machine fails a rate that
//! would do, and a lucky quiet second passes one that would not. So a rate fails by the majority of its tries only, because
//! one failure too low leads far away from the place; one pass too high leads no further than the next rate. And the rates
//! around that place are tried again, each several times and all in a shuffled order, that what drifts meanwhile strikes all
//! alike; the majority of a rate's tries counts.

use crate::random::Random;
use std::ops::RangeInclusive;

/// Where is searched, and how thoroughly.
#[derive(Clone, Debug)]
pub struct Search {
    /// Rates, per second. The first is tried first, and the search gives up below it.
    pub rates: RangeInclusive<u64>,
    /// The answer is known to within so many percent, 1 to 100; rates that are repeated lie so far apart.
    pub within_percent: u64,
    /// Tries of each rate around the answer, from 1; with 1 there are none besides the search itself.
    pub repeats: u64,
    /// Of the shuffled order.
    pub seed: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The highest rate that passes; 0 where none does.
    pub max_per_s: u64,
    /// Rates that were repeated, from the lowest.
    pub repeated: Vec<Repeated>,
}

/// A rate and its tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// Per second.
    pub rate: u64,
    /// How many passed.
    pub passed: u64,
    /// Of how many.
    pub tries: u64,
}

impl Repeated {
    /// Whether most of its tries passed.
    pub const fn passes(self) -> bool {
        self.passed * 2 > self.tries
    }
}

/// Times that rates are repeated at most before the search is content: a machine that changes its mind each time has no
/// answer.
const ROUNDS_MAX: usize = 6;

impl Search {
    /// Searches. `attempt` says whether a rate passes.
    ///
    /// # Errors
    ///
    /// `attempt`'s own; it ends the search.
    pub fn run<E>(&self, mut attempt: impl FnMut(u64) -> Result<bool, E>) -> Result<Found, E> {
        let (good, bad) = self.bracket(&mut |rate| self.passes_at_all(rate, &mut attempt))?;
        if self.repeats < 2 {
            return Ok(Found { max_per_s: good, repeated: Vec::new() });
        }
        let rung = |rate: u64| (rate * self.within_percent / 100).max(1);
        let (low, high) = (*self.rates.start(), *self.rates.end());
        let start = good.max(low);
        let mut ladder = vec![
            start.saturating_sub(2 * rung(start)),
            start.saturating_sub(rung(start)),
            start,
            bad.unwrap_or_else(|| start + rung(start)),
        ];
        let mut repeated: Vec<Repeated> = Vec::new();
        let mut random = Random::new(self.seed);
        for _ in 0..ROUNDS_MAX {
            ladder
                .retain(|rate| self.rates.contains(rate) && repeated.iter().all(|known| known.rate != *rate));
            ladder.dedup();
            if ladder.is_empty() {
                break;
            }
            repeated.extend(self.repeat(&ladder, &mut random, &mut attempt)?);
            repeated.sort_unstable_by_key(|one| one.rate);
            let (lowest, highest) = (repeated[0], repeated[repeated.len() - 1]);
            ladder = if !lowest.passes() && lowest.rate > low {
                (1..=3)
                    .rev()
                    .map(|rungs| lowest.rate.saturating_sub(rungs * rung(lowest.rate)).max(low))
                    .collect()
            } else if repeated.iter().all(|one| one.passes()) {
                (1..=3).map(|rungs| (highest.rate + rungs * rung(highest.rate)).min(high)).collect()
            } else {
                break;
            };
        }
        let passing = repeated.iter().take_while(|one| one.passes()).last();
        Ok(Found { max_per_s: passing.map_or(0, |one| one.rate), repeated })
    }

    /// Doubles until a rate fails, then halves the gap: the highest that passed, and the lowest that failed.
    fn bracket<E>(&self, attempt: &mut impl FnMut(u64) -> Result<bool, E>) -> Result<(u64, Option<u64>), E> {
        let (mut good, mut bad) = (0, None);
        let mut rate = *self.rates.start();
        while bad.is_none() && self.rates.contains(&rate) {
            if attempt(rate)? {
                (good, rate) = (rate, rate * 2);
            } else {
                bad = Some(rate);
            }
        }
        while let Some(over) = bad.filter(|over| over - good > over * self.within_percent / 100) {
            let middle = good + (over - good) / 2;
            if middle < *self.rates.start() || middle == good {
                break;
            }
            if attempt(middle)? {
                good = middle;
            } else {
                bad = Some(middle);
            }
        }
        Ok((good, bad))
    }

    /// Whether a rate passes at its first try, or else in most of its tries.
    fn passes_at_all<E>(
        &self,
        rate: u64,
        attempt: &mut impl FnMut(u64) -> Result<bool, E>,
    ) -> Result<bool, E> {
        if attempt(rate)? {
            return Ok(true);
        }
        let (mut passed, mut failed) = (0, 1);
        while passed * 2 <= self.repeats && failed * 2 < self.repeats {
            *(if attempt(rate)? { &mut passed } else { &mut failed }) += 1;
        }
        Ok(passed * 2 > self.repeats)
    }

    /// Each rate several times, in an order that follows from nothing but the seed.
    fn repeat<E>(
        &self,
        ladder: &[u64],
        random: &mut Random,
        attempt: &mut impl FnMut(u64) -> Result<bool, E>,
    ) -> Result<Vec<Repeated>, E> {
        let mut order: Vec<usize> = (0..self.repeats).flat_map(|_| 0..ladder.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        let mut repeated: Vec<_> =
            ladder.iter().map(|rate| Repeated { rate: *rate, passed: 0, tries: self.repeats }).collect();
        for at in order {
            repeated[at].passed += u64::from(attempt(ladder[at])?);
        }
        Ok(repeated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(repeats: u64, seed: u64) -> Search {
        Search { rates: 1_000..=1_000_000, within_percent: 10, repeats, seed }
    }

    /// A service that can do so much, on a machine where so many of a thousand tries say the wrong thing.
    fn found(search: &Search, can: u64, wrong_per_mille: u64) -> Found {
        let mut random = Random::new(search.seed);
        let found = search.run(|rate| Ok::<_, ()>((rate <= can) != random.per_mille(wrong_per_mille)));
        found.expect("no attempt fails")
    }

    #[test]
    fn it_finds_what_a_service_can_do() {
        for (can, repeats) in [(1_000, 1), (1_000, 3), (23_456, 1), (23_456, 3), (800_000, 3)] {
            let max = found(&search(repeats, 1), can, 0).max_per_s;
            assert!(max <= can && can - max <= can / 8, "{max} of {can} with {repeats}");
        }
        assert_eq!(found(&search(3, 1), 999, 0).max_per_s, 0, "not even the first");
        let all = found(&search(3, 1), u64::MAX, 0);
        assert!(all.max_per_s >= 512_000 && all.max_per_s <= 1_000_000, "{all:?}");
    }

    #[test]
    fn repeats_put_right_what_single_tries_get_wrong() {
        let near = |repeats: u64| {
            (0..200).filter(move |seed| {
                let max = found(&search(repeats, *seed), 100_000, 100).max_per_s;
                (80_000..=120_000).contains(&max)
            })
        };
        let (single, repeated) = (near(1).count(), near(5).count());
        assert!(repeated >= 185, "{repeated} of 200");
        // The control: without them every third answer is far off.
        assert!(single < 150, "{single} of 200");
    }

    #[test]
    fn an_attempt_that_cannot_be_made_ends_it() {
        assert_eq!(search(3, 1).run(|_| Err("lost")), Err("lost"));
    }
}
