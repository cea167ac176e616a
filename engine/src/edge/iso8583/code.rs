//! How digits, texts and bytes are written in a message.

/// How digits and lengths are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// One character a digit, ASCII.
    Ascii,
    /// One character a digit, EBCDIC.
    Ebcdic,
    /// Two digits a byte; an odd number has a zero in front.
    Bcd,
    /// Lengths alone: hexadecimal characters, as few as the longest length needs.
    Hex,
    /// Lengths alone: one byte up to 255, two bytes beyond, the high one first.
    Binary,
}

impl Digits {
    /// What `length` of a layout may be.
    pub(crate) fn of_length(name: &str) -> Option<Self> {
        match name {
            "hex" => Some(Self::Hex),
            "binary" => Some(Self::Binary),
            other => Self::of_number(other),
        }
    }

    /// What `mti` and `numeric` of a layout may be.
    pub(crate) fn of_number(name: &str) -> Option<Self> {
        match name {
            "ascii" => Some(Self::Ascii),
            "ebcdic" => Some(Self::Ebcdic),
            "bcd" => Some(Self::Bcd),
            _ => None,
        }
    }
}

/// How texts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Characters {
    /// ASCII.
    Ascii,
    /// EBCDIC, code page 037.
    Ebcdic,
}

impl Characters {
    /// By its name in a layout.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "ascii" => Some(Self::Ascii),
            "ebcdic" => Some(Self::Ebcdic),
            _ => None,
        }
    }

    /// The character that a byte stands for, if it is a printable one of ASCII.
    pub(crate) fn character(self, byte: u8) -> Option<char> {
        let ascii = match self {
            Self::Ascii => byte,
            Self::Ebcdic => ebcdic(byte)?,
        };
        (ascii == b' ' || ascii.is_ascii_graphic()).then_some(char::from(ascii))
    }
}

/// How bit maps and binary elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// Two hexadecimal characters a byte, ASCII.
    Hex,
    /// As they are.
    Binary,
}

impl Bits {
    /// By its name in a layout.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "hex" => Some(Self::Hex),
            "binary" => Some(Self::Binary),
            _ => None,
        }
    }
}

/// Code page 037 (CECP, 1986): the characters of ASCII in it. Where nine follow each other, the first is named.
fn ebcdic(byte: u8) -> Option<u8> {
    let run = |first: u8, from: u8| Some(first + (byte - from));
    match byte {
        0x40 => Some(b' '),
        0x81..=0x89 => run(b'a', 0x81),
        0x91..=0x99 => run(b'j', 0x91),
        0xA2..=0xA9 => run(b's', 0xA2),
        0xC1..=0xC9 => run(b'A', 0xC1),
        0xD1..=0xD9 => run(b'J', 0xD1),
        0xE2..=0xE9 => run(b'S', 0xE2),
        0xF0..=0xF9 => run(b'0', 0xF0),
        other => {
            const SIGNS: [(u8, u8); 32] = [
                (0x4B, b'.'),
                (0x4C, b'<'),
                (0x4D, b'('),
                (0x4E, b'+'),
                (0x4F, b'|'),
                (0x50, b'&'),
                (0x5A, b'!'),
                (0x5B, b'$'),
                (0x5C, b'*'),
                (0x5D, b')'),
                (0x5E, b';'),
                (0x60, b'-'),
                (0x61, b'/'),
                (0x6B, b','),
                (0x6C, b'%'),
                (0x6D, b'_'),
                (0x6E, b'>'),
                (0x6F, b'?'),
                (0x79, b'`'),
                (0x7A, b':'),
                (0x7B, b'#'),
                (0x7C, b'@'),
                (0x7D, b'\''),
                (0x7E, b'='),
                (0x7F, b'"'),
                (0xA1, b'~'),
                (0xB0, b'^'),
                (0xBA, b'['),
                (0xBB, b']'),
                (0xC0, b'{'),
                (0xD0, b'}'),
                (0xE0, b'\\'),
            ];
            SIGNS.iter().find(|(known, _)| *known == other).map(|(_, ascii)| *ascii)
        }
    }
}
