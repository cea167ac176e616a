//! From a request's JSON to frames on a tray, and from the answers on it back to JSON.

use super::problem::Problem;
use super::{ANSWER_WAIT, BATCH_MAX};
use crate::server::keys;
use crate::server::lane::Tray;
use crate::server::worker::Shared;
use serde_json::Value;
use sparr_protocol::exchange::ExchangeAnswer;
use sparr_protocol::frame::{MessageKind, Next};
use sparr_protocol::ids::{Actor, RequestId};
use sparr_protocol::limits::EXCHANGE_ANSWER_FRAME_BYTES_MAX;
use sparr_protocol::response::AuthorisationResponse;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// What is brought to the desk, and where it is fetched again.
pub(super) struct Job {
    /// Frames, and later the answers to them.
    pub tray: Tray,
    /// Where the tray goes.
    pub done: oneshot::Sender<Tray>,
}

/// What every request of a connection has in common.
#[derive(Clone)]
pub(super) struct Call {
    /// The way to the desk.
    pub jobs: mpsc::UnboundedSender<Job>,
    /// Room for requests: the caller's, and everybody's.
    pub requests: [Arc<Semaphore>; 2],
    /// Who calls.
    pub actor: Actor,
    /// The engine.
    pub shared: Arc<Shared>,
    /// Whether anything was asked on this connection.
    pub spoken: Arc<AtomicBool>,
}

/// What came back.
pub(super) struct Answers {
    /// Decisions, in the order of their questions.
    pub screened: Vec<AuthorisationResponse>,
    /// Answers to everything else, as they came.
    pub told: Vec<ExchangeAnswer>,
}

impl Call {
    /// Has frames answered that were read at a time.
    pub(super) async fn ask(&self, frames: Vec<u8>, read_at: Instant) -> Result<Answers, Problem> {
        let (done, tray) = oneshot::channel();
        let mut tray_out = Tray::new(frames, read_at);
        tray_out.ended = true;
        self.jobs.send(Job { tray: tray_out, done }).map_err(|_| Problem::no_answer())?;
        let mut tray = tray.await.map_err(|_| Problem::no_answer())?;
        if tokio::time::timeout(ANSWER_WAIT, tray.all_answered()).await.is_err() {
            return Err(Problem::no_answer());
        }
        read(&tray.outbox).ok_or_else(Problem::no_answer)
    }
}

fn read(mut bytes: &[u8]) -> Option<Answers> {
    let mut answers = Answers { screened: Vec::new(), told: Vec::new() };
    while let Next::Frame { frame, consumed } = Next::parse(bytes, EXCHANGE_ANSWER_FRAME_BYTES_MAX) {
        match frame.open().ok()? {
            (MessageKind::ScreenAnswer, message) => {
                answers.screened.push(AuthorisationResponse::decode(message).ok()?);
            }
            (MessageKind::ExchangeAnswer, message) => {
                answers.told.push(ExchangeAnswer::decode(message).ok()?);
            }
            _ => return None,
        }
        bytes = &bytes[consumed..];
    }
    bytes.is_empty().then_some(answers)
}

/// One question, or many: an object, or a list of them.
pub(super) enum Asked {
    /// An object.
    One(Value),
    /// A list.
    Many(Vec<Value>),
}

impl Asked {
    /// One question or a batch. A batch has no idempotency key of its own: what is in it has.
    pub(super) fn of(value: Value, key: Option<RequestId>) -> Result<Self, Problem> {
        match value {
            Value::Array(_) if key.is_some() => Err(Problem::bad(
                "key_with_batch",
                "a batch has no Idempotency-Key: each request in it has its request_id",
            )),
            Value::Array(all) if all.is_empty() || all.len() > BATCH_MAX => {
                Err(Problem::bad("batch_size", format!("a batch has 1 to {BATCH_MAX} objects")))
            }
            Value::Array(all) => Ok(Self::Many(all)),
            one => Ok(Self::One(one)),
        }
    }
}

/// An id for a question that brings none: its answer is found by it, and it is not kept.
pub(super) fn any_id() -> RequestId {
    RequestId(keys::random_id())
}
