//! One engine that a client asks, over one connection that is made when it is needed, and made anew when it was lost.

use super::CallError;
use super::config::ClientConfig;
use super::link::Link;
use super::pipe::ConnectError;
use crate::request::AuthorisationRequest;
use crate::response::AuthorisationResponse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// An engine, and how it is reached.
pub(super) struct Engine {
    pub(super) config: ClientConfig,
    link: Mutex<Option<Arc<Link>>>,
    is_connecting: AtomicBool,
    /// Calls in a row that nothing was answered to.
    silent: AtomicU32,
    /// Calls while it is held to be silent.
    passed_by: AtomicU32,
}

/// Calls in a row without an answer after which an engine is held to be silent: a connection to one that was killed ends
/// seconds later.
const SILENT_MIN: u32 = 3;
/// Of so many calls one still asks a silent engine: it may be back.
const PROBED_OF: u32 = 16;

impl Engine {
    /// An engine that nobody has asked yet.
    pub(super) fn new(config: ClientConfig) -> Self {
        Self {
            config,
            link: Mutex::new(None),
            is_connecting: AtomicBool::new(false),
            silent: AtomicU32::new(0),
            passed_by: AtomicU32::new(0),
        }
    }

    /// How long an answer to a request is waited for.
    pub(super) fn timeout_of(&self, request: &AuthorisationRequest) -> Duration {
        match request.deadline_us {
            0 => self.config.timeout,
            us => self.config.timeout.min(Duration::from_micros(us.into())),
        }
    }

    /// Asks once. A request without a deadline gets the client's timeout as one.
    pub(super) async fn screen(
        &self,
        request: &AuthorisationRequest,
    ) -> Result<AuthorisationResponse, CallError> {
        let timeout = self.timeout_of(request);
        let mut frame = Vec::with_capacity(crate::limits::REQUEST_FRAME_BYTES_MAX);
        if request.deadline_us == 0 {
            let mut timed = request.clone();
            timed.deadline_us = u32::try_from(timeout.as_micros()).unwrap_or(u32::MAX);
            timed.encode(&mut frame)?;
        } else {
            request.encode(&mut frame)?;
        }
        let call = async {
            let link = self.link().await?;
            link.screen(request.request_id, frame).await
        };
        let said = tokio::time::timeout(timeout, call).await.unwrap_or(Err(CallError::Timeout(timeout)));
        match &said {
            Ok(_) => self.silent.store(0, Ordering::Relaxed),
            Err(_) => self.says_nothing(),
        }
        said
    }

    /// A call was given up, or has ended without an answer.
    pub(super) fn says_nothing(&self) {
        self.silent.fetch_add(1, Ordering::Relaxed);
    }

    /// The live connection, made anew if there is none. Callers that come meanwhile wait for the same one.
    pub(super) async fn link(&self) -> Result<Arc<Link>, ConnectError> {
        let mut slot = self.link.lock().await;
        if let Some(link) = slot.as_ref().filter(|link| link.is_alive()) {
            return Ok(link.clone());
        }
        let link = Arc::new(Link::open(&self.config).await?);
        *slot = Some(link.clone());
        Ok(link)
    }

    /// Connects on a task of its own, if none is at it.
    pub(super) fn connect_aside(engine: &Arc<Self>) {
        if engine.is_connecting.swap(true, Ordering::Relaxed) {
            return;
        }
        let engine = engine.clone();
        tokio::spawn(async move {
            // Without success whoever asks next begins anew.
            let _ = tokio::time::timeout(engine.config.exchange_timeout, engine.link()).await;
            engine.is_connecting.store(false, Ordering::Relaxed);
        });
    }

    /// Whether a question is likely to reach it: there is a live connection, and it is not silent. Now and then a silent one is
    /// said to be reached, to find out.
    pub(super) fn is_reached(&self) -> bool {
        let is_connected =
            self.link.try_lock().is_ok_and(|slot| slot.as_ref().is_some_and(|link| link.is_alive()));
        is_connected
            && (self.silent.load(Ordering::Relaxed) < SILENT_MIN
                || self.passed_by.fetch_add(1, Ordering::Relaxed).is_multiple_of(PROBED_OF))
    }

    /// Ends the connection.
    pub(super) async fn close(&self) {
        if let Some(link) = self.link.lock().await.take() {
            link.close().await;
        }
    }
}
