//! How a client connects: where to, as whom, how long it waits.

use super::FailPolicy;
use super::pipe::ConnectError;
use crate::frame::ALPN;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{AckFrequencyConfig, IdleTimeout, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How a client connects. There is no default: the fail policy is the gateway's own decision.
#[derive(Clone)]
pub struct ClientConfig {
    /// Address of the engine.
    pub engine: SocketAddr,
    /// Name or address that the engine's certificate must carry.
    pub engine_name: String,
    /// The certificate that says who asks.
    pub identity: Identity,
    /// Longest wait for a decision. Never infinite.
    pub timeout: Duration,
    /// Longest wait for an operation of the exchange, which waits for a disk.
    pub exchange_timeout: Duration,
    /// Calls that may be in flight at once.
    pub in_flight_max: usize,
    /// What to do when there is no decision.
    pub fail_policy: FailPolicy,
    /// Of each hundred decisions that are asked for, so many tries more may be made after refusals and lost connections; 0 to
    /// 100, 0 for none.
    pub retry_percent: u8,
    /// A second engine of the same member, with the name that its certificate must carry: decisions are asked of it too where
    /// the first is slower than 19 times out of 20, or cannot be reached.
    pub second: Option<(SocketAddr, String)>,
    /// Of each hundred decisions that are asked for, so many may be asked of a slow first and of the second engine; 0 to 100.
    pub hedge_percent: u8,
}

impl ClientConfig {
    /// Waits of 250 ms and 5 s, 4,096 calls in flight, one decision in ten asked for again, no second engine.
    pub fn new(engine: SocketAddr, identity: Identity, fail_policy: FailPolicy) -> Self {
        Self {
            engine,
            engine_name: engine.ip().to_string(),
            identity,
            timeout: Duration::from_millis(250),
            exchange_timeout: Duration::from_secs(5),
            in_flight_max: 4_096,
            fail_policy,
            retry_percent: 10,
            second: None,
            hedge_percent: 5,
        }
    }
}

/// A client's certificate chain and key, and the authority that signed the engine's.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Arc<RootCertStore>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key(), authorities: self.authorities.clone() }
    }
}

/// Why a folder is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct IdentityError {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl Identity {
    /// Reads `cert.pem`, `key.pem` and `ca.pem` from a folder.
    pub fn from_dir(dir: &Path) -> Result<Self, IdentityError> {
        let failed = |file: &Path, error: rustls::pki_types::pem::Error| IdentityError {
            file: file.to_owned(),
            problem: error.to_string(),
        };
        let certificates = |name: &str| {
            let file = dir.join(name);
            let all: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(&file).map_err(|error| failed(&file, error))?.collect();
            match all {
                Ok(all) if all.is_empty() => {
                    Err(IdentityError { file, problem: "no certificate in it".to_owned() })
                }
                Ok(all) => Ok(all),
                Err(error) => Err(failed(&file, error)),
            }
        };
        let chain = certificates("cert.pem")?;
        let mut authorities = RootCertStore::empty();
        for authority in certificates("ca.pem")? {
            authorities
                .add(authority)
                .map_err(|error| IdentityError { file: dir.join("ca.pem"), problem: error.to_string() })?;
        }
        let key_file = dir.join("key.pem");
        let key = PrivateKeyDer::from_pem_file(&key_file).map_err(|error| failed(&key_file, error))?;
        Ok(Self { chain, key, authorities: Arc::new(authorities) })
    }

    /// The one client configuration: TLS 1.3, mutual, no resumption (a resumed session would skip the check of
    /// revocation), no 0-RTT, acknowledgements held back, because a packet costs more than a request.
    pub(super) fn quic(&self) -> Result<quinn::ClientConfig, ConnectError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let wrong = |error: &dyn std::fmt::Display| ConnectError::Certificate(error.to_string());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| wrong(&error))?
            .with_root_certificates(self.authorities.clone())
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| wrong(&error))?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.resumption = Resumption::disabled();
        tls.enable_early_data = false;
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| wrong(&error))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport()));
        Ok(config)
    }
}

/// Acknowledgement after this many packets (measured: +40–55 % requests/s against one for two).
const ACK_ELICITING_THRESHOLD: u32 = 10;
const IDLE_MS_MAX: u32 = 10_000;
const KEEP_ALIVE: Duration = Duration::from_secs(3);

fn transport() -> TransportConfig {
    let mut ack_frequency = AckFrequencyConfig::default();
    ack_frequency.ack_eliciting_threshold(VarInt::from_u32(ACK_ELICITING_THRESHOLD));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS_MAX))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .ack_frequency_config(Some(ack_frequency));
    transport
}
