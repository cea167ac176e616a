//! The engine under load, with dear rules.

use sparr_engine::server::Engine;
use sparr_engine::server::config::{EngineConfig, Overrides, RulesFrom};
use sparr_loadgen::frames::numbered;
use sparr_loadgen::people::Population;
use sparr_loadgen::workload::Workload;
use sparr_loadgen::{closed_loop, fresh_run, machine};
use sparr_protocol::client::{ClientConfig, EngineConnection, FailPolicy, Fallback, Identity};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) const POPULATION: Population = Population { people: 400_000, merchants: 20_000, flags: 0 };

/// Rules, each with a pattern of its own that is searched for in vain.
const RULES: usize = 1_500;

/// The engine's workers.
const ENGINE_THREADS: &str = "worker-";

/// An engine whose rules are dear.
pub(crate) struct Bench {
    _engine: Engine,
    /// The gateway that is measured, another one, and a desk.
    pub(crate) gateway: ClientConfig,
    pub(crate) other: ClientConfig,
    pub(crate) desk: ClientConfig,
    requests: Vec<AuthorisationRequest>,
    cores: usize,
    /// What an attacker has sent, begun or opened.
    pub(crate) made: AtomicU64,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// Starts one, that refuses what is too much, or not.
    pub(crate) fn start(refuses: bool) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let rules = folder.path().join("rules");
        write_rules(&rules)?;
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
        config.rules = RulesFrom::Dir(rules);
        if !refuses {
            config.queue_max = None;
        }
        let engine = Engine::start(config)?;
        let client = |identity: &str| -> Result<ClientConfig, Failure> {
            let identity = Identity::from_dir(&folder.path().join("dev").join(identity))?;
            Ok(ClientConfig::new(engine.listen, identity, FailPolicy::by_kind(|_| Fallback::Decline)))
        };
        let (gateway, other, desk) = (client("gateway")?, client("gateway-2")?, client("desk")?);
        let cores = std::thread::available_parallelism()?.get();
        if cores >= 2 {
            for thread in machine::threads(None, ENGINE_THREADS) {
                machine::pin(Some(thread), 0);
            }
            machine::pin(None, cores - 1);
        }
        let mut workload = Workload::new(1, POPULATION);
        let request =
            |_| AuthorisationRequest { event_time: None, ..workload.next_request(Timestamp::from_ms(0)) };
        let requests = (0..20_000).map(request).collect();
        Ok(Self {
            _engine: engine,
            gateway,
            other,
            desk,
            requests,
            cores,
            made: AtomicU64::new(0),
            _folder: folder,
        })
    }

    /// The machine and what runs on it.
    pub(crate) fn describe(&self) -> String {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(" unknown");
        format!(
            "{} cores, {}; one worker on one core, clients on the other; {RULES} rules with a pattern each",
            self.cores,
            model.trim_start_matches([' ', '\t', ':']).trim_end()
        )
    }

    /// Requests, numbered, without end.
    pub(crate) fn requests(&self) -> impl Iterator<Item = AuthorisationRequest> + '_ {
        let (run, known) = (fresh_run(), self.requests.len() as u64);
        (0..).map(move |number| {
            let request_id = numbered(run, number);
            AuthorisationRequest { request_id, ..self.requests[(number % known) as usize].clone() }
        })
    }

    /// Requests per second in a closed loop of 64, without deadlines.
    pub(crate) fn capacity(&self) -> Result<f64, Failure> {
        const COUNT: usize = 20_000;
        runtime()?.block_on(async {
            let connection = EngineConnection::open(&self.gateway).await?;
            let pipe = connection.pipe().await?;
            closed_loop::run(pipe, self.requests().take(COUNT / 10), 64, |_, _| {}).await?;
            let started = tokio::time::Instant::now();
            closed_loop::run(connection.pipe().await?, self.requests().take(COUNT), 64, |_, _| {}).await?;
            let took = started.elapsed();
            connection.close().await;
            Ok(COUNT as f64 / took.max(Duration::from_micros(1)).as_secs_f64())
        })
    }
}

fn write_rules(dir: &Path) -> Result<(), Failure> {
    let mut text = String::from("rules:\n");
    for number in 0..RULES {
        writeln!(
            text,
            "  - {{id: r{number}, when: 'merchant_id.matches(\"(a|b)+[0-9]*x{number}y\")', score: 1, reason: risky_goods}}"
        )?;
    }
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("rules.yaml"), text)?;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/reasons.toml");
    std::fs::copy(shipped, dir.join("reasons.toml"))?;
    Ok(())
}

pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
