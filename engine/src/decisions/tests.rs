//! What is written reads back, and running it again notices whatever is not as it was.

use super::*;
use crate::ids::CallerNo;
use crate::pack::Pack as _;
use crate::policy::{Policy, Required, StaleAfter};
use crate::recent::Reads;
use crate::request::{KeyName, Keyring, NetworkKey};
use crate::rules::{self, RuleSet, SourceFile, Sources, Truth};
use crate::screen::{Asked, Scratch, Stopped, Unobserved, screen};
use crate::state::{EngineClock, Moment, State, StateConfig};
use sparr_protocol::codes::{AuthMethod, FlagReason, Kind, Outcome, RequestedBy, Wish};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::frame::Next;
use sparr_protocol::ids::RequestId;
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::money::Currency;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Date;
use std::sync::Arc;

pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_795_348_800_000);
const MOMENT: Moment = Moment { now: NOW, today: Date::new(2026, 11, 22), steady_ms: 0 };
const RULES: &str = "
rules:
  - {id: large, when: amount_minor > 50000, review: after, reason: risky_goods}
  - {id: often, when: 'velocity(card, \"1h\").count >= 2', score: 30, reason: velocity_card}
  - {id: tried, when: 'email_domain == \"example.se\"', then: decline, reason: velocity_card, mode: shadow}
";

pub(crate) fn set(text: &str) -> RuleSet {
    let file = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
    let reasons = file("reasons.toml", include_str!("../../../config/reasons.toml"));
    let sources = Sources { rules: vec![file("rules.yaml", text)], lists: vec![], reasons };
    let loaded = rules::load(&sources);
    let rendered: Vec<_> = loaded.diagnostics.iter().map(|one| one.render_plain(&sources)).collect();
    loaded.set.unwrap_or_else(|| panic!("{rendered:?}"))
}

pub(crate) fn state(text: &str) -> State {
    let state = State::new(StateConfig {
        keyring: Keyring::new(NetworkKey::new(1, [7; 32].into()), None),
        policy: Policy {
            required: Required::default(),
            verify_unavailable: VerifyUnavailable::Hold,
            cooling_off_ms: 0,
            stale_after: StaleAfter::default(),
        },
        clock: EngineClock::Wall { began: NOW },
        member: MemberName::parse("own").expect("legal"),
        engine: 1,
        epoch: 1,
        velocity_keys_max: 1_000,
        ids_kept_max: 1_000,
    });
    state.activate(set(text), MOMENT);
    state.set_ready(true);
    state
}

pub(crate) fn message(number: u8) -> Vec<u8> {
    let mut request = AuthorisationRequest::new(RequestId([number; 16]), Kind::CardPayment, NOW);
    request.amount_minor = Some(60_000);
    request.currency = Some(Currency::SEK);
    for (field, text) in [
        ("subject", "191212121212"),
        ("card_token", "tok-1"),
        ("email", "somebody@example.se"),
        ("ip", "192.0.2.7"),
    ] {
        request.set(field, text).expect("a field");
    }
    let mut bytes = Vec::new();
    request.encode(&mut bytes).expect("fits");
    let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else { panic!("a frame") };
    frame.open().expect("sound").1.to_vec()
}

/// Screens a message, and looks at it as the recorder does.
pub(crate) fn screened<T>(
    message: &[u8],
    state: &State,
    scratch: &mut Scratch,
    look: impl FnOnce(&Fresh<'_>) -> T,
) -> T {
    let active = state.rules();
    let rules = active.as_deref().expect("rules");
    let asked = Asked { caller: CallerNo(0), moment: MOMENT, since_read: &Stopped, without_shadow: false };
    let response = screen(message, asked, state, Some(rules), scratch, &mut Unobserved);
    let hits = scratch.hits();
    let places: Vec<u16> = hits.enforced.iter().chain(&hits.shadow).map(|at| *at as u16).collect();
    let reads = Arc::new(Reads::of(&rules.set));
    look(&Fresh {
        message,
        moment: MOMENT,
        caller: CallerNo(0),
        response,
        noted: scratch.noted(),
        readings: scratch.readings(),
        hits: &places,
        enforced: hits.enforced.len(),
        silent: &[],
        basis: Some(scratch.basis()),
        reads: Some(&reads),
    })
}

/// Screens a message and gives back its entry, as bytes.
fn entry(message: &[u8], state: &State, scratch: &mut Scratch) -> Vec<u8> {
    let mut bytes = vec![DECISION];
    screened(message, state, scratch, |fresh| {
        let recorded = Recorded::of(fresh, state);
        Logged::append(fresh, recorded.as_ref(), VerifyUnavailable::Hold, &mut bytes);
    });
    bytes
}

fn read(bytes: &[u8]) -> Logged {
    match Entry::read(bytes) {
        Some(Entry::Decision(logged)) => *logged,
        other => panic!("{other:?}"),
    }
}

fn flag(state: &State) {
    let subject = {
        let bytes = message(9);
        let request = Request::parse(&bytes, &state.keyring, MOMENT.today, NOW).expect("a request");
        request.key(KeyName::Subject, &state.keyring).expect("a subject")
    };
    let terms = Terms {
        wish: Wish::Deny,
        scope: Scope::Any,
        reason: FlagReason::Scam,
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        compromised: Methods::default(),
        valid_until: NOW.saturating_add_ms(86_400_000),
    };
    let member = MemberName::parse("bank-a").expect("legal");
    let version = crate::flags::Version { stamp: 1, member, engine: 1, epoch: 1, sequence: 1 };
    state.stores.flags.raise(subject, member, crate::flags::Raise { version, terms });
}

#[test]
fn an_answer_reads_back_and_every_cut_is_none() {
    let (state, mut scratch) = (state(RULES), Scratch::default());
    flag(&state);
    let bytes = entry(&message(1), &state, &mut scratch);
    let logged = read(&bytes);
    let mut again = vec![DECISION];
    logged.pack(&mut again);
    assert_eq!(again, bytes, "what is appended without being made is what is made");
    assert_eq!(logged.members(), [MemberName::parse("bank-a").expect("legal")]);
    let basis = logged.basis.as_ref().expect("rules were asked");
    assert_eq!((basis.enforced.len(), basis.shadow.len(), basis.flags.len()), (1, 1, 1));
    assert!((0..bytes.len()).all(|end| Entry::read(&bytes[..end]).is_none()));
    for secret in ["191212121212", "1212121212", "tok-1", "somebody"] {
        let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{secret}");
    }
    // A message that is no request is an answer all the same.
    let nothing = read(&entry(&[3; 40], &state, &mut scratch));
    assert!(nothing.request.is_none() && nothing.basis.is_none() && nothing.response.answer.is_err());
    // Asked again, it is given again, and decided on nothing.
    let repeated = read(&entry(&message(1), &state, &mut scratch));
    assert!(repeated.basis.is_none() && repeated.response.answer == logged.response.answer);
}

#[test]
fn running_it_again_comes_to_the_same_though_everything_has_changed_and_notices_a_changed_log() {
    let (state, mut scratch) = (state(RULES), Scratch::default());
    let first = read(&entry(&message(1), &state, &mut scratch));
    flag(&state);
    let second = read(&entry(&message(2), &state, &mut scratch));
    let active = state.rules();
    let decided_by = &active.as_deref().expect("rules").set;
    let run = |logged: &Logged| rerun(logged, decided_by, &state.keyring).expect("rules were asked");
    // The first was decided before the flag, and before the second of the hour.
    for (logged, outcome) in [(&first, Outcome::Approve), (&second, Outcome::Decline)] {
        let again = run(logged);
        assert_eq!((again.decided.map(|it| it.outcome), again.differs), (Ok(outcome), vec![]));
    }
    let changed = |change: fn(&mut LoggedBasis)| {
        let mut logged = second.clone();
        change(logged.basis.as_mut().expect("rules were asked"));
        run(&logged).differs
    };
    assert_eq!(changed(|basis| basis.flags.clear()), ["outcome", "reasons"]);
    assert_eq!(changed(|basis| basis.readings.fill(Reading::Exact(1))), ["score", "reasons", "hits"]);
    assert_eq!(changed(|basis| basis.readings.clear()), ["basis"]);
    assert_eq!(changed(|basis| basis.shadow.clear()), ["hits"]);
    let other = set(
        "rules:\n  - {id: other, when: 'velocity(card, \"1h\").count >= 2', score: 31, reason: velocity_card}\n",
    );
    let differs = rerun(&second, &other, &state.keyring).expect("rules were asked").differs;
    assert_eq!(differs, ["review", "score", "reasons", "hits", "rule_set_digest"]);
    let explained = explain(&second, decided_by, &state.keyring).expect("rules were asked");
    assert_eq!(explained.iter().filter(|rule| rule.truth == Truth::True).count(), 3);
}
