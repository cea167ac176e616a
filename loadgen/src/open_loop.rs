//! The open-loop client: each request goes out when its schedule says so, whatever became of the earlier ones.
//!
//! One thread spins between the intended times, because a runtime's timer ticks in milliseconds; far from the next one
//! it sleeps. It never waits for a stream: what the transport does not take at once stays in the generator, late, and
//! latency counts from the intended time, so a stalled engine shows in the figures of everybody who had to wait.

use crate::closed_loop::RunError;
use crate::frames::{Frames, Stamp, number_of};
use crate::schedule::Schedule;
use sparr_protocol::client::{ClientConfig, EngineConnection, Pipe, PipeReceiver, PipeSender, Traffic};
use sparr_protocol::frame::MessageKind;
use sparr_protocol::response::AuthorisationResponse;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::Instant;

/// How requests are spread and stamped.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Connections.
    pub connections: usize,
    /// Streams of each connection. Only one stream of one connection keeps the order of the requests.
    pub streams: usize,
    /// Which time the requests carry.
    pub stamp: Stamp,
    /// First half of the ids.
    pub run: [u8; 8],
    /// How long answers are waited for after the last request.
    pub patience: Duration,
}

/// What was not answered.
pub const NEVER: u64 = u64::MAX;

/// What a run measured, by the number of the request.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// When each request was meant to be sent, ns after the start.
    pub intended_ns: Vec<u64>,
    /// How much later the transport took it, ns.
    pub lateness_ns: Vec<u64>,
    /// From the intended time to the answer, ns; [`NEVER`] without one.
    pub latency_ns: Vec<u64>,
    /// From the start to the last answer.
    pub took: Duration,
    /// What went over the network while requests were sent, both ways.
    pub traffic: Traffic,
}

/// How far ahead the next request must be for the generator to sleep instead of spinning. The runtime's timer is
/// accurate to a millisecond.
const SLEEP_AHEAD: Duration = Duration::from_millis(4);
/// How long before it the generator is awake again.
const AWAKE_BEFORE: Duration = Duration::from_millis(2);

/// A stream and what waits to be taken by its transport.
struct Lane {
    sender: PipeSender,
    waiting: Vec<u8>,
    taken: usize,
    /// Requests in `waiting`: where each ends, and its number.
    ends: VecDeque<(usize, u64)>,
}

impl Lane {
    /// Hands over what the transport takes, and calls `took` for each request that has gone.
    fn push(&mut self, mut took: impl FnMut(u64)) -> Result<(), RunError> {
        while self.taken < self.waiting.len() {
            let written = self.sender.try_send(&self.waiting[self.taken..]);
            match written.map_err(|error| RunError::Lost(error.to_string()))? {
                0 => break,
                bytes => self.taken += bytes,
            }
        }
        while let Some((end, number)) = self.ends.front().copied().filter(|(end, _)| *end <= self.taken) {
            debug_assert!(end <= self.waiting.len());
            self.ends.pop_front();
            took(number);
        }
        if self.taken == self.waiting.len() {
            self.waiting.clear();
            self.taken = 0;
        }
        Ok(())
    }
}

/// What the tasks share. One thread, so no lock.
struct Shared<T> {
    run: Run,
    started: Instant,
    outstanding: u64,
    failed: Option<RunError>,
    take: T,
}

/// Sends the requests of `frames` as `schedule` says, from the start again when they are used up, and hands each
/// answer with the request's number to `take`. Must run on a current-thread runtime that nothing else uses.
pub async fn run<T>(
    config: &ClientConfig,
    settings: Settings,
    schedule: &Schedule,
    frames: &Frames,
    take: T,
) -> Result<Run, RunError>
where
    T: FnMut(u64, &AuthorisationResponse) + 'static,
{
    let mut connections = Vec::new();
    let (mut lanes, mut receivers) = (Vec::new(), Vec::new());
    for _ in 0..settings.connections.max(1) {
        let connection = EngineConnection::open(config).await?;
        for _ in 0..settings.streams.max(1) {
            let Pipe { sender, receiver } = connection.pipe().await?;
            lanes.push(Lane { sender, waiting: Vec::new(), taken: 0, ends: VecDeque::new() });
            receivers.push(receiver);
        }
        connections.push(connection);
    }
    let intended_ns: Vec<u64> = schedule.intended_ns().collect();
    let count = intended_ns.len();
    let before = traffic(&connections);
    let shared = Rc::new(RefCell::new(Shared {
        run: Run {
            intended_ns,
            lateness_ns: vec![0; count],
            latency_ns: vec![NEVER; count],
            ..Run::default()
        },
        started: Instant::now(),
        outstanding: count as u64,
        failed: None,
        take,
    }));
    let local = LocalSet::new();
    for receiver in receivers {
        local.spawn_local(receive(receiver, settings.run, shared.clone()));
    }
    let sending = send(&mut lanes, &settings, frames, &shared);
    let sent = local.run_until(sending).await;
    drop(local);
    let mut sent_and_received = traffic(&connections);
    for connection in connections {
        connection.close().await;
    }
    sent?;
    let shared = Rc::into_inner(shared).map(RefCell::into_inner);
    let Some(Shared { mut run, failed, .. }) = shared else {
        unreachable!("every task has ended with the set that held it")
    };
    if let Some(error) = failed {
        return Err(error);
    }
    sent_and_received.datagrams_sent -= before.datagrams_sent;
    sent_and_received.datagrams_received -= before.datagrams_received;
    sent_and_received.bytes_sent -= before.bytes_sent;
    sent_and_received.bytes_received -= before.bytes_received;
    sent_and_received.packets_lost -= before.packets_lost;
    run.traffic = sent_and_received;
    Ok(run)
}

fn traffic(connections: &[EngineConnection]) -> Traffic {
    connections.iter().fold(Traffic::default(), |mut sum, connection| {
        sum += connection.traffic();
        sum
    })
}

async fn send<T>(
    lanes: &mut [Lane],
    settings: &Settings,
    frames: &Frames,
    shared: &RefCell<Shared<T>>,
) -> Result<(), RunError> {
    let count = shared.borrow().run.intended_ns.len();
    let started = Instant::now();
    shared.borrow_mut().started = started;
    let (mut next, mut ended_at) = (0, None);
    loop {
        let now = started.elapsed();
        let due = {
            let shared = shared.borrow();
            let upcoming = &shared.run.intended_ns[next..];
            upcoming.iter().take_while(|at| u128::from(**at) <= now.as_nanos()).count()
        };
        for number in next..next + due {
            let lane_no = number % lanes.len();
            let lane = &mut lanes[lane_no];
            frames.append(number as u64, settings.run, settings.stamp, &mut lane.waiting);
            lane.ends.push_back((lane.waiting.len(), number as u64));
        }
        next += due;
        let mut is_idle = true;
        for lane in lanes.iter_mut().filter(|lane| !lane.waiting.is_empty()) {
            lane.push(|number| {
                let taken = started.elapsed().as_nanos() as u64;
                let run = &mut shared.borrow_mut().run;
                run.lateness_ns[number as usize] = taken.saturating_sub(run.intended_ns[number as usize]);
            })?;
            is_idle &= lane.waiting.is_empty();
        }
        if next == count && is_idle {
            let ended_at = *ended_at.get_or_insert_with(Instant::now);
            let shared = shared.borrow();
            if shared.outstanding == 0 || ended_at.elapsed() > settings.patience {
                return Ok(());
            }
        }
        if shared.borrow().failed.is_some() {
            return Ok(());
        }
        let upcoming = shared.borrow().run.intended_ns.get(next).copied().map(Duration::from_nanos);
        match upcoming.map(|at| at.saturating_sub(started.elapsed())) {
            Some(ahead) if ahead > SLEEP_AHEAD && is_idle => tokio::time::sleep(ahead - AWAKE_BEFORE).await,
            Some(_) | None => tokio::task::yield_now().await,
        }
    }
}

async fn receive<T>(mut receiver: PipeReceiver, of: [u8; 8], shared: Rc<RefCell<Shared<T>>>)
where
    T: FnMut(u64, &AuthorisationResponse),
{
    loop {
        let received = receiver.receive(|kind, message| {
            if kind != MessageKind::ScreenAnswer {
                return;
            }
            let shared = &mut *shared.borrow_mut();
            let after = shared.started.elapsed();
            match AuthorisationResponse::decode(message) {
                Ok(response) => {
                    let Some(number) = number_of(of, response.request_id) else { return };
                    let Some(latency) = shared.run.latency_ns.get_mut(number as usize) else { return };
                    if *latency == NEVER {
                        let intended = shared.run.intended_ns[number as usize];
                        *latency = (after.as_nanos() as u64).saturating_sub(intended);
                        shared.outstanding -= 1;
                        shared.run.took = after;
                        (shared.take)(number, &response);
                    }
                }
                Err(error) => shared.failed = Some(RunError::Unreadable(error.to_string())),
            }
        });
        match received.await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                shared.borrow_mut().failed.get_or_insert_with(|| RunError::Lost(error.to_string()));
                return;
            }
        }
    }
}
