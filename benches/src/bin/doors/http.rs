//! A client of the HTTPS door: HTTP/2 on one connection.

use crate::Failure;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sparr_benches::{calls, tls};
use sparr_loadgen::frames::numbered;
use sparr_loadgen::open_loop::Run;
use sparr_loadgen::schedule::Schedule;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_rustls::TlsConnector;

/// How a connection is made.
#[derive(Clone)]
pub(crate) struct HttpClient {
    address: SocketAddr,
    tls: TlsConnector,
}

impl HttpClient {
    /// With the identity in a folder.
    pub(crate) fn new(address: SocketAddr, identity: &Path) -> Result<Self, Failure> {
        Ok(Self { address, tls: tls::connector(identity, b"h2")? })
    }

    /// Connects. The connection is moved by the runtime that it was made on.
    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let stream = tls::connect(&self.tls, self.address).await?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends with its sender.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Connection(sender))
    }
}

/// An open connection.
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Asks, and wants a decision.
    async fn ask(mut sender: SendRequest<Full<Bytes>>, body: Bytes) -> Result<(), Failure> {
        let request = Request::post("https://sparr/v1/screen")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = str::from_utf8(&body)?;
        if status.as_u16() == 200 && !text.contains("not_screened") && text.contains("\"outcome\"") {
            Ok(())
        } else {
            Err(format!("{status}: {text}").into())
        }
    }

    /// So many under way at a time, until there are no more or somebody says stop.
    pub(crate) async fn closed_loop(
        &self,
        bodies: impl Iterator<Item = Bytes>,
        in_flight: usize,
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        let bodies = bodies.take_while(|_| !stop.load(Ordering::Relaxed));
        calls::closed_loop(bodies.map(|body| Self::ask(self.0.clone(), body)), in_flight).await
    }

    /// Each request when its time has come, whatever became of the earlier ones.
    pub(crate) async fn open_loop(
        &self,
        schedule: &Schedule,
        body: impl Fn(u64) -> Bytes,
    ) -> Result<Run, Failure> {
        calls::open_loop(schedule, crate::PATIENCE, |number| Self::ask(self.0.clone(), body(number))).await
    }
}

/// Requests of a run as one body: an object, or a list where there are several.
pub(crate) fn body(known: &[String], run: [u8; 8], numbers: Range<u64>) -> Bytes {
    let one = |number: u64| {
        let text = &known[(number % known.len() as u64) as usize];
        // The id stands first: `{"request_id":"` and 32 digits.
        const ID: Range<usize> = 15..47;
        let mut text = text.clone();
        text.replace_range(ID, &numbered(run, number).to_string());
        text
    };
    let many = numbers.end - numbers.start > 1;
    let texts: Vec<String> = numbers.map(one).collect();
    let joined = texts.join(",");
    Bytes::from(if many { format!("[{joined}]") } else { joined })
}
