//! What a flag says: the person's wish, its scope, its end. Shared by the exchange's operations and its records.

use crate::codes::{AuthMethod, FlagReason, RequestedBy, ScopeKind, Wish};
use crate::ids::Pseudonym;
use crate::money::Currency;
use crate::time::Timestamp;

/// Which payments a flag covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// As a support desk writes it: `any`, `credit`, `above:30000SEK` (major units).
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "any" => Some(Self::Any),
            "credit" => Some(Self::Credit),
            _ => {
                let amount = text.strip_prefix("above:")?;
                let (major, code) = amount.split_at_checked(amount.len().checked_sub(3)?)?;
                let currency = Currency::parse(code)?;
                let amount_minor = currency.minor_units(major).filter(|minor| *minor >= 0)?;
                Some(Self::Above { amount_minor, currency })
            }
        }
    }

    /// From its parts on the wire.
    pub fn from_wire(kind: u8, amount_minor: i64, currency: u16) -> Option<Self> {
        match (ScopeKind::from_wire(kind)?, amount_minor, currency) {
            (ScopeKind::Any, 0, 0) => Some(Self::Any),
            (ScopeKind::Credit, 0, 0) => Some(Self::Credit),
            (ScopeKind::Above, 0.., number) => {
                Some(Self::Above { amount_minor, currency: Currency::from_wire(number)? })
            }
            (ScopeKind::Any | ScopeKind::Credit | ScopeKind::Above, _, _) => None,
        }
    }

    /// Its parts on the wire.
    pub fn wire(self) -> (u8, i64, u16) {
        match self {
            Self::Any => (ScopeKind::Any.wire(), 0, 0),
            Self::Credit => (ScopeKind::Credit.wire(), 0, 0),
            Self::Above { amount_minor, currency } => {
                (ScopeKind::Above.wire(), amount_minor, currency.wire())
            }
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Credit => f.write_str("credit"),
            Self::Above { amount_minor, currency } => {
                let amount = crate::money::format_amount(*amount_minor, *currency).replace(' ', "");
                write!(f, "above:{amount}")
            }
        }
    }
}

/// A set of authentication methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

    /// A set in which every bit is a method that this version knows.
    pub fn from_wire(bits: u16) -> Option<Self> {
        let known = AuthMethod::ALL.iter().fold(Self::default(), |set, method| set.with(*method));
        (bits & !known.0 == 0).then_some(Self(bits))
    }
}

/// What a flag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// What the person wants to happen.
    pub wish: Wish,
    /// Which payments it covers.
    pub scope: Scope,
    /// Why it was asked for.
    pub reason: FlagReason,
    /// On whose behalf.
    pub requested_by: RequestedBy,
    /// How the person who asked was authenticated.
    pub authenticated_by: AuthMethod,
    /// Methods through which the person must not be asked, because they are in somebody else's hands.
    pub compromised: Methods,
    /// The flag acts before this time.
    pub valid_until: Timestamp,
}

/// The merchant that a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MerchantRef {
    /// Its registrar's own id: the pass acts at that member alone.
    OwnId(Pseudonym),
    /// Its organisationsnummer: the pass acts at every member.
    Organisation(Pseudonym),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_as_a_desk_says_them() {
        let above = Scope::Above { amount_minor: 3_000_000, currency: Currency::SEK };
        for (text, scope) in [
            ("any", Some(Scope::Any)),
            ("credit", Some(Scope::Credit)),
            ("above:30000SEK", Some(above)),
            ("above:30000.00SEK", Some(above)),
            ("above:-1SEK", None),
            ("above:SEK", None),
            ("above:30000", None),
            ("above:30000 SEK", None),
            ("ANY", None),
            ("above:å", None),
            ("", None),
        ] {
            assert_eq!(Scope::parse(text), scope, "{text:?}");
            if let Some(scope) = scope {
                assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
                let (kind, amount, currency) = scope.wire();
                assert_eq!(Scope::from_wire(kind, amount, currency), Some(scope));
            }
        }
        assert_eq!(Scope::from_wire(1, 5, 0), None);
        assert_eq!(Methods::from_wire(1), None, "bit 0 is no method");
    }
}
