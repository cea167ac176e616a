//! No request mixes versions: rule sets change many times under load, and every answer is, in all of its parts, what the
//! set does whose digest it carries; all answers of one batch carry the same one.

use crate::support::{EngineProcess, rules_dir};
use sparr_engine::decision::VerifyUnavailable;
use sparr_engine::ids::CallerNo;
use sparr_engine::policy::{Policy, Required, StaleAfter};
use sparr_engine::request::{Keyring, NetworkKey};
use sparr_engine::rules::{self, RuleSet, SourceFile, Sources};
use sparr_engine::screen::{Asked, Scratch, Stopped, Unobserved, screen};
use sparr_engine::state::{EngineClock, Moment, State, StateConfig};
use sparr_protocol::client::Pipe;
use sparr_protocol::codes::Kind;
use sparr_protocol::frame::{MessageKind, Next};
use sparr_protocol::ids::{MemberName, RequestId};
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::money::Currency;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::{Date, Timestamp};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two sets that differ in everything that an answer shows: outcome, review, score, reasons, and what they count.
const ONE: &str = "rules:
  - {id: a, when: amount_minor > 100, then: decline, reason: velocity_card}
  - {id: b, when: amount_minor > 100, review: after, reason: risky_goods}
  - {id: c, when: 'velocity(card, \"1h\").count >= 1', score: 1, reason: velocity_card}
";
const OTHER: &str = "rules:
  - {id: z, when: 'velocity(merchant, \"2h\").count >= 1', score: 2, reason: velocity_device}
  - {id: b, when: amount_minor > 100, review: hold, reason: risky_goods}
  - {id: a, when: amount_minor > 100, then: challenge, reason: country_mismatch}
  - {id: c, when: 'velocity(card, \"1h\").count >= 1', score: 4, reason: country_mismatch}
";

/// Requests that fit one datagram together, so that an engine reads them at once.
const BATCH: u64 = 4;
const DATAGRAM_BYTES: usize = 1_100;

/// What an answer says, without the id and the time that it took.
fn said(answer: &AuthorisationResponse) -> String {
    let decided = answer.answer.as_ref().expect("a decision");
    let reasons: Vec<u16> = decided.reasons.iter().map(|reason| reason.0).collect();
    format!("{:?} {:?} {} {reasons:?}", decided.outcome, decided.review, decided.score)
}

fn request(number: u64) -> AuthorisationRequest {
    let id = RequestId(u128::from(number).to_be_bytes());
    let mut request = AuthorisationRequest::new(id, Kind::CardPayment, Timestamp::from_ms(0));
    request.event_time = None;
    request.amount_minor = Some(200_000);
    request.currency = Some(Currency::SEK);
    request.set("card_token", "c1").expect("a field");
    request.set("merchant_id", "m1").expect("a field");
    request
}

/// Everything that is wrong with batches of answers, where each digest stands for what its set says.
fn mixtures(batches: &[Vec<AuthorisationResponse>], says: &BTreeMap<String, String>) -> [usize; 2] {
    let disagrees = |answer: &&AuthorisationResponse| {
        says.get(&answer.rule_set_digest.to_string()) != Some(&said(answer))
    };
    let mixed = |batch: &&Vec<AuthorisationResponse>| {
        batch.iter().any(|answer| answer.rule_set_digest != batch[0].rule_set_digest)
    };
    [batches.iter().flatten().filter(disagrees).count(), batches.iter().filter(mixed).count()]
}

/// One batch after the other until it is told to stop: what an engine answered to each.
fn batches(engine: &EngineProcess, from: u64, stop: Arc<AtomicBool>) -> Vec<Vec<AuthorisationResponse>> {
    let config = engine.client("gateway");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let Pipe { mut sender, mut receiver } = Pipe::open(&config).await.expect("connected");
        let mut batches = Vec::new();
        let mut number = from;
        while !stop.load(Ordering::Relaxed) {
            let mut bytes = Vec::new();
            (0..BATCH).for_each(|at| request(number + at).encode(&mut bytes).expect("it fits"));
            assert!(bytes.len() <= DATAGRAM_BYTES, "{} bytes may arrive in parts", bytes.len());
            number += BATCH;
            sender.send(&bytes).await.expect("sent");
            let mut batch = Vec::new();
            while batch.len() < BATCH as usize {
                let take = |kind: MessageKind, message: &[u8]| {
                    assert_eq!(kind, MessageKind::ScreenAnswer);
                    batch.push(AuthorisationResponse::decode(message).expect("an answer"));
                };
                assert!(receiver.receive(take).await.expect("answers"), "the stream goes on");
            }
            batches.push(batch);
        }
        batches
    })
}

#[test]
fn no_request_and_no_batch_mixes_versions_while_sets_change_under_load() {
    const RELOADS: usize = 400;
    let folder = rules_dir(ONE);
    let file = folder.path().join("rules.yaml");
    let engine = EngineProcess::start_with(&["--rules", &folder.path().display().to_string()]);
    let stop = Arc::new(AtomicBool::new(false));
    let answered: Vec<Vec<AuthorisationResponse>> = std::thread::scope(|scope| {
        let load: Vec<_> = (1..=2u64)
            .map(|client| {
                let (engine, stop) = (&engine, stop.clone());
                scope.spawn(move || batches(engine, client << 32, stop))
            })
            .collect();
        for at in 0..RELOADS {
            let unfinished = folder.path().join("rules.new");
            fs::write(&unfinished, [OTHER, ONE][at % 2]).expect("written");
            fs::rename(&unfinished, &file).expect("renamed");
            let (status, answer) = engine.http("POST", "/-/reload");
            assert_eq!(status, 200, "{answer}");
        }
        stop.store(true, Ordering::Relaxed);
        load.into_iter().flat_map(|client| client.join().expect("every batch was answered")).collect()
    });
    let changes = answered.windows(2).filter(|pair| pair[0][0].rule_set_digest != pair[1][0].rule_set_digest);
    let changes = changes.count();
    assert!(changes * 2 > RELOADS, "only {changes} of {RELOADS} changes were seen under load");
    assert_eq!(mixtures(&answered, &says()), [0, 0], "of {} batches", answered.len());
}

fn set(text: &str) -> RuleSet {
    let reasons =
        fs::read_to_string(crate::support::shipped_rules().join("../reasons.toml")).expect("reasons");
    let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
    let (rules, reasons) = (vec![file("rules.yaml", text)], file("reasons.toml", &reasons));
    let loaded = rules::load(&Sources { rules, lists: Vec::new(), reasons });
    loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

const MOMENT: Moment =
    Moment { now: Timestamp::from_ms(1_795_348_800_000), today: Date::new(2026, 11, 22), steady_ms: 0 };

/// A core of an engine without a shell.
fn core() -> State {
    let state = State::new(StateConfig {
        keyring: Keyring::new(NetworkKey::new(1, [7; 32].into()), None),
        policy: Policy {
            required: Required::default(),
            verify_unavailable: VerifyUnavailable::Hold,
            cooling_off_ms: 0,
            stale_after: StaleAfter::default(),
        },
        clock: EngineClock::Wall { began: Timestamp::from_ms(0) },
        member: MemberName::parse("test").expect("a name"),
        engine: 1,
        epoch: 1,
        velocity_keys_max: 1_000,
        ids_kept_max: 100_000,
    });
    state.set_ready(true);
    state
}

/// Screens one request by the set that is active now.
fn screened(state: &State, number: u64) -> AuthorisationResponse {
    let mut bytes = Vec::new();
    let mut request = request(number);
    request.event_time = Some(MOMENT.now);
    request.encode(&mut bytes).expect("it fits");
    let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else { panic!("a frame") };
    let (_, message) = frame.open().expect("sound");
    let asked = Asked { caller: CallerNo(0), moment: MOMENT, since_read: &Stopped, without_shadow: false };
    let rules = state.rules();
    screen(message, asked, state, rules.as_deref(), &mut Scratch::default(), &mut Unobserved)
}

/// What each set says to the request, by its digest.
fn says() -> BTreeMap<String, String> {
    [ONE, OTHER]
        .map(|text| {
            let state = core();
            state.activate(set(text), MOMENT);
            let answer = screened(&state, 1);
            (answer.rule_set_digest.to_string(), said(&answer))
        })
        .into()
}

/// The control: an engine that looks for its rules anew at each request mixes them in a batch, one that looks for the
/// digest apart mixes them in an answer, and both are found.
#[test]
fn a_set_that_changes_within_a_batch_or_within_an_answer_is_found() {
    let (state, says) = (core(), says());
    assert_eq!(says.len(), 2);
    state.activate(set(ONE), MOMENT);
    let whole: Vec<_> = (1..=BATCH).map(|number| screened(&state, number)).collect();
    assert_eq!(mixtures(std::slice::from_ref(&whole), &says), [0, 0]);
    let (first, rest) = whole.split_first().expect("a batch");
    state.activate(set(OTHER), MOMENT);
    let mixed = [&[screened(&state, BATCH + 1)], rest].concat();
    assert_eq!(mixtures(&[mixed], &says), [0, 1]);
    let torn =
        AuthorisationResponse { rule_set_digest: screened(&state, BATCH + 2).rule_set_digest, ..*first };
    assert_eq!(mixtures(&[vec![torn]], &says), [1, 0]);
}
