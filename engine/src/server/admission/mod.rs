//! What a worker takes on when it is asked more than it can do: what it can answer in time, and the rest is refused at once.
//!
//! A worker reads its socket until nothing is left, answers what it has read, and reads again: a *round*. What comes while it
//! answers waits in the kernel, where nobody sees how long; so the work of one round is bounded, by a share of the shortest
//! deadline about, and no accepted request waits for much more than two rounds. A burst gets more room than a load that stays
//! too much. What is beyond the bound is refused, which costs far less than a screening: it is told to the caller before its
//! deadline, and the socket is empty again soon.
//!
//! Among callers, who has had less than an equal share is served beyond the bound: the flood of one does not refuse the
//! others. Refusing costs something as well, so the connections of a caller that crowds others have their turns one by one
//! (`ticket.rs`). Nothing else here waits, and nothing reads a clock, so that overload can be tried out in a second
//! (`tests.rs`).

mod pulse;
mod rate;
mod share;
mod ticket;

pub(super) use pulse::{Pulse, pulsing};
pub(super) use rate::{Rate, Rates};
pub(super) use ticket::{Alone, Ticket};

use share::Shares;
use std::time::{Duration, Instant};

/// A round may hold so much of the shortest deadline: what comes at its beginning waits for it and for the next. A batch of a
/// thousand, and what has piled up while the machine paused, are answered whole.
const ROUND_OF_DEADLINE: u32 = 4;

/// And so much where no round was easy for [`STANDING`]: a queue that stays helps nobody, and everybody waits in it. So much as
/// well for a caller of whom something was refused lately, while others ask: they are not to wait for its bursts.
const ROUND_OF_DEADLINE_STANDING: u32 = 16;

/// How long a queue stands before it is no burst any more.
const STANDING: Duration = Duration::from_millis(100);

/// However short a deadline is, a round has room for a few requests.
const ROUND_MIN: Duration = Duration::from_micros(250);

/// How long a deadline that was seen is about, and how fast shares are forgotten.
const EPOCH: Duration = Duration::from_millis(100);

/// A request that takes so many times the usual was kept waiting by the machine, which says nothing of those after it.
const USUAL_TIMES_MAX: u32 = 8;

/// What a refused caller is asked to wait at least, ms; with a tenth served it is ten times as much.
const RETRY_AFTER_MS: u32 = 25;
/// And at most, before the chance that keeps retries from coming all at once doubles some of it. Three tries are over within
/// two seconds: an overload that has ended is over.
const RETRY_AFTER_MS_MAX: u32 = 250;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is screened.
    Screen,
    /// It is screened without shadow rules: the round is half full.
    WithoutShadow,
    /// It is not screened; after so many milliseconds another try may be.
    Refuse { retry_after_ms: u32 },
}

/// What one worker takes on.
pub(super) struct Admission {
    /// The work of a round where no deadline is about; nothing is ever refused where there is none.
    longest: Option<Duration>,
    /// How often the socket had been seen empty when the round began.
    round: u64,
    /// Screening time of this round, and how much of it a round may have by the deadlines that are about.
    spent: Duration,
    room: Duration,
    room_burst: Duration,
    room_standing: Duration,
    /// Whether anything was refused in this round, when the last round ended in which something was, and when one that had
    /// little to do.
    refused: bool,
    refused_at: Option<Instant>,
    easy_at: Instant,
    is_standing: bool,
    /// What a request usually takes.
    usual: Duration,
    epoch_began: Instant,
    /// The shortest deadline of this epoch, and of the one before.
    deadlines: (Option<Duration>, Option<Duration>),
    /// Screened and refused in this epoch, and the share that was refused in the one before.
    counted: (u32, u32),
    refused_share: f32,
    shares: Shares,
}

impl Admission {
    /// A worker that has nothing to do yet. `longest` bounds the work of a round of requests without a deadline.
    pub(super) fn new(longest: Option<Duration>, now: Instant) -> Self {
        Self {
            longest,
            round: 0,
            spent: Duration::ZERO,
            room: longest.unwrap_or_default(),
            room_burst: longest.unwrap_or_default(),
            room_standing: longest.unwrap_or_default(),
            refused: false,
            refused_at: None,
            easy_at: now,
            is_standing: false,
            usual: Duration::from_micros(5),
            epoch_began: now,
            deadlines: (None, None),
            counted: (0, 0),
            refused_share: 0.0,
            shares: Shares::default(),
        }
    }

    /// Begins with what a connection has read. `drained` counts how often the socket was seen empty.
    pub(super) fn turn(&mut self, drained: u64, now: Instant) {
        if drained != self.round {
            self.end_round(now);
            self.round = drained;
        }
        if now.saturating_duration_since(self.epoch_began) >= EPOCH {
            self.epoch_began = now;
            self.deadlines = (None, self.deadlines.0);
            self.make_room();
            let (screened, refused) = std::mem::take(&mut self.counted);
            self.refused_share = refused as f32 / (screened + refused).max(1) as f32;
            self.shares.fade();
        }
    }

    fn end_round(&mut self, now: Instant) {
        if self.refused {
            self.refused_at = Some(now);
        } else if self.spent < self.room_standing {
            self.easy_at = now;
        }
        (self.refused, self.spent) = (false, Duration::ZERO);
        // One easy round is chance: a queue that stood is gone when nobody was refused for as long as it took to see it.
        let lately = |at: Instant| now.saturating_duration_since(at) <= STANDING;
        let is_standing =
            if self.is_standing { self.refused_at.is_some_and(lately) } else { !lately(self.easy_at) };
        if !is_standing {
            self.refused_at = None;
        }
        if is_standing != self.is_standing {
            self.is_standing = is_standing;
            self.make_room();
        }
    }

    /// Judges a request of a caller; `spread` is any number of the request's own, that differs from others'.
    pub(super) fn judge(&mut self, caller: usize, deadline_us: u32, spread: u32) -> Verdict {
        if self.longest.is_none() {
            return Verdict::Screen;
        }
        if deadline_us != 0 {
            let deadline = Duration::from_micros(deadline_us.into());
            if self.deadlines.0.is_none_or(|known| deadline < known) {
                self.deadlines.0 = Some(deadline);
                self.make_room();
            }
        }
        self.shares.asks(caller);
        let room = if self.crowds_others(caller) { self.room_standing } else { self.room };
        if self.spent + self.spent < room {
            return Verdict::Screen;
        }
        // Whoever has had less than the others is served from as much room again as a burst has: that bounds what all of
        // them take.
        if self.spent < room || self.spent < self.room + self.room_burst && self.shares.has_had_less(caller) {
            return Verdict::WithoutShadow;
        }
        self.refused = true;
        self.shares.refused(caller);
        self.counted.1 += 1;
        Verdict::Refuse { retry_after_ms: self.retry_after_ms(spread) }
    }

    /// Says how long the screening of a caller's request took.
    pub(super) fn took(&mut self, caller: usize, span: Duration) {
        let span = span.min(self.usual * USUAL_TIMES_MAX);
        self.usual = (self.usual * 15 + span) / 16;
        self.spent += span;
        self.counted.0 += 1;
        self.shares.took(caller, span);
    }

    /// Whether a caller has lately asked for more than there was room for, and has had more than others who ask.
    fn crowds_others(&self, caller: usize) -> bool {
        !self.shares.has_had_less(caller) && self.shares.crowds_others(caller)
    }

    /// How much work a round may have, so that what comes at its beginning is answered in time after the next.
    fn make_room(&mut self) {
        self.room_burst = self.longest_round(ROUND_OF_DEADLINE);
        self.room_standing = self.longest_round(ROUND_OF_DEADLINE_STANDING);
        self.room = if self.is_standing { self.room_standing } else { self.room_burst };
    }

    fn longest_round(&self, of_deadline: u32) -> Duration {
        let longest = self.longest.unwrap_or_default();
        let shortest = self.deadlines.0.into_iter().chain(self.deadlines.1).min();
        let room = shortest.map_or(longest, |deadline| (deadline / of_deadline).min(longest));
        room.max(ROUND_MIN.min(longest))
    }

    /// The more is refused the longer, so that retries add little to what is too much already; half of it by chance.
    fn retry_after_ms(&self, spread: u32) -> u32 {
        let (screened, refused) = self.counted;
        let now = refused as f32 / (screened + refused).max(1) as f32;
        let served = (1.0 - self.refused_share.max(now)).max(0.01);
        let ms = ((RETRY_AFTER_MS as f32 / served) as u32).min(RETRY_AFTER_MS_MAX);
        ms + spread % ms
    }
}

#[cfg(test)]
mod tests;
