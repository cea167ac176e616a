//! A request that names who it is about: checked bytes, and identities turned into pseudonyms.
//!
//! After this file no digit of a personal number is in reach of any later stage.

mod about;
mod key;
mod known;
mod noted;
mod prefix;
mod value;

pub use prefix::{Prefix, PrefixError};
pub use value::{IndicatorValue, ValueError};

pub use about::About;
pub use key::{KeyId, Keyring, LivePseudonyms, NetworkKey, ValueKind};
pub use known::{Known, rewritten};
pub use noted::Noted;

use crate::pack::Pack;
use sparr_protocol::codes::SubjectKind;
use sparr_protocol::contact::{self, Canonical};
use sparr_protocol::field::Field;
use sparr_protocol::identity::{IdentityError, Subject};
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::response::{NotScreened, Why};
use sparr_protocol::time::{Date, Timestamp};
use sparr_protocol::view::{FieldFault, RequestError, RequestView};

/// A key by which events are counted and looked up, as rules name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeyName {
    /// The payer.
    Subject,
    /// The card: the member's token, else the card number's digest, else the payment account reference.
    Card,
    /// The payer's device.
    Device,
    /// The IP address.
    Ip,
    /// The e-mail address.
    Email,
    /// The phone number.
    Phone,
    /// The payer's account.
    Account,
    /// The payee's account.
    Payee,
    /// The merchant: the member's id, else its organisationsnummer.
    Merchant,
    /// The terminal.
    Terminal,
    /// The web shop's domain.
    Domain,
}

impl KeyName {
    /// Every key.
    pub const ALL: [Self; 11] = [
        Self::Subject,
        Self::Card,
        Self::Device,
        Self::Ip,
        Self::Email,
        Self::Phone,
        Self::Account,
        Self::Payee,
        Self::Merchant,
        Self::Terminal,
        Self::Domain,
    ];

    /// The name in rules.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Card => "card",
            Self::Device => "device",
            Self::Ip => "ip",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Account => "account",
            Self::Payee => "payee",
            Self::Merchant => "merchant",
            Self::Terminal => "terminal",
            Self::Domain => "domain",
        }
    }

    /// The key of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }
}

impl Pack for KeyName {
    fn pack(&self, out: &mut Vec<u8>) {
        (*self as u8).pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Self::ALL.get(usize::from(u8::unpack(from)?)).copied()
    }
}

/// A validated request.
pub struct Request<'a> {
    view: RequestView<'a>,
    subject: Option<LivePseudonyms>,
    payee_subject: Option<LivePseudonyms>,
    merchant_org: Option<LivePseudonyms>,
    age_years: Option<u8>,
    event_time: Timestamp,
    email: Option<Canonical>,
    domain: Option<Canonical>,
    /// The pseudonyms of a recorded request, whose values are gone.
    known: Option<&'a Known>,
    /// Keys that were made already, where somebody had the time.
    made: Option<Box<KeysMade>>,
}

/// Pseudonyms by place in [`KeyName::ALL`]: not made yet, absent, or there.
pub type KeysMade = [Option<Option<Pseudonym>>; KeyName::ALL.len()];

impl<'a> Request<'a> {
    /// Reads a message; `today` decides the century of 10-digit numbers and the payer's age, and `received` is when
    /// it happened where it does not say.
    pub fn parse(
        message: &'a [u8],
        keyring: &Keyring,
        today: Date,
        received: Timestamp,
    ) -> Result<Self, NotScreened> {
        let view = RequestView::parse(message).map_err(refusal)?;
        let malformed = |field: Field| move |_: IdentityError| identity_malformed(field);

        let kind = view.subject_kind().unwrap_or(SubjectKind::SePerson);
        let subject = view
            .subject()
            .map(|text| Subject::parse(text, kind, view.subject_country(), today))
            .transpose()
            .map_err(malformed(Field::Subject))?;
        let payee_subject = view
            .payee_subject()
            .map(|text| Subject::parse_swedish(text, today))
            .transpose()
            .map_err(malformed(Field::PayeeSubject))?;
        let merchant_org = view
            .merchant_org()
            .map(|text| Subject::parse(text, SubjectKind::SeOrganisation, None, today))
            .transpose()
            .map_err(malformed(Field::MerchantOrg))?;

        let live = |subject: &Subject| keyring.live(ValueKind::Subject, subject.canonical());
        Ok(Self {
            view,
            subject: subject.as_ref().map(live),
            payee_subject: payee_subject.as_ref().map(live),
            merchant_org: merchant_org.map(|org| keyring.live(ValueKind::MerchantOrg, org.canonical())),
            event_time: view.event_time().unwrap_or(received),
            age_years: subject.and_then(|subject| subject.age_years(today)),
            email: view.email().and_then(contact::email),
            domain: view.domain().and_then(contact::domain),
            known: None,
            made: None,
        })
    }

    /// The checked fields.
    pub fn view(&self) -> &RequestView<'a> {
        &self.view
    }

    /// The payer, under each live network key.
    pub fn subject(&self) -> Option<LivePseudonyms> {
        self.subject
    }

    /// The payee as a person or organisation, under each live network key.
    pub fn payee_subject(&self) -> Option<LivePseudonyms> {
        self.payee_subject
    }

    /// The payer's age in whole years, where the subject is a person with a Swedish number.
    pub fn age_years(&self) -> Option<u8> {
        self.age_years
    }

    /// When it happened.
    pub fn event_time(&self) -> Timestamp {
        self.event_time
    }

    /// The merchant's organisationsnummer, under each live network key.
    pub fn merchant_org(&self) -> Option<LivePseudonyms> {
        self.merchant_org
    }

    /// The merchant as a pass may name it: the member's own id, and the organisationsnummer.
    pub fn pass_payment(&self, keyring: &Keyring) -> (Option<Pseudonym>, Option<Pseudonym>) {
        let id = self.view.merchant_id().map(|id| keyring.current(ValueKind::MerchantId, id.as_bytes()));
        (id, self.merchant_org.map(|live| live.current.1))
    }

    /// The e-mail address, lower case.
    pub(crate) fn email(&self) -> Option<&str> {
        self.email.as_ref().map(Canonical::as_str)
    }

    /// Domain of the web shop, lower case.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_ref().map(Canonical::as_str)
    }

    /// Domain of the e-mail address, lower case.
    pub fn email_domain(&self) -> Option<&str> {
        self.email.as_ref().and_then(|email| contact::email_domain(email.as_str()))
    }

    /// The pseudonym of one of the request's keys, if the request carries it.
    pub fn key(&self, name: KeyName, keyring: &Keyring) -> Option<Pseudonym> {
        if let Some(key) = self.made(name) {
            return key;
        }
        let of = |kind: ValueKind, text: &str| keyring.current(kind, text.as_bytes());
        let view = &self.view;
        // Of a recorded request the values are gone.
        let known = |about: About| self.known.and_then(|known| known.get(about)).map(|live| live.current.1);
        let text = |about: About, kind: ValueKind, text: Option<&str>| match self.known {
            Some(_) => known(about),
            None => text.map(|text| of(kind, text)),
        };
        match name {
            KeyName::Subject => self.subject.map(|live| live.current.1),
            KeyName::Card => text(About::Card, ValueKind::CardToken, view.card_token())
                .or_else(|| view.pan_digest().map(|digest| keyring.current(ValueKind::PanDigest, &digest.0)))
                .or_else(|| text(About::Par, ValueKind::Par, view.par())),
            KeyName::Device => view.device_id().map(|id| of(ValueKind::Device, id)),
            KeyName::Ip => view.ip().map(|ip| keyring.current(ValueKind::Ip, &address_bytes(ip))),
            KeyName::Email => text(About::Email, ValueKind::Email, self.email()),
            KeyName::Phone => text(About::Phone, ValueKind::Phone, view.phone()),
            KeyName::Account => text(About::Account, ValueKind::Account, view.payer_account()),
            KeyName::Payee => text(About::Payee, ValueKind::Account, view.payee_account()),
            KeyName::Merchant => {
                let organisation = self.merchant_org.map(|live| live.current.1);
                view.merchant_id().map(|id| of(ValueKind::MerchantId, id)).or(organisation)
            }
            KeyName::Terminal => view.terminal_id().map(|id| of(ValueKind::Terminal, id)),
            KeyName::Domain => self.domain().map(|domain| of(ValueKind::Domain, domain)),
        }
    }
}

/// An address as it is hashed: 16 bytes, IPv4 mapped.
pub fn address_bytes(address: core::net::IpAddr) -> [u8; 16] {
    match address {
        core::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        core::net::IpAddr::V6(v6) => v6.octets(),
    }
}

fn identity_malformed(field: Field) -> NotScreened {
    NotScreened { field: Some(field), ..Why::IdentityMalformed.into() }
}

/// Which refusal a malformed request gets.
fn refusal(error: RequestError) -> NotScreened {
    match error {
        RequestError::Truncated(_) | RequestError::TrailingBytes(_) => Why::FrameMalformed.into(),
        RequestError::Field { field, fault } => {
            let why = match fault {
                FieldFault::CardNumber => Why::CardNumberRefused,
                FieldFault::UnknownValue | FieldFault::NotZero | FieldFault::Text | FieldFault::Form => {
                    Why::FieldMalformed
                }
            };
            NotScreened { field: Some(field), ..why.into() }
        }
    }
}
