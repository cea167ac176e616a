//! Options that the commands share: where the engine is, how requests are spread, what is asked for.

use crate::CannotRun;
use clap::{Args, ValueEnum};
use sparr_loadgen::frames::Stamp;
use sparr_loadgen::open_loop::Settings;
use sparr_protocol::client::{ClientConfig, FailPolicy, Fallback, Identity};
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the engine is, and as whom to talk to it.
#[derive(Args)]
pub(crate) struct Connect {
    /// Address of the engine [default: where the development engine of --data-dir listens]
    #[arg(long, value_name = "HOST:PORT", env = "SPARR_CONNECT")]
    connect: Option<String>,
    /// Folder with cert.pem, key.pem and ca.pem of a gateway [default: dev/gateway in --data-dir]
    #[arg(long, value_name = "DIR", env = "SPARR_IDENTITY")]
    identity: Option<PathBuf>,
    /// Data folder of a development engine on this machine
    #[arg(long, value_name = "DIR", default_value = "sparr-data", env = "SPARR_DATA_DIR")]
    data_dir: PathBuf,
    /// What a gateway would do without a decision in time, counted at the end. There is no default
    #[arg(long, value_name = "POLICY")]
    fail_policy: Policy,
}

/// What a gateway does without a decision.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Policy {
    Approve,
    Challenge,
    Hold,
    Decline,
}

impl Connect {
    /// How to connect.
    pub(crate) fn config(&self) -> Result<ClientConfig, CannotRun> {
        let identities = self.identity.clone().unwrap_or_else(|| self.data_dir.join("dev/gateway"));
        let nested = identities.join("gateway");
        let dir = if nested.is_dir() { nested } else { identities };
        if !dir.join("cert.pem").is_file() {
            return Err(CannotRun(format!(
                "no identity in {}: start `sparr serve --dev --data-dir {}` first, or give --identity",
                dir.display(),
                self.data_dir.display()
            )));
        }
        let identity = Identity::from_dir(&dir)?;
        let address = self.address(&dir)?;
        let engine = address.to_socket_addrs().ok().and_then(|mut all| all.next());
        let engine = engine.ok_or_else(|| CannotRun(format!("{address:?} is no address and port")))?;
        let fallback = match self.fail_policy {
            Policy::Approve => Fallback::Approve,
            Policy::Challenge => Fallback::Challenge,
            Policy::Hold => Fallback::Hold,
            Policy::Decline => Fallback::Decline,
        };
        let mut config = ClientConfig::new(engine, identity, FailPolicy::by_kind(|_| fallback));
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        if host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[') {
            config.engine_name = host.to_owned();
        }
        Ok(config)
    }

    fn address(&self, identity: &Path) -> Result<String, CannotRun> {
        if let Some(given) = &self.connect {
            return Ok(given.clone());
        }
        let written = identity.parent().map(|dir| dir.join("address"));
        let written = written.and_then(|file| std::fs::read_to_string(file).ok());
        written
            .map(|text| text.trim().to_owned())
            .ok_or_else(|| CannotRun("no engine's address beside the identity: give --connect".to_owned()))
    }
}

/// How requests are spread, and what is asked for.
#[derive(Args)]
pub(crate) struct Spread {
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: u64,
    /// Streams of each connection; one stream of one connection keeps the order of the requests
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=256))]
    streams: u64,
    /// Microseconds that a request gives the engine, sent with it; 0 for none
    #[arg(long, value_name = "µs", default_value_t = 50_000)]
    pub(crate) deadline_us: u32,
    /// The p99 that is asked for in the median 200 ms, from the intended send time: 500us, 1ms, 1.5ms, 1s; a bare
    /// number is microseconds
    #[arg(long = "budget-p99", alias = "budget-us", value_name = "TIME", default_value = "1ms", value_parser = microseconds)]
    pub(crate) budget_us: u64,
    /// Keep the generator on this core
    #[arg(long, value_name = "CORE")]
    pub(crate) pin: Option<usize>,
    /// Process of an engine on this machine, for its processor time
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
}

impl Spread {
    /// Whether requests arrive in the order in which they are sent.
    pub(crate) fn keeps_order(&self) -> bool {
        self.connections == 1 && self.streams == 1
    }

    /// For one run.
    pub(crate) fn settings(&self, stamp: Stamp, run: [u8; 8]) -> Settings {
        Settings {
            connections: self.connections as usize,
            streams: self.streams as usize,
            stamp,
            run,
            patience: Duration::from_secs(5),
        }
    }
}

/// Microseconds out of `500us`, `1ms`, `1.5ms` or `1s`, or a bare number of them; at most an hour.
fn microseconds(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 4] = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
    const HOUR_US: f64 = 3.6e9;
    let unit = UNITS.iter().find_map(|(unit, us)| text.strip_suffix(unit).map(|number| (number, *us)));
    let (number, us) = unit.unwrap_or((text, 1.0));
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let us = number.parse::<f64>().ok().filter(|_| is_plain).map(|number| number * us);
    let fits = us.filter(|us| *us <= HOUR_US);
    fits.map(|us| us.round() as u64).ok_or_else(|| "give a time like 500us, 1ms or 1.5ms".to_owned())
}

/// Which time requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clock {
    /// Their own: for an engine with `--clock event`.
    Event,
    /// None: the engine's clock when it receives them.
    Now,
}

impl Clock {
    pub(crate) const fn stamp(self) -> Stamp {
        match self {
            Self::Event => Stamp::AsPrepared,
            Self::Now => Stamp::AtReceipt,
        }
    }
}
