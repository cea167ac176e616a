//! What counts where the file says nothing.

use crate::server::journal::TRANSACTION_BYTES_MAX;
use sparr_protocol::member::MemberKind;

/// Where an engine listens unless told otherwise.
pub const LISTEN: &str = "127.0.0.1:7443";
/// Longest time of 99 decisions in 100 that the dashboard judges by, µs.
pub const BUDGET_US: u64 = 1_000;

/// Where its HTTPS door is, for those who open it: there is none unless it is named.
pub const HTTPS: &str = "127.0.0.1:7444";
/// Where its admin port is unless told otherwise.
pub const ADMIN: &str = "127.0.0.1:7480";
/// Where its data lies unless told otherwise.
pub const DATA_DIR: &str = "sparr-data";
/// Where its rules lie unless told otherwise.
pub const RULES_DIR: &str = "config/rules";

pub(super) const KIND: MemberKind = MemberKind::PaymentProvider;
pub(super) const LOOKUPS_PER_DAY_MAX: usize = 5_000;
/// Of a thousand recent requests, so many may be answered otherwise by a new rule set: all of them.
pub(super) const BLAST_RADIUS_PER_MILLE_MAX: u32 = 1_000;
pub(super) const SCREENED_PEOPLE_ALARM: u64 = 1_000_000;
pub(super) const ENGINE: u16 = 1;
/// Read in a third of a second.
pub(super) const SNAPSHOT_RECORDS: u64 = 100_000;
pub(super) const JOURNAL_RESERVE_MIB: u64 = 64;
/// Two transactions of the largest size fit.
pub(super) const JOURNAL_RESERVE_MIB_MIN: u64 = 8;
pub(super) const JOURNAL_RESERVE_MIB_MAX: u64 = 1 << 20;
const _: () = assert!(JOURNAL_RESERVE_MIB_MIN << 20 >= 2 * TRANSACTION_BYTES_MAX);
pub(super) const LIFT_COOLING_OFF_HOURS: u32 = 24;
/// A thousand payments without a deadline, of a millisecond each.
pub(super) const QUEUE_MS_MAX: u64 = 1_000;
pub(super) const DRAIN_SECONDS: u64 = 5;
/// A table of a million keys is a few hundred megabytes.
pub(super) const VELOCITY_SNAPSHOT_SECONDS: u64 = 60;
