//! Points in time as they travel: milliseconds since the Unix epoch, and civil dates. No clock is read here.

use std::fmt;

const DAY_MS: i64 = 86_400_000;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest point in time that can be written.
    pub const MIN: Self = Self(i64::MIN);

    /// From milliseconds since the Unix epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This time moved by `ms` milliseconds; stays at the ends of the range instead of wrapping.
    pub const fn saturating_add_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time, negative where `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The civil date of this time in UTC.
    pub const fn date(self) -> Date {
        Date::from_days(self.0.div_euclid(DAY_MS))
    }
}

/// A civil (Gregorian) date. It may be impossible, such as 30 February: see [`Date::is_real`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Year, 0–9999.
    pub year: u16,
    /// Month, 1–12 in a real date.
    pub month: u8,
    /// Day of the month, 1–31 in a real date.
    pub day: u8,
}

impl Date {
    /// A date, unchecked.
    pub const fn new(year: u16, month: u8, day: u8) -> Self {
        Self { year, month, day }
    }

    /// Whether the calendar has this date.
    pub const fn is_real(self) -> bool {
        self.month >= 1
            && self.month <= 12
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
    }

    /// The time at which this date begins in UTC. The date must be real.
    pub const fn start_utc(self) -> Timestamp {
        Timestamp(self.days() * DAY_MS)
    }

    /// Days since 1970-01-01, by the era arithmetic of H. Hinnant, "chrono-compatible low-level date algorithms".
    const fn days(self) -> i64 {
        let (year, month, day) = (self.year as i64, self.month as i64, self.day as i64);
        let shifted_year = if month <= 2 { year - 1 } else { year };
        let era = shifted_year.div_euclid(400);
        let year_of_era = shifted_year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// The inverse of [`Date::days`], from the same source; years outside 0–9999 stay at the ends.
    const fn from_days(days: i64) -> Self {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8;
        let month = (if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 }) as u8;
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        if year < 0 {
            Self::new(0, 1, 1)
        } else if year > 9_999 {
            Self::new(9_999, 12, 31)
        } else {
            Self::new(year as u16, month, day)
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_from_1800_to_2199_follows_the_day_before() {
        let mut days = Date::new(1800, 1, 1).days();
        for year in 1800..2200 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let date = Date::new(year, month, day);
                    if date.is_real() {
                        assert_eq!((date.days(), Date::from_days(days)), (days, date));
                        days += 1;
                    }
                }
            }
        }
        assert_eq!(Timestamp::from_ms(0).date(), Date::new(1970, 1, 1));
        assert_eq!(Timestamp::from_ms(-1).date(), Date::new(1969, 12, 31));
        assert_eq!(Date::new(2018, 4, 1).start_utc(), Timestamp::from_ms(1_522_540_800_000));
        assert_eq!(Timestamp::from_ms(i64::MAX).date(), Date::new(9_999, 12, 31));
    }
}
