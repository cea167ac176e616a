//! `[exchange]`: how this engine reaches the others.

use serde::Deserialize;
use std::path::PathBuf;

/// What a network is called unless told otherwise.
pub(super) const NETWORK: &str = "sparr";
/// Copies of the stream unless told otherwise.
pub(super) const REPLICAS: u8 = 3;
/// What JetStream can do at most.
const REPLICAS_MAX: u8 = 5;
/// Longest name of a network, bytes.
const NETWORK_BYTES_MAX: usize = 24;

/// The table as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenExchange {
    nats: Option<Vec<String>>,
    network: Option<String>,
    replicas: Option<u8>,
    credentials: Option<PathBuf>,
    tls_authorities: Option<PathBuf>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

/// The keys of the table: name, value as it is written, and what it means.
pub(super) const KEYS: &[(&str, &str, &str)] = &[
    (
        "nats",
        "[\"nats://127.0.0.1:4222\"]",
        "Servers of a NATS cluster with JetStream, 2.9 or newer (better 2.10 with sync_interval: always).",
    ),
    (
        "network",
        "\"sparr\"",
        "Name of the exchange on that cluster: 1 to 24 lower-case letters, digits and inner hyphens. All its engines name the\n\
         same.",
    ),
    ("replicas", "3", "Nodes that hold the stream, 1 to 5. A cluster that has fewer is not used."),
    ("credentials", "\"exchange.creds\"", "A .creds file of NATS, or a file with one line user:password."),
    (
        "tls_authorities",
        "\"tls/nats-ca.pem\"",
        "Authorities that sign the servers' certificates. With this key nothing is sent unencrypted.",
    ),
    ("tls_certificate", "\"tls/nats-cert.pem\"", "This engine's chain towards them, where they ask for one."),
    ("tls_key", "\"tls/nats-key.pem\"", "Its key."),
];

/// How an engine reaches the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// Nodes, as `nats://host:port` or `tls://host:port`. At least one. No passwords.
    pub servers: Vec<String>,
    /// Name of the exchange: 1 to 24 lower-case letters, digits and inner hyphens.
    pub network: String,
    /// Copies of the stream that are asked for, 1 to 5.
    pub replicas: u8,
    /// A `.creds` file, or one with `user:password`.
    pub credentials: Option<PathBuf>,
    /// With it, nothing is sent unencrypted.
    pub tls: Option<LinkTls>,
}

/// Whom to trust, and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTls {
    /// PEM file of the authorities that sign the brokers' certificates.
    pub authorities: PathBuf,
    /// PEM files of our chain and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Checks the table. Without it, or without servers in it, the engine has an exchange of its own.
pub(super) fn link(written: Option<WrittenExchange>) -> Result<Option<LinkConfig>, Vec<String>> {
    let Some(written) = written else { return Ok(None) };
    let mut errors = Vec::new();
    if cfg!(not(feature = "nats")) {
        return Err(vec![
            "exchange: this sparr was built without the feature `nats`; build it with that, or take the table out".to_owned(),
        ]);
    }
    let servers = written.nats.unwrap_or_default();
    if servers.is_empty() {
        errors.push(
            "exchange.nats: at least one server must be named, such as nats://127.0.0.1:4222".to_owned(),
        );
    }
    errors.extend(
        servers.iter().enumerate().filter_map(|(at, server)| {
            Some(format!("exchange.nats: server {} {}", at + 1, problem(server)?))
        }),
    );
    let network = written.network.unwrap_or_else(|| NETWORK.to_owned());
    if !named(&network) {
        errors.push(format!(
            "exchange.network: {network:?} is not 1 to {NETWORK_BYTES_MAX} lower-case letters, digits and inner hyphens"
        ));
    }
    let replicas = written.replicas.unwrap_or(REPLICAS);
    if !(1..=REPLICAS_MAX).contains(&replicas) {
        errors.push(format!("exchange.replicas: {replicas} is not 1 to {REPLICAS_MAX}"));
    }
    let identity = match (written.tls_certificate, written.tls_key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            errors.push("exchange.tls_key: must be said beside tls_certificate".to_owned());
            None
        }
        (None, Some(_)) => {
            errors.push("exchange.tls_certificate: must be said beside tls_key".to_owned());
            None
        }
    };
    let encrypted = identity.is_some() || servers.iter().any(|server| server.starts_with("tls://"));
    if encrypted && written.tls_authorities.is_none() {
        errors.push("exchange.tls_authorities: must be said where the connection is encrypted".to_owned());
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let tls = written.tls_authorities.map(|authorities| LinkTls { authorities, identity });
    Ok(Some(LinkConfig { servers, network, replicas, credentials: written.credentials, tls }))
}

/// What is wrong with a server's address. It is not repeated where it may hold a password.
fn problem(server: &str) -> Option<String> {
    if server.contains('@') {
        return Some(
            "holds a user or a password: they belong into the file that `credentials` names".to_owned(),
        );
    }
    let rest = server.strip_prefix("nats://").or_else(|| server.strip_prefix("tls://"));
    let good = rest.is_some_and(|rest| {
        let (host, port) = rest
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty() || rest.starts_with('['))
            .map_or((rest, Some(0)), |(host, port)| (host, port.parse::<u16>().ok()));
        let spelled = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        !host.is_empty() && host.chars().all(spelled) && port.is_some()
    });
    (!good).then(|| format!("{server:?} is not written like nats://host:4222 or tls://host:4222"))
}

fn named(network: &str) -> bool {
    let inner_hyphens = !network.starts_with('-') && !network.ends_with('-');
    let spelled = network.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    (1..=NETWORK_BYTES_MAX).contains(&network.len()) && inner_hyphens && spelled
}

#[cfg(all(test, feature = "nats"))]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<LinkConfig>, Vec<String>> {
        link(Some(toml::from_str(text).expect("a table")))
    }

    #[test]
    fn a_table_with_servers_alone_is_enough_and_every_slip_is_named() {
        let small = read("nats = [\"nats://a:4222\", \"nats://[::1]:4222\", \"nats://b\"]")
            .expect("fine")
            .expect("one");
        assert_eq!((small.network.as_str(), small.replicas, small.tls), ("sparr", 3, None));
        assert_eq!(link(None), Ok(None));
        let cases: &[(&str, &[&str])] = &[
            ("", &["exchange.nats: at least one server must be named, such as nats://127.0.0.1:4222"]),
            (
                "nats = [\"http://a\", \"nats://me:secret@a:1\", \"nats://a:99999\"]\nnetwork = \"SE\"\nreplicas = 6",
                &[
                    "exchange.nats: server 1 \"http://a\" is not written like nats://host:4222 or tls://host:4222",
                    "exchange.nats: server 2 holds a user or a password: they belong into the file that `credentials` names",
                    "exchange.nats: server 3 \"nats://a:99999\" is not written like nats://host:4222 or tls://host:4222",
                    "exchange.network: \"SE\" is not 1 to 24 lower-case letters, digits and inner hyphens",
                    "exchange.replicas: 6 is not 1 to 5",
                ],
            ),
            (
                "nats = [\"tls://a\"]\ntls_key = \"k\"",
                &[
                    "exchange.tls_certificate: must be said beside tls_key",
                    "exchange.tls_authorities: must be said where the connection is encrypted",
                ],
            ),
            (
                "nats = [\"nats://a\"]\ntls_certificate = \"c\"\ntls_authorities = \"a\"",
                &["exchange.tls_key: must be said beside tls_certificate"],
            ),
        ];
        for (text, errors) in cases {
            assert_eq!(read(text).expect_err(text), *errors, "{text}");
        }
    }
}
