//! The gRPC service: a payment's windows and flag from Redis, its rules by the `cel` crate.

use super::message::{ScreenAnswer, ScreenRequest};
use super::redis::{self, Known};
use crate::runtime;
use ::redis::aio::MultiplexedConnection;
use cel::{Context, Program, Value};
use sparr_benches::rules::{Form, REFERENCE_KEYS, REFERENCE_SPANS};
use sparr_benches::{Failure, clock};
use sparr_loadgen::service::Keys;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, StdError, http, tokio_stream};
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;
use tonic_prost::ProstCodec;

/// Where the call is.
pub(super) const PATH: &str = "/sparr.bench.Screening/Screen";

/// Compiled conditions.
pub(super) struct Rules {
    programs: Vec<(u32, Program)>,
    /// The functions that conditions may call: bound once.
    root: Context<'static, 'static>,
    /// Names of the windows' variables.
    windows: [[String; REFERENCE_SPANS.len()]; REFERENCE_KEYS.len()],
}

impl Rules {
    /// As many as the crate takes.
    pub(super) fn compile(forms: &[Form]) -> Self {
        let programs = (0..).zip(forms);
        let programs =
            programs.filter_map(|(number, form)| Some((number, Program::compile(&form.cel_text()).ok()?)));
        let windows =
            REFERENCE_KEYS.map(|key| REFERENCE_SPANS.map(|(span, _)| format!("velocity_{key}_{span}")));
        Self { programs: programs.collect(), root: Context::default(), windows }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.programs.len()
    }

    /// The rules that hit, and what that comes to. A value that the payment does not have makes a condition fail.
    pub(super) fn decide(&self, request: &ScreenRequest, known: &Known) -> ScreenAnswer {
        let mut context = self.root.new_inner_scope();
        for (name, value) in request.numbers() {
            value.into_iter().for_each(|value| context.add_variable_from_value(name, value));
        }
        for (name, value) in request.texts() {
            value.into_iter().for_each(|value| context.add_variable_from_value(name, value.clone()));
        }
        for (names, counts) in self.windows.iter().zip(known.counts) {
            for (name, count) in names.iter().zip(counts) {
                context.add_variable_from_value(name.as_str(), count);
            }
        }
        let holds = |program: &Program| matches!(program.execute(&context), Ok(Value::Bool(true)));
        let hits = self.programs.iter().filter(|(_, program)| holds(program));
        let rules: Vec<u32> = hits.map(|(number, _)| *number).collect();
        let outcome = if known.is_flagged { "challenge" } else { "approve" };
        ScreenAnswer {
            request_id: request.request_id.clone(),
            outcome: outcome.to_owned(),
            score: rules.len() as u32,
            rules,
        }
    }
}

/// Where windows and flags come from.
pub(super) enum Windows {
    /// A Redis on this socket.
    Redis(PathBuf),
    /// Nobody has a flag, and every window holds so many: for tests.
    #[cfg(test)]
    Stated(i64),
}

/// The same, connected.
#[derive(Clone)]
enum Asked {
    Redis(MultiplexedConnection),
    #[cfg(test)]
    Stated(i64),
}

impl Asked {
    async fn known(&mut self, request: &ScreenRequest) -> Result<Known, Failure> {
        match self {
            Self::Redis(connection) => redis::known(connection, request).await,
            #[cfg(test)]
            Self::Stated(count) => Ok(Known { is_flagged: false, counts: [[*count; 3]; 4] }),
        }
    }
}

/// The service, cheap to copy: each call gets one.
#[derive(Clone)]
struct Screening {
    rules: Arc<Rules>,
    asked: Asked,
}

impl UnaryService<ScreenRequest> for Screening {
    type Response = ScreenAnswer;
    type Future = BoxFuture<tonic::Response<ScreenAnswer>, tonic::Status>;

    fn call(&mut self, request: tonic::Request<ScreenRequest>) -> Self::Future {
        let Self { rules, mut asked } = self.clone();
        Box::pin(async move {
            let mut request = request.into_inner();
            // Which hour of the day it is: as sparr, the service's clock where the payment has no time.
            let now_ms = clock::wall().ms();
            request.hour.get_or_insert(now_ms / 3_600_000 % 24);
            let known = asked.known(&request).await;
            let known = known.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
            Ok(tonic::Response::new(rules.decide(&request, &known)))
        })
    }
}

/// What `tonic-build` would have made: a call's path leads to its method.
impl Service<http::Request<Body>> for Screening {
    type Response = http::Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            if request.uri().path() != PATH {
                return Ok(tonic::Status::unimplemented("there is one call").into_http());
            }
            Ok(Grpc::new(ProstCodec::default()).unary(this, request).await)
        })
    }
}

/// Starts it on a free port, on a thread of its own. It ends with the process.
pub(super) fn start(keys: &Keys, rules: Rules, windows: Windows) -> Result<SocketAddr, Failure> {
    let acceptor = TlsAcceptor::from(keys.tls_config(b"h2")?);
    let runtime = runtime()?;
    let (listener, asked) = runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let asked = match windows {
            Windows::Redis(socket) => Asked::Redis(redis::connect(&socket).await?),
            #[cfg(test)]
            Windows::Stated(count) => Asked::Stated(count),
        };
        Ok::<_, Failure>((listener, asked))
    })?;
    let address = listener.local_addr()?;
    let screening = Screening { rules: Arc::new(rules), asked };
    std::thread::Builder::new().name(super::THREADS.to_owned()).spawn(move || {
        let incoming = futures_util::stream::unfold((listener, acceptor), |(listener, acceptor)| async {
            let accepted = accept(&listener, &acceptor).await;
            Some((accepted, (listener, acceptor)))
        });
        let incoming: std::pin::Pin<Box<dyn tokio_stream::Stream<Item = _>>> = Box::pin(incoming);
        // It serves until the process ends; what it could say in the end nobody would hear.
        drop(runtime.block_on(Server::builder().serve_with_incoming(screening, incoming)));
    })?;
    Ok(address)
}

async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor) -> std::io::Result<TlsStream<TcpStream>> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    acceptor.accept(stream).await
}
