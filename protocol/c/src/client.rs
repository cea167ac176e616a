//! A thread with the async client, and calls from other threads that wait for it.

use crate::answer::sparr_answer;
use sparr_protocol::client::{CallError, Client, ClientConfig, FailPolicy, Fallback, Verdict};
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said};
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::ReasonCode;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A client whose calls block: the async one runs on a thread of its own.
pub struct Blocking {
    client: Arc<Client>,
    policy: FailPolicy,
    handle: Handle,
    names: Mutex<HashMap<u16, String>>,
    asked: AtomicU64,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Blocking {
    /// Starts the thread. Nothing is connected yet: the first call does that.
    pub fn start(config: ClientConfig) -> std::io::Result<Self> {
        let policy = config.fail_policy;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let client = Arc::new(Client::new(config));
        let closing = client.clone();
        let thread = std::thread::Builder::new().name("sparr-client".to_owned()).spawn(move || {
            runtime.block_on(async move {
                // The sender is dropped with the client: both mean the end.
                let _ = stopped.await;
                closing.close().await;
            });
        })?;
        let names = Mutex::default();
        Ok(Self {
            client,
            policy,
            handle,
            names,
            asked: AtomicU64::new(1),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What the policy says of a request that there is no answer to.
    pub fn fallback(&self, request: &AuthorisationRequest) -> Fallback {
        self.policy.for_kind(request.kind)
    }

    /// Runs something on the client's thread and waits for it; `None` where that thread is gone.
    fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (done, result) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // Who waits cannot have gone: they wait until this is dropped.
            let _ = done.send(work.await);
        });
        result.recv().ok()
    }

    /// Screens requests, all in flight at once; answers are in their order. `deadline_us` 0: the client's timeout.
    pub fn screen(&self, requests: Vec<AuthorisationRequest>, deadline_us: u32) -> Vec<sparr_answer> {
        let kept: Vec<_> =
            requests.iter().map(|request| (request.request_id, self.fallback(request))).collect();
        let client = self.client.clone();
        let verdicts = self.wait(async move {
            let calls = requests.into_iter().map(|mut request| {
                if deadline_us != 0 {
                    request.deadline_us = deadline_us;
                }
                let client = client.clone();
                tokio::spawn(async move { client.decide(&request).await })
            });
            // All of them are under way before the first is waited for.
            let calls: Vec<_> = calls.collect();
            let mut verdicts: Vec<Option<Verdict>> = Vec::with_capacity(calls.len());
            for call in calls {
                verdicts.push(call.await.ok());
            }
            verdicts
        });
        let verdicts = verdicts.unwrap_or_default().into_iter().chain(std::iter::repeat(None));
        let answers = kept.into_iter().zip(verdicts).map(|((id, fallback), verdict)| match verdict {
            Some(verdict) => sparr_answer::of(id, &verdict),
            None => sparr_answer::none(c"closed", Some(fallback)),
        });
        answers.collect()
    }

    /// Connects now, so that the first call does not pay for it, and waits for an answer of any kind.
    pub fn connect(&self) -> Result<(), &'static str> {
        match self.ask(ReasonCode(0)) {
            Some(Ok(_)) => Ok(()),
            Some(Err(CallError::Timeout(_))) => Err("timeout"),
            Some(Err(CallError::Connect(sparr_protocol::client::ConnectError::Unreachable(_)))) => {
                Err("unreachable")
            }
            Some(Err(CallError::Connect(_))) => Err("refused"),
            Some(Err(_)) => Err("connection_lost"),
            None => Err("closed"),
        }
    }

    /// The name of a reason, as the engine has it; asked for once.
    pub fn reason_name(&self, code: u16) -> Option<String> {
        if let Some(known) = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&code) {
            return Some(known.clone());
        }
        let name = self.ask(ReasonCode(code))?.ok()??;
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(code, name.clone());
        Some(name)
    }

    /// What is wrong with the numbers that this gateway sends, a sentence for each; `None` where nobody answers.
    pub fn check_identities(&self, as_sent: impl Fn(&str) -> String) -> Option<Vec<String>> {
        let client = self.client.clone();
        let numbers = self.wait(async move { client.identity_challenges().await })?.ok()?;
        let sent = numbers.iter().map(|number| as_sent(number)).collect();
        let client = self.client.clone();
        self.wait(async move { client.wrong_identities(sent).await })?.ok()
    }

    fn ask(&self, code: ReasonCode) -> Option<Result<Option<String>, CallError>> {
        let mut id = *b"reason\0\0\0\0\0\0\0\0\0\0";
        id[8..].copy_from_slice(&self.asked.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        let question = ExchangeRequest { id: RequestId(id), operation: Operation::ReasonName { code } };
        let client = self.client.clone();
        let answers = self.wait(async move { client.exchange(&question).await })?;
        Some(answers.map(|answers| {
            answers.into_iter().find_map(|answer| match answer.said {
                Said::Reason(name) => Some(name),
                _ => None,
            })
        }))
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

const _: () = {
    // Calls come from many threads at once: C cannot say it, so it is said here.
    const fn shared<T: Send + Sync>() {}
    shared::<Blocking>();
};

/// How long calls wait where nothing is said.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_millis(250);
