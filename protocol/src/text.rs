//! Fields as text: one spelling of each value, shared by JSON, column maps, rule examples and tests.

use crate::card::CardBin;
use crate::codes::{Kind, Stage};
use crate::field::{Field, with_request_fields};
use crate::ids::RequestId;
use crate::money::Currency;
use crate::place::{Country, Mcc};
use crate::request::{AuthorisationRequest, Eci, PanDigest};
use crate::time::Timestamp;
use core::net::IpAddr;

/// Why a field cannot be set. Neither value nor name is repeated: a number in the wrong place is personal too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No field has this name.
    #[error("a key that is no field{}", did_you_mean(*.nearest))]
    UnknownField {
        /// The field whose name is nearest, if one is near.
        nearest: Option<&'static str>,
    },
    /// The text is not a value of the field.
    #[error("{}: expected {expected}", field.name())]
    Value {
        /// The field.
        field: Field,
        /// What its values look like.
        expected: &'static str,
    },
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// A value that is written as text.
pub(crate) trait AsText: Sized {
    /// What a legal text looks like, for error messages.
    const EXPECTED: &'static str;
    /// Reads it.
    fn from_text(text: &str) -> Option<Self>;
    /// Writes it, so that it reads back.
    fn to_text(&self) -> String;
}

/// Implements [`AsText`] by two expressions.
macro_rules! as_text {
    ($($ty:ty: $expected:literal, $parse:expr, $write:expr;)+) => {$(
        impl AsText for $ty {
            const EXPECTED: &'static str = $expected;
            fn from_text(text: &str) -> Option<Self> { $parse(text) }
            fn to_text(&self) -> String { $write(self) }
        }
    )+};
}
as_text! {
    crate::codes::Channel: "web, app, pos, atm, moto, branch, call_centre, api or unknown", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::EntryMode: "manual, magstripe, chip, contactless, ecommerce, credential_on_file, qr_code, fallback or unknown", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::Initiation: "customer, merchant or recurring", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::SubjectKind: "se_person, se_organisation or foreign", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::NameMatch: "match, close, no or unknown", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::CardTokenKind: "vault or network", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::Funding: "credit, debit, prepaid, charge, deferred_debit or unknown", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::Wallet: "none, apple_pay, google_pay, samsung_pay, click_to_pay, other or unknown", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::Avs: "match, partial, no_match, unavailable, not_checked or unknown", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::Cvv: "match, no_match, not_given, unavailable or unknown", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::AuthMethod: "bankid, freja, three_d_secure, otp_sms, otp_app, passkey, card_reader, biometric, password, card_pin, in_person or other", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::AuthResult: "passed, failed, abandoned, attempted, unavailable or unknown", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::TransStatus: "Y, N, U, A, C, D, R or I", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::ScaExemption: "none, low_value, risk_analysis, trusted_beneficiary, recurring, secure_corporate, merchant_initiated or one_leg", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::RemoteAccess: "no, yes or unknown", Self::parse, |it: &Self| it.name().to_owned();
    crate::codes::DeliveryType: "home, parcel_locker, pickup_point, store, digital, none or unknown", Self::parse, |it: &Self| it.name().to_owned();
    Kind: "a kind such as card_payment, invoice, transfer or instant", Self::parse, |it: &Self| it.name().to_owned();
    Stage: "pre_authentication or authorisation", Self::parse, |it: &Self| it.name().to_owned();
    Currency: "a three-letter code of ISO 4217, such as SEK", Self::parse, Self::to_string;
    Country: "a two-letter code of ISO 3166, such as SE", Self::parse, Self::to_string;
    Mcc: "four digits", |text: &str| number(text).and_then(Self::from_wire), |it: &Self| format!("{:04}", it.wire());
    Eci: "a number from 0 to 99", |text: &str| number(text).and_then(Self::from_wire), |it: &Self| it.wire().to_string();
    CardBin: "six to eight digits", Self::parse, Self::to_string;
    RequestId: "32 hexadecimal digits", Self::parse, Self::to_string;
    PanDigest: "32 hexadecimal digits", |text: &str| RequestId::parse(text).map(|id| Self(id.0)), |it: &Self| RequestId(it.0).to_string();
    IpAddr: "an IPv4 or IPv6 address", |text: &str| text.parse().ok(), Self::to_string;
    bool: "true or false", |text: &str| text.parse().ok(), Self::to_string;
    i64: "a whole number", number, Self::to_string;
    u32: "a whole number from 0 to 4294967295", number, Self::to_string;
    Timestamp: "a time such as 2026-11-22T16:48:00Z, or milliseconds since 1970", Timestamp::parse, |it: &Self| it.ms().to_string();
    String: "a text", |text: &str| Some(text.to_owned()), Self::clone;
    crate::personal::Personal: "a text", |text: &str| Some(text.into()), |it: &Self| it.expose().to_owned();
}

/// Reads a whole number; a plus sign, which `FromStr` lets pass, is a slip in an amount or a code.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

impl Timestamp {
    /// Reads RFC 3339 with an offset, or milliseconds since the Unix epoch.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(ms) = number(text) {
            return Some(Self::from_ms(ms));
        }
        text.parse::<jiff::Timestamp>().ok().map(|time| Self::from_ms(time.as_millisecond()))
    }
}

impl std::fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds; milliseconds alone outside the years that it can write.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.ms()) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms", self.ms()),
        }
    }
}

macro_rules! set_field {
    (
        scalars { $( $(#[$sdoc:meta])* $sv:ident $s:ident: $st:ty = $sn:literal $sname:literal, )* }
        texts { $( $(#[$tdoc:meta])* $tv:ident $t:ident: $tt:ty = $tn:literal $tname:literal, )* }
    ) => {
        impl AuthorisationRequest {
            /// Sets one field from text, by its name.
            pub fn set(&mut self, name: &str, text: &str) -> Result<(), SetError> {
                let field = Field::called(name)?;
                match field {
                    $(Field::$tv => self.$t = Some(value(field, text)?),)*
                    $(Field::$sv => self.$s = Some(value(field, text)?),)*
                    Field::RequestId => self.request_id = value(field, text)?,
                    Field::Kind => self.kind = value(field, text)?,
                    Field::Stage => self.stage = value(field, text)?,
                    Field::EventTime => self.event_time = Some(value(field, text)?),
                    Field::DeadlineUs => self.deadline_us = value(field, text)?,
                    Field::MaxStalenessMs => self.max_staleness_ms = value(field, text)?,
                    Field::Reserved => return Err(SetError::Value { field, expected: "nothing: it is reserved" }),
                }
                Ok(())
            }

            /// Every field that is present, by its name, as a text that [`set`](Self::set) reads. Personal values are among
            /// them: it is for the client's own files.
            pub fn texts_by_name(&self) -> Vec<(&'static str, String)> {
                let mut all = vec![
                    (Field::RequestId.name(), self.request_id.to_text()),
                    (Field::Kind.name(), self.kind.to_text()),
                    (Field::Stage.name(), self.stage.to_text()),
                ];
                all.extend(self.event_time.map(|time| (Field::EventTime.name(), time.to_text())));
                for (field, number) in
                    [(Field::DeadlineUs, self.deadline_us), (Field::MaxStalenessMs, self.max_staleness_ms)]
                {
                    if number != 0 {
                        all.push((field.name(), number.to_text()));
                    }
                }
                $(all.extend(self.$t.as_ref().map(|value| (Field::$tv.name(), value.to_text())));)*
                $(all.extend(self.$s.as_ref().map(|value| (Field::$sv.name(), value.to_text())));)*
                all
            }
        }
    };
}
with_request_fields!(set_field);

impl Field {
    /// The field of this name, or the one that was probably meant.
    pub fn called(name: &str) -> Result<Self, SetError> {
        let all = || Self::OPTIONAL.iter().chain(Self::ALWAYS).map(|field| field.name());
        Self::parse(name).ok_or_else(|| SetError::UnknownField { nearest: nearest(name, all()) })
    }
}

fn value<T: AsText>(field: Field, text: &str) -> Result<T, SetError> {
    T::from_text(text).ok_or(SetError::Value { field, expected: T::EXPECTED })
}

/// The candidate that is nearest to a mistyped name, if it is near: at most a third of its letters differ.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance with neighbouring letters swapped as one step.
fn edit_distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, theirs) in other.iter().enumerate() {
            let substituted = last[j] + usize::from(letter != theirs);
            let mut best = substituted.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && one[i - 1] == *theirs && *letter == other[j - 1] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_or_value_is_told_apart_and_the_value_is_not_repeated() {
        let mut request = AuthorisationRequest::new(RequestId([1; 16]), Kind::Invoice, Timestamp::from_ms(0));
        assert_eq!(request.set("mcc", "5732"), Ok(()));
        assert_eq!(request.set("event_time", "2018-04-01T00:00:31Z"), Ok(()));
        assert_eq!(
            request.event_time.map(|time| time.to_string()).as_deref(),
            Some("2018-04-01T00:00:31.000Z")
        );
        let said = |request: &mut AuthorisationRequest, name: &str, text: &str| {
            request.set(name, text).expect_err("refused").to_string()
        };
        assert_eq!(
            said(&mut request, "amuont_minor", "1"),
            "a key that is no field; did you mean \"amount_minor\"?"
        );
        assert_eq!(said(&mut request, "zebra", "1"), "a key that is no field");
        assert_eq!(said(&mut request, "ip", "secret"), "ip: expected an IPv4 or IPv6 address");
        assert_eq!(said(&mut request, "amount_minor", "10.5"), "amount_minor: expected a whole number");
        assert_eq!(said(&mut request, "reserved", "1"), "a key that is no field");
    }

    #[test]
    fn swapped_letters_are_one_step() {
        for (one, other, distance) in
            [("", "abc", 3), ("acb", "abc", 1), ("kind", "kin", 1), ("same", "same", 0)]
        {
            assert_eq!(edit_distance(one, other), distance, "{one} {other}");
        }
    }
}
