//! What a caller may do to another one, and what the other one sees of it.

use crate::engine::{Bench, Failure, POPULATION, runtime};
use crate::load::median;
use futures_util::future::{join_all, try_join_all};
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, Stamp};
use sparr_loadgen::measure::Measured;
use sparr_loadgen::open_loop::{self, Settings};
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::stream::{Plan, Stream};
use sparr_loadgen::{fresh_run, machine};
use sparr_protocol::client::{EngineConnection, Pipe};
use sparr_protocol::response::{AuthorisationResponse, Why};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::yield_now;

/// Seconds of a round.
const SECONDS: u64 = 3;
/// Connections of an attacker that holds them open.
const CONNECTIONS: usize = 16;
/// Connections that come and go.
const RECONNECTING: u64 = 64;
/// Requests that an attacker writes at once.
const STEP: usize = 16;
/// What a request gives the engine, µs.
const DEADLINE_US: u32 = 20_000;

/// One way of being a bad neighbour.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Attack {
    /// Sends as many requests as it can, and hears the refusals.
    Flood,
    /// Sends requests over many connections and never reads an answer.
    NeverReads,
    /// Begins a request on every stream of many connections and never ends it.
    HalfRequests,
    /// Connects, and goes, and connects.
    Reconnects,
    /// All of it.
    All,
}

impl Attack {
    pub(crate) const ALL: [Self; 5] =
        [Self::Flood, Self::NeverReads, Self::HalfRequests, Self::Reconnects, Self::All];

    const fn reconnects(self) -> bool {
        matches!(self, Self::Reconnects | Self::All)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Flood => "a flood of requests",
            Self::NeverReads => "16 connections that never read",
            Self::HalfRequests => "half requests on 1,024 streams",
            Self::Reconnects => "64 connections that reconnect",
            Self::All => "all of it at once",
        }
    }
}

/// What the gateway sees.
struct Seen {
    w99_us: f64,
    /// Of its requests, those that were decided, and those that were refused.
    decided: f64,
    refused: f64,
    /// The generator's own lateness, p99.
    late_us: f64,
}

/// Measures the gateway alone and beside an attack, A B B A.
pub(crate) fn measure(bench: &Bench, attack: Attack, rounds: usize, rate: u64) -> Result<String, Failure> {
    let (mut alone, mut attacked, mut late) = (Vec::new(), Vec::new(), Vec::new());
    let (mut decided, mut refused, mut made) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        for under_attack in if round % 2 == 0 { [false, true] } else { [true, false] } {
            let stop = AtomicBool::new(false);
            bench.made.store(0, Ordering::Relaxed);
            let seen = std::thread::scope(|scope| {
                let reconnecting = (under_attack && attack.reconnects())
                    .then(|| scope.spawn(|| on_the_engines_core(reconnect(bench), &stop)));
                // It looks at what is due after every step of an attacker: the generator is never late by more.
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().event_interval(1).build()?;
                let seen = runtime.block_on(async {
                    let gateway = gateway(bench, rate);
                    if !under_attack {
                        return gateway.await;
                    }
                    tokio::select! {
                        seen = gateway => seen,
                        ended = be_bad(bench, attack) => Err(ended.err().unwrap_or_else(|| "it ended".into())),
                    }
                });
                stop.store(true, Ordering::Relaxed);
                match reconnecting.map(std::thread::ScopedJoinHandle::join) {
                    None | Some(Ok(Ok(()))) => seen,
                    Some(Ok(Err(problem))) => Err(problem),
                    Some(Err(_)) => Err("the attacker panicked".into()),
                }
            })?;
            if under_attack {
                attacked.push(seen.w99_us);
                late.push(seen.late_us);
                decided.push(seen.decided * 100.0);
                refused.push(seen.refused * 100.0);
                made.push(bench.made.load(Ordering::Relaxed) as f64 / SECONDS as f64);
            } else {
                alone.push(seen.w99_us);
            }
        }
    }
    let ratios: Vec<f64> = attacked.iter().zip(&alone).map(|(attacked, alone)| attacked / alone).collect();
    let range =
        ratios.iter().fold((f64::MAX, f64::MIN), |(low, high), ratio| (low.min(*ratio), high.max(*ratio)));
    Ok(format!(
        "{:<34}{:>9.0}{:>10.0}{:>13.0}{:>8.2}  {:<14}{:>10.2}{:>11.2}{:>16.0}",
        attack.name(),
        median(made),
        median(alone),
        median(attacked),
        median(ratios),
        format!("{:.2} to {:.2}", range.0, range.1),
        mean(&decided),
        mean(&refused),
        median(late)
    ))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

async fn gateway(bench: &Bench, rate: u64) -> Result<Seen, Failure> {
    let schedule = Schedule::constant(rate, SECONDS);
    let (run, requests) = (fresh_run(), schedule.requests());
    let plan = Plan { seed: 1, population: POPULATION, midnight: SOME_MIDNIGHT, requests, listed: 0, run };
    let frames = Frames::prepare(Stream::new(plan), DEADLINE_US)?;
    let settings = Settings {
        connections: 1,
        streams: 4,
        stamp: Stamp::AtReceipt,
        run,
        patience: Duration::from_secs(5),
    };
    let counted = Rc::new(Cell::new((0_u64, 0_u64)));
    let count = counted.clone();
    let take = move |_, answer: &AuthorisationResponse| {
        let (decided, refused) = count.get();
        let overloaded = answer.answer.is_err_and(|so| so.why == Why::Overloaded);
        count.set((decided + u64::from(answer.answer.is_ok()), refused + u64::from(overloaded)));
    };
    let run = open_loop::run(&bench.gateway, settings, &schedule, &frames, take).await?;
    let measured = Measured::of(&run, 0..run.intended_ns.len());
    Ok(Seen {
        w99_us: measured.w99_us(),
        decided: counted.get().0 as f64 / requests as f64,
        refused: counted.get().1 as f64 / requests as f64,
        late_us: measured.lateness_us(0.99),
    })
}

/// Attacks for ever, but for what has a thread of its own. It takes small steps on the gateway's thread: as another thread it
/// would keep the generator off its core for milliseconds, and that is what would be measured.
async fn be_bad(bench: &Bench, attack: Attack) -> Result<(), Failure> {
    let does = |one: Attack| attack == one || attack == Attack::All;
    let (flood, silent, half) = tokio::join!(
        when(does(Attack::Flood), flood(bench)),
        when(does(Attack::NeverReads), never_read(bench)),
        when(does(Attack::HalfRequests), half_requests(bench)),
    );
    flood.and(silent).and(half)
}

/// Attacks until it is told to stop, with the time that the engine leaves of its core. Handshakes are dear for both sides: next
/// to the generator they would keep it from reading its answers.
fn on_the_engines_core(
    attack: impl Future<Output = Result<(), Failure>>,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let thread = rustix::thread::gettid().to_string();
    let idle = std::process::Command::new("chrt").args(["--idle", "--pid", "0", &thread]).status()?;
    if !idle.success() || !machine::pin(None, 0) {
        return Err("the attacker cannot be moved out of the generator's way".into());
    }
    runtime()?.block_on(async {
        let stopped = async {
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = stopped => Ok(()),
            ended = attack => ended,
        }
    })
}

async fn when(does: bool, attack: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    if does { attack.await } else { std::future::pending().await }
}

/// Requests as fast as they can be written; answers are read, so that more can be.
async fn flood(bench: &Bench) -> Result<(), Failure> {
    let connection = EngineConnection::open(&bench.other).await?;
    let Pipe { mut sender, mut receiver } = connection.pipe().await?;
    let write = async {
        let mut requests = bench.requests();
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            for mut request in requests.by_ref().take(STEP) {
                request.deadline_us = DEADLINE_US;
                request.encode(&mut bytes)?;
            }
            sender.send(&bytes).await?;
            bench.made.fetch_add(STEP as u64, Ordering::Relaxed);
            yield_now().await;
        }
    };
    let read = async {
        while receiver.receive(|_, _| {}).await? {}
        Err::<(), Failure>("the engine ended the stream".into())
    };
    let ended: (Result<(), Failure>, _) = tokio::join!(write, read);
    ended.0.and(ended.1)
}

/// Requests whose answers nobody reads: they pile up until the engine reads no more.
async fn never_read(bench: &Bench) -> Result<(), Failure> {
    let silent = async |_| {
        let connection = EngineConnection::open(&bench.other).await?;
        let mut pipe = connection.pipe().await?;
        let (mut requests, mut bytes) = (bench.requests(), Vec::new());
        loop {
            bytes.clear();
            for request in requests.by_ref().take(STEP) {
                request.encode(&mut bytes)?;
            }
            // At some time it does not return: that is the engine's answer.
            pipe.sender.send(&bytes).await?;
            bench.made.fetch_add(STEP as u64, Ordering::Relaxed);
            yield_now().await;
        }
    };
    try_join_all((0..CONNECTIONS).map(silent)).await.map(|_: Vec<()>| ())
}

/// The beginning of a request on as many streams as there may be.
async fn half_requests(bench: &Bench) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    for request in bench.requests().take(1) {
        request.encode(&mut bytes)?;
    }
    let (mut connections, mut held) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        let connection = EngineConnection::open(&bench.other).await?;
        for _ in 0..1_024 / CONNECTIONS {
            let mut pipe = connection.pipe().await?;
            pipe.sender.send(&bytes[..bytes.len() / 2]).await?;
            held.push(pipe);
            bench.made.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
        connections.push(connection);
    }
    std::future::pending().await
}

/// Connections that are opened and closed, over and over.
async fn reconnect(bench: &Bench) -> Result<(), Failure> {
    let one = async |_| {
        loop {
            // Refused or too slow: it comes again, as an attacker would.
            if let Ok(connection) = EngineConnection::open(&bench.other).await {
                connection.close().await;
                bench.made.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let never: Vec<()> = join_all((0..RECONNECTING).map(one)).await;
    drop(never);
    Ok(())
}
