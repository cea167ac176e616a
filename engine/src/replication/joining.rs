//! A new engine is live only once it has what all others have. One that was live before is live at once, and says how
//! old its state is.

/// With nobody there for so long after the broker had nothing more, this engine is the first.
const ALONE_MS: u64 = 3_000;

/// How far an engine is on its way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joining {
    /// No link yet, or the broker still has something.
    Waiting,
    /// The broker had nothing more at this time.
    CaughtUp { since: u64 },
    /// Live.
    Done,
}

impl Joining {
    pub(super) fn new(has_joined: bool) -> Self {
        if has_joined { Self::Done } else { Self::Waiting }
    }

    pub(super) fn caught_up(&mut self, now: u64) {
        if *self == Self::Waiting {
            *self = Self::CaughtUp { since: now };
        }
    }

    pub(super) fn unlinked(&mut self) {
        if *self != Self::Done {
            *self = Self::Waiting;
        }
    }

    /// Whether it has just become live.
    pub(super) fn is_done(&mut self, now: u64, equals: Equals) -> bool {
        let Self::CaughtUp { since } = *self else { return false };
        let done = match equals {
            Equals::Alone => now >= since + ALONE_MS,
            Equals::All => true,
            Equals::NotYet => false,
        };
        if done {
            *self = Self::Done;
        }
        done
    }

    /// When the broker had nothing more, while this engine is on its way in.
    pub(super) fn since(&self) -> Option<u64> {
        match *self {
            Self::CaughtUp { since } => Some(since),
            Self::Waiting | Self::Done => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        *self == Self::Done
    }
}

/// What this engine has, beside what the others have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Equals {
    /// Nobody else is there.
    Alone,
    /// The same as everybody who is there.
    All,
    /// Something is missing, or somebody has not said yet.
    NotYet,
}
