//! A service that answers every request with "approve" and knows nothing: what the generator tests itself against, and
//! what benchmarks hold beside an engine.

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig, TokioRuntime, VarInt,
};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::frame::{ALPN, Next};
use sparr_protocol::ids::{RequestId, RuleSetDigest};
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::response::{AuthorisationResponse, Checked, Decided, Degraded, Position, Reasons};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// How the service behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers at once.
    Echo,
    /// Stops for a while, with everything that it does, before every so many-th request.
    Stall {
        /// How many requests lie between two stalls.
        every: u64,
        /// How long it stops.
        pause: Duration,
    },
}

/// Longest wait for a farewell to be sent.
const FAREWELL_WAIT: Duration = Duration::from_millis(200);

/// A running service. It ends when this is dropped.
pub struct Service {
    /// Where it listens.
    pub listen: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Service {
    /// Starts it on a free port of this machine, on a thread with this name.
    pub fn start(name: &str, config: ServerConfig, behaviour: Behaviour) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        let listen = socket.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let serving = async {
                let runtime = Arc::new(TokioRuntime);
                let Ok(endpoint) = Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)
                else {
                    return;
                };
                tokio::select! {
                    () = accept(&endpoint, behaviour) => {}
                    _ = stopped => {}
                }
                endpoint.close(VarInt::from_u32(0), b"the end");
                // A farewell that does not get through is no loss.
                let _ = tokio::time::timeout(FAREWELL_WAIT, endpoint.wait_idle()).await;
            };
            runtime.block_on(serving);
        })?;
        Ok(Self { listen, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

async fn accept(endpoint: &Endpoint, behaviour: Behaviour) {
    let local = tokio::task::LocalSet::new();
    let served = std::rc::Rc::new(std::cell::Cell::new(0));
    local
        .run_until(async {
            while let Some(incoming) = endpoint.accept().await {
                let Ok(connecting) = incoming.accept() else { continue };
                let served = served.clone();
                tokio::task::spawn_local(async move {
                    if let Ok(connection) = connecting.await {
                        streams(connection, behaviour, served).await;
                    }
                });
            }
        })
        .await;
}

async fn streams(connection: Connection, behaviour: Behaviour, served: std::rc::Rc<std::cell::Cell<u64>>) {
    while let Ok((send, recv)) = connection.accept_bi().await {
        tokio::task::spawn_local(answer(send, recv, behaviour, served.clone()));
    }
}

/// Answers what is readable, and writes the answers once.
async fn answer(
    mut send: SendStream,
    mut recv: RecvStream,
    behaviour: Behaviour,
    served: std::rc::Rc<std::cell::Cell<u64>>,
) {
    let (mut unread, mut answers) = (Vec::new(), Vec::new());
    while let Ok(Some(chunk)) = recv.read_chunk(usize::MAX, true).await {
        unread.extend_from_slice(&chunk.bytes);
        let mut taken = 0;
        while let Next::Frame { frame, consumed } = Next::parse(&unread[taken..], REQUEST_FRAME_BYTES_MAX) {
            taken += consumed;
            served.set(served.get() + 1);
            if let Behaviour::Stall { every, pause } = behaviour
                && served.get().is_multiple_of(every)
            {
                // Everything stops, as under a lock or in a collector's pause.
                std::thread::sleep(pause);
            }
            approval(frame.id()).encode(&mut answers);
        }
        unread.drain(..taken);
        if send.write_all(&answers).await.is_err() {
            return;
        }
        answers.clear();
    }
}

/// The answer of a service that knows nothing: approved.
pub fn approval(id: RequestId) -> AuthorisationResponse {
    AuthorisationResponse {
        request_id: id,
        answer: Ok(Decided {
            outcome: Outcome::Approve,
            review: Review::NoReview,
            hold_until: None,
            score: 0,
            reasons: Reasons::default(),
        }),
        rule_set_digest: RuleSetDigest::default(),
        position: Position { engine: 0, epoch: 0, index: 0 },
        staleness_ms: 0,
        degraded: Degraded::default(),
        natural: None,
        checked: Checked::default(),
        engine_us: 0,
    }
}

/// An authority made on the spot, with a server's certificate and a client's identity.
pub struct Keys {
    folder: TempDir,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

/// Why keys cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A file cannot be written.
    #[error("a certificate cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The TLS library does not take them.
    #[error("the TLS library does not take the certificate: {0}")]
    Tls(String),
}

impl Keys {
    /// Makes them, in a folder that goes with them.
    pub fn make() -> Result<Self, KeysError> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let sign = |usage: ExtendedKeyUsagePurpose| {
            let mut params = CertificateParams::new(Vec::new())?;
            params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            Ok::<_, rcgen::Error>((certificate, key))
        };
        let (server, server_key) = sign(ExtendedKeyUsagePurpose::ServerAuth)?;
        let (client, client_key) = sign(ExtendedKeyUsagePurpose::ClientAuth)?;
        let folder = tempfile::tempdir()?;
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text);
        write("ca.pem", authority.pem())?;
        write("cert.pem", client.pem())?;
        write("key.pem", client_key.serialize_pem())?;
        Ok(Self { folder, chain: vec![server.der().clone()], key: server_key.serialize_der() })
    }

    /// The client's folder: `cert.pem`, `key.pem`, `ca.pem`.
    pub fn identity_dir(&self) -> &Path {
        self.folder.path()
    }

    /// TLS over TCP with the server's certificate, for clients of the same authority who show theirs, and with this
    /// protocol inside.
    pub fn tls_config(&self, alpn: &[u8]) -> Result<Arc<rustls::ServerConfig>, KeysError> {
        let wrong = |error: &dyn std::fmt::Display| KeysError::Tls(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let authority = CertificateDer::from_pem_file(self.folder.path().join("ca.pem"));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| wrong(&error))?
            .with_client_cert_verifier(clients.build().map_err(|error| wrong(&error))?)
            .with_single_cert(self.chain.clone(), self.private_key())
            .map_err(|error| wrong(&error))?;
        tls.alpn_protocols = vec![alpn.to_vec()];
        Ok(Arc::new(tls))
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }

    /// A plain server configuration, with windows that never make a sender wait.
    pub fn server_config(&self) -> Result<ServerConfig, KeysError> {
        let wrong = |error: &dyn std::fmt::Display| KeysError::Tls(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| wrong(&error))?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.private_key())
            .map_err(|error| wrong(&error))?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let crypto = QuicServerConfig::try_from(tls).map_err(|error| wrong(&error))?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        let mut transport = quinn::TransportConfig::default();
        transport
            .stream_receive_window(VarInt::from_u32(16 << 20))
            .receive_window(VarInt::from_u32(64 << 20));
        config.transport_config(Arc::new(transport));
        Ok(config)
    }
}
