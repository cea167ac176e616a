//! nats-servers of our own, on free ports and with stores in temporary folders.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The binary, or a loud skip.
pub(crate) fn nats_server() -> Option<PathBuf> {
    let named = std::env::var_os("SPARR_NATS_SERVER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    let found = named.or_else(|| known.map(|folder| folder.join("nats-server")).find(|file| file.is_file()));
    if found.is_none() {
        sparr_protocol::testing::skipped(
            "no nats-server on the path or in /usr/sbin",
            "that engines reach each other over NATS JetStream, and that nothing is lost when a broker is killed, paused, \
             emptied, set back or cut off",
        );
    }
    found
}

/// One node. Killed when dropped.
pub(crate) struct Node {
    binary: PathBuf,
    child: Option<Child>,
    port: u16,
    folder: TempDir,
}

impl Node {
    /// A node without a cluster, or None where there is no nats-server.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// The same, with more lines of configuration, in which `$FOLDER` is the node's own.
    pub(crate) fn start_with(more: &str) -> Option<Self> {
        let mut node = Self::new(nats_server()?, "alone", more);
        node.go();
        Some(node)
    }

    fn new(binary: PathBuf, name: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let port = free_port();
        let dir = folder.path().display().to_string();
        let text = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{dir}/store\" }}\n{}\n",
            more.replace("$FOLDER", &dir)
        );
        std::fs::write(folder.path().join("node.conf"), text).expect("written");
        Self { binary, child: None, port, folder }
    }

    /// Three nodes that know each other.
    pub(crate) fn start_three() -> Option<Vec<Self>> {
        let binary = nats_server()?;
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let routes: Vec<String> = ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let routes = routes.join(", ");
        let mut nodes: Vec<Self> = ports
            .iter()
            .enumerate()
            .map(|(at, port)| {
                let cluster =
                    format!("cluster {{ name: sparr, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}");
                Self::new(binary.clone(), &format!("node-{at}"), &cluster)
            })
            .collect();
        nodes.iter_mut().for_each(Self::go);
        Some(nodes)
    }

    /// Where clients connect.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The same, as it is configured.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its process. It must run.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Starts it, and waits until it greets.
    pub(crate) fn go(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = self.folder.path().join("node.log");
        let child = Command::new(&self.binary)
            .arg("-c")
            .arg(self.folder.path().join("node.conf"))
            .arg("-l")
            .arg(&log)
            .stdout(Stdio::null())
            .spawn()
            .expect("nats-server runs");
        self.child = Some(child);
        for _ in 0..400 {
            if greets(self.port) {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("no greeting: {}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// As a power switch would, but for what the kernel still writes.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    /// Sends it a signal: `STOP` and `CONT` make it pause.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        // The signal is sent, not yet heard: on a busy machine a broker went on for ten broadcasts.
        while name == "STOP" && !self.stands_still() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether each of its threads is stopped.
    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("its threads");
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).expect("what the thread does");
            // The state comes after the name, which stands in parentheses and may hold any sign.
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    }

    /// Takes its store away. It must not run.
    pub(crate) fn wipe(&self) {
        assert!(self.child.is_none(), "it runs");
        std::fs::remove_dir_all(self.store()).expect("wiped");
    }

    /// Copies the store to another place. It must not run.
    pub(crate) fn copy_store(&self, to: &Path) {
        assert!(self.child.is_none(), "it runs");
        copy(&self.store(), to);
    }

    /// Puts a copy in the place of its store. It must not run.
    pub(crate) fn put_back(&self, copy_of_it: &Path) {
        self.wipe();
        copy(copy_of_it, &self.store());
    }

    /// Where it keeps its streams.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut greeting = [0; 4];
    stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && greeting == *b"INFO"
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(done.expect("cp runs").success());
}

/// A port below those that the kernel gives to connections: it is still free when a killed node comes back.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 100).expect("small");
    loop {
        let port = 20_000 + process * 100 + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
