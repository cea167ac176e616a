//! What people asked for acts by itself: no rule, mode or missing rule lowers it, and nothing but a fresh
//! authentication of this payment, through a method that is still the person's own, meets a `verify` flag.

use crate::support::TOLVAN;
use sparr_engine::decision::VerifyUnavailable;
use sparr_engine::ids::CallerNo;
use sparr_engine::journal::Chain;
use sparr_engine::policy::{Policy, Required, StaleAfter};
use sparr_engine::request::{Keyring, NetworkKey, ValueKind};
use sparr_engine::rules::{self, SourceFile, Sources};
use sparr_engine::screen::{Asked, Scratch, Stopped, Stopwatch, Unobserved, screen};
use sparr_engine::state::{EngineClock, Moment, State, StateConfig};
use sparr_protocol::codes::{AuthMethod, FlagReason, Kind, RequestedBy, Role, SubjectKind, Wish};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::frame::Next;
use sparr_protocol::identity::Subject;
use sparr_protocol::ids::{Actor, MemberName, RequestId};
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::record::{Origin, Payload};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::{Date, Timestamp};

/// 2026-11-22T12:00:00Z.
const NOW_MS: i64 = 1_795_348_800_000;
const MOMENT: Moment =
    Moment { now: Timestamp::from_ms(NOW_MS), today: Date::new(2026, 11, 22), steady_ms: 0 };

/// A field and its value.
type Field<'a> = (&'a str, &'a str);
type Fields<'a> = &'a [Field<'a>];

/// An engine's core without a shell.
pub(crate) struct Core {
    pub(crate) state: State,
    scratch: Scratch,
    chain: Chain,
    requests: u64,
}

const REASONS: &str = include_str!("../../../config/reasons.toml");

pub(crate) fn sources(yaml: &str) -> Sources {
    let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
    Sources {
        rules: vec![file("rules.yaml", yaml)],
        lists: Vec::new(),
        reasons: file("reasons.toml", REASONS),
    }
}

impl Core {
    pub(crate) fn new(yaml: &str, verify_unavailable: VerifyUnavailable) -> Self {
        Self::with_policy(
            yaml,
            Policy {
                required: Required::default(),
                verify_unavailable,
                cooling_off_ms: 0,
                stale_after: StaleAfter::default(),
            },
        )
    }

    pub(crate) fn with_policy(yaml: &str, policy: Policy) -> Self {
        let state = State::new(StateConfig {
            keyring: Keyring::new(NetworkKey::new(1, [7; 32].into()), None),
            policy,
            clock: EngineClock::Wall { began: Timestamp::from_ms(0) },
            member: MemberName::parse("dev").expect("legal"),
            engine: 1,
            epoch: 1,
            velocity_keys_max: 1_000,
            ids_kept_max: 1_000_000,
        });
        let member = MemberName::parse("dev").expect("legal");
        let chain = Chain::new(Origin { member, engine: 1, epoch: 1 }, [0; 32], 0);
        let mut core = Self { state, scratch: Scratch::default(), chain, requests: 0 };
        core.load(yaml);
        core.state.set_ready(true);
        core
    }

    pub(crate) fn load(&mut self, yaml: &str) {
        let sources = sources(yaml);
        let loaded = rules::load(&sources);
        let said: Vec<String> = loaded.diagnostics.iter().map(|one| one.render_plain(&sources)).collect();
        let set = loaded.set.unwrap_or_else(|| panic!("{}", said.join("\n")));
        self.state.activate(set, MOMENT);
    }

    pub(crate) fn raise(&mut self, terms: Terms) {
        let subject = Subject::parse(TOLVAN, SubjectKind::SePerson, None, MOMENT.today).expect("legal");
        let subject = self.state.keyring.current(ValueKind::Subject, subject.canonical());
        let actor = Actor::new(MemberName::parse("dev").expect("legal"), Role::Desk, "anna").expect("legal");
        let raised = Payload::FlagRaised { subject, key_id: 1, terms };
        let sealed = self.chain.append(MOMENT.now, actor, RequestId([0; 16]), "", raised);
        self.state.apply(&sealed.record, sealed.digest).expect("understood");
    }

    /// Screens a request at a time after [`NOW_MS`]; each gets an id of its own.
    pub(crate) fn screen_at(
        &mut self,
        after_ms: i64,
        kind: Kind,
        fields: Fields<'_>,
    ) -> AuthorisationResponse {
        self.requests += 1;
        let now = Timestamp::from_ms(NOW_MS + after_ms);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.requests.to_be_bytes());
        let mut request = AuthorisationRequest::new(RequestId(id), kind, now);
        fields.iter().for_each(|(name, text)| request.set(name, text).expect(name));
        self.send(&request, now)
    }

    pub(crate) fn send(&mut self, request: &AuthorisationRequest, now: Timestamp) -> AuthorisationResponse {
        self.send_after(request, now, &Stopped)
    }

    /// Screens a request that has waited for a while.
    pub(crate) fn send_after(
        &mut self,
        request: &AuthorisationRequest,
        now: Timestamp,
        since_read: &dyn Stopwatch,
    ) -> AuthorisationResponse {
        let mut bytes = Vec::new();
        request.encode(&mut bytes).expect("fits");
        let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else {
            panic!("a frame")
        };
        let (_, message) = frame.open().expect("sound");
        let asked = Asked {
            caller: CallerNo(0),
            moment: Moment { now, ..MOMENT },
            since_read,
            without_shadow: false,
        };
        let rules = self.state.rules();
        screen(message, asked, &self.state, rules.as_deref(), &mut self.scratch, &mut Unobserved)
    }
}

/// What an answer says in one line: outcome, review where there is one, the first reason's code.
pub(crate) fn said(response: &AuthorisationResponse) -> String {
    match &response.answer {
        Ok(decided) => {
            let reasons: Vec<String> = decided.reasons.iter().map(|reason| reason.0.to_string()).collect();
            format!("{} {} {}", decided.outcome.name(), decided.review.name(), reasons.join(","))
        }
        Err(not_screened) => not_screened.why.name().to_owned(),
    }
}

pub(crate) fn terms(wish: Wish, scope: Scope) -> Terms {
    Terms {
        wish,
        scope,
        reason: FlagReason::SuspectedFraud,
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        compromised: Methods::default().with(AuthMethod::OtpSms),
        valid_until: Timestamp::from_ms(NOW_MS + 86_400_000),
    }
}

/// Rule files that say nothing of flags, in the ways in which somebody might hope to lower the floor by them.
const RULE_FILES: &[(&str, &str)] = &[
    ("no rules", "rules: []\n"),
    (
        "a shadow rule",
        "rules:\n  - id: shadow\n    description: d\n    owner: o\n    mode: shadow\n    when: amount_minor > 0\n    \
         then: decline\n    reason: velocity_card\n",
    ),
    (
        "a rule that is off",
        "rules:\n  - id: killed\n    description: d\n    owner: o\n    mode: off\n    when: flag.deny\n    \
         then: decline\n    reason: velocity_card\n",
    ),
    (
        "a score far below every threshold",
        "rules:\n  - id: score\n    description: d\n    owner: o\n    when: amount_minor > 0\n    score: 1\n    \
         reason: velocity_card\n",
    ),
];

#[test]
fn no_rule_file_lowers_the_floor() {
    for (what, yaml) in RULE_FILES {
        for (wish, expected) in [(Wish::Deny, "decline none 1"), (Wish::Verify, "challenge none 2")] {
            let mut core = Core::new(yaml, VerifyUnavailable::Decline);
            core.raise(terms(wish, Scope::Any));
            let answer = core.screen_at(0, Kind::Invoice, &[("subject", TOLVAN), ("amount_minor", "100")]);
            let said = said(&answer);
            assert!(said.starts_with(expected), "{what}, {}: {said}", wish.name());
        }
    }
}

/// The negative control: without the flag, the same requests are approved.
#[test]
fn without_a_flag_nothing_is_floored() {
    for (what, yaml) in RULE_FILES {
        let mut core = Core::new(yaml, VerifyUnavailable::Decline);
        let answer = core.screen_at(0, Kind::Invoice, &[("subject", TOLVAN), ("amount_minor", "100")]);
        assert!(said(&answer).starts_with("approve none"), "{what}");
    }
}

#[test]
fn a_flag_covers_what_its_person_chose() {
    use sparr_protocol::money::Currency;
    let above = Scope::Above { amount_minor: 30_000, currency: Currency::SEK };
    let table: &[(Scope, Kind, Fields<'_>, &str)] = &[
        (Scope::Any, Kind::CardPayment, &[], "decline"),
        (Scope::Any, Kind::CredentialChange, &[], "decline"),
        (Scope::Any, Kind::Refund, &[], "approve"),
        (Scope::Any, Kind::Reversal, &[], "approve"),
        (Scope::Credit, Kind::Invoice, &[], "decline"),
        (Scope::Credit, Kind::AccountOpening, &[], "decline"),
        (Scope::Credit, Kind::CardPayment, &[], "approve"),
        (Scope::Credit, Kind::Instant, &[], "approve"),
        (above, Kind::CardPayment, &[("amount_minor", "30000"), ("currency", "SEK")], "approve"),
        (above, Kind::CardPayment, &[("amount_minor", "30001"), ("currency", "SEK")], "decline"),
        (above, Kind::CardPayment, &[("amount_minor", "1"), ("currency", "EUR")], "decline"),
        (above, Kind::CardPayment, &[("amount_minor", "1")], "decline"),
        (above, Kind::CardPayment, &[], "decline"),
    ];
    for (scope, kind, fields, expected) in table {
        let mut core = Core::new("rules: []\n", VerifyUnavailable::Decline);
        core.raise(terms(Wish::Deny, *scope));
        let fields = [&[("subject", TOLVAN)][..], fields].concat();
        let said = said(&core.screen_at(0, *kind, &fields));
        assert!(said.starts_with(expected), "{scope} {} {fields:?}: {said}", kind.name());
    }
}

#[test]
fn a_verify_flag_is_met_by_a_fresh_authentication_and_by_nothing_else() {
    let at = |ms: i64| (NOW_MS + ms).to_string();
    let (fresh, edge, stale, future) = (at(0), at(-600_000), at(-600_001), at(5_001));
    let earlier = "00000000000000010000000000000000";
    let other = "000000000000000f0000000000000000";
    let own = "00000000000000020000000000000000";
    let passed = |method: &'static str| vec![("auth.method", method), ("auth.result", "passed")];
    let table: Vec<(&str, Vec<Field<'_>>, bool)> = vec![
        ("nothing", vec![], false),
        ("a method alone", vec![("auth.method", "bankid")], false),
        ("no time", passed("bankid"), false),
        ("no result", vec![("auth.method", "bankid"), ("auth.time", &fresh)], false),
        ("no method", vec![("auth.result", "passed"), ("auth.time", &fresh)], false),
        ("fresh", [passed("bankid"), vec![("auth.time", &fresh)]].concat(), true),
        ("ten minutes old", [passed("freja"), vec![("auth.time", &edge)]].concat(), true),
        ("older than ten minutes", [passed("bankid"), vec![("auth.time", &stale)]].concat(), false),
        ("from the future", [passed("bankid"), vec![("auth.time", &future)]].concat(), false),
        ("reported compromised", [passed("otp_sms"), vec![("auth.time", &fresh)]].concat(), false),
        ("a password", [passed("password"), vec![("auth.time", &fresh)]].concat(), false),
        ("something else", [passed("other"), vec![("auth.time", &fresh)]].concat(), false),
        ("failed", vec![("auth.method", "bankid"), ("auth.result", "failed"), ("auth.time", &fresh)], false),
        (
            "attempted",
            vec![("auth.method", "three_d_secure"), ("auth.result", "attempted"), ("auth.time", &fresh)],
            false,
        ),
        (
            "of the challenged request",
            [passed("bankid"), vec![("auth.time", &fresh), ("auth.of_request_id", earlier)]].concat(),
            true,
        ),
        (
            "of this request",
            [passed("bankid"), vec![("auth.time", &fresh), ("auth.of_request_id", own)]].concat(),
            true,
        ),
        (
            "of a request that nobody knows",
            [passed("bankid"), vec![("auth.time", &fresh), ("auth.of_request_id", other)]].concat(),
            false,
        ),
    ];
    for (what, auth, met) in table {
        let mut core = Core::new("rules: []\n", VerifyUnavailable::Decline);
        core.raise(terms(Wish::Verify, Scope::Any));
        let payment =
            [("subject", TOLVAN), ("amount_minor", "100"), ("currency", "SEK"), ("merchant_id", "m1")];
        assert_eq!(said(&core.screen_at(0, Kind::CardPayment, &payment)), "challenge none 2", "{what}");
        let said = said(&core.screen_at(0, Kind::CardPayment, &[&payment[..], &auth].concat()));
        assert_eq!(said, if met { "approve none " } else { "challenge none 2" }, "{what}");
    }
}

/// Dynamic linking: an authentication of one payment is not an authentication of another.
#[test]
fn an_authentication_of_another_payment_meets_nothing() {
    let fresh = NOW_MS.to_string();
    let auth = [
        ("auth.method", "bankid"),
        ("auth.result", "passed"),
        ("auth.time", fresh.as_str()),
        ("auth.of_request_id", "00000000000000010000000000000000"),
    ];
    let small = [("subject", TOLVAN), ("amount_minor", "100"), ("currency", "SEK"), ("merchant_id", "m1")];
    for (what, change, met) in [
        ("the same payment", ("merchant_id", "m1"), true),
        ("another merchant", ("merchant_id", "m2"), false),
        ("another amount", ("amount_minor", "99999"), false),
        ("another currency", ("currency", "EUR"), false),
        ("another person's", ("subject", "189001059808"), true),
    ] {
        let mut core = Core::new("rules: []\n", VerifyUnavailable::Decline);
        core.raise(terms(Wish::Verify, Scope::Any));
        core.screen_at(0, Kind::CardPayment, &small);
        let changed = [&small[..], &[change], &auth].concat();
        let said = said(&core.screen_at(0, Kind::CardPayment, &changed));
        // The other person has no flag, so there is nothing to meet.
        assert_eq!(said.starts_with("approve"), met, "{what}: {said}");
    }
}

#[test]
fn where_nobody_can_be_asked_the_members_own_decision_acts() {
    let payment = [("subject", TOLVAN), ("amount_minor", "100"), ("challenge_possible", "false")];
    for (policy, expected) in
        [(VerifyUnavailable::Hold, "approve hold 3"), (VerifyUnavailable::Decline, "decline none 3")]
    {
        let mut core = Core::new("rules: []\n", policy);
        core.raise(terms(Wish::Verify, Scope::Any));
        assert_eq!(said(&core.screen_at(0, Kind::CardPayment, &payment)), expected);
    }
}

#[test]
fn a_flag_ends_by_itself_at_its_end_and_not_before() {
    let mut core = Core::new("rules: []\n", VerifyUnavailable::Decline);
    core.raise(terms(Wish::Deny, Scope::Any));
    let payment = [("subject", TOLVAN)];
    assert_eq!(said(&core.screen_at(86_399_999, Kind::CardPayment, &payment)), "decline none 1");
    assert_eq!(said(&core.screen_at(86_400_000, Kind::CardPayment, &payment)), "approve none ");
}
