//! One worker per core: a current-thread runtime and an endpoint of its own on the shared port (SO_REUSEPORT).
//!
//! The multi-thread runtime on the data plane was measured 3–10 times slower; nothing here is shared between cores
//! but the state itself.

use super::admission::{self, Admission, Pulse, Rates, Ticket};
use super::caller::{admitted, caller};
use super::clock;
use super::connection;
use super::decision_log::DecisionsDesk;
use super::desk::Desk;
use super::journal::JournalHandle;
use super::lookups::Looking;
use super::recorder::RecorderHandle;
use super::rules_desk::RulesDesk;
use super::transport::{HANDSHAKE_WAIT, HANDSHAKES_BEFORE_RETRY};
use crate::ids::CallerNo;
use crate::metrics::{Metrics, Rejected, WorkerStats};
use crate::state::State;
use quinn::{Connecting, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime, VarInt};
use sparr_protocol::frame::CloseCode;
use sparr_protocol::ids::MemberName;
use std::cell::{Cell, RefCell};
use std::net::UdpSocket;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{LocalSet, yield_now};

/// What every worker shares.
pub(super) struct Shared {
    /// The engine's state.
    pub state: Arc<State>,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// The member whose engine this is.
    pub member: MemberName,
    /// Where changes go.
    pub journal: JournalHandle,
    /// Whom each member's desks have looked up today, and the audit of it.
    pub looking: Arc<Looking>,
    /// Keeps what was screened, and takes in what became of it.
    pub recorder: RecorderHandle,
    /// Where questions about the decision log go.
    pub decisions: DecisionsDesk,
    /// Where changes of rule sets go.
    pub rules: RulesDesk,
    /// Frames that were answered, of all workers: an engine that drains watches it come to rest.
    pub frames: AtomicU64,
    /// Operations that wait for the journal.
    pub waiting: Arc<AtomicU64>,
    /// Whether payments may ask for their answer.
    pub sandbox: bool,
    /// How much work a worker takes on at once where no payment says a deadline.
    pub queue_max: Option<Duration>,
    /// How many screenings each caller may ask for in a second.
    pub rates: Rates,
}

/// What the engine as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Serving.
    Serving,
    /// Answering what is there, letting nobody in.
    Draining,
    /// Over.
    Closed,
}

/// What reaches the workers from the outside.
#[derive(Clone)]
pub(super) struct Controls {
    /// What the engine is doing.
    pub phase: watch::Receiver<Phase>,
    /// The server configuration: certificates are reloaded through it.
    pub config: watch::Receiver<ServerConfig>,
    /// Every endpoint's own configuration.
    pub(crate) endpoint: EndpointConfig,
}

/// Starts a worker on a bound socket.
pub(super) fn start(
    number: usize,
    socket: UdpSocket,
    shared: Arc<Shared>,
    controls: Controls,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, number, "a worker has no runtime"),
        };
        let local = LocalSet::new();
        local.block_on(&runtime, async move {
            if let Err(error) = serve(socket, shared, controls).await {
                tracing::error!(%error, number, "a worker cannot serve");
            }
        });
    })
}

async fn serve(socket: UdpSocket, shared: Arc<Shared>, mut controls: Controls) -> std::io::Result<()> {
    let config = controls.config.borrow_and_update().clone();
    let (socket, pulse) = admission::pulsing(socket)?;
    let endpoint = Endpoint::new_with_abstract_socket(
        controls.endpoint.clone(),
        Some(config),
        socket,
        Arc::new(TokioRuntime),
    )?;
    let admission = Rc::new(RefCell::new(Admission::new(shared.queue_max, clock::instant())));
    let (stats, handshakes) = (shared.metrics.worker(), Cell::new(0));
    let door = Rc::new(Door { stats, shared, handshakes, admission, pulse });
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => {
                    Door::admit(&door, incoming);
                    // A handshake takes as long as some hundred screenings: whoever has a connection comes in between.
                    yield_now().await;
                }
                None => return Ok(()),
            },
            changed = controls.config.changed() => {
                if changed.is_err() { break }
                endpoint.set_server_config(Some(controls.config.borrow_and_update().clone()));
            }
            phase = controls.phase.wait_for(|phase| *phase != Phase::Serving) => {
                drop(phase);
                break;
            }
        }
    }
    endpoint.set_server_config(None);
    // Without a sender nobody is left who could ask for more time.
    let _ = controls.phase.wait_for(|phase| *phase == Phase::Closed).await;
    endpoint.close(VarInt::from_u32(CloseCode::ShuttingDown.wire().into()), CloseCode::ShuttingDown.words());
    // The farewell is worth a moment, not more: a client that does not hear it finds out by itself.
    let _ = tokio::time::timeout(Duration::from_millis(200), endpoint.wait_idle()).await;
    Ok(())
}

/// Lets connections in, or not.
struct Door {
    shared: Arc<Shared>,
    stats: Arc<Mutex<WorkerStats>>,
    handshakes: Cell<usize>,
    admission: Rc<RefCell<Admission>>,
    pulse: Pulse,
}

/// A handshake that is under way, as long as this lives.
struct Handshake<'a>(&'a Cell<usize>);

impl<'a> Handshake<'a> {
    fn begin(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Door {
    fn admit(door: &Rc<Self>, incoming: Incoming) {
        let crowded = door.handshakes.get() >= HANDSHAKES_BEFORE_RETRY;
        if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
            // It was just asked whether it may retry.
            let _ = incoming.retry();
            return;
        }
        let Ok(connecting) = incoming.accept() else {
            return door.shared.metrics.rejected(Rejected::Handshake);
        };
        let door = door.clone();
        tokio::task::spawn_local(async move { door.welcome(connecting).await });
    }

    async fn welcome(&self, connecting: Connecting) {
        let connection = {
            let _handshake = Handshake::begin(&self.handshakes);
            match tokio::time::timeout(HANDSHAKE_WAIT, connecting).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(_)) | Err(_) => return self.shared.metrics.rejected(Rejected::Handshake),
            }
        };
        match admitted(caller(&connection), &self.shared) {
            Ok(actor) => {
                self.shared.metrics.connection(true);
                // One engine screens for one member; nobody else's gateway may.
                let ticket = Ticket::new(&self.admission, &actor, self.pulse.clone(), clock::instant());
                let desk = Desk::new(actor, CallerNo(0), &self.shared).at(ticket);
                connection::serve(connection, desk, &self.stats).await;
                self.shared.metrics.connection(false);
            }
            Err((why, code)) => {
                self.shared.metrics.rejected(why);
                connection.close(VarInt::from_u32(code.wire().into()), code.words());
            }
        }
    }
}

impl Shared {
    /// Whether nothing has been answered since `frames_before` and nothing waits for the journal.
    pub(super) fn is_at_rest(&self, frames_before: u64) -> bool {
        self.frames.load(Ordering::Relaxed) == frames_before && self.waiting.load(Ordering::Relaxed) == 0
    }
}
