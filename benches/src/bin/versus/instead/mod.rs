//! What one would pick instead: goal 4. A gRPC service (tonic, mutual TLS) that asks Redis for the windows and the flag
//! of each payment and the `cel` crate for its rules: the same rules, the same stream.
//!
//! It gets what it can use: one connection for all requests, one pipeline for each payment, conditions compiled and
//! functions bound beforehand, Redis without a disk and on a socket of this machine. Windows are exact, as sparr's are: a
//! sorted set for each key. All of it has one core, as all of the engine has.

mod client;
mod message;
mod redis;
mod service;

use crate::engine::{Load, REFERENCE_RULES};
use crate::on_the_generators_core;
use crate::progress::Progress;
use crate::runtime;
use crate::setting::Setting;
use crate::table::{Aim, Goal, Row};
use crate::turns::{Figure, in_turns, median};
use crate::whole::{PATIENCE, Whole, w99_us};
use client::GrpcClient;
use message::ScreenRequest;
use redis::Redis;
use service::{Rules, Windows};
use sparr_benches::rules::{forms_of, reference_questions};
use sparr_benches::{Failure, calls};
use sparr_loadgen::people::personal_number;
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::service::Keys;

/// Name of the service's thread.
const THREADS: &str = "grpc";
/// Steps of [`Instead::rows`].
pub(crate) const STEPS: u64 = 2;
/// Requests under way in the closed loop.
const IN_FLIGHT: usize = 64;
/// Share of its own throughput at which latency is compared.
const OF_ITS_OWN: f64 = 0.6;
/// Requests of which the first throughput is taken.
const FIRST: u64 = 2_000;

const PEER: &str = "gRPC + cel + Redis";

fn goals() -> [Goal; 2] {
    let goal =
        |what: String, aim| Goal { id: "4", load: Load::Reference.name(), what, peer: PEER, aim: Some(aim) };
    [
        goal(format!("requests/s, {IN_FLIGHT} in flight, closed loop"), Aim::AtLeast(100.0, 100.0)),
        goal("w99 at the peer's own 60 %, open loop, µs".to_owned(), Aim::AtMost(0.2, 0.2)),
    ]
}

/// Rows of a run without the reference load.
pub(crate) fn without_reference() -> Vec<Row> {
    let why = "the peer has the reference rules: leave --rules shipped away";
    goals().into_iter().map(|goal| Row::skipped(goal, why)).collect()
}

/// The service and what it asks, or why there is none.
pub(crate) struct Instead(Result<Running, String>);

struct Running {
    client: GrpcClient,
    rules: usize,
    redis: Redis,
}

impl Instead {
    /// Starts Redis and the service.
    pub(crate) fn start(keys: &Keys, load: Load) -> Result<Self, Failure> {
        let people = load.population().flags().map(|(person, _)| personal_number(person));
        let Some(redis) = Redis::start(people)? else {
            let why = "there is no redis-server here (Debian: redis-server): UNPROVEN that sparr is 100 times as fast";
            return Ok(Self(Err(why.to_owned())));
        };
        let rules = Rules::compile(&forms_of(&reference_questions(), REFERENCE_RULES));
        let taken = rules.len();
        let address = service::start(keys, rules, Windows::Redis(redis.socket()))?;
        let client = GrpcClient::new(address, keys)?;
        Ok(Self(Ok(Running { client, rules: taken, redis })))
    }

    /// The process besides this one that serves.
    pub(crate) fn process(&self) -> Option<u32> {
        self.0.as_ref().ok().map(|running| running.redis.process())
    }

    /// Both rows.
    pub(crate) fn rows(
        &self,
        whole: &Whole<'_>,
        setting: Setting,
        progress: &mut Progress,
    ) -> Result<Vec<Row>, Failure> {
        let running = match &self.0 {
            Ok(running) => running,
            Err(why) => return Ok(goals().into_iter().map(|goal| Row::skipped(goal, why)).collect()),
        };
        let requests: Vec<ScreenRequest> = whole.requests().iter().map(ScreenRequest::from).collect();
        progress.begin("gRPC + cel + Redis: throughput");
        let first = running.saturate(&requests, FIRST)?;
        let count = (first * setting.seconds as f64).max(100.0) as u64;
        let rounds = in_turns(setting.pairs, &[true, false], |is_ours| {
            whole.settle();
            if is_ours { whole.saturate_engine() } else { Ok(running.saturate(&requests, count)?.into()) }
        })?;
        let [throughput, latency] = goals();
        let note = format!("cel takes {} of {REFERENCE_RULES} rules", running.rules);
        let mut rows = vec![Row::beside(throughput, &rounds[0], &rounds[1]).noting(&note)];
        progress.begin("gRPC + cel + Redis: latency");
        let its_own: Vec<f64> = rounds[1].iter().map(|figure| figure.value).collect();
        let rate = (median(&its_own) * OF_ITS_OWN) as u64;
        // Windows of 200 ms must hold enough requests for a percentile.
        let schedule = Schedule::constant(rate, setting.seconds.max(2));
        let rounds = in_turns(setting.pairs, &[true, false], |is_ours| {
            whole.settle();
            if is_ours { whole.pace_engine(&schedule) } else { running.pace(&requests, &schedule) }
        })?;
        rows.push(Row::beside(latency, &rounds[0], &rounds[1]).noting(&format!("both at {rate}/s")));
        Ok(rows)
    }
}

impl Running {
    fn saturate(&self, requests: &[ScreenRequest], count: u64) -> Result<f64, Failure> {
        on_the_generators_core(|| {
            runtime()?.block_on(async {
                let connection = self.client.connect().await?;
                let started = tokio::time::Instant::now();
                let calls = (0..count).map(|number| connection.screen(requests, number));
                calls::closed_loop(calls, IN_FLIGHT).await?;
                Ok(count as f64 / started.elapsed().as_secs_f64())
            })
        })
    }

    fn pace(&self, requests: &[ScreenRequest], schedule: &Schedule) -> Result<Figure, Failure> {
        let run = on_the_generators_core(|| {
            runtime()?.block_on(async {
                let connection = self.client.connect().await?;
                calls::open_loop(schedule, PATIENCE, |number| connection.screen(requests, number)).await
            })
        })?;
        Ok(w99_us(&run, None))
    }
}

#[cfg(test)]
mod tests;
