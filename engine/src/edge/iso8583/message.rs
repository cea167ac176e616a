//! One message, read by a layout: type, bit maps, elements. No error repeats what stands there.

use super::code::{Bits, Characters, Digits};
use super::layout::{Characterset, ELEMENT_MAX, Format, Framing, Layout};
use crate::edge::{Place, Refusal, Refused};
use sparr_protocol::personal::Personal;

/// A message of a file: where it begins, and its bytes.
pub struct Raw<'b> {
    /// Bytes from the beginning of the file.
    pub at: usize,
    /// What it consists of; where its frame is broken, why.
    pub bytes: Result<&'b [u8], Refused>,
}

/// Cuts a file into messages. After a broken frame nothing more is found.
pub fn messages<'b>(file: &'b [u8], framing: Framing) -> Vec<Raw<'b>> {
    let whole = |at, bytes| Raw { at, bytes: Ok(bytes) };
    match framing {
        Framing::One => vec![whole(0, file)],
        Framing::Lines => {
            let mut at = 0;
            let lines = file.split(|byte| *byte == b'\n').map(|line| {
                let begins = at;
                at += line.len() + 1;
                whole(begins, line.strip_suffix(b"\r").unwrap_or(line))
            });
            lines.filter(|raw| raw.bytes.as_ref().is_ok_and(|bytes| !bytes.is_empty())).collect()
        }
        Framing::LengthBinary => {
            framed(file, 2, |bytes| Some(usize::from(bytes[0]) << 8 | usize::from(bytes[1])))
        }
        Framing::LengthDigits => framed(file, 4, decimal),
    }
}

fn framed<'b>(file: &'b [u8], header: usize, length: impl Fn(&[u8]) -> Option<usize>) -> Vec<Raw<'b>> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let refused = |refusal, expected: &str| Err(Refused::new(refusal, Place::Byte(at), "", expected));
        let body = at + header;
        let length = file.get(at..body).map(&length);
        let bytes = match length {
            None => refused(Refusal::Truncated, "it ends within the length of a message"),
            Some(None | Some(0)) => refused(Refusal::ElementLength, "the length of a message is expected"),
            Some(Some(length)) => match file.get(body..body + length) {
                Some(bytes) => Ok(bytes),
                None => refused(Refusal::Truncated, "the message is shorter than its frame says"),
            },
        };
        let next = body + bytes.as_ref().map_or(0, |bytes| bytes.len());
        let broken = bytes.is_err();
        all.push(Raw { at: if broken { at } else { body }, bytes });
        if broken {
            break;
        }
        at = next;
    }
    all
}

fn decimal(bytes: &[u8]) -> Option<usize> {
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + usize::from(byte - b'0')))
}

/// The type of a message: version, class, function, origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mti(pub [u8; 4]);

impl Mti {
    /// Its digits.
    pub fn text(self) -> String {
        self.0.iter().map(|digit| char::from(*digit)).collect()
    }

    /// The type without the mark of a repeat: 0101 repeats 0100.
    #[must_use]
    pub fn first_time(self) -> Self {
        let [version, class, function, origin] = self.0;
        Self([version, class, function, if origin <= b'5' { origin & !1 } else { origin }])
    }

    /// The type of the answer to it.
    #[must_use]
    pub fn answer(self) -> Self {
        let [version, class, function, origin] = self.first_time().0;
        Self([version, class, function + 1, origin])
    }
}

/// One element: what stands there, and where.
pub struct Element {
    /// From 2 to 128.
    pub number: usize,
    /// Bytes from the beginning of the file.
    pub at: usize,
    /// What stands there, as text; bits as hexadecimal digits.
    pub value: Personal,
}

/// A message that was read whole.
pub struct Message {
    /// Its type.
    pub mti: Mti,
    /// Where it begins.
    pub at: usize,
    /// Its elements, by number.
    pub elements: Vec<Element>,
}

impl Message {
    /// An element, where the message has it and it is not empty.
    pub fn get(&self, number: usize) -> Option<&str> {
        let element = self.elements.iter().find(|element| element.number == number)?;
        Some(element.value.expose()).filter(|value| !value.trim().is_empty())
    }

    /// Where an element stands; the message itself where it is absent.
    pub fn place(&self, number: usize) -> Place {
        let element = self.elements.iter().find(|element| element.number == number);
        Place::Byte(element.map_or(self.at, |element| element.at))
    }
}

/// The type alone: what can be said of a message that cannot be read to its end.
pub fn mti(bytes: &[u8], at: usize, layout: &Layout) -> Result<Mti, Refused> {
    Cursor { bytes, at: 0, base: at }.mti(layout)
}

/// Reads a message.
pub fn read(bytes: &[u8], at: usize, layout: &Layout) -> Result<Message, Refused> {
    let mut cursor = Cursor { bytes, at: 0, base: at };
    let mti = cursor.mti(layout)?;
    let mut present = cursor.bitmap(layout, 0)?;
    if present.contains(&1) {
        present.extend(cursor.bitmap(layout, 64)?);
    }
    let mut elements = Vec::with_capacity(present.len());
    for number in present.into_iter().filter(|number| *number != 1) {
        let begins = cursor.place();
        let Some(format) = layout.element(number) else {
            let expected = "after it nothing can be found";
            return Err(Refused::new(Refusal::UnknownElement, begins, number.to_string(), expected));
        };
        let value = cursor.element(number, format, layout)?;
        let Place::Byte(at) = begins else { unreachable!("a cursor counts bytes") };
        elements.push(Element { number, at, value });
    }
    if cursor.at < bytes.len() {
        return Err(Refused::new(Refusal::TrailingBytes, cursor.place(), "", ""));
    }
    Ok(Message { mti, at, elements })
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Where the message begins in the file.
    base: usize,
}

impl<'b> Cursor<'b> {
    fn place(&self) -> Place {
        Place::Byte(self.base + self.at)
    }

    fn take(&mut self, count: usize, element: &str) -> Result<&'b [u8], Refused> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..count) else {
            let expected = format!("{count} bytes are expected here, {} are left", rest.len());
            return Err(Refused::new(Refusal::Truncated, self.place(), element, &expected));
        };
        self.at += count;
        Ok(taken)
    }

    fn mti(&mut self, layout: &Layout) -> Result<Mti, Refused> {
        let at = self.place();
        let refused = |expected| Err(Refused::new(Refusal::NotIso8583, at, "", expected));
        let Ok(digits) = self.digits(4, layout.mti, "") else {
            return refused("a message type of four digits is expected");
        };
        let mti = <[u8; 4]>::try_from(digits.expose().as_bytes()).map(Mti);
        let Ok(mti) = mti else { return refused("a message type of four digits is expected") };
        if char::from(mti.0[0]) != layout.version {
            return Err(Refused::new(Refusal::Version, at, "", "another first digit than the layout's"));
        }
        Ok(mti)
    }

    /// The numbers of the elements that a bit map names.
    fn bitmap(&mut self, layout: &Layout, first: usize) -> Result<Vec<usize>, Refused> {
        let which = if first == 0 { "bit map" } else { "1" };
        let bits = self.bits(64, layout.bitmap, which)?;
        let digits = bits.expose().bytes().map(|digit| char::from(digit).to_digit(16).unwrap_or(0));
        let named = digits.enumerate().flat_map(|(at, digit)| {
            (0..4).filter(move |bit| digit & (8 >> bit) != 0).map(move |bit| first + at * 4 + bit + 1)
        });
        Ok(named.filter(|number| *number <= ELEMENT_MAX).collect())
    }

    fn element(&mut self, number: usize, format: Format, layout: &Layout) -> Result<Personal, Refused> {
        let name = number.to_string();
        let length = self.length(&name, format, layout)?;
        match format.characters {
            Characterset::Bits => self.bits(length, layout.binary, &name),
            Characterset::Numeric => self.digits(length, layout.numeric, &name),
            Characterset::Signed => {
                let at = self.place();
                // The sign is a character, whatever digits are.
                let characters =
                    if layout.numeric == Digits::Ebcdic { Characters::Ebcdic } else { Characters::Ascii };
                let sign = self.characters(1, characters, &name, &|sign| matches!(sign, 'C' | 'D'));
                let sign = sign.map_err(|refused| Refused {
                    expected: "C or D is expected before its digits".to_owned(),
                    place: at,
                    ..refused
                })?;
                let digits = self.digits(length, layout.numeric, &name)?;
                Ok(Personal::from(format!("{}{}", sign.expose(), digits.expose())))
            }
            Characterset::Text { letters, digits, signs } => {
                self.characters(length, layout.text, &name, &|one| match one {
                    ' ' => true,
                    'a'..='z' | 'A'..='Z' => letters,
                    '0'..='9' => digits,
                    _ => signs,
                })
            }
            Characterset::Track => self.characters(length, layout.track, &name, &|one| {
                // ISO/IEC 7813: digits and the separator; `D` is the separator of packed ones.
                matches!(one, '0'..='9' | '=' | ':' | ';' | '<' | '>' | '?' | 'D' | 'd')
            }),
        }
    }

    /// The length of an element: what stands in front of it, or what its format says.
    fn length(&mut self, name: &str, format: Format, layout: &Layout) -> Result<usize, Refused> {
        if format.length_digits == 0 {
            return Ok(format.length_max);
        }
        let at = self.place();
        let refused = |expected: &str| Refused::new(Refusal::ElementLength, at, name, expected);
        let length = match layout.length {
            Digits::Hex => {
                let mut digits = 1;
                while 16usize.pow(digits as u32) <= format.length_max {
                    digits += 1;
                }
                let text = self.take(digits, name)?;
                text.iter().try_fold(0, |sum, byte| Some(sum * 16 + char::from(*byte).to_digit(16)? as usize))
            }
            Digits::Binary => {
                let bytes = self.take(if format.length_max < 256 { 1 } else { 2 }, name)?;
                Some(bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
            }
            Digits::Ascii | Digits::Ebcdic | Digits::Bcd => {
                let digits = self.digits(format.length_digits, layout.length, name);
                let digits = digits.map_err(|error| match error.refusal {
                    Refusal::Truncated => error,
                    _ => refused("the digits of its length are expected"),
                })?;
                decimal(digits.expose().as_bytes())
            }
        };
        let length = length.ok_or_else(|| refused("the digits of its length are expected"))?;
        if length > format.length_max {
            return Err(refused(&format!("at most {} are allowed", format.length_max)));
        }
        Ok(length)
    }

    fn digits(&mut self, count: usize, written: Digits, name: &str) -> Result<Personal, Refused> {
        match written {
            Digits::Bcd => {
                let at = self.place();
                let bytes = self.take(count.div_ceil(2), name)?;
                let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).skip(count % 2);
                let padding = count % 2 == 1 && bytes[0] >> 4 != 0;
                let digits: Option<String> =
                    halves.map(|half| (half < 10).then(|| char::from(b'0' + half))).collect();
                digits.filter(|_| !padding).map(Personal::from).ok_or_else(|| {
                    Refused::new(
                        Refusal::ElementForm,
                        at,
                        name,
                        &format!("{count} packed digits are expected"),
                    )
                })
            }
            Digits::Ebcdic => self.characters(count, Characters::Ebcdic, name, &|one| one.is_ascii_digit()),
            Digits::Ascii | Digits::Hex | Digits::Binary => {
                self.characters(count, Characters::Ascii, name, &|one| one.is_ascii_digit())
            }
        }
    }

    fn characters(
        &mut self,
        count: usize,
        written: Characters,
        name: &str,
        legal: &dyn Fn(char) -> bool,
    ) -> Result<Personal, Refused> {
        let begins = self.base + self.at;
        let bytes = self.take(count, name)?;
        let mut text = String::with_capacity(count);
        for (at, byte) in bytes.iter().enumerate() {
            match written.character(*byte).filter(|one| legal(*one)) {
                Some(one) => text.push(one),
                None => {
                    drop(Personal::from(text));
                    let expected = "a character of another kind is expected here";
                    let place = Place::Byte(begins + at);
                    return Err(Refused::new(Refusal::ElementForm, place, name, expected));
                }
            }
        }
        Ok(text.into())
    }

    /// Bits as hexadecimal digits; fewer than eight fill a digit, or a byte, from the left.
    fn bits(&mut self, count: usize, written: Bits, name: &str) -> Result<Personal, Refused> {
        match written {
            Bits::Hex => {
                self.characters(count.div_ceil(4), Characters::Ascii, name, &|one| one.is_ascii_hexdigit())
            }
            Bits::Binary => {
                let bytes = self.take(count.div_ceil(8), name)?;
                Ok(bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into())
            }
        }
    }
}
