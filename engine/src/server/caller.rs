//! Who is calling: from the certificate alone, never from a message.

use super::worker::Shared;
use crate::metrics::Rejected;
use rustls::pki_types::CertificateDer;
use sparr_protocol::frame::CloseCode;
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

/// Lets a caller in whose member is known here. People of other members come in where the configuration or the central
/// organisation named their member: the police and the central organisation have no engine of their own. What they may do
/// is another question.
pub(super) fn admitted(
    caller: Result<Actor, CallerError>,
    shared: &Shared,
) -> Result<Actor, (Rejected, CloseCode)> {
    let actor = caller.map_err(|error| match error {
        CallerError::NoCertificate | CallerError::NoActor | CallerError::SeveralActors => {
            (Rejected::NoCaller, CloseCode::NoCaller)
        }
    })?;
    if actor.member == shared.member || shared.state.members.kind(actor.member).is_some() {
        Ok(actor)
    } else {
        Err((Rejected::OtherMember, CloseCode::OtherMember))
    }
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
