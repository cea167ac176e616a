//! The only clock. Everything else gets the time as an argument.

use crate::state::Moment;
use sparr_protocol::time::Timestamp;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Sweden is at most two hours ahead of UTC: a child that is born there just after midnight has today's date.
const SWEDEN_AHEAD_MS: i64 = 2 * 3_600_000;

/// The machine's wall clock.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The wall clock and today's date in Sweden.
pub fn moment() -> Moment {
    let now = now();
    Moment { now, today: now.saturating_add_ms(SWEDEN_AHEAD_MS).date(), steady_ms: steady_ms() }
}

/// The steady clock, ms from when it was first asked: one beginning for all of the process.
pub fn steady_ms() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let since = instant().duration_since(*BEGAN.get_or_init(instant));
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A point on the steady clock, for durations.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the steady clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// Whole microseconds since an instant.
pub fn micros_since(start: Instant) -> u32 {
    u32::try_from(instant().duration_since(start).as_micros()).unwrap_or(u32::MAX)
}

/// Nanoseconds between two instants.
pub fn nanos_between(start: Instant, end: Instant) -> u64 {
    u64::try_from(end.duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}
