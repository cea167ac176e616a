//! Judging conformance cases of CEL's specification: `cel-conformance` prints what this finds.

use serde_json::{Map, Value as Json};
use sparr_engine::rules::constant::{Evaluated, Names, Value, evaluate_text};

/// One case, as a line of a file writes it.
pub type Case = Map<String, Json>;

/// How a case ended.
pub enum Verdict {
    /// With the value, or the error, that is right.
    Passed,
    /// With another one.
    Failed(String),
    /// It was refused before it was evaluated.
    Unsupported(String),
}

/// The text under a key, or nothing.
pub fn text_of<'c>(case: &'c Case, key: &str) -> &'c str {
    case.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn is_set(case: &Case, key: &str) -> bool {
    case.get(key).and_then(Json::as_bool).unwrap_or_default()
}

/// Runs a case.
pub fn judge(case: &Case) -> Verdict {
    if is_set(case, "disable_macros") {
        return Verdict::Unsupported("macros are part of the language".to_owned());
    }
    let mut bindings = Vec::new();
    for (name, bound) in case.get("bindings").and_then(Json::as_object).into_iter().flatten() {
        match bound.get("value").and_then(value) {
            Some(value) => bindings.push((name.clone(), value)),
            None => {
                return Verdict::Unsupported(format!("`{name}` is of a type that the profile leaves out"));
            }
        }
    }
    let names = Names::new(bindings, text_of(case, "container").to_owned());
    let expected = case.get("expect").and_then(Json::as_object);
    let evaluated = evaluate_text(text_of(case, "expr"), &names, !is_set(case, "disable_check"));
    let wanted = expected.and_then(|expected| expected.get("value"));
    let error = expected.is_some_and(|expected| expected.contains_key("eval_error"));
    match (evaluated, wanted) {
        (Evaluated::Refused(why), _) => Verdict::Unsupported(why),
        (Evaluated::Failed(_), _) if error => Verdict::Passed,
        (Evaluated::Value(value), Some(wanted)) if same(&value, wanted) => Verdict::Passed,
        (Evaluated::Value(value), Some(_)) => Verdict::Failed(format!("came to {value:?}")),
        (Evaluated::Value(value), None) if error => {
            Verdict::Failed(format!("came to {value:?}, not to an error"))
        }
        (Evaluated::Failed(failure), _) => Verdict::Failed(failure.text()),
        (Evaluated::Value(_), None) => Verdict::Unsupported("only its type is asked for".to_owned()),
    }
}

/// A value as the cases write it; none where its type is not part of the profile.
fn value(json: &Json) -> Option<Value> {
    let (kind, inner) = json.as_object()?.iter().next()?;
    let number = |key: &str| inner.get(key).and_then(Json::as_i64).unwrap_or_default();
    let ns = || i128::from(number("seconds")) * 1_000_000_000 + i128::from(number("nanos"));
    Some(match kind.as_str() {
        "null" => Value::Null,
        "bool" => Value::Bool(inner.as_bool()?),
        "int" => Value::Int(inner.as_str()?.parse().ok()?),
        "double" => Value::Double(match inner.as_str() {
            Some("NaN") => f64::NAN,
            Some("Infinity") => f64::INFINITY,
            Some("-Infinity") => f64::NEG_INFINITY,
            Some(_) => return None,
            None => inner.as_f64()?,
        }),
        "string" => Value::Text(inner.as_str()?.to_owned()),
        "list" => Value::List(inner.as_array()?.iter().map(value).collect::<Option<_>>()?),
        "timestamp" => Value::Time(ns()),
        "duration" => Value::Length(i64::try_from(ns()).ok()?),
        _ => return None,
    })
}

/// Whether a value is the one that a case asks for: of the same type, bit for bit but for NaN.
fn same(found: &Value, wanted: &Json) -> bool {
    if let (Value::Type(found), Some(wanted)) = (found, wanted.get("type")) {
        return wanted.as_str() == Some(found);
    }
    let Some(wanted) = value(wanted) else { return false };
    identical(found, &wanted)
}

fn identical(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Double(one), Value::Double(other)) => {
            one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan()
        }
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| identical(one, other))
        }
        _ => one.type_name() == other.type_name() && one.equals(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparr_protocol::testing::test_data;

    /// Whether a case is about what the profile leaves out by name, judged by its text alone.
    fn left_out(case: &Case) -> bool {
        let expr = text_of(case, "expr");
        let around = [case.get("bindings"), case.get("expect"), case.get("type_env")]
            .map(|part| part.map(Json::to_string).unwrap_or_default())
            .concat();
        let mut code = String::new();
        let mut quoted = None;
        let mut letters = expr.chars().peekable();
        while let Some(letter) = letters.next() {
            match quoted {
                None if matches!(letter, '"' | '\'') => {
                    if code.ends_with(['b', 'B']) || code.ends_with("br") || code.ends_with("bR") {
                        return true;
                    }
                    quoted = Some(letter);
                }
                None => code.push(letter),
                Some(_) if letter == '\\' => drop(letters.next()),
                Some(open) if open == letter => quoted = None,
                Some(_) => {}
            }
        }
        let unsigned = code.as_bytes().windows(2).any(|pair| {
            (pair[0].is_ascii_hexdigit() && !pair[0].is_ascii_alphabetic()) && matches!(pair[1], b'u' | b'U')
        });
        let named = ["uint", "bytes", "dyn(", "{"].iter().any(|name| code.contains(name));
        let bound =
            ["uint", "bytes", "map", "dyn", "enum", "message"].iter().any(|name| around.contains(name));
        unsigned || named || bound
    }

    #[test]
    fn the_core_cases_outside_the_exclusions_pass_and_no_answer_is_wrong() {
        let unproven = "that sparr's profile agrees with CEL's specification";
        let Some(core) = test_data("peer-tests/cel/cel_spec_core.jsonl", unproven) else { return };
        let folder = core.parent().expect("a folder").to_owned();
        let (mut inside, mut passed) = (0, 0);
        for name in ["core", "extension", "needs_protobuf", "check_only"] {
            let text =
                std::fs::read_to_string(folder.join(format!("cel_spec_{name}.jsonl"))).expect("readable");
            for line in text.split('\n').filter(|line| !line.is_empty()) {
                let Ok(Json::Object(case)) = serde_json::from_str(line) else { panic!("{line}") };
                let counted = name == "core" && !left_out(&case);
                inside += usize::from(counted);
                match judge(&case) {
                    Verdict::Passed => passed += usize::from(counted),
                    Verdict::Failed(why) => panic!("{}: {why}", text_of(&case, "expr")),
                    Verdict::Unsupported(_) => {}
                }
            }
        }
        assert!(inside > 300, "{inside} cases are too few to say anything");
        assert!(passed * 100 >= inside * 98, "{passed} of {inside}");
    }

    /// A case with a wrong value is found to fail: the judge is not blind.
    #[test]
    fn a_wrong_value_is_failed() {
        for (expr, wanted) in
            [("1 + 1", "{\"int\": \"3\"}"), ("1 + 1", "{\"double\": 2.0}"), ("0.0", "{\"double\": -0.0}")]
        {
            let case = format!("{{\"expr\": \"{expr}\", \"expect\": {{\"value\": {wanted}}}}}");
            let Ok(Json::Object(case)) = serde_json::from_str(&case) else { panic!("{case}") };
            assert!(matches!(judge(&case), Verdict::Failed(_)), "{expr}");
        }
    }
}
