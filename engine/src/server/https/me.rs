//! `GET /v1/me`: who the certificate says that the caller is, and what they may do here. A gateway asks it when it connects,
//! and a page shows only what its reader may.

use super::ask::Call;
use super::routes::json;
use super::schemas::{count, here, list, object, or_null, text, truth};
use crate::limits::{FLAG_DAYS_MAX, PASS_MS_MAX};
use crate::rights::{Reach, Right, reach};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use sparr_protocol::codes::Role;
use sparr_protocol::member::MemberKind;
use std::sync::atomic::Ordering;

const HOUR_MS: i64 = 3_600_000;

pub(super) async fn me(State(call): State<Call>) -> Response {
    call.spoken.store(true, Ordering::Relaxed);
    json(StatusCode::OK, "application/json", &told(&call))
}

fn told(call: &Call) -> Value {
    let (actor, state) = (&call.actor, &call.shared.state);
    let kind = state.members.kind(actor.member);
    // The suspended may do nothing.
    let acting = state.members.acting_kind(actor.member);
    let rights: Vec<Value> = Right::all()
        .filter_map(|right| {
            let reach = acting.map_or(Reach::Nobody, |kind| reach(kind, actor.role, right));
            (reach != Reach::Nobody).then(|| json!({ "right": right.name(), "reach": reach.name() }))
        })
        .collect();
    let at = state.position();
    json!({
        "member": actor.member.as_str(),
        "member_kind": kind.map(MemberKind::name),
        "suspended": kind.is_some() && acting.is_none(),
        "role": actor.role.name(),
        "id": actor.id(),
        "sandbox": call.shared.sandbox,
        "engine_of": call.shared.member.as_str(),
        "rights": rights,
        "lift_cooling_off_hours": state.policy.cooling_off_ms / HOUR_MS,
        "pass_hours_max": PASS_MS_MAX / HOUR_MS,
        "flag_days_max": FLAG_DAYS_MAX,
        "position": { "engine": at.engine, "epoch": at.epoch, "index": at.index },
    })
}

/// What it answers, for the document.
pub(super) fn schema() -> Value {
    let kinds: Vec<&str> = MemberKind::ALL.iter().map(|it| it.name()).collect();
    let roles: Vec<&str> = Role::ALL.iter().map(|it| it.name()).collect();
    let right = object(
        &[("right", text()), ("reach", json!({ "enum": [Reach::Own.name(), Reach::All.name()] }))],
        &[],
    );
    object(
        &[
            ("member", text()),
            ("member_kind", or_null(json!({ "enum": kinds }))),
            ("suspended", truth()),
            ("role", json!({ "enum": roles })),
            ("id", text()),
            ("sandbox", truth()),
            ("engine_of", text()),
            ("rights", list(right)),
            ("lift_cooling_off_hours", count()),
            ("pass_hours_max", count()),
            ("flag_days_max", count()),
            ("position", here()),
        ],
        &[],
    )
}
