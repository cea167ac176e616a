//! What came back: outcomes, reviews, reasons, refusals, round trips.

use hdrhistogram::Histogram;
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::field::Field;
use sparr_protocol::response::{AuthorisationResponse, ReasonCode, Why};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest round trip that is told apart.
const LONGEST_NS: u64 = 60_000_000_000;

/// Answers, counted.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Answers in all.
    pub answers: u64,
    /// Decisions by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Decisions by review, without those that ask for none.
    pub reviews: BTreeMap<&'static str, u64>,
    /// Decisions by reason; one decision has up to eight.
    pub reasons: BTreeMap<ReasonCode, u64>,
    /// Refusals by reason and field.
    pub not_screened: BTreeMap<(&'static str, Option<&'static str>), u64>,
    /// From writing a request to reading its answer, ns.
    pub round_trips: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        // The bounds are constants that the crate accepts.
        let Ok(round_trips) = Histogram::new_with_bounds(1, LONGEST_NS, 3) else {
            unreachable!("constant bounds")
        };
        Self {
            answers: 0,
            outcomes: Outcome::ALL.iter().map(|outcome| (outcome.name(), 0)).collect(),
            reviews: BTreeMap::new(),
            reasons: BTreeMap::new(),
            not_screened: BTreeMap::new(),
            round_trips,
        }
    }
}

impl Tally {
    /// Counts an answer.
    pub fn add(&mut self, response: &AuthorisationResponse, round_trip: Duration) {
        self.answers += 1;
        self.round_trips.saturating_record(u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX));
        match &response.answer {
            Ok(decided) => {
                *self.outcomes.entry(decided.outcome.name()).or_default() += 1;
                if decided.review != Review::NoReview {
                    *self.reviews.entry(decided.review.name()).or_default() += 1;
                }
                for reason in decided.reasons.iter() {
                    *self.reasons.entry(reason).or_default() += 1;
                }
            }
            Err(not_screened) => {
                let key = (Why::name(not_screened.why), not_screened.field.map(Field::name));
                *self.not_screened.entry(key).or_default() += 1;
            }
        }
    }

    /// Decisions in all.
    pub fn decisions(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// A quantile of the round trips, µs.
    pub fn round_trip_us(&self, quantile: f64) -> f64 {
        self.round_trips.value_at_quantile(quantile) as f64 / 1e3
    }
}
