//! Sandbox values: what a payment is to be answered stands in its `merchant_id`, so that whoever writes a gateway sees every
//! answer once before a customer does. Only an engine that was started with `serve --dev --sandbox` reads them; its answers say
//! `sandbox`, and decide nothing.
//!
//! `sandbox-decline`, `sandbox-review-hold`, `sandbox-not-screened-overloaded`: the words are those of the contract.

use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::field::Field;
use sparr_protocol::response::{Decided, NotScreened, ReasonCode, Reasons, Why};

/// What they all begin with.
const PREFIX: &str = "sandbox-";
const REVIEW: &str = "review-";
const NOT_SCREENED: &str = "not-screened-";
/// The reason that such an answer gives.
pub const SANDBOX: ReasonCode = ReasonCode(4);
/// When another try would make sense, ms.
const RETRY_AFTER_MS: u32 = 50;

/// What a merchant's id asks for; `None` where it is no sandbox value. One that asks for nothing that there is gets that said:
/// who misspells a decline must not see an approval.
pub fn forced(merchant_id: &str) -> Option<Result<Decided, NotScreened>> {
    let wanted = merchant_id.strip_prefix(PREFIX)?;
    let unknown = NotScreened { why: Why::FieldMalformed, field: Some(Field::MerchantId), retry_after_ms: 0 };
    Some(named(wanted).unwrap_or(Err(unknown)))
}

fn named(wanted: &str) -> Option<Result<Decided, NotScreened>> {
    if let Some(why) = wanted.strip_prefix(NOT_SCREENED) {
        let why = *Why::ALL.iter().find(|known| known.name().replace('_', "-") == why)?;
        let retry_after_ms = if why.retryable() { RETRY_AFTER_MS } else { 0 };
        return Some(Err(NotScreened { why, field: None, retry_after_ms }));
    }
    let (outcome, review) = match wanted.strip_prefix(REVIEW) {
        Some(review) => (Outcome::Approve, Review::parse(review)?),
        None => (Outcome::parse(wanted)?, Review::NoReview),
    };
    // An approval has nothing to give a reason for.
    let plain = (outcome, review) == (Outcome::Approve, Review::NoReview);
    let mut reasons = Reasons::default();
    if !plain {
        reasons.push(SANDBOX);
    }
    Some(Ok(Decided { outcome, review, hold_until: None, score: 0, reasons }))
}

/// Every sandbox value.
pub fn values() -> impl Iterator<Item = String> {
    let outcomes = Outcome::ALL.iter().map(|outcome| outcome.name().to_owned());
    let asked = Review::ALL.iter().filter(|review| **review != Review::NoReview);
    let reviews = asked.map(|review| format!("{REVIEW}{}", review.name()));
    let whys = Why::ALL.iter().map(|why| format!("{NOT_SCREENED}{}", why.name().replace('_', "-")));
    outcomes.chain(reviews).chain(whys).map(|value| format!("{PREFIX}{value}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_answer_can_be_asked_for_and_nothing_else_is_one() {
        let mut seen = BTreeSet::new();
        for value in values() {
            let answer = forced(&value).unwrap_or_else(|| panic!("{value}"));
            assert!(seen.insert(format!("{answer:?}")), "{value}: asked for twice");
            if let Err(not_screened) = answer {
                assert_eq!(not_screened.retry_after_ms > 0, not_screened.why.retryable(), "{value}");
            }
        }
        assert_eq!(seen.len(), Outcome::ALL.len() + Review::ALL.len() - 1 + Why::ALL.len());
        for other in ["", "m1", "sandbox", "Sandbox-decline"] {
            assert_eq!(forced(other), None, "{other}");
        }
        for misspelt in
            ["sandbox-", "sandbox-declined", "sandbox-review-", "sandbox-not-screened-", "sandbox-Approve"]
        {
            let answer = forced(misspelt);
            let told = answer.and_then(Result::err).map(|why| (why.why, why.field));
            assert_eq!(told, Some((Why::FieldMalformed, Some(Field::MerchantId))), "{misspelt}");
        }
    }
}
