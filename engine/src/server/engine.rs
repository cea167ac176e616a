//! A running engine: read this as a checklist.

use super::admin::{self, Admin};
use super::admission::Rates;
use super::audit;
use super::blast::Bounds;
use super::clock;
use super::config::{Activation, ClockKind, ConfigError, EngineConfig, RulesFrom, TlsFiles};
use super::credentials::credentials;
use super::decision_log::DecisionLog;
use super::housekeeping::keep_house;
use super::https;
use super::journal::{self, JournalFolder, Store, StoreError};
use super::keys::{self, KeyError, SigningKey};
use super::lookups::{Looking, Lookups};
use super::membership;
use super::planted;
use super::recorder;
use super::reload::{Cause, Reloader, Report};
use super::replication::{self as exchange, Prepared, RunningExchange};
use super::rule_store::RuleStore;
use super::rules_desk;
use super::sockets::bind_all;
use super::transport::{endpoint_config, server_config};
use super::velocity_file;
use super::worker::{self, Controls, Phase, Shared};
use crate::metrics::Metrics;
use crate::policy::Sharing;
use crate::state::{EngineClock, State, StateConfig};
use arc_swap::ArcSwap;
use crossbeam::channel::{Sender, bounded};
use quinn::ServerConfig;
use sparr_protocol::record::Origin;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// File under the development identities that says where the engine listens.
pub const ADDRESS_FILE: &str = "address";

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file, folder, socket or thread.
    #[error("{what}: {error}")]
    Io {
        /// What was wanted.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Certificates.
    #[error("certificates: {0}")]
    Certificates(String),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] StoreError),
}

pub(super) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    move |error| StartError::Io { what, error }
}

/// A running engine.
pub struct Engine {
    config: EngineConfig,
    /// What it knows.
    pub state: Arc<State>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    reloader: Arc<Reloader>,
    /// What may be shared; read again with the configuration.
    sharing: Arc<ArcSwap<Sharing>>,
    /// Watches the folder of rules as long as it lives.
    #[expect(dead_code, reason = "it is kept for what it does until it is dropped")]
    watcher: Option<notify::RecommendedWatcher>,
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    server_config: watch::Sender<ServerConfig>,
    https_tls: watch::Sender<Arc<rustls::ServerConfig>>,
    stop_admin: watch::Sender<bool>,
    stop_housekeeping: Sender<()>,
    velocity: (Sender<()>, JoinHandle<()>),
    threads: Vec<JoinHandle<()>>,
    exchange: Option<RunningExchange>,
    journal: JoinHandle<()>,
    audit: JoinHandle<()>,
    rules: JoinHandle<()>,
    recorder: JoinHandle<()>,
    /// The decision log's writer, and who answers questions about it.
    decision_log: Vec<JoinHandle<()>>,
    /// Where the data plane listens.
    pub listen: SocketAddr,
    /// Where the HTTPS door is, where there is one.
    pub https: Option<SocketAddr>,
    /// Where the admin port is.
    pub admin: SocketAddr,
}

impl Engine {
    /// Starts an engine: it is ready when this returns, unless its rules are bad.
    pub fn start(config: EngineConfig) -> Result<Self, StartError> {
        std::fs::create_dir_all(&config.data_dir).map_err(io_error(config.data_dir.display().to_string()))?;
        let keys_dir = config.data_dir.join("keys");
        let development = config.tls == TlsFiles::Development;
        let keyring = keys::network_keys(&keys_dir, development)?;
        let signing_key = SigningKey::load(&keys_dir)?;
        let credentials_now = credentials(&config)?;
        let server_config_now = server_config(&credentials_now).map_err(StartError::Certificates)?;
        let https_tls_now = https::tls(&credentials_now).map_err(StartError::Certificates)?;

        let journal_file = config.data_dir.join("journal.redb");
        let store = Store::open_reserving(&journal_file, config.journal_reserve_bytes)?;
        let epoch = journal::guarded(&journal_file, || {
            let of = (config.member, config.engine);
            if config.exchange.is_some() {
                store.outlive_last_epoch(of)?;
            }
            store.begin_epoch(of, clock::now(), 0)
        })?;
        let clock_of_engine = match config.clock {
            ClockKind::Wall => EngineClock::Wall { began: clock::now() },
            ClockKind::Event => EngineClock::event(),
        };
        let state = Arc::new(State::new(StateConfig {
            keyring,
            policy: config.policy.clone(),
            clock: clock_of_engine,
            member: config.member,
            engine: config.engine,
            epoch,
            velocity_keys_max: config.velocity_keys_max,
            ids_kept_max: config.request_ids_max,
        }));
        state.members.configure_all(&membership::named(&config)?);
        planted::lay_out(&config, &state)?;
        let metrics = Arc::new(Metrics::default());
        let opened = journal::guarded(&journal_file, || {
            let folder =
                JournalFolder { data_dir: &config.data_dir, snapshot_records: config.snapshot_records };
            let origin = Origin { member: config.member, engine: config.engine, epoch };
            journal::open(store, folder, origin, &state, &metrics)
        })?;

        let log_key = signing_key.decision_log_key();
        let log_config = config.decision_log;
        let tail = velocity_file::read(&config.data_dir, log_key, &state);
        let rule_store = || {
            RuleStore::open(&config.data_dir, log_config.keep_days).map_err(io_error("folder of rule sets"))
        };
        let reloader = Arc::new(Reloader::new(
            config.rules.clone(),
            config.activation,
            Some(rule_store()?),
            Bounds { per_mille_max: config.blast_radius_per_mille_max },
            state.clone(),
            metrics.clone(),
        ));
        reloader.reload(Cause::Start);
        velocity_file::replay(&config.data_dir, log_key, tail, &state);
        let log = DecisionLog::open(&config, log_key, epoch, rule_store()?, &state);
        let log = log.map_err(io_error("decision log"))?;
        let gate = log.feed.as_ref().map(|(gate, _)| gate.clone());
        let watcher = match (&config.rules, config.activation) {
            (RulesFrom::Dir(dir), Activation::Watch) => match super::watch::start(dir, reloader.clone()) {
                Ok(watcher) => Some(watcher),
                Err(error) => {
                    tracing::error!(%error, "the folder of rules is not watched");
                    None
                }
            },
            (RulesFrom::Dir(_) | RulesFrom::Shipped, _) => None,
        };

        let admin_listener =
            TcpListener::bind(config.admin).map_err(io_error(format!("admin port {}", config.admin)))?;
        let admin_address = admin_listener.local_addr().map_err(io_error("admin port"))?;
        let sockets = bind_all(config.listen, config.workers)
            .map_err(io_error(format!("data plane {}", config.listen)))?;
        let listen = sockets[0].local_addr().map_err(io_error("data plane"))?;

        let https_listener = config.https.map(TcpListener::bind).transpose();
        let https_listener = https_listener.map_err(io_error("HTTPS door"))?;
        let https_address = https_listener.as_ref().map(TcpListener::local_addr).transpose();
        let https_address = https_address.map_err(io_error("HTTPS door"))?;

        let (audit, audit_thread) =
            audit::start(&config.data_dir, &signing_key, epoch, &state, metrics.clone())
                .map_err(io_error("audit"))?;
        let looking = Arc::new(Looking {
            budget: Lookups::new(config.lookups_per_day_max),
            audit,
            honey: AtomicU64::new(0),
        });
        let sharing = Arc::new(ArcSwap::from_pointee(config.sharing.clone()));
        let endpoint = endpoint_config(signing_key.reset_key());
        let exchange = exchange::prepare(&config, &opened, &keys_dir, &state)?;
        let (exchange, hear) = exchange.map_or((None, None), |(exchange, hear)| (Some(exchange), Some(hear)));
        let (journal_handle, journal_thread) =
            journal::start(opened, signing_key, sharing.clone(), state.clone(), metrics.clone(), hear)
                .map_err(io_error("journal"))?;
        let is_live = exchange.as_ref().is_none_or(Prepared::has_joined);
        let exchange = exchange
            .map(|exchange| exchange.start(journal_handle.clone()))
            .transpose()
            .map_err(io_error("exchange"))?;
        let (recorder, recorder_thread) =
            recorder::start(&config.data_dir, config.recent_requests_max, state.clone(), log.feed)
                .map_err(io_error("aftermath"))?;
        let recalls = recorder.recalls.clone();
        let (rules_desk, rules_thread) =
            rules_desk::start(reloader.clone()).map_err(io_error("rules desk"))?;
        let shared = Arc::new(Shared {
            rules: rules_desk,
            decisions: log.desk,
            recorder,
            state: state.clone(),
            metrics: metrics.clone(),
            member: config.member,
            journal: journal_handle,
            looking: looking.clone(),
            frames: AtomicU64::new(0),
            waiting: Arc::new(AtomicU64::new(0)),
            sandbox: config.sandbox,
            queue_max: config.queue_max,
            rates: Rates::new(config.caller_requests_per_second_max, clock::instant()),
        });
        let (phase, phase_seen) = watch::channel(Phase::Serving);
        let (server_config, config_seen) = watch::channel(server_config_now);
        let controls = Controls { phase: phase_seen, config: config_seen, endpoint };
        let mut threads = Vec::new();
        for (number, socket) in sockets.into_iter().enumerate() {
            let worker = worker::start(number, socket, shared.clone(), controls.clone());
            threads.push(worker.map_err(io_error("worker"))?);
        }
        let (https_tls, tls_seen) = watch::channel(https_tls_now);
        if let Some(listener) = https_listener {
            let controls = https::Controls { phase: controls.phase.clone(), tls: tls_seen };
            threads.push(https::start(listener, shared.clone(), controls).map_err(io_error("HTTPS door"))?);
        }
        let (stop_admin, stopped) = watch::channel(false);
        let admin = Admin::new(
            state.clone(),
            metrics.clone(),
            reloader.clone(),
            recalls,
            (config.budget_us, stopped.clone()),
            gate,
        );
        threads.push(
            admin::start(admin_listener, admin, config.alerts, stopped).map_err(io_error("admin port"))?,
        );
        let (stop_velocity, stopped) = bounded(0);
        let velocity =
            velocity_file::start(config.data_dir.clone(), config.velocity_snapshot, state.clone(), stopped);
        let velocity = velocity.map_err(io_error("velocity"))?;
        let (stop_housekeeping, stopped) = bounded(0);
        threads.push(
            keep_house(state.clone(), looking, config.screened_people_alarm, stopped)
                .map_err(io_error("housekeeping"))?,
        );

        if development {
            let file = config.data_dir.join("dev").join(ADDRESS_FILE);
            std::fs::write(&file, format!("{listen}\n")).map_err(io_error(file.display().to_string()))?;
        }
        if is_live {
            state.set_ready(true);
        }
        Ok(Self {
            config,
            state,
            metrics,
            reloader,
            sharing,
            watcher,
            shared,
            phase,
            server_config,
            https_tls,
            stop_admin,
            stop_housekeeping,
            velocity: (stop_velocity, velocity),
            threads,
            exchange,
            journal: journal_thread,
            audit: audit_thread,
            rules: rules_thread,
            recorder: recorder_thread,
            decision_log: log.threads,
            listen,
            https: https_address,
            admin: admin_address,
        })
    }

    /// Takes in members and legal bases of a configuration that was read again, all of them or nothing. Every other key
    /// counts from the next start on.
    pub fn reread(&self, config: Result<EngineConfig, ConfigError>) {
        let read = config
            .map_err(|error| error.to_string())
            .and_then(|config| membership::take_in(&config, &self.config, &self.state, &self.sharing));
        if read.is_err() {
            self.metrics.reloaded(false);
        }
        match read {
            Ok(true) => tracing::info!("members and legal bases taken in"),
            Ok(false) => {
                tracing::warn!("members and legal bases taken in; other keys count from the next start")
            }
            Err(problem) => tracing::error!("configuration not taken in, nothing changed:\n{problem}"),
        }
    }

    /// Loads rules and certificates again. What cannot be loaded changes nothing.
    pub fn reload(&self) -> Report {
        let both = credentials(&self.config).and_then(|now| {
            let both = server_config(&now).and_then(|config| Ok((config, https::tls(&now)?)));
            both.map_err(StartError::Certificates)
        });
        match both {
            Ok((config, tls)) => {
                drop(self.server_config.send(config));
                drop(self.https_tls.send(tls));
            }
            Err(error) => {
                self.metrics.reloaded(false);
                tracing::error!(%error, "certificates not loaded, nothing changed");
            }
        }
        self.reloader.reload(Cause::Asked)
    }

    /// Lets nobody in, answers what is there, and stops: at the latest after the configured time.
    pub fn drain(self) {
        self.state.set_draining();
        self.phase.send_replace(Phase::Draining);
        let started = clock::instant();
        let pause = Duration::from_millis(20);
        loop {
            let frames = self.shared.frames.load(Ordering::Relaxed);
            std::thread::sleep(pause);
            let out_of_time = clock::instant().duration_since(started) >= self.config.drain;
            if self.shared.is_at_rest(frames) || out_of_time {
                break;
            }
        }
        self.phase.send_replace(Phase::Closed);
        self.stop_admin.send_replace(true);
        drop(self.stop_housekeeping);
        for thread in self.threads {
            // A worker that panicked has said so itself.
            let _ = thread.join();
        }
        // What is durable and has not been sent is sent after the next start.
        if let Some(exchange) = self.exchange {
            exchange.stop();
        }
        // Nobody screens any more: what windows hold now is all that they will hold.
        let (stop_velocity, velocity) = self.velocity;
        drop(stop_velocity);
        let _ = velocity.join();
        // The last handles: the journal and the audit write what they have and end.
        drop(self.shared);
        let _ = self.journal.join();
        let _ = self.audit.join();
        let _ = self.rules.join();
        let _ = self.recorder.join();
        self.decision_log.into_iter().for_each(|thread| drop(thread.join()));
    }
}
