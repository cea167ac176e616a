//! Flags: what people asked for, to protect themselves. A type apart from anything said about a suspect.
//!
//! A flag acts by itself in the engine (see [`crate::decision`]); rules may read that it is there, and no rule can
//! lower what it does.

mod set;

pub use set::{FlagSet, FlagSize};

use sparr_protocol::codes::{AuthMethod, FlagReason, Kind, RequestedBy, ScopeKind, Wish};
use sparr_protocol::ids::MemberName;
use sparr_protocol::money::Currency;
use sparr_protocol::time::Timestamp;

/// Which payments a flag covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything but money that comes back to the person.
    Any,
    /// Credit in the person's name: invoices and new accounts.
    Credit,
    /// Payments above an amount.
    Above {
        /// In minor units.
        amount_minor: i64,
        /// The currency of the amount.
        currency: Currency,
    },
}

impl Scope {
    /// Whether a payment is covered. What cannot be compared with an amount is covered: a flag that the person
    /// asked for never fails to act because a field is absent or in another currency.
    pub fn covers(self, kind: Kind, amount: Option<(i64, Currency)>) -> bool {
        let credit = match kind {
            // Money that comes back: challenging it would keep it from the person.
            Kind::Refund | Kind::Reversal => return false,
            Kind::Invoice | Kind::AccountOpening => true,
            Kind::CardPayment
            | Kind::Transfer
            | Kind::Instant
            | Kind::Payout
            | Kind::AccountVerification
            | Kind::TokenProvisioning
            | Kind::PayeeAdded
            | Kind::CredentialChange => false,
        };
        match self {
            Self::Any => true,
            Self::Credit => credit,
            Self::Above { amount_minor: limit, currency: of } => match amount {
                Some((amount, currency)) if currency == of => amount > limit,
                Some(_) | None => true,
            },
        }
    }

    /// The kind of scope, as it travels.
    pub fn kind(self) -> ScopeKind {
        match self {
            Self::Any => ScopeKind::Any,
            Self::Credit => ScopeKind::Credit,
            Self::Above { .. } => ScopeKind::Above,
        }
    }
}

/// A set of authentication methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods(pub u16);

impl Methods {
    /// This set and one more method.
    pub fn with(self, method: AuthMethod) -> Self {
        Self(self.0 | 1 << method.wire())
    }

    /// Whether a method is in the set.
    pub fn contains(self, method: AuthMethod) -> bool {
        self.0 & 1 << method.wire() != 0
    }

    /// The methods.
    pub fn iter(self) -> impl Iterator<Item = AuthMethod> {
        AuthMethod::ALL.iter().copied().filter(move |method| self.contains(*method))
    }
}

/// Place of a record in the merged history: the higher one wins, whatever the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Hybrid stamp.
    pub stamp: u64,
    /// Member of the origin.
    pub member: MemberName,
    /// Engine of the origin.
    pub engine: u16,
    /// Epoch of the origin.
    pub epoch: u32,
    /// Sequence within the epoch.
    pub sequence: u64,
}

/// What a flag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the person wants to happen.
    pub wish: Wish,
    /// Which payments it covers.
    pub scope: Scope,
    /// Why it was asked for.
    pub reason: FlagReason,
    /// On whose behalf.
    pub requested_by: RequestedBy,
    /// Methods through which the person must not be asked, because they are in somebody else's hands.
    pub compromised: Methods,
    /// The flag acts before this time.
    pub valid_until: Timestamp,
}

/// One registrar's flag on one subject: its highest raise, and its highest lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The member that entered it and alone changes it. The person owns it.
    pub registrar: MemberName,
    /// The highest raise.
    pub raised: Option<(Version, Terms)>,
    /// The highest lift, and from when it takes effect.
    pub lifted: Option<(Version, Timestamp)>,
}

/// Where a flag stands at a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It acts.
    Active(Terms),
    /// It acts, and a lift takes effect at the given time.
    Lifting(Terms, Timestamp),
    /// It was lifted.
    Lifted,
    /// Its time is over.
    Expired,
    /// A lift without its raise: nothing acts.
    Unraised,
}

impl Flag {
    /// Where the flag stands at `now`: expiry is judged here, at decision time, from the entry itself.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let Some((raise, terms)) = self.raised else { return Standing::Unraised };
        let lift = self.lifted.filter(|(lift, _)| *lift > raise);
        match lift {
            Some((_, effective_from)) if now >= effective_from => Standing::Lifted,
            Some(_) | None if now >= terms.valid_until => Standing::Expired,
            Some((_, effective_from)) => Standing::Lifting(terms, effective_from),
            None => Standing::Active(terms),
        }
    }

    /// What acts at `now`.
    pub fn active(&self, now: Timestamp) -> Option<Terms> {
        match self.standing(now) {
            Standing::Active(terms) | Standing::Lifting(terms, _) => Some(terms),
            Standing::Lifted | Standing::Expired | Standing::Unraised => None,
        }
    }
}
