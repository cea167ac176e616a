//! One live connection shared by many calls: frames go out in the writes of a tick, answers find their callers.

use super::CallError;
use super::config::ClientConfig;
use super::pipe::{ConnectError, Farewell, Pipe, PipeReceiver, PipeSender};
use crate::exchange::ExchangeAnswer;
use crate::frame::MessageKind;
use crate::ids::RequestId;
use crate::response::AuthorisationResponse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Frames that one write gathers at most: about what one congestion window carries.
const FRAMES_PER_WRITE_MAX: usize = 256;

/// A live connection.
pub(super) struct Link {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<Waiting>,
    in_flight_max: usize,
    farewell: Mutex<Option<Farewell>>,
}

/// Who waits for which answer, and why nobody does any more.
#[derive(Default)]
struct Waiting {
    callers: Mutex<HashMap<RequestId, Caller>>,
    lost: Mutex<Option<String>>,
}

enum Caller {
    Screen(oneshot::Sender<Result<AuthorisationResponse, CallError>>),
    Exchange(mpsc::UnboundedSender<ExchangeAnswer>),
}

/// Takes its caller off the list when the call ends, however it ends.
struct Waits<'a> {
    waiting: &'a Waiting,
    id: RequestId,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.waiting.callers().remove(&self.id);
    }
}

impl Waiting {
    fn callers(&self) -> std::sync::MutexGuard<'_, HashMap<RequestId, Caller>> {
        // The map is whole between calls, so a caller that panicked while holding it left nothing half done.
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, why: String) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.callers().clear();
    }

    fn why_lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Link {
    pub(super) async fn open(config: &ClientConfig) -> Result<Self, ConnectError> {
        let Pipe { sender, receiver } = Pipe::open(config).await?;
        let farewell = Mutex::new(Some(sender.farewell()));
        let (outgoing, frames) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting::default());
        tokio::spawn(write(sender, frames, waiting.clone()));
        tokio::spawn(read(receiver, waiting.clone()));
        Ok(Self { outgoing, waiting, in_flight_max: config.in_flight_max, farewell })
    }

    pub(super) fn is_alive(&self) -> bool {
        self.waiting.why_lost().is_none()
    }

    pub(super) async fn close(&self) {
        let farewell = self.farewell.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(farewell) = farewell {
            farewell.say().await;
        }
    }

    pub(super) fn lost(&self) -> CallError {
        CallError::ConnectionLost(self.waiting.why_lost().unwrap_or_else(|| "it was closed".to_owned()))
    }

    pub(super) async fn screen(
        &self,
        id: RequestId,
        frame: Vec<u8>,
    ) -> Result<AuthorisationResponse, CallError> {
        let (answer, answered) = oneshot::channel();
        self.enlist(id, Caller::Screen(answer))?;
        let _waits = Waits { waiting: &self.waiting, id };
        self.outgoing.send(frame).map_err(|_| self.lost())?;
        answered.await.unwrap_or_else(|_| Err(self.lost()))
    }

    /// Sends an operation; its answers come through the channel that is given back.
    pub(super) fn exchange(
        &self,
        id: RequestId,
        frame: Vec<u8>,
    ) -> Result<mpsc::UnboundedReceiver<ExchangeAnswer>, CallError> {
        let (answers, answered) = mpsc::unbounded_channel();
        self.enlist(id, Caller::Exchange(answers))?;
        self.outgoing.send(frame).map_err(|_| self.lost())?;
        Ok(answered)
    }

    fn enlist(&self, id: RequestId, caller: Caller) -> Result<(), CallError> {
        let mut callers = self.waiting.callers();
        if callers.len() >= self.in_flight_max {
            return Err(CallError::TooManyInFlight(callers.len()));
        }
        match callers.entry(id) {
            Entry::Occupied(_) => Err(CallError::InFlight),
            Entry::Vacant(free) => {
                free.insert(caller);
                Ok(())
            }
        }
    }
}

/// Writes what is queued, as much as a tick has gathered, in one write.
async fn write(mut sender: PipeSender, mut frames: mpsc::UnboundedReceiver<Vec<u8>>, waiting: Arc<Waiting>) {
    let (mut batch, mut bytes) = (Vec::new(), Vec::new());
    while frames.recv_many(&mut batch, FRAMES_PER_WRITE_MAX).await > 0 {
        bytes.clear();
        batch.drain(..).for_each(|frame| bytes.extend_from_slice(&frame));
        if let Err(error) = sender.send(&bytes).await {
            return waiting.lose(error.to_string());
        }
    }
    // The client is gone: let the engine finish what it has.
    sender.finish();
}

/// Hands each answer to its caller.
async fn read(mut receiver: PipeReceiver, waiting: Arc<Waiting>) {
    loop {
        let received = receiver.receive(|kind, message| match kind {
            MessageKind::ScreenAnswer => give_answer(&waiting, message),
            MessageKind::ExchangeAnswer => give_exchange_answer(&waiting, message),
            // A question from an engine: it has no caller here.
            MessageKind::Screen | MessageKind::FinalResult | MessageKind::Label | MessageKind::Exchange => {}
        });
        match received.await {
            Ok(true) => {}
            Ok(false) => return waiting.lose("the engine ended the stream".to_owned()),
            Err(error) => return waiting.lose(error.to_string()),
        }
    }
}

fn give_answer(waiting: &Waiting, message: &[u8]) {
    let Some(id) = message.first_chunk().map(|id| RequestId(*id)) else { return };
    let answer =
        AuthorisationResponse::decode(message).map_err(|error| CallError::Unreadable(error.to_string()));
    if let Some(Caller::Screen(caller)) = waiting.callers().remove(&id) {
        // A caller that has stopped waiting is no error.
        let _ = caller.send(answer);
    }
}

fn give_exchange_answer(waiting: &Waiting, message: &[u8]) {
    let Ok(answer) = ExchangeAnswer::decode(message) else { return };
    let mut callers = waiting.callers();
    if let Some(Caller::Exchange(caller)) = callers.get(&answer.id) {
        let more = answer.said.more_follows();
        let id = answer.id;
        let gone = caller.send(answer).is_err();
        if gone || !more {
            callers.remove(&id);
        }
    }
}
