//! Who asks, when, and since when the question has waited.

use crate::ids::CallerNo;
use crate::state::Moment;

/// How long ago the request's bytes were read: the shell's clock, as seen from here.
pub trait Stopwatch {
    /// Microseconds since then.
    fn elapsed_us(&self) -> u32;
}

/// A stopwatch that stands still, for tests and benchmarks.
pub struct Stopped;

impl Stopwatch for Stopped {
    fn elapsed_us(&self) -> u32 {
        0
    }
}

/// Who asks, when, and since when the request has waited.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The calling member.
    pub caller: CallerNo,
    /// The time.
    pub moment: Moment,
    /// Since the request's bytes were read.
    pub since_read: &'a dyn Stopwatch,
    /// Whether there is no time for shadow rules.
    pub without_shadow: bool,
}
