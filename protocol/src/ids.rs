//! Identifiers that travel: request ids, member names, actors, pseudonyms, digests.

use crate::codes::Role;
use crate::limits::{ACTOR_BYTES_MAX, MEMBER_BYTES_MAX};
use std::fmt;

/// Sixteen bytes that their maker keeps unique: the idempotency key of a request, per member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub [u8; 16]);

impl RequestId {
    /// The id that stands in an answer where the request's own could not be read.
    pub const UNREADABLE: Self = Self([0; 16]);

    /// From 32 hexadecimal digits, or a UUID with its four hyphens. All zero is no id: it is [`Self::UNREADABLE`].
    pub fn parse(text: &str) -> Option<Self> {
        let is_uuid = text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-');
        let mut digits = text.bytes().filter(|byte| !(is_uuid && *byte == b'-'));
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            let (high, low) = (hex_digit(digits.next()?)?, hex_digit(digits.next()?)?);
            *byte = high << 4 | low;
        }
        if digits.next().is_some() || bytes == [0; 16] { None } else { Some(Self(bytes)) }
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Keyed 128-bit digest of a personal value: the only form in which one is stored or leaves an engine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pseudonym(pub [u8; 16]);

impl fmt::Debug for Pseudonym {
    /// Eight digits: enough to follow one through a log, too few to be an index of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..4])?;
        f.write_str("…")
    }
}

/// Digest of a rule set: the first 128 bits of BLAKE3 over its canonical text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RuleSetDigest(pub [u8; 16]);

impl fmt::Display for RuleSetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for RuleSetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Name of a member of the exchange: 1–24 lower-case letters, digits and inner hyphens, padded with zero bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberName([u8; MEMBER_BYTES_MAX]);

impl MemberName {
    /// Whom the state of a trial or a backtest belongs to: nobody is called so in an exchange by accident.
    pub const TRIAL: Self = Self(*b"trial\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");

    /// Checks the spelling of a name.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let inner_hyphens = !bytes.starts_with(b"-") && !bytes.ends_with(b"-");
        let spelled = bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if bytes.is_empty() || bytes.len() > MEMBER_BYTES_MAX || !inner_hyphens || !spelled {
            return None;
        }
        let mut name = [0; MEMBER_BYTES_MAX];
        name[..bytes.len()].copy_from_slice(bytes);
        Some(Self(name))
    }

    /// From the padded form of a record or an answer.
    pub fn from_bytes(bytes: &[u8; MEMBER_BYTES_MAX]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(MEMBER_BYTES_MAX);
        let padding_is_zero = bytes[end..].iter().all(|byte| *byte == 0);
        Self::parse(std::str::from_utf8(&bytes[..end]).ok()?).filter(|_| padding_is_zero)
    }

    /// The padded form.
    pub const fn bytes(&self) -> &[u8; MEMBER_BYTES_MAX] {
        &self.0
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(MEMBER_BYTES_MAX);
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who acts: member, role and id, as the certificate says, never as a message says.
///
/// Its text form is the certificate's URI: `sparr://member/<member>/<role>/<id>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The organisation.
    pub member: MemberName,
    /// What it may do.
    pub role: Role,
    id: Box<str>,
}

impl Actor {
    /// Puts an actor together; the id has 1–48 characters of `a–z A–Z 0–9 . _ -`.
    pub fn new(member: MemberName, role: Role, id: &str) -> Option<Self> {
        let spelled = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if id.is_empty() || id.len() > ACTOR_BYTES_MAX || !spelled {
            return None;
        }
        Some(Self { member, role, id: id.into() })
    }

    /// Parses `sparr://member/<member>/<role>/<id>`, with nothing before or after it.
    pub fn parse_uri(uri: &str) -> Option<Self> {
        let mut parts = uri.strip_prefix("sparr://member/")?.split('/');
        let (member, role, id) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Self::new(MemberName::parse(member)?, Role::parse(role)?, id)
    }

    /// The id of the person or machine within its member. "Two persons" means two different ids.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sparr://member/{}/{}/{}", self.member, self.role.name(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_32_hexadecimal_digits_with_or_without_hyphens() {
        let plain = RequestId::parse("00112233445566778899aAbBcCdDeEfF").expect("legal");
        assert_eq!(RequestId::parse("00112233-4455-6677-8899-aabbccddeeff"), Some(plain));
        assert_eq!(plain.to_string(), "00112233445566778899aabbccddeeff");
        for bad in ["", "0011", "00112233445566778899aabbccddeeff0", "00112233445566778899aabbccddeefg"] {
            assert_eq!(RequestId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn member_names_and_actors_have_one_spelling() {
        for good in ["a", "bank-1", "abcdefghijklmnopqrstuvwx"] {
            let name = MemberName::parse(good).expect("legal");
            assert_eq!((name.as_str(), MemberName::from_bytes(name.bytes())), (good, Some(name)));
        }
        for bad in ["", "-a", "a-", "Bank", "bänk", "a b", "abcdefghijklmnopqrstuvwxy", "a/b"] {
            assert_eq!(MemberName::parse(bad), None, "{bad:?}");
        }
        let uri = "sparr://member/bank-1/desk/anna.b";
        assert_eq!(Actor::parse_uri(uri).expect("legal").to_string(), uri);
        for bad in [
            "sparr://member/bank-1/desk",
            "sparr://member/bank-1/desk/anna/x",
            "sparr://member/bank-1/root/anna",
            "sparr://member/bank-1/desk/",
            "sparr://member//desk/anna",
            "SPARR://member/bank-1/desk/anna",
            "sparr://member/bank-1/desk/an na",
        ] {
            assert_eq!(Actor::parse_uri(bad), None, "{bad:?}");
        }
    }
}
