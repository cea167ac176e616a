//! Exemptions: rules by name that are silent for one key, for a while. Never for everybody, never all rules, and never
//! what a person's own flag asks for.

use crate::codec;
use crate::codes::codes;
use crate::exchange::ExchangeError;
use crate::ids::RequestId;
use std::fmt;

codes! {
    /// What an exemption is for.
    ExemptionKey {
        /// A person, by the personal number.
        Subject = 1 "subject",
        /// A card, by the member's own token.
        Card = 2 "card",
        /// The account that pays.
        Account = 3 "account",
    }

    /// Where an exemption stands.
    ExemptionStanding {
        Active = 1 "active",
        /// It silences rules on shared indicators once a second person agrees; the others it silences already.
        Waiting = 2 "waiting",
        Ended = 3 "ended",
        Expired = 4 "expired",
    }
}

/// An exemption's id: that of the operation which granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExemptionId(pub [u8; 16]);

impl ExemptionId {
    /// From 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        RequestId::parse(text).map(|id| Self(id.0))
    }
}

impl fmt::Display for ExemptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RequestId(self.0).fmt(f)
    }
}

/// Names of rules: at least one, at most [`RuleNames::MAX`], each once, in rising order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleNames(Vec<String>);

impl RuleNames {
    /// Names at most: who wants more wants an exemption from everything, which there is not.
    pub const MAX: usize = 5;
    /// Bytes of one name at most.
    pub const NAME_BYTES_MAX: usize = 64;
    pub(crate) const BYTES_MAX: usize = 1 + Self::MAX * (1 + Self::NAME_BYTES_MAX);

    /// Takes names over; `None` where there are none, too many, or one that no rule can have.
    pub fn new(names: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let legal = (1..=Self::MAX).contains(&names.len()) && names.iter().all(|name| is_rule_name(name));
        legal.then_some(Self(names))
    }

    /// From a list with commas.
    pub fn parse(text: &str) -> Option<Self> {
        Self::new(text.split(',').map(|name| name.trim().to_owned()))
    }

    /// Whether a rule is among them.
    pub fn contains(&self, rule: &str) -> bool {
        self.0.iter().any(|name| name == rule)
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0.len() as u8);
        self.0.iter().for_each(|name| codec::write_text(name, out));
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, &[u8]), ExchangeError> {
        let (count, mut rest) = bytes.split_first().ok_or(ExchangeError::Length)?;
        let mut names = Vec::new();
        for _ in 0..*count {
            let (name, after) = codec::read_text(rest).map_err(|_| ExchangeError::Value("rules"))?;
            names.push(name.to_owned());
            rest = after;
        }
        let count = names.len();
        let names = Self::new(names).filter(|names| names.0.len() == count);
        names.map(|names| (names, rest)).ok_or(ExchangeError::Value("rules"))
    }
}

/// Whether a text can be a rule's name: 1 to 64 of `a`–`z`, `0`–`9` and `-`.
pub fn is_rule_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=RuleNames::NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_few_and_legal_and_never_all() {
        for (text, legal) in [
            ("card-testing", true),
            ("b, a,b", true),
            ("a,b,c,d,e", true),
            ("a,b,c,d,e,f", false),
            ("", false),
            ("a,,b", false),
            ("*", false),
            ("all rules", false),
            ("A", false),
        ] {
            assert_eq!(RuleNames::parse(text).is_some(), legal, "{text}");
        }
        let names = RuleNames::parse("b,a,b").expect("legal");
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(names.contains("a") && !names.contains("c"));
    }
}
