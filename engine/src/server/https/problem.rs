//! What is said to whom there is no answer for: problem details (RFC 9457) with the house's stable codes. Nothing that was
//! sent stands in them.

use crate::contract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use sparr_protocol::exchange::{ExchangeAnswer, Refusal};
use sparr_protocol::frame::CloseCode;
use std::borrow::Cow;

/// The media type of a problem.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Codes of the door itself, with their statuses; the others are refusals of the exchange.
pub(super) const CODES: &[(&str, StatusCode)] = &[
    ("batch_size", StatusCode::BAD_REQUEST),
    ("body_incomplete", StatusCode::BAD_REQUEST),
    ("body_late", StatusCode::REQUEST_TIMEOUT),
    ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE),
    ("cross_site", StatusCode::FORBIDDEN),
    ("deadline_malformed", StatusCode::BAD_REQUEST),
    ("key_differs", StatusCode::BAD_REQUEST),
    ("key_malformed", StatusCode::BAD_REQUEST),
    ("key_with_batch", StatusCode::BAD_REQUEST),
    ("media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
    ("no_answer", StatusCode::GATEWAY_TIMEOUT),
    ("no_caller", StatusCode::FORBIDDEN),
    ("no_request", StatusCode::BAD_REQUEST),
    ("not_found", StatusCode::NOT_FOUND),
    ("not_permitted", StatusCode::FORBIDDEN),
    ("other_member", StatusCode::FORBIDDEN),
    ("overloaded", StatusCode::SERVICE_UNAVAILABLE),
];

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    /// What the contract says of it beside.
    more: Map<String, Value>,
}

impl Problem {
    /// A problem of the door's own table.
    pub(super) fn bad(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let status = CODES.iter().find(|(known, _)| *known == code).map(|(_, status)| *status);
        debug_assert!(status.is_some(), "{code}");
        let status = status.unwrap_or(StatusCode::BAD_REQUEST);
        Self { status, code, detail: detail.into(), more: Map::new() }
    }

    /// Its stable code.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// Its code, its words, and what the contract says beside.
    pub(super) fn parts(self) -> (&'static str, Cow<'static, str>, Map<String, Value>) {
        (self.code, self.detail, self.more)
    }

    /// What was sent is JSON, and no request.
    pub(super) fn no_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("no_request", detail)
    }

    /// The caller's certificate does not allow it.
    pub(super) fn not_permitted() -> Self {
        Self::bad("not_permitted", contract::why(Refusal::NotPermitted))
    }

    /// Nothing can be said about it in time. Whether a change was made is not known.
    pub(super) fn no_answer() -> Self {
        Self::bad("no_answer", "no answer in time; asking again with the same Idempotency-Key is safe")
    }

    /// The connection's caller is not let in.
    pub(super) fn stranger(code: CloseCode) -> Self {
        let words = || String::from_utf8_lossy(code.words()).into_owned();
        match code {
            CloseCode::NoCaller => Self::bad("no_caller", words()),
            CloseCode::OtherMember => Self::bad("other_member", words()),
            CloseCode::FrameMalformed | CloseCode::ShuttingDown => Self::bad("no_answer", words()),
        }
    }

    /// The exchange refused it.
    pub(super) fn refused(refusal: Refusal, answer: &ExchangeAnswer) -> Self {
        let more = match contract::refused(refusal, answer) {
            Value::Object(more) => more,
            _ => Map::new(),
        };
        let why = contract::why(refusal);
        Self { status: status_of(refusal), code: refusal.name(), detail: why.into(), more }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut object = Map::new();
        object.insert("type".to_owned(), format!("urn:sparr:problem:{}", self.code).into());
        object.insert("title".to_owned(), self.status.canonical_reason().unwrap_or_default().into());
        object.insert("status".to_owned(), self.status.as_u16().into());
        object.insert("code".to_owned(), self.code.into());
        if !self.detail.is_empty() {
            object.insert("detail".to_owned(), self.detail.into());
        }
        object.extend(self.more);
        let mut response = super::routes::json(self.status, MEDIA_TYPE, &Value::Object(object));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT || self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not waited for.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The status of a refusal. What is worth another try is 503; what is wrong in itself 422; what is wrong now 409.
pub(super) fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::NotPermitted | Refusal::NotRegistrar | Refusal::MemberSuspended | Refusal::SharingOff => {
            StatusCode::FORBIDDEN
        }
        Refusal::NotFlagged
        | Refusal::NoSuchIndicator
        | Refusal::NoSuchMember
        | Refusal::NoSuchRule
        | Refusal::NoSuchExemption
        | Refusal::NoSuchRuleSet
        | Refusal::NoSuchKey
        | Refusal::UnknownReason => StatusCode::NOT_FOUND,
        Refusal::LookupBudgetSpent => StatusCode::TOO_MANY_REQUESTS,
        Refusal::JournalFailed
        | Refusal::NotReady
        | Refusal::Overloaded
        | Refusal::LogFull
        | Refusal::NotKept
        | Refusal::LogOff
        | Refusal::LogUnreadable => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::IdentityMalformed
        | Refusal::FieldMalformed
        | Refusal::UntilInPast
        | Refusal::UntilTooFar
        | Refusal::Unsupported
        | Refusal::FrameMalformed
        | Refusal::TooLarge
        | Refusal::WrongVersion
        | Refusal::UnknownKind
        | Refusal::ValueMalformed
        | Refusal::CardNumberRefused
        | Refusal::LocalIdentifier
        | Refusal::VictimNotSuspect
        | Refusal::RoleMissing
        | Refusal::SignatureWrong
        | Refusal::TimeSkew
        | Refusal::OwnEvidenceNeeded
        | Refusal::NotLonger
        | Refusal::SameSubject
        | Refusal::PersonalInText
        | Refusal::TooManyRules
        | Refusal::RulesRefused => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::IdConflict
        | Refusal::ReceiptMissing
        | Refusal::SecondPersonNeeded
        | Refusal::Withdrawn
        | Refusal::Expired
        | Refusal::NotShared
        | Refusal::TooManyPasses
        | Refusal::SamePerson
        | Refusal::NothingStaged
        | Refusal::OtherSetStaged
        | Refusal::AlreadySo
        | Refusal::AcceptNeeded => StatusCode::CONFLICT,
    }
}
