//! Publishing: in order, with a bounded number on the way, and one answer for each.

use super::connect::{ANSWER_WITHIN, reasons};
use super::stream::Seen;
use super::{Ends, LinkEvent, Outgoing};
use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc::Receiver;

/// Messages that may be on the way to the broker at once.
const ON_THE_WAY_MAX: usize = 1_024;

/// What was published and not yet answered, by a number of our own.
#[derive(Default)]
pub(super) struct Writer {
    open: HashMap<u64, Open>,
    tickets: u64,
}

struct Open {
    id: u64,
    len: usize,
}

/// What is needed to judge an acknowledgement.
struct Sent {
    ticket: u64,
    own_beat: bool,
    /// The highest place that was acknowledged when this was sent: its own must be higher.
    after: u64,
    outcome: Result<PublishAck, PublishError>,
}

/// Whom a writer talks to.
pub(super) struct To<'a> {
    pub(super) client: &'a Client,
    pub(super) context: &'a Context,
    pub(super) ends: &'a Ends,
    pub(super) seen: &'a Seen,
    pub(super) stream: &'a str,
}

impl Writer {
    /// Publishes what comes until something is wrong, and says what.
    pub(super) async fn run(&mut self, outgoing: &mut Receiver<Outgoing>, to: To<'_>) -> String {
        let mut acknowledgements = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some(sent) = acknowledgements.next() => {
                    if let Err(why) = self.acknowledged(sent, &to).await {
                        return why;
                    }
                }
                message = outgoing.recv(), if acknowledgements.len() < ON_THE_WAY_MAX => {
                    let Some(message) = message else { return "nobody publishes any more".to_owned() };
                    match self.publish(message, &to).await {
                        Ok(Some(acknowledgement)) => acknowledgements.push(acknowledgement),
                        Ok(None) => {}
                        Err(why) => return why,
                    }
                }
            }
        }
    }

    async fn publish(
        &mut self,
        message: Outgoing,
        to: &To<'_>,
    ) -> Result<Option<impl Future<Output = Sent> + use<>>, String> {
        let len = message.len();
        match message {
            Outgoing::Plain { subject, bytes } => {
                to.ends.shared.bytes.fetch_sub(len, Ordering::Relaxed);
                // Too large for the broker is lost like any other of these.
                let sent = tokio::time::timeout(ANSWER_WITHIN, to.client.publish(subject, bytes)).await;
                sent.map(|_| None).map_err(|_| STUCK.to_owned())
            }
            Outgoing::Broadcast { id, subject, own_beat, msg_id, bytes } => {
                self.tickets += 1;
                let ticket = self.tickets;
                self.open.insert(ticket, Open { id, len });
                let mut message = PublishMessage::build().payload(bytes);
                if let Some(msg_id) = msg_id {
                    message = message.message_id(msg_id);
                }
                let after = to.seen.acknowledged.load(Ordering::Relaxed);
                let sending = to.context.send_publish(subject, message).await;
                Ok(Some(async move {
                    let outcome = match sending {
                        Ok(acknowledgement) => acknowledgement.await,
                        Err(error) => Err(error),
                    };
                    Sent { ticket, own_beat, after, outcome }
                }))
            }
        }
    }

    async fn acknowledged(&mut self, sent: Sent, to: &To<'_>) -> Result<(), String> {
        let stored = match sent.outcome {
            Ok(ack) if ack.stream != to.stream => {
                return Err(format!("our subjects lie in another stream, {}", ack.stream));
            }
            Ok(ack) if !ack.duplicate && ack.sequence <= sent.after => {
                return Err(to.seen.went_back());
            }
            Ok(ack) => {
                if !ack.duplicate {
                    to.seen.acknowledged.fetch_max(ack.sequence, Ordering::Relaxed);
                }
                if sent.own_beat {
                    to.seen.own_beat.fetch_max(ack.sequence, Ordering::Relaxed);
                }
                true
            }
            Err(error) => match error.kind() {
                PublishErrorKind::StreamNotFound => return Err("the stream is gone".to_owned()),
                PublishErrorKind::TimedOut => return Err("the broker does not acknowledge".to_owned()),
                PublishErrorKind::BrokenPipe => return Err("the connection is lost".to_owned()),
                // The broker is there and does not want this one.
                PublishErrorKind::WrongLastMessageId
                | PublishErrorKind::WrongLastSequence
                | PublishErrorKind::MaxAckPending
                | PublishErrorKind::MaxPayloadExceeded
                | PublishErrorKind::Other => {
                    tracing::warn!(why = reasons(&error), "the broker did not take a message");
                    false
                }
            },
        };
        self.answer(sent.ticket, stored, to.ends).await;
        Ok(())
    }

    async fn answer(&mut self, ticket: u64, stored: bool, ends: &Ends) {
        let Some(Open { id, len }) = self.open.get(&ticket) else { return };
        let (id, len) = (*id, *len);
        // Nobody listening means that the link is going away. What is dropped while it waits here is answered later.
        ends.tell(LinkEvent::Published { id, stored }).await;
        self.open.remove(&ticket);
        ends.shared.bytes.fetch_sub(len, Ordering::Relaxed);
    }

    /// After a loss: nobody knows what became of what was on the way.
    pub(super) async fn give_up(&mut self, ends: &Ends) {
        let mut tickets: Vec<u64> = self.open.keys().copied().collect();
        tickets.sort_unstable();
        for ticket in tickets {
            self.answer(ticket, false, ends).await;
        }
    }
}

const STUCK: &str = "the connection takes nothing any more";

/// Answers for what waits while there is no broker. Ends with the link.
pub(super) async fn refuse_all(outgoing: &mut Receiver<Outgoing>, ends: &Ends) {
    while let Some(message) = outgoing.recv().await {
        ends.shared.bytes.fetch_sub(message.len(), Ordering::Relaxed);
        if let Outgoing::Broadcast { id, .. } = message {
            // Without waiting: this may be dropped at any await, and each broadcast is answered. Nobody listening means that
            // the link is going away.
            let _ = ends.refuse.send(id);
        }
    }
}
