//! SIGTERM: nobody new is let in, what is there is answered, and what was acknowledged is kept.

use crate::support::{EngineProcess, TOLVAN};
use sparr_loadgen::workload::personal_number;
use sparr_protocol::client::Client;
use sparr_protocol::codes::SubjectKind;
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said, SubjectText};
use sparr_protocol::ids::RequestId;
use sparr_protocol::testing::denied;
use sparr_protocol::time::Timestamp;

/// Flags that one desk raises at once: few enough that one write carries them all.
const ALL: u64 = 40;

#[test]
fn a_stopping_engine_answers_what_it_has_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = crate::support::shipped_rules().display().to_string();
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    let raise = |person: u64| {
        let terms = denied(Timestamp::from_ms(1_900_000_000_000));
        let text = personal_number(person).into();
        let subject = SubjectText { text, kind: SubjectKind::SePerson, country: None };
        let mut id = [1; 16];
        id[..8].copy_from_slice(&person.to_be_bytes());
        ExchangeRequest { id: RequestId(id), operation: Operation::FlagRaise { subject, terms } }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let durable = runtime.block_on(async {
        let client = Client::connect(engine.client("desk")).await.expect("let in");
        let client = &client;
        // All go out before the first is answered, which takes a disk; at the first answer the engine is told to stop.
        let (engine, stopped) = (&engine, &std::cell::Cell::new(false));
        let calls = (0..ALL).map(|person| async move {
            let answer = client.exchange(&raise(person)).await;
            if !stopped.replace(true) {
                engine.signal("TERM");
            }
            answer
        });
        let answers = futures_util::future::join_all(calls).await;
        let durable = |answer: &&Vec<_>| matches!(answer.as_slice(), [only] if is_durable(only));
        answers.iter().filter_map(|answer| answer.as_ref().ok()).filter(durable).count()
    });
    assert_eq!(engine.wait(), Some(0));
    assert_eq!(durable, ALL as usize, "what had reached the engine was answered");
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    assert_eq!(engine.metric("sparr_flags{state=\"active\"}"), ALL as f64);
    assert_eq!(engine.json(&["flag", "status", "--json", "--subject", TOLVAN])["flagged"], false);
}

fn is_durable(answer: &sparr_protocol::exchange::ExchangeAnswer) -> bool {
    matches!(answer.said, Said::Durable { .. })
}
