//! Requests and answers as JSON, by field name: for first tries, scripts and the HTTPS door.
//!
//! What is absent is absent; an unknown key is an error; no error repeats a value or an unknown key, because
//! either may be personal.

use crate::codes::Kind;
use crate::field::Field;
use crate::ids::RequestId;
use crate::request::AuthorisationRequest;
use crate::response::{AuthorisationResponse, CheckedKey, Looked, ReasonCode};
use crate::text::SetError;
use crate::time::Timestamp;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use std::fmt;

/// Why JSON is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON.
    #[error("not JSON: {problem} at line {line}, column {column}")]
    Syntax {
        /// What is wrong.
        problem: &'static str,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("a request is a JSON object")]
    NotAnObject,
    /// A key that every request has is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key holds a list or an object where a plain value belongs.
    #[error("{}: expected a plain value", .0.name())]
    NotPlain(Field),
    /// A field cannot be set.
    #[error(transparent)]
    Field(#[from] SetError),
}

/// Parses JSON text into a value, with an error that repeats nothing of it.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let Unambiguous(value) = serde_json::from_str(text).map_err(|error| JsonError::Syntax {
        problem: match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            serde_json::error::Category::Data => "a key stands there twice",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => {
                "a comma, quote or bracket is out of place"
            }
        },
        line: error.line(),
        column: error.column(),
    })?;
    Ok(value)
}

/// A value in which no object has a key twice: of two amounts, one would be screened and the other perhaps paid.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnambiguousVisitor).map(Self)
    }
}

struct UnambiguousVisitor;

impl<'de> Visitor<'de> for UnambiguousVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Unambiguous(value))) = entries.next_entry::<String, _>()? {
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands there twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

impl AuthorisationRequest {
    /// Reads a request from a JSON object. `event_time` may be left out: then the engine's clock at receipt says it.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        let object = value.as_object().ok_or(JsonError::NotAnObject)?;
        let mut request = Self::new(RequestId::UNREADABLE, Kind::CardPayment, Timestamp::from_ms(0));
        request.event_time = None;
        for required in [Field::RequestId, Field::Kind] {
            if !object.contains_key(required.name()) {
                return Err(JsonError::Missing(required.name()));
            }
        }
        for (key, value) in object {
            match value {
                Value::Object(group) if key == "auth" => {
                    for (inner, value) in group {
                        request.set_from_json(&format!("auth.{inner}"), value)?;
                    }
                }
                plain => request.set_from_json(key, plain)?,
            }
        }
        Ok(request)
    }

    /// The request as a JSON object that [`from_json`](Self::from_json) reads: every value is a text.
    pub fn to_json(&self) -> Value {
        let texts = self.texts_by_name().into_iter();
        texts.map(|(name, text)| (name.to_owned(), Value::from(text))).collect::<Map<_, _>>().into()
    }

    fn set_from_json(&mut self, key: &str, value: &Value) -> Result<(), JsonError> {
        match value {
            Value::String(text) => self.set(key, text)?,
            Value::Number(number) => self.set(key, &number.to_string())?,
            Value::Bool(truth) => self.set(key, if *truth { "true" } else { "false" })?,
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(JsonError::NotPlain(Field::called(key)?));
            }
        }
        Ok(())
    }
}

impl AuthorisationResponse {
    /// The answer as a JSON object. `reason_name` knows what the engine calls its reason codes.
    pub fn to_json(&self, mut reason_name: impl FnMut(ReasonCode) -> String) -> Value {
        let mut object = Map::new();
        object.insert("request_id".into(), self.request_id.to_string().into());
        match &self.answer {
            Ok(decided) => {
                object.insert("outcome".into(), decided.outcome.name().into());
                object.insert("review".into(), decided.review.name().into());
                if let Some(until) = decided.hold_until {
                    object.insert("hold_until".into(), until.to_string().into());
                }
                object.insert("score".into(), decided.score.into());
                let reasons: Vec<String> = decided.reasons.iter().map(&mut reason_name).collect();
                object.insert("reasons".into(), reasons.into());
            }
            Err(not_screened) => {
                object.insert("not_screened".into(), not_screened.why.name().into());
                if let Some(field) = not_screened.field {
                    object.insert("field".into(), field.name().into());
                }
                object.insert("retryable".into(), not_screened.why.retryable().into());
                if not_screened.retry_after_ms > 0 {
                    object.insert("retry_after_ms".into(), not_screened.retry_after_ms.into());
                }
            }
        }
        if let Some(natural) = self.natural {
            let (outcome, review) = (natural.outcome.name(), natural.review.name());
            object.insert(
                "natural".into(),
                json!({ "outcome": outcome, "review": review, "score": natural.score }),
            );
        }
        let looked = |key: &CheckedKey| match self.checked.get(*key) {
            Looked::Absent => "absent",
            Looked::Checked => "checked",
            Looked::Warming => "warming",
        };
        let checked: Map<String, Value> =
            CheckedKey::ALL.iter().map(|key| (key.name().to_owned(), looked(key).into())).collect();
        object.insert("checked".into(), checked.into());
        object.insert("rule_set_digest".into(), self.rule_set_digest.to_string().into());
        let position = &self.position;
        object.insert(
            "position".into(),
            json!({ "engine": position.engine, "epoch": position.epoch, "index": position.index }),
        );
        object.insert("staleness_ms".into(), self.staleness_ms.into());
        object.insert("degraded".into(), self.degraded.names().collect::<Vec<_>>().into());
        object.insert("engine_us".into(), self.engine_us.into());
        object.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::{AuthMethod, AuthResult, Stage};

    fn read(text: &str) -> Result<AuthorisationRequest, String> {
        let parsed = parse(text).and_then(|value| AuthorisationRequest::from_json(&value));
        parsed.map_err(|error| error.to_string())
    }

    #[test]
    fn requests_are_read_by_field_name() {
        let request = read(
            r#"{"request_id": "00000000-0000-0000-0000-00000000000a", "kind": "card_payment", "amount_minor": 1000,
                "currency": "SEK", "mcc": 5732, "subject": "19121212-1212", "challenge_possible": false,
                "auth": {"method": "bankid", "result": "passed", "time": 1522540831000}, "ip": "192.0.2.1"}"#,
        )
        .expect("legal");
        assert_eq!((request.stage, request.event_time), (Stage::Authorisation, None));
        assert_eq!(
            (request.auth_method, request.auth_result),
            (Some(AuthMethod::BankId), Some(AuthResult::Passed))
        );
        assert_eq!((request.challenge_possible, request.domain), (Some(false), None));
        assert_eq!(request.subject.as_ref().map(|subject| subject.expose()), Some("19121212-1212"));
    }

    #[test]
    fn a_request_with_every_field_reads_back_as_it_was_written() {
        let all = crate::wire_tests::everything();
        assert_eq!(read(&all.to_json().to_string()), Ok(all.clone()));
        let mut none = AuthorisationRequest::new(all.request_id, all.kind, Timestamp::from_ms(7));
        none.event_time = None;
        assert_eq!(read(&none.to_json().to_string()), Ok(none));
    }

    #[test]
    fn refusals_name_the_key_and_repeat_no_value() {
        let id = r#""request_id": "0000000000000000000000000000000a""#;
        for (text, expected) in [
            ("[1]".to_owned(), "a request is a JSON object"),
            ("{".to_owned(), "not JSON: it ends too early at line 1, column 1"),
            (
                r#"{"a" 1}"#.to_owned(),
                "not JSON: a comma, quote or bracket is out of place at line 1, column 6",
            ),
            (
                r#"{"amount_minor": 1, "amount_minor": 99999999}"#.to_owned(),
                "not JSON: a key stands there twice at line 1, column 45",
            ),
            (r#"{"kind": "invoice"}"#.to_owned(), "request_id is missing"),
            (format!("{{{id}}}"), "kind is missing"),
            (
                format!(r#"{{{id}, "kind": "invoice", "subjet": "191212121212"}}"#),
                r#"a key that is no field; did you mean "subject"?"#,
            ),
            (
                format!(r#"{{{id}, "kind": "invoice", "auth": {{"methd": "bankid"}}}}"#),
                r#"a key that is no field; did you mean "auth.method"?"#,
            ),
            (format!(r#"{{{id}, "kind": "invoice", "191212121212": 1}}"#), "a key that is no field"),
            (format!(r#"{{{id}, "kind": "invoice", "191212121212": []}}"#), "a key that is no field"),
            (
                format!(r#"{{{id}, "kind": "invoice", "auth": {{"191212121212": {{}}}}}}"#),
                "a key that is no field",
            ),
            (
                format!(r#"{{{id}, "kind": "invoice", "subject": ["191212121212"]}}"#),
                "subject: expected a plain value",
            ),
            (format!(r#"{{{id}, "kind": "invoice", "ip": null}}"#), "ip: expected a plain value"),
            (
                format!(r#"{{{id}, "kind": "invoice", "amount_minor": 10.5}}"#),
                "amount_minor: expected a whole number",
            ),
            (
                format!(r#"{{{id}, "kind": "invoice", "amount_minor": "+10"}}"#),
                "amount_minor: expected a whole number",
            ),
            (
                r#"{"kind": "invoice", "request_id": "00000000000000000000000000000000"}"#.to_owned(),
                "request_id: expected 32 hexadecimal digits",
            ),
            (
                r#"{"kind": "invoice", "request_id": "-00000000-0000-0000-0000-00000000000a"}"#.to_owned(),
                "request_id: expected 32 hexadecimal digits",
            ),
        ] {
            assert_eq!(read(&text).expect_err("refused"), expected, "{text}");
        }
    }
}
