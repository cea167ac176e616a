//! What fields, windows and calculations come to: the ground that the plain reading and the closures share.

use super::constant::{CalendarPart, int_of};
use super::expression::Operator;
use super::ir::{Case, Zone};
use super::truth::{Fault, Lack};
use crate::facts::Facts;
use crate::facts::schema::{FieldIndex, Read};
use crate::velocity::Reading;
use core::net::IpAddr;
use sparr_protocol::limits::TEXT_BYTES_MAX;
use sparr_protocol::time::Timestamp;

/// Declares how fields of one type are read. A condition was checked against the field table, so no field of another
/// type is met; it would be absent.
macro_rules! readers {
    ($($(#[$doc:meta])* $name:ident: $ty:ty = $read:pat => $reader:ident;)+) => {$(
        $(#[$doc])*
        pub(super) fn $name(field: FieldIndex) -> Option<$ty> {
            if let $read = field.def().read { Some($reader) } else { None }
        }
    )+};
}
readers! {
    /// Reads a field that is true or false.
    truth_reader: fn(&Facts<'_>) -> Option<bool> = Read::Bool(read) => read;
    /// Reads a field that is a whole number or an amount.
    whole_reader: fn(&Facts<'_>) -> Option<i64> = Read::Int(read) | Read::Money(read) => read;
    /// Reads a field that is a point in time.
    time_reader: fn(&Facts<'_>) -> Option<Timestamp> = Read::Time(read) => read;
    /// Reads a field that is a value of an enumeration.
    code_reader: fn(&Facts<'_>) -> Option<u16> = Read::Code(_, read) => read;
    /// Reads a field that is a text.
    text_reader: for<'f> fn(&'f Facts<'_>) -> Option<&'f str> = Read::Text(read) | Read::Opaque(read) => read;
    /// Reads a field that is an address.
    address_reader: fn(&Facts<'_>) -> Option<IpAddr> = Read::Ip(read) => read;
}

/// Whether a field is there.
pub(super) fn present(field: FieldIndex, facts: &Facts<'_>) -> bool {
    match field.def().read {
        Read::Bool(read) => read(facts).is_some(),
        Read::Int(read) | Read::Money(read) => read(facts).is_some(),
        Read::Text(read) | Read::Opaque(read) => read(facts).is_some(),
        Read::Code(_, read) => read(facts).is_some(),
        Read::Ip(read) => read(facts).is_some(),
        Read::Time(read) => read(facts).is_some(),
        Read::Presence(read) => read(facts),
    }
}

/// A velocity reading. A capped one counts with what is known of it; that it is capped stands in the answer.
pub(super) fn reading(reading: Reading) -> Result<i64, Lack> {
    match reading {
        Reading::Absent | Reading::Unknown => Err(Lack::Absent),
        Reading::Exact(value) | Reading::Capped(value) => Ok(value),
    }
}

/// Calculates with whole numbers; what does not fit is a fault, never a wrapped value.
pub(super) fn calculate(operator: Operator, left: i64, right: i64) -> Result<i64, Fault> {
    let fits = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide | Operator::Remainder if right == 0 => return Err(Fault::DivisionByZero),
        Operator::Divide => left.checked_div(right),
        Operator::Remainder => left.checked_rem(right),
    };
    fits.ok_or(Fault::Overflow)
}

/// The number with the other sign.
pub(super) fn negative(value: i64) -> Result<i64, Lack> {
    value.checked_neg().ok_or(Lack::Fault(Fault::Overflow))
}

/// What is read off a point in time, in ms. A time that no calendar has is out of range.
pub(super) fn calendar(part: CalendarPart, ms: i64, zone: &Zone) -> Result<i64, Lack> {
    part.read(i128::from(ms) * 1_000_000, &zone.zone).ok_or(Lack::Fault(Fault::Overflow))
}

/// A fraction without what stands behind its point.
pub(super) fn truncated(value: f64) -> Result<i64, Lack> {
    int_of(value).map_err(|_| Lack::Fault(Fault::Overflow))
}

/// Calculates with fractions, as IEEE 754 has it: there is always a result.
pub(super) fn calculate_fraction(operator: Operator, left: f64, right: f64) -> f64 {
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Remainder => left % right,
    }
}

/// Looks at a text in a case, on the stack: no text of a request is longer than the buffer.
pub(super) fn with_case<R>(text: &str, case: Case, look: impl FnOnce(&str) -> R) -> R {
    let mut buffer = [0; TEXT_BYTES_MAX];
    let folded = match case {
        Case::AsWritten => None,
        Case::Lower | Case::Upper => buffer.get_mut(..text.len()),
    };
    let Some(folded) = folded else { return look(text) };
    folded.copy_from_slice(text.as_bytes());
    if case == Case::Lower {
        folded.make_ascii_lowercase();
    } else {
        folded.make_ascii_uppercase();
    }
    look(std::str::from_utf8(folded).unwrap_or(text))
}
