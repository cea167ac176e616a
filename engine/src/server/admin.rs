//! The admin port: probes, metrics, reload, the dashboard, and a plain page. Loopback by default, apart from the data plane. It knows
//! nobody, so whatever needs a person is asked for over the data plane, with a certificate.

use super::alerts::{AlertsConfig, Board, Watcher};
use super::clock;
use super::dashboard::{self, Dashboard};
use super::decision_log::Gate;
use super::recorder::Recalls;
use super::reload::{Cause, Reloader};
use crate::metrics::{self, JournalState, Metrics};
use crate::state::State;
use axum::Router;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use prometheus_client::registry::Registry;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::watch;

/// What the admin port looks at.
pub(super) struct Admin {
    /// The engine's state.
    pub state: Arc<State>,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// Loads rules.
    pub reloader: Arc<Reloader>,
    /// Requests that would be answered otherwise now.
    pub recalls: Arc<Recalls>,
    /// What 99 decisions in 100 should not take longer than, µs.
    pub budget_us: u64,
    /// What the dashboard remembers.
    pub dashboard: Dashboard,
    /// Says when the engine stops.
    pub stop: watch::Receiver<bool>,
    /// Room in the decision log, where there is one.
    pub log: Option<Arc<Gate>>,
    /// What the engine has noticed of itself.
    pub alerts: Arc<Board>,
    registry: Registry,
}

impl Admin {
    /// Looks at an engine.
    pub(super) fn new(
        state: Arc<State>,
        metrics: Arc<Metrics>,
        reloader: Arc<Reloader>,
        recalls: Arc<Recalls>,
        (budget_us, stop): (u64, watch::Receiver<bool>),
        log: Option<Arc<Gate>>,
    ) -> Self {
        let alerts = Arc::new(Board::default());
        let registry =
            metrics::registry(metrics.clone(), state.clone(), log.clone(), alerts.clone(), clock::moment);
        let dashboard = Dashboard::default();
        Self { state, metrics, reloader, recalls, budget_us, dashboard, stop, log, alerts, registry }
    }
}

type Looking = Shared<Arc<Admin>>;

/// Serves the admin port on a thread of its own, until `stop` says so.
pub(super) fn start(
    listener: TcpListener,
    admin: Admin,
    alerts: AlertsConfig,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let watcher = Watcher::new(alerts, admin.alerts.clone());
    let admin = Arc::new(admin);
    let routes = Router::new()
        .route("/plain", get(page))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .route("/-/reload", post(reload))
        .route("/api/rules/history", get(history))
        .merge(dashboard::routes())
        .with_state(admin.clone());
    std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "the admin port has no runtime"),
        };
        runtime.block_on(async move {
            tokio::spawn(dashboard::watch(admin, watcher, stop.clone()));
            let served = async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, routes)
                    .with_graceful_shutdown(async move {
                        // A sender that is gone says the same.
                        let _ = stop.wait_for(|stopped| *stopped).await;
                    })
                    .await
            };
            if let Err(error) = served.await {
                tracing::error!(%error, "the admin port cannot serve");
            }
        });
    })
}

/// One line of `/readyz?verbose`.
pub(super) fn checks(admin: &Admin) -> [(&'static str, bool); 4] {
    [
        ("state", admin.state.is_ready()),
        ("accepting", !admin.state.is_draining()),
        ("rules", admin.state.rules().is_some()),
        ("journal", admin.metrics.journal_state() != JournalState::Failed),
    ]
}

async fn readyz(Shared(admin): Looking, RawQuery(query): RawQuery) -> Response {
    let checks = checks(&admin);
    let ready = checks.iter().all(|(_, passed)| *passed);
    let mut text = String::new();
    if query.is_some_and(|query| query.starts_with("verbose")) || !ready {
        for (name, passed) in checks {
            text.push_str(&format!("[{}] {name}\n", if passed { '+' } else { '-' }));
        }
    }
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a Prometheus that takes native histograms asks for.
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

async fn metrics_page(Shared(admin): Looking, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.contains("application/vnd.google.protobuf") {
        return match prometheus_client::encoding::prometheus_protobuf::encode_to_vec(&admin.registry) {
            Ok(bytes) => ([(header::CONTENT_TYPE, PROTOBUF)], bytes).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
    }
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &admin.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn reload(Shared(admin): Looking) -> Response {
    let reloader = admin.reloader.clone();
    let Ok(report) = tokio::task::spawn_blocking(move || reloader.reload(Cause::Asked)).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match report.result {
        Ok((digest, rules)) => {
            let staged = if report.staged { ", staged: it waits for approval" } else { "" };
            format!("{rules} rules, digest {digest}, {} warnings{staged}\n", report.warnings).into_response()
        }
        Err(problem) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{problem}\n")).into_response(),
    }
}

async fn history(Shared(admin): Looking) -> Response {
    let lines: String = admin.reloader.history().iter().map(|entry| format!("{entry}\n")).collect();
    ([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response()
}

const CONTENT_SECURITY: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
];

async fn page(Shared(admin): Looking) -> Response {
    (CONTENT_SECURITY, Html(super::page::render(&admin, clock::moment()))).into_response()
}
