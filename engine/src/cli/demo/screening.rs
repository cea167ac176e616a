//! Payments at several engines at a steady rate, from one thread, while something else is measured.

use crate::cli::CannotRun;
use crate::server::clock;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use sparr_loadgen::people::Population;
use sparr_loadgen::stream::{Plan, Stream};
use sparr_protocol::client::{Client, ClientConfig};
use sparr_protocol::request::AuthorisationRequest;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often requests go out; those of one tick go together.
const TICK: Duration = Duration::from_millis(2);
/// Requests that wait for their answers at most: an engine that stands still is not buried.
const WAITING_MAX: usize = 4_096;
/// Requests that are made beforehand and sent again and again, each time under another id.
const REQUESTS: u64 = 20_000;

/// What came back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Answers.
    pub answers: u64,
    /// Answers that say that nothing was decided.
    pub not_screened: u64,
    /// Requests without an answer.
    pub lost: u64,
    /// The oldest state that an answer stood on, ms.
    pub staleness_max_ms: u32,
}

/// Payments on their way.
pub(super) struct Screening {
    stop: watch::Sender<bool>,
    thread: JoinHandle<Result<Seen, CannotRun>>,
}

impl Screening {
    /// Begins to send, to each engine in turn.
    pub(super) fn start(engines: Vec<ClientConfig>, rate: u64, seed: u64) -> Result<Self, CannotRun> {
        let plan = Plan {
            seed,
            population: Population { people: 10_000, merchants: 500, flags: 0 },
            midnight: clock::now(),
            requests: REQUESTS,
            listed: 0,
            run: sparr_loadgen::fresh_run(),
        };
        let requests: Vec<AuthorisationRequest> = Stream::new(plan).map(|planned| planned.request).collect();
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("payments".to_owned())
            .spawn(move || crate::cli::runtime()?.block_on(send(&engines, &requests, rate, stopped)))?;
        Ok(Self { stop, thread })
    }

    /// Ends, and says what came back.
    pub(super) fn stop(self) -> Result<Seen, CannotRun> {
        self.stop.send_replace(true);
        self.thread.join().map_err(|_| CannotRun("the thread that sends payments failed".to_owned()))?
    }
}

async fn send(
    engines: &[ClientConfig],
    requests: &[AuthorisationRequest],
    rate: u64,
    mut stopped: watch::Receiver<bool>,
) -> Result<Seen, CannotRun> {
    let mut clients = Vec::new();
    for engine in engines {
        clients.push(Client::connect(engine.clone()).await?);
    }
    let mut seen = Seen::default();
    let mut waiting = FuturesUnordered::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (began, mut sent) = (Instant::now(), 0u64);
    let mut source = requests.iter().cycle().zip(clients.iter().cycle());
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let due = u64::try_from(began.elapsed().as_micros()).unwrap_or(0) * rate / 1_000_000;
                // What was not sent in time is not sent later.
                let now = due.saturating_sub(sent).min(rate / 100 + 1);
                sent = due;
                for _ in 0..now {
                    let Some((request, client)) = source.next().filter(|_| waiting.len() < WAITING_MAX) else { break };
                    let mut request = request.clone();
                    // The engine's clock at receipt.
                    request.event_time = None;
                    request.request_id = sparr_loadgen::fresh_id();
                    waiting.push(async move { client.screen(&request).await });
                }
            }
            Some(answer) = waiting.next() => match answer {
                Ok(answer) => {
                    seen.answers += 1;
                    seen.not_screened += u64::from(answer.answer.is_err());
                    seen.staleness_max_ms = seen.staleness_max_ms.max(answer.staleness_ms);
                }
                Err(_) => seen.lost += 1,
            },
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
    }
    while let Some(answer) = waiting.next().await {
        match answer {
            Ok(answer) => {
                seen.answers += 1;
                seen.not_screened += u64::from(answer.answer.is_err());
            }
            Err(_) => seen.lost += 1,
        }
    }
    drop(waiting);
    for client in clients {
        client.close().await;
    }
    Ok(seen)
}
