//! The gateway of the gRPC service: one HTTP/2 connection over mutual TLS, as many calls on it as there are.

use super::message::{ScreenAnswer, ScreenRequest};
use super::service::PATH;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sparr_benches::{Failure, tls};
use sparr_loadgen::service::Keys;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::{BoxFuture, Service, http};
use tonic_prost::ProstCodec;

/// How a connection is made.
pub(super) struct GrpcClient {
    address: SocketAddr,
    connector: TlsConnector,
}

impl GrpcClient {
    /// To a service of the same authority.
    pub(super) fn new(address: SocketAddr, keys: &Keys) -> Result<Self, Failure> {
        Ok(Self { address, connector: tls::connector(keys.identity_dir(), b"h2")? })
    }

    /// Connects. The connection is moved by the runtime that it was made on.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let stream = tls::connect(&self.connector, self.address).await?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends with its sender.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Connection(sender))
    }
}

/// An open connection, as `tonic` wants one.
#[derive(Clone)]
pub(super) struct Connection(SendRequest<Body>);

impl Service<http::Request<Body>> for Connection {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

impl Connection {
    /// Asks about the payment with this number, under an id of its own, and wants a decision.
    pub(super) fn screen(
        &self,
        requests: &[ScreenRequest],
        number: u64,
    ) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let mut request = requests[(number % requests.len() as u64) as usize].clone();
        let (_, id) = request.request_id.split_at_mut(8);
        id.copy_from_slice(&number.to_be_bytes());
        let this = self.clone();
        async move {
            let answer = this.ask(request).await?;
            if answer.outcome.is_empty() { Err("an answer without an outcome".into()) } else { Ok(()) }
        }
    }

    /// Asks about a payment.
    pub(super) async fn ask(self, request: ScreenRequest) -> Result<ScreenAnswer, Failure> {
        let mut grpc = Grpc::with_origin(self, http::Uri::from_static("https://sparr"));
        grpc.ready().await?;
        let path = http::uri::PathAndQuery::from_static(PATH);
        let answer = grpc.unary(tonic::Request::new(request), path, ProstCodec::default()).await;
        answer.map(tonic::Response::into_inner).map_err(|status| status.to_string().into())
    }
}
