//! Engines of several members, each in a process of its own, that know each other and share a broker.

use crate::support::{EngineProcess, shipped_rules, text};
use futures_util::StreamExt as _;
use serde_json::Value;
use sparr_engine::server::keys::{SigningKey, network_keys};
use sparr_loadgen::people::personal_number;
use sparr_protocol::client::Client;
use sparr_protocol::codes::{AuthMethod, Outcome, RequestedBy, SubjectKind};
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said, SubjectText};
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::testing::denied;
use sparr_protocol::time::Timestamp;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Members in these tests: banks all, so that each is expected to enforce flags.
const NAMES: [&str; 4] = ["bank-one", "bank-two", "bank-three", "bank-four"];

/// How long a test waits for what must come, in steps of 50 ms.
const STEPS: u32 = 1_200;

/// See the module. Engines that are not started, or were killed, are `None`.
pub(crate) struct Exchange {
    folder: PathBuf,
    _temporary: Option<TempDir>,
    pub(crate) engines: Vec<Option<EngineProcess>>,
}

impl Exchange {
    /// Makes keys and configuration for as many engines as there are addresses, and more lines for each. Starts none.
    pub(crate) fn prepare(urls: &[String], more: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let dirs: Vec<PathBuf> = NAMES[..urls.len()].iter().map(|name| folder.path().join(name)).collect();
        let mut members = String::new();
        for (name, dir) in NAMES.iter().zip(&dirs) {
            let keys = dir.join("keys");
            let key = SigningKey::load(&keys).expect("a key").public_key();
            let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(members, "{name} = {{ kind = \"bank\", key = \"{digits}\" }}").expect("written");
            let network = folder.path().join("network-1.key");
            if !network.exists() {
                network_keys(folder.path(), true).expect("a key");
            }
            std::fs::copy(network, keys.join("network-1.key")).expect("copied");
        }
        for ((name, dir), url) in NAMES.iter().zip(&dirs).zip(urls) {
            let config = format!(
                "member = \"{name}\"\nkind = \"bank\"\n[members]\n{members}[exchange]\nnats = [\"{url}\"]\n\
                 network = \"test\"\nreplicas = 1\n{more}\n"
            );
            std::fs::write(dir.join("engine.toml"), config).expect("written");
        }
        let mut exchange = Self::adopt(folder.path().to_owned(), dirs.len());
        exchange._temporary = Some(folder);
        exchange
    }

    /// A folder with keys and configuration for so many engines. Starts none.
    pub(crate) fn adopt(folder: PathBuf, engines: usize) -> Self {
        Self { folder, _temporary: None, engines: (0..engines).map(|_| None).collect() }
    }

    /// The same, with all of them started and equal.
    pub(crate) fn start(urls: &[String], more: &str) -> Self {
        let mut exchange = Self::prepare(urls, more);
        for at in 0..urls.len() {
            exchange.start_engine(at);
        }
        exchange.until_equal(0);
        exchange
    }

    pub(crate) fn dir(&self, at: usize) -> PathBuf {
        self.folder.join(NAMES[at])
    }

    pub(crate) fn start_engine(&mut self, at: usize) {
        let dir = self.dir(at);
        let (config, rules) = (dir.join("engine.toml"), shipped_rules());
        let arguments = ["--config", &config.display().to_string(), "--rules", &rules.display().to_string()];
        self.engines[at] = Some(EngineProcess::start_in(&dir, &arguments));
    }

    pub(crate) fn kill_engine(&mut self, at: usize) {
        self.engines[at].take().expect("it runs").kill();
    }

    pub(crate) fn engine(&self, at: usize) -> &EngineProcess {
        self.engines[at].as_ref().expect("it runs")
    }

    /// The engines that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &EngineProcess> {
        self.engines.iter().flatten()
    }

    /// Waits until every running engine is ready, linked, and has the same of everybody, and at least so many records of
    /// the first.
    pub(crate) fn until_equal(&self, records: u64) {
        let mut last = Vec::new();
        for _ in 0..STEPS {
            last = self.running().map(status).collect();
            let ready = self.running().all(|engine| engine.get("/readyz").0 == 200);
            let linked = last.iter().all(|status| status["exchange"]["linked"] == true);
            let have: Vec<Vec<(String, u64, String)>> = last.iter().map(heads).collect();
            let enough = have
                .iter()
                .all(|heads| heads.iter().any(|(name, at, _)| *name == NAMES[0] && *at >= records));
            if ready && linked && have.windows(2).all(|pair| pair[0] == pair[1]) && (records == 0 || enough) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let logs: Vec<String> = self.running().map(EngineProcess::log).collect();
        panic!("the engines do not become equal: {last:#?}\n{}", logs.join("\n"));
    }
}

/// What `sparr exchange status` says.
pub(crate) fn status(engine: &EngineProcess) -> Value {
    let output = engine.sparr(&["exchange", "status", "--json"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

/// What an engine has of each member, in order.
fn heads(status: &Value) -> Vec<(String, u64, String)> {
    let entries = status["engines"].as_array().expect("engines");
    let mut heads: Vec<_> = entries
        .iter()
        .filter(|entry| entry["sequence"] != 0)
        .map(|entry| {
            let part = |key: &str| entry[key].as_str().expect(key).to_owned();
            (part("member"), entry["sequence"].as_u64().expect("a number"), part("digest"))
        })
        .collect();
    heads.sort();
    heads
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..STEPS {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("in vain: {what}");
}

/// A person who is not used for anything else.
pub(crate) fn person(number: u64) -> SubjectText {
    SubjectText { text: personal_number(number).into(), kind: SubjectKind::SePerson, country: None }
}

/// A flag that declines everything.
pub(crate) fn raise(number: u64) -> ExchangeRequest {
    let terms = denied(Timestamp::from_ms(1_900_000_000_000));
    operation(Operation::FlagRaise { subject: person(number), terms })
}

pub(crate) fn lift(number: u64) -> ExchangeRequest {
    operation(Operation::FlagLift {
        subject: person(number),
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        second_channel: true,
    })
}

fn operation(operation: Operation) -> ExchangeRequest {
    ExchangeRequest { id: new_id(), operation }
}

/// An id that no other call has.
fn new_id() -> RequestId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [7; 16];
    id[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    RequestId(id)
}

/// A connection in a role that waits long: these tests share two cores with brokers and engines.
pub(crate) async fn connect(engine: &EngineProcess, role: &str) -> Client {
    let mut config = engine.client(role);
    config.timeout = Duration::from_secs(10);
    config.exchange_timeout = Duration::from_secs(60);
    Client::connect(config).await.expect("connected")
}

/// Carries an operation out; whether it is durable.
pub(crate) async fn is_durable(client: &Client, request: &ExchangeRequest) -> bool {
    matches!(client.exchange(request).await.as_deref(), Ok([answer]) if matches!(answer.said, Said::Durable { .. }))
}

/// Raises flags for many people, some hundred at a time. All must become durable.
pub(crate) async fn raise_all(engine: &EngineProcess, people: std::ops::Range<u64>) {
    let client = connect(engine, "desk").await;
    let raising = futures_util::stream::iter(people.clone())
        .map(|number| {
            let client = &client;
            async move { is_durable(client, &raise(number)).await }
        })
        .buffer_unordered(256);
    let durable = raising.filter(|durable| std::future::ready(*durable)).count().await;
    assert_eq!(durable as u64, people.end - people.start);
    client.close().await;
}

/// A payment of a person.
pub(crate) fn payment(kind: &str, number: u64) -> AuthorisationRequest {
    let request = serde_json::json!({
        "request_id": new_id().to_string(), "kind": kind, "amount_minor": 100, "currency": "SEK",
        "subject": personal_number(number),
    });
    AuthorisationRequest::from_json(&request).expect("a request")
}

/// Screens a payment; there must be an answer.
pub(crate) async fn screen(client: &Client, kind: &str, number: u64) -> AuthorisationResponse {
    client.screen(&payment(kind, number)).await.expect("an answer")
}

/// Whether a person's invoice is declined.
pub(crate) async fn is_declined(client: &Client, number: u64) -> bool {
    let answer = screen(client, "invoice", number).await;
    answer.answer.expect("screened").outcome == Outcome::Decline
}

/// Of so many people, those whose invoices an engine declines.
pub(crate) async fn declined(engine: &EngineProcess, people: impl Iterator<Item = u64>) -> Vec<u64> {
    let client = connect(engine, "gateway").await;
    let client = &client;
    let declined = futures_util::stream::iter(people)
        .map(|number| async move { is_declined(client, number).await.then_some(number) })
        .buffered(64)
        .filter_map(std::future::ready)
        .collect()
        .await;
    client.close().await;
    declined
}
