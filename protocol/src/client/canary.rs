//! The canary: a flagged person whom nobody is, sent through the gateway's own way every minute to see that the flag acts.

use super::{Client, Verdict};
use crate::codes::{Kind, Outcome};
use crate::ids::RequestId;
use crate::money::Currency;
use crate::personal::Personal;
use crate::request::AuthorisationRequest;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// How often a canary is sent, where nothing else is said.
pub const CANARY_EVERY: Duration = Duration::from_secs(60);

/// 100.00 of the currency: an amount that most scopes of flags reach.
const AMOUNT_MINOR: i64 = 10_000;

/// A payment of somebody with a flag, whom nobody is.
#[derive(Clone, Debug)]
pub struct Canary(AuthorisationRequest);

/// What became of a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanaryResult {
    /// It was challenged or declined, as the flag asks.
    Stopped,
    /// It was not: whoever has a flag is not protected on this way. Tell somebody.
    NotStopped(Verdict),
}

impl Canary {
    /// An invoice of 100.00 SEK of the person with this number, a published test number that `[alerts] canary` of
    /// the engine names and that has a flag.
    pub fn new(number: Personal) -> Self {
        let mut request =
            AuthorisationRequest::new(RequestId::UNREADABLE, Kind::Invoice, crate::time::Timestamp::MIN);
        request.event_time = None;
        request.amount_minor = Some(AMOUNT_MINOR);
        request.currency = Currency::parse("SEK");
        request.subject = Some(number);
        Self(request)
    }

    /// The same with what a gateway's own requests have: other fields than these may be required where it is sent.
    pub fn of(request: AuthorisationRequest) -> Self {
        Self(request)
    }

    /// The next one: the same payment under an id of its own.
    pub fn request(&self) -> AuthorisationRequest {
        // Each state of the standard library is seeded from the system's randomness, and no other.
        let half = |salt: u8| RandomState::new().hash_one(salt).to_be_bytes();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&half(0));
        id[8..].copy_from_slice(&half(1));
        AuthorisationRequest { request_id: RequestId(id), ..self.0.clone() }
    }
}

impl Client {
    /// Sends one canary and says whether it was stopped: by the engine. That the fail policy holds it
    /// does not show that the flag acts.
    pub async fn send_canary(&self, canary: &Canary) -> CanaryResult {
        let verdict = self.decide(&canary.request()).await;
        let is_stopped = match &verdict {
            Verdict::Screened(response) => match response.answer.map(|decided| decided.outcome) {
                Ok(Outcome::Challenge | Outcome::Decline) => true,
                Ok(Outcome::Approve) | Err(_) => false,
            },
            Verdict::NotScreened { .. } | Verdict::NoAnswer { .. } => false,
        };
        if is_stopped { CanaryResult::Stopped } else { CanaryResult::NotStopped(verdict) }
    }

    /// Sends a canary now and again after each `every`, for ever, and tells each result. Run it beside the gateway's
    /// payments, on the client that they use: `tokio::spawn` it, or `select!` it.
    pub async fn watch_canary(&self, canary: &Canary, every: Duration, mut tell: impl FnMut(CanaryResult)) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            tell(self.send_canary(canary).await);
        }
    }
}
