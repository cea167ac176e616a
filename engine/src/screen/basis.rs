//! What a decision rested on: noted while it is made, for whoever makes it again.

use crate::facts::{ActingFlag, Facts};
use crate::indicators::Evidence;
use crate::request::About;
use sparr_protocol::time::Timestamp;

/// What a decision rested on beside the request, its readings and the rule set: enough to decide it again.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    /// Whether rules were asked at all; everything else means nothing where they were not.
    pub evaluated: bool,
    /// When it was decided, by the engine's clock.
    pub now: Option<Timestamp>,
    /// Whether its authentication answered a challenge of this very payment.
    pub of_this_payment: bool,
    /// The flags that acted on it.
    pub flags: Vec<ActingFlag>,
    /// What rules found of indicators on its values.
    pub indicators: Vec<(About, Evidence)>,
}

impl Basis {
    pub(super) fn clear(&mut self) {
        self.evaluated = false;
        self.flags.clear();
        self.indicators.clear();
    }

    pub(super) fn note(&mut self, facts: &Facts<'_>, now: Timestamp, of_this_payment: bool) {
        (self.evaluated, self.now, self.of_this_payment) = (true, Some(now), of_this_payment);
        self.flags.extend(facts.flags.iter());
        self.indicators.extend(facts.found_indicators().map(|(about, evidence)| (about, *evidence)));
    }
}
