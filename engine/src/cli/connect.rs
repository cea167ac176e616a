//! Where an engine is, and as whom to talk to it.

use super::CannotRun;
use crate::server::ADDRESS_FILE;
use crate::server::config::{DATA_DIR, LISTEN};
use clap::Args;
use sparr_protocol::client::{ClientConfig, FailPolicy, Fallback, Identity};
use sparr_protocol::codes::Role;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

/// Options of every command that talks to an engine.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectArgs {
    /// Address of the engine [default: where the development engine of --data-dir listens, else 127.0.0.1:7443]
    #[arg(long, value_name = "HOST:PORT", env = "SPARR_CONNECT")]
    connect: Option<String>,
    /// Folder with cert.pem, key.pem and ca.pem, or with one such folder per role [default: dev/ in --data-dir]
    #[arg(long, value_name = "DIR", env = "SPARR_IDENTITY")]
    identity: Option<PathBuf>,
    /// Data folder of a development engine on this machine
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "SPARR_DATA_DIR")]
    data_dir: PathBuf,
}

impl ConnectArgs {
    fn identities(&self) -> PathBuf {
        self.identity.clone().unwrap_or_else(|| self.data_dir.join("dev"))
    }

    /// Folder of the identity that a command in a role uses.
    pub(crate) fn identity_dir(&self, role: Role) -> PathBuf {
        let identities = self.identities();
        let one_identity = identities.join("cert.pem").is_file();
        if one_identity { identities } else { identities.join(role.name()) }
    }

    /// How to connect in a role. The command line reports what it hears and falls back to nothing: the policy is
    /// never asked.
    pub(crate) fn config(&self, role: Role) -> Result<ClientConfig, CannotRun> {
        let identities = self.identities();
        let dir = self.identity_dir(role);
        if !dir.is_dir() {
            return Err(CannotRun(format!(
                "no identity in {}: start `sparr serve --dev --data-dir {}` first, or give --identity",
                dir.display(),
                self.data_dir.display()
            )));
        }
        let identity = Identity::from_dir(&dir)?;
        let (engine, name) = self.engine(&identities)?;
        let mut config = ClientConfig::new(engine, identity, FailPolicy::by_kind(|_| Fallback::Decline));
        config.engine_name = name;
        config.timeout = std::time::Duration::from_secs(5);
        Ok(config)
    }

    /// The engine's address, and the name that its certificate must carry.
    fn engine(&self, identities: &Path) -> Result<(SocketAddr, String), CannotRun> {
        let beside = [Some(identities), identities.parent()].into_iter().flatten();
        let written = beside.map(|dir| dir.join(ADDRESS_FILE)).find_map(|file| fs::read_to_string(file).ok());
        let text = match (&self.connect, &written) {
            (Some(given), _) => given.as_str(),
            (None, Some(written)) => written.trim(),
            (None, None) => LISTEN,
        };
        let resolved = text.to_socket_addrs().ok().and_then(|mut all| all.next());
        let mut engine = resolved.ok_or_else(|| CannotRun(format!("{text:?} is no address and port")))?;
        if engine.ip().is_unspecified() {
            // The engine listens everywhere: here is the nearest.
            engine.set_ip(if engine.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                [0, 0, 0, 0, 0, 0, 0, 1].into()
            });
        }
        let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
        let is_name =
            self.connect.is_some() && host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[');
        Ok((engine, if is_name { host.to_owned() } else { engine.ip().to_string() }))
    }
}
