//! `sparr schema`: what a rule file may hold, as a JSON Schema (draft-07) that editors complete and check with.
//!
//! The form of a file stands here once more, as types; a test compares its keys with those that the reader knows, and
//! holds every shipped file against it. Conditions are text to it: `sparr check` checks those.

#![expect(dead_code, reason = "the types say what files look like, and are never made")]

use super::{Ended, Outcome};
use crate::rules::{self, BUILT_IN, ReasonTable};
use crate::server::config::RulesFrom;
use crate::server::sources;
use clap::Args;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use sparr_protocol::codes::Kind;
use sparr_protocol::field::Field;
use std::path::PathBuf;

/// Arguments of `sparr schema`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr schema > config/rules.schema.json

and as the first line of a rule file:
  # yaml-language-server: $schema=../rules.schema.json")]
pub(crate) struct SchemaArgs {
    /// Folder of rule files whose reasons are offered; without it, those that are built in
    #[arg(long, value_name = "RULES_DIR")]
    rules: Option<PathBuf>,
}

/// Rules, and what holds for the whole set.
#[derive(JsonSchema)]
#[schemars(title = "sparr rule file", deny_unknown_fields)]
struct RuleFileForm {
    /// The rules of this file.
    rules: Option<Vec<RuleForm>>,
    /// What holds for the whole set: in one file of it.
    set: Option<SetForm>,
}

/// When a payment looks like this, do that, and give this reason.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_action)]
struct RuleForm {
    /// The rule's name: lower-case words joined by hyphens, unique in the set, never reused.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"), length(max = 64))]
    id: String,
    /// What it is there for.
    description: Option<String>,
    /// The team that is asked when it misbehaves.
    owner: Option<String>,
    /// Whether it is evaluated, and whether its hits count.
    mode: Option<ModeForm>,
    /// A whole percentage: always the same payers.
    #[schemars(range(min = 0, max = 100))]
    rollout: Option<u8>,
    /// The condition, in CEL.
    #[schemars(schema_with = "condition")]
    when: String,
    /// What a hit asks for.
    then: Option<ThenForm>,
    /// Who looks at it, and when.
    review: Option<ReviewForm>,
    /// Points towards the thresholds of the set.
    #[schemars(range(min = 1, max = 1000))]
    score: Option<u16>,
    /// A name from reasons.toml.
    #[schemars(schema_with = "reason")]
    reason: String,
    /// The kinds of payment it is for; without it, all.
    #[schemars(schema_with = "kinds")]
    kinds: Option<Vec<String>>,
    /// Its last day, such as 2027-06-30.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    expires: Option<String>,
    /// Requests that it must hit, and requests that it must not.
    examples: Option<Vec<ExampleForm>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ModeForm {
    /// Checked when the set is loaded, and left alone.
    Off,
    /// Evaluated; its hits are counted and change nothing.
    Shadow,
    /// Its hits count.
    Enforce,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ThenForm {
    /// The payer must authenticate first.
    Challenge,
    /// The payment must not be carried out.
    Decline,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ReviewForm {
    /// A person looks at it afterwards.
    After,
    /// It is held until a person has looked at it.
    Hold,
}

/// A request, and whether the rule hits it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1), transform = nothing_needed)]
struct ExampleForm {
    /// The rule must hit this request.
    #[schemars(rename = "match", schema_with = "request")]
    matches: Option<Value>,
    /// The rule must not hit this request.
    #[schemars(schema_with = "request")]
    no_match: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = nothing_needed)]
struct SetForm {
    /// From which summed score on a payment is looked at, challenged, declined.
    thresholds: Option<ThresholdsForm>,
    /// Time zone of `hour`, `weekday` and the end of days, as in the IANA database.
    time_zone: Option<String>,
    /// Currency in which sums are kept.
    base_currency: Option<String>,
    /// The day of the rates, and what one unit of each currency is worth in the base currency.
    #[schemars(schema_with = "rates")]
    rates: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ThresholdsForm {
    review: Option<u16>,
    challenge: Option<u16>,
    decline: Option<u16>,
}

/// Keys whose form is written by hand are asked for by default; these groups ask for none.
fn nothing_needed(schema: &mut Schema) {
    schema.remove("required");
}

fn one_action(schema: &mut Schema) {
    schema.insert("required".to_owned(), json!(["id", "when", "reason"]));
    let one = ["then", "review", "score"].map(|key| json!({ "required": [key] }));
    schema.insert("oneOf".to_owned(), json!(one));
}

fn condition(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "boolean"], "description": "The condition, in CEL." })
}

fn kinds(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    json_schema!({ "type": "array", "minItems": 1, "items": { "enum": names } })
}

fn reason(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "description": "A name from reasons.toml." })
}

fn rates(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["date"],
        "properties": { "date": { "type": "string" } },
        "additionalProperties": { "type": ["string", "number"] }
    })
}

/// A request of an example: the fields by their names, what the windows read, indicators, and a flag.
fn request(_: &mut SchemaGenerator) -> Schema {
    let any = json!({ "type": ["string", "number", "boolean"] });
    let fields = Field::OPTIONAL.iter().chain(Field::ALWAYS).map(|field| field.name());
    let mut properties: Map<String, Value> = fields
        .flat_map(|name| [name.to_owned(), name.replace("subject_", "subject.")])
        .map(|name| (name, any.clone()))
        .collect();
    properties.insert("velocity".to_owned(), json!({ "type": "object" }));
    properties.insert("first_seen".to_owned(), json!({ "type": "object" }));
    properties.insert("indicator".to_owned(), json!({ "type": "object" }));
    properties.insert("flag".to_owned(), json!({ "enum": ["verify", "deny"] }));
    json_schema!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false })
}

/// The schema of rule files.
fn schema(reasons: Option<&ReasonTable>) -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<RuleFileForm>().to_value();
    let built_in = |name: &str| BUILT_IN.iter().any(|(_, known)| *known == name);
    if let (Some(reasons), Some(reason)) =
        (reasons, schema.pointer_mut("/definitions/RuleForm/properties/reason"))
    {
        let names: Vec<&str> =
            reasons.iter().map(|reason| reason.name.as_str()).filter(|name| !built_in(name)).collect();
        *reason = json!({ "enum": names, "description": "A name from reasons.toml." });
    }
    schema
}

/// Prints the schema.
pub(crate) fn run(args: &SchemaArgs) -> Outcome {
    let from = args.rules.clone().map_or(RulesFrom::Shipped, RulesFrom::Dir);
    let loaded = rules::load(&sources::read(&from)?);
    let text = serde_json::to_string_pretty(&schema(loaded.set.as_ref().map(|set| set.reasons())))?;
    println!("{text}");
    Ok(Ended::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RULE_KEYS;

    fn validator() -> jsonschema::Validator {
        let sources = sources::read(&RulesFrom::Shipped).expect("built in");
        let set = rules::load(&sources).set.expect("the shipped rules load");
        jsonschema::draft7::new(&schema(Some(set.reasons()))).expect("a schema")
    }

    fn object(yaml: &str) -> Value {
        serde_saphyr::from_str(yaml).expect("YAML")
    }

    #[test]
    fn the_keys_are_those_of_the_reader() {
        let schema = schema(None);
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        let properties = schema["definitions"]["RuleForm"]["properties"].as_object().expect("a rule");
        let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
        let mut expected = RULE_KEYS.to_vec();
        let mut found = keys;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn shipped_files_are_valid_and_broken_ones_are_not() {
        let validator = validator();
        let sources = sources::read(&RulesFrom::Shipped).expect("built in");
        for file in &sources.rules {
            let faults: Vec<_> =
                validator.iter_errors(&object(&file.text)).map(|it| it.to_string()).collect();
            assert!(faults.is_empty(), "{}: {faults:?}", file.name);
        }
        let good = "{id: a-b, when: mcc == 1, then: decline, reason: velocity_card}";
        assert!(validator.is_valid(&object(&format!("rules: [{good}]"))));
        for broken in [
            good.replace("a-b", "A B"),
            good.replace("then: decline", "then: approve"),
            good.replace("then: decline", "then: decline, score: 3"),
            good.replace("then: decline, ", ""),
            good.replace("velocity_card", "velocity_crad"),
            good.replace("when:", "wehn:"),
            good.replace("then:", "mode: on, then:"),
            good.replace("then:", "rollout: 101, then:"),
            good.replace("then:", "kinds: [card], then:"),
            good.replace("then:", "expires: soon, then:"),
            good.replace("then:", "examples: [{match: {}, no_match: {}}], then:"),
            good.replace("then:", "examples: [{match: {merchant: m}}], then:"),
        ] {
            assert!(!validator.is_valid(&object(&format!("rules: [{broken}]"))), "{broken}");
        }
    }
}
