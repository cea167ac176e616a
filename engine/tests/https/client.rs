//! A client of the HTTPS door: HTTP/1.1 written by hand, so that it can be written wrongly, and HTTP/2 by hyper.

use crate::support::EngineProcess;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A development engine with the door open.
pub(crate) fn engine() -> EngineProcess {
    let rules = crate::support::shipped_rules().display().to_string();
    EngineProcess::start_with(&["--rules", &rules, "--https", "127.0.0.1:0"])
}

/// Where an engine's HTTPS door is, as its log says.
pub(crate) fn address(engine: &EngineProcess) -> SocketAddr {
    let log = engine.log();
    let line = log.lines().find(|line| line.contains("the HTTPS door is open")).expect("it is open");
    let line: Value = serde_json::from_str(line).expect("a JSON line");
    line["https"].as_str().expect("an address").parse().expect("an address")
}

/// An answer of the door.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media_type: String,
    /// The head as it came, where it was HTTP/1.1.
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// Somebody at the door, with an identity.
pub(crate) struct Caller {
    address: SocketAddr,
    tls: ClientConfig,
}

impl Caller {
    /// A role of a development engine.
    pub(crate) fn of(engine: &EngineProcess, role: &str) -> Self {
        Self::with(address(engine), &engine.data_dir.join("dev").join(role))
    }

    /// The identity in a folder.
    pub(crate) fn with(address: SocketAddr, identity: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(identity.join("cert.pem")).expect("a chain");
        let key = PrivateKeyDer::from_pem_file(identity.join("key.pem")).expect("a key");
        let tls = Self::trusting(&identity.join("ca.pem"))
            .with_client_auth_cert(chain.map(|one| one.expect("PEM")).collect(), key)
            .expect("they fit");
        Self { address, tls }
    }

    /// Nobody in particular.
    pub(crate) fn without(address: SocketAddr, authority: &Path) -> Self {
        Self { address, tls: Self::trusting(authority).with_no_client_auth() }
    }

    fn trusting(authority: &Path) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).expect("a certificate")).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
    }

    /// Where they go, and with what.
    #[allow(dead_code, reason = "for the tests of the desk page")]
    pub(crate) fn way(&self) -> (SocketAddr, ClientConfig) {
        (self.address, self.tls.clone())
    }

    fn name() -> ServerName<'static> {
        ServerName::try_from("127.0.0.1").expect("a name")
    }

    /// An open connection.
    pub(crate) fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let stream = TcpStream::connect(self.address).expect("the door listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        let connection = ClientConnection::new(Arc::new(self.tls.clone()), Self::name()).expect("legal");
        StreamOwned::new(connection, stream)
    }

    /// Writes bytes and reads until the engine closes; an error where it hangs up.
    pub(crate) fn raw(&self, bytes: &[u8]) -> std::io::Result<String> {
        let mut stream = self.connect();
        stream.write_all(bytes)?;
        read_all(&mut stream)
    }

    /// Sends a request over HTTP/1.1.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: sparr\r\nConnection: close\r\n");
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        parse(&self.raw(text.as_bytes()).expect("an answer"))
    }

    /// Posts JSON over HTTP/1.1.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[JSON], &body.to_string())
    }

    /// A connection for HTTP/2.
    async fn h2_stream(&self) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        let stream = tokio::net::TcpStream::connect(self.address).await.expect("the door listens");
        let mut tls = self.tls.clone();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let tls = tokio_rustls::TlsConnector::from(Arc::new(tls));
        let stream = tls.connect(Self::name(), stream).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
    }

    /// Begins so many requests over HTTP/2 on one connection whose bodies never come, and waits for what is said of them: the
    /// statuses.
    pub(crate) async fn begin_h2(&self, path: &str, count: usize) -> Vec<u16> {
        let body = || StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let stream = self.h2_stream().await;
        let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = shaken.await.expect("HTTP/2");
        let asked = (0..count).map(|_| {
            let mut sender = sender.clone();
            let request = hyper::Request::post(format!("https://sparr{path}")).header(JSON.0, JSON.1);
            let request = request.body(body()).expect("legal");
            async move { sender.send_request(request).await.expect("an answer").status().as_u16() }
        });
        tokio::select! {
            statuses = futures_util::future::join_all(asked) => statuses,
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    }

    /// Posts JSON over HTTP/2: all of it at once, on one connection.
    pub(crate) fn post_h2(&self, path: &str, bodies: &[Value]) -> Vec<Answer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let stream = self.h2_stream().await;
            let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
            let (sender, connection) = shaken.await.expect("HTTP/2");
            let asked = bodies.iter().map(|body| {
                let mut sender = sender.clone();
                let request = hyper::Request::post(format!("https://sparr{path}"))
                    .header(JSON.0, JSON.1)
                    .body(Full::new(Bytes::from(body.to_string())))
                    .expect("legal");
                async move {
                    let response = sender.send_request(request).await.expect("an answer");
                    let media_type = response.headers().get("content-type").expect("one");
                    let media_type = media_type.to_str().expect("text").to_owned();
                    let status = response.status().as_u16();
                    let body = response.into_body().collect().await.expect("a body").to_bytes();
                    let body = serde_json::from_slice(&body).expect("JSON");
                    Answer { status, media_type, head: String::new(), body }
                }
            });
            tokio::select! {
                answers = futures_util::future::join_all(asked) => answers,
                ended = connection => panic!("the connection ended: {ended:?}"),
            }
        })
    }
}

/// What a body of JSON says of itself.
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Reads until the other side closes.
pub(crate) fn read_all(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> std::io::Result<String> {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // An engine that gives a connection up does not say goodbye in TLS.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => return Err(error),
        Ok(_) | Err(_) => {}
    }
    String::from_utf8(answer).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

/// Takes an answer of HTTP/1.1 apart.
pub(crate) fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let media_type = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .unwrap_or_else(|| panic!("no type: {head}"))
        .to_owned();
    let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
    Answer { status, media_type, head: head.to_owned(), body }
}

/// The document in the repository.
pub(crate) fn document() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect("readable")).expect("JSON")
}

/// Checks that an answer is one that the document names for a path.
pub(crate) fn in_document(document: &Value, path: &str, answer: &Answer) {
    let name = format!("/paths/{}/post/responses/{}/content", path.replace('/', "~1"), answer.status);
    let schema = document.pointer(&name).and_then(|content| content.get(&answer.media_type));
    let schema = schema.unwrap_or_else(|| panic!("{path}: {} {}", answer.status, answer.media_type));
    let mut schema = schema["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let errors: Vec<String> = validator.iter_errors(&answer.body).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{path}: {:#}\n{}", answer.body, errors.join("\n"));
}
