//! Whether what was answered is what should have been: flags and lists to the request, fraud by its first detection.

use crate::campaign::Campaign;
use crate::frames::Summary;
use crate::stream::{FlagTruth, Listed};
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::response::{AuthorisationResponse, Decided, ReasonCode};
use std::collections::BTreeMap;

/// The engine's own reasons for a flag: deny, verify, and verify where nobody can be asked.
const FLAG_REASONS: [ReasonCode; 3] = [ReasonCode(1), ReasonCode(2), ReasonCode(3)];

/// The reason that `config/reasons.toml` gives for a local list; a test of the engine compares.
pub const fn listed_reason(listed: Listed) -> ReasonCode {
    match listed {
        Listed::Device => ReasonCode(410),
        Listed::Address => ReasonCode(411),
        Listed::Domain => ReasonCode(412),
    }
}

/// Requests that should have been treated in one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Requests that should have been treated so and were.
    pub right: u64,
    /// That should have been and were not.
    pub missed: u64,
    /// That were and should not have been.
    pub invented: u64,
}

/// What became of one campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detection {
    /// Requests of it that were decided.
    pub requests: u64,
    /// Of those: challenged, declined, or reviewed.
    pub stopped: u64,
    /// Requests before the first that was stopped; all of them where none was.
    pub before_first: u64,
    /// Their amounts, minor units: what was lost until then.
    pub lost_minor: i64,
}

/// The comparison, answer by answer.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Flags: what each person asked for.
    pub flags: Matched,
    /// Local lists.
    pub lists: Matched,
    /// Requests with something to compare that were not screened.
    pub not_screened: u64,
    /// Requests of campaigns: number, amount, whether it was stopped.
    of_campaigns: BTreeMap<Campaign, Vec<(u64, i64, bool)>>,
}

impl Verdict {
    /// Compares an answer with what is known about its request.
    pub fn add(&mut self, number: u64, summary: &Summary, response: &AuthorisationResponse) {
        let truth = summary.truth;
        let Ok(decided) = &response.answer else {
            self.not_screened += u64::from(truth != Default::default());
            return;
        };
        let has = |reason: ReasonCode| decided.reasons.iter().any(|given| given == reason);
        let expects_flag = truth.flag.is_some_and(|flag| flag != FlagTruth::VerifyMet);
        let is_right = truth.flag.is_some_and(|flag| is_met_by(flag, decided));
        count(&mut self.flags, expects_flag, is_right, FLAG_REASONS.into_iter().any(has));
        for listed in Listed::ALL {
            let given = has(listed_reason(listed)) && decided.outcome >= Outcome::Challenge;
            count(&mut self.lists, truth.listed == Some(listed), given, has(listed_reason(listed)));
        }
        if let Some(campaign) = truth.campaign {
            let stopped = decided.outcome != Outcome::Approve || decided.review != Review::NoReview;
            self.of_campaigns.entry(campaign).or_default().push((number, summary.amount_minor, stopped));
        }
    }

    /// Whether nothing was missed and nothing invented.
    pub fn is_exact(&self) -> bool {
        [self.flags, self.lists].iter().all(|matched| matched.missed == 0 && matched.invented == 0)
    }

    /// What became of each campaign.
    pub fn detections(&self) -> Vec<(Campaign, Detection)> {
        let detection = |(campaign, requests): (&Campaign, &Vec<(u64, i64, bool)>)| {
            let mut requests = requests.clone();
            requests.sort_unstable();
            let before = requests.iter().take_while(|(_, _, stopped)| !stopped);
            let (before_first, lost_minor) =
                before.fold((0, 0i64), |(n, sum), (_, amount, _)| (n + 1, sum.saturating_add(*amount)));
            let detection = Detection {
                requests: requests.len() as u64,
                stopped: requests.iter().filter(|(_, _, stopped)| *stopped).count() as u64,
                before_first,
                lost_minor,
            };
            (*campaign, detection)
        };
        self.of_campaigns.iter().map(detection).collect()
    }
}

/// Whether a decision is what the flag asks for.
fn is_met_by(flag: FlagTruth, decided: &Decided) -> bool {
    let [deny, verify, unavailable] = FLAG_REASONS;
    let has = |reason: ReasonCode| decided.reasons.iter().any(|given| given == reason);
    match flag {
        FlagTruth::Deny => decided.outcome == Outcome::Decline && has(deny),
        FlagTruth::Verify => decided.outcome >= Outcome::Challenge && has(verify),
        FlagTruth::VerifyUnavailable => {
            (decided.review == Review::Hold || decided.outcome == Outcome::Decline) && has(unavailable)
        }
        FlagTruth::VerifyMet => !FLAG_REASONS.into_iter().any(has),
    }
}

fn count(matched: &mut Matched, expected: bool, is_right: bool, given: bool) {
    match (expected, is_right, given) {
        (true, true, _) => matched.right += 1,
        (true, false, _) => matched.missed += 1,
        (false, _, true) => matched.invented += 1,
        (false, _, false) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Truth;
    use sparr_protocol::codes::Kind;
    use sparr_protocol::ids::{RequestId, RuleSetDigest};
    use sparr_protocol::response::{Checked, Degraded, NotScreened, Position, Reasons, Why};

    fn answer(outcome: Outcome, review: Review, reasons: &[u16]) -> AuthorisationResponse {
        let mut given = Reasons::default();
        assert!(reasons.iter().all(|code| given.push(ReasonCode(*code))));
        response(Ok(Decided { outcome, review, hold_until: None, score: 0, reasons: given }))
    }

    fn response(answer: Result<Decided, NotScreened>) -> AuthorisationResponse {
        AuthorisationResponse {
            request_id: RequestId([1; 16]),
            answer,
            rule_set_digest: RuleSetDigest::default(),
            position: Position { engine: 1, epoch: 1, index: 0 },
            staleness_ms: 0,
            degraded: Degraded::default(),
            natural: None,
            checked: Checked::default(),
            engine_us: 0,
        }
    }

    fn summary(truth: Truth) -> Summary {
        Summary { kind: Kind::Invoice, amount_minor: 100, truth }
    }

    #[test]
    fn each_case_of_a_flag_is_right_missed_or_invented() {
        use FlagTruth::{Deny, Verify, VerifyMet, VerifyUnavailable};
        for (flag, outcome, review, reasons, expected) in [
            (Some(Deny), Outcome::Decline, Review::NoReview, &[1][..], "right"),
            (Some(Deny), Outcome::Challenge, Review::NoReview, &[1], "missed"),
            (Some(Deny), Outcome::Decline, Review::NoReview, &[100], "missed"),
            (Some(Verify), Outcome::Challenge, Review::NoReview, &[2], "right"),
            (Some(Verify), Outcome::Decline, Review::NoReview, &[2, 100], "right"),
            (Some(Verify), Outcome::Approve, Review::NoReview, &[], "missed"),
            (Some(VerifyUnavailable), Outcome::Approve, Review::Hold, &[3], "right"),
            (Some(VerifyUnavailable), Outcome::Approve, Review::NoReview, &[3], "missed"),
            (Some(VerifyMet), Outcome::Approve, Review::NoReview, &[], "nothing"),
            (Some(VerifyMet), Outcome::Challenge, Review::NoReview, &[2], "invented"),
            (None, Outcome::Challenge, Review::NoReview, &[2], "invented"),
            (None, Outcome::Challenge, Review::NoReview, &[100], "nothing"),
        ] {
            let mut verdict = Verdict::default();
            let truth = Truth { flag, ..Truth::default() };
            verdict.add(0, &summary(truth), &answer(outcome, review, reasons));
            let Matched { right, missed, invented } = verdict.flags;
            let said = match (right, missed, invented) {
                (1, 0, 0) => "right",
                (0, 1, 0) => "missed",
                (0, 0, 1) => "invented",
                (0, 0, 0) => "nothing",
                other => panic!("{other:?}"),
            };
            assert_eq!(said, expected, "{flag:?} {outcome:?} {reasons:?}");
            assert_eq!(verdict.is_exact(), expected == "right" || expected == "nothing");
        }
    }

    #[test]
    fn a_campaign_is_found_at_its_first_stopped_request_whatever_the_order_of_answers() {
        let mut verdict = Verdict::default();
        let truth = Truth { campaign: Some(Campaign::FakeShop), ..Truth::default() };
        for (number, outcome) in [(5, Outcome::Challenge), (2, Outcome::Approve), (9, Outcome::Approve)] {
            verdict.add(number, &summary(truth), &answer(outcome, Review::NoReview, &[]));
        }
        let found = Detection { requests: 3, stopped: 1, before_first: 1, lost_minor: 100 };
        assert_eq!(verdict.detections(), [(Campaign::FakeShop, found)]);
        verdict.add(1, &summary(truth), &response(Err(Why::Overloaded.into())));
        assert_eq!(verdict.not_screened, 1);
    }
}
