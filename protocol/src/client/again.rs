//! Asking again: under the same id, within the request's own deadline, and within budgets.
//!
//! What is refused because there is too much becomes more by being asked again, and an overload that lives on its own
//! retries does not end when its cause has. So tries after the first are paid for by first ones: a tenth of them may be
//! retried, a twentieth asked of a second engine because the first is slow, whatever happens. An engine counts an id once,
//! and the engines of a member do together.

use super::CallError;
use super::engine::Engine;
use crate::request::AuthorisationRequest;
use crate::response::AuthorisationResponse;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long is waited before another try where the answer does not say, or says less.
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// Tries of one request after its first.
const RETRIES_MAX: usize = 3;

/// Of each hundred first tries so many may be followed by another.
pub(super) struct Budget {
    percent: i64,
    /// Hundredths of a try.
    saved: AtomicI64,
    used: AtomicU64,
}

impl Budget {
    /// What may be saved up, hundredths of a try: some refusals in a quiet hour are all tried again.
    const SAVED_MAX: i64 = 1_000;

    pub(super) fn new(percent: u8) -> Self {
        let percent = i64::from(percent.min(100));
        let saved = if percent == 0 { 0 } else { Self::SAVED_MAX };
        Self { percent, saved: AtomicI64::new(saved), used: AtomicU64::new(0) }
    }

    /// A first try is made.
    pub(super) fn earn(&self) {
        let more =
            |saved: i64| (saved < Self::SAVED_MAX).then(|| (saved + self.percent).min(Self::SAVED_MAX));
        // Full is full.
        let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Takes another try, if there is one.
    pub(super) fn take(&self) -> bool {
        let less = |saved: i64| (saved >= 100).then(|| saved - 100);
        let taken = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        self.used.fetch_add(taken.into(), Ordering::Relaxed);
        taken
    }

    /// How many were taken.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// What one answer in twenty takes longer than, learnt from each: up by 19 parts where it was slower, down by one where not.
pub(super) struct Slow(AtomicU64);

impl Slow {
    const PARTS: u64 = 512;
    const MIN_NS: u64 = 200_000;

    /// Before anything is known.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(10_000_000))
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// An answer took so long, or had not come by then. Two threads that learn at once may forget one of both.
    pub(super) fn learn(&self, took: Duration) {
        let known = self.0.load(Ordering::Relaxed);
        let part = known / Self::PARTS;
        let known = if took.as_nanos() > u128::from(known) { known + 19 * part } else { known - part };
        self.0.store(known.max(Self::MIN_NS), Ordering::Relaxed);
    }
}

/// An engine, perhaps a second one, and the budgets of asking them again.
pub(super) struct Engines {
    pub(super) first: Arc<Engine>,
    pub(super) second: Option<Arc<Engine>>,
    pub(super) retries: Budget,
    pub(super) hedges: Budget,
    slow: Slow,
}

impl Engines {
    pub(super) fn new(first: Engine) -> Self {
        let config = &first.config;
        let (retries, hedges) = (Budget::new(config.retry_percent), Budget::new(config.hedge_percent));
        let second = config.second.clone().map(|(engine, engine_name)| {
            Arc::new(Engine::new(super::ClientConfig { engine, engine_name, ..config.clone() }))
        });
        Self { first: Arc::new(first), second, retries, hedges, slow: Slow::new() }
    }

    /// Asks until there is an answer that stays, or no time, or no budget.
    pub(super) async fn screen(
        &self,
        request: &AuthorisationRequest,
    ) -> Result<AuthorisationResponse, CallError> {
        let (began, longest) = (Instant::now(), self.first.timeout_of(request));
        self.retries.earn();
        self.hedges.earn();
        let mut said = self.ask(request).await;
        for _ in 0..RETRIES_MAX {
            let Some(pause) = worth_another(&said) else { break };
            let left = longest.saturating_sub(began.elapsed() + pause);
            // A try that usually takes longer than there is time would be work for nothing.
            if left < self.slow.get() || !self.retries.take() {
                break;
            }
            sleep(pause).await;
            said = self.ask(&within(request, longest.saturating_sub(began.elapsed()))).await;
        }
        said
    }

    /// Asks the first engine, and the second as well where the first is slow; the second before the first where the first is not
    /// reached.
    async fn ask(&self, request: &AuthorisationRequest) -> Result<AuthorisationResponse, CallError> {
        let (began, longest) = (Instant::now(), self.first.timeout_of(request));
        let Some(second) = &self.second else {
            let said = self.first.screen(request).await;
            self.slow.learn(began.elapsed());
            return said;
        };
        let reaches_first = self.first.is_reached();
        let (asked, other) = if reaches_first { (&self.first, second) } else { (second, &self.first) };
        if !reaches_first {
            // Not as a part of this call, which ends with the second engine's answer.
            Engine::connect_aside(&self.first);
        }
        let mut one = pin!(asked.screen(request));
        let soon = timeout(self.slow.get(), one.as_mut()).await;
        if reaches_first {
            self.slow.learn(began.elapsed());
        }
        let failed = match soon {
            Ok(said) if said.is_ok() => return said,
            Ok(failed) => Some(failed),
            Err(_) => None,
        };
        // Where the first was not asked, nobody is asked for the work of two.
        if reaches_first && !self.hedges.take() {
            return match failed {
                Some(failed) => failed,
                None => one.await,
            };
        }
        let request = within(request, longest.saturating_sub(began.elapsed()));
        let mut other = pin!(other.screen(&request));
        if let Some(failed) = failed {
            return better(failed, other.await);
        }
        tokio::select! {
            said = one.as_mut() => if decided(&said) { said } else { better(said, other.await) },
            said = other.as_mut() => {
                if decided(&said) {
                    // Who was overtaken once may be slow; who is overtaken each time says nothing.
                    asked.says_nothing();
                    said
                } else {
                    better(said, one.await)
                }
            }
        }
    }
}

/// The same request with the time that is left as its deadline: what it asks and its id are the same.
fn within(request: &AuthorisationRequest, left: Duration) -> AuthorisationRequest {
    let deadline_us = u32::try_from(left.as_micros()).unwrap_or(u32::MAX).max(1);
    AuthorisationRequest { deadline_us, ..request.clone() }
}

fn decided(said: &Result<AuthorisationResponse, CallError>) -> bool {
    said.as_ref().is_ok_and(|response| response.answer.is_ok())
}

/// A decision before an engine's reason, and that before none.
fn better(
    one: Result<AuthorisationResponse, CallError>,
    other: Result<AuthorisationResponse, CallError>,
) -> Result<AuthorisationResponse, CallError> {
    if decided(&other) || (one.is_err() && other.is_ok()) { other } else { one }
}

/// After which pause another try may bring a decision, if one may.
fn worth_another(said: &Result<AuthorisationResponse, CallError>) -> Option<Duration> {
    match said {
        Ok(response) => {
            let not_screened = response.answer.err()?;
            let asked = Duration::from_millis(not_screened.retry_after_ms.into());
            not_screened.why.retryable().then_some(asked.max(PAUSE_MIN))
        }
        Err(CallError::ConnectionLost(_)) => Some(PAUSE_MIN),
        // Wrong in itself, or over, or the engine does not let this client in.
        Err(
            CallError::Encode(_)
            | CallError::Connect(_)
            | CallError::Timeout(_)
            | CallError::InFlight
            | CallError::TooManyInFlight(_)
            | CallError::Unreadable(_),
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries that a service sees in ten seconds which can do a thousand a second and refuses what is more, and those that it
    /// sees in the second after the load has gone down to half; each refused try is made again 100 ms later, up to three
    /// times, if `may` says so.
    fn tries(offered_per_s: u64, mut first: impl FnMut(), mut may: impl FnMut() -> bool) -> (u64, u64) {
        const STEPS_PER_S: u64 = 100;
        let mut later = std::collections::VecDeque::from(vec![Vec::<u8>::new(); 10]);
        let (mut all, mut after) = (0, 0);
        for step in 0..11 * STEPS_PER_S {
            let is_over = step >= 10 * STEPS_PER_S;
            let fresh = if is_over { 5 } else { offered_per_s / STEPS_PER_S };
            let mut here: Vec<u8> = later.pop_front().unwrap_or_default();
            here.extend((0..fresh).map(|_| {
                first();
                0
            }));
            *(if is_over { &mut after } else { &mut all }) += here.len() as u64;
            let refused = here.into_iter().skip(10).filter(|made| *made < 3 && may());
            later.push_back(refused.map(|made| made + 1).collect());
        }
        (all, after)
    }

    #[test]
    fn a_budget_keeps_retries_from_becoming_the_load() {
        let budget = Budget::new(10);
        let (all, after) = tries(3_000, || budget.earn(), || budget.take());
        assert!(all <= 33_010, "{all} tries for 30,000 requests");
        assert!(after <= 600 + 60, "{after} in a second with 500 requests");
        assert!(budget.used() > 2_900, "{} of what may be is used", budget.used());
        // The control: without a budget the service sees three times what is asked of it, and goes on seeing it.
        let (all, after) = tries(3_000, || {}, || true);
        assert!(all > 80_000, "{all}");
        assert!(after > 900, "{after}");
        // And with none nothing is tried again.
        let none = Budget::new(0);
        assert_eq!(tries(3_000, || none.earn(), || none.take()).0, 30_000);
    }

    #[test]
    fn what_one_in_twenty_takes_longer_than_is_learnt() {
        let slow = Slow::new();
        // One answer in ten takes between five and six milliseconds, the others one: the slowest twentieth begins at 5.5.
        for number in 0..200_000u64 {
            let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            let is_slow = mixed % 10 == 0;
            slow.learn(Duration::from_micros(if is_slow { 5_000 + mixed / 10 % 1_000 } else { 1_000 }));
        }
        let learnt = slow.get().as_micros();
        assert!((5_000..6_000).contains(&learnt), "{learnt} µs");
    }
}
