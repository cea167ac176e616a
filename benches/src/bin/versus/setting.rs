//! How long and how often.

use crate::engine::Scale;

/// Of a whole run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Rounds of each side.
    pub(crate) pairs: usize,
    /// Seconds of a round at a rate.
    pub(crate) seconds: u64,
    /// Requests of a round at saturation.
    pub(crate) requests: u64,
    /// What the engine knows under the reference load.
    pub(crate) scale: Scale,
    /// Look-ups of a round of the parts.
    pub(crate) lookups: u64,
}

impl Setting {
    /// Less than three minutes.
    pub(crate) const QUICK: Self = Self {
        pairs: 4,
        seconds: 1,
        requests: 60_000,
        scale: Scale { flags: 100_000, indicators: 10_000, live_keys: 250_000 },
        lookups: 200_000,
    };
    /// As long as the goals ask for.
    pub(crate) const FULL: Self = Self {
        pairs: 10,
        seconds: 4,
        requests: 1_000_000,
        scale: Scale { flags: 10_000_000, indicators: 1_000_000, live_keys: 1_000_000 },
        lookups: 2_000_000,
    };
}
