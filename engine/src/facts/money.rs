//! Exchange rates of a rule set: dated, integer, applied in one place.
//!
//! Sums over several currencies need one base. The rates are part of the rule set, so that a decision can be made
//! again years later with the numbers of its day.

use sparr_protocol::money::Currency;

/// Rates are parts per million: 11.2345 is 11,234,500.
pub const RATE_UNIT: i64 = 1_000_000;

/// A rule set's base currency and what other currencies are worth in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The currency in which sums are kept.
    pub base: Currency,
    /// Currency, and how many base units one unit of it is worth, in [`RATE_UNIT`]s. Sorted by currency.
    per_unit: Vec<(Currency, i64)>,
}

impl Rates {
    /// Rates for a base currency. A rate must be positive; the base itself has none.
    pub fn new(base: Currency, mut per_unit: Vec<(Currency, i64)>) -> Self {
        per_unit.sort();
        Self { base, per_unit }
    }

    /// An amount in minor units of the base currency, rounded towards zero; `None` where no rate is known.
    pub fn to_base(&self, amount_minor: i64, currency: Currency) -> Option<i64> {
        if currency == self.base {
            return Some(amount_minor);
        }
        let at = self.per_unit.binary_search_by_key(&currency, |(known, _)| *known).ok()?;
        let (_, rate) = self.per_unit[at];
        let scaled = i128::from(amount_minor) * i128::from(rate) * 10i128.pow(self.base.exponent());
        i64::try_from(scaled / (i128::from(RATE_UNIT) * 10i128.pow(currency.exponent()))).ok()
    }
}

impl Default for Rates {
    /// Kronor, and no other currency.
    fn default() -> Self {
        Self::new(Currency::SEK, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_converted_across_different_numbers_of_decimals() {
        let yen = Currency::parse("JPY").expect("known");
        let rates = Rates::new(Currency::SEK, vec![(yen, 70_500), (Currency::EUR, 11_234_500)]);
        for (amount, currency, base) in [
            (100, Currency::SEK, Some(100)),
            (100, Currency::EUR, Some(1_123)),
            (1_000, yen, Some(7_050)),
            (100, Currency::parse("USD").expect("known"), None),
            (i64::MAX, Currency::EUR, None),
        ] {
            assert_eq!(rates.to_base(amount, currency), base, "{amount} {currency}");
        }
    }
}
