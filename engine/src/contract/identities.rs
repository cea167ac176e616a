//! The identity check in JSON: `{}` is told the numbers, `{"answers": […]}` what is wrong with what it sends for them.

use serde_json::{Value, json};
use sparr_protocol::exchange::{ExchangeAnswer, Operation, Refusal, Said};
use sparr_protocol::limits::TEXT_BYTES_MAX;

const ANSWERS: &str = "answers";

/// Reads a question. An answer that is empty says that the client would send nothing.
pub(crate) fn parse(value: &Value) -> Result<Operation, String> {
    let Value::Object(object) = value else { return Err("not an object".to_owned()) };
    if object.keys().any(|key| key != ANSWERS) {
        return Err(format!("a key that is not {ANSWERS}"));
    }
    let Some(given) = object.get(ANSWERS) else {
        return Ok(Operation::IdentityCheck { answers: Vec::new() });
    };
    let texts: Option<Vec<&str>> = given
        .as_array()
        .and_then(|list| list.iter().map(Value::as_str).collect())
        .filter(|it: &Vec<_>| !it.is_empty());
    let texts = texts.ok_or_else(|| format!("{ANSWERS} is no list of texts"))?;
    if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control)) {
        return Err(format!(
            "one of {ANSWERS} is longer than {TEXT_BYTES_MAX} bytes, or has a control character"
        ));
    }
    let sent = |text: &str| if text.is_empty() { "-".into() } else { text.into() };
    Ok(Operation::IdentityCheck { answers: texts.into_iter().map(sent).collect() })
}

/// What the engine says to it.
pub(crate) fn answered(asked: bool, answers: &[ExchangeAnswer]) -> Result<Value, Option<Refusal>> {
    let lines = answers.iter().filter_map(|answer| match &answer.said {
        Said::Line(line) => Some(line.as_str()),
        _ => None,
    });
    match answers.last().map(|last| &last.said) {
        Some(Said::End) if asked => {
            let challenges: Vec<&str> = lines.flat_map(|line| line.split(' ')).collect();
            Ok(json!({ "challenges": challenges }))
        }
        Some(Said::End) => {
            let wrong: Vec<&str> = lines.collect();
            Ok(json!({ "right": wrong.is_empty(), "wrong": wrong }))
        }
        Some(Said::Refused(refusal)) => Err(Some(*refusal)),
        _ => Err(None),
    }
}
