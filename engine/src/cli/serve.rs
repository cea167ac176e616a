//! `sparr serve`: an engine until a signal ends it.

use super::{CannotRun, Ended, Outcome};
use crate::server::config::{DATA_DIR, EngineConfig, Overrides};
use crate::server::{Engine, supervisor};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;

/// Arguments of `sparr serve`.
#[derive(Args)]
#[command(after_help = "Examples:
  sparr serve --dev                                an engine to try things with
  sparr serve --config config/engine.toml          an engine of a member

SIGHUP reads rules and certificates again, and the members and legal bases of the configuration. SIGTERM answers what is there and stops; a second one stops at once. Under systemd
(Type=notify) it says when it serves, loads again and stops, and feeds the watchdog as long as the data plane answers.")]
pub(crate) struct ServeArgs {
    /// Configuration file; config/engine.toml has every key with its meaning
    #[arg(long, value_name = "FILE", env = "SPARR_CONFIG")]
    config: Option<PathBuf>,
    /// Development engine: makes its certificates and keys, requires no field, lifts without cooling-off
    #[arg(long)]
    dev: bool,
    /// Folder of journal, keys and development certificates
    #[arg(long, value_name = "DIR", env = "SPARR_DATA_DIR", help = format!("Folder of journal, keys and development certificates [default: {DATA_DIR}]"))]
    data_dir: Option<PathBuf>,
    /// Address of the data plane (QUIC)
    #[arg(long, value_name = "ADDR", env = "SPARR_LISTEN")]
    listen: Option<String>,
    /// Address of the HTTPS door; there is none unless it is named
    #[arg(long, value_name = "ADDR", env = "SPARR_HTTPS")]
    https: Option<String>,
    /// Address of the admin port (HTTP)
    #[arg(long, value_name = "ADDR", env = "SPARR_ADMIN")]
    admin: Option<String>,
    /// Folder of rule files [default: config/rules where it is there, else the shipped rules]
    #[arg(long, value_name = "DIR", env = "SPARR_RULES")]
    rules: Option<PathBuf>,
    /// When rules that load begin to decide: `reload` [default], `watch` (when a file changes) or `approve`
    #[arg(long, value_name = "WHEN")]
    activation: Option<String>,
    /// The member whose engine this is
    #[arg(long, value_name = "NAME", env = "SPARR_MEMBER")]
    member: Option<String>,
    /// Which clock judges expiry, lateness and windows; `event` is for old rows
    #[arg(long, value_name = "CLOCK", value_parser = ["wall", "event"])]
    clock: Option<String>,
    /// Threads on the data plane [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Give a payment the answer that its merchant_id asks for: sandbox-decline, sandbox-review-hold,
    /// sandbox-not-screened-overloaded and so on. A development engine alone
    #[arg(long, requires = "dev")]
    sandbox: bool,
}

impl ServeArgs {
    /// The configuration file.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// What is said beside it.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            dev: self.dev,
            data_dir: self.data_dir.clone(),
            listen: self.listen.clone(),
            https: self.https.clone(),
            admin: self.admin.clone(),
            rules: self.rules.clone(),
            activation: self.activation.clone(),
            member: self.member.clone(),
            clock: self.clock.clone(),
            workers: self.workers,
            sandbox: self.sandbox,
        }
    }
}

/// Runs an engine until a signal ends it.
pub(crate) fn run(args: &ServeArgs) -> Outcome {
    start_logging();
    let overrides = args.overrides();
    let config = EngineConfig::load(args.config(), overrides.clone())?;
    // Before anything else listens: a signal that comes early is not lost.
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT])?;
    let workers = config.workers;
    let engine = Engine::start(config)?;
    if let Some(https) = engine.https {
        tracing::info!(%https, "the HTTPS door is open");
    }
    tracing::info!(listen = %engine.listen, admin = %engine.admin, position = engine.state.position().index, "serving");
    let watchdog = supervisor::ready(engine.listen, workers)?;
    if args.dev {
        tracing::warn!("development engine: its certificates and keys are for trying things out");
    }
    if args.sandbox {
        tracing::warn!("sandbox: a payment gets the answer that its merchant_id asks for");
    }
    for signal in &mut signals {
        match signal {
            SIGHUP => {
                supervisor::reloading();
                engine.reread(EngineConfig::load(args.config(), overrides.clone()));
                engine.reload();
                supervisor::reloaded();
            }
            _ => break,
        }
    }
    tracing::info!("draining");
    supervisor::stopping();
    drop(watchdog);
    // From here on another signal ends the process at once.
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(
            signal,
            1,
            std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true)),
        )?;
    }
    drop(signals);
    engine.drain();
    tracing::info!("stopped");
    Ok(Ended::Fine)
}

/// One JSON line per event; plain lines on a terminal. `SPARR_LOG` sets the level.
fn start_logging() {
    let filter = EnvFilter::try_from_env("SPARR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    // An error says that a test has set up logging before: that one goes on.
    let _ = if std::io::stdout().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}

impl From<CannotRun> for String {
    fn from(CannotRun(problem): CannotRun) -> Self {
        problem
    }
}
