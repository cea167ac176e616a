//! The async gateway client: screen over QUIC with mutual TLS, a deadline on every call, and a written policy for
//! the moment when there is no decision.
//!
//! Many calls in flight share one connection and one stream; those of one scheduling tick travel in one write,
//! because a packet costs more than a request.

mod again;
mod canary;
mod config;
mod engine;
mod identities;
mod link;
mod pipe;
mod policy;

pub use canary::{CANARY_EVERY, Canary, CanaryResult};
pub use config::{ClientConfig, Identity, IdentityError};
pub use pipe::{ConnectError, EngineConnection, Pipe, PipeError, PipeReceiver, PipeSender, Traffic};
pub use policy::{FailPolicy, Fallback};

use crate::aftermath::{FinalResult, Label};
use crate::codes::Kind;
use crate::exchange::{ExchangeAnswer, ExchangeRequest, Operation};
use crate::ids::RequestId;
use crate::request::{AuthorisationRequest, EncodeError};
use crate::response::{AuthorisationResponse, NotScreened, ReasonCode};
use again::Engines;
use engine::Engine;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// A client of one engine, or of two of one member. Share it: it is cheap to use from many tasks at once.
pub struct Client {
    engines: Engines,
    fallbacks: [AtomicU64; Kind::ALL.len()],
}

/// How often a client asked for a decision more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskedAgain {
    /// Tries after a refusal or a lost connection.
    pub retries: u64,
    /// Questions to the second engine because the first was slow; where there was no connection to the first they are not
    /// counted.
    pub hedges: u64,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Encode(#[from] EncodeError),
    /// The engine cannot be reached, or does not let this client in.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection was lost before an answer came. Whether the engine screened it is unknown; a retry with the
    /// same id is safe.
    #[error("the connection was lost: {0}")]
    ConnectionLost(String),
    /// No answer came in time. Whether the engine screened it is unknown; a retry with the same id is safe.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The same id is already in flight from this client.
    #[error("a request with this id is already in flight")]
    InFlight,
    /// More calls are in flight than this client allows.
    #[error("{0} requests are in flight already")]
    TooManyInFlight(usize),
    /// The answer has a value that this version does not know: it is taken as no answer.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

/// What a gateway shall do with a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The engine decided.
    Screened(AuthorisationResponse),
    /// The engine answered that it could not: the gateway's own policy applies.
    NotScreened {
        /// The engine's reason.
        not_screened: NotScreened,
        /// What the policy says.
        fallback: Fallback,
    },
    /// There was no answer: the gateway's own policy applies.
    NoAnswer {
        /// Why there was none.
        error: CallError,
        /// What the policy says.
        fallback: Fallback,
    },
}

impl Client {
    /// A client; it connects at the first call, and again whenever the connection is lost.
    pub fn new(config: ClientConfig) -> Self {
        Self { engines: Engines::new(Engine::new(config)), fallbacks: Default::default() }
    }

    /// Connects now, so that the first call does not pay for the handshake, and a wrong certificate is told early.
    ///
    /// A TLS 1.3 client believes itself connected before the engine has looked at its certificate, so this asks one
    /// question that everybody may ask and waits for the answer, whatever it is.
    pub async fn connect(config: ClientConfig) -> Result<Self, ConnectError> {
        let engine = config.engine;
        let client = Self::new(config);
        client.engines.first.link().await?;
        let anything = ExchangeRequest {
            id: RequestId(*b"is anybody there"),
            operation: Operation::ReasonName { code: ReasonCode(0) },
        };
        match client.exchange(&anything).await {
            Ok(_) => Ok(client),
            Err(CallError::Connect(error)) => Err(error),
            Err(CallError::ConnectionLost(problem)) => Err(ConnectError::Refused { engine, problem }),
            Err(
                CallError::Timeout(_)
                | CallError::Encode(_)
                | CallError::InFlight
                | CallError::TooManyInFlight(_)
                | CallError::Unreadable(_),
            ) => Err(ConnectError::Unreachable(engine)),
        }
    }

    /// Asks for a decision and says what to do in every case. Where another try may bring one, it is made under the same id,
    /// within the request's deadline and the budgets of the configuration.
    pub async fn decide(&self, request: &AuthorisationRequest) -> Verdict {
        let fallback = || {
            self.fallbacks[request.kind as usize - 1].fetch_add(1, Ordering::Relaxed);
            self.engines.first.config.fail_policy.for_kind(request.kind)
        };
        match self.engines.screen(request).await {
            Ok(response) => match response.answer {
                Ok(_) => Verdict::Screened(response),
                Err(not_screened) => Verdict::NotScreened { not_screened, fallback: fallback() },
            },
            Err(error) => Verdict::NoAnswer { error, fallback: fallback() },
        }
    }

    /// Asks for an answer, once, and applies no policy. A request without a deadline gets the client's timeout as one.
    pub async fn screen(&self, request: &AuthorisationRequest) -> Result<AuthorisationResponse, CallError> {
        self.engines.first.screen(request).await
    }

    /// Carries out an operation of the exchange: all its answers, in order.
    pub async fn exchange(&self, request: &ExchangeRequest) -> Result<Vec<ExchangeAnswer>, CallError> {
        let mut frame = Vec::new();
        request.encode(&mut frame).map_err(EncodeError::from)?;
        self.ask(request.id, frame).await
    }

    /// Tells what became of a request.
    pub async fn final_result(&self, result: &FinalResult) -> Result<Vec<ExchangeAnswer>, CallError> {
        let mut frame = Vec::new();
        result.encode(&mut frame).map_err(EncodeError::from)?;
        self.ask(result.id, frame).await
    }

    /// Tells what a payment turned out to be.
    pub async fn label(&self, label: &Label) -> Result<Vec<ExchangeAnswer>, CallError> {
        let mut frame = Vec::new();
        label.encode(&mut frame).map_err(EncodeError::from)?;
        self.ask(label.id, frame).await
    }

    /// Asks for answers that come as long as the connection lives: a channel that ends with it.
    pub async fn watch(
        &self,
        request: &ExchangeRequest,
    ) -> Result<mpsc::UnboundedReceiver<ExchangeAnswer>, CallError> {
        let mut frame = Vec::new();
        request.encode(&mut frame).map_err(EncodeError::from)?;
        self.engines.first.link().await?.exchange(request.id, frame)
    }

    /// Sends one question and waits for all its answers.
    async fn ask(&self, id: RequestId, frame: Vec<u8>) -> Result<Vec<ExchangeAnswer>, CallError> {
        let timeout = self.engines.first.config.exchange_timeout;
        let call = async {
            let link = self.engines.first.link().await?;
            let mut answers = link.exchange(id, frame)?;
            let mut all = Vec::new();
            while let Some(answer) = answers.recv().await {
                let last = !answer.said.more_follows();
                all.push(answer);
                if last {
                    return Ok(all);
                }
            }
            Err(link.lost())
        };
        tokio::time::timeout(timeout, call).await.unwrap_or(Err(CallError::Timeout(timeout)))
    }

    /// Ends the connections, so that an engine does not have to find out by its silence. Calls in flight are lost.
    pub async fn close(&self) {
        self.engines.first.close().await;
        if let Some(second) = &self.engines.second {
            second.close().await;
        }
    }

    /// How often the fail policy was used for a kind.
    pub fn fallbacks(&self, kind: Kind) -> u64 {
        self.fallbacks[kind as usize - 1].load(Ordering::Relaxed)
    }

    /// How often [`decide`](Self::decide) asked more than once.
    pub fn asked_again(&self) -> AskedAgain {
        AskedAgain { retries: self.engines.retries.used(), hedges: self.engines.hedges.used() }
    }
}

const _: () = {
    let mut at = 0;
    while at < Kind::ALL.len() {
        assert!(Kind::ALL[at] as usize == at + 1, "kinds are numbered from 1 without gaps");
        at += 1;
    }
};
