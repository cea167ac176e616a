//! A running engine: read this as a checklist.

use super::admin::{self, Admin};
use super::config::{Activation, ClockKind, EngineConfig, RulesFrom, TlsFiles};
use super::journal::{self, Store, StoreError};
use super::keys::{self, KeyError, SigningKey};
use super::lookups::Lookups;
use super::reload::{Cause, Reloader, Report};
use super::rule_store::RuleStore;
use super::rules_desk;
use super::transport::{Credentials, endpoint_config, server_config};
use super::worker::{self, Controls, Phase, Shared};
use super::{clock, dev};
use crate::limits::PASS_MS_MAX;
use crate::metrics::Metrics;
use crate::request::ValueKind;
use crate::state::{EngineClock, State, StateConfig};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use quinn::ServerConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use socket2::{Domain, Protocol, Socket, Type};
use sparr_protocol::codes::Role;
use sparr_protocol::identity::Subject;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::member::MemberKind;
use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Kernel buffers of the data plane's sockets: lost packets cost milliseconds. The kernel may grant less.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// How often idle velocity keys are forgotten.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(10);

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

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
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
    /// Watches the folder of rules as long as it lives.
    #[expect(dead_code, reason = "it is kept for what it does until it is dropped")]
    watcher: Option<notify::RecommendedWatcher>,
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    server_config: watch::Sender<ServerConfig>,
    stop_admin: watch::Sender<bool>,
    stop_housekeeping: Sender<()>,
    threads: Vec<JoinHandle<()>>,
    journal: JoinHandle<()>,
    rules: JoinHandle<()>,
    /// Where the data plane listens.
    pub listen: SocketAddr,
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
        let server_config_now = server_config(&credentials(&config)?).map_err(StartError::Certificates)?;

        let journal_file = config.data_dir.join("journal.redb");
        let store = Store::open(&journal_file)?;
        let epoch = journal::guarded(&journal_file, || store.begin_epoch(clock::now()))?;
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
        state.members.configure(config.member, config.kind, [0; 32]);
        for other in &config.members {
            let key = if development && other.kind == MemberKind::Police {
                // The development police sign with a key of their own, made beside their certificate.
                SigningKey::load(&config.data_dir.join("dev").join(Role::Police.name()))?.public_key()
            } else {
                other.key
            };
            state.members.configure(other.member, other.kind, key);
        }
        if let Some(file) = &config.honey_numbers {
            state.lay_out_honey(honey_numbers(file, &state)?);
        }
        let opened = journal::guarded(&journal_file, || {
            journal::open(store, config.member, config.engine, epoch, &state)
        })?;

        let metrics = Arc::new(Metrics::default());
        let rule_store = RuleStore::open(&config.data_dir).map_err(io_error("folder of rule sets"))?;
        let reloader = Arc::new(Reloader::new(
            config.rules.clone(),
            config.activation,
            Some(rule_store),
            state.clone(),
            metrics.clone(),
        ));
        reloader.reload(Cause::Start);
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

        let endpoint = endpoint_config(signing_key.reset_key());
        let (journal_handle, journal_thread) =
            journal::start(opened, signing_key, config.sharing.clone(), state.clone(), metrics.clone())
                .map_err(io_error("journal"))?;
        let (rules_desk, rules_thread) =
            rules_desk::start(reloader.clone()).map_err(io_error("rules desk"))?;
        let shared = Arc::new(Shared {
            rules: rules_desk,
            state: state.clone(),
            metrics: metrics.clone(),
            member: config.member,
            journal: journal_handle,
            lookups: Lookups::new(config.lookups_per_day_max),
            frames: AtomicU64::new(0),
            waiting: Arc::new(AtomicU64::new(0)),
        });
        let (phase, phase_seen) = watch::channel(Phase::Serving);
        let (server_config, config_seen) = watch::channel(server_config_now);
        let controls = Controls { phase: phase_seen, config: config_seen, endpoint };
        let mut threads = Vec::new();
        for (number, socket) in sockets.into_iter().enumerate() {
            let worker = worker::start(number, socket, shared.clone(), controls.clone());
            threads.push(worker.map_err(io_error("worker"))?);
        }
        let (stop_admin, stopped) = watch::channel(false);
        let looking = Admin::new(state.clone(), metrics.clone(), reloader.clone());
        threads.push(admin::start(admin_listener, looking, stopped).map_err(io_error("admin port"))?);
        let (stop_housekeeping, stopped) = bounded(0);
        threads.push(
            keep_house(state.clone(), config.screened_people_alarm, stopped)
                .map_err(io_error("housekeeping"))?,
        );

        if development {
            let file = config.data_dir.join("dev").join(ADDRESS_FILE);
            std::fs::write(&file, format!("{listen}\n")).map_err(io_error(file.display().to_string()))?;
        }
        state.set_ready(true);
        Ok(Self {
            config,
            state,
            metrics,
            reloader,
            watcher,
            shared,
            phase,
            server_config,
            stop_admin,
            stop_housekeeping,
            threads,
            journal: journal_thread,
            rules: rules_thread,
            listen,
            admin: admin_address,
        })
    }

    /// Loads rules and certificates again. What cannot be loaded changes nothing.
    pub fn reload(&self) -> Report {
        match credentials(&self.config).and_then(|now| server_config(&now).map_err(StartError::Certificates))
        {
            Ok(config) => drop(self.server_config.send(config)),
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
        // The last handle: the journal commits what it has and ends.
        drop(self.shared);
        let _ = self.journal.join();
        let _ = self.rules.join();
    }
}

/// Reads numbers that nobody was ever given. What is no number at all is an error: it would never be asked about.
fn honey_numbers(file: &Path, state: &State) -> Result<HashSet<Pseudonym>, StartError> {
    let text = std::fs::read_to_string(file).map_err(io_error(file.display().to_string()))?;
    let today = clock::moment().today;
    let mut honey = HashSet::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = Subject::parse_swedish(line.trim(), today).map_err(|error| {
            let error = io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", at + 1));
            io_error(file.display().to_string())(error)
        })?;
        let live = state.keyring.live(ValueKind::Subject, number.canonical());
        honey.extend(live.iter().map(|(_, pseudonym)| pseudonym));
    }
    Ok(honey)
}

/// Sockets that share one port, one for each worker.
fn bind_all(listen: SocketAddr, workers: usize) -> io::Result<Vec<UdpSocket>> {
    // A port that is shared could be shared with another engine by mistake: somebody must have it alone first.
    let alone = UdpSocket::bind(listen)?;
    let shared_address = alone.local_addr()?;
    drop(alone);
    let first = bind(shared_address)?;
    let mut sockets = vec![first];
    for _ in 1..workers.max(1) {
        sockets.push(bind(shared_address)?);
    }
    Ok(sockets)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Forgets idle velocity keys and passes that are over now and then, off the decision path.
fn keep_house(state: Arc<State>, people_alarm: u64, stopped: Receiver<()>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("housekeeping".to_owned()).spawn(move || {
        let (mut honey_before, mut today, mut alarmed) = (0, clock::moment().today, false);
        while stopped.recv_timeout(HOUSEKEEPING_EVERY) == Err(RecvTimeoutError::Timeout) {
            let horizon = state
                .rules()
                .as_ref()
                .and_then(|active| active.set.plan().keys().iter().map(|plan| plan.horizon_ms).max());
            if let Some(horizon_ms) = horizon {
                let now = state.now(clock::moment());
                state.stores.velocity.forget_before(now.saturating_add_ms(-horizon_ms));
            }
            if clock::moment().today != today {
                (today, alarmed) = (clock::moment().today, false);
                state.screened_people.reset();
            }
            let people = state.screened_people.estimate();
            if people >= people_alarm && !alarmed {
                alarmed = true;
                tracing::warn!(
                    people,
                    people_alarm,
                    "more different people were screened today than expected"
                );
            }
            let honey = state.honey_touched();
            if honey > honey_before {
                tracing::warn!(
                    times = honey - honey_before,
                    "numbers that nobody was ever given were asked about"
                );
            }
            honey_before = honey;
            let day_before = state.now(clock::moment()).saturating_add_ms(-PASS_MS_MAX);
            state.stores.flags.passes.forget_before(day_before);
        }
    })
}

/// Reads the certificates, making the development ones first where that is asked for.
fn credentials(config: &EngineConfig) -> Result<Credentials, StartError> {
    let (certificate, key, client_authorities, revoked) = match &config.tls {
        TlsFiles::Development => {
            let dir = config.data_dir.join("dev");
            dev::make_identities(&dir, config.member, config.listen.ip())
                .map_err(|error| StartError::Certificates(error.to_string()))?;
            let engine = dir.join(dev::ENGINE_DIR);
            (engine.join("cert.pem"), engine.join("key.pem"), engine.join("ca.pem"), None)
        }
        TlsFiles::Files { certificate, key, client_authorities, revoked } => {
            (certificate.clone(), key.clone(), client_authorities.clone(), revoked.clone())
        }
    };
    let mut authorities = RootCertStore::empty();
    for authority in pem_all::<CertificateDer<'static>>(&client_authorities)? {
        authorities.add(authority).map_err(|error| {
            StartError::Certificates(format!("{}: {error}", client_authorities.display()))
        })?;
    }
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|error| StartError::Certificates(format!("{}: {error}", key.display())))?;
    let revoked = match revoked {
        Some(file) => pem_all::<CertificateRevocationListDer<'static>>(&file)?,
        None => Vec::new(),
    };
    Ok(Credentials { chain: pem_all(&certificate)?, key, authorities, revoked })
}

fn pem_all<T: PemObject>(file: &PathBuf) -> Result<Vec<T>, StartError> {
    let failed = |error: rustls::pki_types::pem::Error| {
        StartError::Certificates(format!("{}: {error}", Path::display(file)))
    };
    let all: Vec<T> = T::pem_file_iter(file).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if all.is_empty() {
        return Err(StartError::Certificates(format!("{}: nothing of its kind in it", file.display())));
    }
    Ok(all)
}
