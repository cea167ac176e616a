//! The floor that no rule can lower: what people asked for acts by itself, whatever the rule files say.

use crate::facts::{ActingFlag, Facts};
use crate::limits::{EVENT_EARLY_MS_MAX, FRESH_AUTHENTICATION_MS_MAX};
use sparr_protocol::codes::{AuthMethod, AuthResult, Outcome, Review, Wish};
use sparr_protocol::response::ReasonCode;
use sparr_protocol::time::Timestamp;

/// The person's flag says deny.
pub const FLAG_DENY: ReasonCode = ReasonCode(1);
/// The person's flag says verify, and no fresh authentication meets it.
pub const FLAG_VERIFY: ReasonCode = ReasonCode(2);
/// The person's flag says verify, and the payer cannot be asked.
pub const FLAG_VERIFY_UNAVAILABLE: ReasonCode = ReasonCode(3);

/// What to do about a `verify` flag where the payer cannot be asked. The member's own decision: no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyUnavailable {
    /// Hold the payment until somebody has looked at it.
    Hold,
    /// Decline it.
    Decline,
}

/// The least that the acting flags ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The outcome is at least this.
    pub outcome: Outcome,
    /// The review is at least this.
    pub review: Review,
    /// Why, where a flag asks for anything.
    pub reason: Option<ReasonCode>,
}

impl Floor {
    /// No flag asks for anything.
    pub const NONE: Self = Self { outcome: Outcome::Approve, review: Review::NoReview, reason: None };

    /// The floor of one request. `of_this_payment` says whether its authentication answers this payment's own
    /// challenge and not another's.
    pub fn of(
        facts: &Facts<'_>,
        now: Timestamp,
        verify_unavailable: VerifyUnavailable,
        of_this_payment: bool,
    ) -> Self {
        let mut floor = Self::NONE;
        for flag in facts.flags.iter().filter(|flag| !flag.is_open) {
            floor = floor.max(match flag.terms.wish {
                Wish::Deny => {
                    Self { outcome: Outcome::Decline, review: Review::NoReview, reason: Some(FLAG_DENY) }
                }
                Wish::Verify if of_this_payment && is_met(flag, facts, now) => Self::NONE,
                Wish::Verify if facts.request.view().challenge_possible() == Some(false) => {
                    let reason = Some(FLAG_VERIFY_UNAVAILABLE);
                    match verify_unavailable {
                        VerifyUnavailable::Hold => {
                            Self { outcome: Outcome::Approve, review: Review::Hold, reason }
                        }
                        VerifyUnavailable::Decline => {
                            Self { outcome: Outcome::Decline, review: Review::NoReview, reason }
                        }
                    }
                }
                Wish::Verify => {
                    Self { outcome: Outcome::Challenge, review: Review::NoReview, reason: Some(FLAG_VERIFY) }
                }
            });
        }
        floor
    }

    /// The stricter of two floors in each respect; the reason is that of the stricter outcome.
    fn max(self, other: Self) -> Self {
        let stricter = (self.outcome, self.review) >= (other.outcome, other.review);
        Self {
            outcome: self.outcome.max(other.outcome),
            review: self.review.max(other.review),
            reason: if stricter { self.reason.or(other.reason) } else { other.reason.or(self.reason) },
        }
    }
}

/// Whether the request's authentication is what the flag's person asked for: passed, strong, fresh, and through a
/// method that is not in somebody else's hands.
fn is_met(flag: &ActingFlag, facts: &Facts<'_>, now: Timestamp) -> bool {
    let view = facts.request.view();
    let passed = view.auth_result() == Some(AuthResult::Passed);
    let trusted = view
        .auth_method()
        .is_some_and(|method| is_strong(method) && !flag.terms.compromised.contains(method));
    let fresh = view.auth_time().is_some_and(|time| {
        (-EVENT_EARLY_MS_MAX..=FRESH_AUTHENTICATION_MS_MAX).contains(&now.ms_since(time))
    });
    passed && trusted && fresh
}

/// Whether a method is strong customer authentication: two independent elements (PSD2, article 4(30)). What is not
/// known to be strong is not.
const fn is_strong(method: AuthMethod) -> bool {
    match method {
        AuthMethod::BankId
        | AuthMethod::Freja
        | AuthMethod::ThreeDSecure
        | AuthMethod::OtpSms
        | AuthMethod::OtpApp
        | AuthMethod::Passkey
        | AuthMethod::CardReader
        | AuthMethod::Biometric
        | AuthMethod::CardPin
        | AuthMethod::InPerson => true,
        AuthMethod::Password | AuthMethod::OtherMethod => false,
    }
}
