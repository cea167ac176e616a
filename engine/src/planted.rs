//! People whom nobody is. Who asks about a honey number walks through numbers; the canary has a flag, and a gateway
//! sends a payment of its own every minute to see that the flag acts.

use crate::request::LivePseudonyms;
use sparr_protocol::codes::Outcome;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;
use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

/// Numbers that nobody was ever given.
#[derive(Debug, Default)]
pub struct Honey {
    numbers: OnceLock<HashSet<Pseudonym>>,
    touched: AtomicU64,
}

impl Honey {
    /// Lays them out. Once; a second time changes nothing.
    pub fn lay_out(&self, numbers: HashSet<Pseudonym>) {
        // An error says that it was done before.
        let _ = self.numbers.set(numbers);
    }

    /// Whether a person who is asked about is one of them; it is counted, if so.
    pub fn is_touched_by(&self, person: LivePseudonyms) -> bool {
        let Some(numbers) = self.numbers.get() else { return false };
        let touched = person.iter().any(|(_, number)| numbers.contains(&number));
        if touched {
            self.touched.fetch_add(1, Ordering::Relaxed);
        }
        touched
    }

    /// How often somebody has asked about one.
    pub fn touched(&self) -> u64 {
        self.touched.load(Ordering::Relaxed)
    }
}

/// What became of a payment of the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryFate {
    /// Challenged or declined, as the flag asks.
    Stopped,
    /// Approved: whoever has a flag is not protected.
    Passed,
    /// Not screened: the gateway's own policy decides.
    NotScreened,
}

impl CanaryFate {
    /// Every fate, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Stopped, Self::Passed, Self::NotScreened];

    /// The name in metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Passed => "passed",
            Self::NotScreened => "not_screened",
        }
    }

    /// Of an answer.
    pub fn of(response: &AuthorisationResponse) -> Self {
        match response.answer.map(|decided| decided.outcome) {
            Ok(Outcome::Challenge | Outcome::Decline) => Self::Stopped,
            Ok(Outcome::Approve) => Self::Passed,
            Err(_) => Self::NotScreened,
        }
    }
}

/// A flagged person of a published test number. What is counted of it is read by the engine's alerts.
#[derive(Debug, Default)]
pub struct Canary {
    person: OnceLock<Vec<Pseudonym>>,
    fates: [AtomicU64; CanaryFate::ALL.len()],
    last: AtomicU8,
    last_ms: AtomicI64,
}

impl Canary {
    /// Says who it is. Once; a second time changes nothing.
    pub fn lay_out(&self, person: LivePseudonyms) {
        // An error says that it was done before.
        let _ = self.person.set(person.iter().map(|(_, one)| one).collect());
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.person.get().is_some()
    }

    /// Notes the answer to a request, if it was the canary's.
    pub fn answered(&self, person: LivePseudonyms, response: &AuthorisationResponse, now: Timestamp) {
        let Some(canary) = self.person.get() else { return };
        if person.iter().any(|(_, one)| canary.contains(&one)) {
            let fate = CanaryFate::of(response);
            self.fates[fate as usize].fetch_add(1, Ordering::Relaxed);
            self.last.store(fate as u8, Ordering::Relaxed);
            self.last_ms.store(now.ms(), Ordering::Release);
        }
    }

    /// How its payments ended since the start.
    pub fn fates(&self) -> impl Iterator<Item = (CanaryFate, u64)> {
        CanaryFate::ALL.into_iter().zip(&self.fates).map(|(fate, n)| (fate, n.load(Ordering::Relaxed)))
    }

    /// When the last one came and how it ended; `None` before the first.
    pub fn last(&self) -> Option<(Timestamp, CanaryFate)> {
        let at = self.last_ms.load(Ordering::Acquire);
        let fate = CanaryFate::ALL[usize::from(self.last.load(Ordering::Relaxed))];
        (at != 0).then_some((Timestamp::from_ms(at), fate))
    }
}
