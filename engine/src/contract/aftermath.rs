//! Final results and labels, by the names of their fields.

use super::{Fields, needed, optional};
use sparr_protocol::aftermath::{
    Final, FinalResult, Label, LabelClass, is_chargeback_code, is_payment_id, response_code,
};
use sparr_protocol::ids::RequestId;
use sparr_protocol::time::Timestamp;

/// The fields of a final result; `response_code` may be absent.
pub(crate) const RESULT_FIELDS: [&str; 4] = ["request_id", "final", "response_code", "time"];
/// The fields of a label; `chargeback_code` and `amount_minor` may be absent.
pub(crate) const LABEL_FIELDS: [&str; 5] =
    ["payment_id", "class", "chargeback_code", "amount_minor", "known_at"];

/// A final result, under an id that finds its answer.
pub(crate) fn result(fields: &Fields, id: RequestId) -> Result<FinalResult, String> {
    Ok(FinalResult {
        id,
        request_id: needed(fields, "request_id", RequestId::parse)?,
        result: needed(fields, "final", Final::parse)?,
        response_code: optional(fields, "response_code", response_code)?,
        time: needed(fields, "time", Timestamp::parse)?,
    })
}

/// A label, under an id that finds its answer.
pub(crate) fn label(fields: &Fields, id: RequestId) -> Result<Label, String> {
    Ok(Label {
        id,
        payment_id: needed(fields, "payment_id", |id| is_payment_id(id).then(|| id.to_owned()))?,
        class: needed(fields, "class", LabelClass::parse)?,
        chargeback_code: optional(fields, "chargeback_code", |code| {
            is_chargeback_code(code).then(|| code.to_owned())
        })?,
        amount_minor: optional(fields, "amount_minor", |text| {
            text.parse().ok().filter(|amount: &i64| *amount >= 0)
        })?,
        known_at: needed(fields, "known_at", Timestamp::parse)?,
    })
}
