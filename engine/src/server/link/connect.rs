//! One connection to one node of the broker.

use super::names::Names;
use crate::server::config::LinkConfig;
use arc_swap::ArcSwapOption;
use async_nats::{Client, ConnectOptions, Event};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a node may take for the handshake, and for any other answer. A healthy broker takes milliseconds; over 25 ms
/// one way with TLS it is some 200 ms.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_millis(1_200);

/// Silence after which the library asks whether the other side is there. The link has means of its own that are quicker.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Messages of one subscription that the library keeps for us. The stream's flow control (32 MB) and the reader of the
/// mailbox, which never waits, keep it far below.
const KEPT_MAX: usize = 131_072;

/// A connection, the signal that it is lost, and what the broker complained of last.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) lost: Arc<Notify>,
    complaint: Arc<ArcSwapOption<String>>,
}

impl Connection {
    /// A reason, with what the broker complained of: a missing permission shows itself as silence.
    pub(super) fn explain(&self, why: String) -> String {
        match self.complaint.load_full() {
            Some(complaint) => format!("{why}; the broker said: {complaint}"),
            None => why,
        }
    }
}

/// Connects to a node. The library would reconnect by itself; the link does not let it, because after each loss it must
/// look at the stream before anything is published or read.
pub(super) async fn connect(config: &LinkConfig, names: &Names, server: &str) -> Result<Connection, String> {
    let lost = Arc::new(Notify::new());
    let complaint = Arc::new(ArcSwapOption::empty());
    let (signal, heard) = (lost.clone(), complaint.clone());
    let options = ConnectOptions::new()
        .name(names.connection())
        .connection_timeout(ANSWER_WITHIN)
        .request_timeout(Some(ANSWER_WITHIN))
        .ping_interval(PING_EVERY)
        .subscription_capacity(KEPT_MAX)
        .max_reconnects(1)
        .ignore_discovered_servers()
        .event_callback(move |event| {
            match event {
                Event::Disconnected | Event::Closed => signal.notify_one(),
                Event::ServerError(error) => heard.store(Some(Arc::new(error.to_string()))),
                Event::Connected
                | Event::LameDuckMode
                | Event::Draining
                | Event::SlowConsumer(_)
                | Event::ClientError(_) => {}
            }
            std::future::ready(())
        });
    let options = encrypted(with_credentials(options, config.credentials.as_deref())?, config);
    let connecting = options.connect(server);
    match tokio::time::timeout(ANSWER_WITHIN, connecting).await {
        Ok(Ok(client)) => Ok(Connection { client, lost, complaint }),
        Ok(Err(error)) => Err(format!("{server}: {}", reasons(&error))),
        Err(_) => Err(format!("{server}: no answer")),
    }
}

/// Reads the credentials anew at each connection: they may have been exchanged.
fn with_credentials(options: ConnectOptions, file: Option<&Path>) -> Result<ConnectOptions, String> {
    let Some(file) = file else { return Ok(options) };
    // No error repeats what stands in the file.
    let named = |error: &dyn std::fmt::Display| format!("exchange.credentials: {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    if text.contains("-----BEGIN NATS USER JWT-----") {
        return options.credentials(&text).map_err(|_| named(&"no whole credentials of NATS"));
    }
    let (user, password) = text.trim_end().split_once(':').ok_or_else(|| {
        named(&"neither credentials of NATS (a .creds file) nor one line with user:password")
    })?;
    Ok(options.user_and_password(user.to_owned(), password.to_owned()))
}

fn encrypted(options: ConnectOptions, config: &LinkConfig) -> ConnectOptions {
    let Some(tls) = &config.tls else { return options };
    let options = options.require_tls(true).add_root_certificates(tls.authorities.clone());
    match &tls.identity {
        Some((certificate, key)) => options.add_client_certificate(certificate.clone(), key.clone()),
        None => options,
    }
}

/// An error with what lies below it, on one line.
pub(super) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        below = error.source();
    }
    text
}
