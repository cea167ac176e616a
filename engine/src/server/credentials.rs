//! The engine's certificates and those that it lets in, as files.

use super::config::{EngineConfig, TlsFiles};
use super::dev;
use super::engine::StartError;
use super::transport::Credentials;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::path::Path;

/// Reads the certificates, making the development ones first where that is asked for.
pub(super) fn credentials(config: &EngineConfig) -> Result<Credentials, StartError> {
    let (certificate, key, client_authorities, revoked) = match &config.tls {
        TlsFiles::Development => {
            let dir = config.data_dir.join("dev");
            dev::make_identities(&dir, config.member, config.listen.ip())
                .map_err(|error| StartError::Certificates(error.to_string()))?;
            let engine = dir.join(dev::ENGINE_DIR);
            (engine.join("cert.pem"), engine.join("key.pem"), engine.join("ca.pem"), None)
        }
        TlsFiles::Files { certificate, key, client_authorities, revoked } => {
            (certificate.clone(), key.clone(), client_authorities.clone(), revoked.clone())
        }
    };
    let mut authorities = RootCertStore::empty();
    for authority in pem_all::<CertificateDer<'static>>(&client_authorities)? {
        authorities.add(authority).map_err(|error| {
            StartError::Certificates(format!("{}: {error}", client_authorities.display()))
        })?;
    }
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|error| StartError::Certificates(format!("{}: {error}", key.display())))?;
    let revoked = match revoked {
        Some(file) => pem_all::<CertificateRevocationListDer<'static>>(&file)?,
        None => Vec::new(),
    };
    Ok(Credentials { chain: pem_all(&certificate)?, key, authorities, revoked })
}

fn pem_all<T: PemObject>(file: &Path) -> Result<Vec<T>, StartError> {
    let failed = |error: rustls::pki_types::pem::Error| {
        StartError::Certificates(format!("{}: {error}", file.display()))
    };
    let all: Vec<T> = T::pem_file_iter(file).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if all.is_empty() {
        return Err(StartError::Certificates(format!("{}: nothing of its kind in it", file.display())));
    }
    Ok(all)
}
