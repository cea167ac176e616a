//! A Nordic provider's day: how much of it falls into each hour.

/// Parts of a thousand of a day's payments by hour of local time: shops open at eight, lunch, the way home, an evening
/// of web shops, a quiet night. Shaped after the daily curves that card schemes and central banks publish; the exact
/// numbers are ours.
pub const HOURS_PER_MILLE: [u64; 24] =
    [8, 5, 4, 3, 4, 8, 18, 33, 47, 53, 58, 68, 78, 66, 62, 66, 76, 82, 72, 58, 49, 40, 27, 15];

const HOUR_NS: u64 = 3_600_000_000_000;

/// Walks through one day so that a given number of payments fall into it.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    payments: u64,
    /// Since midnight.
    ns: u64,
}

impl Day {
    pub(crate) fn new(payments: u64) -> Self {
        Self { payments: payments.max(1), ns: 0 }
    }

    /// When the next payment happens, ms since midnight. After the last hour the curve begins again.
    pub(crate) fn next_ms(&mut self) -> u64 {
        let now = self.ns;
        let hour = (now / HOUR_NS % 24) as usize;
        self.ns += HOUR_NS * 1_000 / (self.payments * HOURS_PER_MILLE[hour]).max(1);
        now / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_holds_its_payments_in_the_shares_of_its_hours() {
        assert_eq!(HOURS_PER_MILLE.iter().sum::<u64>(), 1_000);
        let mut day = Day::new(200_000);
        let mut hours = [0u64; 24];
        let last = (0..200_000)
            .map(|_| day.next_ms())
            .inspect(|ms| hours[(ms / 3_600_000) as usize % 24] += 1)
            .last();
        assert!((86_380_000..86_420_000).contains(&last.expect("one")), "{last:?}");
        for (hour, share) in HOURS_PER_MILLE.iter().enumerate() {
            assert!(hours[hour].abs_diff(share * 200) <= 2, "hour {hour}: {}", hours[hour]);
        }
    }
}
