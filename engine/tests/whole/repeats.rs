//! The same question under the same id gets the same answer and is counted once; another question under it is refused.

use crate::floor::{Core, said, terms};
use sparr_engine::decision::VerifyUnavailable;
use sparr_engine::screen::Stopwatch;
use sparr_protocol::codes::{Kind, Wish};
use sparr_protocol::flag::Scope;
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;

const SECOND_OF_A_CARD: &str = "rules:
  - id: second
    description: A card that was seen before
    owner: risk
    when: velocity(card, \"1h\").count >= 2
    then: challenge
    reason: velocity_card
";

const NOW_MS: i64 = 1_795_348_800_000;

fn payment(id: u8, card: &str, amount: i64) -> AuthorisationRequest {
    let mut request =
        AuthorisationRequest::new(RequestId([id; 16]), Kind::CardPayment, Timestamp::from_ms(NOW_MS));
    request.card_token = Some(card.into());
    request.amount_minor = Some(amount);
    request
}

#[test]
fn a_retry_gets_the_same_answer_and_is_counted_once() {
    let mut core = Core::new(SECOND_OF_A_CARD, VerifyUnavailable::Hold);
    let now = Timestamp::from_ms(NOW_MS);
    let first = core.send(&payment(1, "c1", 100), now);
    assert!(said(&first).starts_with("approve"), "{}", said(&first));
    let mut retry = payment(1, "c1", 100);
    (retry.deadline_us, retry.max_staleness_ms) = (70_000, 9_000);
    for after in [0, 1_000, 119_000] {
        assert_eq!(core.send(&retry, Timestamp::from_ms(NOW_MS + after)), first, "{after} ms later");
    }
    assert_eq!(said(&core.send(&payment(1, "c1", 101), now)), "id_conflict");
    assert_eq!(said(&core.send(&payment(1, "c2", 100), now)), "id_conflict");
    assert!(
        said(&core.send(&payment(2, "c1", 100), now)).starts_with("challenge"),
        "two payments so far, not six"
    );
    assert!(
        said(&core.send(&payment(3, "c2", 100), now)).starts_with("approve"),
        "a refused one is not counted"
    );
}

#[test]
fn a_kept_answer_does_not_change_with_the_state() {
    let mut core = Core::new("rules: []\n", VerifyUnavailable::Hold);
    let now = Timestamp::from_ms(NOW_MS);
    let mut request = payment(1, "c1", 100);
    request.subject = Some(crate::support::TOLVAN.into());
    let before = core.send(&request, now);
    core.raise(terms(Wish::Deny, Scope::Any));
    assert_eq!(core.send(&request, now), before);
    request.request_id = RequestId([2; 16]);
    assert_eq!(said(&core.send(&request, now)), "decline none 1");
}

#[test]
fn a_retryable_refusal_is_tried_again_and_nothing_is_counted_for_it() {
    let mut core = Core::new(SECOND_OF_A_CARD, VerifyUnavailable::Hold);
    let now = Timestamp::from_ms(NOW_MS);
    core.state.set_ready(false);
    assert_eq!(said(&core.send(&payment(1, "c1", 100), now)), "not_ready");
    core.state.set_ready(true);
    assert!(said(&core.send(&payment(1, "c1", 100), now)).starts_with("approve"));
    let too_late = Timestamp::from_ms(NOW_MS + 120_001);
    assert_eq!(said(&core.send(&payment(2, "c1", 100), too_late)), "time_skew");
    assert!(said(&core.send(&payment(2, "c1", 100), now)).starts_with("challenge"));
}

struct Waited(u32);

impl Stopwatch for Waited {
    fn elapsed_us(&self) -> u32 {
        self.0
    }
}

#[test]
fn a_request_whose_deadline_has_passed_is_not_screened_and_not_counted() {
    let mut core = Core::new(SECOND_OF_A_CARD, VerifyUnavailable::Hold);
    let now = Timestamp::from_ms(NOW_MS);
    let mut first = payment(1, "c1", 100);
    first.deadline_us = 50_000;
    assert_eq!(said(&core.send_after(&first, now, &Waited(50_001))), "deadline_passed");
    assert!(
        said(&core.send_after(&first, now, &Waited(50_000))).starts_with("approve"),
        "in time, and the first"
    );
    let patient = payment(2, "c2", 100);
    assert!(said(&core.send_after(&patient, now, &Waited(u32::MAX))).starts_with("approve"), "no deadline");
}
