//! How many screenings a caller may ask for in a second, where the member has set a bound.

use crate::metrics::lock;
use sparr_protocol::ids::Actor;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a caller may have saved up: a gateway sends in bursts.
const SAVED_UP: Duration = Duration::from_millis(100);

/// The bound of every caller, over all workers and doors.
pub(in crate::server) struct Rates {
    began: Instant,
    /// Time between two screenings of one caller at the bound, ns.
    each_ns: Option<u64>,
    callers: Mutex<HashMap<Actor, Arc<Rate>>>,
}

impl Rates {
    /// At most so many a second for each caller, or as many as they like.
    pub(in crate::server) fn new(per_second: Option<NonZeroU32>, now: Instant) -> Self {
        let each_ns = per_second.map(|per_second| 1_000_000_000 / u64::from(per_second.get()));
        Self { began: now, each_ns, callers: Mutex::default() }
    }

    /// The bound of a caller. Callers are those that certificates name: a few, and for as long as the engine runs.
    pub(in crate::server) fn of(&self, actor: &Actor) -> Option<Arc<Rate>> {
        let each_ns = self.each_ns?;
        let new = || Arc::new(Rate { began: self.began, each_ns, used_up_to_ns: AtomicU64::new(0) });
        Some(lock(&self.callers).entry(actor.clone()).or_insert_with(new).clone())
    }
}

/// What one caller has used of its rate. Two cores may serve it at once.
pub(in crate::server) struct Rate {
    began: Instant,
    each_ns: u64,
    /// Until when, since `began`, the rate is used up.
    used_up_to_ns: AtomicU64,
}

impl Rate {
    /// Takes one screening, or says after how many milliseconds there will be one.
    pub(in crate::server) fn take(&self, now: Instant) -> Result<(), u32> {
        let now_ns = u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        let saved_up_ns = SAVED_UP.as_nanos() as u64;
        let next = |used: u64| {
            let used = used.max(now_ns);
            (used - now_ns <= saved_up_ns).then(|| used.saturating_add(self.each_ns))
        };
        match self.used_up_to_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Ok(()),
            Err(used) => {
                let wait_ns = used.saturating_sub(now_ns).saturating_sub(saved_up_ns);
                Err(u32::try_from(wait_ns / 1_000_000).unwrap_or(u32::MAX).saturating_add(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::clock;

    #[test]
    fn a_caller_gets_its_rate_and_what_it_has_saved_up_and_no_more() {
        let began = clock::instant();
        let rates = Rates::new(NonZeroU32::new(1_000), began);
        let actor = |name: &str| Actor::parse_uri(name).expect("an actor");
        let rate = rates.of(&actor("sparr://member/shop-one/gateway/g1")).expect("a bound");
        let at = |ms: u64| began + Duration::from_millis(ms);
        // Ten times the rate for ten seconds, over two workers: `of` gives both the same.
        let again = rates.of(&actor("sparr://member/shop-one/gateway/g1")).expect("a bound");
        let taken = (0..100_000u64)
            .filter(|tenth| {
                let rate = if tenth % 2 == 0 { &rate } else { &again };
                rate.take(began + Duration::from_micros(tenth * 100)).is_ok()
            })
            .count();
        assert!((10_000..=10_102).contains(&taken), "{taken}");
        // Who was refused is told when to come back, and then there is one, and one alone.
        let wait = (0..3).find_map(|_| rate.take(at(10_000)).err()).expect("used up");
        assert!((1..=2).contains(&wait), "{wait}");
        assert_eq!(rate.take(at(10_000 + u64::from(wait))), Ok(()));
        // Nobody else is refused by it, and without a bound nobody is.
        assert_eq!(
            rates.of(&actor("sparr://member/shop-one/gateway/g2")).map(|rate| rate.take(at(10_000))),
            Some(Ok(()))
        );
        assert!(Rates::new(None, began).of(&actor("sparr://member/shop-one/gateway/g1")).is_none());
    }
}
