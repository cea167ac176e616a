//! Indicators as facts: each of a request's values is looked up once, when the first rule asks.

use super::Stores;
use crate::indicators::{Evidence, IndicatorSet};
use crate::request::{About, Keyring, Request};
use sparr_protocol::ids::MemberName;
use sparr_protocol::indicator::{ClassName, Grade, IndicatorKind};
use sparr_protocol::time::Timestamp;
use std::cell::OnceCell;

/// Which of a request's values is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Slot {
    /// The payer.
    Subject,
    /// The payee as a person or organisation.
    PayeeSubject,
    /// The payer's account.
    Account,
    /// The payee's account.
    Payee,
    /// The e-mail address.
    Email,
    /// The e-mail address's domain.
    EmailDomain,
    /// The phone number.
    Phone,
    /// The address, and the networks around it.
    Ip,
    /// The web shop's domain.
    Domain,
    /// The member's own device id.
    Device,
    /// The member's own card token.
    Card,
    /// The payment account reference.
    Par,
    /// The digest of the card's number.
    PanDigest,
    /// The merchant's organisationsnummer.
    MerchantOrg,
}

impl Slot {
    /// Every slot, with its name in rules.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Subject, "subject"),
        (Self::PayeeSubject, "payee_subject"),
        (Self::Account, "account"),
        (Self::Payee, "payee"),
        (Self::Email, "email"),
        (Self::EmailDomain, "email_domain"),
        (Self::Phone, "phone"),
        (Self::Ip, "ip"),
        (Self::Domain, "domain"),
        (Self::Device, "device"),
        (Self::Card, "card"),
        (Self::Par, "par"),
        (Self::PanDigest, "pan_digest"),
        (Self::MerchantOrg, "merchant_org"),
    ];

    /// The name in rules.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The slot of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(slot, _)| *slot)
    }

    /// Which value it is.
    const fn about(self) -> About {
        match self {
            Self::Subject => About::Subject,
            Self::PayeeSubject => About::PayeeSubject,
            Self::Account => About::Account,
            Self::Payee => About::Payee,
            Self::Email => About::Email,
            Self::EmailDomain => About::EmailDomain,
            Self::Phone => About::Phone,
            Self::Ip => About::Ip,
            Self::Domain => About::Domain,
            Self::Device => About::Device,
            Self::Card => About::Card,
            Self::Par => About::Par,
            Self::PanDigest => About::PanDigest,
            Self::MerchantOrg => About::MerchantOrg,
        }
    }

    /// What kind of indicator it is met by.
    pub const fn kind(self) -> IndicatorKind {
        match self {
            Self::Subject | Self::PayeeSubject => IndicatorKind::Subject,
            Self::Account | Self::Payee => IndicatorKind::Account,
            Self::Email => IndicatorKind::Email,
            Self::EmailDomain | Self::Domain => IndicatorKind::Domain,
            Self::Phone => IndicatorKind::Phone,
            Self::Ip => IndicatorKind::Ip,
            Self::Device => IndicatorKind::Device,
            Self::Card => IndicatorKind::Card,
            Self::Par => IndicatorKind::Par,
            Self::PanDigest => IndicatorKind::PanDigest,
            Self::MerchantOrg => IndicatorKind::MerchantOrg,
        }
    }

    /// Whether it is about a person or organisation: somebody who may be anybody's victim as well.
    pub const fn is_subject(self) -> bool {
        match self {
            Self::Subject | Self::PayeeSubject => true,
            Self::Account
            | Self::Payee
            | Self::Email
            | Self::EmailDomain
            | Self::Phone
            | Self::Ip
            | Self::Domain
            | Self::Device
            | Self::Card
            | Self::Par
            | Self::PanDigest
            | Self::MerchantOrg => false,
        }
    }
}

/// A value that the request carries and of which nothing is known.
fn nothing() -> Evidence {
    Evidence {
        hit: false,
        contested: false,
        grade: Grade::Observed,
        class: ClassName::NONE,
        role: None,
        attested: None,
        sources: 0,
    }
}

/// What was found, and where to look.
pub(super) struct Looked<'a> {
    found: [OnceCell<Option<Evidence>>; Slot::ALL.len()],
    store: Option<(&'a IndicatorSet, MemberName, Timestamp)>,
}

impl<'a> Looked<'a> {
    /// Nothing was looked up yet; it will be as of `now`.
    pub(super) fn at(stores: &'a Stores, now: Timestamp) -> Self {
        Self { found: Default::default(), store: Some((&stores.indicators, stores.member, now)) }
    }

    /// What an example states; everything else that the request carries is unknown to everybody.
    pub(super) fn stated(evidence: &[(Slot, Evidence)]) -> Self {
        let found: [OnceCell<Option<Evidence>>; Slot::ALL.len()] = Default::default();
        for (slot, evidence) in evidence {
            // The first statement stands.
            let _ = found[*slot as usize].set(Some(*evidence));
        }
        Self { found, store: None }
    }

    pub(super) fn of(&self, slot: Slot, request: &Request<'_>, keyring: &Keyring) -> Option<&Evidence> {
        self.found[slot as usize].get_or_init(|| self.look(slot, request, keyring)).as_ref()
    }

    fn look(&self, slot: Slot, request: &Request<'_>, keyring: &Keyring) -> Option<Evidence> {
        if !carries(slot, request) {
            return None;
        }
        let Some((store, member, now)) = self.store else { return Some(nothing()) };
        let known = store.knows_any(slot.kind()).then(|| request.about(slot.about(), keyring)).flatten();
        let known = known.and_then(|values| {
            let pseudonyms = values.iter().map(|(_, pseudonym)| pseudonym);
            store.look(pseudonyms, member, now)
        });
        let around = match slot {
            Slot::Ip if known.is_none() && store.knows_any(IndicatorKind::Cidr) => {
                request.view().ip().and_then(|ip| store.look_around(ip, member, now))
            }
            _ => None,
        };
        Some(known.or(around).unwrap_or_else(nothing))
    }
}

/// Whether the request carries the value at all.
fn carries(slot: Slot, request: &Request<'_>) -> bool {
    let view = request.view();
    match slot {
        Slot::Subject => request.subject().is_some(),
        Slot::PayeeSubject => request.payee_subject().is_some(),
        Slot::Account => view.payer_account().is_some(),
        Slot::Payee => view.payee_account().is_some(),
        Slot::Email | Slot::EmailDomain => request.email().is_some(),
        Slot::Phone => view.phone().is_some(),
        Slot::Ip => view.ip().is_some(),
        Slot::Domain => request.domain().is_some(),
        Slot::Device => view.device_id().is_some(),
        Slot::Card => view.card_token().is_some(),
        Slot::Par => view.par().is_some(),
        Slot::PanDigest => view.pan_digest().is_some(),
        Slot::MerchantOrg => request.merchant_org().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_stands_at_its_own_place() {
        for (at, (slot, name)) in Slot::ALL.iter().enumerate() {
            assert_eq!((*slot as usize, slot.name(), Slot::parse(name)), (at, *name, Some(*slot)));
        }
    }
}
