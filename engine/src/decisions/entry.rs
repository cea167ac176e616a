//! What stands in the decision log one after the other: answers, and what must be known about them.

use super::Logged;
use crate::pack::{Pack, pack_fields};
use sparr_protocol::ids::RequestId;
use sparr_protocol::time::Timestamp;

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An answer.
    Decision(Box<Logged>),
    /// Answers are missing here.
    Gap(Gap),
    /// The engine began to answer, in this life.
    Began {
        /// When.
        at: Timestamp,
        /// Which life.
        epoch: u32,
    },
    /// The engine stopped in order: nothing is missing before this.
    Stopped {
        /// When.
        at: Timestamp,
    },
}

/// Answers that were given and are not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Not before this time.
    pub from: Timestamp,
    /// Not after this time.
    pub until: Timestamp,
    /// How many, where it is known.
    pub missing: Option<u64>,
    /// Why.
    pub why: GapWhy,
}

/// Why answers are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GapWhy {
    /// More came than the log could take in, or the disk took nothing: these answers said that they are unlogged.
    NoRoom = 1,
    /// The engine was killed: what it answered in its last moments had not reached the disk.
    Killed = 2,
    /// The disk did not say that it has them: they may be there or not.
    NotSynced = 3,
}

impl GapWhy {
    const ALL: [Self; 3] = [Self::NoRoom, Self::Killed, Self::NotSynced];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRoom => "no_room",
            Self::Killed => "killed",
            Self::NotSynced => "not_synced",
        }
    }
}

impl Pack for GapWhy {
    fn pack(&self, out: &mut Vec<u8>) {
        (*self as u8).pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let code = u8::unpack(from)?;
        Self::ALL.into_iter().find(|why| *why as u8 == code)
    }
}

pack_fields!(Gap { from, until, missing, why });

/// First byte of an answer's entry: whoever appends one without making it has to know.
pub(crate) const DECISION: u8 = 1;
const GAP: u8 = 2;
const BEGAN: u8 = 3;
const STOPPED: u8 = 4;

impl Entry {
    /// Appends an entry that is no answer; answers are appended by [`Logged::append`].
    pub(crate) fn append(&self, out: &mut Vec<u8>) {
        match self {
            Self::Decision(_) => {}
            Self::Gap(gap) => {
                GAP.pack(out);
                gap.pack(out);
            }
            Self::Began { at, epoch } => {
                BEGAN.pack(out);
                at.pack(out);
                epoch.pack(out);
            }
            Self::Stopped { at } => {
                STOPPED.pack(out);
                at.pack(out);
            }
        }
    }

    /// Reads one entry, all of it; `None` where it is none.
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let entry = match u8::unpack(from)? {
            DECISION => Self::Decision(Pack::unpack(from)?),
            GAP => Self::Gap(Pack::unpack(from)?),
            BEGAN => Self::Began { at: Pack::unpack(from)?, epoch: Pack::unpack(from)? },
            STOPPED => Self::Stopped { at: Pack::unpack(from)? },
            _ => return None,
        };
        from.is_empty().then_some(entry)
    }

    /// Where an answer's entry begins, for whom only some answers matter: when it was given, and to which request.
    pub(crate) fn glance(bytes: &[u8]) -> Option<(Timestamp, RequestId)> {
        let (kind, rest) = bytes.split_first()?;
        (*kind == DECISION).then_some(())?;
        let (at, rest) = rest.split_first_chunk()?;
        let (id, _) = rest.split_first_chunk()?;
        Some((Timestamp::from_ms(i64::from_le_bytes(*at)), RequestId(*id)))
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Decision(logged) => logged.answered_at,
            Self::Gap(gap) => gap.until,
            Self::Began { at, .. } | Self::Stopped { at } => *at,
        }
    }
}
