//! One connection: HTTP/1.1 or 2 on one side, the caller's desk on the other.

use super::ask::{Call, Job};
use super::problem::Problem;
use super::{BODY_WAIT, Door, Place};
use crate::ids::CallerNo;
use crate::server::desk::Desk;
use crate::server::worker::Phase;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use sparr_protocol::frame::CloseCode;
use sparr_protocol::ids::Actor;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::server::TlsStream;

/// A connection that says nothing for so long is closed; as on the data plane.
const IDLE: Duration = Duration::from_millis(crate::server::transport::IDLE_MS_MAX as u64);
/// Then it is closed and may come again: certificates are looked at anew.
const LIFE: Duration = Duration::from_secs(600);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Requests of one connection that may be under way (HTTP/2).
const STREAMS_MAX: u32 = 64;
/// Unread bytes that one stream, and one connection, may hold (HTTP/2).
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;

/// Serves a connection until it ends. A caller that is not let in hears why, whatever it asks. `tls` has seen what the
/// connection was let in by.
pub(super) async fn serve(
    stream: TlsStream<TcpStream>,
    caller: Result<Actor, CloseCode>,
    tls: watch::Receiver<Arc<ServerConfig>>,
    place: &Place<'_>,
) {
    let door = place.door;
    let (jobs, inbox) = mpsc::unbounded_channel();
    let spoken = Arc::new(AtomicBool::new(false));
    let life = if caller.is_ok() { LIFE } else { BODY_WAIT };
    let (desk, routes) = match caller {
        Ok(actor) => {
            let call = Call {
                jobs,
                requests: [place.requests.clone(), door.requests.clone()],
                actor: actor.clone(),
                shared: door.shared.clone(),
                spoken: spoken.clone(),
            };
            (Some(Desk::new(actor, CallerNo(0), &door.shared)), door.routes.clone().with_state(call))
        }
        Err(code) => {
            spoken.store(true, Ordering::Relaxed);
            let why = move || async move { Problem::stranger(code) };
            (None, Router::new().fallback(why))
        }
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEAD_BYTES_MAX)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(IDLE)
        .keep_alive_timeout(BODY_WAIT);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    let mut desk = DeskOf { desk, inbox, door };
    let mut leave = pin!(leave(door, tls, life, spoken));
    // An error is the client's: it has gone, or what it sent is no HTTP.
    let goes_on = tokio::select! {
        _ = connection.as_mut() => false,
        never = desk.answer() => match never {},
        politely = leave.as_mut() => politely,
    };
    if goes_on {
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _ = connection => {}
            never = desk.answer() => match never {},
            () = tokio::time::sleep(2 * BODY_WAIT) => {}
        }
    }
}

/// Waits until a connection is to end: `true` where requests that are under way are still answered.
async fn leave(
    door: &Door,
    mut tls: watch::Receiver<Arc<ServerConfig>>,
    life: Duration,
    spoken: Arc<AtomicBool>,
) -> bool {
    let mut phase = door.controls.phase.clone();
    let silent = async {
        tokio::time::sleep(IDLE).await;
        if spoken.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // Without a sender the engine is over.
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => true,
        // Who was let in by the certificates and lists of before knocks again.
        _ = tls.changed() => true,
        () = tokio::time::sleep(life) => true,
        // A TLS connection on which nobody ever asked anything.
        () = silent => false,
    }
}

/// The desk of a connection, and what is brought to it.
struct DeskOf<'a> {
    desk: Option<Desk<'a>>,
    inbox: mpsc::UnboundedReceiver<Job>,
    door: &'a Door,
}

impl DeskOf<'_> {
    /// Answers what is brought, everything that is there in one turn, for ever.
    async fn answer(&mut self) -> std::convert::Infallible {
        let Some(desk) = &mut self.desk else { return std::future::pending().await };
        while let Some(first) = self.inbox.recv().await {
            let mut jobs = vec![first];
            jobs.extend(std::iter::from_fn(|| self.inbox.try_recv().ok()));
            desk.turn(jobs.iter_mut().map(|job| &mut job.tray), &self.door.stats);
            // A client that has gone does not hear that its change is durable; it may ask again.
            jobs.into_iter().for_each(|job| drop(job.done.send(job.tray)));
        }
        // Every sender has gone, and with them the connection.
        std::future::pending().await
    }
}
