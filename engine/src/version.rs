//! Where a record stands in the merged history.

use crate::pack::pack_fields;
use sparr_protocol::ids::MemberName;
use sparr_protocol::record::{Origin, Record, RecordRef};
use sparr_protocol::time::Timestamp;

/// Place of a record in the merged history: the higher one wins, whatever the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Hybrid stamp.
    pub stamp: u64,
    /// Member of the origin.
    pub member: MemberName,
    /// Engine of the origin.
    pub engine: u16,
    /// Epoch of the origin.
    pub epoch: u32,
    /// Sequence within the epoch.
    pub sequence: u64,
}

pack_fields!(Version { stamp, member, engine, epoch, sequence });

impl Version {
    /// The place of a record.
    pub fn of(record: &Record) -> Self {
        Self {
            stamp: record.stamp,
            member: record.origin.member,
            engine: record.origin.engine,
            epoch: record.origin.epoch,
            sequence: record.sequence,
        }
    }

    /// Where its record lies.
    pub fn place(&self) -> RecordRef {
        let Self { member, engine, epoch, sequence, .. } = *self;
        RecordRef { origin: Origin { member, engine, epoch }, sequence }
    }

    /// The stamp as a time.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_ms(i64::try_from(self.stamp).unwrap_or(i64::MAX))
    }
}
