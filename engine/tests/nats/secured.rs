//! Encryption, certificates and passwords towards the broker.

use crate::broker::Node;
use crate::probe::{Probe, run};
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair as NatsKey;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
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

/// A token of NATS: who `of` is and may do, signed by `by`.
fn token(of: &NatsKey, by: &NatsKey, mut claims: Value) -> String {
    claims["version"] = 2.into();
    let body = json!({ "jti": "1", "iat": 1_700_000_000, "iss": by.public_key(), "name": "test", "sub": of.public_key(), "nats": claims });
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(body));
    let signature = BASE64URL_NOPAD.encode(&by.sign(signed.as_bytes()).expect("signed"));
    format!("{signed}.{signature}")
}

/// A `.creds` file as NATS's tools write it.
fn creds(user: &NatsKey, account: &NatsKey) -> String {
    let token = token(user, account, json!({ "type": "user", "subs": -1, "data": -1, "payload": -1 }));
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().expect("a seed")
    )
}

#[test]
fn a_creds_file_lets_an_engine_into_its_account_and_a_stranger_s_does_not() {
    let (operator, system, account) =
        (NatsKey::new_operator(), NatsKey::new_account(), NatsKey::new_account());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let with_storage = token(&account, &operator, json!({ "type": "account", "limits": limits }));
    let without = json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1 });
    let of_system = token(&system, &operator, json!({ "type": "account", "limits": without }));
    let of_operator =
        token(&operator, &operator, json!({ "type": "operator", "system_account": system.public_key() }));
    let Some(node) = Node::start_with(&format!(
        "operator: {of_operator}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {with_storage}, {}: {of_system} }}",
        system.public_key(),
        account.public_key(),
        system.public_key()
    )) else {
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    run(async {
        for (name, signed_by) in [("known", &account), ("stranger", &NatsKey::new_account())] {
            let file = folder.path().join(name);
            std::fs::write(&file, creds(&NatsKey::new_user(), signed_by)).expect("written");
            let mut probe = Probe::start(name, to(&node, None, Some(file)));
            if name == "known" {
                probe.until_caught_up().await;
            } else {
                let why = probe.until_down().await;
                assert!(why.contains("authorization"), "{why}");
            }
        }
    });
}
