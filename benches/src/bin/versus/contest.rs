//! The contestants, and how they take turns.

use crate::Failure;
use sparr_engine::server::Engine;
use sparr_engine::server::config::{EngineConfig, Overrides, RulesFrom};
use sparr_loadgen::frames::{Frames, SOME_MIDNIGHT, Stamp, numbered};
use sparr_loadgen::measure::Measured;
use sparr_loadgen::open_loop::{self, Settings};
use sparr_loadgen::people::Population;
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::service::{Behaviour, Keys, Service};
use sparr_loadgen::stream::{Plan, Stream};
use sparr_loadgen::workload::Workload;
use sparr_loadgen::{closed_loop, fresh_run, machine};
use sparr_protocol::client::{ClientConfig, EngineConnection, FailPolicy, Fallback, Identity, Traffic};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::time::Duration;

/// How long and how often.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    /// Rounds of each side.
    pub(crate) pairs: usize,
    /// Seconds of a round at a rate.
    seconds: u64,
    /// Requests of a round at saturation.
    requests: u64,
}

impl Setting {
    pub(crate) const QUICK: Self = Self { pairs: 4, seconds: 2, requests: 200_000 };
    pub(crate) const FULL: Self = Self { pairs: 10, seconds: 4, requests: 1_000_000 };
}

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Engine,
    Echo,
}

impl Who {
    /// The one of two that is this one's.
    pub(crate) fn of<T>(self, both: &mut (T, T)) -> &mut T {
        match self {
            Self::Engine => &mut both.0,
            Self::Echo => &mut both.1,
        }
    }
}

/// Figures of both, round by round.
#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) ours: Vec<f64>,
    pub(crate) peers: Vec<f64>,
}

impl From<(Vec<f64>, Vec<f64>)> for Pair {
    fn from((ours, peers): (Vec<f64>, Vec<f64>)) -> Self {
        Self { ours, peers }
    }
}

/// A B B A: what drifts meanwhile strikes both alike.
pub(crate) fn interleaved(
    pairs: usize,
    mut round: impl FnMut(Who) -> Result<f64, Failure>,
) -> Result<Pair, Failure> {
    let mut pair = Pair::default();
    for number in 0..pairs {
        let order = if number % 2 == 0 { [Who::Engine, Who::Echo] } else { [Who::Echo, Who::Engine] };
        for who in order {
            let figure = round(who)?;
            match who {
                Who::Engine => pair.ours.push(figure),
                Who::Echo => pair.peers.push(figure),
            }
        }
    }
    Ok(pair)
}

/// What one round at a rate brought.
pub(crate) struct Paced {
    pub(crate) w99_us: f64,
    pub(crate) cpu_us: Option<f64>,
    pub(crate) datagrams: f64,
}

/// An engine with the shipped rules, and an echo with the same transport.
pub(crate) struct Contestants {
    engine: Engine,
    echo: Service,
    engine_client: ClientConfig,
    echo_client: ClientConfig,
    cores: usize,
    _folder: tempfile::TempDir,
    _keys: Keys,
}

const ENGINE_THREADS: &str = "worker-";
const ECHO_THREADS: &str = "echo";

impl Contestants {
    pub(crate) fn start() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let local = || Some("127.0.0.1:0".to_owned());
        let overrides = Overrides {
            dev: true,
            data_dir: Some(folder.path().to_owned()),
            listen: local(),
            admin: local(),
            workers: Some(1),
            ..Overrides::default()
        };
        let mut config = EngineConfig::load(None, overrides)?;
        config.rules = RulesFrom::Shipped;
        let engine = Engine::start(config)?;
        let keys = Keys::make()?;
        let mut echo_config = keys.server_config()?;
        // The engine's own transport: what differs is the screening.
        echo_config.transport_config(sparr_engine::server::transport::transport().into());
        let echo = Service::start(ECHO_THREADS, echo_config, Behaviour::Echo)?;
        let policy = FailPolicy::by_kind(|_| Fallback::Decline);
        let gateway = Identity::from_dir(&folder.path().join("dev/gateway"))?;
        let engine_client = ClientConfig::new(engine.listen, gateway, policy);
        let echo_client = ClientConfig::new(echo.listen, Identity::from_dir(keys.identity_dir())?, policy);
        let cores = std::thread::available_parallelism()?.get();
        if cores >= 2 {
            for thread in [ENGINE_THREADS, ECHO_THREADS].iter().flat_map(|name| machine::threads(None, name))
            {
                machine::pin(Some(thread), 0);
            }
            machine::pin(None, cores - 1);
        }
        Ok(Self { engine, echo, engine_client, echo_client, cores, _folder: folder, _keys: keys })
    }

    /// The machine and what runs on it.
    pub(crate) fn describe(&self) -> String {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(" unknown");
        let rules = self.engine.state.rules().as_ref().map_or(0, |active| active.set.rules().len());
        format!(
            "{} cores, {}; server on one core; the shipped {rules} rules, no flags; the echo at {} has the same \
             transport and frames",
            self.cores,
            model.trim_start_matches([' ', '\t', ':']).trim_end(),
            self.echo.listen
        )
    }

    fn client(&self, who: Who) -> &ClientConfig {
        match who {
            Who::Engine => &self.engine_client,
            Who::Echo => &self.echo_client,
        }
    }

    /// A closed loop on one stream: requests per second.
    pub(crate) fn saturate(&self, who: Who, in_flight: usize, setting: Setting) -> Result<f64, Failure> {
        Ok(self.closed(who, in_flight, setting)?.0)
    }

    /// A closed loop: datagrams per request.
    pub(crate) fn datagrams(&self, in_flight: usize, setting: Setting) -> Result<f64, Failure> {
        let (_, traffic) = self.closed(Who::Engine, in_flight, setting)?;
        Ok((traffic.datagrams_sent + traffic.datagrams_received) as f64 / setting.requests as f64)
    }

    fn closed(&self, who: Who, in_flight: usize, setting: Setting) -> Result<(f64, Traffic), Failure> {
        // Made beforehand: making them would cost the generator more than sending.
        let requests = requests(setting.requests.min(100_000));
        let run = fresh_run();
        let count = requests.len() as u64;
        let numbered = (0..setting.requests).map(|number| {
            let mut request = requests[(number % count) as usize].clone();
            request.request_id = numbered(run, number);
            request
        });
        runtime()?.block_on(async {
            let connection = EngineConnection::open(self.client(who)).await?;
            let started = tokio::time::Instant::now();
            closed_loop::run(connection.pipe().await?, numbered, in_flight, |_, _| {}).await?;
            let took = started.elapsed();
            let traffic = connection.traffic();
            connection.close().await;
            Ok((setting.requests as f64 / took.as_secs_f64(), traffic))
        })
    }

    /// An open loop at a rate.
    pub(crate) fn pace(&self, who: Who, rate: u64, setting: Setting) -> Result<Paced, Failure> {
        let schedule = Schedule::constant(rate, setting.seconds);
        let run = fresh_run();
        let plan = Plan {
            seed: 1,
            population: POPULATION,
            midnight: SOME_MIDNIGHT,
            requests: schedule.requests(),
            listed: 0,
            run,
        };
        let frames = Frames::prepare(Stream::new(plan), 0)?;
        let patience = Duration::from_secs(5);
        let settings = Settings { connections: 1, streams: 4, stamp: Stamp::AtReceipt, run, patience };
        let threads = match who {
            Who::Engine => ENGINE_THREADS,
            Who::Echo => ECHO_THREADS,
        };
        let before = machine::cpu_ns(None, threads);
        let run =
            runtime()?.block_on(open_loop::run(self.client(who), settings, &schedule, &frames, |_, _| {}))?;
        let cpu_ns = machine::cpu_ns(None, threads).zip(before).map(|(after, before)| after - before);
        let requests = schedule.requests() as f64;
        let Traffic { datagrams_sent, datagrams_received, .. } = run.traffic;
        Ok(Paced {
            w99_us: Measured::of(&run, 0..run.intended_ns.len()).w99_us(),
            cpu_us: cpu_ns.map(|ns| ns as f64 / requests / 1e3),
            datagrams: (datagrams_sent + datagrams_received) as f64 / requests,
        })
    }
}

const POPULATION: Population = Population { people: 400_000, merchants: 20_000, flags: 0 };

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn requests(count: u64) -> Vec<AuthorisationRequest> {
    let mut workload = Workload::new(1, POPULATION);
    let request = |_| {
        let mut request = workload.next_request(Timestamp::from_ms(0));
        request.event_time = None;
        request
    };
    (0..count).map(request).collect()
}
