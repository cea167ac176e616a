//! What QUIC is measured against besides QUIC: the same frames over TCP with TLS, answered at once.

use sparr_benches::{Failure, tls};
use sparr_loadgen::frames::{Frames, numbered};
use sparr_loadgen::open_loop::{NEVER, Run};
use sparr_loadgen::schedule::Schedule;
use sparr_loadgen::service::{Keys, approval};
use sparr_protocol::frame::{ALPN, Next};
use sparr_protocol::limits::{ANSWER_FRAME_BYTES_MAX, REQUEST_FRAME_BYTES_MAX};
use sparr_protocol::request::{AuthorisationRequest, restamp};
use sparr_protocol::response::AuthorisationResponse;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Name of its thread.
pub(crate) const THREADS: &str = "tcp-echo";
/// Bytes that one read takes at most: as many as one TLS record carries, four times.
const READ_BYTES: usize = 64 << 10;
/// Requests that one write gathers at most, as in the closed loop over QUIC.
const FRAMES_PER_WRITE_MAX: u64 = 64;

/// A running echo. It ends with the process.
pub(crate) struct TcpEcho {
    address: SocketAddr,
    connector: TlsConnector,
}

impl TcpEcho {
    /// Starts it on a free port, on a thread of its own.
    pub(crate) fn start(keys: &Keys) -> Result<Self, Failure> {
        let acceptor = TlsAcceptor::from(keys.tls_config(ALPN)?);
        let runtime = super::runtime()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        std::thread::Builder::new().name(THREADS.to_owned()).spawn(move || {
            runtime.block_on(async {
                while let Ok((stream, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    // A connection that breaks is its client's matter.
                    tokio::spawn(async move { drop(echo(stream, acceptor).await) });
                }
            });
        })?;
        Ok(Self { address, connector: tls::connector(keys.identity_dir(), ALPN)? })
    }

    /// So many requests in flight on one connection: requests per second.
    pub(crate) async fn closed_loop(
        &self,
        requests: &[AuthorisationRequest],
        count: u64,
        in_flight: u64,
        run: [u8; 8],
    ) -> Result<f64, Failure> {
        let mut stream = tls::connect(&self.connector, self.address).await?;
        let (mut sent, mut answered) = (0, 0);
        let (mut bytes, mut answers) = (Vec::new(), Answers::default());
        let started = Instant::now();
        while answered < count {
            let more = (in_flight - (sent - answered)).min(count - sent).min(FRAMES_PER_WRITE_MAX);
            bytes.clear();
            for number in sent..sent + more {
                let mut request = requests[(number % requests.len() as u64) as usize].clone();
                request.request_id = numbered(run, number);
                request.encode(&mut bytes)?;
            }
            sent += more;
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            answered += answers.read(&mut stream, |_| {}).await?;
        }
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }

    /// Each request when its time has come.
    pub(crate) async fn open_loop(
        &self,
        schedule: &Schedule,
        frames: &Frames,
        run: [u8; 8],
    ) -> Result<Run, Failure> {
        let stream = tls::connect(&self.connector, self.address).await?;
        let (mut reading, mut writing) = tokio::io::split(stream);
        let intended_ns: Vec<u64> = schedule.intended_ns().collect();
        let count = intended_ns.len();
        let book = Rc::new(RefCell::new(Run {
            lateness_ns: vec![0; count],
            latency_ns: vec![NEVER; count],
            intended_ns,
            ..Run::default()
        }));
        let started = Instant::now();
        let told = book.clone();
        let local = LocalSet::new();
        let reader = local.spawn_local(async move {
            let (mut answers, mut left) = (Answers::default(), count as u64);
            while left > 0 {
                left -= answers
                    .read(&mut reading, |number| {
                        let book = &mut *told.borrow_mut();
                        let after = started.elapsed().as_nanos() as u64;
                        if let Some(latency) = book.latency_ns.get_mut(number) {
                            *latency = after.saturating_sub(book.intended_ns[number]);
                        }
                    })
                    .await?;
            }
            Ok::<_, Failure>(())
        });
        let sending = async {
            let (mut next, mut bytes) = (0, Vec::new());
            while next < count {
                let now = started.elapsed().as_nanos() as u64;
                let first = next;
                bytes.clear();
                while next < count && book.borrow().intended_ns[next] <= now {
                    let at = bytes.len();
                    bytes.extend_from_slice(frames.frame(next as u64));
                    restamp(&mut bytes[at..], numbered(run, next as u64), None);
                    next += 1;
                }
                if !bytes.is_empty() {
                    let taken = started.elapsed().as_nanos() as u64;
                    {
                        let book = &mut *book.borrow_mut();
                        (first..next)
                            .for_each(|number| book.lateness_ns[number] = taken - book.intended_ns[number]);
                    }
                    writing.write_all(&bytes).await?;
                    writing.flush().await?;
                }
                tokio::task::yield_now().await;
            }
            Ok::<_, Failure>(())
        };
        local.run_until(sending).await?;
        local.run_until(tokio::time::timeout(PATIENCE, reader)).await???;
        drop(local);
        Rc::into_inner(book).map(RefCell::into_inner).ok_or_else(|| "the reader has not ended".into())
    }
}

/// How long answers are waited for after the last request.
const PATIENCE: Duration = Duration::from_secs(5);

async fn echo(stream: tokio::net::TcpStream, acceptor: TlsAcceptor) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let (mut unread, mut read, mut answers) = (Vec::new(), vec![0; READ_BYTES], Vec::new());
    loop {
        let bytes = stream.read(&mut read).await?;
        if bytes == 0 {
            return Ok(());
        }
        unread.extend_from_slice(&read[..bytes]);
        let mut taken = 0;
        while let Next::Frame { frame, consumed } = Next::parse(&unread[taken..], REQUEST_FRAME_BYTES_MAX) {
            taken += consumed;
            approval(frame.id()).encode(&mut answers);
        }
        unread.drain(..taken);
        stream.write_all(&answers).await?;
        stream.flush().await?;
        answers.clear();
    }
}

/// Answers as they come in.
struct Answers {
    unread: Vec<u8>,
    read: Vec<u8>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { unread: Vec::new(), read: vec![0; READ_BYTES] }
    }
}

impl Answers {
    /// Reads once, hands over the number of each answer, and says how many there were.
    async fn read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        mut take: impl FnMut(usize),
    ) -> Result<u64, Failure> {
        let bytes = stream.read(&mut self.read).await?;
        if bytes == 0 {
            return Err("the connection was closed".into());
        }
        self.unread.extend_from_slice(&self.read[..bytes]);
        let (mut taken, mut count) = (0, 0);
        while let Next::Frame { frame, consumed } = Next::parse(&self.unread[taken..], ANSWER_FRAME_BYTES_MAX)
        {
            taken += consumed;
            let (_, message) = frame.open().map_err(|error| error.to_string())?;
            let response = AuthorisationResponse::decode(message).map_err(|error| error.to_string())?;
            let (_, number) = response.request_id.0.split_at(8);
            take(number.try_into().map_or(usize::MAX, |number| u64::from_be_bytes(number) as usize));
            count += 1;
        }
        self.unread.drain(..taken);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparr_loadgen::frames::SOME_MIDNIGHT;
    use sparr_loadgen::fresh_run;
    use sparr_loadgen::people::Population;
    use sparr_loadgen::stream::{Plan, Stream};

    #[test]
    fn both_loops_get_an_answer_to_every_request() {
        let echo = TcpEcho::start(&Keys::make().expect("keys")).expect("an echo");
        let (population, run) = (Population::default(), fresh_run());
        let plan = Plan { seed: 1, population, midnight: SOME_MIDNIGHT, requests: 100, listed: 0, run };
        let requests: Vec<_> = Stream::new(plan).map(|planned| planned.request).collect();
        let frames = Frames::prepare(Stream::new(plan), 0).expect("frames");
        let runtime = super::super::runtime().expect("a runtime");
        let per_second = runtime.block_on(echo.closed_loop(&requests, 1_000, 64, run)).expect("answers");
        assert!(per_second > 0.0);
        let schedule = Schedule::of_requests(10_000, 300);
        let run = runtime.block_on(echo.open_loop(&schedule, &frames, run)).expect("answers");
        assert!(run.latency_ns.iter().all(|ns| *ns != NEVER));
    }
}
