//! A closed-loop client: so many requests in flight on one stream, in order; a new one when one is answered.
//!
//! One stream keeps the order, and an engine answers a stream's requests as if they came one by one, so the same
//! requests against a fresh engine give the same answers on every run.

use sparr_protocol::client::{ConnectError, Pipe, PipeReceiver, PipeSender};
use sparr_protocol::frame::MessageKind;
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::{AuthorisationRequest, EncodeError};
use sparr_protocol::response::AuthorisationResponse;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Frames that one write gathers at most.
const FRAMES_PER_WRITE_MAX: usize = 64;

/// An answer is waited for so long before the run is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a run ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A request cannot be sent.
    #[error("a request cannot be sent: {0}")]
    Encode(#[from] EncodeError),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection was lost.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// An answer cannot be read.
    #[error("an answer cannot be read: {0}")]
    Unreadable(String),
    /// The engine stopped answering.
    #[error("no answer for {} s", PATIENCE.as_secs())]
    Silent,
}

struct Flight {
    sent: Mutex<HashMap<RequestId, Instant>>,
    free: Semaphore,
}

/// Sends every request, at most `in_flight` at a time, and hands each answer with its round trip to `take`.
pub async fn run(
    pipe: Pipe,
    requests: impl Iterator<Item = AuthorisationRequest>,
    in_flight: usize,
    take: impl FnMut(AuthorisationResponse, Duration),
) -> Result<(), RunError> {
    let Pipe { sender, receiver } = pipe;
    let flight = Flight { sent: Mutex::new(HashMap::new()), free: Semaphore::new(in_flight) };
    let (sent, received) = tokio::join!(send(sender, requests, &flight), receive(receiver, &flight, take));
    // The receiver knows best why a run ended; the sender only sees that it may not go on.
    received.and(sent)
}

fn sent(flight: &Flight) -> std::sync::MutexGuard<'_, HashMap<RequestId, Instant>> {
    flight.sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn send(
    mut sender: PipeSender,
    mut requests: impl Iterator<Item = AuthorisationRequest>,
    flight: &Flight,
) -> Result<(), RunError> {
    let mut bytes = Vec::new();
    let mut result = Ok(());
    'sending: loop {
        let Ok(first) = flight.free.acquire().await else { break };
        let more = flight.free.available_permits().min(FRAMES_PER_WRITE_MAX - 1);
        first.forget();
        bytes.clear();
        for frame in 0..=more {
            let Some(request) = requests.next() else {
                flight.free.add_permits(1);
                if !bytes.is_empty() {
                    result = sender.send(&bytes).await.map_err(|error| RunError::Lost(error.to_string()));
                }
                break 'sending;
            };
            if frame > 0 {
                // The permit was available a moment ago, and nobody else takes any.
                match flight.free.try_acquire() {
                    Ok(permit) => permit.forget(),
                    Err(_) => break 'sending,
                }
            }
            if let Err(error) = request.encode(&mut bytes) {
                result = Err(error.into());
                break 'sending;
            }
            sent(flight).insert(request.request_id, Instant::now());
        }
        if let Err(error) = sender.send(&bytes).await {
            result = Err(RunError::Lost(error.to_string()));
            break;
        }
    }
    sender.finish();
    result
}

async fn receive(
    mut receiver: PipeReceiver,
    flight: &Flight,
    mut take: impl FnMut(AuthorisationResponse, Duration),
) -> Result<(), RunError> {
    let mut unreadable = None;
    let ended = loop {
        let received = receiver.receive(|kind, message| {
            if kind != MessageKind::ScreenAnswer {
                return;
            }
            match AuthorisationResponse::decode(message) {
                Ok(response) => {
                    let at = sent(flight).remove(&response.request_id);
                    flight.free.add_permits(1);
                    take(response, at.map(|at| at.elapsed()).unwrap_or_default());
                }
                Err(error) => unreadable = Some(RunError::Unreadable(error.to_string())),
            }
        });
        match tokio::time::timeout(PATIENCE, received).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => break Ok(()),
            Ok(Err(error)) => break Err(RunError::Lost(error.to_string())),
            Err(_) => break Err(RunError::Silent),
        }
        if let Some(error) = unreadable.take() {
            break Err(error);
        }
    };
    // Whoever waits for a free place waits in vain from now on.
    flight.free.close();
    ended
}
