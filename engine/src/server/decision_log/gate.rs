//! Room in the decision log: whoever answers asks before it answers, so that an answer never says that it is logged and is
//! not. Two atomic numbers, on the way of every request.

use sparr_protocol::time::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Answers that may be on their way to the disk: three seconds of 10,000 a second, some 50 MB.
pub(in crate::server) const WAITING_MAX: usize = 32_768;
/// Of these, kept free for declines and for flagged people.
const RESERVED: usize = WAITING_MAX / 8;
/// How long an answer waits for room at most, where it waits: longer than any sound disk takes.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_micros(200);
/// An answer that finds the log further behind than this says that it is unlogged: it will be written, but not in time.
const BEHIND_MS: i64 = 200;

/// What happens to an answer for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is given, says that it is unlogged, and is counted in a gap.
    Count,
    /// It waits for room.
    Wait,
}

/// Whether an answer will be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Admission {
    /// It has a place.
    Logged,
    /// It has a place, but the disk takes nothing now or is behind: it must not be relied on.
    Doubtful,
    /// It has none, and is counted.
    Unlogged,
}

/// The room.
pub(crate) struct Gate {
    when_full: WhenFull,
    waiting: AtomicUsize,
    /// Since when something has been waiting, and until when everything has been written: the later of both.
    behind_since_ms: AtomicI64,
    failing: AtomicBool,
    missing: AtomicU64,
    missing_from_ms: AtomicI64,
    missing_until_ms: AtomicI64,
    counted: Counted,
}

/// What is told to operators.
#[derive(Default)]
pub(in crate::server) struct Counted {
    /// Answers that reached the disk.
    pub(super) written: AtomicU64,
    /// Answers that are in no log.
    pub(super) dropped: AtomicU64,
    /// Gaps that were written.
    pub(super) gaps: AtomicU64,
    /// Writes that failed.
    pub(super) failures: AtomicU64,
    /// Bytes of all segments.
    pub(super) bytes: AtomicU64,
}

/// The same as plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionLogSize {
    /// Answers that reached the disk.
    pub written: u64,
    /// Answers that are in no log.
    pub dropped: u64,
    /// Gaps that were written.
    pub gaps: u64,
    /// Writes that failed.
    pub failures: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Answers on their way to the disk.
    pub waiting: u64,
}

impl Gate {
    pub(super) fn new(when_full: WhenFull) -> Self {
        Self {
            when_full,
            waiting: AtomicUsize::new(0),
            behind_since_ms: AtomicI64::new(i64::MIN),
            failing: AtomicBool::new(false),
            missing: AtomicU64::new(0),
            missing_from_ms: AtomicI64::new(i64::MAX),
            missing_until_ms: AtomicI64::new(i64::MIN),
            counted: Counted::default(),
        }
    }

    /// Takes a place for an answer. `matters` says that it is a decline or that the person is flagged: for these, places are
    /// kept free that others do not get.
    pub(in crate::server) fn admit(&self, matters: bool, now: Timestamp) -> Admission {
        let admitted =
            self.takes(matters, now) || (self.when_full == WhenFull::Wait && self.waits(matters, now));
        let doubtful = self.failing.load(Ordering::Relaxed) || self.is_behind(now);
        match (admitted, doubtful) {
            (true, false) => Admission::Logged,
            (true, true) => Admission::Doubtful,
            (false, _) => {
                self.misses(1, now);
                Admission::Unlogged
            }
        }
    }

    fn is_behind(&self, now: Timestamp) -> bool {
        now.ms().saturating_sub(self.behind_since_ms.load(Ordering::Relaxed)) > BEHIND_MS
    }

    fn takes(&self, matters: bool, now: Timestamp) -> bool {
        let room = if matters { WAITING_MAX } else { WAITING_MAX - RESERVED };
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            self.behind_since_ms.fetch_max(now.ms(), Ordering::Relaxed);
        }
        if before < room {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// Waits for room as long as the disk takes anything.
    fn waits(&self, matters: bool, now: Timestamp) -> bool {
        let mut waited = Duration::ZERO;
        while waited < PATIENCE && !self.failing.load(Ordering::Relaxed) {
            std::thread::sleep(PAUSE);
            waited += PAUSE;
            if self.takes(matters, now) {
                return true;
            }
        }
        // A log that takes nothing for so long is broken: nobody else waits until it is well again.
        self.failing.store(true, Ordering::Relaxed);
        false
    }

    /// Counts answers that will be in no log.
    pub(in crate::server) fn misses(&self, answers: u64, now: Timestamp) {
        self.missing_from_ms.fetch_min(now.ms(), Ordering::Relaxed);
        self.missing_until_ms.fetch_max(now.ms(), Ordering::Relaxed);
        self.counted.dropped.fetch_add(answers, Ordering::Relaxed);
        self.missing.fetch_add(answers, Ordering::Release);
    }

    /// What is missing since the last time that somebody asked: how many, from when, until when.
    pub(super) fn take_missing(&self) -> Option<(u64, Timestamp, Timestamp)> {
        let missing = self.missing.swap(0, Ordering::Acquire);
        if missing == 0 {
            return None;
        }
        let from = self.missing_from_ms.swap(i64::MAX, Ordering::Relaxed);
        let until = self.missing_until_ms.swap(i64::MIN, Ordering::Relaxed);
        Some((missing, Timestamp::from_ms(from.min(until)), Timestamp::from_ms(until.max(from))))
    }

    /// Gives places back.
    pub(in crate::server) fn releases(&self, answers: usize) {
        self.waiting.fetch_sub(answers, Ordering::Relaxed);
    }

    /// Says until when everything has been written.
    pub(super) fn written_until(&self, until: Timestamp) {
        self.behind_since_ms.fetch_max(until.ms(), Ordering::Relaxed);
    }

    /// Says whether the disk takes anything. `true` where that is news.
    pub(super) fn fails(&self, failing: bool) -> bool {
        self.failing.swap(failing, Ordering::Relaxed) != failing
    }

    pub(super) fn counted(&self) -> &Counted {
        &self.counted
    }

    /// How the log stands.
    pub(crate) fn size(&self) -> DecisionLogSize {
        let Counted { written, dropped, gaps, failures, bytes } = &self.counted;
        let [written, dropped, gaps, failures, bytes] =
            [written, dropped, gaps, failures, bytes].map(|counter| counter.load(Ordering::Relaxed));
        let waiting = self.waiting.load(Ordering::Relaxed) as u64;
        DecisionLogSize { written, dropped, gaps, failures, bytes, waiting }
    }

    /// Whether the last write succeeded.
    pub(crate) fn is_well(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_has_places_of_its_own_and_what_is_missing_is_counted_once() {
        let gate = Gate::new(WhenFull::Count);
        let at = Timestamp::from_ms(7);
        let admitted =
            |matters: bool| (0..WAITING_MAX).filter(|_| gate.admit(matters, at) == Admission::Logged).count();
        assert_eq!(admitted(false), WAITING_MAX - RESERVED);
        assert_eq!(admitted(true), RESERVED);
        let missing = WAITING_MAX as u64;
        assert_eq!(gate.take_missing(), Some((missing, at, at)));
        assert_eq!(gate.take_missing(), None);
        gate.releases(WAITING_MAX);
        gate.fails(true);
        assert_eq!(gate.admit(false, at), Admission::Doubtful, "it has a place, and nobody may rely on it");
    }

    #[test]
    fn an_answer_that_will_not_be_written_in_time_says_so() {
        let gate = Gate::new(WhenFull::Count);
        let at = |ms: i64| Timestamp::from_ms(ms);
        let cases = [
            (1_000, Admission::Logged, "the first after a long rest"),
            (1_000 + BEHIND_MS, Admission::Logged, "in time"),
            (1_001 + BEHIND_MS, Admission::Doubtful, "the first one has still not been written"),
        ];
        for (now, admission, why) in cases {
            assert_eq!(gate.admit(false, at(now)), admission, "{why}");
        }
        gate.releases(1);
        gate.written_until(at(1_100));
        assert_eq!(gate.admit(false, at(1_100 + BEHIND_MS)), Admission::Logged);
        gate.releases(3);
        assert_eq!(gate.admit(true, at(900_000)), Admission::Logged, "nothing was waiting");
    }

    #[test]
    fn whoever_waits_gets_the_place_that_becomes_free() {
        let gate = Gate::new(WhenFull::Wait);
        let at = Timestamp::from_ms(7);
        while gate.takes(false, at) {}
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.admit(false, at));
            std::thread::sleep(PAUSE * 5);
            gate.releases(1);
            assert_eq!(waiting.join().expect("it ends"), Admission::Logged);
        });
        // A broken disk is not waited for.
        gate.fails(true);
        assert_eq!(gate.admit(false, at), Admission::Unlogged);
    }
}
