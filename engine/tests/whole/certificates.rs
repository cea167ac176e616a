//! A production engine with certificates of its own authority: who is let in, who is not, and how TLS is closed.

use crate::authority::{Authority, GATEWAY, Wanted, client};
use crate::support::{EngineProcess, id, send_raw, text};
use futures_util::FutureExt as _;
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::json;
use sparr_protocol::client::{ClientConfig, FailPolicy, Fallback, Identity};
use sparr_protocol::frame::ALPN;
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn connect(engine: &EngineProcess, identity: &Path) -> (Option<i32>, String) {
    let request = json!({ "request_id": id(1), "kind": "refund" }).to_string();
    let output = crate::support::sparr()
        .args(["screen", "--json", &request, "--connect", &engine.listen.to_string(), "--identity"])
        .arg(identity)
        .output()
        .expect("it runs");
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn only_a_certificate_that_names_one_caller_of_this_member_is_let_in() {
    let authority = Authority::new();
    authority.revoke(&[50], 2_100);
    let engine = authority.engine("");
    let expired = Wanted { until: 2_021, ..client("expired", &[GATEWAY], 51) };
    let server_only =
        Wanted { purpose: ExtendedKeyUsagePurpose::ServerAuth, ..client("server-only", &[GATEWAY], 52) };
    let table: [(Wanted, &str, &str); 9] = [
        (client("good", &[GATEWAY], 1), "approve", ""),
        (client("revoked", &[GATEWAY], 50), "refused this client", "handshake"),
        (expired, "refused this client", "handshake"),
        (server_only, "refused this client", "handshake"),
        (client("nobody", &["spiffe://other/x"], 2), "names no sparr://", "no_caller"),
        (client("two", &[GATEWAY, "sparr://member/bank-1/desk/d1"], 3), "names no sparr://", "no_caller"),
        (client("no-role", &["sparr://member/bank-1/root/r1"], 4), "names no sparr://", "no_caller"),
        (client("trailing", &["sparr://member/bank-1/gateway/g1/x"], 5), "names no sparr://", "no_caller"),
        (client("other", &["sparr://member/bank-2/gateway/g1"], 6), "another member", "other_member"),
    ];
    for (wanted, expected, counted) in &table {
        let line = format!("sparr_connections_rejected_total{{why=\"{counted}\"}}");
        let before = engine.metric(&line);
        let (code, said) = connect(&engine, &authority.sign(wanted));
        assert_eq!(code, Some(if counted.is_empty() { 0 } else { 2 }), "{}: {said}", wanted.folder);
        assert!(said.contains(expected), "{}: {said}", wanted.folder);
        if !counted.is_empty() {
            assert_eq!(engine.metric_becomes(&line, before + 1.0), before + 1.0, "{}", wanted.folder);
        }
    }
    assert_eq!(engine.metric("sparr_flags{state=\"known\"}"), 0.0);
}

#[test]
fn a_revoked_certificate_is_out_after_a_reload_and_a_list_that_ran_out_lets_nobody_in() {
    let authority = Authority::new();
    authority.revoke(&[50], 2_100);
    let engine = authority.engine("");
    let identity = authority.sign(&client("good", &[GATEWAY], 1));
    assert_eq!(connect(&engine, &identity).0, Some(0));
    for (serials, until, expected) in [(&[1][..], 2_100, 2), (&[50], 2_100, 0), (&[50], 2_021, 2)] {
        authority.revoke(serials, until);
        // The reload ends with the rules, after the certificates.
        let reloads = engine.metric("sparr_reloads_total");
        engine.signal("HUP");
        while engine.metric("sparr_reloads_total") == reloads {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(connect(&engine, &identity).0, Some(expected), "revoked {serials:?} until {until}");
    }
    authority.revoke(&[50], 2_100);
    fs::write(authority.folder.path().join("revoked.pem"), "no list").expect("written");
    engine.signal("HUP");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(connect(&engine, &identity).0, Some(2), "a list that cannot be read changes nothing");
}

/// A client that offers what the engine must not accept.
fn raw_handshake(engine: &EngineProcess, identity: Option<&Path>, alpn: &[u8]) -> Result<(), String> {
    use rustls::pki_types::pem::PemObject as _;
    let ca = engine.data_dir.join("dev/gateway/ca.pem");
    let mut roots = rustls::RootCertStore::empty();
    let authority = rustls::pki_types::CertificateDer::from_pem_file(ca).expect("a certificate");
    roots.add(authority).expect("an authority");
    let builder =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots);
    let mut tls = match identity {
        None => builder.with_no_client_auth(),
        Some(dir) => {
            let chain =
                rustls::pki_types::CertificateDer::pem_file_iter(dir.join("cert.pem")).expect("a chain");
            let key = rustls::pki_types::PrivateKeyDer::from_pem_file(dir.join("key.pem")).expect("a key");
            builder
                .with_client_auth_cert(chain.map(|one| one.expect("PEM")).collect(), key)
                .expect("they fit")
        }
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.enable_early_data = true;
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("TLS 1.3");
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let endpoint = quinn::Endpoint::client(([0, 0, 0, 0], 0).into()).expect("a socket");
        // The second time the client would use a ticket of the first, if it had been given one.
        for _ in 0..2 {
            let connecting = endpoint.connect_with(config.clone(), engine.listen, "127.0.0.1");
            let Err(connecting) = connecting.expect("legal").into_0rtt() else {
                return Err("0-RTT was offered".to_owned());
            };
            let connection = connecting.await.map_err(|error| error.to_string())?;
            // A TLS 1.3 client learns only afterwards that its certificate was not wanted.
            let (mut send, mut recv) = connection.open_bi().await.map_err(|error| error.to_string())?;
            send.finish().map_err(|error| error.to_string())?;
            let answer = recv.read_to_end(16).await;
            answer.map_err(|error| format!("{error} {:?}", connection.close_reason()))?;
            if connection.open_uni().now_or_never().is_some() {
                return Err("a one-way stream was allowed".to_owned());
            }
            if connection.max_datagram_size().is_some() {
                return Err("datagrams were allowed".to_owned());
            }
        }
        Ok(())
    })
}

#[test]
fn without_a_certificate_or_with_another_protocol_nobody_is_let_in() {
    let engine = EngineProcess::start();
    let gateway = engine.data_dir.join("dev/gateway");
    assert_eq!(raw_handshake(&engine, Some(&gateway), ALPN), Ok(()), "the control");
    let rejected = "sparr_connections_rejected_total{why=\"handshake\"}";
    let before = engine.metric(rejected);
    let without = raw_handshake(&engine, None, ALPN).expect_err("refused");
    assert!(without.contains("peer sent no certificates"), "{without}");
    let other = raw_handshake(&engine, Some(&gateway), b"h3").expect_err("refused");
    assert!(other.contains("120") || other.contains("application protocol"), "{other}");
    assert_eq!(engine.metric_becomes(rejected, before + 2.0), before + 2.0);
    assert_eq!(engine.metric("sparr_decision_duration_seconds_count"), 0.0, "nothing was screened");
}

/// One call with the Rust client works against the production engine, under its fail policy.
#[test]
fn a_client_of_the_member_screens_and_its_desk_is_another_certificate() {
    let authority = Authority::new();
    authority.revoke(&[], 2_100);
    let engine = authority.engine("");
    let desk = authority.sign(&client("desk", &["sparr://member/bank-1/desk/d1"], 7));
    let identity = Identity::from_dir(&desk).expect("an identity");
    let config = ClientConfig::new(engine.listen, identity, FailPolicy::by_kind(|_| Fallback::Hold));
    let answers = send_raw(&config, &[0; 8]);
    assert_eq!(answers.len(), 1, "an empty frame of version 0 is refused: {answers:?}");
    let status = crate::support::sparr()
        .args(["flag", "status", "--json", "--subject", crate::support::TOLVAN, "--connect"])
        .arg(engine.listen.to_string())
        .arg("--identity")
        .arg(&desk)
        .output()
        .expect("it runs");
    assert_eq!(status.status.code(), Some(0), "{}", text(&status.stderr));
    assert!(text(&status.stdout).starts_with("{\"flagged\":false"), "{}", text(&status.stdout));
}
