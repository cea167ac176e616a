//! An authority of a member, and what it signs.

use crate::support::EngineProcess;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What a certificate says.
pub(crate) struct Wanted {
    pub(crate) folder: &'static str,
    pub(crate) uris: &'static [&'static str],
    pub(crate) purpose: ExtendedKeyUsagePurpose,
    pub(crate) serial: u64,
    /// Year of its end.
    pub(crate) until: i32,
}

/// A gateway of the member `bank-1`.
pub(crate) const GATEWAY: &str = "sparr://member/bank-1/gateway/g1";

/// A client's certificate.
pub(crate) const fn client(folder: &'static str, uris: &'static [&'static str], serial: u64) -> Wanted {
    Wanted { folder, uris, purpose: ExtendedKeyUsagePurpose::ClientAuth, serial, until: 2_100 }
}

/// An authority and everything that it has signed, in a folder.
pub(crate) struct Authority {
    pub(crate) folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("signed");
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { folder, issuer }
    }

    /// Signs a certificate and leaves the identity in a folder.
    pub(crate) fn sign(&self, wanted: &Wanted) -> PathBuf {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(wanted.serial));
        params.not_before = date_time_ymd(2_020, 1, 1);
        params.not_after = date_time_ymd(wanted.until, 1, 1);
        params.extended_key_usages = vec![wanted.purpose.clone()];
        for uri in wanted.uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into().expect("ASCII")));
        }
        if wanted.purpose == ExtendedKeyUsagePurpose::ServerAuth {
            params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        }
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let folder = self.folder.path().join(wanted.folder);
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join("cert.pem"), certificate.pem()).expect("written");
        fs::write(folder.join("key.pem"), key.serialize_pem()).expect("written");
        fs::write(folder.join("ca.pem"), self.issuer.pem()).expect("written");
        folder
    }

    /// Writes the list of what is revoked.
    pub(crate) fn revoke(&self, serials: &[u64], until: i32) {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2_021, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2_020, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("signed").pem().expect("PEM");
        fs::write(self.folder.path().join("revoked.pem"), list).expect("written");
    }

    /// A production engine of the member `bank-1` with this authority; `more` stands among its first keys.
    pub(crate) fn engine(&self, more: &str) -> EngineProcess {
        let server = Wanted {
            folder: "server",
            uris: &[],
            purpose: ExtendedKeyUsagePurpose::ServerAuth,
            serial: 900,
            until: 2_100,
        };
        let server = self.sign(&server);
        let data = self.folder.path().join("data");
        fs::create_dir_all(data.join("keys")).expect("made");
        let key = data.join("keys/network-1.key");
        fs::write(&key, format!("{}\n", "5a".repeat(32))).expect("written");
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o400)).expect("allowed");
        let path = |file: &Path| toml_text(file);
        let config = format!(
            "member = \"bank-1\"\nverify_unavailable = \"decline\"\nactivation = \"reload\"\ndata_dir = {}\nrules = {}\n{more}[tls]\ncertificate = {}\n\
             key = {}\nclient_authorities = {}\nrevoked = {}\n",
            path(&data),
            path(&crate::support::shipped_rules()),
            path(&server.join("cert.pem")),
            path(&server.join("key.pem")),
            path(&self.folder.path().join("ca.pem")),
            path(&self.folder.path().join("revoked.pem")),
        );
        let file = self.folder.path().join("engine.toml");
        fs::write(&file, config).expect("written");
        EngineProcess::start_configured(&data, &file)
    }
}

fn toml_text(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}
