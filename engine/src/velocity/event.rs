//! One event of a key, in half a line of memory.

use super::spec::{Mark, TAGS_MAX};
use sparr_protocol::codes::Kind;
use sparr_protocol::time::Timestamp;

/// One event of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened.
    pub time: Timestamp,
    /// Its amount.
    pub amount: Amount,
    /// Values of the keys whose different values are counted; zero where there is none.
    pub tags: [u32; TAGS_MAX],
    /// Tells events of one time apart, when something becomes known of one of them: part of a digest of its request id.
    pub id: u32,
    /// What kind of payment it was.
    pub kind: Kind,
    /// What has become known of it.
    pub marks: Marks,
}

const _: () = assert!(size_of::<Event>() == 32, "two events share a line of memory");

/// An amount in minor units of the base currency, or none where no rate converts it. Amounts are never negative, so that
/// one needs no room of its own to say that it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(i64);

impl Amount {
    /// No rate converts it.
    pub const UNKNOWN: Self = Self(-1);

    /// So much, in minor units of the base currency; a negative amount counts as nothing.
    pub const fn of(minor: i64) -> Self {
        Self(if minor < 0 { 0 } else { minor })
    }

    /// In minor units of the base currency; `None` where no rate converts it.
    pub const fn minor(self) -> Option<i64> {
        if self.0 < 0 { None } else { Some(self.0) }
    }
}

impl From<Option<i64>> for Amount {
    fn from(minor: Option<i64>) -> Self {
        minor.map_or(Self::UNKNOWN, Self::of)
    }
}

/// The marks of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub(super) u8);

impl Marks {
    pub(super) const fn has(self, mark: Mark) -> bool {
        self.0 & 1 << mark as u8 != 0
    }

    pub(super) const fn set(&mut self, mark: Mark, holds: bool) {
        let bit = 1 << mark as u8;
        self.0 = if holds { self.0 | bit } else { self.0 & !bit };
    }
}
