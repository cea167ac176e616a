//! Flags: what people asked for, to protect themselves. A type apart from anything said about a suspect.
//!
//! A flag acts by itself in the engine (see [`crate::decision`]); rules may read that it is there, and no rule can
//! lower what it does.

mod interned;
mod links;
mod looks;
mod passes;
mod set;
mod slots;
pub(crate) mod snapshot;
mod votes;

pub use crate::version::Version;
pub use links::{Link, Links, NUMBERS_MAX, Numbers};
pub use looks::{LOOKS_KEPT, Looks};
pub use passes::{Pass, PassPayment, Passes};
pub use set::{FlagSet, FlagSize};
pub use votes::{Overridden, RaiseRef, Votes};

use crate::pack::pack_fields;
use sparr_protocol::codes::Kind;
use sparr_protocol::flag::{Scope, Terms};
use sparr_protocol::ids::MemberName;
use sparr_protocol::money::Currency;
use sparr_protocol::time::Timestamp;

/// Whether a scope covers a payment. What cannot be compared with an amount is covered: a flag that the person
/// asked for never fails to act because a field is absent or in another currency.
pub fn covers(scope: Scope, kind: Kind, amount: Option<(i64, Currency)>) -> bool {
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
    match scope {
        Scope::Any => true,
        Scope::Credit => credit,
        Scope::Above { amount_minor: limit, currency: of } => match amount {
            Some((amount, currency)) if currency == of => amount > limit,
            Some(_) | None => true,
        },
    }
}

/// One registrar's flag on one subject: its highest raise, and its highest lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The member that entered it and alone changes it. The person owns it.
    pub registrar: MemberName,
    /// The highest raise.
    pub raised: Option<Raise>,
    /// The highest lift, and from when it takes effect.
    pub lifted: Option<(Version, Timestamp)>,
}

/// A raise as the flag set keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raise {
    /// Its place in the merged history.
    pub version: Version,
    /// What it says.
    pub terms: Terms,
}

pack_fields!(Raise { version, terms });
pack_fields!(Flag { registrar, raised, lifted });

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
        let Some(Raise { version: raise, terms, .. }) = self.raised else { return Standing::Unraised };
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
