//! The desk page: what a support agent opens in a browser that has the agent's certificate. Its files are served as they are;
//! everything that it says and does goes through the same paths as everybody's (`/v1/me`, `/v1/flags`), so the page has no
//! right of its own.
//!
//! A number travels in the body of a request alone: never in an address, which ends in histories and logs.

use super::ask::Call;
use super::problem::Problem;
use crate::server::dashboard::SECURITY;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use std::sync::atomic::Ordering;

const FILES: [(&str, &str, &str); 5] = [
    ("desk.css", "text/css; charset=utf-8", include_str!("desk/desk.css")),
    ("desk.js", "text/javascript; charset=utf-8", include_str!("desk/desk.js")),
    ("forms.js", "text/javascript; charset=utf-8", include_str!("desk/forms.js")),
    ("shown.js", "text/javascript; charset=utf-8", include_str!("desk/shown.js")),
    ("texts.js", "text/javascript; charset=utf-8", include_str!("desk/texts.js")),
];

/// The page's paths.
pub(super) fn routes() -> Router<Call> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/desk") }))
        .route("/desk", get(page))
        .route("/desk/{file}", get(file))
}

async fn page(State(call): State<Call>) -> Response {
    call.spoken.store(true, Ordering::Relaxed);
    served("text/html; charset=utf-8", include_str!("desk/index.html"))
}

async fn file(State(call): State<Call>, Path(name): Path<String>) -> Response {
    call.spoken.store(true, Ordering::Relaxed);
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, media_type, text)) => served(media_type, text),
        None => Problem::bad("not_found", "the page has no such file").into_response(),
    }
}

fn served(media_type: &'static str, text: &'static str) -> Response {
    (SECURITY, [(header::CONTENT_TYPE, media_type)], text).into_response()
}
