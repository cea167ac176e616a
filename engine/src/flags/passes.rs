//! Passes: narrow openings in a flag, so that nobody has to lift it to buy a refrigerator.

use super::{Flag, Version};
use crate::pack::pack_fields;
use dashmap::DashMap;
use sparr_protocol::flag::MerchantRef;
use sparr_protocol::ids::{MemberName, Pseudonym};
use sparr_protocol::money::Currency;
use sparr_protocol::time::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};

/// An opening in one registrar's flag for payments to one merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The member whose flag it opens.
    pub registrar: MemberName,
    /// Its place in the merged history.
    pub version: Version,
    /// Where the person wants to pay.
    pub merchant: MerchantRef,
    /// Each payment up to this amount, in minor units.
    pub amount_minor: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// It acts before this time.
    pub until: Timestamp,
}

/// The merchant and the amount of a payment, as a pass is compared with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassPayment {
    /// The member that screens it.
    pub member: MemberName,
    /// The member's own id of the merchant.
    pub merchant_id: Option<Pseudonym>,
    /// The merchant's organisationsnummer.
    pub merchant_org: Option<Pseudonym>,
    /// Amount and currency.
    pub amount: Option<(i64, Currency)>,
}

pack_fields!(Pass { registrar, version, merchant, amount_minor, currency, until });

impl Pass {
    /// Whether it opens this flag at `now`: it is younger than the raise (who raises again wants protection again),
    /// and its time is not over.
    pub fn is_open(&self, flag: &Flag, now: Timestamp) -> bool {
        self.registrar == flag.registrar
            && flag.raised.is_some_and(|raise| raise.version < self.version)
            && now < self.until
    }

    /// Whether it is for this payment. What cannot be compared is not covered: a pass opens no more than was said.
    pub fn covers(&self, payment: &PassPayment) -> bool {
        let merchant = match self.merchant {
            MerchantRef::OwnId(id) => payment.member == self.registrar && payment.merchant_id == Some(id),
            MerchantRef::Organisation(organisation) => payment.merchant_org == Some(organisation),
        };
        let amount = payment
            .amount
            .is_some_and(|(amount, currency)| currency == self.currency && amount <= self.amount_minor);
        merchant && amount
    }
}

/// Passes by subject.
#[derive(Default)]
pub struct Passes {
    /// Whether any was granted since the engine started.
    any: AtomicBool,
    by_subject: DashMap<Pseudonym, Vec<Pass>, foldhash::fast::RandomState>,
}

impl Passes {
    /// Takes in a pass. Idempotent, and independent of the order of arrival.
    pub fn grant(&self, subject: Pseudonym, pass: Pass) {
        self.any.store(true, Ordering::Release);
        let mut passes = self.by_subject.entry(subject).or_default();
        if let Err(at) = passes.binary_search_by_key(&pass.version, |known| known.version) {
            passes.insert(at, pass);
        }
    }

    /// Whether a pass opens a flag for a payment.
    pub fn opens(&self, subject: Pseudonym, flag: &Flag, payment: &PassPayment, now: Timestamp) -> bool {
        self.by_subject
            .get(&subject)
            .is_some_and(|passes| passes.iter().any(|pass| pass.is_open(flag, now) && pass.covers(payment)))
    }

    /// How many passes open a flag at `now`.
    pub fn open(&self, subject: Pseudonym, flag: &Flag, now: Timestamp) -> usize {
        self.by_subject
            .get(&subject)
            .map_or(0, |passes| passes.iter().filter(|pass| pass.is_open(flag, now)).count())
    }

    /// Whether none was ever granted.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Every pass that was not forgotten.
    pub(crate) fn every(&self) -> Vec<(Pseudonym, Pass)> {
        let passes = self.by_subject.iter();
        passes
            .flat_map(|entry| entry.value().iter().map(|pass| (*entry.key(), *pass)).collect::<Vec<_>>())
            .collect()
    }

    /// Every pass that is not over at `now`, in order.
    pub fn all(&self, now: Timestamp) -> Vec<(Pseudonym, Pass)> {
        let mut all = self.every();
        all.retain(|(_, pass)| now < pass.until);
        all.sort_by_key(|(subject, pass)| (*subject, pass.version));
        all
    }

    /// Forgets passes that ended before `before`.
    pub fn forget_before(&self, before: Timestamp) {
        self.by_subject.retain(|_, passes| {
            passes.retain(|pass| pass.until >= before);
            !passes.is_empty()
        });
    }
}
