//! Members of the exchange: what kinds there are, and what is recorded about one.

use crate::codes::codes;
use crate::ids::MemberName;

codes! {
    /// What kind of organisation a member is. Its rights follow from it.
    MemberKind {
        PaymentProvider = 1 "payment_provider",
        Bank = 2 "bank",
        Merchant = 3 "merchant",
        Telecom = 4 "telecom",
        Authority = 5 "authority",
        Police = 6 "police",
        CentralOrganisation = 7 "central_organisation",
    }

    /// Where a member stands.
    MemberStanding {
        /// Named in this engine's configuration.
        Configured = 1 "configured",
        Admitted = 2 "admitted",
        /// It can do nothing.
        Suspended = 3 "suspended",
    }
}

/// A member's Ed25519 public key, with which its people's attestations are checked. Zeros where it has none.
pub type MemberKey = [u8; 32];

/// What an engine knows of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberEntry {
    /// Its name.
    pub member: MemberName,
    /// What kind of organisation it is.
    pub kind: MemberKind,
    /// Where it stands.
    pub standing: MemberStanding,
    /// Number of its signing key; 0 where it has none.
    pub key_number: u32,
    /// Its signing key.
    pub key: MemberKey,
}
