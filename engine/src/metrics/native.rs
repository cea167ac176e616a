//! Native histograms: the buckets of a Prometheus that asks for them (protobuf, `--enable-feature=native-histograms`), for
//! percentiles within a step of 9 % instead of within the bounds of a few classic buckets.

use hdrhistogram::Histogram;
use prometheus_client::encoding::{NativeHistogram, NativeHistogramBuckets};

/// Bounds are powers of two to the 1/8. What lies beneath is within 1 %, so a value is one bucket off at most.
const SCHEMA: i32 = 3;

/// Buckets as they are sent: runs of neighbours, and each count as its difference from the one before.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Native {
    /// Values of zero.
    zero: u64,
    /// Where a run begins, counted from the end of the one before, and how long it is.
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
}

impl Native {
    /// Of a histogram of nanoseconds, in seconds.
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let mut native = Self::default();
        let mut last: Option<(i32, u64)> = None;
        // In the order of the values, so that a bucket is whole when the next one begins.
        for step in histogram.iter_recorded() {
            let (value, count) = (step.value_iterated_to(), step.count_since_last_iteration());
            if value == 0 {
                native.zero += count;
                continue;
            }
            let bucket = bucket(value);
            match &mut last {
                Some((at, sum)) if *at == bucket => *sum += count,
                last => native.take(last.replace((bucket, count))),
            }
        }
        native.take(last);
        native.differences();
        native
    }

    /// Puts a whole bucket behind those that are there; until the end, counts as they are.
    fn take(&mut self, bucket: Option<(i32, u64)>) {
        let Some((at, count)) = bucket else { return };
        let end = self.spans.iter().fold(0, |end, (offset, length)| end + offset + *length as i32);
        match self.spans.last_mut() {
            Some((_, length)) if end == at => *length += 1,
            _ => self.spans.push((at - end, 1)),
        }
        self.deltas.push(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn differences(&mut self) {
        let mut before = 0;
        for count in &mut self.deltas {
            (before, *count) = (*count, *count - before);
        }
    }

    pub(super) fn as_encoded(&self) -> NativeHistogram<'_> {
        NativeHistogram {
            schema: SCHEMA,
            // Nothing lasts less than a nanosecond but nothing at all.
            zero_threshold: 1e-10,
            zero_count: self.zero,
            negative: NativeHistogramBuckets { spans: &[], deltas: &[] },
            positive: NativeHistogramBuckets { spans: &self.spans, deltas: &self.deltas },
            created: None,
        }
    }
}

/// The bucket of a time: the one whose upper bound, which is part of it, is the least that is not below.
fn bucket(ns: u64) -> i32 {
    // From -239 for a nanosecond to 27 for the longest: the cast keeps it.
    ((ns as f64 / 1e9).log2() * f64::from(1 << SCHEMA)).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::nanoseconds;
    use std::collections::BTreeMap;

    #[test]
    fn every_value_is_in_the_bucket_whose_bounds_hold_it() {
        let mut histogram = nanoseconds();
        let values = [0, 0, 1, 900, 1_000, 60_000, 61_000, 62_000, 1_000_000, 5_000_000, 2_000_000_000];
        values.iter().for_each(|value| histogram.saturating_record(*value));
        let native = Native::of(&histogram);
        assert_eq!(native.zero, 2);
        let (mut at, mut count, mut place, mut found) = (0, 0, 0, BTreeMap::new());
        for (offset, length) in &native.spans {
            at += offset;
            for _ in 0..*length {
                count += native.deltas[place];
                found.insert(at, count);
                (at, place) = (at + 1, place + 1);
            }
        }
        assert_eq!(place, native.deltas.len());
        let mut expected = BTreeMap::new();
        for value in values.iter().filter(|value| **value > 0) {
            // As the histogram beneath rounds it.
            let seconds = histogram.highest_equivalent(*value) as f64 / 1e9;
            let upper = |at: i32| (f64::from(at) / 8.0).exp2();
            let at = (-300..100).find(|at| seconds <= upper(*at)).expect("a bucket");
            *expected.entry(at).or_insert(0) += 1;
        }
        assert_eq!(found, expected);
        assert!(found.values().any(|count| *count > 1) && native.spans.len() > 2, "{native:?}");
        assert_eq!(Native::of(&nanoseconds()), Native::default());
    }
}
