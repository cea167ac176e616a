//! What may be known of a card, and the guard that keeps its number out.

use crate::identity::luhn_agrees;

/// The first six to eight digits of a card number: they name the issuer, not the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CardBin {
    value: u32,
    digits: u8,
}

impl CardBin {
    /// From six to eight digits.
    pub fn parse(text: &str) -> Option<Self> {
        let spelled = (6..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        spelled.then(|| text.parse().ok()).flatten().map(|value| Self { value, digits: text.len() as u8 })
    }

    /// From its value and number of digits.
    pub const fn from_wire(value: u32, digits: u8) -> Option<Self> {
        if 6 <= digits && digits <= 8 && value < 10u32.pow(digits as u32) {
            Some(Self { value, digits })
        } else {
            None
        }
    }

    /// The digits as a number; leading zeros are given back by [`CardBin::digits`].
    pub const fn value(self) -> u32 {
        self.value
    }

    /// How many digits it has: 6 to 8.
    pub const fn digits(self) -> u8 {
        self.digits
    }

    /// Whether a text begins with these digits.
    pub fn begins(self, text: &str) -> bool {
        text.get(..usize::from(self.digits)).and_then(Self::parse) == Some(self)
    }
}

impl std::fmt::Display for CardBin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:0width$}", self.value, width = usize::from(self.digits))
    }
}

const PAN_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Whether a text carries what looks like a card number: 13–19 digits, single spaces or hyphens between them
/// aside, with a valid Luhn sum (ISO/IEC 7812-1).
///
/// A tenth of all numbers of that length pass Luhn, which is why ids that a member makes are not asked this.
pub fn looks_like_card_number(text: &str) -> bool {
    let mut run = [0; *PAN_DIGITS.end()];
    let mut len = 0;
    let mut after_separator = true;
    let is_card = |run: &[u8], len: usize| PAN_DIGITS.contains(&len) && luhn_agrees(&run[..len]);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => {
                if let Some(slot) = run.get_mut(len) {
                    *slot = byte;
                }
                len += 1;
                after_separator = false;
            }
            b' ' | b'-' if !after_separator => after_separator = true,
            _ => {
                if is_card(&run, len) {
                    return true;
                }
                len = 0;
                after_separator = true;
            }
        }
    }
    is_card(&run, len)
}

/// A payment account reference (EMVCo): 29 upper-case letters and digits. It is the same at every member.
pub fn is_par(text: &str) -> bool {
    text.len() == 29 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_recognised_in_any_dress_and_other_numbers_are_not() {
        for pan in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "pay:4111111111111111!",
            "378282246310005@example.se",
            "6304000000000000000",
            "4222222222222",
        ] {
            assert!(looks_like_card_number(pan), "{pan}");
        }
        for other in [
            "4111111111111112",
            "411111111111",
            "41111111111111111111",
            "4111--1111-1111-1111",
            "order-2018-04-01",
            "",
            "tok_4f1a1111",
        ] {
            assert!(!looks_like_card_number(other), "{other}");
        }
    }

    #[test]
    fn card_bins_keep_their_leading_zeros() {
        let bin = CardBin::parse("012345").expect("six digits");
        assert_eq!(
            (bin.to_string().as_str(), bin.begins("0123459"), bin.begins("1234500")),
            ("012345", true, false)
        );
        assert_eq!(CardBin::from_wire(bin.value(), bin.digits()), Some(bin));
        assert_eq!((CardBin::parse("12345"), CardBin::parse("123456789")), (None, None));
        assert_eq!((CardBin::from_wire(1_000_000, 6), CardBin::from_wire(1, 5)), (None, None));
    }
}
