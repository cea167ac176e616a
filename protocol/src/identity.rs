//! Who a subject is: one person, one key.
//!
//! Every legal spelling of a personnummer, samordningsnummer or organisationsnummer becomes one canonical form
//! here, and nowhere else. What does not parse is an error with a reason, never "not flagged": a Swedish gambling
//! licensee was fined because personal numbers in the wrong format meant that self-excluded people were not found.
//!
//! Sources: Skatteverket SKV 704 (personnummer, separator `+` from the year in which a person turns 100) and
//! SKV 707 (samordningsnummer: day + 60; month 00 and day 60 where the date is unknown), Luhn's check digit over
//! the last ten digits, SKV 709 (organisationsnummer: third digit at least 2).

use crate::codes::SubjectKind;
use crate::place::Country;
use crate::time::Date;
use zeroize::Zeroize;

/// Longest canonical form: kind, country, and an identifier of another country.
const CANONICAL_BYTES_MAX: usize = 48;
const FOREIGN_CHARACTERS_MAX: usize = 32;

/// Earliest birth year that a 12-digit number may name. The published test numbers begin in 1890.
const BIRTH_YEAR_MIN: u16 = 1_840;

/// Why a text is no identity. None of the variants carries the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IdentityError {
    /// Not 10 or 12 digits.
    #[error("expected 10 or 12 digits")]
    Length,
    /// Something other than ASCII digits and one separator.
    #[error("expected ASCII digits with at most one - or + before the last four")]
    Character,
    /// An interim number (T-nummer): a letter stands where a digit should. It names nobody for certain.
    #[error("interim number: it has a letter and names nobody for certain")]
    Interim,
    /// The calendar does not have this date, or it lies in the future.
    #[error("the birth date does not exist or lies in the future")]
    Date,
    /// `+` stands before the last four digits of somebody who is under 100.
    #[error("the separator + is for people who turn 100 or are older")]
    Separator,
    /// Serial number 000, which is never issued.
    #[error("serial number 000 is never issued")]
    Serial,
    /// The check digit does not agree.
    #[error("the check digit does not agree")]
    Checksum,
    /// The number is an organisation's where a person's was expected.
    #[error("this is an organisation's number, not a person's")]
    Organisation,
    /// A foreign identifier has no usable characters or too many, or its country is missing.
    #[error("a foreign identifier needs its country and 1 to 32 letters and digits")]
    Foreign,
}

/// A subject in canonical form: the text under which one person or organisation is known everywhere.
///
/// No `Debug`, `Display`, `Clone` or comparison: it goes into the keyed digest and is then wiped.
pub struct Subject {
    canonical: [u8; CANONICAL_BYTES_MAX],
    len: u8,
    birth: Option<Birth>,
}

/// What a Swedish personal number says of its holder's birth: the year, and the rest where it is known.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Birth {
    year: u16,
    month: u8,
    day: u8,
}

impl Subject {
    /// Parses any legal spelling. `today` decides the century of a 10-digit number.
    pub fn parse(
        text: &str,
        kind: SubjectKind,
        country: Option<Country>,
        today: Date,
    ) -> Result<Self, IdentityError> {
        match kind {
            SubjectKind::SePerson => PersonalNumber::parse(text, today).map(Self::person),
            SubjectKind::SeOrganisation => Self::organisation(text, today),
            SubjectKind::Foreign => Self::foreign(text, country),
        }
    }

    /// Parses a Swedish number of either kind: a payee may be a person or an organisation, and no number is both.
    pub fn parse_swedish(text: &str, today: Date) -> Result<Self, IdentityError> {
        Self::organisation(text, today)
    }

    /// The canonical text for the keyed digest: `p:` and 12 digits, `o:` and 10 digits, or `f:`, country, `:` and
    /// the identifier.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical[..usize::from(self.len)]
    }

    /// Whole years of age on `today`, where the subject is a person with a Swedish number. A birth date that is
    /// unknown in part counts as the earliest it can be.
    pub fn age_years(&self, today: Date) -> Option<u8> {
        let birth = self.birth?;
        let had_birthday = (today.month, today.day) >= (birth.month.max(1), birth.day.max(1));
        let years = today.year.saturating_sub(birth.year).saturating_sub(u16::from(!had_birthday));
        u8::try_from(years).ok()
    }

    /// Whether it is of the form that Skatteverket publishes for tests: serial numbers 980 to 999, which are given to
    /// nobody.
    pub fn is_for_tests(&self) -> bool {
        matches!(self.canonical(), [b'p', b':', number @ ..] if number[8..10] == *b"98" || number[8..10] == *b"99")
    }

    fn person(number: PersonalNumber) -> Self {
        let mut subject = Self::from_parts(&[b"p:", &number.digits]);
        subject.birth = Some(number.birth);
        subject
    }

    /// An organisationsnummer; a sole trader's number is the person's own, so that one person stays one key.
    fn organisation(text: &str, today: Date) -> Result<Self, IdentityError> {
        match organisation_digits(text) {
            Ok(Some(digits)) => Ok(Self::from_parts(&[b"o:", &digits])),
            Ok(None) => PersonalNumber::parse(text, today).map(Self::person),
            Err(error) => Err(error),
        }
    }

    /// Letters and digits of another country's identifier, upper case; spaces and `- . /` between them are dropped.
    fn foreign(text: &str, country: Option<Country>) -> Result<Self, IdentityError> {
        let country = country.ok_or(IdentityError::Foreign)?;
        let mut identifier = [0; FOREIGN_CHARACTERS_MAX];
        let mut len = 0;
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                    *identifier.get_mut(len).ok_or(IdentityError::Foreign)? = byte.to_ascii_uppercase();
                    len += 1;
                }
                b' ' | b'-' | b'.' | b'/' => {}
                _ => return Err(IdentityError::Character),
            }
        }
        if len == 0 {
            return Err(IdentityError::Foreign);
        }
        Ok(Self::from_parts(&[b"f:", country.alpha2().as_bytes(), b":", &identifier[..len]]))
    }

    fn from_parts(parts: &[&[u8]]) -> Self {
        let mut subject = Self { canonical: [0; CANONICAL_BYTES_MAX], len: 0, birth: None };
        for part in parts {
            let start = usize::from(subject.len);
            subject.canonical[start..start + part.len()].copy_from_slice(part);
            subject.len += part.len() as u8;
        }
        subject
    }
}

const _: () = assert!(FOREIGN_CHARACTERS_MAX + b"f:SE:".len() <= CANONICAL_BYTES_MAX);

impl Drop for Subject {
    fn drop(&mut self) {
        self.canonical.zeroize();
    }
}

/// The twelve digits of a personnummer or samordningsnummer. Wiped when dropped.
struct PersonalNumber {
    digits: [u8; 12],
    birth: Birth,
}

impl Drop for PersonalNumber {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

impl PersonalNumber {
    fn parse(text: &str, today: Date) -> Result<Self, IdentityError> {
        let Spelling { date: date_digits, separator, last_four } = Spelling::of(text)?;
        let two = |at: usize| (date_digits[at] - b'0') * 10 + (date_digits[at + 1] - b'0');
        let short_year_at = date_digits.len() - 6;
        let (short_year, month, day) = (two(short_year_at), two(short_year_at + 2), two(short_year_at + 4));
        if month >= 20 {
            return Err(IdentityError::Organisation);
        }
        let birth_day = if day > 60 {
            day - 60
        } else if day == 60 {
            0
        } else {
            day
        };
        let year = if date_digits.len() == 8 {
            u16::from(two(0)) * 100 + u16::from(short_year)
        } else {
            century(short_year, (month, birth_day), separator, today)
        };

        let coordination = day >= 60;
        let date_exists =
            if coordination { month <= 12 && day <= 91 } else { Date::new(year, month, day).is_real() };
        let born = (year, month, birth_day);
        if !date_exists || year < BIRTH_YEAR_MIN || born > (today.year, today.month, today.day) {
            return Err(IdentityError::Date);
        }
        if separator == Some(b'+') && today.year - year < 100 {
            return Err(IdentityError::Separator);
        }
        if last_four[..3] == *b"000" {
            return Err(IdentityError::Serial);
        }

        let mut digits = [0; 12];
        let century = (year / 100) as u8;
        digits[..2].copy_from_slice(&[b'0' + century / 10, b'0' + century % 10]);
        digits[2..8].copy_from_slice(&date_digits[short_year_at..]);
        digits[8..].copy_from_slice(last_four);
        let number = Self { digits, birth: Birth { year, month, day: birth_day } };
        if luhn_agrees(&number.digits[2..]) { Ok(number) } else { Err(IdentityError::Checksum) }
    }
}

/// The full year of a 10-digit number: with `+` the latest that makes the person turn 100 this year or earlier,
/// otherwise the latest whose date is not in the future.
fn century(short_year: u8, (month, day): (u8, u8), separator: Option<u8>, today: Date) -> u16 {
    let latest = if separator == Some(b'+') { today.year.saturating_sub(100) } else { today.year };
    let year = latest - (latest - u16::from(short_year)) % 100;
    let future = (year, month, day) > (today.year, today.month, today.day);
    if future { year - 100 } else { year }
}

/// The parts of a written number: all digits, but for the separator.
struct Spelling<'a> {
    /// Six or eight digits.
    date: &'a [u8],
    /// `-` or `+`.
    separator: Option<u8>,
    last_four: &'a [u8; 4],
}

impl<'a> Spelling<'a> {
    fn of(text: &'a str) -> Result<Self, IdentityError> {
        let bytes = text.as_bytes();
        let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
        let Some((rest, last_four)) = bytes.split_last_chunk::<4>() else {
            return Err(if digits(bytes) { IdentityError::Length } else { IdentityError::Character });
        };
        let (date, separator) = match rest.split_last() {
            Some((separator @ (b'-' | b'+'), date)) => (date, Some(*separator)),
            Some(_) | None => (rest, None),
        };
        if !digits(date) {
            return Err(IdentityError::Character);
        }
        if !digits(last_four) {
            let interim = last_four[0].is_ascii_alphabetic() && digits(&last_four[1..]);
            return Err(if interim { IdentityError::Interim } else { IdentityError::Character });
        }
        match date.len() {
            6 | 8 => Ok(Self { date, separator, last_four }),
            _ => Err(IdentityError::Length),
        }
    }
}

/// The ten digits of an organisationsnummer, from `NNNNNN-NNNN`, `NNNNNNNNNN`, the 12-digit form with `16` in front
/// (SKV 709), or the VAT form `SENNNNNNNNNN01`. `None` where the digits are a person's.
fn organisation_digits(text: &str) -> Result<Option<[u8; 10]>, IdentityError> {
    let vat =
        text.strip_prefix("SE").and_then(|rest| rest.strip_suffix("01")).filter(|rest| rest.len() == 10);
    let Spelling { date, separator, last_four } = Spelling::of(vat.unwrap_or(text))?;
    let first_six = match (date.len(), date) {
        (6, six) => six,
        (_, [b'1', b'6', six @ ..]) if six[2] >= b'2' => six,
        _ => return Ok(None),
    };
    if first_six[2] < b'2' {
        // A VAT number has lost the century of a sole trader, so it names two people.
        return if vat.is_some() { Err(IdentityError::Length) } else { Ok(None) };
    }
    if separator == Some(b'+') {
        return Err(IdentityError::Separator);
    }
    let mut digits = [0; 10];
    digits[..6].copy_from_slice(first_six);
    digits[6..].copy_from_slice(last_four);
    if luhn_agrees(&digits) { Ok(Some(digits)) } else { Err(IdentityError::Checksum) }
}

/// Luhn's formula over ASCII digits whose last is the check digit.
pub(crate) fn luhn_agrees(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0');
            if place % 2 == 0 { value } else { value * 2 / 10 + value * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "identity_generated_tests.rs"]
mod generated_tests;
