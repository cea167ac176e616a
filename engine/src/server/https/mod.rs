//! The HTTPS door: the same questions as over QUIC, written in JSON, for gateways and desks that cannot speak QUIC.
//!
//! It has a thread and a runtime of its own, at a lower priority: where a core has both to do, the data plane gets three
//! quarters of it, whatever arrives here. What is asked becomes frames on a tray and is answered at the same desk
//! (`server/desk.rs`), so that a door has no answers of its own.

mod ask;
mod connection;
mod me;
mod openapi;
mod page;
mod problem;
mod routes;
mod schemas;

use super::caller::{actor_of, admitted};
use super::polite;
use super::transport::{Credentials, HANDSHAKE_WAIT, tls_config};
use super::worker::{Phase, Shared};
use crate::metrics::{Rejected, WorkerStats, lock};
use crate::server::caller::CallerError;
use axum::Router;
use sparr_protocol::ids::Actor;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

/// Connections that may be open.
const CONNECTIONS_MAX: usize = 256;
/// Connections that one caller may have open: a desk does not keep the gateways out.
const CONNECTIONS_PER_CALLER_MAX: usize = 64;
/// Handshakes that may be under way; beyond, who knocks finds the door shut.
const HANDSHAKES_MAX: usize = 256;
/// Requests that may be read or answered at a time, of everybody: with [`BODY_BYTES_MAX`] a bound of memory.
const REQUESTS_MAX: usize = 256;
/// Requests that one caller may have read or answered at a time.
const REQUESTS_PER_CALLER_MAX: usize = 128;
/// Longest body, bytes.
const BODY_BYTES_MAX: usize = 256 << 10;
/// Screenings, results or labels that one request may hold.
const BATCH_MAX: usize = 256;
/// Longest wait for a body.
const BODY_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for the journal.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// After an accept that failed, as when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for answers that are being written when the engine stops.
const FAREWELL: Duration = Duration::from_millis(200);

const _: () = assert!(BODY_BYTES_MAX * REQUESTS_MAX <= 64 << 20, "a flood costs 64 MiB");

/// TLS of the door; certificates are reloaded through it.
pub(super) fn tls(credentials: &Credentials) -> Result<Arc<rustls::ServerConfig>, String> {
    tls_config(credentials, &[b"h2", b"http/1.1"]).map(Arc::new)
}

/// What reaches the door from the outside.
#[derive(Clone)]
pub(super) struct Controls {
    /// What the engine is doing.
    pub phase: watch::Receiver<Phase>,
    /// Certificates.
    pub tls: watch::Receiver<Arc<rustls::ServerConfig>>,
}

/// Opens the door on a bound socket.
pub(super) fn start(
    listener: TcpListener,
    shared: Arc<Shared>,
    controls: Controls,
) -> std::io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    std::thread::Builder::new().name("https".to_owned()).spawn(move || {
        polite::stand_back();
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "the HTTPS door has no runtime"),
        };
        LocalSet::new().block_on(&runtime, async move {
            let served = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => serve(listener, shared, controls).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                tracing::error!(%error, "the HTTPS door cannot serve");
            }
        });
    })
}

async fn serve(
    listener: tokio::net::TcpListener,
    shared: Arc<Shared>,
    mut controls: Controls,
) -> std::io::Result<()> {
    let door = Arc::new(Door {
        stats: shared.metrics.worker(),
        shared,
        controls: controls.clone(),
        routes: routes::routes(),
        handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
        connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
        callers: Mutex::default(),
    });
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => Door::knock(&door, stream),
                Err(error) => {
                    tracing::warn!(%error, "the HTTPS door cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            phase = controls.phase.wait_for(|phase| *phase != Phase::Serving) => {
                drop(phase);
                break;
            }
        }
    }
    drop(listener);
    // Without a sender nobody is left who could ask for more time.
    let _ = controls.phase.wait_for(|phase| *phase == Phase::Closed).await;
    // Whoever does not read their answer now does not hear it.
    let everybody = door.connections.acquire_many(CONNECTIONS_MAX as u32);
    let _ = tokio::time::timeout(FAREWELL, everybody).await;
    Ok(())
}

/// Lets connections in, or not.
struct Door {
    shared: Arc<Shared>,
    stats: Arc<Mutex<WorkerStats>>,
    controls: Controls,
    routes: Router<ask::Call>,
    handshakes: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    /// Open connections by caller, and the caller's room for requests.
    callers: Mutex<HashMap<Actor, (usize, Arc<Semaphore>)>>,
}

/// A connection that counts as its caller's, as long as this lives.
struct Place<'a> {
    door: &'a Door,
    caller: Option<Actor>,
    /// The caller's room for requests.
    requests: Arc<Semaphore>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.door.shared.metrics.connection(false);
        let Some(caller) = self.caller.take() else { return };
        let mut callers = lock(&self.door.callers);
        if let Some((count, _)) = callers.get_mut(&caller) {
            *count -= 1;
            if *count == 0 {
                callers.remove(&caller);
            }
        }
    }
}

impl Door {
    fn knock(door: &Arc<Self>, stream: TcpStream) {
        let Ok(handshake) = door.handshakes.clone().try_acquire_owned() else {
            return door.shared.metrics.rejected(Rejected::Crowded);
        };
        let door = door.clone();
        tokio::task::spawn_local(async move {
            // Small answers wait for nothing; a socket that refuses this is slower, not wrong.
            let _ = stream.set_nodelay(true);
            let mut tls = door.controls.tls.clone();
            let acceptor = TlsAcceptor::from(tls.borrow_and_update().clone());
            let shaken = tokio::time::timeout(HANDSHAKE_WAIT, acceptor.accept(stream)).await;
            drop(handshake);
            let Ok(Ok(stream)) = shaken else {
                return door.shared.metrics.rejected(Rejected::Handshake);
            };
            let Ok(_open) = door.connections.try_acquire() else {
                return door.shared.metrics.rejected(Rejected::Crowded);
            };
            let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let caller = certificate.map_or(Err(CallerError::NoCertificate), actor_of);
            let caller = admitted(caller, &door.shared).map_err(|(why, code)| {
                door.shared.metrics.rejected(why);
                code
            });
            let Some(place) = door.place(caller.as_ref().ok()) else {
                return door.shared.metrics.rejected(Rejected::Crowded);
            };
            connection::serve(stream, caller, tls, &place).await;
        });
    }

    /// A place for a connection, unless its caller has as many as one may.
    fn place(&self, caller: Option<&Actor>) -> Option<Place<'_>> {
        let room = || Arc::new(Semaphore::new(REQUESTS_PER_CALLER_MAX));
        let requests = match caller {
            None => room(),
            Some(caller) => {
                let mut callers = lock(&self.callers);
                let (count, requests) = callers.entry(caller.clone()).or_insert_with(|| (0, room()));
                if *count >= CONNECTIONS_PER_CALLER_MAX {
                    return None;
                }
                *count += 1;
                requests.clone()
            }
        };
        self.shared.metrics.connection(true);
        Some(Place { door: self, caller: caller.cloned(), requests })
    }
}
