//! From when on the windows of a key are whole: what a new rule set may rely on of what an older one had kept.

use super::spec::{KeyPlan, Measure, ReadingSpec};
use crate::pack::pack_fields;
use sparr_protocol::time::Timestamp;

/// Since when each window of one key has been observed without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What is counted in windows.
    events: Reach,
    /// When keys were first seen.
    firsts: Timestamp,
    /// End of the last time in which nothing was observed, where what was known before it is still there.
    gap_until: Timestamp,
    /// Whether it was known before this engine was started: then its start is no beginning.
    is_restored: bool,
}

/// Windows up to a length are whole since one time, longer ones since a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reach {
    since: Timestamp,
    /// Longest window that is whole since then, ms.
    up_to_ms: i64,
    /// Since when longer windows are whole.
    longer_since: Timestamp,
}

pack_fields!(Reach { since, up_to_ms, longer_since });
pack_fields!(Observed { events, firsts, gap_until, is_restored });

impl Observed {
    /// Everything since one time.
    pub const fn since(time: Timestamp) -> Self {
        let reach = Reach { since: time, up_to_ms: i64::MAX, longer_since: time };
        Self { events: reach, firsts: time, gap_until: Timestamp::MIN, is_restored: false }
    }

    /// The same after a restart at `now`. `lost` says whether events of before are missing: then windows begin to fill
    /// anew, with what is known of them, and keys that come up from now on may have come up in between.
    #[must_use]
    pub fn restored(self, lost: bool, now: Timestamp) -> Self {
        if !lost {
            return Self { is_restored: true, ..self };
        }
        let events = Reach { since: now, up_to_ms: i64::MAX, longer_since: now };
        Self { events, firsts: self.firsts, gap_until: now, is_restored: true }
    }

    /// The same after a kill where everything was observed again but what came right before it: until `gap_until`.
    #[must_use]
    pub fn restored_until(self, gap_until: Timestamp) -> Self {
        let missing = |since: Timestamp| since.max(gap_until);
        let Reach { since, up_to_ms, longer_since } = self.events;
        let events = Reach { since: missing(since), up_to_ms, longer_since: missing(longer_since) };
        Self { events, firsts: self.firsts, gap_until, is_restored: true }
    }

    /// The same, said without the engine's own start.
    #[must_use]
    pub fn from(self, began: Timestamp) -> Self {
        if self.is_restored {
            return self;
        }
        let Reach { since, up_to_ms, longer_since } = self.events;
        let events = Reach { since: since.max(began), up_to_ms, longer_since: longer_since.max(began) };
        Self { events, firsts: self.firsts.max(began), ..self }
    }

    /// Whether the time at which this engine was started is of no importance.
    pub fn is_restored(&self) -> bool {
        self.is_restored
    }

    /// Whether a key that was first seen at this time may have been seen before, while nothing was observed; `at` is the
    /// end of a window of this length.
    pub fn may_have_missed(&self, first: Timestamp, at: Timestamp, span_ms: i64) -> bool {
        first >= self.gap_until && at.ms_since(self.gap_until) < span_ms
    }

    /// What a new plan may rely on, where an older one of the same key has been observed so far.
    ///
    /// The older plan's records were forgotten when none of its windows needed them, so longer windows begin now.
    #[must_use]
    pub fn carried(self, old: &KeyPlan, new: &KeyPlan, now: Timestamp) -> Self {
        Self {
            events: self.events.carried(old.horizon_ms, new.horizon_ms, now),
            // With another length, other pauses would have counted.
            firsts: if old.first_seen_ms == new.first_seen_ms { self.firsts } else { now },
            gap_until: self.gap_until,
            is_restored: self.is_restored,
        }
    }

    /// When what a reading asks for will have been observed for its whole length; `began` is the engine's own start.
    pub fn full_at(&self, spec: &ReadingSpec, began: Timestamp) -> Timestamp {
        let began = if self.is_restored { Timestamp::MIN } else { began };
        self.of(spec).max(began).saturating_add_ms(spec.span_ms)
    }

    /// Since when what a reading asks for has been observed.
    pub fn of(&self, spec: &ReadingSpec) -> Timestamp {
        match spec.measure {
            Measure::FirstSeen => self.firsts,
            Measure::Count | Measure::Sum | Measure::Max | Measure::Distinct(_) | Measure::Marked(_) => {
                self.events.of(spec.span_ms)
            }
        }
    }
}

impl Reach {
    fn of(&self, span_ms: i64) -> Timestamp {
        if span_ms <= self.up_to_ms { self.since } else { self.longer_since }
    }

    fn carried(self, old_ms: i64, new_ms: i64, now: Timestamp) -> Self {
        // Longer windows of the old plan that have filled since are as good as the others.
        let filled = now.ms_since(self.longer_since) >= old_ms;
        let (since, up_to_ms) =
            if filled { (self.longer_since, old_ms) } else { (self.since, self.up_to_ms.min(old_ms)) };
        // What the new plan does not keep is gone for every plan after it.
        let up_to_ms = up_to_ms.min(new_ms);
        if new_ms <= old_ms && !filled {
            return Self { since, up_to_ms, longer_since: self.longer_since };
        }
        Self { since, up_to_ms, longer_since: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const fn at(hours: i64) -> Timestamp {
        Timestamp::from_ms(hours * HOUR)
    }

    #[test]
    fn a_longer_window_begins_when_it_is_asked_for_and_a_shorter_one_goes_on() {
        let began = Reach { since: at(0), up_to_ms: i64::MAX, longer_since: at(0) };
        let longer = began.carried(HOUR, 24 * HOUR, at(100));
        assert_eq!((longer.of(HOUR), longer.of(24 * HOUR)), (at(0), at(100)));
        // A reload before it has filled changes nothing, neither does a shorter set in between help.
        let again = longer.carried(24 * HOUR, 24 * HOUR, at(110));
        assert_eq!((again.of(HOUR), again.of(24 * HOUR)), (at(0), at(100)));
        let shorter = longer.carried(24 * HOUR, HOUR, at(110));
        assert_eq!(shorter.of(HOUR), at(0));
        assert_eq!(shorter.carried(HOUR, 24 * HOUR, at(111)).of(24 * HOUR), at(111), "forgotten meanwhile");
        // Once it has filled, it is whole for whoever asks next.
        let filled = longer.carried(24 * HOUR, 48 * HOUR, at(130));
        assert_eq!((filled.of(24 * HOUR), filled.of(48 * HOUR)), (at(100), at(130)));
    }
}
