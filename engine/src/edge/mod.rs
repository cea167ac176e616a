//! The edge: messages of payment networks become authorisation requests, and answers become the networks' codes.
//!
//! Nothing here decides anything. A message is read by a table in `config/edge/`, what it says goes into the fields of a
//! request, and whatever of it went nowhere is named. What cannot be read is refused with a stable code and its place,
//! without any value of it: a message is full of people.
//!
//! | | |
//! |---|---|
//! | [`iso8583`] | card messages: layouts, bitmaps, elements |
//! | [`iso20022`] | credit transfers in XML |
//! | [`answers`] | outcomes as field 39, and as status and reason of a pacs.002 |
//! | [`table`] | reading the tables, with places for every finding |

pub mod answers;
pub mod iso20022;
pub mod iso8583;
pub mod table;

use sparr_protocol::card::looks_like_card_number;
use sparr_protocol::frame::Next;
use sparr_protocol::identity::Subject;
use sparr_protocol::ids::RequestId;
use sparr_protocol::limits::{PAYMENT_ID_BYTES_MAX, REQUEST_FRAME_BYTES_MAX};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use sparr_protocol::view::{RequestError, RequestView};
use std::fmt;

/// A standard of messages that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// ISO 8583.
    Iso8583,
    /// ISO 20022.
    Iso20022,
}

/// Declares the reasons for refusing a message: stable name, what it means.
macro_rules! refusals {
    ($( $variant:ident = $name:literal $title:literal, )+) => {
        /// Why a message is no request. The name is stable: scripts know it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal { $( #[doc = $title] $variant, )+ }

        impl Refusal {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it means, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}
refusals! {
    NotIso8583 = "not_iso8583" "no message of ISO 8583 begins like this",
    NotXml = "not_xml" "not well-formed XML",
    NotUtf8 = "not_utf8" "not UTF-8",
    TooLarge = "too_large" "larger, deeper or longer than this reads",
    DocumentType = "document_type" "a document type declaration: none is read, so that nothing expands",
    Entity = "entity" "an entity that XML itself does not have",
    Truncated = "truncated" "the message ends too early",
    TrailingBytes = "trailing_bytes" "bytes follow the last element",
    UnknownElement = "unknown_element" "the bitmap names an element that the layout does not have",
    ElementLength = "element_length" "a length that is none, or longer than the layout allows",
    ElementForm = "element_form" "an element that does not have the form of its kind",
    Duplicate = "duplicate" "an element that may stand there once stands there twice",
    Version = "version" "a version of the standard that the table is not for",
    Namespace = "namespace" "no namespace of a message that is known",
    Response = "response" "an answer or a status report: nobody is asked",
    Advice = "advice" "an advice: the payment has been decided elsewhere",
    NetworkManagement = "network_management" "a message about the line, not about a payment",
    AccountReport = "account_report" "a report of what was booked",
    Cancellation = "cancellation" "a request to cancel, or an answer to one",
    PaymentReturn = "payment_return" "a payment that is sent back between banks",
    DirectDebit = "direct_debit" "a direct debit, which is collected and not sent",
    Unsupported = "unsupported" "a message that this does not read",
    NoKind = "no_kind" "the table has no kind of request for it",
    Missing = "missing" "an element is missing without which nothing can be asked",
    Count = "count" "the message does not hold as many payments as it says",
    Value = "value" "a value that no request can carry",
    CardNumber = "card_number" "a card number stands where none belongs",
}

/// Where something is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bytes from the beginning of the file.
    Byte(usize),
    /// Line and column, both from 1; the column in bytes.
    Line(usize, usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(byte) => write!(f, "byte {byte}"),
            Self::Line(line, column) => write!(f, "line {line}, column {column}"),
        }
    }
}

/// A message that is no request. It repeats nothing that stands in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// Where.
    pub place: Place,
    /// Which element, by its number or path; empty where it is the message as a whole.
    pub element: String,
    /// What was expected.
    pub expected: String,
}

impl Refused {
    pub(crate) fn new(refusal: Refusal, place: Place, element: impl Into<String>, expected: &str) -> Self {
        Self { refusal, place, element: element.into(), expected: expected.to_owned() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.refusal.name())?;
        if !self.element.is_empty() {
            write!(f, "element {}: ", self.element)?;
        }
        write!(f, "{} ({})", self.refusal.title(), self.place)?;
        if self.expected.is_empty() { Ok(()) } else { write!(f, "; {}", self.expected) }
    }
}

/// An element that went into a field of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its number or path.
    pub element: String,
    /// Name of the field.
    pub field: &'static str,
}

/// An element that went nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its number or path.
    pub element: String,
    /// Why.
    pub why: &'static str,
}

/// A message that became a request, and what of it did not.
pub struct Mapped {
    /// The request.
    pub request: AuthorisationRequest,
    /// What was used, in the order of the message.
    pub used: Vec<Used>,
    /// What was not.
    pub left: Vec<Left>,
    /// What an answer must name so that the sender knows what it is about: names of its standard, and values that are ids
    /// of messages, never of people.
    pub echo: Vec<(&'static str, String)>,
}

/// One payment of a file.
pub struct Item {
    /// What kind of message it stood in, such as `0100` or `pacs.008`; empty where that could not be read.
    pub message: String,
    /// Where it begins.
    pub place: Place,
    /// The request, or why there is none.
    pub mapped: Result<Mapped, Refused>,
}

/// Which time a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTime {
    /// The message's own. Where it has no year, the last one that does not put it ahead of this moment.
    Message(Timestamp),
    /// None: the engine's clock when it receives the request.
    Receipt,
}

/// Why an element went nowhere.
pub(crate) mod why {
    pub(crate) const NO_FIELD: &str = "a request has no field for it";
    pub(crate) const EMPTY: &str = "it is empty";
    pub(crate) const SECRET: &str = "it is secret and is not read";
    pub(crate) const NOT_IN_FORM: &str = "it is not in the form that the field needs";
    pub(crate) const NO_CURRENCY: &str = "an amount without its currency says nothing";
    pub(crate) const NO_AMOUNT: &str = "there is no amount that it could belong to";
    pub(crate) const NOT_IN_TABLE: &str = "the table has nothing for this value";
    pub(crate) const NO_SCHEME: &str = "the table has no scheme of accounts for it";
    pub(crate) const NO_COUNTRY: &str = "nothing says which country's number it is";
    pub(crate) const OTHER_KIND_OF_ID: &str = "it is no national identity number";
}

/// A request id that stays the same when the message is sent again: digest of what names the message. No value about a
/// person may be among the parts: a plain digest protects nobody.
pub(crate) fn request_id<'a>(standard: &'a str, parts: impl Iterator<Item = &'a str>) -> RequestId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"sparr edge v1");
    for part in std::iter::once(standard).chain(parts) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    RequestId(id)
}

/// The sender's id of a payment as `payment_id`: itself where it fits and cannot be taken for a card number, otherwise 32
/// letters from its digest. The same id always gives the same one.
pub(crate) fn payment_id(text: &str) -> String {
    if text.len() <= PAYMENT_ID_BYTES_MAX && !looks_like_card_number(text) {
        return text.to_owned();
    }
    let digest = request_id("payment", std::iter::once(text));
    digest.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| char::from(b'a' + half)).collect()
}

/// Looks at a request as an engine will, so that what is handed out is taken. Which field is at fault is told.
pub(crate) fn checked(request: AuthorisationRequest, place: Place) -> Result<AuthorisationRequest, Refused> {
    let mut bytes = Vec::new();
    let said = |refusal, field: &str, expected: &str| Refused::new(refusal, place, field, expected);
    if request.encode(&mut bytes).is_err() {
        return Err(said(Refusal::TooLarge, "", "its texts are longer than a request carries"));
    }
    let malformed = match Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) {
        Next::Frame { frame, .. } => {
            frame.open().map_or(Some(None), |(_, message)| RequestView::parse(message).err().map(Some))
        }
        Next::Incomplete(_) | Next::TooLarge { .. } => Some(None),
    };
    match malformed {
        None => Ok(request),
        Some(Some(RequestError::Field { field, fault: sparr_protocol::view::FieldFault::CardNumber })) => {
            Err(said(Refusal::CardNumber, field.name(), "it looks like a card number"))
        }
        Some(Some(RequestError::Field { field, .. })) => {
            Err(said(Refusal::Value, field.name(), "the field cannot carry it"))
        }
        Some(Some(_) | None) => Err(said(Refusal::Value, "", "no request can carry it")),
    }
}

/// Whether a text names a Swedish person or organisation.
pub(crate) fn is_swedish(text: &str, now: Timestamp) -> bool {
    Subject::parse_swedish(text, now.date()).is_ok()
}
