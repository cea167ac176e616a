//! Money: an integer of minor units, and its currency. Never a floating-point number.

use std::fmt;

/// A currency of ISO 4217, by its numeric code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(u16);

impl Currency {
    /// Swedish krona.
    pub const SEK: Self = Self(752);
    /// Euro.
    pub const EUR: Self = Self(978);

    /// The currency of this ISO 4217 number, if there is one.
    pub fn from_wire(number: u16) -> Option<Self> {
        iso_currency::Currency::from_numeric(number).map(|_| Self(number))
    }

    /// The currency of this three-letter code, upper case.
    pub fn parse(code: &str) -> Option<Self> {
        iso_currency::Currency::from_code(code).map(|currency| Self(currency.numeric()))
    }

    /// The ISO 4217 number.
    pub const fn wire(self) -> u16 {
        self.0
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        iso_currency::Currency::from_numeric(self.0).map_or("???", |currency| currency.code())
    }

    /// Digits after the decimal sign: 2 for the krona, 0 for the yen.
    pub fn exponent(self) -> u32 {
        iso_currency::Currency::from_numeric(self.0).and_then(|c| c.exponent()).unwrap_or(0).into()
    }

    /// Minor units of an amount written in major units: `30000`, `57.16`, `-1.5`. `None` where the text is not a
    /// decimal number, has more decimals than the currency, or does not fit.
    pub fn minor_units(self, major: &str) -> Option<i64> {
        let (negative, unsigned) = match major.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, major),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let exponent = self.exponent() as usize;
        let fraction = fraction.trim_end_matches('0');
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > exponent {
            return None;
        }
        let scaled = fraction.bytes().chain(std::iter::repeat(b'0')).take(exponent);
        let minor = whole
            .bytes()
            .chain(scaled)
            .try_fold(0i64, |sum, digit| sum.checked_mul(10)?.checked_add(i64::from(digit - b'0')))?;
        Some(if negative { -minor } else { minor })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount for people: `300.00 SEK`.
pub fn format_amount(amount_minor: i64, currency: Currency) -> String {
    let exponent = currency.exponent() as usize;
    let digits = format!("{:0width$}", amount_minor.unsigned_abs(), width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len() - exponent);
    let sign = if amount_minor < 0 { "-" } else { "" };
    let point = if exponent == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction} {currency}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_units_become_minor_units_without_rounding() {
        let yen = Currency::parse("JPY").expect("known");
        for (currency, text, minor) in [
            (Currency::SEK, "57.16", Some(5_716)),
            (Currency::SEK, "57.1", Some(5_710)),
            (Currency::SEK, "57", Some(5_700)),
            (Currency::SEK, "57.160", Some(5_716)),
            (Currency::SEK, "-0.05", Some(-5)),
            (Currency::SEK, "57.165", None),
            (Currency::SEK, "57,16", None),
            (Currency::SEK, "", None),
            (Currency::SEK, ".5", None),
            (Currency::SEK, "1e3", None),
            (Currency::SEK, "99999999999999999999", None),
            (yen, "120", Some(120)),
            (yen, "1.5", None),
        ] {
            assert_eq!(currency.minor_units(text), minor, "{text:?} {currency}");
        }
        assert_eq!(format_amount(-5, Currency::SEK), "-0.05 SEK");
        assert_eq!(format_amount(120, yen), "120 JPY");
        assert_eq!(Currency::from_wire(0), None);
        assert_eq!(Currency::parse("sek"), None);
    }
}
