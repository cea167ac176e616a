//! What the tests of the whole share: a real engine in a process of its own, and its own command line against it.

use sparr_protocol::client::{ClientConfig, FailPolicy, Fallback, Identity, Pipe};
use sparr_protocol::exchange::ExchangeAnswer;
use sparr_protocol::frame::MessageKind;
use sparr_protocol::response::AuthorisationResponse;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A published test number (Skatteverket).
pub(crate) const TOLVAN: &str = "191212121212";

/// An engine in its own process and folder, on free ports. Killed when dropped.
pub(crate) struct EngineProcess {
    child: Child,
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: std::sync::Arc<std::sync::Mutex<String>>,
    _folder: Option<TempDir>,
}

/// The engine's binary.
pub(crate) fn sparr() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sparr"))
}

/// The rules that the repository ships.
pub(crate) fn shipped_rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/rules")
}

impl EngineProcess {
    /// A development engine with the shipped rules in a new folder.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--rules", &shipped_rules().display().to_string()])
    }

    /// A development engine in a new folder, with more arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut engine = Self::start_in(folder.path(), arguments);
        engine._folder = Some(folder);
        engine
    }

    /// A development engine in a folder that stays.
    pub(crate) fn start_in(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_logging(data_dir, arguments, "info")
    }

    /// The same, with a level of logging.
    pub(crate) fn start_logging(data_dir: &Path, arguments: &[&str], level: &str) -> Self {
        let mut command = sparr();
        command
            .args(["serve", "--dev", "--admin", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(arguments);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        Self::spawn(command.env("SPARR_LOG", level), data_dir)
    }

    /// A production engine with a configuration file.
    pub(crate) fn start_configured(data_dir: &Path, config: &Path) -> Self {
        let mut command = sparr();
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"]).arg(config);
        Self::spawn(&mut command, data_dir)
    }

    /// An engine that a command starts.
    pub(crate) fn spawn(command: &mut Command, data_dir: &Path) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the engine starts");
        let log = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let errors = log.clone();
        std::thread::spawn(move || {
            let mut text = String::new();
            // Not UTF-8 would be a finding of the canary test, which reads the log as text.
            let _ = stderr.read_to_string(&mut text);
            errors.lock().expect("whole").push_str(&text);
        });
        let (found, addresses) = std::sync::mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let lines = log.clone();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if line.contains("\"message\":\"serving\"") {
                    let _ = found.send(line.clone());
                }
                let mut log = lines.lock().expect("whole");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let serving = addresses
            .recv_timeout(Duration::from_secs(60))
            .unwrap_or_else(|_| panic!("the engine does not serve:\n{}", log.lock().expect("whole")));
        let serving: serde_json::Value = serde_json::from_str(&serving).expect("a JSON line");
        let address = |key: &str| serving[key].as_str().expect(key).parse().expect("an address");
        Self {
            child,
            data_dir: data_dir.to_owned(),
            listen: address("listen"),
            admin: address("admin"),
            log,
            _folder: None,
        }
    }

    /// Everything that the engine has written to its outputs so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("whole").clone()
    }

    /// Runs a command against this engine.
    pub(crate) fn sparr(&self, arguments: &[&str]) -> Output {
        let mut command = sparr();
        command.args(arguments).arg("--data-dir").arg(&self.data_dir);
        command.output().expect("it runs")
    }

    /// Runs a command that must succeed and gives back what it printed, as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.sparr(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }

    /// Raises a flag for every payment of somebody.
    pub(crate) fn raise(&self, subject: &str, wish: &str) {
        let fixed = ["--scope", "any", "--until", "2030-12-31", "--reason", "suspected-fraud"];
        let raised =
            self.sparr(&[&["flag", "raise", "--subject", subject, "--wish", wish], &fixed[..]].concat());
        assert!(raised.status.success(), "{}", text(&raised.stderr));
    }

    /// Screens one request.
    pub(crate) fn screen(&self, request: &serde_json::Value) -> serde_json::Value {
        self.json(&["screen", "--json", &request.to_string()])
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(killed.expect("kill runs").success());
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it on the spot, as a power switch would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Waits for the end and gives back the exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("gone").code()
    }

    /// A page of the admin port: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.http("GET", path)
    }

    /// A request to the admin port: status and body.
    pub(crate) fn http(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).expect("the admin port listens");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: sparr\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        .expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
    }

    /// A counter or gauge of the metrics page, by its full line's beginning.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let (_, page) = self.get("/metrics");
        let found = page.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' '));
        found.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    /// Waits until a metric has a value: an engine counts after it has answered. Gives back what it had at last.
    pub(crate) fn metric_becomes(&self, line: &str, value: f64) -> f64 {
        for _ in 0..200 {
            if self.metric(line) == value {
                break;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        self.metric(line)
    }

    /// How to connect in a role.
    pub(crate) fn client(&self, role: &str) -> ClientConfig {
        let identity = Identity::from_dir(&self.data_dir.join("dev").join(role)).expect("an identity");
        ClientConfig::new(self.listen, identity, FailPolicy::by_kind(|_| Fallback::Decline))
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A request id of 32 digits.
pub(crate) fn id(number: u64) -> String {
    format!("{number:032x}")
}

/// A folder of rules with one file, and the shipped reasons beside it.
pub(crate) fn rules_dir(yaml: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("rules.yaml"), yaml).expect("written");
    fs::copy(shipped_rules().join("../reasons.toml"), folder.path().join("reasons.toml")).expect("copied");
    folder
}

/// Any answer of an engine.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Screen(Box<AuthorisationResponse>),
    Exchange(ExchangeAnswer),
}

/// Sends bytes on one stream, ends it, and reads what comes back until the engine ends its side.
pub(crate) fn send_raw(config: &ClientConfig, bytes: &[u8]) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let Pipe { mut sender, mut receiver } = Pipe::open(config).await.expect("connected");
        sender.send(bytes).await.expect("sent");
        sender.finish();
        let mut answers = Vec::new();
        let reading = async {
            let take = |answers: &mut Vec<Answer>, kind: MessageKind, message: &[u8]| match kind {
                MessageKind::ScreenAnswer => answers.push(Answer::Screen(Box::new(
                    AuthorisationResponse::decode(message).expect("an answer"),
                ))),
                MessageKind::ExchangeAnswer => {
                    answers.push(Answer::Exchange(ExchangeAnswer::decode(message).expect("an answer")));
                }
                other => panic!("an engine does not ask: {other:?}"),
            };
            while receiver.receive(|kind, message| take(&mut answers, kind, message)).await.unwrap_or(false) {
            }
        };
        tokio::time::timeout(Duration::from_secs(5), reading).await.expect("the engine ends the stream");
        answers
    })
}

/// A size of a test: small in every run, large with `SPARR_TIER=1`.
pub(crate) fn of_tier(always: u64, nightly: u64) -> u64 {
    match std::env::var("SPARR_TIER").as_deref() {
        Ok("1") => nightly,
        Ok(_) | Err(_) => always,
    }
}

/// The seed of random choices: `SPARR_SEED`, or one that is always the same.
pub(crate) fn seed() -> u64 {
    std::env::var("SPARR_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122)
}

/// Does something with an engine until it is done, or until `gone` says that the engine was killed and what it had sent
/// has arrived: nothing waits for a dead engine's answers.
pub(crate) fn until_gone(gone: &tokio::sync::Notify, work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        tokio::select! {
            () = work => {}
            () = async {
                gone.notified().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            } => {}
        }
    });
}
