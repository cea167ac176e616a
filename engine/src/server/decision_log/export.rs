//! A logged request as a backtest reads it: values of people and devices are their pseudonyms, so that the same person, card or
//! device is the same in every row, and nobody's number is in the file.
//!
//! A subject is written as a foreign one (letters and digits), because no pseudonym is a Swedish number; rules that read the
//! age or the kind of a subject see that. Addresses of the internet have no pseudonym that is one, and are left out.

use crate::decisions::Logged;
use crate::request::{About, Keyring, ValueKind};
use serde_json::{Map, Value};
use sparr_protocol::field::Field;
use sparr_protocol::ids::Pseudonym;

/// The country that stands for none.
const NOWHERE: &str = "AQ";

/// The request as one object.
pub(super) fn request(logged: &Logged, keyring: &Keyring) -> Value {
    let Some(kept) = &logged.request else { return Value::Null };
    let (request, known) = (kept.request(), kept.known());
    let view = request.view();
    let mut object = Map::new();
    let mut put = |field: Field, text: String| object.insert(field.name().to_owned(), text.into());
    put(Field::RequestId, view.request_id().to_string());
    put(Field::Kind, view.kind().name().to_owned());
    put(Field::Stage, view.stage().name().to_owned());
    put(Field::EventTime, request.event_time().to_string());
    let kept_apart = [Field::Ip, Field::SubjectKind, Field::SubjectCountry];
    for (field, text) in view.scalars_as_text() {
        if !kept_apart.contains(&field) {
            put(field, text);
        }
    }
    for (field, text) in [
        (Field::MerchantId, view.merchant_id()),
        (Field::TerminalId, view.terminal_id()),
        (Field::Domain, view.domain()),
    ] {
        if let Some(text) = text {
            put(field, text.to_owned());
        }
    }
    for (field, id) in
        [(Field::PaymentId, view.payment_id()), (Field::OriginalPaymentId, view.original_payment_id())]
    {
        if let Some(id) = id {
            put(field, letters(keyring.current(ValueKind::Payment, id.as_bytes())));
        }
    }
    let hex = |about: About| known.get(about).map(|live| letters(live.current.1));
    if let Some(subject) = hex(About::Subject) {
        put(Field::Subject, subject);
        put(Field::SubjectKind, "foreign".to_owned());
        put(Field::SubjectCountry, NOWHERE.to_owned());
    }
    if let Some(email) = hex(About::Email) {
        let domain = request.email_domain().unwrap_or("x.example");
        put(Field::Email, format!("{email}@{domain}"));
    }
    for (field, about) in [(Field::CardToken, About::Card), (Field::DeviceId, About::Device)] {
        if let Some(value) = hex(about) {
            put(field, value);
        }
    }
    for (field, about) in [(Field::PayerAccount, About::Account), (Field::PayeeAccount, About::Payee)] {
        if let Some(live) = known.get(about) {
            put(field, format!("bban:{}", digits(live.current.1)));
        }
    }
    object.into()
}

/// A pseudonym in letters alone: digits might be taken for a card's number.
fn letters(pseudonym: Pseudonym) -> String {
    let halves = pseudonym.0.into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(|half| char::from(b'a' + half)).collect()
}

/// Twelve digits of a pseudonym: an account has digits alone, and a card's number has more. One in a million pairs of a
/// million accounts would be one.
fn digits(pseudonym: Pseudonym) -> String {
    let [a, b, c, d, e, f, g, h, ..] = pseudonym.0;
    format!("{:012}", u64::from_le_bytes([a, b, c, d, e, f, g, h]) % 1_000_000_000_000)
}
