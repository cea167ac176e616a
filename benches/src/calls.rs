//! Loops of single calls, for services whose every request is a call of its own: HTTPS, gRPC.

use crate::Failure;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sparr_loadgen::open_loop::{NEVER, Run};
use sparr_loadgen::schedule::Schedule;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// So many under way at a time, until there are no more.
pub async fn closed_loop<C>(mut calls: impl Iterator<Item = C>, in_flight: usize) -> Result<(), Failure>
where
    C: Future<Output = Result<(), Failure>>,
{
    let mut under_way = FuturesUnordered::new();
    under_way.extend(calls.by_ref().take(in_flight));
    while let Some(answered) = under_way.next().await {
        answered?;
        under_way.extend(calls.next());
    }
    Ok(())
}

/// Each call when its time has come, whatever became of the earlier ones; `patience` is how long the next answer is
/// waited for after the last call.
pub async fn open_loop<C>(
    schedule: &Schedule,
    patience: Duration,
    call: impl Fn(u64) -> C,
) -> Result<Run, Failure>
where
    C: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let intended_ns: Vec<u64> = schedule.intended_ns().collect();
    let count = intended_ns.len();
    let mut run =
        Run { lateness_ns: vec![0; count], latency_ns: vec![NEVER; count], intended_ns, ..Run::default() };
    let mut calls = JoinSet::new();
    let started = Instant::now();
    for number in 0..count {
        let intended = Duration::from_nanos(run.intended_ns[number]);
        // A runtime's timer ticks in milliseconds.
        while started.elapsed() < intended {
            tokio::task::yield_now().await;
        }
        run.lateness_ns[number] = (started.elapsed() - intended).as_nanos() as u64;
        let call = call(number as u64);
        calls.spawn(async move {
            call.await?;
            Ok::<_, Failure>((number, (started.elapsed() - intended).as_nanos() as u64))
        });
    }
    while let Some(answered) = tokio::time::timeout(patience, calls.join_next()).await? {
        let (number, took) = answered??;
        run.latency_ns[number] = took;
    }
    run.took = started.elapsed();
    Ok(run)
}
