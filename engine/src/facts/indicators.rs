//! Indicators as facts: each of a request's values is looked up once, when the first rule asks.

use super::Stores;
use crate::indicators::{Evidence, IndicatorSet};
use crate::request::{About, Keyring, Request};
use sparr_protocol::ids::MemberName;
use sparr_protocol::indicator::{ClassName, Grade, IndicatorKind};
use sparr_protocol::time::Timestamp;
use std::cell::OnceCell;

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
        strongest: None,
    }
}

/// What was found, and where to look.
pub(super) struct Looked<'a> {
    found: [OnceCell<Option<Evidence>>; About::ALL.len()],
    store: Option<(&'a IndicatorSet, MemberName, Timestamp)>,
}

impl<'a> Looked<'a> {
    /// Nothing was looked up yet; it will be as of `now`.
    pub(super) fn at(stores: &'a Stores, now: Timestamp) -> Self {
        Self { found: Default::default(), store: Some((&stores.indicators, stores.member, now)) }
    }

    /// What an example states; everything else that the request carries is unknown to everybody.
    pub(super) fn stated(evidence: &[(About, Evidence)]) -> Self {
        let found: [OnceCell<Option<Evidence>>; About::ALL.len()] = Default::default();
        for (about, evidence) in evidence {
            // The first statement stands.
            let _ = found[*about as usize].set(Some(*evidence));
        }
        Self { found, store: None }
    }

    pub(super) fn of(&self, about: About, request: &Request<'_>, keyring: &Keyring) -> Option<&Evidence> {
        self.found[about as usize].get_or_init(|| self.look(about, request, keyring)).as_ref()
    }

    /// What was found so far: nothing is looked up for this.
    pub(super) fn found(&self) -> impl Iterator<Item = (About, &Evidence)> {
        let found = About::ALL.iter().zip(&self.found);
        found.filter_map(|((about, _), found)| Some((*about, found.get()?.as_ref()?)))
    }

    fn look(&self, about: About, request: &Request<'_>, keyring: &Keyring) -> Option<Evidence> {
        if !carries(about, request) {
            return None;
        }
        let Some((store, member, now)) = self.store else { return Some(nothing()) };
        let known = store.knows_any(about.kind()).then(|| request.about(about, keyring)).flatten();
        let known = known.and_then(|values| {
            let pseudonyms = values.iter().map(|(_, pseudonym)| pseudonym);
            store.look(pseudonyms, member, now)
        });
        let around = match about {
            About::Ip if known.is_none() && store.knows_any(IndicatorKind::Cidr) => {
                request.view().ip().and_then(|ip| store.look_around(ip, member, now))
            }
            _ => None,
        };
        Some(known.or(around).unwrap_or_else(nothing))
    }
}

/// Whether the request carries the value at all.
fn carries(about: About, request: &Request<'_>) -> bool {
    let view = request.view();
    match about {
        About::Subject => request.subject().is_some(),
        About::PayeeSubject => request.payee_subject().is_some(),
        About::Account => view.payer_account().is_some(),
        About::Payee => view.payee_account().is_some(),
        About::Email | About::EmailDomain => request.email().is_some(),
        About::Phone => view.phone().is_some(),
        About::Ip => view.ip().is_some(),
        About::Domain => request.domain().is_some(),
        About::Device => view.device_id().is_some(),
        About::Card => view.card_token().is_some(),
        About::Par => view.par().is_some(),
        About::PanDigest => view.pan_digest().is_some(),
        About::MerchantOrg => request.merchant_org().is_some(),
    }
}
