//! Payments for an engine to count.

use crate::support::{EngineProcess, id};
use serde_json::json;
use sparr_engine::server::clock;
use sparr_loadgen::people::personal_number;
use sparr_protocol::client::Client;
use sparr_protocol::request::AuthorisationRequest;

/// Two rules: what costs more than 5000.00 is declined; the other one is never met.
pub(crate) const RULES: &str = "rules:
  - id: large
    description: A large payment
    owner: risk
    when: amount_minor > 500000
    then: decline
    reason: velocity_card
    examples:
      - match: { amount_minor: 500001 }
      - no_match: { amount_minor: 500000 }
  - id: often
    description: One person, very often
    owner: risk
    when: velocity(subject, \"1h\").count > 1000
    then: decline
    reason: velocity_card
    examples:
      - match: { velocity: { subject: { 1h: { count: 1001 } } } }
      - no_match: { velocity: { subject: { 1h: { count: 1000 } } } }
";

/// Runs something on a runtime of one thread.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A payment of somebody; every tenth is large.
pub(crate) fn payment(number: u64) -> AuthorisationRequest {
    let amount = if number.is_multiple_of(10) { 600_000 } else { 10_000 };
    let request = json!({
        "request_id": id(number), "kind": "invoice", "amount_minor": amount, "currency": "SEK",
        "subject": personal_number(number),
    });
    AuthorisationRequest::from_json(&request).expect("a request")
}

/// What a gateway measured of one request, µs.
#[allow(dead_code, reason = "for the tests of the page")]
pub(crate) struct Took {
    /// What the engine says in its answer that it took until then.
    pub(crate) said: f64,
    /// From the call to the answer.
    pub(crate) heard: f64,
}

/// Sends payments, and so many whose number is none; gives back what each took.
pub(crate) fn send(engine: &EngineProcess, first: u64, payments: u64, malformed: u64) -> Vec<Took> {
    block_on(async {
        let client = Client::connect(engine.client("gateway")).await.expect("connected");
        let mut took = Vec::new();
        let mut ask = async |request: &AuthorisationRequest| {
            let began = clock::instant();
            let answer = client.screen(request).await.expect("an answer");
            let heard = began.elapsed().as_secs_f64() * 1e6;
            took.push(Took { said: answer.engine_us.into(), heard });
        };
        for number in first..first + payments {
            ask(&payment(number)).await;
        }
        for number in first + payments..first + payments + malformed {
            let request = json!({"request_id": id(number), "kind": "invoice", "amount_minor": 1, "subject": "19121212-1213"});
            let request = AuthorisationRequest::from_json(&request).expect("a request");
            ask(&request).await;
        }
        client.close().await;
        took
    })
}
