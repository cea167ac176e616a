//! The schemas of the document: what is asked and what is answered, of the enumerations of the wire.

use serde_json::{Map, Value, json};
use sparr_protocol::aftermath::{Final, LabelClass};
use sparr_protocol::codes::{AuthMethod, FlagReason, Outcome, RequestedBy, Review, SubjectKind, Wish};
use sparr_protocol::exchange::{LookedBy, PlannedChange, StandingCode};
use sparr_protocol::field::Field;
use sparr_protocol::indicator::{Attestation, Grade, IndicatorKind, IndicatorRole, IndicatorStanding};
use sparr_protocol::limits::{CLASS_BYTES_MAX, PAYMENT_ID_BYTES_MAX, REASONS_MAX, TEXT_BYTES_MAX};
use sparr_protocol::member::MemberKind;
use sparr_protocol::response::{CheckedKey, Degraded, Why};
use sparr_protocol::shape::{ID, Shape};

/// Bytes as they are answered: hexadecimal digits.
const HEX_ID: &str = "^[0-9a-f]{32}$";
const DAY: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";

/// The names of an enumeration.
macro_rules! names {
    ($name:ident) => {
        json!({ "enum": $name::ALL.iter().map(|it| it.name()).collect::<Vec<_>>() })
    };
}

/// Every schema by its name, but for those of the operations and of a problem.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    for (name, schema) in [
        ("Request", request()),
        ("Answer", answer()),
        ("NoAnswer", no_answer()),
        ("Result", result()),
        ("Label", label()),
        ("Position", position()),
        ("Durable", durable()),
        ("Drafted", drafted()),
        ("Me", super::me::schema()),
        ("IdentityCheck", identity_check()),
        ("Challenges", object(&[("challenges", list(text()))], &[])),
        ("Checked", object(&[("right", truth()), ("wrong", list(text()))], &[])),
        ("Plan", object(&[("plan", names!(PlannedChange)), ("position", here())], &[])),
        ("Flag", flag()),
        ("Flags", flags(&[])),
        ("FlagReport", flags(&[("enforcement", list(text())), ("looks", list(look()))])),
        ("Indicator", indicator()),
        (
            "Indicators",
            object(
                &[
                    ("indicators", list(json!({ "$ref": "#/components/schemas/Indicator" }))),
                    ("position", here()),
                ],
                &[],
            ),
        ),
    ] {
        all.insert(name.to_owned(), schema);
    }
    all
}

pub(super) fn object(needs: &[(&str, Value)], may: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        needs.iter().chain(may).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = needs.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

pub(super) fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

fn form(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn time_or_ms() -> Value {
    json!({
        "description": "RFC 3339 with an offset, or milliseconds since 1970.",
        "anyOf": [time(), { "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX }],
    })
}

pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(super) fn truth() -> Value {
    json!({ "type": "boolean" })
}

/// The same, or nothing.
pub(super) fn or_null(mut schema: Value) -> Value {
    if let Some(names) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        names.push(Value::Null);
        return schema;
    }
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub(super) fn here() -> Value {
    json!({ "$ref": "#/components/schemas/Position" })
}

fn position() -> Value {
    object(&[("engine", count()), ("epoch", count()), ("index", count())], &[])
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string", "maxLength": TEXT_BYTES_MAX }),
        Shape::Form(pattern) => form(pattern),
        Shape::Number(low, high) => {
            json!({ "type": ["integer", "string"], "minimum": low, "maximum": high, "pattern": "^-?[0-9]{1,19}$" })
        }
        Shape::OneOf(names) => json!({ "enum": names }),
        Shape::Truth => json!({ "enum": [true, false, "true", "false"] }),
        Shape::Time => time_or_ms(),
    }
}

fn request() -> Value {
    let described = |field: Field| {
        let mut schema = shape(field.shape());
        schema["description"] = match schema.get("description").and_then(Value::as_str) {
            Some(more) => format!("{} {more}", field.meaning()),
            None => field.meaning().to_owned(),
        }
        .into();
        schema
    };
    let (mut properties, mut auth) = (Map::new(), Map::new());
    for field in Field::ALWAYS.iter().chain(Field::OPTIONAL).copied() {
        match field.name().strip_prefix("auth.") {
            Some(inner) => auth.insert(inner.to_owned(), described(field)),
            None => properties.insert(field.name().to_owned(), described(field)),
        };
    }
    properties.insert(
        "auth".to_owned(),
        json!({
            "type": "object",
            "description": "The authentication that was done.",
            "properties": auth,
            "additionalProperties": false,
        }),
    );
    json!({
        "type": "object",
        "description": "An authorisation request. What is absent is absent; an unknown key is an error. Where there is an \
                        Idempotency-Key, request_id may be left out.",
        "properties": properties,
        "required": [Field::RequestId.name(), Field::Kind.name()],
        "additionalProperties": false,
    })
}

fn answer() -> Value {
    let looked = json!({ "enum": ["absent", "checked", "warming"] });
    let checked: Vec<(&str, Value)> =
        CheckedKey::ALL.iter().map(|key| (key.name(), looked.clone())).collect();
    let natural =
        [("outcome", names!(Outcome)), ("review", names!(Review)), ("score", json!({ "type": "integer" }))];
    let degraded: Vec<&str> = Degraded::ALL.iter().map(|(_, name)| *name).collect();
    let mut reasons = list(text());
    reasons["maxItems"] = REASONS_MAX.into();
    let mut schema = object(
        &[
            ("request_id", form(HEX_ID)),
            ("checked", object(&checked, &[])),
            ("rule_set_digest", form(HEX_ID)),
            ("position", here()),
            ("staleness_ms", count()),
            ("degraded", list(json!({ "enum": degraded }))),
            ("engine_us", count()),
        ],
        &[
            ("outcome", names!(Outcome)),
            ("review", names!(Review)),
            ("hold_until", time()),
            ("score", json!({ "type": "integer" })),
            ("reasons", reasons),
            ("not_screened", names!(Why)),
            ("field", text()),
            ("retryable", truth()),
            ("retry_after_ms", count()),
            ("natural", object(&natural, &[])),
        ],
    );
    schema["description"] = "A decision, or why there is none.".into();
    schema["oneOf"] = json!([{ "required": ["outcome", "review", "score", "reasons"] }, { "required": ["not_screened", "retryable"] }]);
    schema
}

fn no_answer() -> Value {
    let unread = object(&[("error", text()), ("problem", text())], &[]);
    let refused = object(
        &[("durable", json!({ "const": false })), ("refused", text()), ("why", text()), ("position", here())],
        &[],
    );
    json!({ "description": "One object of a batch that could not be read, or was refused.", "anyOf": [unread, refused] })
}

fn result() -> Value {
    object(
        &[("request_id", form(ID)), ("final", names!(Final)), ("time", field("time"))],
        &[("response_code", or_null(form("^[0-9A-Za-z]{2}$")))],
    )
}

fn label() -> Value {
    let payment = json!({ "type": "string", "minLength": 1, "maxLength": PAYMENT_ID_BYTES_MAX });
    object(
        &[("payment_id", payment), ("class", names!(LabelClass)), ("known_at", field("time"))],
        &[
            ("chargeback_code", or_null(form("^[0-9A-Za-z._-]{1,12}$"))),
            ("amount_minor", or_null(json!({ "type": "integer", "minimum": 0 }))),
        ],
    )
}

/// What a field of an operation takes.
pub(super) fn field(name: &str) -> Value {
    match name {
        "subject_kind" => names!(SubjectKind),
        "subject_country" => form("^[A-Z]{2}$"),
        "wish" => names!(Wish),
        "reason" => names!(FlagReason),
        "requested_by" => names!(RequestedBy),
        "authenticated_by" => names!(AuthMethod),
        "compromised" => list(names!(AuthMethod)),
        "confirmed_by" => json!({ "const": "second-channel" }),
        "scope" => form("^(any|credit|above:[0-9]{1,12}[A-Z]{3})$"),
        "max" => form("^[0-9]{1,12}[A-Z]{3}$"),
        "undo" => truth(),
        "registrar" => form("^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$"),
        "until" | "due" | "received_at" => json!({
            "type": "string",
            "description": "A day (its end in Sweden), or a time with its offset; the end of a flag is a day.",
        }),
        "time" => time_or_ms(),
        "kind" => names!(IndicatorKind),
        "role" => names!(IndicatorRole),
        "grade" => names!(Grade),
        "class" => form(&format!("^[a-z0-9_-]{{1,{CLASS_BYTES_MAX}}}$")),
        "id" => form(ID),
        "signature" => form("^[0-9A-Fa-f]{128}$"),
        "evidence" => form("^[0-9A-Fa-f]{64}$"),
        _ => json!({ "type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX }),
    }
}

fn identity_check() -> Value {
    let answers = json!({
        "type": "array", "minItems": 1,
        "items": { "type": "string", "maxLength": TEXT_BYTES_MAX, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$" },
        "description": "What is sent for each of the challenges, in their order; empty where nothing is sent.",
    });
    object(&[], &[("answers", answers)])
}

fn durable() -> Value {
    object(
        &[
            ("durable", json!({ "const": true })),
            ("peers", count()),
            ("effective_from", time()),
            ("second_person_needed", truth()),
            ("position", here()),
        ],
        &[],
    )
}

fn drafted() -> Value {
    object(
        &[
            ("id", form(HEX_ID)),
            ("digest", form("^[0-9a-f]{64}$")),
            ("durable", json!({ "const": true })),
            ("effective_from", time()),
            ("position", here()),
        ],
        &[],
    )
}

fn flags(more: &[(&str, Value)]) -> Value {
    let one = json!({ "$ref": "#/components/schemas/Flag" });
    let mut needs = vec![("flagged", truth()), ("flags", list(one)), ("position", here())];
    needs.extend(more.iter().cloned());
    object(&needs, &[])
}

fn flag() -> Value {
    object(
        &[
            ("subject", form(HEX_ID)),
            ("registrar", text()),
            ("standing", names!(StandingCode)),
            ("wish", names!(Wish)),
            ("scope", text()),
            ("reason", names!(FlagReason)),
            ("requested_by", names!(RequestedBy)),
            ("authenticated_by", names!(AuthMethod)),
            ("compromised", list(names!(AuthMethod))),
            ("raised_at", time()),
            ("until", form(DAY)),
            ("lifted_from", or_null(time())),
            ("passes", count()),
            ("lift_requests", count()),
            ("linked", truth()),
            ("override_waits", truth()),
        ],
        &[("enforced", enforced())],
    )
}

fn enforced() -> Value {
    object(
        &[
            ("at", count()),
            ("held", count()),
            ("of", count()),
            ("ms", or_null(count())),
            ("slowest", or_null(text())),
            ("missing", list(text())),
        ],
        &[],
    )
}

fn look() -> Value {
    object(
        &[
            ("at", time()),
            ("member_kind", names!(MemberKind)),
            ("by", names!(LookedBy)),
            ("outcome", or_null(names!(Outcome))),
            ("review", or_null(names!(Review))),
        ],
        &[],
    )
}

fn indicator() -> Value {
    let content = object(
        &[
            ("registrar", text()),
            ("draft", form(HEX_ID)),
            ("kind", names!(IndicatorKind)),
            ("role", or_null(names!(IndicatorRole))),
            ("grade", names!(Grade)),
            ("class", text()),
            ("key_id", count()),
            ("value", or_null(text())),
            ("pseudonym", form(HEX_ID)),
            ("drafted_at", time()),
            ("valid_until", time()),
        ],
        &[],
    );
    object(
        &[
            ("id", form(HEX_ID)),
            ("digest", form("^[0-9a-f]{64}$")),
            ("standing", names!(IndicatorStanding)),
            ("attested", or_null(names!(Attestation))),
            ("reference", or_null(text())),
            ("sources", count()),
            ("content", content),
        ],
        &[("document", text())],
    )
}
