//! What a caller may do to another one, and what the other one sees of it.

use crate::engine::{Bench, Failure, POPULATION, runtime};
use crate::load::median;
use rustix::process::{Pid, setpriority_process};
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, Stamp};
use sparr_loadgen::fresh_run;
use sparr_loadgen::measure::Measured;
use sparr_loadgen::open_loop::{self, Settings};
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::stream::{Plan, Stream};
use sparr_protocol::client::{EngineConnection, Pipe};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::LocalSet;

/// Seconds of a round.
const SECONDS: u64 = 3;
/// Linux's lowest ordinary priority.
const LOWEST: i32 = 19;
/// Connections of an attacker that holds them open.
const CONNECTIONS: usize = 16;
/// Connections that come and go.
const RECONNECTING: usize = 64;
/// What a request gives the engine, µs.
const DEADLINE_US: u32 = 20_000;

/// One way of being a bad neighbour.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// Measures the gateway alone and beside an attack, A B B A.
pub(crate) fn measure(bench: &Bench, attack: Attack, rounds: usize, rate: u64) -> Result<String, Failure> {
    let (mut alone, mut attacked, mut decided) = (Vec::new(), Vec::new(), 1.0_f64);
    for round in 0..rounds {
        for under_attack in if round % 2 == 0 { [false, true] } else { [true, false] } {
            let stop = Arc::new(AtomicBool::new(false));
            let told = stop.clone();
            let seen = std::thread::scope(|scope| {
                let attacker = under_attack.then(|| scope.spawn(|| be_bad(bench, attack, &told)));
                let seen = gateway(bench, rate);
                stop.store(true, Ordering::Relaxed);
                match attacker.map(std::thread::ScopedJoinHandle::join) {
                    None | Some(Ok(Ok(()))) => seen,
                    Some(Ok(Err(problem))) => Err(problem),
                    Some(Err(_)) => Err("the attacker panicked".into()),
                }
            })?;
            if under_attack {
                attacked.push(seen.0);
                decided = decided.min(seen.1);
            } else {
                alone.push(seen.0);
            }
        }
    }
    let ratios: Vec<f64> = attacked.iter().zip(&alone).map(|(attacked, alone)| attacked / alone).collect();
    let range =
        ratios.iter().fold((f64::MAX, f64::MIN), |(low, high), ratio| (low.min(*ratio), high.max(*ratio)));
    Ok(format!(
        "{:<34}{:>11.0}{:>13.0}{:>8.2}  {:<14}{:>10.2}",
        attack.name(),
        median(alone),
        median(attacked),
        median(ratios),
        format!("{:.2} to {:.2}", range.0, range.1),
        decided * 100.0
    ))
}

/// The gateway's w99 in µs, and the share of its requests that was decided.
fn gateway(bench: &Bench, rate: u64) -> Result<(f64, f64), Failure> {
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
    let decided = Rc::new(Cell::new(0_u64));
    let count = decided.clone();
    let take = move |_, answer: &sparr_protocol::response::AuthorisationResponse| {
        count.set(count.get() + u64::from(answer.answer.is_ok()));
    };
    let run = runtime()?.block_on(open_loop::run(&bench.gateway, settings, &schedule, &frames, take))?;
    let measured = Measured::of(&run, 0..run.intended_ns.len());
    Ok((measured.w99_us(), decided.get() as f64 / requests as f64))
}

/// Attacks until it is told to stop, with time that the generator does not want: what is to be seen is the engine.
fn be_bad(bench: &Bench, attack: Attack, stop: &AtomicBool) -> Result<(), Failure> {
    setpriority_process(None::<Pid>, LOWEST)?;
    let does = |one: Attack| attack == one || attack == Attack::All;
    runtime()?.block_on(LocalSet::new().run_until(async {
        let stopped = async {
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let attacks = async {
            tokio::join!(
                when(does(Attack::Flood), flood(bench)),
                when(does(Attack::NeverReads), never_read(bench)),
                when(does(Attack::HalfRequests), half_requests(bench)),
                when(does(Attack::Reconnects), reconnect(bench)),
            )
        };
        tokio::select! {
            () = stopped => Ok(()),
            (flood, silent, half, reconnecting) = attacks => flood.and(silent).and(half).and(reconnecting),
        }
    }))
}

async fn when(does: bool, attack: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    if does { attack.await } else { Ok(()) }
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
            for mut request in requests.by_ref().take(64) {
                request.deadline_us = DEADLINE_US;
                request.encode(&mut bytes)?;
            }
            sender.send(&bytes).await?;
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
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = EngineConnection::open(&bench.other).await?;
        let mut pipe = connection.pipe().await?;
        let mut bytes = Vec::new();
        for request in bench.requests().take(2_000) {
            request.encode(&mut bytes)?;
        }
        // It stops taking them: that is the engine's answer.
        let _ = tokio::time::timeout(Duration::from_millis(50), pipe.sender.send(&bytes)).await;
        held.push((connection, pipe));
    }
    std::future::pending().await
}

/// The beginning of a request on as many streams as there may be.
async fn half_requests(bench: &Bench) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    for request in bench.requests().take(1) {
        request.encode(&mut bytes)?;
    }
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = EngineConnection::open(&bench.other).await?;
        for _ in 0..1_024 / CONNECTIONS {
            let mut pipe = connection.pipe().await?;
            pipe.sender.send(&bytes[..bytes.len() / 2]).await?;
            held.push(pipe);
        }
        held.shrink_to_fit();
    }
    std::future::pending().await
}

/// Connections that are opened, used once and closed, over and over.
async fn reconnect(bench: &Bench) -> Result<(), Failure> {
    let one = async || {
        loop {
            // Refused or too slow: it comes again, as an attacker would.
            if let Ok(connection) = EngineConnection::open(&bench.other).await {
                connection.close().await;
            }
        }
    };
    futures_util::future::join_all((0..RECONNECTING).map(|_| one())).await;
    Ok(())
}
