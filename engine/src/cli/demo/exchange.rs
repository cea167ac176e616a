//! `sparr demo --engines N`: engines of as many members and a broker between them; how soon a flag that one desk raises or
//! lifts is enforced at all of them, while they screen.

use super::DemoArgs;
use super::broker::Broker;
use super::screening::{Screening, Seen};
use crate::cli::{CannotRun, Ended, Outcome};
use crate::request::{LivePseudonyms, ValueKind};
use crate::server::config::{ConfiguredMember, EngineConfig, LinkConfig, Overrides};
use crate::server::keys::{SigningKey, network_keys};
use crate::server::{Engine, clock};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use sparr_loadgen::people::{PEOPLE_MAX, personal_number};
use sparr_protocol::client::{Client, ClientConfig, FailPolicy, Fallback, Identity};
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, SubjectKind, Wish};
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said, SubjectText};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::identity::Subject;
use sparr_protocol::ids::MemberName;
use sparr_protocol::member::MemberKind;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Requests a second at all engines together, unless told otherwise.
const RATE: u64 = 3_000;
/// Between one change and the next.
const PAUSE: Duration = Duration::from_millis(10);
/// How often it is looked whether all enforce it.
const LOOK: Duration = Duration::from_micros(100);
/// A change that is not everywhere in this time is an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// One of the engines.
struct Member {
    name: MemberName,
    folder: PathBuf,
    engine: Engine,
}

/// Runs it.
pub(super) fn run(args: &DemoArgs, engines: u16) -> Outcome {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let members = start(folder.path(), engines, &broker)?;
    let outcome = demonstrate(args, &members);
    for member in members {
        member.engine.drain();
    }
    outcome
}

/// Starts the engines: one network key, each with a signing key that the others know.
fn start(folder: &Path, engines: u16, broker: &Broker) -> Result<Vec<Member>, CannotRun> {
    let mut names = Vec::new();
    for number in 1..=engines {
        let name = MemberName::parse(&format!("bank-{number}"))
            .ok_or_else(|| CannotRun("a member's name is not legal".to_owned()))?;
        let data = folder.join(name.as_str());
        let keys = data.join("keys");
        let signing = SigningKey::load(&keys)?;
        match names.first() {
            None => drop(network_keys(&keys, true)?),
            Some((_, first, _)) => {
                let first: &PathBuf = first;
                let key = "network-1.key";
                fs::copy(first.join("keys").join(key), keys.join(key))?;
            }
        }
        names.push((name, data, signing.public_key()));
    }
    let mut members = Vec::new();
    for (name, data, _) in &names {
        let local = || Some("127.0.0.1:0".to_owned());
        let overrides = Overrides {
            dev: true,
            member: Some(name.to_string()),
            data_dir: Some(data.clone()),
            listen: local(),
            admin: local(),
            workers: Some(1),
            ..Overrides::default()
        };
        let mut config = EngineConfig::load(None, overrides)?;
        let others = names.iter().filter(|(other, ..)| other != name);
        config.kind = MemberKind::Bank;
        config.members = others
            .map(|(other, _, key)| ConfiguredMember { member: *other, kind: MemberKind::Bank, key: *key })
            .collect();
        config.exchange = Some(LinkConfig {
            servers: vec![broker.url()],
            network: "demo".to_owned(),
            replicas: 1,
            credentials: None,
            tls: None,
        });
        members.push(Member { name: *name, folder: data.clone(), engine: Engine::start(config)? });
    }
    let started = clock::instant();
    let is_live = |member: &Member| {
        let view = member.engine.state.exchange.view();
        member.engine.state.is_ready()
            && view.engines.iter().filter(|engine| engine.is_live).count() == names.len()
    };
    while !members.iter().all(is_live) {
        if clock::instant().duration_since(started) > PATIENCE {
            return Err(CannotRun("the engines do not find each other".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(members)
}

/// What was measured of raises, or of lifts.
struct Propagation {
    /// From the acknowledgement to the last engine, µs.
    took: Histogram<u64>,
}

impl Propagation {
    fn new() -> Result<Self, CannotRun> {
        Ok(Self { took: Histogram::new_with_bounds(1, 60_000_000, 3)? })
    }

    fn ms(&self, quantile: f64) -> f64 {
        self.took.value_at_quantile(quantile) as f64 / 1e3
    }

    fn line(&self, what: &str) -> String {
        format!(
            "{what:<6} {:>6}   p50 {:>7.2} ms   p99 {:>7.2} ms   max {:>7.2} ms",
            self.took.len(),
            self.ms(0.5),
            self.ms(0.99),
            self.took.max() as f64 / 1e3
        )
    }

    fn json(&self) -> Value {
        json!({ "count": self.took.len(), "p50_ms": self.ms(0.5), "p99_ms": self.ms(0.99), "max_ms": self.took.max() as f64 / 1e3 })
    }
}

fn demonstrate(args: &DemoArgs, members: &[Member]) -> Outcome {
    let say = |text: &str| {
        if !args.json {
            println!("{text}");
        }
    };
    let rate = args.rate.unwrap_or(RATE);
    say(&format!(
        "sparr demo: {} engines of {} members, a nats-server between them, one network key, development certificates",
        members.len(),
        members.len()
    ));
    say(&format!(
        "{rate} requests a second at all engines together, {} s, while desks raise and lift flags",
        args.seconds
    ));
    let policy = FailPolicy::by_kind(|_| Fallback::Decline);
    let identity = |member: &Member, role: &str| Identity::from_dir(&member.folder.join("dev").join(role));
    let gateways: Result<Vec<ClientConfig>, CannotRun> = members
        .iter()
        .map(|member| Ok(ClientConfig::new(member.engine.listen, identity(member, "gateway")?, policy)))
        .collect();
    let screening = Screening::start(gateways?, rate, args.seed)?;
    let runtime = crate::cli::runtime()?;
    let mut desks = Vec::new();
    for member in members {
        let config = ClientConfig::new(member.engine.listen, identity(member, "desk")?, policy);
        desks.push(runtime.block_on(Client::connect(config))?);
    }
    let (mut raises, mut lifts) = (Propagation::new()?, Propagation::new()?);
    let ends = clock::instant() + Duration::from_secs(args.seconds);
    let mut person = PEOPLE_MAX;
    while clock::instant() < ends {
        person -= 1;
        // The desks take turns.
        let at = (person % members.len() as u64) as usize;
        for raised in [true, false] {
            let took = change(&runtime, &desks[at], members, person, raised)?;
            let measured = if raised { &mut raises } else { &mut lifts };
            measured.took.record(u64::try_from(took.as_micros())?.max(1))?;
            std::thread::sleep(PAUSE);
        }
    }
    let seen = screening.stop()?;
    for desk in desks {
        runtime.block_on(desk.close());
    }
    let now = clock::now();
    let digests: Vec<_> = members.iter().map(|member| member.engine.state.exchange_digest(now)).collect();
    let is_one = digests.windows(2).all(|pair| pair[0] == pair[1]);
    show(args, members, &raises, &lifts, seen, is_one);
    Ok(if is_one && seen.lost == 0 { Ended::Fine } else { Ended::Findings })
}

/// Raises or lifts a person's flag, and says how long after the acknowledgement the last engine acts on it.
fn change(
    runtime: &Runtime,
    desk: &Client,
    members: &[Member],
    person: u64,
    raised: bool,
) -> Result<Duration, CannotRun> {
    let number = personal_number(person);
    let subject = SubjectText { text: number.clone().into(), kind: SubjectKind::SePerson, country: None };
    let (requested_by, authenticated_by) = (RequestedBy::Person, AuthMethod::BankId);
    let operation = if raised {
        let terms = Terms {
            wish: Wish::Deny,
            scope: Scope::Any,
            reason: FlagReason::Scam,
            requested_by,
            authenticated_by,
            compromised: Methods::default(),
            valid_until: clock::now().saturating_add_ms(86_400_000),
        };
        Operation::FlagRaise { subject, terms }
    } else {
        Operation::FlagLift { subject, requested_by, authenticated_by, second_channel: true }
    };
    let request = ExchangeRequest { id: sparr_loadgen::fresh_id(), operation };
    let answers = runtime.block_on(desk.exchange(&request))?;
    let acknowledged = clock::instant();
    match answers.as_slice() {
        [only] if matches!(only.said, Said::Durable { .. }) => {}
        other => return Err(CannotRun(format!("a flag was not changed: {other:?}"))),
    }
    let canonical = Subject::parse_swedish(&number, clock::moment().today)?;
    let is_everywhere = || {
        members.iter().all(|member| {
            let state = &member.engine.state;
            let subject = state.keyring.live(ValueKind::Subject, canonical.canonical());
            is_flagged(member, subject) == raised
        })
    };
    while !is_everywhere() {
        if clock::instant().duration_since(acknowledged) > PATIENCE {
            return Err(CannotRun("a change did not reach every engine".to_owned()));
        }
        std::thread::sleep(LOOK);
    }
    Ok(clock::instant().duration_since(acknowledged))
}

fn is_flagged(member: &Member, subject: LivePseudonyms) -> bool {
    let state = &member.engine.state;
    let now = state.now(clock::moment());
    let mut flagged = false;
    for (_, number) in subject.iter() {
        state.stores.flags.visit_person(number, |_, flag| flagged |= flag.active(now).is_some());
    }
    flagged
}

fn show(
    args: &DemoArgs,
    members: &[Member],
    raises: &Propagation,
    lifts: &Propagation,
    seen: Seen,
    is_one: bool,
) {
    if args.json {
        let value = json!({
            "engines": members.len(),
            "raises": raises.json(),
            "lifts": lifts.json(),
            "answers": seen.answers,
            "not_screened": seen.not_screened,
            "lost": seen.lost,
            "staleness_max_ms": seen.staleness_max_ms,
            "equal": is_one,
        });
        println!("{value}");
        return;
    }
    println!("from the acknowledgement to the last of {} engines:", members.len());
    println!("  {}", raises.line("raised"));
    println!("  {}", lifts.line("lifted"));
    println!(
        "{} requests answered meanwhile, {} of them not screened, {} lost; the oldest state behind an answer: {} ms",
        seen.answers, seen.not_screened, seen.lost, seen.staleness_max_ms
    );
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let verdict = if is_one { "hold the same" } else { "DO NOT hold the same" };
    println!("{} {verdict}, by the digest of everything that was recorded", names.join(", "));
}
