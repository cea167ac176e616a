//! The gateway's client: every call ends in time, and what happens without a decision is the gateway's own policy.

use crate::support::EngineProcess;
use sparr_protocol::client::{CallError, Client, ClientConfig, ConnectError, FailPolicy, Fallback, Verdict};
use sparr_protocol::codes::{Kind, Outcome};
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::Why;
use sparr_protocol::time::Timestamp;
use std::net::UdpSocket;
use std::time::Duration;

fn request(number: u8, kind: Kind) -> AuthorisationRequest {
    let mut request = AuthorisationRequest::new(RequestId([number; 16]), kind, Timestamp::from_ms(0));
    request.event_time = None;
    request
}

/// Instant payments are held, everything else passes.
fn policy() -> FailPolicy {
    FailPolicy::by_kind(|kind| if kind == Kind::Instant { Fallback::Hold } else { Fallback::Approve })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
}

#[test]
fn a_decision_is_used_and_everything_else_is_the_policys_and_counted() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = crate::support::shipped_rules().display().to_string();
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    let config = ClientConfig { fail_policy: policy(), ..engine.client("gateway") };
    let listen = engine.listen.to_string();
    block_on(async {
        let client = Client::connect(config).await.expect("let in");
        let decided = client.decide(&request(1, Kind::Refund)).await;
        let Verdict::Screened(answer) = decided else { panic!("{decided:?}") };
        assert_eq!(answer.answer.map(|decided| decided.outcome), Ok(Outcome::Approve));

        let mut malformed = request(2, Kind::Instant);
        malformed.subject = Some("191212121213".into());
        match client.decide(&malformed).await {
            Verdict::NotScreened { not_screened, fallback } => {
                assert_eq!((not_screened.why, fallback), (Why::IdentityMalformed, Fallback::Hold));
            }
            other => panic!("{other:?}"),
        }

        engine.kill();
        match client.decide(&request(4, Kind::Instant)).await {
            Verdict::NoAnswer { fallback, .. } => assert_eq!(fallback, Fallback::Hold),
            other => panic!("{other:?}"),
        }
        assert_eq!((client.fallbacks(Kind::Instant), client.fallbacks(Kind::Refund)), (2, 0));

        // The engine comes back at its address: the client finds it again by itself.
        let again = EngineProcess::start_in(folder.path(), &["--rules", &rules, "--listen", &listen]);
        let mut outcome = None;
        for number in 10..60 {
            if let Verdict::Screened(answer) = client.decide(&request(number, Kind::Refund)).await {
                outcome = answer.answer.ok().map(|decided| decided.outcome);
                break;
            }
        }
        assert_eq!(outcome, Some(Outcome::Approve));
        drop(again);
    });
}

#[test]
fn many_calls_share_a_connection_and_each_gets_its_own_answer() {
    let engine = EngineProcess::start();
    block_on(async {
        let client = Client::connect(engine.client("gateway")).await.expect("let in");
        let client = &client;
        let calls = (0..500u16).map(|number| async move {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            let mut one = request(0, Kind::Refund);
            one.request_id = RequestId(id);
            (one.request_id, client.screen(&one).await.expect("answered").request_id)
        });
        for (asked, answered) in futures_util::future::join_all(calls).await {
            assert_eq!(asked, answered);
        }
        let twice = request(9, Kind::Refund);
        let (one, other) = tokio::join!(client.screen(&twice), client.screen(&twice));
        assert!(one.is_ok());
        assert_eq!(other, Err(CallError::InFlight));
        client.close().await;
    });
    assert_eq!(engine.metric("sparr_connections"), 0.0, "the connection ends with its client");
}

#[test]
fn nobody_there_is_told_in_time() {
    let engine = EngineProcess::start();
    // A socket that takes everything and says nothing.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let mut config = engine.client("gateway");
    config.engine = silent.local_addr().expect("bound");
    config.timeout = Duration::from_millis(50);
    block_on(async {
        let called = Client::new(config.clone()).screen(&request(1, Kind::Refund)).await;
        assert_eq!(called, Err(CallError::Timeout(Duration::from_millis(50))));
        let engine = config.engine;
        let connected = Client::connect(config).await.map(drop);
        assert_eq!(connected, Err(ConnectError::Unreachable(engine)));
    });
}
