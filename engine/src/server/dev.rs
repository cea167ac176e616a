//! Development certificates: an authority of its own and one identity per role, made at the first start.
//!
//! For trying sparr out. A production engine gets its certificates from the member's own authority.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, string::Ia5String,
};
use sparr_protocol::codes::Role;
use sparr_protocol::ids::{Actor, MemberName};
use sparr_protocol::member::MemberKind;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Folder of the engine's own identity.
pub(super) const ENGINE_DIR: &str = "engine";

/// Members that a development engine knows beside its own, with what kind of organisation they are, and whose people
/// get an identity.
pub(super) const OTHER_MEMBERS: &[(&str, MemberKind)] = &[
    ("police", MemberKind::Police),
    ("centre", MemberKind::CentralOrganisation),
    ("bank-b", MemberKind::Bank),
];

/// Identities beside the one of each role: folder, member (the engine's own where none is named), role, id.
const SECOND_PERSONS: &[(&str, Option<&str>, Role, &str)] = &[
    ("gateway-2", None, Role::Gateway, "gateway-2"),
    ("desk-2", None, Role::Desk, "desk-2"),
    ("analyst-2", None, Role::Analyst, "analyst-2"),
    ("risk-2", None, Role::Risk, "risk-2"),
    ("centre-2", Some("centre"), Role::Centre, "centre-2"),
    ("desk-b", Some("bank-b"), Role::Desk, "desk-b"),
    ("risk-b", Some("bank-b"), Role::Risk, "risk-b"),
    ("analyst-b", Some("bank-b"), Role::Analyst, "analyst-b"),
];

/// The member whose people have a role in a development engine: the police and the centre are nobody's department.
fn member_of(role: Role, own: MemberName) -> Option<MemberName> {
    match role {
        Role::Police => MemberName::parse("police"),
        Role::Centre => MemberName::parse("centre"),
        Role::Gateway | Role::Desk | Role::Analyst | Role::Risk | Role::Operator => Some(own),
    }
}

/// Why no certificates could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum DevError {
    /// A file cannot be written.
    #[error("development certificates: {0}")]
    Io(#[from] io::Error),
    /// A certificate cannot be made.
    #[error("development certificates: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Makes `dir/<role>/{cert,key,ca}.pem` for every role, for a few second persons and people of other members, and for
/// the engine, unless they are there already.
///
/// The engine's certificate is good for localhost and for the address that it listens on.
pub(super) fn make_identities(dir: &Path, member: MemberName, listen: IpAddr) -> Result<(), DevError> {
    let done = dir.join("made-for");
    let wanted = format!("{member} {listen}, {} persons\n", Role::ALL.len() + SECOND_PERSONS.len());
    if fs::read_to_string(&done).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "sparr development authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let of_roles = Role::ALL
        .iter()
        .map(|role| (role.name(), member_of(*role, member), *role, format!("{}-1", role.name())));
    let second = SECOND_PERSONS.iter().map(|(folder, other, role, id)| {
        (*folder, other.map_or(Some(member), MemberName::parse), *role, (*id).to_owned())
    });
    for (folder, member, role, id) in of_roles.chain(second) {
        let uri = member.and_then(|member| Actor::new(member, role, &id)).map(|actor| actor.to_string());
        let purpose = ExtendedKeyUsagePurpose::ClientAuth;
        make_identity(&dir.join(folder), &authority, vec![uri], Vec::new(), purpose)?;
    }
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    if !listen.is_unspecified() && !addresses.contains(&listen) {
        addresses.push(listen);
    }
    make_identity(
        &dir.join(ENGINE_DIR),
        &authority,
        Vec::new(),
        addresses,
        ExtendedKeyUsagePurpose::ServerAuth,
    )?;
    fs::write(done, wanted)?;
    Ok(())
}

fn make_identity(
    dir: &Path,
    authority: &CertifiedIssuer<'_, KeyPair>,
    uris: Vec<Option<String>>,
    addresses: Vec<IpAddr>,
    purpose: ExtendedKeyUsagePurpose,
) -> Result<(), DevError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "sparr development identity");
    params.serial_number = Some(SerialNumber::from(super::keys::random_id().to_vec()));
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    for uri in uris.into_iter().flatten() {
        params.subject_alt_names.push(SanType::URI(Ia5String::try_from(uri)?));
    }
    if !addresses.is_empty() {
        params.subject_alt_names.push(SanType::DnsName(Ia5String::try_from("localhost")?));
        params.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
    }
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    fs::create_dir_all(dir)?;
    fs::write(dir.join("cert.pem"), certificate.pem())?;
    fs::write(dir.join("ca.pem"), authority.pem())?;
    let key_file = dir.join("key.pem");
    // The old key may be read-only: a new one takes its place.
    match fs::remove_file(&key_file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o400).open(key_file)?;
    out.write_all(key.serialize_pem().as_bytes())?;
    Ok(())
}
