//! The dashboard: what an operator leaves open all day.
//!
//! The page is a few files in `files/`, served as they are, and everything on it comes from documented JSON:
//! `/api/now` (how the engine stands), `/api/history?seconds=900&points=300` (the last hour, by the second or joined), and
//! `/api/events` (server-sent events: each second as it ends). Once a second what the workers
//! have counted is copied on the admin port's thread, under the lock that a scrape takes too; nothing else touches screening.

mod now;
mod past;
mod second;

use super::admin::Admin;
use super::alerts::Watcher;
use super::clock;
use crate::metrics::lock;
use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::Stream;
use past::Past;
use second::{CELLS, Counted, Second, cell_begins_us};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Pages that may listen at a time: an open one costs a connection and some kilobytes a second.
const LISTENERS_MAX: usize = 32;
const SECOND: Duration = Duration::from_secs(1);

/// The page's files, by name.
const FILES: [(&str, &str, &str); 6] = [
    ("page.css", "text/css; charset=utf-8", include_str!("files/page.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("files/page.js")),
    ("charts.js", "text/javascript; charset=utf-8", include_str!("files/charts.js")),
    ("tables.js", "text/javascript; charset=utf-8", include_str!("files/tables.js")),
    ("uPlot.js", "text/javascript; charset=utf-8", include_str!("files/uPlot.js")),
    ("uPlot.css", "text/css; charset=utf-8", include_str!("files/uPlot.css")),
];

/// What goes with every page, this one and the desk's: it has nothing that is not its own, is in nobody's frame, and sends
/// nothing to anybody but the engine.
pub(super) const SECURITY: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// What the dashboard remembers.
pub(super) struct Dashboard {
    past: Mutex<Past>,
    /// Number of the second that ended last; every change is an event.
    ended: watch::Sender<u64>,
    listeners: AtomicUsize,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self { past: Mutex::default(), ended: watch::Sender::new(0), listeners: AtomicUsize::new(0) }
    }
}

type Looking = Shared<Arc<Admin>>;

/// The dashboard's paths.
pub(super) fn routes() -> Router<Arc<Admin>> {
    Router::new()
        .route("/", get(|| async { (SECURITY, axum::response::Html(include_str!("files/index.html"))) }))
        .route("/files/{name}", get(file))
        .route(
            "/api/now",
            get(|Shared(admin): Looking| async move { Json(now::now(&admin, clock::moment())) }),
        )
        .route("/api/history", get(history))
        .route("/api/events", get(events))
}

/// Notes what each second sees, until `stop` says so.
pub(super) async fn watch(admin: Arc<Admin>, mut watcher: Watcher, mut stop: watch::Receiver<bool>) {
    let mut before = counted(&admin);
    let mut began = clock::steady_ms();
    let mut ticks = tokio::time::interval(SECOND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        let (counted, ended) = (counted(&admin), clock::steady_ms());
        let mut second = counted.since(&before);
        (second.at_ms, second.took_ms) = (clock::now().ms(), ended.saturating_sub(began));
        second.staleness_ms = admin.state.staleness_ms(clock::moment());
        (before, began) = (counted, ended);
        let hits = second.rules.iter().map(|(id, hits)| (id.clone(), hits.enforced + hits.shadow));
        watcher.second(second.answers.values().sum(), hits, (&admin.state, admin.log.as_deref()));
        lock(&admin.dashboard.past).push(second);
        admin.dashboard.ended.send_modify(|number| *number += 1);
    }
}

fn counted(admin: &Admin) -> Counted {
    Counted::new(admin.metrics.total(), admin.metrics.rule_hits(), admin.metrics.commits())
}

async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, text)) => (SECURITY, [(header::CONTENT_TYPE, *kind)], *text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `seconds` of the past (900 where nothing is said, 3600 at most) in `points` (300; 3600 at most).
async fn history(Shared(admin): Looking, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let number = |name: &str, default: usize| match asked.get(name) {
        None => Ok(default),
        Some(text) => match text.parse() {
            Ok(number @ 1..=past::KEPT) => Ok(number),
            _ => Err(format!("{name}: {} is not 1 to {}\n", text.escape_debug(), past::KEPT)),
        },
    };
    match (number("seconds", 900), number("points", 300)) {
        (Ok(seconds), Ok(points)) => {
            let points = lock(&admin.dashboard.past).points(seconds, points);
            Json(json!({
                "cells_us": (0..CELLS).map(cell_begins_us).collect::<Vec<_>>(),
                "points": points.iter().map(Second::json).collect::<Vec<_>>(),
            }))
            .into_response()
        }
        (Err(problem), _) | (_, Err(problem)) => (StatusCode::BAD_REQUEST, problem).into_response(),
    }
}

/// One page that listens; gives its place back at the end.
struct Listener {
    admin: Arc<Admin>,
    ended: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.admin.dashboard.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn events(Shared(admin): Looking) -> Response {
    let dashboard = &admin.dashboard;
    if dashboard.listeners.fetch_add(1, Ordering::Relaxed) >= LISTENERS_MAX {
        dashboard.listeners.fetch_sub(1, Ordering::Relaxed);
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages listen\n").into_response();
    }
    let (ended, stop) = (dashboard.ended.subscribe(), admin.stop.clone());
    Sse::new(seconds(Listener { admin: admin.clone(), ended, stop })).into_response()
}

fn seconds(listener: Listener) -> impl Stream<Item = Result<Event, Infallible>> {
    futures_util::stream::unfold(listener, |mut listener| async move {
        tokio::select! {
            changed = listener.ended.changed() => changed.ok()?,
            _ = listener.stop.wait_for(|stopped| *stopped) => return None,
        }
        let second = lock(&listener.admin.dashboard.past).last().map(Second::json);
        let now = now::now(&listener.admin, clock::moment());
        let data: Value = json!({ "second": second, "now": now });
        Some((Ok(Event::default().data(data.to_string())), listener))
    })
}
