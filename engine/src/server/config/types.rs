//! A checked configuration, as the engine reads it.

use super::{ConfiguredMember, LinkConfig};
use crate::policy::{Policy, Sharing};
use crate::server::alerts::AlertsConfig;
use crate::server::decision_log::DecisionLogConfig;
use sparr_protocol::ids::MemberName;
use sparr_protocol::member::MemberKind;
use sparr_protocol::personal::Personal;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// Which clock judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockKind {
    /// The machine's.
    Wall,
    /// The highest event time seen.
    Event,
}

/// Where certificates lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFiles {
    /// Made at the first start, under the data folder.
    Development,
    /// The member's own.
    Files {
        /// The engine's chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// Authorities whose certificates may connect.
        client_authorities: PathBuf,
        /// Revocation lists.
        revoked: Option<PathBuf>,
    },
}

/// Where rules come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesFrom {
    /// A folder.
    Dir(PathBuf),
    /// The rules that this binary was built with.
    Shipped,
}

/// When a set of rules that loads becomes the one that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// When somebody asks for a reload.
    Reload,
    /// Also when a file changes.
    Watch,
    /// When it was approved by its digest.
    Approve,
}

/// A whole, checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The member whose engine this is.
    pub member: MemberName,
    /// Number of the engine within its member.
    pub engine: u16,
    /// Data plane.
    pub listen: SocketAddr,
    /// HTTPS door; there is none unless it is named.
    pub https: Option<SocketAddr>,
    /// Admin port.
    pub admin: SocketAddr,
    /// Folder of journal, keys and development certificates.
    pub data_dir: PathBuf,
    /// Rules.
    pub rules: RulesFrom,
    /// When they begin to decide.
    pub activation: Activation,
    /// Threads on the data plane.
    pub workers: usize,
    /// Which clock judges.
    pub clock: ClockKind,
    /// Whether payments may ask for their answer: a development engine alone.
    pub sandbox: bool,
    /// The member's own decisions.
    pub policy: Policy,
    /// How long a stopping engine answers what is there.
    pub drain: Duration,
    /// How much work a worker takes on at once where no payment says a deadline; `None` refuses nothing.
    pub queue_max: Option<Duration>,
    /// How many screenings each caller may ask for in a second.
    pub caller_requests_per_second_max: Option<NonZeroU32>,
    /// Live velocity keys at most.
    pub velocity_keys_max: usize,
    /// Kept request ids at most.
    pub request_ids_max: usize,
    /// Certificates.
    pub tls: TlsFiles,
    /// What kind of organisation the member is.
    pub kind: MemberKind,
    /// Other members that are known without an admission: the police, the central organisation.
    pub members: Vec<ConfiguredMember>,
    /// What may be shared, and on which basis.
    pub sharing: Sharing,
    /// Different people that a member's desks may look up in a day.
    pub lookups_per_day_max: usize,
    /// Requests of the last hour that are kept to be looked at again; 0 for none.
    pub recent_requests_max: usize,
    /// What 99 decisions in 100 should not take longer than, µs.
    pub budget_us: u64,
    /// How often velocity is written down.
    pub velocity_snapshot: Duration,
    /// Of a thousand recent requests, so many may be answered otherwise by a new rule set without `--accept`.
    pub blast_radius_per_mille_max: u32,
    /// Different people screened in a day from which on there is an alarm. Screening goes on.
    pub screened_people_alarm: u64,
    /// Kept back on the disk for lifts and the like when it is full, bytes.
    pub journal_reserve_bytes: u64,
    /// Records between two snapshots at least.
    pub snapshot_records: u64,
    /// File of numbers that nobody was ever given.
    pub honey_numbers: Option<PathBuf>,
    /// What is kept of answers.
    pub decision_log: DecisionLogConfig,
    /// From where on the engine tells of itself.
    pub alerts: AlertsConfig,
    /// Number of the flagged person whom nobody is: a published test number.
    pub canary: Option<Personal>,
    /// How the other engines are reached. Without it the engine's own journal is the whole exchange.
    pub exchange: Option<LinkConfig>,
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// A development engine: certificates and keys made on the spot, nothing required, no cooling-off.
    pub dev: bool,
    /// Folder of data.
    pub data_dir: Option<PathBuf>,
    /// Data plane.
    pub listen: Option<String>,
    /// HTTPS door.
    pub https: Option<String>,
    /// Admin port.
    pub admin: Option<String>,
    /// Folder of rules.
    pub rules: Option<PathBuf>,
    /// The member.
    pub member: Option<String>,
    /// `reload`, `watch` or `approve`.
    pub activation: Option<String>,
    /// `wall` or `event`.
    pub clock: Option<String>,
    /// Threads on the data plane.
    pub workers: Option<usize>,
    /// Whether payments may ask for their answer.
    pub sandbox: bool,
}
