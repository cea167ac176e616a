//! The clock of the benchmarks, in one place.

use sparr_protocol::time::Timestamp;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The steady clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
pub fn now() -> Instant {
    Instant::now()
}

/// The machine's own time: what an engine judges expiry and windows by.
#[expect(clippy::disallowed_methods, reason = "what is planted must be valid on the engine's own clock")]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(since.as_millis() as i64)
}

/// What something gives, and how many nanoseconds it took.
pub fn clocked<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let start = now();
    let given = run();
    (given, start.elapsed().as_nanos() as f64)
}

/// Nanoseconds of one call, of so many.
pub fn timed(calls: usize, run: impl FnOnce()) -> f64 {
    clocked(run).1 / calls as f64
}
