//! The one hardened constructor for what listens on the data plane.
//!
//! quinn's convenience constructors turn 0-RTT on and leave 1.25 MB per stream open, so everything is set by hand:
//! TLS 1.3 only, mutual, no 0-RTT, no resumption (a resumed session would skip the check of revocation), no
//! migration, no datagrams, few streams, small windows, bounded handshakes.

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{AckFrequencyConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use sparr_protocol::frame::ALPN;
use std::sync::Arc;
use std::time::Duration;

/// Streams that one connection may have open: a simple client opens one per request, a fast one holds a few.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Unread bytes that one stream may hold: about 200 requests.
pub const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// Unread bytes that one connection may hold. With [`SEND_WINDOW_BYTES`] it keeps a hostile connection under 1 MiB.
pub const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// Answers that may wait for a connection's acknowledgement.
pub const SEND_WINDOW_BYTES: u64 = 256 << 10;
/// A connection that says nothing for so long is closed, ms.
pub const IDLE_MS_MAX: u32 = 10_000;
/// Handshakes that may be under way at once on one endpoint.
pub const HANDSHAKES_MAX: usize = 256;
/// Above so many handshakes a client must first prove its address (Retry).
pub const HANDSHAKES_BEFORE_RETRY: usize = 64;
/// Longest handshake.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);
/// Bytes of early packets that all unfinished handshakes may hold.
const INCOMING_BYTES_TOTAL: u64 = 8 << 20;
const INCOMING_BYTES_EACH: u64 = 64 << 10;
/// Acknowledgement after this many packets (measured: +40–55 % requests/s against one for two).
const ACK_ELICITING_THRESHOLD: u32 = 10;

const _: () = assert!(CONNECTION_WINDOW_BYTES as u64 + SEND_WINDOW_BYTES <= 1 << 20);

/// Certificates of an engine, and whom it lets in.
pub struct Credentials {
    /// The engine's certificate chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// Authorities whose certificates may connect.
    pub authorities: RootCertStore,
    /// Revoked certificates; empty where none are configured.
    pub revoked: Vec<CertificateRevocationListDer<'static>>,
}

/// TLS of every door: 1.3 only, mutual, no 0-RTT, no resumption.
pub fn tls_config(credentials: &Credentials, protocols: &[&[u8]]) -> Result<rustls::ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let authorities = Arc::new(credentials.authorities.clone());
    let mut verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider.clone());
    if !credentials.revoked.is_empty() {
        // An authority without a list in force is refused: not knowing is not "not revoked".
        verifier = verifier.with_crls(credentials.revoked.clone()).enforce_revocation_expiration();
    }
    let verifier = verifier.build().map_err(|error| error.to_string())?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(credentials.chain.clone(), credentials.key.clone_key())
        .map_err(|error| error.to_string())?;
    tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    tls.max_early_data_size = 0;
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    Ok(tls)
}

/// The server configuration, for every endpoint.
pub fn server_config(credentials: &Credentials) -> Result<ServerConfig, String> {
    let tls = tls_config(credentials, &[ALPN])?;
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| error.to_string())?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(transport()))
        .migration(false)
        .max_incoming(HANDSHAKES_MAX)
        .incoming_buffer_size(INCOMING_BYTES_EACH)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Ok(config)
}

/// The endpoint's own configuration.
pub fn endpoint_config(reset_key: &[u8; 32]) -> EndpointConfig {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, reset_key);
    let mut config = EndpointConfig::new(Arc::new(key));
    // Connection ids are recognised after a restart too; those of strangers are dropped without an answer.
    let ids = blake3::keyed_hash(reset_key, b"connection ids");
    let ids = u64::from_le_bytes(std::array::from_fn(|at| ids.as_bytes()[at]));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
    config
}

/// The data plane's transport: streams, windows, acknowledgements.
pub fn transport() -> TransportConfig {
    let mut ack_frequency = AckFrequencyConfig::default();
    ack_frequency.ack_eliciting_threshold(VarInt::from_u32(ACK_ELICITING_THRESHOLD));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_PER_CONNECTION_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS_MAX))))
        .ack_frequency_config(Some(ack_frequency));
    transport
}
