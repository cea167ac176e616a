//! What each field of a request means and what its values look like in JSON: for documents that other people's tools read.

use crate::codes::{Kind, Stage};
use crate::field::{Field, with_request_fields};

/// What the values of a field look like in JSON. Numbers, times and truths may also be written as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any text that fits a request.
    Text,
    /// A text of a form, as a regular expression.
    Form(&'static str),
    /// A whole number, its bounds included.
    Number(i64, i64),
    /// One of these names.
    OneOf(Vec<&'static str>),
    /// `true` or `false`.
    Truth,
    /// RFC 3339 with an offset, or milliseconds since 1970.
    Time,
}

/// A type whose values have a shape.
trait Shaped {
    fn shape() -> Shape;
}

macro_rules! shaped {
    ($($ty:ty => $shape:expr;)+) => {$(
        impl Shaped for $ty {
            fn shape() -> Shape {
                $shape
            }
        }
    )+};
}
shaped! {
    crate::card::CardBin => Shape::Form("^[0-9]{6,8}$");
    crate::ids::RequestId => Shape::Form(ID);
    crate::money::Currency => Shape::Form("^[A-Z]{3}$");
    crate::place::Country => Shape::Form("^[A-Z]{2}$");
    crate::place::Mcc => Shape::Number(0, 9_999);
    crate::request::Eci => Shape::Number(0, 99);
    crate::request::PanDigest => Shape::Form(ID);
    crate::time::Timestamp => Shape::Time;
    core::net::IpAddr => Shape::Text;
    bool => Shape::Truth;
    i64 => Shape::Number(i64::MIN, i64::MAX);
    u32 => Shape::Number(0, u32::MAX as i64);
    String => Shape::Text;
    crate::personal::Personal => Shape::Text;
}

macro_rules! shaped_codes {
    ($($name:ident)+) => {
        shaped! { $(crate::codes::$name => Shape::OneOf(crate::codes::$name::ALL.iter().map(|it| it.name()).collect());)+ }
    };
}
shaped_codes! {
    Channel EntryMode Initiation SubjectKind NameMatch CardTokenKind Funding Wallet Avs Cvv AuthMethod AuthResult
    TransStatus ScaExemption RemoteAccess DeliveryType
}

/// Sixteen bytes, not all zero: 32 hexadecimal digits, with or without the hyphens of a UUID.
pub const ID: &str = "^(?![0-]+$)([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})$";

macro_rules! described {
    (
        scalars { $( $(#[doc = $sdoc:literal])* $sv:ident $s:ident: $st:ty = $sn:literal $sname:literal, )* }
        texts { $( $(#[doc = $tdoc:literal])* $tv:ident $t:ident: $tt:ty = $tn:literal $tname:literal, )* }
    ) => {
        impl Field {
            /// What its values look like.
            pub fn shape(self) -> Shape {
                match self {
                    $(Self::$tv => <$tt>::shape(),)*
                    $(Self::$sv => <$st>::shape(),)*
                    Self::RequestId => Shape::Form(ID),
                    Self::Kind => Shape::OneOf(Kind::ALL.iter().map(|kind| kind.name()).collect()),
                    Self::Stage => Shape::OneOf(Stage::ALL.iter().map(|stage| stage.name()).collect()),
                    Self::EventTime => Shape::Time,
                    Self::DeadlineUs | Self::MaxStalenessMs => Shape::Number(0, u32::MAX.into()),
                    // Nothing is legal in it.
                    Self::Reserved => Shape::OneOf(Vec::new()),
                }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$tv => concat!($($tdoc),*),)*
                    $(Self::$sv => concat!($($sdoc),*),)*
                    Self::RequestId => " Idempotency key: the same request under the same id has the same answer.",
                    Self::Kind => " What the payment is.",
                    Self::Stage => " Where in its life the question is asked; absent means authorisation.",
                    Self::EventTime => " When it happened; absent means now, by the engine's clock.",
                    Self::DeadlineUs => " Microseconds that are left when the request is sent; 0 for no deadline.",
                    Self::MaxStalenessMs => {
                        " Oldest state of the exchange that is accepted, ms; 0 for the member's default."
                    }
                    Self::Reserved => " Kept free.",
                }
                .trim_start()
            }
        }
    };
}
with_request_fields!(described);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RequestId;
    use crate::request::AuthorisationRequest;
    use crate::time::Timestamp;

    /// A field takes what its shape says, and not what lies just outside.
    #[test]
    fn fields_take_what_their_shapes_say() {
        let mut request = AuthorisationRequest::new(RequestId([1; 16]), Kind::Invoice, Timestamp::from_ms(0));
        for field in Field::OPTIONAL.iter().chain(Field::ALWAYS) {
            assert!(field.meaning().ends_with(['.', '9', '3']), "{}: {}", field.name(), field.meaning());
            let (legal, illegal): (Vec<String>, Vec<String>) = match field.shape() {
                Shape::Text => continue,
                Shape::Form(_) => (vec![], vec![String::new(), "å".to_owned()]),
                Shape::Number(i64::MIN, i64::MAX) => (vec![i64::MIN.to_string()], vec!["1.5".to_owned()]),
                Shape::Number(low, high) => (
                    vec![low.to_string(), high.to_string()],
                    vec![(low - 1).to_string(), (high + 1).to_string()],
                ),
                Shape::OneOf(names) => {
                    (names.into_iter().map(str::to_owned).collect(), vec!["something".to_owned()])
                }
                Shape::Truth => (vec!["true".to_owned(), "false".to_owned()], vec!["yes".to_owned()]),
                Shape::Time => {
                    (vec!["2026-11-23T10:00:00+01:00".to_owned(), "7".to_owned()], vec!["now".to_owned()])
                }
            };
            for text in legal {
                // Not every number is a category or an indicator; those that are lie within the bounds.
                let set = request.set(field.name(), &text);
                assert!(set.is_ok(), "{} = {text}: {set:?}", field.name());
            }
            for text in illegal {
                assert!(request.set(field.name(), &text).is_err(), "{} = {text}", field.name());
            }
        }
    }
}
