//! When each request is meant to be sent.

/// A constant rate for a number of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Requests per second, at least one.
    pub per_second: u64,
    /// Requests.
    pub requests: u64,
}

/// Steps that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    steps: Vec<Step>,
}

const SECOND_NS: u128 = 1_000_000_000;

impl Schedule {
    /// One rate for so many seconds.
    pub fn constant(per_second: u64, seconds: u64) -> Self {
        Self::stepped(&[per_second], seconds)
    }

    /// Several rates, each for so many seconds, in this order.
    pub fn stepped(rates: &[u64], seconds_each: u64) -> Self {
        let step = |rate: &u64| {
            let per_second = (*rate).max(1);
            Step { per_second, requests: per_second * seconds_each }
        };
        Self { steps: rates.iter().map(step).collect() }
    }

    /// One rate for so many requests.
    pub fn of_requests(per_second: u64, requests: u64) -> Self {
        Self { steps: vec![Step { per_second: per_second.max(1), requests }] }
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Requests in all.
    pub fn requests(&self) -> u64 {
        self.steps.iter().map(|step| step.requests).sum()
    }

    /// When each request is meant to be sent, ns after the start.
    pub fn intended_ns(&self) -> impl Iterator<Item = u64> {
        let mut start = 0u128;
        self.steps.iter().flat_map(move |step| {
            let (began, per_second) = (start, u128::from(step.per_second));
            start += u128::from(step.requests) * SECOND_NS / per_second;
            (0..step.requests).map(move |number| (began + u128::from(number) * SECOND_NS / per_second) as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_without_a_gap_and_without_drift() {
        let schedule = Schedule::stepped(&[3, 1_000, 7], 2);
        let times: Vec<u64> = schedule.intended_ns().collect();
        assert_eq!(times.len() as u64, schedule.requests());
        assert_eq!(times[..4], [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(times[6..8], [2_000_000_000, 2_001_000_000]);
        assert_eq!(times[2_006], 4_000_000_000, "2,000 requests later, exactly two seconds");
        assert!(times.is_sorted());
    }
}
