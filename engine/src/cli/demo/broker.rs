//! A NATS server of the demonstration's own: found on the PATH, started on a free port, gone with the demonstration.

use crate::cli::CannotRun;
use crate::server::clock;
use std::env;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const NAME: &str = "nats-server";

/// Debian puts servers where a user's PATH does not look.
const ELSEWHERE: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// The running server.
pub(super) struct Broker {
    server: Child,
    port: u16,
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain(ELSEWHERE.map(PathBuf::from));
    dirs.map(|dir| dir.join(NAME)).find(|file| file.is_file())
}

impl Broker {
    /// Starts one with its store in a folder.
    pub(super) fn start(folder: &Path) -> Result<Self, CannotRun> {
        let Some(program) = find() else {
            return Err(CannotRun(format!(
                "--engines needs {NAME} on the PATH (Debian: apt install {NAME}); without it, sparr demo runs one engine"
            )));
        };
        // Somebody else may take it in between; then the server says so and the demonstration ends.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = folder.join("nats.conf");
        let store = folder.join("nats");
        let text = format!(
            "listen: 127.0.0.1:{port}\njetstream {{ store_dir: {:?} }}\n",
            store.display().to_string()
        );
        fs::write(&config, text)?;
        let server = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut broker = Self { server, port };
        let started = clock::instant();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = broker.server.try_wait()?;
            if ended.is_some() || clock::instant().duration_since(started) > STARTS_WITHIN {
                return Err(CannotRun(format!("{NAME} does not start on port {port}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(broker)
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
