//! A request that lacks what its kind needs is not screened, and says which field: "not there" is never "not flagged".

use crate::floor::Core;
use sparr_engine::decision::VerifyUnavailable;
use sparr_engine::policy::{Policy, Required, Requirement, StaleAfter};
use sparr_protocol::codes::Kind;

fn core() -> Core {
    let mut required = Required::default();
    let requirement = |text: &str| Requirement::parse(text).expect("fields");
    required.set(Kind::Invoice, vec![requirement("subject")]);
    required.set(Kind::CardPayment, vec![requirement("card_token | pan_digest")]);
    required.set(Kind::Instant, vec![requirement("payer_account"), requirement("payee_account")]);
    let policy = Policy {
        required,
        verify_unavailable: VerifyUnavailable::Hold,
        cooling_off_ms: 0,
        stale_after: StaleAfter::default(),
    };
    Core::with_policy("rules: []\n", policy)
}

#[test]
fn what_a_kind_requires_is_asked_for_by_name() {
    let (digest, account) = ("00000000000000000000000000000001", "bg:9912346");
    let mut core = core();
    for (kind, fields, expected) in [
        (Kind::Invoice, &[("subject", crate::support::TOLVAN)][..], "approve"),
        (Kind::Invoice, &[("card_token", "c1")], "subject"),
        (Kind::CardPayment, &[("card_token", "c1")], "approve"),
        (Kind::CardPayment, &[("pan_digest", digest)], "approve"),
        (Kind::CardPayment, &[], "card_token"),
        (Kind::Instant, &[("payer_account", account)], "payee_account"),
        (Kind::Instant, &[("payee_account", account)], "payer_account"),
        (Kind::Payout, &[], "approve"),
    ] {
        let answer = core.screen_at(0, kind, fields).answer;
        let said = match answer {
            Ok(decided) => decided.outcome.name(),
            Err(why) => {
                assert_eq!(why.why.name(), "field_missing");
                why.field.expect("named").name()
            }
        };
        assert_eq!(said, expected, "{kind:?} {fields:?}");
    }
}
