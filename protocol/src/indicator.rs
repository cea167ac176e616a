//! What an indicator says: evidence about an account, address, prefix, merchant, domain or person in a role.
//!
//! An indicator is known by the keyed digest of its content. The digest is what the police confirm and what a share
//! must name, so "the same information" is a comparison of 32 bytes, and an edited indicator is another one.

use crate::codec::{self, Truncated};
use crate::codes::codes;
use crate::exchange::ExchangeError;
use crate::ids::{MemberName, Pseudonym, RequestId};
use crate::limits::{CLASS_BYTES_MAX, MEMBER_BYTES_MAX};
use crate::time::Timestamp;
use std::fmt;

codes! {
    /// What kind of value an indicator is about.
    IndicatorKind {
        /// A person or organisation, in a role.
        Subject = 1 "subject",
        Account = 2 "account",
        Email = 3 "email",
        Phone = 4 "phone",
        /// One address.
        Ip = 5 "ip",
        /// A network's prefix.
        Cidr = 6 "cidr",
        Domain = 7 "domain",
        /// The member's own device id: local.
        Device = 8 "device",
        /// The member's own card token: local.
        Card = 9 "card",
        Par = 10 "par",
        PanDigest = 11 "pan_digest",
        MerchantOrg = 12 "merchant_org",
    }

    /// In which role the value was seen.
    IndicatorRole {
        Mule = 1 "mule",
        Applicant = 2 "applicant",
        Payer = 3 "payer",
        Payee = 4 "payee",
        FakeShop = 5 "fake_shop",
        Merchant = 6 "merchant",
        Device = 7 "device",
        Caller = 8 "caller",
        Recruiter = 9 "recruiter",
        /// Somebody whose identity was misused: a victim, never a suspect. No indicator has this role.
        IdentityMisused = 15 "identity_misused",
    }

    /// How well the evidence was looked into. The order is the strength.
    Grade {
        Observed = 1 "observed",
        Investigated = 2 "investigated",
        Confirmed = 3 "confirmed",
    }

    /// Who says that the police have received it.
    Attestation {
        /// A member's own word, by two of its persons.
        Member = 1 "member",
        /// The police, by their signature.
        Police = 2 "police",
    }

    /// Where an indicator stands.
    IndicatorStanding {
        /// It acts at its own member.
        Draft = 1 "draft",
        /// Its document was made for the police.
        Reported = 2 "reported",
        /// The police have it.
        Received = 3 "received",
        /// It acts everywhere.
        Shared = 4 "shared",
        /// Somebody disagrees and the registrar has yet to answer: it can ask for a review and for nothing more.
        Contested = 5 "contested",
        /// The registrar did not answer in time: it does not act.
        Lapsed = 6 "lapsed",
        Withdrawn = 7 "withdrawn",
        Expired = 8 "expired",
    }
}

impl IndicatorKind {
    /// Whether the value means something at its own member alone, so that sharing it would hit somebody else's.
    pub const fn is_local(self) -> bool {
        match self {
            Self::Device | Self::Card => true,
            Self::Subject
            | Self::Account
            | Self::Email
            | Self::Phone
            | Self::Ip
            | Self::Cidr
            | Self::Domain
            | Self::Par
            | Self::PanDigest
            | Self::MerchantOrg => false,
        }
    }

    /// Whether the value is kept as it is: it is about no person. Everything else is kept as a pseudonym alone.
    pub const fn is_clear(self) -> bool {
        match self {
            Self::Cidr | Self::Domain => true,
            Self::Subject
            | Self::Account
            | Self::Email
            | Self::Phone
            | Self::Ip
            | Self::Device
            | Self::Card
            | Self::Par
            | Self::PanDigest
            | Self::MerchantOrg => false,
        }
    }

    /// For how many days an indicator may be valid at most: addresses and numbers change hands.
    pub const fn valid_days_max(self) -> i64 {
        match self {
            Self::Ip => 7,
            Self::Cidr => 30,
            Self::Phone | Self::Domain => 90,
            Self::Email | Self::Device => 180,
            Self::Subject | Self::Account | Self::Card | Self::Par | Self::PanDigest | Self::MerchantOrg => {
                365
            }
        }
    }
}

/// What the evidence is of, in the words of the member's analysts: 1–24 of `a–z 0–9 _ -`, padded with zero bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassName([u8; CLASS_BYTES_MAX]);

impl ClassName {
    /// No class at all: what is said of a value that nobody knows.
    pub const NONE: Self = Self([0; CLASS_BYTES_MAX]);

    /// Checks the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let spelled = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
            && !text.is_empty();
        if !spelled || text.len() > CLASS_BYTES_MAX {
            return None;
        }
        let mut name = [0; CLASS_BYTES_MAX];
        name[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self(name))
    }

    /// From the padded form.
    pub fn from_bytes(bytes: &[u8; CLASS_BYTES_MAX]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(CLASS_BYTES_MAX);
        let padding_is_zero = bytes[end..].iter().all(|byte| *byte == 0);
        Self::parse(std::str::from_utf8(&bytes[..end]).ok()?).filter(|_| padding_is_zero)
    }

    /// The padded form.
    pub const fn bytes(&self) -> &[u8; CLASS_BYTES_MAX] {
        &self.0
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(CLASS_BYTES_MAX);
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl fmt::Debug for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Keyed digest of an indicator's content: 256 bits of BLAKE3 under the network key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentDigest(pub [u8; 32]);

/// An indicator's id: the first half of its content digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndicatorId(pub [u8; 16]);

impl ContentDigest {
    /// The id of the indicator with this content.
    pub fn id(&self) -> IndicatorId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[..16]);
        IndicatorId(id)
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::ids::write_hex(f, &self.0)
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl IndicatorId {
    /// From 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        RequestId::parse(text).map(|id| Self(id.0))
    }
}

impl fmt::Display for IndicatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::ids::write_hex(f, &self.0)
    }
}

impl fmt::Debug for IndicatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Everything that an indicator says. The value is a pseudonym, but for prefixes and domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The member that drafted it and alone shares and withdraws it.
    pub registrar: MemberName,
    /// Idempotency key of the draft: two drafts that say the same are two indicators.
    pub draft: RequestId,
    /// What kind of value it is about.
    pub kind: IndicatorKind,
    /// In which role; a subject always has one.
    pub role: Option<IndicatorRole>,
    /// How well it was looked into.
    pub grade: Grade,
    /// What it is evidence of.
    pub class: ClassName,
    /// Network key of the pseudonym and of the content digest.
    pub key_id: u16,
    /// The value.
    pub value: Pseudonym,
    /// The value as it is, for kinds that are about no person; empty for all others.
    pub clear: String,
    /// When it was drafted, by its origin's clock.
    pub drafted_at: Timestamp,
    /// It acts before this time.
    pub valid_until: Timestamp,
}

codec::wire_struct! {
    /// Content on the wire, in records, and under its digest. The clear value follows as a text where there is one.
    pub(crate) struct ContentWire / ArchivedContentWire {
        registrar: [u8; MEMBER_BYTES_MAX],
        draft: [u8; 16],
        value: [u8; 16],
        class: [u8; CLASS_BYTES_MAX],
        drafted_at: i64,
        valid_until: i64,
        key_id: u16,
        kind: u8,
        role: u8,
        grade: u8,
        has_clear: u8,
    }
}

impl Content {
    /// Appends the canonical bytes: what the content digest is made over.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let wire = ContentWire {
            registrar: *self.registrar.bytes(),
            draft: self.draft.0,
            value: self.value.0,
            class: self.class.0,
            drafted_at: self.drafted_at.ms(),
            valid_until: self.valid_until.ms(),
            key_id: self.key_id,
            kind: self.kind.wire(),
            role: self.role.map_or(0, IndicatorRole::wire),
            grade: self.grade.wire(),
            has_clear: (!self.clear.is_empty()).into(),
        };
        codec::write(&wire, out);
        if !self.clear.is_empty() {
            codec::write_text(&self.clear, out);
        }
    }

    /// Reads content off the front of `bytes`, and gives back what follows it.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), ExchangeError> {
        let value = ExchangeError::Value;
        let (wire, rest) = codec::read::<ContentWire>(bytes)?;
        let (clear, rest) = match wire.has_clear {
            0 => ("", rest),
            1 => codec::read_text(rest).map_err(|_| value("clear"))?,
            _ => return Err(value("clear")),
        };
        let content = Self {
            registrar: MemberName::from_bytes(&wire.registrar).ok_or(ExchangeError::Value("registrar"))?,
            draft: RequestId(wire.draft),
            kind: IndicatorKind::from_wire(wire.kind).ok_or(ExchangeError::Value("kind"))?,
            role: match wire.role {
                0 => None,
                role => Some(IndicatorRole::from_wire(role).ok_or(ExchangeError::Value("role"))?),
            },
            grade: Grade::from_wire(wire.grade).ok_or(ExchangeError::Value("grade"))?,
            class: ClassName::from_bytes(&wire.class).ok_or(ExchangeError::Value("class"))?,
            key_id: wire.key_id.to_native(),
            value: Pseudonym(wire.value),
            clear: clear.to_owned(),
            drafted_at: Timestamp::from_ms(wire.drafted_at.to_native()),
            valid_until: Timestamp::from_ms(wire.valid_until.to_native()),
        };
        Ok((content, rest))
    }
}

/// What the police sign: that they have received the content of this digest under this reference.
pub fn receipt_signed_bytes(digest: &ContentDigest, reference: &str, received_at: Timestamp) -> Vec<u8> {
    let mut bytes = b"sparr receipt v1".to_vec();
    bytes.extend_from_slice(&digest.0);
    bytes.extend_from_slice(&received_at.ms().to_le_bytes());
    bytes.extend_from_slice(reference.as_bytes());
    bytes
}

/// Reads a text that may be empty: an empty one is not written at all, and stands last.
pub(crate) fn read_last_text(rest: &[u8]) -> Result<&str, Truncated> {
    if rest.is_empty() {
        return Ok("");
    }
    let cut = Truncated { needed: 1, available: rest.len() };
    match codec::read_text(rest) {
        Ok((text, [])) => Ok(text),
        Ok(_) | Err(_) => Err(cut),
    }
}

#[cfg(test)]
pub(crate) const CONTENT_LAYOUT: &[(&str, usize, usize)] = ContentWire::LAYOUT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_content_changes_its_bytes_and_bytes_read_back() {
        let content = Content {
            registrar: MemberName::parse("bank-1").expect("legal"),
            draft: RequestId([3; 16]),
            kind: IndicatorKind::Domain,
            role: Some(IndicatorRole::FakeShop),
            grade: Grade::Observed,
            class: ClassName::parse("fake_shop").expect("legal"),
            key_id: 2,
            value: Pseudonym([4; 16]),
            clear: "shop.example".to_owned(),
            drafted_at: Timestamp::from_ms(5),
            valid_until: Timestamp::from_ms(6),
        };
        let bytes = |content: &Content| {
            let mut bytes = Vec::new();
            content.encode(&mut bytes);
            bytes
        };
        assert_eq!(Content::decode(&bytes(&content)), Ok((content.clone(), &[][..])));
        let changed = [
            Content { registrar: MemberName::parse("bank-2").expect("legal"), ..content.clone() },
            Content { draft: RequestId([9; 16]), ..content.clone() },
            Content { kind: IndicatorKind::Cidr, ..content.clone() },
            Content { role: None, ..content.clone() },
            Content { grade: Grade::Confirmed, ..content.clone() },
            Content { class: ClassName::parse("other").expect("legal"), ..content.clone() },
            Content { key_id: 1, ..content.clone() },
            Content { value: Pseudonym([5; 16]), ..content.clone() },
            Content { clear: "shop2.example".to_owned(), ..content.clone() },
            Content { drafted_at: Timestamp::from_ms(6), ..content.clone() },
            Content { valid_until: Timestamp::from_ms(7), ..content.clone() },
        ];
        for other in changed {
            assert_ne!(bytes(&other), bytes(&content), "{other:?}");
            assert_eq!(Content::decode(&bytes(&other)), Ok((other, &[][..])));
        }
    }

    #[test]
    fn classes_have_one_spelling() {
        for good in ["phishing", "fake_shop", "c2", "a-b"] {
            assert_eq!(ClassName::parse(good).map(|class| class.as_str().to_owned()).as_deref(), Some(good));
        }
        for bad in ["", "Phishing", "a b", "å", "abcdefghijklmnopqrstuvwxy"] {
            assert!(ClassName::parse(bad).is_none(), "{bad:?}");
        }
    }
}
