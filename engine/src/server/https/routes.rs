//! The paths of the door, and what each takes and gives.

use super::ask::{Answers, Asked, Call, any_id};
use super::me::me;
use super::problem::Problem;
use super::{BODY_BYTES_MAX, BODY_WAIT};
use super::{openapi, page};
use crate::contract::{self, aftermath, answers, flags, identities, indicators};
use crate::server::{clock, listing};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use http_body_util::{BodyExt as _, LengthLimitError};
use serde_json::{Value, json};
use sparr_protocol::exchange::{
    ExchangeAnswer, ExchangeRequest, IndicatorOperation, Operation, Refusal, Said,
};
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::{AuthorisationResponse, Why};
use std::error::Error as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A body that is too large by little is read to its end, for so long at most.
const DISCARDED_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;
const DISCARD_WAIT: Duration = Duration::from_secs(1);
/// Microseconds that the caller still has, for every request of a body that says none itself.
pub(super) const DEADLINE: &str = "sparr-deadline-us";
/// What a browser says of the page that asks.
const SITE: &str = "sec-fetch-site";
/// The idempotency key of what is asked: `request_id` of a screening, or the id of an operation.
pub(super) const KEY: &str = "idempotency-key";

type Answer = Result<Response, Problem>;

/// Every path.
pub(super) fn routes() -> Router<Call> {
    Router::new()
        .route("/v1/screen", post(screen))
        .route("/v1/flags", post(flags))
        .route("/v1/indicators", post(indicators))
        .route("/v1/results", post(results))
        .route("/v1/labels", post(labels))
        .route("/v1/identity-check", post(identity_check))
        .route("/v1/me", get(me))
        .route("/v1/openapi.json", get(document))
        .merge(page::routes())
        .fallback(|| async {
            Problem::bad("not_found", "nothing is here; /v1/openapi.json says what is where")
        })
        .method_not_allowed_fallback(|| async {
            Problem::bad("method_not_allowed", "this path does not take that method; see Allow")
        })
}

/// A body of JSON.
pub(super) fn json(status: StatusCode, media_type: &'static str, value: &Value) -> Response {
    body(status, media_type, value.to_string().into())
}

fn body(status: StatusCode, media_type: &'static str, text: Bytes) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn fine(value: &Value) -> Answer {
    Ok(json(StatusCode::OK, "application/json", value))
}

async fn document(State(call): State<Call>) -> Response {
    call.spoken.store(true, Ordering::Relaxed);
    body(StatusCode::OK, "application/json", Bytes::from_static(openapi::text().as_bytes()))
}

/// What a request says outside of its body, and the value that its body is.
struct Read {
    at: Instant,
    key: Option<RequestId>,
    deadline_us: u32,
    value: Value,
}

/// Reads a request, within its bounds of bytes and time.
async fn read(call: &Call, request: Request) -> Result<Read, Problem> {
    let at = clock::instant();
    call.spoken.store(true, Ordering::Relaxed);
    let headers = request.headers();
    // A browser says on whose page a request was made. One with a certificate would lend it to every page that asks.
    if text_of(headers, SITE).is_some_and(|site| !["same-origin", "none"].contains(&site)) {
        return Err(Problem::bad("cross_site", "asked from a page that is not this engine's"));
    }
    let is_json = text_of(headers, header::CONTENT_TYPE.as_str())
        .map(|it| it.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json"));
    if is_json != Some(true) {
        return Err(Problem::bad("media_type", "Content-Type must be application/json"));
    }
    let key = match headers.contains_key(KEY) {
        false => None,
        true => Some(text_of(headers, KEY).and_then(key_of).ok_or_else(|| {
            Problem::bad("key_malformed", "Idempotency-Key must be 32 hexadecimal digits, as of a UUID")
        })?),
    };
    let deadline_us = match headers.contains_key(DEADLINE) {
        false => 0,
        true => text_of(headers, DEADLINE)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .filter(|us| *us > 0)
            .ok_or_else(|| {
                Problem::bad("deadline_malformed", "Sparr-Deadline-Us must be microseconds, 1 to 4294967295")
            })?,
    };
    let too_large = || Problem::bad("body_too_large", format!("a body has at most {BODY_BYTES_MAX} bytes"));
    let said = text_of(headers, header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<usize>().ok());
    if let Some(bytes) = said.filter(|bytes| *bytes > BODY_BYTES_MAX) {
        // Who asks before sending has sent nothing.
        if bytes <= DISCARDED_BYTES_MAX && !headers.contains_key(header::EXPECT) {
            let _ = tokio::time::timeout(DISCARD_WAIT, discard(request.into_body())).await;
        }
        return Err(too_large());
    }
    let bytes = match tokio::time::timeout(BODY_WAIT, to_bytes(request.into_body(), BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if error.source().is_some_and(|source| source.is::<LengthLimitError>()) => {
            return Err(too_large());
        }
        Ok(Err(_)) => return Err(Problem::bad("body_incomplete", "the body ended too early")),
        Err(_) => {
            let late = format!("the body did not arrive within {} s", BODY_WAIT.as_secs());
            return Err(Problem::bad("body_late", late));
        }
    };
    let text = str::from_utf8(&bytes).map_err(|_| Problem::no_request("the body is not UTF-8"))?;
    let value = sparr_protocol::json::parse(text).map_err(|error| Problem::no_request(error.to_string()))?;
    Ok(Read { at, key, deadline_us, value })
}

/// Reads what nobody wants: a connection that is closed over unread bytes is reset, and a client that is still writing then
/// never sees what it was answered.
async fn discard(mut body: Body) {
    let mut bytes = 0;
    while bytes <= DISCARDED_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A key with the quotes of a structured field or without.
fn key_of(text: &str) -> Option<RequestId> {
    let text = text.trim();
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    RequestId::parse(bare).filter(|id| *id != RequestId::UNREADABLE)
}

/// Room for one more request, of this caller and of everybody.
fn room(call: &Call) -> Result<[tokio::sync::SemaphorePermit<'_>; 2], Problem> {
    let full = |_| Problem::bad("overloaded", "as many requests as may be are under way: try again");
    let [own, all] = &call.requests;
    Ok([own.try_acquire().map_err(full)?, all.try_acquire().map_err(full)?])
}

async fn screen(State(call): State<Call>, request: Request) -> Answer {
    let _room = room(&call)?;
    let Read { at, key, deadline_us, value } = read(&call, request).await?;
    let one = |value: Value| framed(value, key, deadline_us);
    match Asked::of(value, key)? {
        Asked::One(value) => {
            let Answers { screened, .. } = call.ask(one(value)?, at).await?;
            let response = screened.first().ok_or_else(Problem::no_answer)?;
            permitted(response)?;
            fine(&shown(&call, response))
        }
        Asked::Many(values) => {
            let read: Vec<Result<Vec<u8>, Problem>> = values.into_iter().map(one).collect();
            let frames = read.iter().flatten().flatten().copied().collect();
            let Answers { screened, .. } = call.ask(frames, at).await?;
            let mut screened = screened.iter();
            let mut all = Vec::with_capacity(read.len());
            for frame in read {
                all.push(match frame {
                    Ok(_) => {
                        let response = screened.next().ok_or_else(Problem::no_answer)?;
                        permitted(response)?;
                        shown(&call, response)
                    }
                    Err(problem) => problem.in_batch(),
                });
            }
            fine(&all.into())
        }
    }
}

/// One authorisation request as a frame.
fn framed(mut value: Value, key: Option<RequestId>, deadline_us: u32) -> Result<Vec<u8>, Problem> {
    const ID: &str = "request_id";
    if let (Some(key), Some(object)) = (key, value.as_object_mut()) {
        let said = object.entry(ID).or_insert_with(|| key.to_string().into());
        if said.as_str().and_then(RequestId::parse) != Some(key) {
            return Err(Problem::bad("key_differs", "Idempotency-Key and request_id are not the same"));
        }
    }
    let request = AuthorisationRequest::from_json(&value);
    let mut request = request.map_err(|error| Problem::no_request(error.to_string()))?;
    if request.deadline_us == 0 {
        request.deadline_us = deadline_us;
    }
    let mut frame = Vec::new();
    request.encode(&mut frame).map_err(|error| Problem::no_request(error.to_string()))?;
    Ok(frame)
}

/// Whether the caller may screen at all.
fn permitted(response: &AuthorisationResponse) -> Result<(), Problem> {
    match response.answer {
        Err(not_screened) if not_screened.why == Why::NotPermitted => Err(Problem::not_permitted()),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn shown(call: &Call, response: &AuthorisationResponse) -> Value {
    response.to_json(|code| {
        listing::reason_name(code, &call.shared.state).unwrap_or_else(|| format!("reason_{}", code.0))
    })
}

async fn flags(State(call): State<Call>, request: Request) -> Answer {
    let _room = room(&call)?;
    let Read { at, key, value, .. } = read(&call, request).await?;
    let operation = flags::parse(value).map_err(Problem::no_request)?;
    fine(&carried_out(&call, operation, key, at).await?)
}

async fn indicators(State(call): State<Call>, request: Request) -> Answer {
    let _room = room(&call)?;
    let Read { at, key, value, .. } = read(&call, request).await?;
    let operation = indicators::parse(value, clock::now()).map_err(Problem::no_request)?;
    let reported = match &operation {
        Operation::Indicator(IndicatorOperation::Report(id)) => Some(*id),
        _ => None,
    };
    let done = carried_out(&call, operation, key, at).await?;
    let Some(id) = reported else { return fine(&done) };
    // That it was reported is durable: here is what the police receive.
    let list = Operation::Indicator(IndicatorOperation::List(Some(id)));
    let told = operate(&call, list, None, clock::instant()).await?;
    let entry = answers::indicator_entries(&told).next().ok_or_else(Problem::no_answer)?;
    fine(&answers::document_json(entry))
}

async fn identity_check(State(call): State<Call>, request: Request) -> Answer {
    let _room = room(&call)?;
    let Read { at, key, value, .. } = read(&call, request).await?;
    let operation = identities::parse(&value).map_err(Problem::no_request)?;
    let asked = matches!(&operation, Operation::IdentityCheck { answers } if answers.is_empty());
    let told = operate(&call, operation, key, at).await?;
    fine(&identities::answered(asked, &told).map_err(|refusal| said_no(refusal, &told))?)
}

async fn carried_out(
    call: &Call,
    operation: Operation,
    key: Option<RequestId>,
    at: Instant,
) -> Result<Value, Problem> {
    let kind = operation.kind();
    let told = operate(call, operation, key, at).await?;
    answers::answered(kind, &told).map_err(|refusal| said_no(refusal, &told))
}

/// A refusal, or answers that make no sense.
fn said_no(refusal: Option<Refusal>, told: &[ExchangeAnswer]) -> Problem {
    match (refusal, told.last()) {
        (Some(refusal), Some(last)) => Problem::refused(refusal, last),
        _ => Problem::no_answer(),
    }
}

async fn operate(
    call: &Call,
    operation: Operation,
    key: Option<RequestId>,
    at: Instant,
) -> Result<Vec<ExchangeAnswer>, Problem> {
    let id = key.unwrap_or_else(any_id);
    let mut frame = Vec::new();
    let request = ExchangeRequest { id, operation };
    request.encode(&mut frame).map_err(|error| Problem::no_request(error.to_string()))?;
    Ok(call.ask(frame, at).await?.told)
}

async fn results(State(call): State<Call>, request: Request) -> Answer {
    tell(&call, request, |value, id| {
        let result = aftermath::result(&contract::fields(value, &aftermath::RESULT_FIELDS)?, id)?;
        let mut frame = Vec::new();
        result.encode(&mut frame).map_err(|error| error.to_string())?;
        Ok(frame)
    })
    .await
}

async fn labels(State(call): State<Call>, request: Request) -> Answer {
    tell(&call, request, |value, id| {
        let label = aftermath::label(&contract::fields(value, &aftermath::LABEL_FIELDS)?, id)?;
        let mut frame = Vec::new();
        label.encode(&mut frame).map_err(|error| error.to_string())?;
        Ok(frame)
    })
    .await
}

/// Takes in what became of payments. Telling it again changes nothing.
async fn tell(
    call: &Call,
    request: Request,
    frame: impl Fn(Value, RequestId) -> Result<Vec<u8>, String>,
) -> Answer {
    let _room = room(call)?;
    let Read { at, key, value, .. } = read(call, request).await?;
    let values = match Asked::of(value, key)? {
        Asked::One(value) => {
            let frame = frame(value, key.unwrap_or_else(any_id)).map_err(Problem::no_request)?;
            let told = call.ask(frame, at).await?.told;
            return fine(&noted(told.last().ok_or_else(Problem::no_answer)?)?);
        }
        Asked::Many(values) => values,
    };
    let read: Vec<(RequestId, Result<Vec<u8>, Problem>)> = values
        .into_iter()
        .map(|value| (any_id(), value))
        .map(|(id, value)| (id, frame(value, id).map_err(Problem::no_request)))
        .collect();
    let frames = read.iter().filter_map(|(_, frame)| frame.as_ref().ok()).flatten().copied().collect();
    let told = call.ask(frames, at).await?.told;
    let mut all = Vec::with_capacity(read.len());
    for (id, frame) in read {
        let noted = match frame {
            // They come in the order in which they were durable.
            Ok(_) => noted(told.iter().find(|answer| answer.id == id).ok_or_else(Problem::no_answer)?),
            Err(problem) => Err(problem),
        };
        all.push(match noted {
            Err(problem) if problem.is_of_caller() => return Err(problem),
            noted => noted.unwrap_or_else(Problem::in_batch),
        });
    }
    fine(&all.into())
}

/// What came of one result or label.
fn noted(answer: &ExchangeAnswer) -> Result<Value, Problem> {
    match &answer.said {
        Said::Durable { peers, effective_from, second_person } => {
            Ok(contract::durable(*peers, *effective_from, *second_person, answer))
        }
        Said::Refused(refusal) => Err(Problem::refused(*refusal, answer)),
        _ => Err(Problem::no_answer()),
    }
}

impl Problem {
    /// The problem of one object in a batch: as the contract has it, without a status of its own.
    fn in_batch(self) -> Value {
        let (code, detail, more) = self.parts();
        if more.is_empty() { json!({ "error": code, "problem": detail }) } else { more.into() }
    }

    /// Whether it is the caller's right that is missing: then all of a batch is refused.
    fn is_of_caller(&self) -> bool {
        [Refusal::NotPermitted.name(), Refusal::MemberSuspended.name()].contains(&self.code())
    }
}
