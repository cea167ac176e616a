//! Who is calling: from the certificate alone, never from a message.

use rustls::pki_types::CertificateDer;
use sparr_protocol::ids::Actor;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a certificate that the authority signed names no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The connection has no certificate, or one that cannot be read.
    #[error("no client certificate")]
    NoCertificate,
    /// It has no URI of the form `sparr://member/<member>/<role>/<id>`.
    #[error("the certificate names no sparr://member/<member>/<role>/<id>")]
    NoActor,
    /// It has several, so that it is not clear who is calling.
    #[error("the certificate names several callers")]
    SeveralActors,
}

/// The caller that a connection's certificate names.
pub fn caller(connection: &quinn::Connection) -> Result<Actor, CallerError> {
    let identity = connection.peer_identity().ok_or(CallerError::NoCertificate)?;
    let chain =
        identity.downcast::<Vec<CertificateDer<'static>>>().map_err(|_| CallerError::NoCertificate)?;
    actor_of(chain.first().ok_or(CallerError::NoCertificate)?)
}

/// The one actor that a certificate's subject alternative names name.
pub fn actor_of(certificate: &CertificateDer<'_>) -> Result<Actor, CallerError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CallerError::NoCertificate)?;
    let names = parsed.subject_alternative_name().ok().flatten().ok_or(CallerError::NoActor)?;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with("sparr:") => Some(*uri),
        _ => None,
    });
    let uri = uris.next().ok_or(CallerError::NoActor)?;
    if uris.next().is_some() {
        return Err(CallerError::SeveralActors);
    }
    Actor::parse_uri(uri).ok_or(CallerError::NoActor)
}
