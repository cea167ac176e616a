//! Encryption, certificates and passwords towards the broker.

use crate::broker::Node;
use crate::probe::{Probe, run};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sparr_engine::server::config::{LinkConfig, LinkTls};
use sparr_engine::server::link::{LinkEvent, Slot};
use std::path::{Path, PathBuf};

/// Makes an authority, and an identity that it signs, as PEM files in a folder.
fn identities(dir: &Path, authority: &str, names: &[&str]) {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    std::fs::write(dir.join(format!("{authority}.pem")), certificate.pem()).expect("written");
    let issuer = Issuer::new(params, key);
    for name in names {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("params");
        let certificate = params.signed_by(&key, &issuer).expect("signed");
        std::fs::write(dir.join(format!("{name}.pem")), certificate.pem()).expect("written");
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).expect("written");
    }
}

fn to(node: &Node, tls: Option<LinkTls>, credentials: Option<PathBuf>) -> LinkConfig {
    let (servers, network) = (vec![node.url()], "test".to_owned());
    LinkConfig { servers, network, replicas: 1, credentials, tls }
}

#[test]
fn a_broker_that_wants_certificates_gets_them_and_others_are_not_trusted() {
    let folder = tempfile::tempdir().expect("folder");
    let dir = folder.path();
    identities(dir, "ca", &["server", "engine"]);
    identities(dir, "other-ca", &["stranger"]);
    let file = |name: &str| dir.join(name);
    let tls = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    );
    let Some(node) = Node::start_with(&tls) else { return };
    let with = |authority: &str, name: Option<&str>| {
        let identity = name.map(|name| (file(&format!("{name}.pem")), file(&format!("{name}.key"))));
        to(&node, Some(LinkTls { authorities: file(authority), identity }), None)
    };
    run(async {
        let mut engine = Probe::ready("engine", with("ca.pem", Some("engine"))).await;
        engine.broadcast(Slot::Beat, None, "encrypted");
        engine.until_broadcast("encrypted").await;
        let refused = [
            with("other-ca.pem", Some("engine")),
            with("ca.pem", Some("stranger")),
            with("ca.pem", None),
            with("no-such-file.pem", Some("engine")),
        ];
        for config in refused {
            let mut probe = Probe::start("refused", config.clone());
            probe.until_down().await;
            assert_eq!(probe.count(|event| matches!(event, LinkEvent::Up { .. })), 0, "{config:?}");
        }
    });
}

#[test]
fn encryption_that_is_asked_for_is_never_left_out() {
    let folder = tempfile::tempdir().expect("folder");
    identities(folder.path(), "ca", &[]);
    let Some(node) = Node::start() else { return };
    run(async {
        let tls = LinkTls { authorities: folder.path().join("ca.pem"), identity: None };
        let mut probe = Probe::start("a", to(&node, Some(tls), None));
        probe.until_down().await;
        assert_eq!(probe.count(|event| matches!(event, LinkEvent::Up { .. })), 0);
    });
}

#[test]
fn a_password_comes_from_a_file_and_stands_in_no_reason() {
    let Some(node) = Node::start_with("authorization { user: engine, password: correct-horse }") else {
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let cases = [
        ("right", Some("engine:correct-horse\n")),
        ("wrong", Some("engine:battery-staple\n")),
        ("neither", Some("correct-horse\n")),
        ("missing", None),
    ];
    run(async {
        for (name, text) in cases {
            let file = folder.path().join(name);
            if let Some(text) = text {
                std::fs::write(&file, text).expect("written");
            }
            let mut probe = Probe::start(name, to(&node, None, Some(file)));
            if name == "right" {
                probe.until_caught_up().await;
                continue;
            }
            let why = probe.until_down().await;
            assert!(!why.contains("correct-horse") && !why.contains("battery-staple"), "{why}");
            assert_eq!(probe.count(|event| matches!(event, LinkEvent::Up { .. })), 0, "{name}");
        }
    });
}
