//! A card's message as an authorisation request.

use super::message::{self, Message, Mti};
use super::tables::Tables;
use crate::edge::{
    EventTime, Item, Left, Mapped, Place, Refusal, Refused, Used, checked, payment_id, request_id, why,
};
use sparr_protocol::card::CardBin;
use sparr_protocol::codes::Kind;
use sparr_protocol::money::Currency;
use sparr_protocol::place::{Country, Mcc};
use sparr_protocol::request::{AuthorisationRequest, PanDigest};
use sparr_protocol::time::Timestamp;
use zeroize::Zeroizing;

/// The key under which a card zone makes `pan_digest`: the same at every member that shares indicators of cards, and
/// nowhere but in card zones.
pub struct CardKey(Zeroizing<[u8; 32]>);

impl CardKey {
    /// Takes over a key.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// First 16 bytes of keyed BLAKE3 over `sparr pan v1` and the digits. `WIRE.md` has it, for card zones in other
    /// languages.
    pub fn digest(&self, digits: &str) -> PanDigest {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"sparr pan v1");
        hasher.update(digits.as_bytes());
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        PanDigest(digest)
    }
}

/// The payments of a file.
pub fn items(file: &[u8], tables: &Tables, key: Option<&CardKey>, time: EventTime) -> Vec<Item> {
    let raws = message::messages(file, tables.layout.framing);
    raws.into_iter()
        .map(|raw| {
            let at = Place::Byte(raw.at);
            match raw.bytes {
                Err(refused) => Item { message: String::new(), place: at, mapped: Err(refused) },
                Ok(bytes) => {
                    let mti = message::mti(bytes, raw.at, &tables.layout);
                    let name = mti.as_ref().map_or_else(|_| String::new(), |mti| mti.text());
                    // What is no question is told apart before it is read: its elements matter to nobody here.
                    let mapped = mti
                        .and_then(|mti| asks(mti, at))
                        .and_then(|()| message::read(bytes, raw.at, &tables.layout))
                        .and_then(|message| Mapping::new(&message, tables, key, time).map());
                    Item { message: name, place: at, mapped }
                }
            }
        })
        .collect()
}

/// Whether a type of message asks for something that can be screened.
fn asks(mti: Mti, at: Place) -> Result<(), Refused> {
    let [_, class, function, origin] = mti.0;
    let refusal = match (class, function) {
        _ if origin > b'5' => Refusal::NotIso8583,
        (b'1' | b'2', b'0') | (b'4', b'0' | b'2') => return Ok(()),
        (b'1'..=b'8', b'1' | b'3') => Refusal::Response,
        (b'1' | b'2', b'2') => Refusal::Advice,
        (b'8', b'0' | b'2') => Refusal::NetworkManagement,
        (b'3' | b'5' | b'6' | b'7', _) | (_, b'4'..=b'9') => Refusal::Unsupported,
        _ => Refusal::NotIso8583,
    };
    Err(Refused::new(refusal, at, "", ""))
}

/// Elements that are not read even where nothing else is left to say: card numbers beside element 2, tracks, PINs, chip
/// data, authentication codes.
const SECRETS: [usize; 8] = [34, 35, 36, 45, 52, 55, 64, 128];

struct Mapping<'m> {
    message: &'m Message,
    tables: &'m Tables,
    key: Option<&'m CardKey>,
    time: EventTime,
    request: AuthorisationRequest,
    used: Vec<(usize, &'static str)>,
    left: Vec<(usize, &'static str)>,
}

impl<'m> Mapping<'m> {
    fn new(message: &'m Message, tables: &'m Tables, key: Option<&'m CardKey>, time: EventTime) -> Self {
        let id = message.mti.first_time().text();
        // What element 90 of a reversal names its original by (STAN, transmission, acquirer, forwarder), and where it was: two
        // terminals may count alike.
        let parts = [11, 7, 32, 33, 41, 42].map(|number| message.get(number).unwrap_or_default());
        let id = request_id("iso8583", std::iter::once(id.as_str()).chain(parts));
        let mut request = AuthorisationRequest::new(id, Kind::CardPayment, Timestamp::from_ms(0));
        request.event_time = None;
        Self { message, tables, key, time, request, used: Vec::new(), left: Vec::new() }
    }

    fn map(mut self) -> Result<Mapped, Refused> {
        self.kind()?;
        self.ids()?;
        self.money()?;
        self.card()?;
        self.place_and_merchant();
        self.event_time();
        self.accounts();
        let Self { message, request, mut used, mut left, .. } = self;
        used.sort_by_key(|(number, _)| *number);
        for element in &message.elements {
            let number = element.number;
            let known = used.iter().chain(&left).any(|(known, _)| *known == number);
            let empty = element.value.expose().trim().is_empty();
            match () {
                () if known => {}
                () if empty => left.push((number, why::EMPTY)),
                () if SECRETS.contains(&number) => left.push((number, why::SECRET)),
                () => left.push((number, why::NO_FIELD)),
            }
        }
        left.sort_by_key(|(number, _)| *number);
        let echo = [(11, "stan"), (7, "transmission"), (37, "retrieval_reference")];
        let echo =
            echo.into_iter().filter_map(|(number, name)| Some((name, message.get(number)?.to_owned())));
        Ok(Mapped {
            request: checked(request, Place::Byte(message.at))?,
            used: used
                .into_iter()
                .map(|(number, field)| Used { element: number.to_string(), field })
                .collect(),
            left: left.into_iter().map(|(number, why)| Left { element: number.to_string(), why }).collect(),
            echo: std::iter::once(("mti", message.mti.answer().text())).chain(echo).collect(),
        })
    }

    fn refuse(&self, refusal: Refusal, number: usize, expected: &str) -> Refused {
        Refused::new(refusal, self.message.place(number), number.to_string(), expected)
    }

    /// Takes an element into a field, or says that it is not in the field's form.
    fn take<T>(
        &mut self,
        number: usize,
        field: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.message.get(number)?;
        let parsed = parse(value.trim());
        match parsed {
            Some(_) => self.used.push((number, field)),
            None => self.left.push((number, why::NOT_IN_FORM)),
        }
        parsed
    }

    /// Takes a code that a table translates.
    fn translated<T: Copy>(
        &mut self,
        number: usize,
        field: &'static str,
        table: &[(String, T)],
    ) -> Option<T> {
        let code = self.message.get(number)?.get(..2)?;
        let found = table.iter().find(|(known, _)| known == code).map(|(_, value)| *value);
        match found {
            Some(_) => self.used.push((number, field)),
            None => self.left.push((number, why::NOT_IN_TABLE)),
        }
        found
    }

    fn kind(&mut self) -> Result<(), Refused> {
        if self.message.mti.0[1] == b'4' {
            self.request.kind = Kind::Reversal;
            self.left.extend(self.message.get(3).map(|_| (3, "a reversal is a kind of its own")));
            return Ok(());
        }
        if self.message.get(3).is_none() {
            return Err(self.refuse(Refusal::Missing, 3, "the processing code says what is asked"));
        }
        match self.translated(3, "kind", &self.tables.kinds) {
            Some(kind) => self.request.kind = kind,
            None => return Err(self.refuse(Refusal::NoKind, 3, "its first two digits are not under [kind]")),
        }
        Ok(())
    }

    /// Ids of the request and the payment. A message that names itself by nothing could not be told from the next one.
    fn ids(&mut self) -> Result<(), Refused> {
        for number in [11, 7] {
            if self.message.get(number).is_none() {
                return Err(self.refuse(Refusal::Missing, number, "it tells this message from the next one"));
            }
        }
        let stan = self.take(11, "request_id", |stan| Some(stan.to_owned()));
        let (stan, sent) = (stan.unwrap_or_default(), self.message.get(7).unwrap_or_default().to_owned());
        for number in [7, 32, 33] {
            self.take(number, "request_id", |_| Some(()));
        }
        let reference = self.take(37, "payment_id", |text| Some(payment_id(text)));
        self.request.payment_id =
            Some(reference.clone().unwrap_or_else(|| payment_id(&format!("{stan}.{sent}"))));
        if self.request.kind == Kind::Reversal {
            // MTI 4, STAN 6, transmission 10, acquirer 11, forwarder 11.
            let original = self.message.get(90).and_then(|original| {
                Some(payment_id(&format!("{}.{}", original.get(4..10)?, original.get(10..20)?)))
            });
            let by_reference = reference.is_some();
            self.request.original_payment_id = reference.or(original);
            if self.request.original_payment_id.is_some() && !by_reference {
                self.used.push((90, "original_payment_id"));
            }
        }
        Ok(())
    }

    fn money(&mut self) -> Result<(), Refused> {
        let Some(amount) = self.message.get(4) else {
            self.left.extend(self.message.get(49).map(|_| (49, why::NO_AMOUNT)));
            return Ok(());
        };
        let Some(code) = self.message.get(49) else {
            self.left.push((4, why::NO_CURRENCY));
            return Ok(());
        };
        let currency = code.parse().ok().and_then(Currency::from_wire);
        let Some(currency) = currency else {
            return Err(self.refuse(Refusal::Value, 49, "a currency of ISO 4217, by its number"));
        };
        let Ok(minor) = amount.parse::<i64>() else {
            return Err(self.refuse(Refusal::Value, 4, "a whole number of minor units"));
        };
        (self.request.amount_minor, self.request.currency) = (Some(minor), Some(currency));
        self.used.extend([(4, "amount_minor"), (49, "currency")]);
        Ok(())
    }

    /// The number of the card: element 2, or what the second track begins with. Its first digits, and its digest, go on.
    fn card(&mut self) -> Result<(), Refused> {
        let track = || self.message.get(35).and_then(|track| track.split(['=', 'D', 'd']).next());
        let (number, digits) = match (self.message.get(2), track()) {
            (Some(digits), _) => (2, digits),
            (None, Some(digits)) => (35, digits),
            (None, None) => return Ok(()),
        };
        if !(12..=19).contains(&digits.len()) || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
            return Err(self.refuse(Refusal::Value, number, "a card number has 12 to 19 digits"));
        }
        let shown = if digits.len() >= 16 { self.tables.card_bin_digits } else { 6 };
        self.request.card_bin = digits.get(..shown).and_then(CardBin::parse);
        self.used.push((number, "card_bin"));
        if let Some(key) = self.key {
            self.request.pan_digest = Some(key.digest(digits));
            self.used.push((number, "pan_digest"));
        }
        Ok(())
    }

    fn place_and_merchant(&mut self) {
        let country = |text: &str| text.parse().ok().and_then(Country::from_wire);
        self.request.mcc = self.take(18, "mcc", |text| text.parse().ok().and_then(Mcc::from_wire));
        self.request.issuer_country = self.take(20, "issuer_country", country);
        self.request.entry_mode = self.translated(22, "entry_mode", &self.tables.entry_modes);
        self.request.channel = self.translated(25, "channel", &self.tables.channels);
        self.request.terminal_id = self.take(41, "terminal_id", |text| Some(text.to_owned()));
        self.request.merchant_id = self.take(42, "merchant_id", |text| Some(text.to_owned()));
        // Name, town, and in the last two of forty places the country.
        let at = self.message.get(43).and_then(|place| place.get(38..40)).and_then(Country::parse);
        if at.is_some() {
            self.request.merchant_country = at;
            self.used.push((43, "merchant_country"));
        } else {
            self.left.extend(self.message.get(43).map(|_| (43, why::NOT_IN_FORM)));
        }
    }

    fn event_time(&mut self) {
        if let EventTime::Message(now) = self.time {
            self.request.event_time = self.take(7, "event_time", |text| transmission(text, now));
        }
    }

    /// Accounts travel with their scheme: one that is no IBAN says of itself whose it is to nobody.
    fn accounts(&mut self) {
        let iban = |text: &str| {
            let account = format!("iban:{text}");
            sparr_protocol::account::account(&account).map(|_| account.into())
        };
        self.request.payer_account = self.take(102, "payer_account", iban);
        self.request.payee_account = self.take(103, "payee_account", iban);
    }
}

/// How far a sender's clock may be ahead.
const AHEAD_MS: i64 = 86_400_000;

/// Month, day and time of day in UTC, in the last year that does not put it more than a day ahead.
fn transmission(text: &str, now: Timestamp) -> Option<Timestamp> {
    let two = |at: usize| text.get(at..at + 2);
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    let year = i64::from(now.date().year);
    let mut years = (year - 1..=year + 1)
        .rev()
        .filter_map(|year| Timestamp::parse(&format!("{year:04}-{month}-{day}T{hour}:{minute}:{second}Z")));
    years.find(|time| time.ms() - now.ms() <= AHEAD_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_year_is_in_the_last_one_that_fits() {
        let at = |text: &str| Timestamp::parse(text).expect("a time");
        for (written, now, expected) in [
            ("1123132000", "2026-11-23T13:20:05Z", Some("2026-11-23T13:20:00Z")),
            ("1231235959", "2027-01-01T00:00:02Z", Some("2026-12-31T23:59:59Z")),
            ("0101000001", "2026-12-31T23:59:59Z", Some("2027-01-01T00:00:01Z")),
            ("0109080646", "2026-11-23T13:20:05Z", Some("2026-01-09T08:06:46Z")),
            ("0229120000", "2028-03-01T00:00:00Z", Some("2028-02-29T12:00:00Z")),
            ("0231120000", "2028-03-01T00:00:00Z", None),
            ("1123", "2026-11-23T13:20:05Z", None),
        ] {
            assert_eq!(transmission(written, at(now)), expected.map(at), "{written} at {now}");
        }
    }
}
