//! Open loops of more than an engine can answer.

use crate::engine::{Bench, Failure, POPULATION, runtime};
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, Stamp, numbered};
use sparr_loadgen::fresh_run;
use sparr_loadgen::open_loop::{self, NEVER, Settings};
use sparr_loadgen::people::personal_number;
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::stream::{Plan, Stream};
use sparr_protocol::client::{Client, ClientConfig};
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, SubjectKind, Wish};
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said, SubjectText};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::response::Why;
use sparr_protocol::time::Timestamp;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long answers are waited for after the last request.
const PATIENCE: Duration = Duration::from_secs(5);
/// Long after any run.
const VALID_UNTIL: Timestamp = Timestamp::from_ms(1_900_000_000_000);
/// Windows in which the return to normal is looked for.
const WINDOW_NS: u64 = 100_000_000;

/// What became of one request.
#[derive(Clone, Copy, PartialEq)]
enum Became {
    Nothing,
    Decided,
    Overloaded,
    Else,
}

/// What became of an offered load.
pub(crate) struct Offered {
    offered: f64,
    /// Decided before the deadline, per second.
    pub(crate) goodput: f64,
    /// Shares of the requests.
    refused: f64,
    /// Of the refusals, those after the deadline; of the decisions likewise.
    pub(crate) refused_late: f64,
    pub(crate) late: f64,
    unanswered: u64,
    /// Of what was decided, µs.
    p99_us: f64,
    generator_late_us: f64,
}

impl Offered {
    pub(crate) const HEAD: &str = "  load   offered/s   goodput/s  of peak  refused  refused late  decided late  silent  \
                                   p99 decided µs  generator's p99 µs";

    pub(crate) fn row(&self, load: &str, of_peak: f64) -> String {
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        let of_peak = if of_peak.is_nan() { "–".to_owned() } else { format!("{of_peak:.3}") };
        format!(
            "{load:>4} × {:>11.0} {:>11.0} {of_peak:>8} {:>8} {:>13} {:>13} {:>7} {:>15.0} {:>19.0}",
            self.offered,
            self.goodput,
            percent(self.refused),
            percent(self.refused_late),
            percent(self.late),
            self.unanswered,
            self.p99_us,
            self.generator_late_us
        )
    }
}

/// One run with what was said to each request.
struct Seen {
    run: open_loop::Run,
    said: Vec<Became>,
}

fn send(config: &ClientConfig, schedule: &Schedule, deadline_us: u32) -> Result<Seen, Failure> {
    let (run, requests) = (fresh_run(), schedule.requests());
    let plan = Plan { seed: 1, population: POPULATION, midnight: SOME_MIDNIGHT, requests, listed: 0, run };
    let frames = Frames::prepare(Stream::new(plan), deadline_us)?;
    let settings = Settings { connections: 1, streams: 8, stamp: Stamp::AtReceipt, run, patience: PATIENCE };
    let said = Rc::new(RefCell::new(vec![Became::Nothing; requests as usize]));
    let heard = said.clone();
    let run =
        runtime()?.block_on(open_loop::run(config, settings, schedule, &frames, move |number, answer| {
            let what = match answer.answer {
                Ok(_) => Became::Decided,
                Err(not_screened) if not_screened.why == Why::Overloaded => Became::Overloaded,
                Err(_) => Became::Else,
            };
            if let Some(said) = heard.borrow_mut().get_mut(number as usize) {
                *said = what;
            }
        }))?;
    let said = said.take();
    Ok(Seen { run, said })
}

impl Bench {
    /// Offers so many requests a second.
    pub(crate) fn offer(&self, rate: u64, seconds: u64, deadline_us: u32) -> Result<Offered, Failure> {
        let Seen { run, said } = send(&self.gateway, &Schedule::constant(rate, seconds), deadline_us)?;
        let deadline_ns = u64::from(deadline_us) * 1_000;
        let of = |what: Became| {
            run.latency_ns.iter().zip(&said).filter(move |(_, said)| **said == what).map(|(ns, _)| *ns)
        };
        let late = |what: Became| {
            let (all, late) = (of(what).count(), of(what).filter(|ns| *ns > deadline_ns).count());
            late as f64 / all.max(1) as f64
        };
        let mut decided: Vec<u64> = of(Became::Decided).collect();
        decided.sort_unstable();
        let mut lateness = run.lateness_ns.clone();
        lateness.sort_unstable();
        let p99 =
            |sorted: &[u64]| sorted.get(sorted.len() * 99 / 100).map_or(f64::NAN, |ns| *ns as f64 / 1e3);
        let good = decided.iter().filter(|ns| **ns <= deadline_ns).count();
        Ok(Offered {
            offered: rate as f64,
            goodput: good as f64 / seconds as f64,
            refused: of(Became::Overloaded).count() as f64 / said.len() as f64,
            refused_late: late(Became::Overloaded),
            late: late(Became::Decided),
            unanswered: run.latency_ns.iter().filter(|ns| **ns == NEVER).count() as u64,
            p99_us: p99(&decided),
            generator_late_us: p99(&lateness),
        })
    }

    /// Raises and lifts, one after the other, while too much is offered: how many, and how many were not carried out.
    pub(crate) fn flags_meanwhile(
        &self,
        rate: u64,
        seconds: u64,
        deadline_us: u32,
    ) -> Result<(u64, u64), Failure> {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let desk = scope.spawn(|| runtime()?.block_on(raise_and_lift(&self.desk, &over)));
            let offered = self.offer(rate, seconds, deadline_us);
            over.store(true, Ordering::Relaxed);
            let flags = desk.join().map_err(|_| "the desk panicked")?;
            offered.and(flags)
        })
    }

    /// How long after two seconds of ten times the load the p99 of 100 ms is as at half load.
    pub(crate) fn recover(&self, capacity: f64, deadline_us: u32) -> Result<String, Failure> {
        let half = (capacity / 2.0) as u64;
        let calm = windows(&send(&self.gateway, &Schedule::constant(half, 4), deadline_us)?.run, 0);
        let calm_us = median(calm) * 1.2;
        let schedule = Schedule::stepped(&[half, half * 20, half], 4);
        let seen = send(&self.gateway, &schedule, deadline_us)?;
        let after = windows(&seen.run, 8_000_000_000);
        // From the first window on of which on all in a row of five are as they were.
        let back = (0..after.len()).find(|from| {
            let row: Vec<f64> = after.iter().skip(*from).take(5).copied().collect();
            median(row) <= calm_us
        });
        Ok(back.map_or_else(
            || format!("not (1.2 × the calm w99 is {calm_us:.0} µs)"),
            |windows| {
                format!("{} ms (p99 of 100 ms within 1.2 × the calm one, {calm_us:.0} µs)", windows * 100)
            },
        ))
    }
}

/// The p99 of each window of 100 ms from a time on, µs.
fn windows(run: &open_loop::Run, from_ns: u64) -> Vec<f64> {
    let mut windows: Vec<Vec<u64>> = Vec::new();
    for (intended, latency) in run.intended_ns.iter().zip(&run.latency_ns) {
        let Some(since) = intended.checked_sub(from_ns) else { continue };
        let at = (since / WINDOW_NS) as usize;
        windows.resize_with(windows.len().max(at + 1), Vec::new);
        windows[at].push(*latency);
    }
    let p99 = |mut window: Vec<u64>| {
        window.sort_unstable();
        window.get(window.len() * 99 / 100).map_or(0.0, |ns| *ns as f64 / 1e3)
    };
    windows.into_iter().map(p99).collect()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Raises and lifts a flag of a published test person until it is over.
async fn raise_and_lift(desk: &ClientConfig, over: &AtomicBool) -> Result<(u64, u64), Failure> {
    let desk = Client::new(desk.clone());
    let subject = SubjectText { text: personal_number(1).into(), kind: SubjectKind::SePerson, country: None };
    let (requested_by, authenticated_by) = (RequestedBy::Person, AuthMethod::BankId);
    let (mut done, mut refused) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        let terms = Terms {
            wish: Wish::Deny,
            scope: Scope::Any,
            reason: FlagReason::Scam,
            requested_by,
            authenticated_by,
            compromised: Methods::default(),
            valid_until: VALID_UNTIL,
        };
        let raise = Operation::FlagRaise { subject: subject.clone(), terms };
        let subject = subject.clone();
        let lift = Operation::FlagLift { subject, requested_by, authenticated_by, second_channel: true };
        for operation in [raise, lift] {
            let id = numbered(fresh_run(), done);
            match desk.exchange(&ExchangeRequest { id, operation }).await {
                Ok(answers) if matches!(answers.as_slice(), [only] if matches!(only.said, Said::Durable { .. })) =>
                {
                    done += 1;
                }
                Ok(_) | Err(_) => refused += 1,
            }
        }
    }
    Ok((done, refused))
}
