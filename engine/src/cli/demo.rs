//! `sparr demo`: the whole of it once, in one process and a folder of its own.

use super::connect::ReasonNames;
use super::{CannotRun, Ended, Outcome, summary};
use crate::explain;
use crate::ids::CallerNo;
use crate::server::config::{EngineConfig, Overrides, RulesFrom};
use crate::server::{Engine, clock};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sparr_loadgen::closed_loop;
use sparr_loadgen::tally::Tally;
use sparr_loadgen::workload::{Population, Workload, personal_number};
use sparr_protocol::client::{Client, ClientConfig, FailPolicy, Fallback, Identity, Pipe};
use sparr_protocol::codes::{AuthMethod, FlagReason, Outcome as Decision, RequestedBy, SubjectKind, Wish};
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said, SubjectText};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::frame::Next;
use sparr_protocol::ids::RequestId;
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::ReasonCode;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

/// Arguments of `sparr demo`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr demo --seconds 5 --json")]
pub(crate) struct DemoArgs {
    /// Seconds of traffic
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// People with a flag
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    flags: u64,
    /// Requests in flight at once
    #[arg(long, value_name = "N", default_value_t = 64)]
    in_flight: usize,
    /// The same seed gives the same requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Leave the engine and its page running afterwards, until Ctrl-C
    #[arg(long)]
    keep_running: bool,
}

/// Requests are kept so long for one of them to be explained.
const RECENT_MAX: usize = 8_192;

/// The stream's own time goes on by so much from request to request: a provider with 100,000 customers sees some
/// 400,000 payments a day, and the demonstration plays that day as fast as it can.
const STREAM_STEP_MS: i64 = 200;

/// Flags that are raised at once: each waits for the disk, together they share a commit.
const FLAGS_AT_ONCE: usize = 512;

/// Runs the demonstration.
pub(crate) fn run(args: &DemoArgs) -> Outcome {
    let folder = tempfile::tempdir()?;
    let local = || Some("127.0.0.1:0".to_owned());
    let overrides = Overrides {
        dev: true,
        data_dir: Some(folder.path().to_owned()),
        listen: local(),
        admin: local(),
        clock: Some("event".to_owned()),
        ..Overrides::default()
    };
    let mut config = EngineConfig::load(None, overrides)?;
    config.rules = RulesFrom::Shipped;
    let engine = Engine::start(config)?;
    let outcome = demonstrate(args, &engine, folder.path());
    if outcome.is_ok() && args.keep_running {
        eprintln!(
            "The engine runs on at {} with its page at http://{}/ and identities in {}. Ctrl-C ends it.",
            engine.listen,
            engine.admin,
            folder.path().join("dev").display()
        );
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?
            .wait();
    }
    engine.drain();
    outcome
}

fn demonstrate(args: &DemoArgs, engine: &Engine, folder: &Path) -> Outcome {
    let say = |text: &str| {
        if !args.json {
            println!("{text}");
        }
    };
    say("sparr demo: one engine, its own journal, development certificates, the shipped rules");
    let identity = |role: &str| Identity::from_dir(&folder.join("dev").join(role));
    // The demonstration shows what it hears and falls back to nothing.
    let policy = FailPolicy::by_kind(|_| Fallback::Decline);
    let mut desk = ClientConfig::new(engine.listen, identity("desk")?, policy);
    desk.exchange_timeout = Duration::from_secs(30);
    let gateway = ClientConfig::new(engine.listen, identity("gateway")?, policy);

    let runtime = super::runtime()?;
    let raised_in = runtime.block_on(raise_flags(desk, args.flags))?;
    say(&format!(
        "{} people asked for a flag: raised, durable and acting in {:.2} s",
        args.flags,
        raised_in.as_secs_f64()
    ));

    say(
        "A provider's day is played as fast as a closed loop goes: a request is sent when an earlier one was answered",
    );
    let load = runtime.block_on(send_load(args, &gateway))?;
    let names = runtime.block_on(async {
        let client = Client::connect(gateway).await?;
        let mut names = ReasonNames::new(&client);
        names.learn(load.tally.reasons.keys().copied()).await;
        let named = load.tally.reasons.keys().map(|code| (*code, names.name(*code)));
        Ok::<BTreeMap<ReasonCode, String>, CannotRun>(named.collect())
    })?;
    let name = |code: ReasonCode| names.get(&code).cloned().unwrap_or_default();
    let explained = load.example.as_ref().and_then(|request| explain_request(request, engine));
    if args.json {
        let mut object = summary::object(&load.tally, load.took, &name);
        let rules = engine.state.rules();
        let digest = rules.as_ref().map(|active| active.set.digest().to_string());
        let position = engine.state.position();
        for (key, value) in [
            ("flags", json!(args.flags)),
            ("rules", json!(rules.as_ref().map_or(0, |active| active.set.rules().len()))),
            ("rule_set_digest", json!(digest)),
            (
                "position",
                json!({ "engine": position.engine, "epoch": position.epoch, "index": position.index }),
            ),
            ("explained", json!(explained)),
        ] {
            object.insert(key.to_owned(), value);
        }
        println!("{}", serde_json::Value::from(object));
    } else {
        print!("{}", summary::table(&load.tally, load.took, &name));
        if let Some(explained) = explained {
            println!("\nOne decision explained\n{explained}");
        }
    }
    Ok(Ended::Fine)
}

/// Raises a flag for each of the first people, four of five to be asked, one of five to be declined.
async fn raise_flags(config: ClientConfig, flags: u64) -> Result<Duration, CannotRun> {
    let client = Client::connect(config).await?;
    let started = clock::instant();
    let valid_until = clock::now().saturating_add_ms(365 * 86_400_000);
    let people: Vec<u64> = (0..flags).map(|at| at * 7 + 3).collect();
    for some in people.chunks(FLAGS_AT_ONCE) {
        let calls = some.iter().map(|person| {
            let terms = Terms {
                wish: if person.is_multiple_of(5) { Wish::Deny } else { Wish::Verify },
                scope: if person.is_multiple_of(3) { Scope::Credit } else { Scope::Any },
                reason: FlagReason::SuspectedFraud,
                requested_by: RequestedBy::Person,
                authenticated_by: AuthMethod::BankId,
                compromised: Methods::default(),
                valid_until,
            };
            let text = personal_number(*person).into();
            let subject = SubjectText { text, kind: SubjectKind::SePerson, country: None };
            let id = RequestId(crate::server::keys::random_id());
            let raise = ExchangeRequest { id, operation: Operation::FlagRaise { subject, terms } };
            let client = &client;
            async move { client.exchange(&raise).await }
        });
        for answers in futures_util::future::join_all(calls).await {
            match answers?.as_slice() {
                [only] if matches!(only.said, Said::Durable { .. }) => {}
                other => return Err(CannotRun(format!("a flag was not raised: {other:?}"))),
            }
        }
    }
    Ok(clock::instant().duration_since(started))
}

struct Load {
    tally: Tally,
    took: Duration,
    example: Option<AuthorisationRequest>,
}

/// Sends the mixed stream in a closed loop until the time is over.
async fn send_load(args: &DemoArgs, gateway: &ClientConfig) -> Result<Load, CannotRun> {
    let bar = progress_bar(args.seconds);
    let pipe = Pipe::open(gateway).await?;
    let mut workload = Workload::new(args.seed, Population::default());
    let mut stream_time = clock::now();
    let started = clock::instant();
    let recent = std::cell::RefCell::new(std::collections::VecDeque::<AuthorisationRequest>::new());
    let requests = std::iter::from_fn(|| {
        if clock::instant().duration_since(started).as_secs() >= args.seconds {
            return None;
        }
        stream_time = stream_time.saturating_add_ms(STREAM_STEP_MS);
        let request = workload.next_request(stream_time);
        let mut recent = recent.borrow_mut();
        recent.truncate(RECENT_MAX - 1);
        recent.push_front(request.clone());
        Some(request)
    });
    let (mut tally, mut example) = (Tally::default(), None);
    closed_loop::run(pipe, requests, args.in_flight, |response, round_trip| {
        tally.add(&response, round_trip);
        if tally.answers.is_multiple_of(1_024) {
            bar.set_position(clock::instant().duration_since(started).as_secs());
            bar.set_message(format!("{} requests", tally.answers));
        }
        let telling = response
            .answer
            .is_ok_and(|decided| decided.outcome == Decision::Decline && decided.reasons.iter().count() >= 2);
        if telling && example.is_none() {
            example = recent.borrow().iter().find(|one| one.request_id == response.request_id).cloned();
        }
    })
    .await?;
    let took = clock::instant().duration_since(started);
    bar.finish_and_clear();
    Ok(Load { tally, took, example })
}

fn progress_bar(seconds: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(seconds);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} s  {msg}") {
        bar.set_style(style);
    }
    bar
}

/// One decision in words, made again with what the engine knows now.
fn explain_request(request: &AuthorisationRequest, engine: &Engine) -> Option<String> {
    let mut bytes = Vec::new();
    request.encode(&mut bytes).ok()?;
    let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else { return None };
    let (_, message) = frame.open().ok()?;
    let rules = engine.state.rules();
    let active = rules.as_ref()?;
    let explained = explain::explain(message, CallerNo(0), clock::moment(), &engine.state, active).ok()?;
    Some(explained.words(&active.set))
}
