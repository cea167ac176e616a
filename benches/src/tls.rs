//! TLS over TCP as a client: what every peer that is not QUIC needs.

use crate::Failure;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// With the identity in a folder (`cert.pem`, `key.pem`, `ca.pem`), and this protocol inside.
pub fn connector(identity: &Path, alpn: &[u8]) -> Result<TlsConnector, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(identity.join("ca.pem"))?)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(identity.join("cert.pem"))?.collect();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain?, PrivateKeyDer::from_pem_file(identity.join("key.pem"))?)?;
    tls.alpn_protocols = vec![alpn.to_vec()];
    Ok(TlsConnector::from(Arc::new(tls)))
}

/// A connection to a service of this machine.
pub async fn connect(connector: &TlsConnector, address: SocketAddr) -> Result<TlsStream<TcpStream>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(connector.connect(ServerName::try_from("127.0.0.1")?, stream).await?)
}
