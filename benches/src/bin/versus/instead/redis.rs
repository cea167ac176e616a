//! A Redis of one's own for the time of a run, and what a payment asks of it.

use super::message::ScreenRequest;
use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, Pipeline, cmd};
use sparr_benches::rules::{REFERENCE_KEYS, REFERENCE_SPANS};
use sparr_benches::{Failure, clock};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Members that one command adds to the set of flags.
const FLAGS_AT_ONCE: usize = 10_000;
/// The set of flagged people.
const FLAGS: &str = "flags";
/// How often and how long apart a starting server is asked whether it is there.
const TRIES: u32 = 200;
const BETWEEN_TRIES: Duration = Duration::from_millis(25);

/// A running server. It ends when this is dropped.
pub(super) struct Redis {
    server: Child,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts it with these people flagged; `None` where it is not installed.
    pub(super) fn start(flagged: impl Iterator<Item = String>) -> Result<Option<Self>, Failure> {
        let folder = tempfile::tempdir()?;
        let server = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "socket", "--dir"])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let server = match server {
            Ok(server) => server,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let this = Self { server, folder };
        let mut tries = 0..TRIES;
        let mut connection = loop {
            match Client::open(url(&this.socket()))?.get_connection() {
                Ok(connection) => break connection,
                Err(error) if tries.next().is_none() => return Err(error.into()),
                Err(_) => std::thread::sleep(BETWEEN_TRIES),
            }
        };
        let people: Vec<String> = flagged.collect();
        for some in people.chunks(FLAGS_AT_ONCE) {
            let _: () = cmd("SADD").arg(FLAGS).arg(some).query(&mut connection)?;
        }
        Ok(Some(this))
    }

    /// Its process.
    pub(super) fn process(&self) -> u32 {
        self.server.id()
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It has nothing that anybody needs, and may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn url(socket: &std::path::Path) -> String {
    format!("redis+unix://{}", socket.display())
}

/// A connection that all requests share.
pub(super) async fn connect(socket: &std::path::Path) -> Result<MultiplexedConnection, Failure> {
    Ok(Client::open(url(socket))?.get_multiplexed_async_connection().await?)
}

/// What is known of a payment besides the payment.
pub(super) struct Known {
    /// Whether the payer has a flag.
    pub(super) is_flagged: bool,
    /// Payments in each window of each key; zero where the payment has no such key.
    pub(super) counts: [[i64; REFERENCE_SPANS.len()]; REFERENCE_KEYS.len()],
}

/// Notes the payment in the sorted set of each of its keys, forgets what is older than the longest window, and counts
/// each window, in one pipeline.
pub(super) async fn known(
    connection: &mut MultiplexedConnection,
    request: &ScreenRequest,
) -> Result<Known, Failure> {
    let now = clock::wall().ms();
    let longest = REFERENCE_SPANS.iter().map(|(_, ms)| *ms).max().unwrap_or_default();
    let mut pipeline = Pipeline::new();
    pipeline.cmd("SISMEMBER").arg(FLAGS).arg(request.subject.as_deref().unwrap_or_default());
    for (name, value) in REFERENCE_KEYS.iter().zip(request.keys()) {
        let Some(value) = value else { continue };
        let key = format!("{name}:{value}");
        pipeline.cmd("ZADD").arg(&key).arg(now).arg(&request.request_id[..]).ignore();
        pipeline.cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf").arg(now - longest).ignore();
        pipeline.cmd("PEXPIRE").arg(&key).arg(longest).ignore();
        for (_, span) in REFERENCE_SPANS {
            pipeline.cmd("ZCOUNT").arg(&key).arg(now - span).arg("+inf");
        }
    }
    let answers: Vec<i64> = pipeline.query_async(connection).await?;
    let mut answers = answers.into_iter();
    let is_flagged = answers.next() == Some(1);
    let mut counts = [[0; REFERENCE_SPANS.len()]; REFERENCE_KEYS.len()];
    for (counts, value) in counts.iter_mut().zip(request.keys()) {
        if value.is_some() {
            counts.iter_mut().zip(answers.by_ref()).for_each(|(count, answer)| *count = answer);
        }
    }
    Ok(Known { is_flagged, counts })
}
