//! What a request is about, in pseudonyms: what is kept of a request when its personal values go.

use super::{About, KeyName, Keyring, LivePseudonyms, Request, ValueKind, address_bytes};
use sparr_protocol::contact;
use sparr_protocol::field::Field;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::time::Timestamp;
use sparr_protocol::view::RequestView;

/// The pseudonyms of a request's values, and what else was worked out of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    values: Box<[(About, LivePseudonyms)]>,
    age_years: Option<u8>,
    event_time: Timestamp,
}

impl Known {
    /// What is known of a request.
    pub fn of(request: &Request<'_>, keyring: &Keyring) -> Self {
        let values =
            About::ALL.into_iter().filter_map(|(about, _)| Some((about, request.about(about, keyring)?)));
        Self { values: values.collect(), age_years: request.age_years(), event_time: request.event_time() }
    }

    /// One of the values.
    pub fn get(&self, about: About) -> Option<LivePseudonyms> {
        self.values.iter().find(|(known, _)| *known == about).map(|(_, live)| *live)
    }

    /// All of the values.
    pub fn all(&self) -> impl Iterator<Item = (About, LivePseudonyms)> {
        self.values.iter().copied()
    }

    /// When the request happened.
    pub fn event_time(&self) -> Timestamp {
        self.event_time
    }

    /// Its parts, as they are kept on a disk.
    pub(crate) fn with_parts<R>(
        &self,
        look: impl FnOnce(&[(About, LivePseudonyms)], Option<u8>, Timestamp) -> R,
    ) -> R {
        look(&self.values, self.age_years, self.event_time)
    }

    /// From its parts.
    pub(crate) fn from_parts(
        values: Vec<(About, LivePseudonyms)>,
        age_years: Option<u8>,
        event_time: Timestamp,
    ) -> Self {
        Self { values: values.into(), age_years, event_time }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.values)
    }
}

/// A message without the values that only a person or a member should know. What rules read of them stays: that they are
/// there, and the domain of an e-mail address. A device's id, an address and ids of merchants, terminals and payments stay:
/// rules read them.
pub fn rewritten(view: &RequestView<'_>) -> Vec<u8> {
    let hidden = || Some("x".to_owned());
    view.rewritten(|field, text| match field {
        Field::Subject
        | Field::PayeeSubject
        | Field::MerchantOrg
        | Field::PayerAccount
        | Field::PayeeAccount
        | Field::CardToken
        | Field::Par
        | Field::Phone
        | Field::DeliveryKey => hidden(),
        Field::Email => {
            let domain = contact::email_domain(text).map(|domain| format!("x@{domain}"));
            domain.or_else(hidden)
        }
        _ => None,
    })
}

impl<'a> Request<'a> {
    /// A request that was checked before, of which only pseudonyms are known.
    ///
    /// `None` where `message` is none that [`rewritten`] made.
    pub fn known(message: &'a [u8], known: &'a Known) -> Option<Self> {
        let view = RequestView::parse_rewritten(message).ok()?;
        Some(Self {
            view,
            subject: known.get(About::Subject),
            payee_subject: known.get(About::PayeeSubject),
            merchant_org: known.get(About::MerchantOrg),
            event_time: known.event_time,
            age_years: known.age_years,
            email: view.email().and_then(contact::email),
            domain: view.domain().and_then(contact::domain),
            known: Some(known),
            made: None,
        })
    }

    /// The pseudonym of its payment's id, if it carries one.
    pub fn payment(&self, keyring: &Keyring) -> Option<Pseudonym> {
        self.view.payment_id().map(|id| keyring.current(ValueKind::Payment, id.as_bytes()))
    }

    /// The pseudonyms of one of the request's values, if it carries it.
    pub fn about(&self, about: About, keyring: &Keyring) -> Option<LivePseudonyms> {
        if let Some(known) = self.known {
            return known.get(about);
        }
        let view = &self.view;
        let live = |kind: ValueKind, text: &str| keyring.live(kind, text.as_bytes());
        let made = |name: KeyName, kind: ValueKind, bytes: &[u8]| {
            self.made_live(name, keyring).unwrap_or_else(|| keyring.live(kind, bytes))
        };
        let keyed = |name: KeyName, kind: ValueKind, text: &str| made(name, kind, text.as_bytes());
        match about {
            About::Subject => self.subject,
            About::PayeeSubject => self.payee_subject,
            About::Account => {
                view.payer_account().map(|account| keyed(KeyName::Account, ValueKind::Account, account))
            }
            About::Payee => {
                view.payee_account().map(|account| keyed(KeyName::Payee, ValueKind::Account, account))
            }
            About::Email => self.email().map(|email| keyed(KeyName::Email, ValueKind::Email, email)),
            About::EmailDomain => self.email_domain().map(|domain| live(ValueKind::Domain, domain)),
            About::Phone => view.phone().map(|phone| keyed(KeyName::Phone, ValueKind::Phone, phone)),
            About::Ip => view.ip().map(|ip| made(KeyName::Ip, ValueKind::Ip, &address_bytes(ip))),
            About::Domain => self.domain().map(|domain| keyed(KeyName::Domain, ValueKind::Domain, domain)),
            About::Device => view.device_id().map(|id| keyed(KeyName::Device, ValueKind::Device, id)),
            About::Card => view.card_token().map(|token| keyed(KeyName::Card, ValueKind::CardToken, token)),
            About::Par => view.par().map(|par| live(ValueKind::Par, par)),
            About::PanDigest => view.pan_digest().map(|digest| keyring.live(ValueKind::PanDigest, &digest.0)),
            About::MerchantOrg => self.merchant_org,
        }
    }
}
