//! One task per connection: drain every readable stream, answer the whole batch at the caller's desk, write all answers once.

use super::clock;
use super::desk::Desk;
use super::lane::{Lane, LaneTurn, Streams};
use crate::metrics::WorkerStats;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use quinn::Connection;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::task::Poll;

/// Bytes that are read off a connection's streams before they are answered; the last stream may bring as many again.
const UNANSWERED_BYTES_MAX: usize = 64 << 10;

/// Serves a connection until it ends.
pub(super) async fn serve(connection: Connection, mut desk: Desk<'_>, stats: &Mutex<WorkerStats>) {
    let mut lanes = FuturesUnordered::new();
    let mut readable: Vec<Lane> = Vec::new();
    let streams = Rc::<Streams>::default();
    let mut opening = pin!(connection.accept_bi());
    loop {
        let alive = poll_fn(|cx| {
            while let Poll::Ready(opened) = opening.as_mut().poll(cx) {
                let Ok((send, recv)) = opened else { return Poll::Ready(false) };
                lanes.push(LaneTurn::new(Lane::new(send, recv, streams.clone(), clock::instant())));
                opening.set(connection.accept_bi());
            }
            let mut unanswered = 0;
            while unanswered < UNANSWERED_BYTES_MAX
                && let Poll::Ready(Some(turn)) = lanes.poll_next_unpin(cx)
            {
                if let Some(lane) = turn {
                    unanswered += lane.tray.inbox.len();
                    readable.push(lane);
                }
            }
            if readable.is_empty() { Poll::Pending } else { Poll::Ready(true) }
        });
        if !alive.await {
            return;
        }
        let alone = desk.alone().await;
        desk.turn(readable.iter_mut().map(|lane| &mut lane.tray), stats);
        lanes.extend(readable.drain(..).map(LaneTurn::new));
        if let Some(alone) = alone {
            alone.end().await;
        }
    }
}
