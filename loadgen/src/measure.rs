//! What a run's times come to: percentiles, windows, and whether the run may be believed.

use crate::open_loop::{NEVER, Run};
use hdrhistogram::Histogram;
use std::ops::Range;

/// Length of a window, ns: 200 ms, as in the goals of `benches/BUDGET.md`.
pub const WINDOW_NS: u64 = 200_000_000;

/// Longest time that is told apart, ns.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// A histogram of times in ns, to three digits.
pub fn histogram() -> Histogram<u64> {
    // The bounds are constants that the crate accepts.
    let Ok(histogram) = Histogram::new_with_bounds(1, LONGEST_NS, 3) else { unreachable!("constant bounds") };
    histogram
}

/// The requests of one window, by their intended times.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// Its start, ns after the run's.
    pub start_ns: u64,
    /// Answers to requests that were meant to be sent in it.
    pub answers: u64,
    /// Percentiles of their latency, ns.
    pub p50_ns: u64,
    /// See above.
    pub p99_ns: u64,
    /// See above.
    pub max_ns: u64,
}

/// Times of a run, or of a part of one.
#[derive(Clone, Debug)]
pub struct Measured {
    /// From the intended time to the answer.
    pub latency: Histogram<u64>,
    /// How late the generator itself was.
    pub lateness: Histogram<u64>,
    /// Windows of 200 ms.
    pub windows: Vec<Window>,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Packets that the generator's side holds to be lost, in the whole run.
    pub packets_lost: u64,
}

impl Measured {
    /// Of the requests with these numbers.
    pub fn of(run: &Run, numbers: Range<usize>) -> Self {
        let (mut latency, mut lateness) = (histogram(), histogram());
        let (mut windows, mut inside, mut unanswered) = (Vec::new(), Vec::new(), 0);
        let mut window = None;
        for number in numbers {
            lateness.saturating_record(run.lateness_ns[number]);
            let of = run.intended_ns[number] / WINDOW_NS;
            if let Some(current) = window.replace(of).filter(|current| *current != of) {
                windows.extend(close(current, &mut inside));
            }
            match run.latency_ns[number] {
                NEVER => unanswered += 1,
                ns => {
                    latency.saturating_record(ns);
                    inside.push(ns);
                }
            }
        }
        windows.extend(window.and_then(|current| close(current, &mut inside)));
        Self { latency, lateness, windows, unanswered, packets_lost: run.traffic.packets_lost }
    }

    /// A percentile of the latency, µs.
    pub fn latency_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }

    /// A percentile of the generator's lateness, µs.
    pub fn lateness_us(&self, quantile: f64) -> f64 {
        self.lateness.value_at_quantile(quantile) as f64 / 1e3
    }

    /// The median over the windows of the window's p99, µs: what the goals are about, because a shared machine's own
    /// pauses decide the p99 of a whole run.
    pub fn w99_us(&self) -> f64 {
        let mut all: Vec<u64> = self.windows.iter().map(|window| window.p99_ns).collect();
        all.sort_unstable();
        all.get(all.len() / 2).map_or(0.0, |ns| *ns as f64 / 1e3)
    }

    /// Why the figures may not be believed; empty where they may.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let (late, p99) = (self.lateness_us(0.99), self.latency_us(0.99));
        if late > p99 * LATENESS_SHARE_MAX {
            doubts.push(format!(
                "the generator was late: p99 {late:.0} µs, more than {:.0} % of the latency's {p99:.0} µs",
                LATENESS_SHARE_MAX * 100.0
            ));
        }
        if self.packets_lost > 0 {
            doubts.push(format!("{} packets were lost on the way to the engine", self.packets_lost));
        }
        doubts
    }
}

/// Above this share of the latency's p99, the generator's own lateness (p99) spoils a run.
pub const LATENESS_SHARE_MAX: f64 = 0.05;

fn close(window: u64, latencies: &mut Vec<u64>) -> Option<Window> {
    latencies.sort_unstable();
    let at = |quantile: f64| {
        let rank = (latencies.len() as f64 * quantile).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).copied()
    };
    let closed = Window {
        start_ns: window * WINDOW_NS,
        answers: latencies.len() as u64,
        p50_ns: at(0.5)?,
        p99_ns: at(0.99)?,
        max_ns: at(1.0)?,
    };
    latencies.clear();
    Some(closed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// 1,000 requests in a second: each answered after its number in µs, every tenth never.
    fn run(lateness_ns: u64) -> Run {
        Run {
            intended_ns: (0..1_000).map(|number| number * 1_000_000).collect(),
            lateness_ns: vec![lateness_ns; 1_000],
            latency_ns: (0..1_000)
                .map(|number| if number % 10 == 9 { NEVER } else { (number + 1) * 1_000 })
                .collect(),
            took: Duration::from_secs(1),
            ..Run::default()
        }
    }

    #[test]
    fn percentiles_windows_and_unanswered_are_counted() {
        let measured = Measured::of(&run(1_000), 0..1_000);
        assert_eq!((measured.unanswered, measured.latency.len()), (100, 900));
        assert_eq!(measured.windows.len(), 5);
        let first = measured.windows[0];
        assert_eq!((first.answers, first.p50_ns, first.max_ns), (180, 99_000, 199_000));
        assert_eq!(first.p99_ns, 198_000, "the 179th of 180");
        assert_eq!(measured.w99_us(), 598.0, "the third of five windows");
        assert!(measured.doubts().is_empty(), "{:?}", measured.doubts());
        let second_half = Measured::of(&run(1_000), 500..1_000);
        assert_eq!((second_half.latency.len(), second_half.windows.len()), (450, 3));
    }

    #[test]
    fn a_late_generator_and_a_lost_packet_spoil_a_run() {
        let late = Measured::of(&run(60_000), 0..1_000);
        assert!(late.doubts()[0].starts_with("the generator was late: p99 60 µs"), "{:?}", late.doubts());
        let mut lossy = run(1_000);
        lossy.traffic.packets_lost = 2;
        assert_eq!(Measured::of(&lossy, 0..1_000).doubts().len(), 1);
    }
}
