//! How soon a flag that one member raises, or lifts, is enforced at all others, as their gateways see it: engines of several
//! members, a real nats-server, and payments at every engine meanwhile.
//!
//! ```text
//! cargo run --release -p sparr-benches --bin propagation
//! ```
//!
//! From the acknowledgement at the desk, payments of the flagged person go to every other engine, one after the other, until
//! the first that is (or is no more) declined for the flag; the last engine counts. The second round is the same over lines
//! with 25 ms one way and 2 % loss, made by a relay that holds back what TCP would: a lost packet, and all behind it, until its
//! sender has missed it (a round trip and 200 ms) or heard of later ones (a round trip and a quarter after the next).
//!
//! A flag is enforced elsewhere once it is durable there: as many plain files as there are other engines are written and
//! synced after each change, at once, on the same disk. What they take is what no engine can do without.

mod disk;
mod load;
mod members;

#[path = "../../../../engine/tests/nats/broker.rs"]
#[allow(dead_code, reason = "shared with the tests, which do more to brokers")]
mod broker;
#[path = "../../../../engine/tests/nats/relay.rs"]
#[allow(dead_code, reason = "shared with the tests, which cut lines")]
mod relay;

use broker::Node;
use clap::Parser;
use disk::Disk;
use futures_util::future::join_all;
use load::Load;
use members::Member;
use relay::{Relay, Weather};
use sparr_engine::decision::FLAG_DENY;
use sparr_loadgen::people::{PEOPLE_MAX, personal_number};
use sparr_loadgen::{fresh_id, machine};
use sparr_protocol::client::Client;
use sparr_protocol::codes::{AuthMethod, FlagReason, Kind, RequestedBy, SubjectKind, Wish};
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said, SubjectText};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures how soon a flag is enforced everywhere.
#[derive(Parser)]
#[command(name = "propagation")]
struct Args {
    /// Engines, each of a member of its own
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=9))]
    engines: u16,
    /// Payments per second at each engine; what share of the machine that takes is printed
    #[arg(long, default_value_t = 4_000)]
    rate: u64,
    /// Flags that are raised, and lifted again, in each round
    #[arg(long, default_value_t = 500)]
    flags: u64,
}

type Failure = Box<dyn std::error::Error>;

/// Between two changes. Not a divisor of any interval of the engines, so that all their phases are met.
const PAUSE: Duration = Duration::from_micros(7_300);
/// A change that is not everywhere in this time is an error.
const PATIENCE: Duration = Duration::from_secs(20);
/// The second round's lines.
const FAR: Weather = Weather { cut: false, delay: Duration::from_millis(25), lost_per_mille: 20 };
const VALID_UNTIL: Timestamp = Timestamp::from_ms(1_900_000_000_000);

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("propagation: {problem}");
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
fn now() -> Instant {
    Instant::now()
}

fn measure(args: &Args) -> Result<(), Failure> {
    let node = Node::start().ok_or("needs nats-server on the PATH (Debian: apt install nats-server)")?;
    let relays: Vec<Relay> = (0..args.engines).map(|_| Relay::start(node.port())).collect();
    for (what, weather) in [("loopback", None), ("25 ms one way, 2 % of packets lost", Some(FAR))] {
        let urls: Vec<String> = match weather {
            None => relays.iter().map(|_| node.url()).collect(),
            Some(weather) => {
                relays.iter().for_each(|relay| relay.weather(weather, weather));
                relays.iter().map(Relay::url).collect()
            }
        };
        let folder = tempfile::tempdir()?;
        // Each round is an exchange of its own on the same broker.
        let network = if weather.is_none() { "near" } else { "far" };
        let members = members::start(folder.path(), &urls, network)?;
        println!("{what}: {} engines, {} payments a second at each", args.engines, args.rate);
        round(args, &members, node.pid(), folder.path())?;
        for member in members {
            member.engine.drain();
        }
    }
    Ok(())
}

fn round(args: &Args, members: &[Member], broker: u32, folder: &Path) -> Result<(), Failure> {
    let mut disk = Disk::new(folder, members.len() - 1)?;
    let load = Load::start(members, args.rate)?;
    let before = load::Processor::now(broker)?;
    let stolen_before = machine::Ticks::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut raised, mut lifted, mut synced) = (Vec::new(), Vec::new(), Vec::new());
    runtime.block_on(async {
        let (mut desks, mut gateways) = (Vec::new(), Vec::new());
        for member in members {
            desks.push(Client::connect(member.client("desk")?).await?);
            gateways.push(Client::connect(member.client("gateway")?).await?);
        }
        for number in 0..args.flags {
            // The desks take turns.
            let at = (number % members.len() as u64) as usize;
            let person = PEOPLE_MAX - 1 - number;
            let others =
                || gateways.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, gateway)| gateway);
            for (raise, took) in [(true, &mut raised), (false, &mut lifted)] {
                took.push(change(&desks[at], others(), person, raise).await?);
                tokio::time::sleep(PAUSE).await;
                synced.push(disk.sync_all()?);
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok::<_, Failure>(())
    })?;
    let (ours, busy) = before.percent_until(&load::Processor::now(broker)?);
    let stolen =
        stolen_before.zip(machine::Ticks::now()).map(|(before, now)| now.stolen_percent_since(&before));
    let seen = load.stop()?;
    println!("  raise   {}", quantiles(raised));
    println!("  lift    {}", quantiles(lifted));
    println!("  disk    {} (plain files, as many as other engines)", quantiles(synced));
    println!(
        "  {} payments answered, {} of them not screened; engines, gateways and broker took {ours:.0} % of the processors, which \
         were {busy:.0} % busy and {:.1} % taken by the hypervisor",
        seen.answers,
        seen.not_screened,
        stolen.unwrap_or(f64::NAN)
    );
    Ok(())
}

/// Raises or lifts a flag, and says how long after the acknowledgement the last of the others acts on it, ms.
async fn change<'a>(
    desk: &Client,
    others: impl Iterator<Item = &'a Client>,
    person: u64,
    raise: bool,
) -> Result<f64, Failure> {
    let subject =
        SubjectText { text: personal_number(person).into(), kind: SubjectKind::SePerson, country: None };
    let (requested_by, authenticated_by) = (RequestedBy::Person, AuthMethod::BankId);
    let operation = if raise {
        let (wish, scope, reason) = (Wish::Deny, Scope::Any, FlagReason::Scam);
        let (compromised, valid_until) = (Methods::default(), VALID_UNTIL);
        let terms = Terms { wish, scope, reason, requested_by, authenticated_by, compromised, valid_until };
        Operation::FlagRaise { subject, terms }
    } else {
        Operation::FlagLift { subject, requested_by, authenticated_by, second_channel: true }
    };
    let answers = desk.exchange(&ExchangeRequest { id: fresh_id(), operation }).await?;
    let acknowledged = now();
    if !matches!(answers.as_slice(), [only] if matches!(only.said, Said::Durable { .. })) {
        return Err(format!("a flag was not changed: {answers:?}").into());
    }
    // All others at once: each asks on until it is so there.
    let mut last = acknowledged;
    for enforced in join_all(others.map(|other| until_enforced(other, person, raise))).await {
        last = last.max(enforced?);
    }
    Ok(last.duration_since(acknowledged).as_secs_f64() * 1e3)
}

/// Screens payments of a person until one is declined for the flag, or is no more.
async fn until_enforced(gateway: &Client, person: u64, raised: bool) -> Result<Instant, Failure> {
    let began = now();
    loop {
        let mut request = AuthorisationRequest::new(fresh_id(), Kind::Invoice, Timestamp::from_ms(0));
        request.event_time = None;
        request.subject = Some(personal_number(person).into());
        request.set("amount_minor", "100")?;
        request.set("currency", "SEK")?;
        let answer =
            gateway.screen(&request).await?.answer.map_err(|why| format!("not screened: {why:?}"))?;
        if answer.reasons.iter().any(|reason| reason == FLAG_DENY) == raised {
            return Ok(now());
        }
        if began.elapsed() > PATIENCE {
            return Err("a change did not come".into());
        }
    }
}

fn quantiles(mut took: Vec<f64>) -> String {
    took.sort_by(f64::total_cmp);
    let at = |quantile: f64| {
        let place = ((took.len() as f64 * quantile).ceil() as usize).clamp(1, took.len().max(1)) - 1;
        took.get(place).copied().unwrap_or(f64::NAN)
    };
    format!("{} times, ms: p50 {:.2}  p99 {:.2}  max {:.2}", took.len(), at(0.5), at(0.99), at(1.0))
}
