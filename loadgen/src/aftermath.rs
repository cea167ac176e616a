//! What becomes of the payments of a stream: the issuer's answer within seconds, the truth weeks later.

use crate::campaign::Campaign;
use crate::random::Random;
use crate::stream::Planned;
use serde_json::{Value, json};
use sparr_protocol::ids::RequestId;

/// What became of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalResult {
    /// The request.
    pub request_id: RequestId,
    /// `authorised`, `declined`, `abandoned` or `reversed`.
    pub result: &'static str,
    /// ISO 8583 field 39.
    pub response_code: &'static str,
    /// How long after the request it is known, ms.
    pub after_ms: u64,
}

/// What a payment turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The payment.
    pub payment_id: String,
    /// `unauthorised`, `takeover`, `scam` or `first_party`.
    pub class: &'static str,
    /// Reason code of the chargeback, where there was one.
    pub chargeback_code: Option<&'static str>,
    /// Minor units.
    pub amount_minor: i64,
    /// How long after the payment it is known, days.
    pub known_after_days: u64,
}

/// What the issuer and the customer make of a request, if nobody stops it. Reproducible: it follows from the number.
pub fn final_result(number: u64, planned: &Planned) -> FinalResult {
    let mut random = Random::new(number ^ 0xF1A1);
    // Card testing shows in the issuer's declines: most of the stolen numbers are dead.
    let declined_per_mille = match planned.truth.campaign {
        Some(Campaign::CardTesting) => 800,
        Some(Campaign::AccountTakeover | Campaign::MuleTransfers) => 5,
        Some(Campaign::FakeShop | Campaign::FlaggedPersons) | None => 25,
    };
    let (result, response_code) = match random.below(1_000) {
        part if part < declined_per_mille => ("declined", *random.pick(&["05", "51", "14", "54"])),
        990..995 => ("abandoned", ""),
        995.. => ("reversed", "00"),
        _ => ("authorised", "00"),
    };
    let after_ms = 150 + random.skewed(4_000);
    FinalResult { request_id: planned.request.request_id, result, response_code, after_ms }
}

/// What a payment turned out to be, where somebody found out. Nobody tells of most good payments.
pub fn label(number: u64, planned: &Planned) -> Option<Label> {
    let mut random = Random::new(number ^ 0x1ABE1);
    let (class, chargeback_code, known_per_mille) = match planned.truth.campaign {
        Some(Campaign::CardTesting) => ("unauthorised", Some("10.4"), 700),
        Some(Campaign::AccountTakeover) => ("takeover", None, 950),
        Some(Campaign::MuleTransfers) => ("scam", None, 600),
        Some(Campaign::FakeShop) => ("scam", Some("13.1"), 800),
        Some(Campaign::FlaggedPersons) => ("unauthorised", None, 900),
        // Some customers dispute what they bought themselves.
        None => ("first_party", Some("10.4"), 1),
    };
    let amount_minor = planned.request.amount_minor.filter(|amount| *amount > 0)?;
    let payment_id = planned.request.payment_id.clone()?;
    let known_after_days = 3 + random.skewed(60);
    random.per_mille(known_per_mille).then_some(Label {
        payment_id,
        class,
        chargeback_code,
        amount_minor,
        known_after_days,
    })
}

impl FinalResult {
    /// As one line of NDJSON; `event_time_ms` is the request's.
    pub fn to_json(&self, event_time_ms: i64) -> Value {
        json!({
            "request_id": self.request_id.to_string(), "final": self.result,
            "response_code": self.response_code, "time": event_time_ms.saturating_add(self.after_ms as i64),
        })
    }
}

impl Label {
    /// As one line of NDJSON; `event_time_ms` is the payment's.
    pub fn to_json(&self, event_time_ms: i64) -> Value {
        json!({
            "payment_id": self.payment_id, "class": self.class, "chargeback_code": self.chargeback_code,
            "amount_minor": self.amount_minor,
            "known_at": event_time_ms.saturating_add(self.known_after_days as i64 * 86_400_000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Population;
    use crate::stream::{Plan, Stream};
    use sparr_protocol::time::Timestamp;

    #[test]
    fn stolen_cards_are_declined_by_their_issuers_and_fraud_is_found_out_weeks_later() {
        let plan = Plan {
            seed: 3,
            population: Population { people: 20_000, merchants: 500, flags: 200 },
            midnight: Timestamp::from_ms(0),
            requests: 20_000,
            listed: 0,
            run: [1; 8],
        };
        let (mut tested, mut declined, mut ordinary, mut declined_ordinary) = (0, 0, 0, 0);
        let (mut fraud_labels, mut other_labels) = (0, 0);
        for (number, planned) in (0..).zip(Stream::new(plan)) {
            let result = final_result(number, &planned);
            assert_eq!(result, final_result(number, &planned), "reproducible");
            match planned.truth.campaign {
                Some(Campaign::CardTesting) => {
                    tested += 1;
                    declined += u32::from(result.result == "declined");
                }
                None => {
                    ordinary += 1;
                    declined_ordinary += u32::from(result.result == "declined");
                }
                Some(_) => {}
            }
            if let Some(label) = label(number, &planned) {
                assert!((3..63).contains(&label.known_after_days) && label.amount_minor > 0);
                *if planned.truth.campaign.is_some() { &mut fraud_labels } else { &mut other_labels } += 1;
            }
        }
        assert!(declined * 2 > tested && declined_ordinary * 20 < ordinary, "{declined} {declined_ordinary}");
        assert!(fraud_labels > 150 && other_labels < 60, "{fraud_labels} {other_labels}");
    }
}
