//! The OpenAPI document of the door, made of the same tables that read requests: served, and kept in
//! `protocol/openapi.json`.

use super::problem::{CODES, status_of};
use super::{BATCH_MAX, BODY_BYTES_MAX, schemas};
use crate::contract::{flags, indicators};
use serde_json::{Map, Value, json};
use sparr_protocol::exchange::Refusal;
use sparr_protocol::shape::ID;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The document as it is served.
pub(super) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));
    &TEXT
}

/// The document.
fn document() -> Value {
    let operation = |name: &str, summary: &str, request: Value, answer: Value, rights: &str| {
        let mut responses = problems();
        responses.insert(
            "200".to_owned(),
            json!({ "description": "An answer.", "content": { "application/json": { "schema": answer } } }),
        );
        let mut parameters = vec![json!({ "$ref": "#/components/parameters/key" })];
        if name == "screen" {
            parameters.push(json!({ "$ref": "#/components/parameters/deadline" }));
        }
        json!({ "post": {
            "operationId": name,
            "summary": summary,
            "description": rights,
            "parameters": parameters,
            "requestBody": { "required": true, "content": { "application/json": {
                "schema": request, "examples": examples(name),
            } } },
            "responses": responses,
        } })
    };
    let one_or_many = |name: &str| {
        let one = reference(name);
        json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1, "maxItems": BATCH_MAX }] })
    };
    let answers = |name: &str| {
        let (one, none) = (reference(name), reference("NoAnswer"));
        json!({ "anyOf": [one, { "type": "array", "items": { "anyOf": [one, none] } }] })
    };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "sparr",
            "version": "1",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": format!(
                "The questions of sparr's wire, in JSON. Who is asking is the client certificate's alone, a URI \
                 sparr://member/<member>/<role>/<id>. A body has at most {BODY_BYTES_MAX} bytes, a batch {BATCH_MAX} objects. \
                 A screening that could not be carried out is an answer (200, not_screened), never an approval."
            ),
        },
        "paths": {
            "/v1/screen": operation(
                "screen",
                "Screen one authorisation request, or a batch",
                one_or_many("Request"),
                answers("Answer"),
                "For the role gateway. A batch is answered in its order.",
            ),
            "/v1/results": operation(
                "results",
                "Tell final results of payments",
                one_or_many("Result"),
                answers("Durable"),
                "For the role gateway. Telling the same again changes nothing.",
            ),
            "/v1/labels": operation(
                "labels",
                "Tell what payments turned out to be",
                one_or_many("Label"),
                answers("Durable"),
                "For the roles gateway and risk. Telling the same again changes nothing.",
            ),
            "/v1/flags": operation(
                "flags",
                "Carry out one operation on a person's flag",
                reference("FlagOperation"),
                json!({ "anyOf": [
                    reference("Durable"), reference("Plan"), reference("Flags"), reference("FlagReport"),
                ] }),
                "For the role desk; override for the central organisation.",
            ),
            "/v1/indicators": operation(
                "indicators",
                "Carry out one operation on an indicator",
                reference("IndicatorOperation"),
                json!({ "anyOf": [
                    reference("Durable"), reference("Drafted"), reference("Indicators"), reference("Indicator"),
                ] }),
                "For the role analyst; receipt for the police, override for the central organisation.",
            ),
            "/v1/identity-check": operation(
                "identity_check",
                "Be told numbers as people write them, and then whether they arrive as those people",
                reference("IdentityCheck"),
                json!({ "anyOf": [reference("Challenges"), reference("Checked")] }),
                "For everybody. Asked once, before a gateway screens: what it makes of a customer's number is made of each of these.",
            ),
            "/v1/me": { "get": {
                "operationId": "me",
                "summary": "Who the certificate says that the caller is, and what they may do",
                "responses": {
                    "200": { "description": "It.", "content": { "application/json": { "schema": reference("Me") } } },
                    "403": problem("The certificate names no caller of a member that is known here."),
                },
            } },
            "/v1/openapi.json": { "get": {
                "operationId": "document",
                "summary": "This document",
                "responses": {
                    "200": { "description": "It.", "content": { "application/json": { "schema": { "type": "object" } } } },
                    "403": problem("The certificate names no caller of a member that is known here."),
                },
            } },
        },
        "components": {
            "parameters": {
                "key": {
                    "name": "Idempotency-Key", "in": "header", "required": false,
                    "description": "The request_id of a screening that says none itself; of anything else, the id under which \
                                    it may be sent again. Not for batches.",
                    "schema": { "type": "string", "pattern": ID },
                },
                "deadline": {
                    "name": "Sparr-Deadline-Us", "in": "header", "required": false,
                    "description": "Microseconds that are left, for every request of the body that says none itself.",
                    "schema": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
                },
            },
            "schemas": components(),
        },
    })
}

/// Questions that are answered with 200 where the caller may and, for those about a flag, where there is one.
fn examples(operation: &str) -> Map<String, Value> {
    let subject = "191212121212";
    let id = "0f8fad5bd9cb469fa16570867728950e";
    let invoice = json!({
        "request_id": id, "kind": "invoice", "amount_minor": 5_716, "currency": "SEK", "subject": subject,
    });
    let payment = json!({
        "request_id": "7c9e6679742540de944be07fc1f90ae7", "kind": "card_payment", "amount_minor": 129_900, "currency": "SEK",
        "merchant_id": "m1", "mcc": 5_732, "card_token": "tok-1", "ip": "192.0.2.1",
        "auth": { "method": "three_d_secure", "result": "passed", "trans_status": "Y" },
    });
    let all = match operation {
        "screen" => vec![("one", invoice.clone()), ("many", json!([invoice, payment]))],
        "results" => {
            let result = json!({ "request_id": id, "final": "declined", "response_code": "05", "time": "2026-11-23T10:00:00Z" });
            vec![("one", result.clone()), ("many", json!([result]))]
        }
        "labels" => vec![(
            "one",
            json!({ "payment_id": "p-1", "class": "takeover", "known_at": "2026-11-23T10:00:00Z", "amount_minor": 129_900 }),
        )],
        "flags" => vec![
            (
                "raise",
                json!({
                    "operation": "raise", "subject": subject, "wish": "verify", "scope": "above:300SEK",
                    "until": "2030-12-31", "reason": "suspected-fraud",
                }),
            ),
            ("status", json!({ "operation": "status", "subject": subject })),
            ("lift", json!({ "operation": "lift", "subject": subject, "confirmed_by": "second-channel" })),
        ],
        "identity_check" => {
            let answers = sparr_protocol::identity_check::CHALLENGES;
            vec![("which", json!({})), ("right", json!({ "answers": answers }))]
        }
        "indicators" => vec![
            (
                "draft",
                json!({
                    "operation": "draft", "kind": "email", "value": "mule@example.org", "class": "phishing",
                    "grade": "investigated",
                }),
            ),
            ("list", json!({ "operation": "list" })),
        ],
        _ => Vec::new(),
    };
    all.into_iter().map(|(name, value)| (name.to_owned(), json!({ "value": value }))).collect()
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn components() -> Map<String, Value> {
    let mut all = schemas::all();
    all.insert("FlagOperation".to_owned(), operations(flags::OPERATIONS));
    all.insert("IndicatorOperation".to_owned(), operations(indicators::OPERATIONS));
    all.insert("Problem".to_owned(), problem_schema());
    all
}

/// One schema for each operation of a table.
fn operations(table: &[(&str, &[&str], &[&str])]) -> Value {
    let one = |(name, needs, may): &(&str, &[&str], &[&str])| {
        let mut properties = Map::new();
        properties.insert("operation".to_owned(), json!({ "const": name }));
        properties.extend(needs.iter().map(|key| ((*key).to_owned(), schemas::field(key))));
        properties.extend(may.iter().map(|key| ((*key).to_owned(), schemas::or_null(schemas::field(key)))));
        let required: Vec<&str> = ["operation"].iter().chain(*needs).copied().collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    };
    json!({ "oneOf": table.iter().map(one).collect::<Vec<_>>() })
}

fn problem(description: &str) -> Value {
    json!({
        "description": description,
        "content": { super::problem::MEDIA_TYPE: { "schema": reference("Problem") } },
    })
}

/// Every status that a question may get beside 200, with its codes.
fn problems() -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    let refusals = Refusal::ALL.iter().map(|refusal| (refusal.name(), status_of(*refusal)));
    for (code, status) in CODES.iter().copied().chain(refusals) {
        let codes = by_status.entry(status.as_u16()).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    let entry =
        |(status, codes): (u16, Vec<&str>)| (status.to_string(), problem(&format!("{}.", codes.join(", "))));
    by_status.into_iter().map(entry).collect()
}

fn problem_schema() -> Value {
    let mut codes: Vec<&str> =
        CODES.iter().map(|(code, _)| *code).chain(Refusal::ALL.iter().map(|it| it.name())).collect();
    codes.sort_unstable();
    codes.dedup();
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457) with a stable code. Nothing that was sent is repeated.",
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "enum": codes },
            "detail": { "type": "string" },
            "durable": { "const": false },
            "refused": { "type": "string" },
            "why": { "type": "string" },
            "position": reference("Position"),
        },
        "required": ["type", "title", "status", "code"],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_document_in_the_repository_is_what_is_served_and_every_reference_leads_somewhere() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/openapi.json"));
        if std::env::var_os("SPARR_BLESS").is_some() {
            std::fs::write(file, text()).expect("written");
        }
        assert_eq!(std::fs::read_to_string(file).expect("readable"), text(), "SPARR_BLESS=1 writes it");
        let document = document();
        let mut references = 0;
        for name in text().split("\"$ref\": \"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(name).is_some(), "{name}");
            references += 1;
        }
        assert!(references > 40, "{references}");
    }
}
