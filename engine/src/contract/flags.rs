//! Operations on people's flags, written in JSON: `operation`, and fields called like the options of `sparr flag`.

use super::{Fields, end_of_day, moment, needed, optional};
use serde_json::Value;
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, SubjectKind, Wish};
use sparr_protocol::exchange::{Operation, SubjectText};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::ids::MemberName;
use sparr_protocol::money::Currency;
use sparr_protocol::place::Country;
use sparr_protocol::time::Timestamp;

/// Each operation, with the fields that it needs and those that may be absent.
pub(crate) const OPERATIONS: &[(&str, &[&str], &[&str])] = &[
    ("raise", &["subject", "wish", "until", "reason"], &[KIND, COUNTRY, "scope", "compromised", BY, AUTH]),
    ("plan", &["subject", "wish", "until", "reason"], &[KIND, COUNTRY, "scope", "compromised", BY, AUTH]),
    ("lift", &["subject"], &[KIND, COUNTRY, BY, AUTH, "confirmed_by"]),
    ("status", &["subject"], &[KIND, COUNTRY]),
    ("report", &["subject"], &[KIND, COUNTRY]),
    ("list", &[], &[]),
    ("pass", &["subject", "merchant", "max", "until"], &[KIND, COUNTRY, BY, AUTH]),
    ("extend", &["subject", "until"], &[KIND, COUNTRY, BY, AUTH]),
    ("lift_request", &["subject", "registrar"], &[KIND, COUNTRY, BY, AUTH]),
    ("link", &["old", "new"], &["undo", BY, AUTH]),
    ("override", &["subject", "registrar"], &[KIND, COUNTRY]),
];

const KIND: &str = "subject_kind";
const COUNTRY: &str = "subject_country";
const BY: &str = "requested_by";
const AUTH: &str = "authenticated_by";

/// Reads one operation.
pub(crate) fn parse(value: Value) -> Result<Operation, String> {
    let (name, fields) = super::operation(value, OPERATIONS)?;
    let by = || -> Result<(RequestedBy, AuthMethod), String> {
        Ok((
            optional(&fields, BY, RequestedBy::parse)?.unwrap_or(RequestedBy::Person),
            optional(&fields, AUTH, AuthMethod::parse)?.unwrap_or(AuthMethod::BankId),
        ))
    };
    let subject = || subject(&fields, "subject");
    Ok(match name {
        "raise" => Operation::FlagRaise { subject: subject()?, terms: terms(&fields, by()?)? },
        "plan" => Operation::FlagPlan { subject: subject()?, terms: terms(&fields, by()?)? },
        "lift" => {
            let confirmed = |text: &str| (text == "second-channel").then_some(());
            let second_channel = optional(&fields, "confirmed_by", confirmed)?.is_some();
            let (requested_by, authenticated_by) = by()?;
            Operation::FlagLift { subject: subject()?, requested_by, authenticated_by, second_channel }
        }
        "status" => Operation::FlagStatus { subject: subject()? },
        "report" => Operation::FlagReport { subject: subject()? },
        "list" => Operation::FlagList,
        "pass" => {
            let (amount_minor, currency) = needed(&fields, "max", amount)?;
            let merchant = needed(&fields, "merchant", |text| Some(text.to_owned()))?;
            let until = needed(&fields, "until", moment)?;
            let (requested_by, authenticated_by) = by()?;
            let subject = subject()?;
            Operation::FlagPass {
                subject,
                merchant,
                amount_minor,
                currency,
                until,
                requested_by,
                authenticated_by,
            }
        }
        "extend" => {
            let (requested_by, authenticated_by) = by()?;
            let until = needed(&fields, "until", day)?;
            Operation::FlagExtend { subject: subject()?, until, requested_by, authenticated_by }
        }
        "lift_request" => {
            let (requested_by, authenticated_by) = by()?;
            let registrar = needed(&fields, "registrar", MemberName::parse)?;
            Operation::FlagLiftRequest { subject: subject()?, registrar, requested_by, authenticated_by }
        }
        "link" => {
            let (requested_by, authenticated_by) = by()?;
            let undo = optional(&fields, "undo", |text| text.parse::<bool>().ok())?.unwrap_or(false);
            let (old, new) = (self::subject(&fields, "old")?, self::subject(&fields, "new")?);
            Operation::SubjectLink { old, new, linked: !undo, requested_by, authenticated_by }
        }
        "override" => Operation::FlagOverride {
            subject: subject()?,
            registrar: needed(&fields, "registrar", MemberName::parse)?,
        },
        _ => unreachable!("a name of the table"),
    })
}

/// The last day on which something acts, in Sweden.
fn day(text: &str) -> Option<Timestamp> {
    end_of_day(text).ok()
}

fn subject(fields: &Fields, name: &str) -> Result<SubjectText, String> {
    Ok(SubjectText {
        text: needed(fields, name, |text| Some(text.to_owned()))?.into(),
        kind: optional(fields, KIND, SubjectKind::parse)?.unwrap_or(SubjectKind::SePerson),
        country: optional(fields, COUNTRY, Country::parse)?,
    })
}

fn terms(
    fields: &Fields,
    (requested_by, authenticated_by): (RequestedBy, AuthMethod),
) -> Result<Terms, String> {
    let methods = |text: &str| text.split(',').map(AuthMethod::parse).collect::<Option<Vec<_>>>();
    let compromised = optional(fields, "compromised", methods)?.unwrap_or_default();
    Ok(Terms {
        wish: needed(fields, "wish", Wish::parse)?,
        scope: optional(fields, "scope", Scope::parse)?.unwrap_or(Scope::Any),
        reason: needed(fields, "reason", FlagReason::parse)?,
        requested_by,
        authenticated_by,
        compromised: compromised.into_iter().fold(Methods::default(), Methods::with),
        valid_until: needed(fields, "until", day)?,
    })
}

/// `30000SEK`: major units and a currency.
pub(crate) fn amount(text: &str) -> Option<(i64, Currency)> {
    let (major, code) = text.split_at_checked(text.len().checked_sub(3)?)?;
    let currency = Currency::parse(code)?;
    currency.minor_units(major).filter(|minor| *minor > 0).map(|minor| (minor, currency))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_operation_says_what_it_lacks_and_repeats_no_value() {
        let number = "191212121212";
        for (value, said) in [
            (json!({"operation": "lift", "subject": number}), "FlagLift"),
            (json!({"operation": "list"}), "FlagList"),
            (json!({"operation": "lift"}), "subject is missing"),
            (json!({"subject": number}), "operation is missing"),
            (json!({"operation": number}), "operation is none of raise, plan, lift, status"),
            (
                json!({"operation": "status", "subject": number, "wish": "deny"}),
                "a key that is none of operation",
            ),
            (json!({"operation": "status", number: 1}), "a key that is none of operation, subject"),
            (
                json!({"operation": "raise", "subject": number, "wish": number, "until": "2030-01-01",
                    "reason": "scam"}),
                "wish is not legal",
            ),
            (
                json!({"operation": "raise", "subject": number, "wish": "deny", "until": "2030-01-01",
                    "reason": "scam", "compromised": ["bankid", "otp_sms"]}),
                "FlagRaise",
            ),
            (
                json!({"operation": "pass", "subject": number, "merchant": "m", "max": "SEK", "until": "2030-01-01"}),
                "max is not legal",
            ),
            (json!([1]), "not an object"),
        ] {
            let shown = match parse(value.clone()) {
                Ok(operation) => format!("{:?}", operation.kind()),
                Err(problem) => problem,
            };
            assert!(shown.starts_with(said), "{value}: {shown}");
            assert!(!shown.contains(number), "{shown}");
        }
    }
}
