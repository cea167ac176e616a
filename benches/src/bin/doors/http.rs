//! A client of the HTTPS door: HTTP/2 on one connection.

use crate::Failure;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sparr_loadgen::frames::numbered;
use sparr_loadgen::open_loop::{NEVER, Run};
use sparr_loadgen::schedule::Schedule;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
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
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(identity.join("ca.pem"))?)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(identity.join("cert.pem"))?.collect();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain?, PrivateKeyDer::from_pem_file(identity.join("key.pem"))?)?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { address, tls: TlsConnector::from(Arc::new(tls)) })
    }

    /// Connects. The connection is moved by the runtime that it was made on.
    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::try_from("127.0.0.1")?, stream).await?;
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
        let mut bodies = bodies.take_while(|_| !stop.load(Ordering::Relaxed));
        let mut calls = FuturesUnordered::new();
        calls.extend(bodies.by_ref().take(in_flight).map(|body| Self::ask(self.0.clone(), body)));
        while let Some(answered) = calls.next().await {
            answered?;
            calls.extend(bodies.next().map(|body| Self::ask(self.0.clone(), body)));
        }
        Ok(())
    }

    /// Each request when its time has come, whatever became of the earlier ones.
    pub(crate) async fn open_loop(
        &self,
        schedule: &Schedule,
        body: impl Fn(u64) -> Bytes,
    ) -> Result<Run, Failure> {
        let intended_ns: Vec<u64> = schedule.intended_ns().collect();
        let count = intended_ns.len();
        let mut run = Run {
            lateness_ns: vec![0; count],
            latency_ns: vec![NEVER; count],
            intended_ns,
            ..Run::default()
        };
        let mut calls = JoinSet::new();
        let started = Instant::now();
        for number in 0..count {
            let intended = Duration::from_nanos(run.intended_ns[number]);
            // A runtime's timer ticks in milliseconds.
            while started.elapsed() < intended {
                tokio::task::yield_now().await;
            }
            run.lateness_ns[number] = (started.elapsed() - intended).as_nanos() as u64;
            let call = Self::ask(self.0.clone(), body(number as u64));
            calls.spawn(async move {
                call.await?;
                Ok::<_, Failure>((number, (started.elapsed() - intended).as_nanos() as u64))
            });
        }
        while let Some(answered) = tokio::time::timeout(crate::PATIENCE, calls.join_next()).await? {
            let (number, took) = answered??;
            run.latency_ns[number] = took;
        }
        run.took = started.elapsed();
        Ok(run)
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
