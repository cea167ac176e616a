//! Whether the generator tells the truth: it measures a service whose latency can be calculated.
//!
//! A service that stops for 200 ms before every 500th request, and is otherwise quick, makes everybody wait who comes
//! meanwhile. The open loop must report that; a closed loop sends nothing while it waits, meets the pause once in 500
//! requests, and reports a p99 that no customer has seen.

use crate::closed_loop::{self, RunError};
use crate::frames::{Frames, Stamp, numbered};
use crate::measure::Measured;
use crate::open_loop::{self, Settings};
use crate::schedule::Schedule;
use crate::service::{Behaviour, Keys, KeysError, Service};
use crate::stream::{Planned, Truth};
use crate::tally::Tally;
use crate::workload::{Population, Workload};
use sparr_protocol::client::{
    ClientConfig, ConnectError, FailPolicy, Fallback, Identity, IdentityError, Pipe,
};
use sparr_protocol::time::Timestamp;
use std::time::Duration;

/// Requests between two stalls.
pub const EVERY: u64 = 500;
/// Length of a stall.
pub const PAUSE: Duration = Duration::from_millis(200);
/// How far the report may be from the truth, of one.
pub const ERROR_MAX: f64 = 0.05;

/// What the self-test found, ms.
#[derive(Clone, Copy, Debug)]
pub struct Findings {
    /// The p99 that follows from the schedule and the stalls.
    pub true_p99_ms: f64,
    /// What the open loop reports.
    pub open_p99_ms: f64,
    /// What the closed loop reports.
    pub closed_p99_ms: f64,
}

impl Findings {
    /// How far the open loop's report is from the truth, of one.
    pub fn error(&self) -> f64 {
        (self.open_p99_ms - self.true_p99_ms).abs() / self.true_p99_ms
    }

    /// Whether the generator may be believed.
    pub fn passes(&self) -> bool {
        self.error() <= ERROR_MAX
    }
}

/// Why there are no findings.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// No keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// No identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No service.
    #[error("the service does not start: {0}")]
    Service(#[from] std::io::Error),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// No requests.
    #[error(transparent)]
    Encode(#[from] sparr_protocol::request::EncodeError),
}

/// Runs both loops against the stalling service.
pub async fn run(per_second: u64, seconds: u64) -> Result<Findings, SelfTestError> {
    let schedule = Schedule::constant(per_second, seconds);
    let count = schedule.requests();
    let run = crate::fresh_run();
    let mut workload = Workload::new(1, Population { people: 1_000, merchants: 100, flags: 0 });
    let mut next = |number: u64| {
        let mut request = workload.next_request(Timestamp::from_ms(0));
        request.request_id = numbered(run, number);
        request
    };
    let planned = (0..count).map(|number| Planned { request: next(number), truth: Truth::default() });
    let frames = Frames::prepare(planned, 0)?;
    let keys = Keys::make()?;
    let behaviour = Behaviour::Stall { every: EVERY, pause: PAUSE };
    let policy = FailPolicy::by_kind(|_| Fallback::Decline);

    let service = Service::start("stalling", keys.server_config()?, behaviour)?;
    let identity = Identity::from_dir(keys.identity_dir())?;
    let config = ClientConfig::new(service.listen, identity.clone(), policy);
    let patience = Duration::from_secs(30);
    let settings = Settings { connections: 1, streams: 1, stamp: Stamp::AtReceipt, run, patience };
    let opened = open_loop::run(&config, settings, &schedule, &frames, |_, _| {}).await?;
    drop(service);
    let measured = Measured::of(&opened, 0..opened.intended_ns.len());

    let service = Service::start("stalling", keys.server_config()?, behaviour)?;
    let config = ClientConfig::new(service.listen, identity, policy);
    let pipe = Pipe::open(&config).await?;
    let mut tally = Tally::default();
    let requests = (0..count).map(next);
    closed_loop::run(pipe, requests, 1, |response, round_trip| tally.add(&response, round_trip)).await?;
    drop(service);

    Ok(Findings {
        true_p99_ms: true_p99_ns(&schedule) as f64 / 1e6,
        open_p99_ms: measured.latency_us(0.99) / 1e3,
        closed_p99_ms: tally.round_trip_us(0.99) / 1e3,
    })
}

/// The p99 of a queue in which everybody is served at once, but for the stalls: when a request is answered is the
/// later of its own time and of the answer before, and the pause in front of every 500th.
pub fn true_p99_ns(schedule: &Schedule) -> u64 {
    let mut free_at = 0;
    let pause = PAUSE.as_nanos() as u64;
    let mut latencies: Vec<u64> = schedule
        .intended_ns()
        .zip(1..)
        .map(|(arrives, number): (u64, u64)| {
            let begins = free_at.max(arrives);
            free_at = if number.is_multiple_of(EVERY) { begins + pause } else { begins };
            free_at - arrives
        })
        .collect();
    latencies.sort_unstable();
    let rank = (latencies.len() as f64 * 0.99).ceil() as usize;
    latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_is_what_can_be_calculated_by_hand() {
        // 1,000 a second: of 500 requests 200 come during a pause, and wait for 0 to 200 ms. One in a hundred of all
        // is one in forty of those: 195 ms.
        let p99 = true_p99_ns(&Schedule::constant(1_000, 10));
        assert!((194_000_000..=196_000_000).contains(&p99), "{p99}");
        // 10 a second: one request in 500 meets a pause, and nobody comes meanwhile but the next.
        assert_eq!(true_p99_ns(&Schedule::constant(10, 200)), 0);
    }
}
