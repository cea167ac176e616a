//! One stream of frames each way: what the client is built on, and what bulk senders use directly.

use super::config::ClientConfig;
use crate::frame::{FrameError, MessageKind, Next};
use crate::limits::EXCHANGE_ANSWER_FRAME_BYTES_MAX;
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream, VarInt, WriteError};
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The client's own certificate or key cannot be used.
    #[error("the client's certificate cannot be used: {0}")]
    Certificate(String),
    /// No socket could be opened here.
    #[error("no socket could be opened: {0}")]
    Socket(String),
    /// Nobody answered.
    #[error("no engine answers at {0}")]
    Unreachable(SocketAddr),
    /// The engine's certificate is not the one that was expected.
    #[error("the engine at {engine} cannot prove who it is: {problem}")]
    EngineNotTrusted {
        /// Where.
        engine: SocketAddr,
        /// What is wrong.
        problem: String,
    },
    /// The engine does not let this client in.
    #[error("the engine at {engine} refused this client: {problem}")]
    Refused {
        /// Where.
        engine: SocketAddr,
        /// What it said.
        problem: String,
    },
}

/// Longest wait for a handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(3);

/// Longest wait for a farewell to be sent.
const FAREWELL_WAIT: Duration = Duration::from_millis(200);

/// A connection to an engine, on which streams of frames are opened.
pub struct EngineConnection {
    endpoint: Endpoint,
    connection: Connection,
    engine: SocketAddr,
}

/// What a connection has sent and received so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// UDP datagrams sent.
    pub datagrams_sent: u64,
    /// UDP datagrams received.
    pub datagrams_received: u64,
    /// Bytes sent, without the headers of UDP and IP.
    pub bytes_sent: u64,
    /// Bytes received, without the headers of UDP and IP.
    pub bytes_received: u64,
    /// Packets sent that are held to be lost.
    pub packets_lost: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.datagrams_sent += other.datagrams_sent;
        self.datagrams_received += other.datagrams_received;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.packets_lost += other.packets_lost;
    }
}

/// One open stream of frames.
pub struct Pipe {
    /// Where questions go in.
    pub sender: PipeSender,
    /// Where answers come out.
    pub receiver: PipeReceiver,
}

/// The sending half.
pub struct PipeSender {
    stream: SendStream,
    endpoint: Endpoint,
    connection: Connection,
}

/// The receiving half.
pub struct PipeReceiver {
    stream: RecvStream,
    buffer: Vec<u8>,
    connection: Connection,
}

impl EngineConnection {
    /// Connects.
    pub async fn open(config: &ClientConfig) -> Result<Self, ConnectError> {
        let engine = config.engine;
        let local: SocketAddr =
            if engine.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let endpoint = Endpoint::client(local).map_err(|error| ConnectError::Socket(error.to_string()))?;
        let connecting = endpoint
            .connect_with(config.identity.quic()?, engine, &config.engine_name)
            .map_err(|error| ConnectError::Certificate(error.to_string()))?;
        let connection = tokio::time::timeout(HANDSHAKE_WAIT, connecting)
            .await
            .map_err(|_| ConnectError::Unreachable(engine))?
            .map_err(|error| refusal(engine, &error))?;
        Ok(Self { endpoint, connection, engine })
    }

    /// Opens a stream.
    pub async fn pipe(&self) -> Result<Pipe, ConnectError> {
        let (endpoint, connection) = (self.endpoint.clone(), self.connection.clone());
        let (send, recv) = connection.open_bi().await.map_err(|error| refusal(self.engine, &error))?;
        Ok(Pipe {
            sender: PipeSender { stream: send, endpoint, connection: connection.clone() },
            receiver: PipeReceiver { stream: recv, buffer: Vec::new(), connection },
        })
    }

    /// What it has sent and received so far.
    pub fn traffic(&self) -> Traffic {
        let stats = self.connection.stats();
        Traffic {
            datagrams_sent: stats.udp_tx.datagrams,
            datagrams_received: stats.udp_rx.datagrams,
            bytes_sent: stats.udp_tx.bytes,
            bytes_received: stats.udp_rx.bytes,
            packets_lost: stats.path.lost_packets,
        }
    }

    /// Ends the connection.
    pub async fn close(self) {
        Farewell { endpoint: self.endpoint, connection: self.connection }.say().await;
    }
}

impl Pipe {
    /// Connects and opens a stream.
    pub async fn open(config: &ClientConfig) -> Result<Self, ConnectError> {
        EngineConnection::open(config).await?.pipe().await
    }
}

/// What a lost or refused connection means to a person.
fn refusal(engine: SocketAddr, error: &ConnectionError) -> ConnectError {
    match error {
        ConnectionError::TimedOut | ConnectionError::VersionMismatch | ConnectionError::CidsExhausted => {
            ConnectError::Unreachable(engine)
        }
        ConnectionError::TransportError(transport) => {
            ConnectError::EngineNotTrusted { engine, problem: transport.reason.clone() }
        }
        ConnectionError::ConnectionClosed(_)
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::LocallyClosed => ConnectError::Refused { engine, problem: why_closed(error) },
    }
}

/// Why a connection ended, in words.
pub(super) fn why_closed(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) if close.reason.is_empty() => {
            format!("it was closed without a reason, code {}", close.error_code)
        }
        ConnectionError::ApplicationClosed(close) => String::from_utf8_lossy(&close.reason).into_owned(),
        ConnectionError::ConnectionClosed(close) => {
            let reason = String::from_utf8_lossy(&close.reason);
            if reason.is_empty() { close.error_code.to_string() } else { reason.into_owned() }
        }
        other => other.to_string(),
    }
}

/// Why frames stopped coming.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PipeError {
    /// The connection ended.
    #[error("{0}")]
    Closed(String),
    /// The engine sent a frame that cannot be read.
    #[error("the engine sent a frame that cannot be read: {0}")]
    Frame(#[from] FrameError),
    /// The engine sent a frame that is longer than any answer.
    #[error("the engine sent a frame that is too long")]
    TooLarge,
}

impl PipeSender {
    /// Writes whole frames; returns when they are handed to the transport.
    pub async fn send(&mut self, frames: &[u8]) -> Result<(), PipeError> {
        self.stream.write_all(frames).await.map_err(|error| self.ended(&error))
    }

    fn ended(&self, error: &WriteError) -> PipeError {
        PipeError::Closed(match self.connection.close_reason() {
            Some(reason) => why_closed(&reason),
            None => error.to_string(),
        })
    }

    /// Writes as many bytes as the transport takes at once, and says how many: for a sender that must not wait.
    pub fn try_send(&mut self, bytes: &[u8]) -> Result<usize, PipeError> {
        let polled = pin!(self.stream.write(bytes)).poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Pending => Ok(0),
            Poll::Ready(Ok(written)) => Ok(written),
            Poll::Ready(Err(error)) => Err(self.ended(&error)),
        }
    }

    /// Says that no more frames follow; answers still come.
    pub fn finish(&mut self) {
        // An error says that the stream has ended already.
        let _ = self.stream.finish();
    }

    /// How to end the connection.
    pub(super) fn farewell(&self) -> Farewell {
        Farewell { endpoint: self.endpoint.clone(), connection: self.connection.clone() }
    }
}

/// Ends a connection, so that the engine does not have to find out by its silence.
pub(super) struct Farewell {
    endpoint: Endpoint,
    connection: Connection,
}

impl Farewell {
    pub(super) async fn say(self) {
        self.connection.close(VarInt::from_u32(0), b"");
        // A farewell that does not get through is no loss.
        let _ = tokio::time::timeout(FAREWELL_WAIT, self.endpoint.wait_idle()).await;
    }
}

impl PipeReceiver {
    /// Waits for bytes and hands every whole frame that they complete to `take`. `false` at the end of the stream.
    pub async fn receive(&mut self, mut take: impl FnMut(MessageKind, &[u8])) -> Result<bool, PipeError> {
        let chunk = self.stream.read_chunk(usize::MAX, true).await;
        let chunk = match chunk {
            Ok(Some(chunk)) => chunk.bytes,
            Ok(None) => return Ok(false),
            Err(error) => {
                return Err(PipeError::Closed(match self.connection.close_reason() {
                    Some(reason) => why_closed(&reason),
                    None => error.to_string(),
                }));
            }
        };
        self.buffer.extend_from_slice(&chunk);
        let mut taken = 0;
        loop {
            match Next::parse(&self.buffer[taken..], EXCHANGE_ANSWER_FRAME_BYTES_MAX) {
                Next::Frame { frame, consumed } => {
                    let (kind, message) = frame.open()?;
                    take(kind, message);
                    taken += consumed;
                }
                Next::Incomplete(_) => break,
                Next::TooLarge { .. } => return Err(PipeError::TooLarge),
            }
        }
        self.buffer.drain(..taken);
        Ok(true)
    }
}
