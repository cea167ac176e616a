//! Far more than an engine can do, sent to a real one: everything is answered once, what there is no time for is refused with a
//! time to come back, flags are raised and lifted meanwhile, and afterwards all is as before. How soon is measured by
//! `overload` in `benches/`; here is only counted.

use crate::support::{EngineProcess, TOLVAN, shipped_rules};
use sparr_protocol::client::Pipe;
use sparr_protocol::codes::Kind;
use sparr_protocol::frame::MessageKind;
use sparr_protocol::ids::RequestId;
use sparr_protocol::money::Currency;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::{AuthorisationResponse, Degraded, Why};
use sparr_protocol::time::Timestamp;
use std::collections::HashSet;
use std::time::Duration;

/// Far more than fits a quarter of the millisecond that payments give the engine, which is what it takes on at once: a stream
/// holds some two hundred of them.
const MANY: u64 = 20_000;
const DEADLINE_US: u32 = 1_000;

fn payment(number: u64, deadline_us: u32) -> AuthorisationRequest {
    let id = RequestId(u128::from(number).to_be_bytes());
    let mut request = AuthorisationRequest::new(id, Kind::CardPayment, Timestamp::from_ms(0));
    request.event_time = None;
    request.amount_minor = Some(20_000);
    request.currency = Some(Currency::SEK);
    request.deadline_us = deadline_us;
    request.set("card_token", &format!("card-{}", number % 1_000)).expect("a field");
    request.set("device_id", &format!("device-{}", number % 700)).expect("a field");
    request.set("merchant_id", "m1").expect("a field");
    request
}

/// Sends all at once and gives back every answer.
async fn flood(
    engine: &EngineProcess,
    numbers: std::ops::Range<u64>,
    deadline_us: u32,
) -> Vec<AuthorisationResponse> {
    let Pipe { mut sender, mut receiver } = Pipe::open(&engine.client("gateway")).await.expect("connected");
    let mut frames = Vec::new();
    let asked = (numbers.end - numbers.start) as usize;
    numbers.for_each(|number| payment(number, deadline_us).encode(&mut frames).expect("it fits"));
    let mut answers = Vec::with_capacity(asked);
    let receive = async {
        while answers.len() < asked {
            let take = |kind: MessageKind, message: &[u8]| {
                assert_eq!(kind, MessageKind::ScreenAnswer);
                answers.push(AuthorisationResponse::decode(message).expect("an answer"));
            };
            assert!(receiver.receive(take).await.expect("answers"), "the stream goes on");
        }
    };
    let (sent, ()) = tokio::join!(sender.send(&frames), receive);
    sent.expect("sent");
    answers
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
}

/// Decided, refused as too much, and what else was said.
fn counted(answers: &[AuthorisationResponse]) -> (usize, usize, Vec<Why>) {
    let (mut decided, mut refused, mut else_said) = (0, 0, Vec::new());
    for answer in answers {
        match answer.answer {
            Ok(_) => decided += 1,
            Err(not_screened) if not_screened.why == Why::Overloaded => refused += 1,
            Err(not_screened) => else_said.push(not_screened.why),
        }
    }
    (decided, refused, else_said)
}

fn start(config: &str) -> (tempfile::TempDir, EngineProcess) {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("engine.toml");
    std::fs::write(&file, config).expect("written");
    let data = folder.path().join("data");
    let (file, rules) = (file.display().to_string(), shipped_rules().display().to_string());
    let engine = EngineProcess::start_in(&data, &["--config", &file, "--rules", &rules]);
    (folder, engine)
}

#[test]
fn what_is_too_much_is_refused_and_said_to_be_while_flags_are_raised_and_lifted() {
    let (_folder, engine) = start("workers = 1\n");
    let (answers, flags) = std::thread::scope(|scope| {
        let flooding = scope.spawn(|| run(flood(&engine, 1..MANY + 1, DEADLINE_US)));
        let mut flags = 0;
        // A desk has no part in the flood, and none of its flags waits behind it or is refused.
        while !flooding.is_finished() || flags == 0 {
            engine.raise(TOLVAN, "deny");
            let lifted = engine.sparr(&["flag", "lift", "--subject", TOLVAN]);
            assert!(lifted.status.success(), "{}", crate::support::text(&lifted.stderr));
            flags += 1;
        }
        (flooding.join().expect("answered"), flags)
    });
    assert!(flags > 0);
    let ids: HashSet<RequestId> = answers.iter().map(|answer| answer.request_id).collect();
    assert_eq!(ids.len() as u64, MANY, "each is answered once");
    let (decided, refused, else_said) = counted(&answers);
    assert!(decided > 0 && refused > 0, "{decided} decided, {refused} refused");
    // Only who waited in vain hears that; nothing was approved for lack of time.
    assert!(else_said.iter().all(|why| *why == Why::DeadlinePassed), "{else_said:?}");
    for answer in &answers {
        if let Err(not_screened) = answer.answer
            && not_screened.why == Why::Overloaded
        {
            assert!((25..=500).contains(&not_screened.retry_after_ms), "{}", not_screened.retry_after_ms);
            assert!(answer.degraded.contains(Degraded::UNLOGGED), "it is in no log and says so");
        }
    }
    let shed = engine.metric_becomes("sparr_not_screened_total{why=\"overloaded\"}", refused as f64);
    assert_eq!(shed, refused as f64);
    // What was refused was not seen by any rule: it may be asked again under its own id, and is decided.
    let again = answers.iter().find(|answer| answer.answer.is_err()).expect("refused").request_id;
    let number = u128::from_be_bytes(again.0) as u64;
    let retried = run(flood(&engine, number..number + 1, 0));
    assert!(retried[0].answer.is_ok(), "{:?}", retried[0].answer);
    let after = run(async {
        let mut after = Vec::new();
        for number in 0..50 {
            after.extend(flood(&engine, MANY + 100 + number..MANY + 101 + number, DEADLINE_US * 1_000).await);
        }
        after
    });
    assert_eq!(counted(&after), (50, 0, vec![]), "afterwards nobody is refused");
}

#[test]
fn without_a_bound_nobody_is_refused_and_with_long_deadlines_neither() {
    let (_folder, engine) = start("workers = 1\nqueue_ms_max = 0\n");
    let (_, refused, _) = counted(&run(flood(&engine, 1..MANY + 1, DEADLINE_US)));
    assert_eq!(refused, 0, "the bound is what refuses");
    drop(engine);
    let (_folder, engine) = start("workers = 1\nqueue_ms_max = 600000\n");
    let answers = run(flood(&engine, 1..MANY + 1, 0));
    assert_eq!(counted(&answers), (MANY as usize, 0, vec![]), "who has time is served, however much it is");
}

#[test]
fn a_caller_has_no_more_than_its_rate_over_all_connections() {
    const PER_SECOND: f64 = 100.0;
    let (_folder, engine) = start(&format!("caller_requests_per_second_max = {PER_SECOND}\n"));
    let began = sparr_engine::server::clock::instant();
    let both = run(async { tokio::join!(flood(&engine, 1..1_001, 0), flood(&engine, 1_001..2_001, 0)) });
    // What was saved up, and what came meanwhile.
    let most = 11.0 + (began.elapsed() + Duration::from_millis(10)).as_secs_f64() * PER_SECOND;
    let (decided, refused, else_said) = counted(&[both.0, both.1].concat());
    assert!(decided >= 10 && decided as f64 <= most, "{decided} of at most {most}");
    assert_eq!((decided + refused, else_said.len()), (2_000, 0));
}
