//! The last hour, second by second.

use super::second::Second;
use std::collections::VecDeque;

/// Seconds that are kept.
pub(super) const KEPT: usize = 3_600;

/// What the last seconds saw, the oldest first.
#[derive(Default)]
pub(super) struct Past(VecDeque<Second>);

impl Past {
    pub(super) fn push(&mut self, second: Second) {
        while self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(second);
    }

    pub(super) fn last(&self) -> Option<&Second> {
        self.0.back()
    }

    /// The last seconds in so many points at most, each of as many seconds as the others, but for the first.
    pub(super) fn points(&self, seconds: usize, most: usize) -> Vec<Second> {
        let seconds = seconds.min(self.0.len());
        let each = seconds.div_ceil(most.max(1)).max(1);
        let (first, rest) = (seconds % each, seconds / each);
        let mut from = self.0.iter().skip(self.0.len() - seconds);
        let mut points = Vec::with_capacity(rest + 1);
        for length in
            std::iter::once(first).chain(std::iter::repeat_n(each, rest)).filter(|length| *length > 0)
        {
            let mut point = from.next().cloned().unwrap_or_default();
            from.by_ref().take(length - 1).for_each(|second| point.join(second));
            points.push(point);
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_is_in_one_point_and_the_oldest_go() {
        let mut past = Past::default();
        for at in 0..KEPT as u64 + 100 {
            past.push(Second { at_ms: at as i64, took_ms: 1, records: at, ..Second::default() });
        }
        for (seconds, most) in
            [(60, 300), (61, 60), (300, 300), (3_600, 300), (3_601, 7), (1, 1), (0, 10), (99_999, 0)]
        {
            let points = past.points(seconds, most);
            let kept = seconds.min(KEPT) as u64;
            assert!(points.len() <= most.max(1) + 1, "{seconds} in {most}: {}", points.len());
            assert_eq!(points.iter().map(|point| point.took_ms).sum::<u64>(), kept, "{seconds} in {most}");
            let newest = KEPT as u64 + 99;
            assert_eq!(
                points.iter().map(|point| point.records).sum::<u64>(),
                (newest + 1 - kept..=newest).sum::<u64>()
            );
            assert!(points.is_sorted_by_key(|point| point.at_ms));
        }
    }
}
