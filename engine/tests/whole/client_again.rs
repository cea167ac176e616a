//! The gateway's client asks again: within a budget what was refused, and a second engine where the first is silent.

use crate::support::EngineProcess;
use sparr_protocol::client::{AskedAgain, Client, ClientConfig, Verdict};
use sparr_protocol::codes::Kind;
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::Why;
use sparr_protocol::time::Timestamp;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

fn request(number: u64) -> AuthorisationRequest {
    let id = RequestId(u128::from(number).to_be_bytes());
    let mut request = AuthorisationRequest::new(id, Kind::Refund, Timestamp::from_ms(0));
    request.event_time = None;
    request
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
}

/// Of as many requests, one after the other, those that were decided, and why the others were not.
async fn decided(client: &Client, numbers: std::ops::Range<u64>) -> (usize, Vec<Option<Why>>) {
    let (mut decided, mut others) = (0, Vec::new());
    for number in numbers {
        match client.decide(&request(number)).await {
            Verdict::Screened(_) => decided += 1,
            Verdict::NotScreened { not_screened, .. } => others.push(Some(not_screened.why)),
            Verdict::NoAnswer { .. } => others.push(None),
        }
    }
    (decided, others)
}

#[test]
fn what_is_refused_is_asked_again_when_the_engine_says_so_and_within_a_budget() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("engine.toml");
    // Two at once, and then one each 50 ms.
    std::fs::write(&file, "caller_requests_per_second_max = 20\n").expect("written");
    let (data, file) = (folder.path().join("data"), file.display().to_string());
    let rules = crate::support::shipped_rules().display().to_string();
    let engine = EngineProcess::start_in(&data, &["--config", &file, "--rules", &rules]);
    let patient = ClientConfig { timeout: Duration::from_secs(5), ..engine.client("gateway") };
    block_on(async {
        let client = Client::connect(patient.clone()).await.expect("let in");
        let (answered, others) = decided(&client, 0..10).await;
        assert_eq!((answered, others), (10, vec![]));
        let AskedAgain { retries, hedges } = client.asked_again();
        assert!((1..=11).contains(&retries) && hedges == 0, "{retries} retries, {hedges} hedges");
        // A hundred at once: whatever they are told, the engine sees a tenth more of them, and what had been saved up.
        let all = (100..200).map(|number| decided(&client, number..number + 1));
        let answered = futures_util::future::join_all(all).await;
        assert!(answered.iter().flat_map(|(_, others)| others).all(|why| *why == Some(Why::Overloaded)));
        let retries = client.asked_again().retries;
        assert!(retries <= 10 + 11, "{retries} retries of 110 requests");

        // The control: who asks once is refused.
        let once = Client::new(ClientConfig { retry_percent: 0, ..patient });
        let (_, others) = decided(&once, 300..310).await;
        assert!(others.contains(&Some(Why::Overloaded)), "{others:?}");
        assert_eq!(once.asked_again(), AskedAgain::default());
    });
}

#[test]
fn a_second_engine_decides_where_the_first_is_silent_and_neither_is_asked_for_the_work_of_two() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = crate::support::shipped_rules().display().to_string();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let first = EngineProcess::start_in(&one, &["--rules", &rules]);
    // Engines of one member have certificates of one authority.
    copy(&one.join("dev"), &other.join("dev"));
    let second = EngineProcess::start_in(&other, &["--rules", &rules]);
    let hasty = ClientConfig { timeout: Duration::from_millis(500), ..first.client("gateway") };
    let both =
        ClientConfig { second: Some((second.listen, second.listen.ip().to_string())), ..hasty.clone() };
    let signal = |name: &str| {
        let pid = first.pid().to_string();
        assert!(std::process::Command::new("kill").args([name, &pid]).status().expect("kill").success());
    };
    block_on(async {
        // A first engine that nobody has ever reached.
        let silent = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let engine = silent.local_addr().expect("bound");
        let client = Client::new(ClientConfig { engine, ..both.clone() });
        assert_eq!(decided(&client, 0..20).await, (20, vec![]));
        assert_eq!(client.asked_again(), AskedAgain::default(), "nobody was asked twice");

        let (client, alone) = (Client::connect(both).await.expect("let in"), Client::new(hasty));
        assert_eq!(decided(&client, 100..200).await, (100, vec![]));
        signal("-STOP");
        let (answered, others) = decided(&client, 200..300).await;
        let hedges = client.asked_again().hedges;
        // The control, while the first stands still.
        let (without, _) = decided(&alone, 400..403).await;
        signal("-CONT");
        assert!(answered >= 95, "{answered} of a hundred, the others {others:?}");
        assert!((1..=10 + 10).contains(&hedges), "{hedges} hedges of 200 requests");
        assert_eq!(without, 0, "alone nobody is decided");
        let before = first.metric("sparr_decision_duration_seconds_count");
        assert_eq!(decided(&client, 500..600).await, (100, vec![]));
        let after = first.metric("sparr_decision_duration_seconds_count");
        assert!(after - before > 50.0, "it is asked again when it is back: {before} before, {after} after");
    });
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}
