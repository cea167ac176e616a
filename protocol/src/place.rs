//! Where and what a merchant is: country (ISO 3166-1) and merchant category (ISO 18245).

use std::fmt;
use std::sync::LazyLock;

/// Alpha-2 code by numeric code: the wire carries numbers, people and rules write letters.
static ALPHA2_BY_NUMBER: LazyLock<[Option<&'static str>; 1_000]> = LazyLock::new(|| {
    let mut table = [None; 1_000];
    for country in celes::Country::get_countries() {
        table[country.value] = Some(country.alpha2);
    }
    table
});

/// A country of ISO 3166-1, by its numeric code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country(u16);

impl Country {
    /// The country of this number, if there is one.
    pub fn from_wire(number: u16) -> Option<Self> {
        ALPHA2_BY_NUMBER.get(usize::from(number)).copied().flatten().map(|_| Self(number))
    }

    /// The country of this two-letter code, upper case.
    pub fn parse(alpha2: &str) -> Option<Self> {
        let spelled = alpha2.len() == 2 && alpha2.bytes().all(|byte| byte.is_ascii_uppercase());
        let country = spelled.then(|| celes::Country::from_alpha2(alpha2).ok()).flatten()?;
        u16::try_from(country.value).ok().map(Self)
    }

    /// The numeric code.
    pub const fn wire(self) -> u16 {
        self.0
    }

    /// The two-letter code.
    pub fn alpha2(self) -> &'static str {
        ALPHA2_BY_NUMBER.get(usize::from(self.0)).copied().flatten().unwrap_or("??")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpha2())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpha2())
    }
}

/// A merchant category code (ISO 18245): four decimal digits, checked here and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mcc(u16);

impl Mcc {
    /// A code of four digits, 0000–9999.
    pub const fn from_wire(number: u16) -> Option<Self> {
        if number <= 9_999 { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn wire(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_round_trip_by_number_and_by_letters() {
        let known: Vec<Country> = (0..=u16::MAX).filter_map(Country::from_wire).collect();
        assert_eq!(known.len(), 249 + 1, "ISO 3166-1, and Kosovo as the crate has it");
        for country in known {
            assert_eq!(Country::parse(country.alpha2()), Some(country));
        }
        assert_eq!(Country::parse("SE").map(Country::wire), Some(752));
        for bad in ["se", "SWE", "XX", "", "S"] {
            assert_eq!(Country::parse(bad), None, "{bad:?}");
        }
    }
}
