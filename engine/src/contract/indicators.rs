//! Operations on indicators, written in JSON: `operation`, and fields called like the options of `sparr indicator`.

use super::{moment, needed, optional};
use serde_json::Value;
use sparr_protocol::exchange::{IndicatorOperation, Operation};
use sparr_protocol::indicator::{ClassName, Grade, IndicatorId, IndicatorKind, IndicatorRole};
use sparr_protocol::time::Timestamp;

/// Each operation, with the fields that it needs and those that may be absent.
pub(crate) const OPERATIONS: &[(&str, &[&str], &[&str])] = &[
    ("draft", &["kind", "value", "class", "grade"], &["role", "until"]),
    ("report", &["id"], &[]),
    ("receipt", &["id", "reference"], &["received_at", "signature"]),
    ("share", &["id"], &[]),
    ("confirm", &["id", "evidence"], &[]),
    ("contest", &["id", "why", "due"], &[]),
    ("withdraw", &["id", "why"], &[]),
    ("override", &["id", "why"], &[]),
    ("list", &[], &["id"]),
];

/// Reads one operation. A receipt that says no time was received `now`.
pub(crate) fn parse(value: Value, now: Timestamp) -> Result<Operation, String> {
    let (name, fields) = super::operation(value, OPERATIONS)?;
    let id = || needed(&fields, "id", IndicatorId::parse);
    let text = |name: &str| needed(&fields, name, |text| Some(text.to_owned()));
    Ok(Operation::Indicator(match name {
        "draft" => IndicatorOperation::Draft {
            kind: needed(&fields, "kind", IndicatorKind::parse)?,
            value: text("value")?.into(),
            role: optional(&fields, "role", IndicatorRole::parse)?,
            grade: needed(&fields, "grade", Grade::parse)?,
            class: needed(&fields, "class", ClassName::parse)?,
            valid_until: optional(&fields, "until", moment)?,
        },
        "report" => IndicatorOperation::Report(id()?),
        "receipt" => IndicatorOperation::Receipt {
            id: id()?,
            reference: text("reference")?,
            received_at: optional(&fields, "received_at", moment)?.unwrap_or(now),
            signature: optional(&fields, "signature", bytes_of::<64>)?.map(Box::new),
        },
        "share" => IndicatorOperation::Share(id()?),
        "confirm" => {
            IndicatorOperation::Confirm { id: id()?, evidence: needed(&fields, "evidence", bytes_of::<32>)? }
        }
        "contest" => {
            IndicatorOperation::Contest { id: id()?, due: needed(&fields, "due", moment)?, why: text("why")? }
        }
        "withdraw" => IndicatorOperation::Withdraw { id: id()?, why: text("why")? },
        "override" => IndicatorOperation::Override { id: id()?, why: text("why")? },
        "list" => IndicatorOperation::List(optional(&fields, "id", IndicatorId::parse)?),
        _ => unreachable!("a name of the table"),
    }))
}

/// Bytes written as hexadecimal digits.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_operation_is_read_and_needs_what_it_needs() {
        let now = Timestamp::from_ms(7);
        let all = json!({
            "kind": "email", "value": "a@example.org", "class": "phishing", "grade": "observed", "until": "2030-01-01",
            "id": "0".repeat(31) + "1", "reference": "K-1", "evidence": "ab".repeat(32), "why": "a mistake",
            "due": "2030-01-01T10:00:00Z", "signature": "cd".repeat(64), "role": "mule",
            "received_at": "2026-11-22T10:00:00Z",
        });
        for (name, needs, may) in OPERATIONS {
            let of = |without: &str| {
                let keys = needs.iter().chain(*may).filter(|key| **key != without);
                let mut object: serde_json::Map<_, _> =
                    keys.map(|key| ((*key).to_owned(), all[*key].clone())).collect();
                object.insert("operation".to_owned(), (*name).into());
                parse(object.into(), now)
            };
            of("").expect(name);
            for key in *may {
                of(key).expect(key);
            }
            for key in *needs {
                assert_eq!(of(key).expect_err(name), format!("{key} is missing"));
            }
        }
        assert_eq!(bytes_of::<2>("00fF"), Some([0, 255]));
        assert_eq!((bytes_of::<2>("00f"), bytes_of::<2>("00+f")), (None, None));
    }
}
