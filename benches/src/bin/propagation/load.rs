//! Payments at every engine at a steady rate, and how busy that keeps the machine.

use crate::Failure;
use crate::members::Member;
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, numbered};
use sparr_loadgen::fresh_run;
use sparr_loadgen::people::Population;
use sparr_loadgen::stream::{Plan, Stream};
use sparr_protocol::client::{ClientConfig, Pipe};
use sparr_protocol::frame::MessageKind;
use sparr_protocol::request::restamp;
use sparr_protocol::response::AuthorisationResponse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often payments go out; those of one tick go together.
const TICK: Duration = Duration::from_millis(2);
const TICKS_PER_SECOND: u64 = 500;
/// Requests that are made beforehand and sent again and again, each time under another id.
const REQUESTS: u64 = 50_000;

/// What came back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answers: u64,
    pub(crate) not_screened: u64,
}

/// Payments on their way, from one thread for each engine.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Seen, String>>>,
}

impl Load {
    /// Begins to send.
    pub(crate) fn start(members: &[Member], rate: u64) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let population = Population { people: 100_000, merchants: 5_000, flags: 0 };
        let mut threads = Vec::new();
        for (seed, member) in (1..).zip(members) {
            let run = fresh_run();
            let plan = Plan { seed, population, midnight: SOME_MIDNIGHT, requests: REQUESTS, listed: 0, run };
            let frames = Frames::prepare(Stream::new(plan), 0)?;
            let (config, stop) = (member.client("gateway")?, stop.clone());
            threads.push(std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| error.to_string())?;
                runtime.block_on(send(&config, &frames, run, rate, &stop)).map_err(|error| error.to_string())
            }));
        }
        Ok(Self { stop, threads })
    }

    /// Ends, and says what came back.
    pub(crate) fn stop(self) -> Result<Seen, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for thread in self.threads {
            let Seen { answers, not_screened } = thread.join().map_err(|_| "the load failed")??;
            all.answers += answers;
            all.not_screened += not_screened;
        }
        Ok(all)
    }
}

async fn send(
    config: &ClientConfig,
    frames: &Frames,
    run: [u8; 8],
    rate: u64,
    stop: &AtomicBool,
) -> Result<Seen, Failure> {
    let Pipe { mut sender, mut receiver } = Pipe::open(config).await?;
    let sending = async {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut number, mut out) = (0, Vec::new());
        for tick in 1.. {
            ticks.tick().await;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            out.clear();
            while number < tick * rate / TICKS_PER_SECOND {
                let at = out.len();
                out.extend_from_slice(frames.frame(number));
                // The engine's clock says when it happened.
                restamp(&mut out[at..], numbered(run, number), None);
                number += 1;
            }
            sender.send(&out).await?;
        }
        sender.finish();
        Ok::<_, Failure>(())
    };
    let receiving = async {
        let mut seen = Seen::default();
        let mut unreadable = false;
        while receiver
            .receive(|kind, message| match (kind, AuthorisationResponse::decode(message)) {
                (MessageKind::ScreenAnswer, Ok(answer)) => {
                    seen.answers += 1;
                    seen.not_screened += u64::from(answer.answer.is_err());
                }
                _ => unreadable = true,
            })
            .await?
        {}
        if unreadable { Err("an answer that cannot be read".into()) } else { Ok(seen) }
    };
    let (sent, seen) = tokio::join!(sending, receiving);
    sent?;
    seen
}

/// Processor time of this process and of the broker, beside that of the whole machine, in ticks.
pub(crate) struct Processor {
    ours: i64,
    idle: i64,
    all: i64,
}

impl Processor {
    pub(crate) fn now(broker: u32) -> Result<Self, Failure> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let numbers = |line: &str| -> Vec<i64> {
            line.split_ascii_whitespace().filter_map(|t| t.parse().ok()).collect()
        };
        // user, nice, system, idle, iowait, irq, softirq, steal (proc(5))
        let ticks = numbers(text.lines().next().unwrap_or_default());
        let mut ours = 0;
        for process in ["self".to_owned(), broker.to_string()] {
            let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
            // After the name in parentheses and the state: numbers, of which the 11th and 12th are user and system time.
            let ticks = numbers(text.rsplit(')').next().unwrap_or_default());
            ours += ticks.iter().skip(10).take(2).sum::<i64>();
        }
        Ok(Self { ours, idle: ticks.iter().skip(3).take(2).sum(), all: ticks.iter().take(8).sum() })
    }

    /// Percent of all processors that went to this process and the broker, and to anything at all.
    pub(crate) fn percent_until(&self, later: &Self) -> (f64, f64) {
        let all = (later.all - self.all).max(1) as f64;
        let ours = (later.ours - self.ours) as f64;
        (ours / all * 100.0, 100.0 - (later.idle - self.idle) as f64 / all * 100.0)
    }
}
