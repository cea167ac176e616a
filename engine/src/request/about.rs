//! The values of a request that have pseudonyms: what indicators are met by, and what is kept of a request.

use sparr_protocol::indicator::IndicatorKind;

/// A value of a request that has a pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum About {
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

impl About {
    /// Every value, with its name in rules.
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

    /// The value of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(about, _)| *about)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stands_at_its_own_place() {
        for (at, (about, name)) in About::ALL.iter().enumerate() {
            assert_eq!((*about as usize, about.name(), About::parse(name)), (at, *name, Some(*about)));
        }
    }
}
