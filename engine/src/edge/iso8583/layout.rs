//! Where the elements of a message lie: the standard's own notation, `n..19`, read from a table.

use super::code::{Bits, Characters, Digits};
use crate::edge::table::{Findings, Section};
use crate::rules::Code;

/// Which characters an element has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Characterset {
    /// `n`: digits.
    Numeric,
    /// `x+n`: C or D, then digits.
    Signed,
    /// `a`, `an`, `as`, `ns`, `ans`: printable ones; letters, digits, signs, and spaces that fill up.
    Text {
        /// Letters.
        letters: bool,
        /// Digits.
        digits: bool,
        /// Everything else that is printable.
        signs: bool,
    },
    /// `z`: what a magnetic stripe has.
    Track,
    /// `b`: bits.
    Bits,
}

/// How one element lies in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Its characters.
    pub characters: Characterset,
    /// Longest length: digits, characters, or bits.
    pub length_max: usize,
    /// Digits of the length in front of it; 0 where its length is fixed.
    pub length_digits: usize,
}

/// Longest element: three digits of length.
const LENGTH_MAX: usize = 999;

impl Format {
    /// Reads `n 6`, `n..19`, `ans...999`, `x+n 8`, `z..37`, `b 64`.
    pub fn parse(text: &str) -> Option<Self> {
        let kind_ends = text.find([' ', '.'])?;
        let (kind, rest) = text.split_at(kind_ends);
        let (length_digits, number) = if let Some(number) = rest.strip_prefix("...") {
            (3, number)
        } else if let Some(number) = rest.strip_prefix("..") {
            (2, number)
        } else {
            (0, rest.strip_prefix(' ')?)
        };
        let characters = match kind {
            "n" => Characterset::Numeric,
            "x+n" => Characterset::Signed,
            "z" => Characterset::Track,
            "b" => Characterset::Bits,
            "a" | "an" | "as" | "ns" | "ans" | "s" => Characterset::Text {
                letters: kind.contains('a'),
                digits: kind.contains('n'),
                signs: kind.contains('s'),
            },
            _ => return None,
        };
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let length_max: usize = plain.then(|| number.parse().ok()).flatten()?;
        let fits = length_digits == 0 || length_max < 10usize.pow(length_digits as u32);
        let whole = (1..=LENGTH_MAX).contains(&length_max) && fits;
        whole.then_some(Self { characters, length_max, length_digits })
    }
}

/// How messages lie one behind the other in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The file is one message.
    One,
    /// One message a line.
    Lines,
    /// Two bytes of length before each, the high one first.
    LengthBinary,
    /// Four digits of length before each, ASCII.
    LengthDigits,
}

/// A layout: how a member and its processor have agreed to write messages.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Messages in a file.
    pub framing: Framing,
    /// First digit of the message types: 0 is 1987.
    pub version: char,
    /// The type of the message.
    pub mti: Digits,
    /// Bit maps.
    pub bitmap: Bits,
    /// Lengths.
    pub length: Digits,
    /// Numeric elements.
    pub numeric: Digits,
    /// Texts.
    pub text: Characters,
    /// Binary elements.
    pub binary: Bits,
    /// Tracks.
    pub track: Characters,
    /// Elements 2 to 128.
    elements: Vec<Option<Format>>,
}

/// Elements 1 to 128; 1 is the secondary bit map.
pub(super) const ELEMENT_MAX: usize = 128;

impl Layout {
    /// How an element lies, where the layout has it.
    pub fn element(&self, number: usize) -> Option<Format> {
        self.elements.get(number).copied().flatten()
    }

    /// Reads `[message]` and `[elements]`.
    pub(crate) fn read(whole: &Section<'_>, findings: &mut Findings) -> Option<Self> {
        let message = whole.section("message", findings);
        message.only(
            &["framing", "version", "mti", "bitmap", "length", "numeric", "text", "binary", "track"],
            findings,
        );
        let framing = |name: &str| match name {
            "one" => Some(Framing::One),
            "lines" => Some(Framing::Lines),
            "length_binary" => Some(Framing::LengthBinary),
            "length_digits" => Some(Framing::LengthDigits),
            _ => None,
        };
        let framing =
            message.need("framing", "one, lines, length_binary or length_digits", findings, framing);
        let version = |name: &str| match name {
            "1987" => Some('0'),
            _ => None,
        };
        let version = message.need("version", "\"1987\": others have other elements", findings, version);
        let digits = "ascii, ebcdic or bcd";
        let mti = message.need("mti", digits, findings, Digits::of_number);
        let bitmap = message.need("bitmap", "hex or binary", findings, Bits::parse);
        let length = message.need("length", "ascii, ebcdic, bcd, hex or binary", findings, Digits::of_length);
        let numeric = message.need("numeric", digits, findings, Digits::of_number);
        let text = message.need("text", "ascii or ebcdic", findings, Characters::parse);
        let binary = message.need("binary", "hex or binary", findings, Bits::parse);
        let track = message.need("track", "ascii or ebcdic", findings, Characters::parse);
        let mut elements = vec![None; ELEMENT_MAX + 1];
        let section = whole.section("elements", findings);
        let number = |key: &str| key.parse().ok().filter(|number| (2..=ELEMENT_MAX).contains(number));
        let all = section.all(
            "an element from 2 to 128",
            "how an element lies, such as \"n 6\", \"n..19\" or \"ans...999\"",
            findings,
            number,
            Format::parse,
        );
        for (number, format) in all {
            if elements[number].replace(format).is_some() {
                findings.say(Code::DuplicateKey, 0..0, format!("element {number} is given twice"));
            }
        }
        Some(Self {
            framing: framing?,
            version: version?,
            mti: mti?,
            bitmap: bitmap?,
            length: length?,
            numeric: numeric?,
            text: text?,
            binary: binary?,
            track: track?,
            elements,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_of_the_standard_is_read_and_nothing_else() {
        let text = |letters, digits, signs| Characterset::Text { letters, digits, signs };
        for (written, expected) in [
            ("n 6", Some((Characterset::Numeric, 6, 0))),
            ("n..19", Some((Characterset::Numeric, 19, 2))),
            ("n...104", Some((Characterset::Numeric, 104, 3))),
            ("an 12", Some((text(true, true, false), 12, 0))),
            ("ns..28", Some((text(false, true, true), 28, 2))),
            ("ans...999", Some((text(true, true, true), 999, 3))),
            ("x+n 8", Some((Characterset::Signed, 8, 0))),
            ("z..37", Some((Characterset::Track, 37, 2))),
            ("b 64", Some((Characterset::Bits, 64, 0))),
            ("n..100", None),
            ("n 0", None),
            ("n 1000", None),
            ("n", None),
            ("n6", None),
            ("q 6", None),
            ("n 6; MMDD", None),
            ("n +6", None),
            ("", None),
        ] {
            let expected = expected.map(|(characters, length_max, length_digits)| Format {
                characters,
                length_max,
                length_digits,
            });
            assert_eq!(Format::parse(written), expected, "{written:?}");
        }
    }
}
