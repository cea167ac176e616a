//! The whole engine beside echoes of the same frames: goals 1, 1b, 2, 3 and 5.

use crate::engine::{self, Contestant, Load};
use crate::progress::Progress;
use crate::setting::Setting;
use crate::table::{Aim, Goal, Row};
use crate::tcp::{self, TcpEcho};
use crate::turns::{Figure, in_turns, median};
use crate::{on_the_generators_core, runtime};
use sparr_benches::Failure;
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, Stamp, numbered};
use sparr_loadgen::measure::Measured;
use sparr_loadgen::open_loop::{self, Run, Settings};
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::service::{Behaviour, Keys, Service};
use sparr_loadgen::stream::{Plan, Stream};
use sparr_loadgen::workload::Workload;
use sparr_loadgen::{closed_loop, fresh_run, machine};
use sparr_protocol::client::{ClientConfig, EngineConnection, FailPolicy, Fallback, Identity};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Name of the echoes' threads.
const ECHO_THREADS: &str = "echo";
const STOCK_THREADS: &str = "stock-echo";
/// Different requests, again and again under new ids: making them would cost the generator more than sending.
const REQUESTS: u64 = 100_000;
/// How long an engine must use less than two percent of a core to be at rest, and how often it is looked at.
const SETTLING: Duration = Duration::from_millis(20);
const SETTLING_MAX: u32 = 100;
/// The highest rate of the goals.
const HIGHEST_RATE: u64 = 200_000;
/// How long answers are waited for after the last request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What answers at once and knows nothing.
pub(crate) struct Echoes {
    _same: Service,
    _stock: Service,
    same_client: ClientConfig,
    stock_client: ClientConfig,
    tcp: TcpEcho,
}

impl Echoes {
    /// Starts them.
    pub(crate) fn start(keys: &Keys) -> Result<Self, Failure> {
        let mut config = keys.server_config()?;
        let stock = Service::start(STOCK_THREADS, config.clone(), Behaviour::Echo)?;
        // The engine's own transport: what differs is the screening.
        config.transport_config(sparr_engine::server::transport::transport().into());
        let same = Service::start(ECHO_THREADS, config, Behaviour::Echo)?;
        let policy = FailPolicy::by_kind(|_| Fallback::Decline);
        let client =
            |at| Ok::<_, Failure>(ClientConfig::new(at, Identity::from_dir(keys.identity_dir())?, policy));
        let (same_client, stock_client) = (client(same.listen)?, client(stock.listen)?);
        let tcp = TcpEcho::start(keys)?;
        Ok(Self { _same: same, _stock: stock, same_client, stock_client, tcp })
    }
}

/// Who has a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Engine,
    Echo,
    StockEcho,
    Tcp,
}

const ECHO: &str = "echo, same transport";
const STOCK: &str = "echo, stock quinn";
const TCP: &str = "echo, TCP + rustls";

/// What one round at a rate brought.
struct Paced {
    w99_us: Figure,
    cpu_us: Option<f64>,
    datagrams: f64,
}

/// The engine under a load and everything that stands beside it.
pub(crate) struct Whole<'a> {
    load: Load,
    engine: &'a Contestant,
    echoes: &'a Echoes,
    setting: Setting,
    requests: Vec<AuthorisationRequest>,
    frames: Frames,
}

impl<'a> Whole<'a> {
    /// Makes the requests.
    pub(crate) fn new(
        load: Load,
        engine: &'a Contestant,
        echoes: &'a Echoes,
        setting: Setting,
    ) -> Result<Self, Failure> {
        let population = load.population();
        let plan = Plan {
            seed: 1,
            population,
            midnight: SOME_MIDNIGHT,
            requests: REQUESTS,
            listed: 0,
            run: fresh_run(),
        };
        let mut workload = Workload::new(1, population);
        let request = |_| {
            let mut request = workload.next_request(Timestamp::from_ms(0));
            request.event_time = None;
            request
        };
        let requests = (0..REQUESTS).map(request).collect();
        let frames = Frames::prepare(Stream::new(plan), 0)?;
        Ok(Self { load, engine, echoes, setting, requests, frames })
    }

    /// The requests, for whoever asks otherwise.
    pub(crate) fn requests(&self) -> &[AuthorisationRequest] {
        &self.requests
    }

    fn goal(&self, id: &'static str, what: impl Into<String>, peer: &'static str, aim: Option<Aim>) -> Goal {
        Goal { id, load: self.load.name(), what: what.into(), peer, aim }
    }

    /// Steps of [`rows`](Self::rows).
    pub(crate) const STEPS: u64 = 6;

    /// All rows.
    pub(crate) fn rows(&self, progress: &mut Progress) -> Result<Vec<Row>, Failure> {
        let load = self.load.name();
        progress.begin(&format!("{load}: warming up"));
        // The first round fills tables that later ones find full.
        for side in [Side::Engine, Side::Echo, Side::StockEcho, Side::Tcp] {
            self.saturate(side, 1_024)?;
        }
        let mut rows = Vec::new();
        progress.begin(&format!("{load}: 64 in flight"));
        let sides = [Side::Engine, Side::Echo, Side::Tcp, Side::StockEcho];
        let rounds = in_turns(self.setting.pairs, &sides, |side| self.saturate(side, 64))?;
        let what = "requests/s, 64 in flight, closed loop";
        let aim = Some(Aim::AtLeast(0.55, 0.65));
        rows.push(Row::beside(self.goal("1", what, ECHO, aim), &rounds[0], &rounds[1]));
        rows.push(Row::beside(self.goal("1", what, TCP, None), &rounds[0], &rounds[2]));
        let aim = Some(Aim::AtLeast(0.80, 0.95));
        rows.push(Row::beside(self.goal("1b", what, STOCK, aim), &rounds[0], &rounds[3]));
        progress.begin(&format!("{load}: 1,024 in flight"));
        let rounds = in_turns(self.setting.pairs, &sides[..3], |side| self.saturate(side, 1_024))?;
        let what = "requests/s, 1,024 in flight, closed loop";
        let aim = Some(Aim::AtLeast(0.33, 0.5));
        rows.push(Row::beside(self.goal("1", what, ECHO, aim), &rounds[0], &rounds[1]));
        rows.push(Row::beside(self.goal("1", what, TCP, None), &rounds[0], &rounds[2]));
        let most = median(&rounds[0].iter().map(|figure| figure.value).collect::<Vec<_>>());
        for rate in [20_000, 50_000] {
            progress.begin(&format!("{load}: {rate}/s, open loop"));
            rows.extend(self.at_rate(rate, Aim::AtMost(1.15, 1.05))?);
        }
        let aim = Aim::AtMost(1.3, 1.1);
        if most > HIGHEST_RATE as f64 {
            rows.extend(self.at_rate(HIGHEST_RATE, aim)?);
        } else {
            let goal = self.goal("2", format!("w99 at {HIGHEST_RATE}/s, open loop, µs"), ECHO, Some(aim));
            let why = format!("in a closed loop one core screens {most:.0}/s at most here");
            rows.push(Row::skipped(goal, why));
        }
        progress.begin(&format!("{load}: datagrams"));
        let datagrams: Result<Vec<Figure>, _> =
            (0..2).map(|_| Ok::<_, Failure>(self.closed(&self.engine.client, 64)?.1)).collect();
        let what = "datagrams per request, both ways, 64 in flight";
        let aim = Some(Aim::AtMost(0.40, 0.30));
        rows.push(Row::alone(self.goal("5", what, "–", aim), &datagrams?));
        Ok(rows)
    }

    fn at_rate(&self, rate: u64, aim: Aim) -> Result<Vec<Row>, Failure> {
        let sides = [Side::Engine, Side::Echo, Side::Tcp];
        let rounds = in_turns(self.setting.pairs, &sides, |side| self.pace(side, rate))?;
        let w99: Vec<Vec<Figure>> =
            rounds.iter().map(|side| side.iter().map(|paced| paced.w99_us.clone()).collect()).collect();
        let what = format!("w99 at {rate}/s, open loop, µs");
        let mut rows = vec![
            Row::beside(self.goal("2", &what, ECHO, Some(aim)), &w99[0], &w99[1]),
            Row::beside(self.goal("2", &what, TCP, None), &w99[0], &w99[2]),
        ];
        if rate == 20_000 {
            let of = |side: usize, figure: fn(&Paced) -> Option<f64>| -> Vec<Figure> {
                rounds[side].iter().filter_map(figure).map(Figure::from).collect()
            };
            let cpu = |side| of(side, |paced| paced.cpu_us);
            let what = format!("server CPU per request at {rate}/s, µs");
            let aim = Some(Aim::AtMost(1.10, 1.05));
            rows.push(Row::beside(self.goal("3", &what, ECHO, aim), &cpu(0), &cpu(1)));
            rows.push(Row::beside(self.goal("3", &what, TCP, None), &cpu(0), &cpu(2)));
            let datagrams = |side| of(side, |paced| Some(paced.datagrams));
            let what = format!("datagrams per request, both ways, at {rate}/s");
            rows.push(Row::beside(self.goal("5", what, ECHO, None), &datagrams(0), &datagrams(1)));
        }
        Ok(rows)
    }

    fn client(&self, side: Side) -> Option<&ClientConfig> {
        match side {
            Side::Engine => Some(&self.engine.client),
            Side::Echo => Some(&self.echoes.same_client),
            Side::StockEcho => Some(&self.echoes.stock_client),
            Side::Tcp => None,
        }
    }

    /// A closed loop on one stream: requests per second.
    fn saturate(&self, side: Side, in_flight: u64) -> Result<Figure, Failure> {
        self.settle();
        if let Some(client) = self.client(side) {
            return Ok(self.closed(client, in_flight)?.0);
        }
        let (tcp, requests) = (&self.echoes.tcp, &self.requests);
        on_the_generators_core(|| {
            let run = tcp.closed_loop(requests, self.setting.requests, in_flight, fresh_run());
            Ok(runtime()?.block_on(run)?.into())
        })
    }

    /// The engine's requests per second with 64 in flight.
    pub(crate) fn saturate_engine(&self) -> Result<Figure, Failure> {
        self.saturate(Side::Engine, 64)
    }

    /// Waits until the engine has written down what it answered: its log and its recent requests are behind after a round
    /// at saturation, on the core that whoever comes next has as well.
    pub(crate) fn settle(&self) {
        let used = || engine::THREADS.iter().filter_map(|name| machine::cpu_ns(None, name)).sum::<u64>();
        let mut before = used();
        for _ in 0..SETTLING_MAX {
            std::thread::sleep(SETTLING);
            let after = used();
            if after - before < SETTLING.as_nanos() as u64 / 50 {
                break;
            }
            before = after;
        }
    }

    /// A closed loop over QUIC: requests per second, and datagrams per request.
    fn closed(&self, client: &ClientConfig, in_flight: u64) -> Result<(Figure, Figure), Failure> {
        let (run, count) = (fresh_run(), self.setting.requests);
        let numbered = (0..count).map(|number| {
            let mut request = self.requests[(number % REQUESTS) as usize].clone();
            request.request_id = numbered(run, number);
            request
        });
        on_the_generators_core(|| {
            runtime()?.block_on(async {
                let connection = EngineConnection::open(client).await?;
                let started = tokio::time::Instant::now();
                let mut refused = 0;
                let take =
                    |response: AuthorisationResponse, _| refused += u64::from(response.answer.is_err());
                closed_loop::run(connection.pipe().await?, numbered, in_flight as usize, take).await?;
                let took = started.elapsed();
                let traffic = connection.traffic();
                connection.close().await;
                let lost = traffic.packets_lost;
                let lost = (lost > 0).then(|| format!("{lost} packets were lost"));
                let doubt = not_screened(refused, count).or(lost);
                let datagrams = (traffic.datagrams_sent + traffic.datagrams_received) as f64 / count as f64;
                let per_second = Figure { value: count as f64 / took.as_secs_f64(), doubt };
                Ok((per_second, Figure::from(datagrams)))
            })
        })
    }

    fn pace(&self, side: Side, rate: u64) -> Result<Paced, Failure> {
        let threads: &[&str] = match side {
            Side::Engine => &engine::THREADS,
            Side::Echo => &[ECHO_THREADS],
            Side::StockEcho => &[STOCK_THREADS],
            Side::Tcp => &[tcp::THREADS],
        };
        let schedule = Schedule::constant(rate, self.setting.seconds);
        self.settle();
        let used = || threads.iter().map(|name| machine::cpu_ns(None, name)).sum::<Option<u64>>();
        let before = used();
        let (run, refused) = match self.client(side) {
            Some(client) => self.open(client, &schedule)?,
            None => on_the_generators_core(|| {
                let run = self.echoes.tcp.open_loop(&schedule, &self.frames, fresh_run());
                Ok((runtime()?.block_on(run)?, None))
            })?,
        };
        let cpu_ns = used().zip(before).map(|(after, before)| after - before);
        let requests = schedule.requests() as f64;
        Ok(Paced {
            w99_us: w99_us(&run, refused),
            cpu_us: cpu_ns.map(|ns| ns as f64 / requests / 1e3),
            datagrams: (run.traffic.datagrams_sent + run.traffic.datagrams_received) as f64 / requests,
        })
    }

    /// The engine's w99 at a rate.
    pub(crate) fn pace_engine(&self, schedule: &Schedule) -> Result<Figure, Failure> {
        self.settle();
        let (run, refused) = self.open(&self.engine.client, schedule)?;
        Ok(w99_us(&run, refused))
    }

    fn open(&self, client: &ClientConfig, schedule: &Schedule) -> Result<(Run, Option<String>), Failure> {
        let settings = Settings {
            connections: 1,
            streams: 4,
            stamp: Stamp::AtReceipt,
            run: fresh_run(),
            patience: PATIENCE,
        };
        on_the_generators_core(|| {
            let refused = Rc::new(Cell::new(0));
            let told = refused.clone();
            let take = move |_, response: &AuthorisationResponse| {
                told.set(told.get() + u64::from(response.answer.is_err()));
            };
            let run = runtime()?.block_on(open_loop::run(client, settings, schedule, &self.frames, take))?;
            Ok((run, not_screened(refused.get(), schedule.requests())))
        })
    }
}

/// More than one in a thousand that is not screened makes a service fast and a figure worthless.
fn not_screened(refused: u64, of: u64) -> Option<String> {
    (refused * 1_000 > of).then(|| format!("{refused} of {of} requests were not screened"))
}

/// The median of the windows' p99, with what speaks against the run besides what else is known of it.
pub(crate) fn w99_us(run: &Run, known: Option<String>) -> Figure {
    let measured = Measured::of(run, 0..run.intended_ns.len());
    let mut doubts = measured.doubts();
    if measured.unanswered > 0 {
        doubts.insert(0, format!("{} requests had no answer", measured.unanswered));
    }
    Figure { value: measured.w99_us(), doubt: known.or_else(|| doubts.into_iter().next()) }
}
