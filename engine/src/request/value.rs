//! The value of an indicator, as an analyst types it: one canonical form for each kind, the same as a request's own.

use super::{Keyring, LivePseudonyms, Prefix, ValueKind, address_bytes};
use core::net::IpAddr;
use sparr_protocol::account::account;
use sparr_protocol::card::{is_par, looks_like_card_number};
use sparr_protocol::codes::SubjectKind;
use sparr_protocol::contact;
use sparr_protocol::identity::Subject;
use sparr_protocol::ids::RequestId;
use sparr_protocol::indicator::IndicatorKind;
use sparr_protocol::time::Date;

/// Longest id of a member's own making: as long as a request may carry it.
const OWN_ID_BYTES_MAX: usize = sparr_protocol::limits::TEXT_BYTES_MAX;

/// Why a text is no value of its kind. The text is not repeated: it may be personal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not of the form.
    #[error("this is no value of its kind")]
    Form,
    /// A personal or organisation number that names nobody.
    #[error("the number names nobody")]
    Identity,
    /// A card's number.
    #[error("card numbers are refused; use its payment account reference or keyed digest")]
    CardNumber,
}

/// A value under each live key, and as it is where it is about no person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndicatorValue {
    /// What kind it turned out to be: a network of one address is that address.
    pub kind: IndicatorKind,
    /// Under each live key.
    pub pseudonyms: LivePseudonyms,
    /// The canonical text, for networks and domains; empty for all others.
    pub clear: String,
}

impl IndicatorValue {
    /// Reads a value.
    pub fn parse(
        kind: IndicatorKind,
        text: &str,
        keyring: &Keyring,
        today: Date,
    ) -> Result<Self, ValueError> {
        let value = |kind: IndicatorKind, of: ValueKind, canonical: &[u8]| Self {
            kind,
            pseudonyms: keyring.live(of, canonical),
            clear: String::new(),
        };
        let if_card =
            |text: &str| if looks_like_card_number(text) { Err(ValueError::CardNumber) } else { Ok(()) };
        Ok(match kind {
            IndicatorKind::Subject => {
                let subject = Subject::parse_swedish(text, today).map_err(|_| ValueError::Identity)?;
                value(kind, ValueKind::Subject, subject.canonical())
            }
            IndicatorKind::MerchantOrg => {
                let organisation = Subject::parse(text, SubjectKind::SeOrganisation, None, today);
                let organisation = organisation.map_err(|_| ValueError::Identity)?;
                value(kind, ValueKind::MerchantOrg, organisation.canonical())
            }
            IndicatorKind::Account => {
                account(text).ok_or(ValueError::Form)?;
                value(kind, ValueKind::Account, text.as_bytes())
            }
            IndicatorKind::Email => {
                if_card(text)?;
                let email = contact::email(text).ok_or(ValueError::Form)?;
                value(kind, ValueKind::Email, email.as_str().as_bytes())
            }
            IndicatorKind::Phone => {
                let phone = contact::phone(text).ok_or(ValueError::Form)?;
                value(kind, ValueKind::Phone, phone.as_bytes())
            }
            IndicatorKind::Ip => {
                let address: IpAddr = text.parse().map_err(|_| ValueError::Form)?;
                value(kind, ValueKind::Ip, &address_bytes(address))
            }
            IndicatorKind::Cidr => {
                let prefix = Prefix::parse(text).map_err(|_| ValueError::Form)?;
                match prefix.single() {
                    Some(address) => value(IndicatorKind::Ip, ValueKind::Ip, &address_bytes(address)),
                    None => {
                        let clear = prefix.to_string();
                        let pseudonyms = keyring.live(ValueKind::Network, clear.as_bytes());
                        Self { kind, pseudonyms, clear }
                    }
                }
            }
            IndicatorKind::Domain => {
                let domain = contact::domain(text).ok_or(ValueError::Form)?;
                let clear = domain.as_str().to_owned();
                Self { kind, pseudonyms: keyring.live(ValueKind::Domain, clear.as_bytes()), clear }
            }
            IndicatorKind::Device => value(kind, ValueKind::Device, own_id(text)?),
            IndicatorKind::Card => {
                if_card(text)?;
                value(kind, ValueKind::CardToken, own_id(text)?)
            }
            IndicatorKind::Par => {
                let par = Some(text).filter(|text| is_par(text)).ok_or(ValueError::Form)?;
                value(kind, ValueKind::Par, par.as_bytes())
            }
            IndicatorKind::PanDigest => {
                let digest = RequestId::parse(text).ok_or(ValueError::Form)?;
                value(kind, ValueKind::PanDigest, &digest.0)
            }
        })
    }
}

fn own_id(text: &str) -> Result<&[u8], ValueError> {
    let printable = text.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
    if text.is_empty() || text.len() > OWN_ID_BYTES_MAX || !printable {
        return Err(ValueError::Form);
    }
    Ok(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::NetworkKey;
    use super::*;

    const TODAY: Date = Date::new(2026, 11, 22);

    #[test]
    fn every_spelling_of_a_value_is_one_value_and_what_is_none_is_refused() {
        let keyring = Keyring::new(NetworkKey::new(1, [7; 32].into()), None);
        let parse = |kind, text| IndicatorValue::parse(kind, text, &keyring, TODAY);
        for (kind, one, other) in [
            (IndicatorKind::Subject, "191212121212", "121212+1212"),
            (IndicatorKind::MerchantOrg, "556016-0680", "165560160680"),
            (IndicatorKind::Email, "Anna@Example.SE", "anna@example.se"),
            (IndicatorKind::Domain, "Shop.Example", "shop.example"),
            (IndicatorKind::Ip, "192.0.2.7", "::ffff:192.0.2.7"),
            (IndicatorKind::Cidr, "2001:DB8::/32", "2001:db8:0::/32"),
            (
                IndicatorKind::PanDigest,
                "000102030405060708090A0B0C0D0E0F",
                "00010203-0405-0607-0809-0a0b0c0d0e0f",
            ),
        ] {
            assert_eq!(parse(kind, one).expect(one), parse(kind, other).expect(other), "{}", kind.name());
        }
        let single = parse(IndicatorKind::Cidr, "192.0.2.7/32").expect("one address");
        assert_eq!(Ok(single), parse(IndicatorKind::Ip, "192.0.2.7"));
        for (kind, text, expected) in [
            (IndicatorKind::Subject, "191212121213", ValueError::Identity),
            (IndicatorKind::Email, "anna", ValueError::Form),
            (IndicatorKind::Phone, "0701234567", ValueError::Form),
            (IndicatorKind::Account, "SE4550000000058398257466", ValueError::Form),
            (IndicatorKind::Cidr, "192.0.2.1/24", ValueError::Form),
            (IndicatorKind::Cidr, "0.0.0.0/0", ValueError::Form),
            (IndicatorKind::Card, "4111 1111 1111 1111", ValueError::CardNumber),
            (IndicatorKind::Device, "", ValueError::Form),
            (IndicatorKind::Par, "short", ValueError::Form),
        ] {
            assert_eq!(parse(kind, text), Err(expected), "{} {text}", kind.name());
        }
    }
}
