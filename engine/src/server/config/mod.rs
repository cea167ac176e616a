//! An engine's configuration: defaults, then a file, then the environment and the command line. Checked once, with
//! every error at once.

mod alerts;
mod decision_log;
mod defaults;
mod exchange;
mod keys;
mod link;
mod parse;
mod required;
mod show;
mod types;

pub use defaults::{ADMIN, BUDGET_US, DATA_DIR, HTTPS, LISTEN, RULES_DIR};
pub use exchange::ConfiguredMember;
pub(crate) use exchange::member_key;
pub use keys::commented_defaults;
pub use link::{LinkConfig, LinkTls};
pub use show::{Origin, Shown, show};
pub use types::{Activation, ClockKind, EngineConfig, Overrides, RulesFrom, TlsFiles};

use crate::decision::VerifyUnavailable;
use crate::limits::{IDS_KEPT_MAX, RECENT_REQUESTS_MAX, VELOCITY_KEYS_MAX};
use crate::policy::Policy;
use defaults::{
    BLAST_RADIUS_PER_MILLE_MAX, DRAIN_SECONDS, ENGINE, JOURNAL_RESERVE_MIB, JOURNAL_RESERVE_MIB_MAX,
    JOURNAL_RESERVE_MIB_MIN, KIND, LIFT_COOLING_OFF_HOURS, LOOKUPS_PER_DAY_MAX, QUEUE_MS_MAX,
    SCREENED_PEOPLE_ALARM, SNAPSHOT_RECORDS, VELOCITY_SNAPSHOT_SECONDS,
};
use serde::Deserialize;
use sparr_protocol::ids::MemberName;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The keys of the file as it is written. Each is optional here: what is missing after all layers is an error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    member: Option<String>,
    engine: Option<u16>,
    listen: Option<String>,
    https: Option<String>,
    admin: Option<String>,
    data_dir: Option<PathBuf>,
    rules: Option<PathBuf>,
    activation: Option<String>,
    workers: Option<usize>,
    clock: Option<String>,
    verify_unavailable: Option<String>,
    lift_cooling_off_hours: Option<u32>,
    drain_seconds: Option<u64>,
    velocity_keys_max: Option<usize>,
    queue_ms_max: Option<u64>,
    caller_requests_per_second_max: Option<u32>,
    request_ids_max: Option<usize>,
    kind: Option<String>,
    lookups_per_day_max: Option<usize>,
    budget_us: Option<NonZeroU64>,
    velocity_snapshot_seconds: Option<NonZeroU64>,
    recent_requests_max: Option<usize>,
    blast_radius_per_mille_max: Option<u32>,
    honey_numbers: Option<PathBuf>,
    screened_people_alarm: Option<u64>,
    journal_reserve_mib: Option<u64>,
    snapshot_records: Option<NonZeroU64>,
    #[serde(default)]
    tls: WrittenTls,
    #[serde(default)]
    members: BTreeMap<String, exchange::WrittenMember>,
    #[serde(default)]
    legal_basis: Vec<exchange::WrittenBasis>,
    #[serde(default)]
    required: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    stale_after_ms: BTreeMap<String, u32>,
    exchange: Option<link::WrittenExchange>,
    #[serde(default)]
    decision_log: decision_log::WrittenDecisionLog,
    #[serde(default)]
    alerts: alerts::WrittenAlerts,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTls {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_authorities: Option<PathBuf>,
    revoked: Option<PathBuf>,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl EngineConfig {
    /// Reads the layers and checks the result. Without a file, a development engine runs on defaults alone.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let one = |error: String| ConfigError(vec![error]);
        let written = match file {
            None if overrides.dev => Written::default(),
            None => return Err(one(NO_FILE.to_owned())),
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| one(format!("{}: {error}", file.display())))?;
                parse::parse(&text).map_err(|error| one(format!("{}: {error}", file.display())))?
            }
        };
        check(written, overrides)
    }
}

const ACTIVATION_NOT_CHOSEN: &str = "activation: must be chosen, \"approve\", \"reload\" or \"watch\"; there is no \
                                     default [activation_not_chosen]";

const NO_FILE: &str = "an engine needs --config FILE, or --dev for a development engine";

fn check(written: Written, overrides: Overrides) -> Result<EngineConfig, ConfigError> {
    let mut errors = Vec::new();
    let dev = overrides.dev;
    let member_text = overrides.member.or(written.member).or_else(|| dev.then(|| "dev".to_owned()));
    let member = match member_text {
        None => Err("member: whose engine this is must be said".to_owned()),
        Some(name) => MemberName::parse(&name).ok_or_else(|| {
            format!("member: {name:?} is not 1 to 24 lower-case letters, digits and inner hyphens")
        }),
    };
    let listen = address("listen", overrides.listen.or(written.listen), LISTEN);
    let https = overrides.https.or(written.https).map(|text| address("https", Some(text), HTTPS)).transpose();
    let admin = address("admin", overrides.admin.or(written.admin), ADMIN);
    let clock = match overrides.clock.or(written.clock).as_deref() {
        None | Some("wall") => Ok(ClockKind::Wall),
        Some("event") => Ok(ClockKind::Event),
        Some(other) => Err(format!("clock: {other:?} is neither \"wall\" nor \"event\"")),
    };
    let activation = match overrides.activation.or(written.activation).as_deref() {
        // Files that change must not begin to decide because nobody has thought about it.
        None if !dev => Err(ACTIVATION_NOT_CHOSEN.to_owned()),
        None | Some("reload") => Ok(Activation::Reload),
        Some("watch") => Ok(Activation::Watch),
        Some("approve") => Ok(Activation::Approve),
        Some(other) => {
            Err(format!("activation: {other:?} is neither \"reload\" nor \"watch\" nor \"approve\""))
        }
    };
    let verify_unavailable = match written.verify_unavailable.as_deref() {
        Some("hold") => Ok(VerifyUnavailable::Hold),
        Some("decline") => Ok(VerifyUnavailable::Decline),
        None if dev => Ok(VerifyUnavailable::Hold),
        None => {
            Err("verify_unavailable: must be said, \"hold\" or \"decline\"; there is no default".to_owned())
        }
        Some(other) => Err(format!("verify_unavailable: {other:?} is neither \"hold\" nor \"decline\"")),
    };
    let required = required::required(written.required, dev);
    let stale_after = required::stale_after(written.stale_after_ms);
    let tls = tls(written.tls, dev);
    let rules = match overrides.rules.or(written.rules) {
        Some(dir) => RulesFrom::Dir(dir),
        None if Path::new(RULES_DIR).is_dir() => RulesFrom::Dir(RULES_DIR.into()),
        None => RulesFrom::Shipped,
    };
    let workers = match overrides.workers.or(written.workers).unwrap_or(0) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let hours = written.lift_cooling_off_hours.unwrap_or(if dev { 0 } else { LIFT_COOLING_OFF_HOURS });
    let reserve_mib = match written.journal_reserve_mib {
        None => Ok(if dev { JOURNAL_RESERVE_MIB_MIN } else { JOURNAL_RESERVE_MIB }),
        Some(mib @ JOURNAL_RESERVE_MIB_MIN..=JOURNAL_RESERVE_MIB_MAX) => Ok(mib),
        Some(mib) => Err(format!(
            "journal_reserve_mib: {mib} is not {JOURNAL_RESERVE_MIB_MIN} to {JOURNAL_RESERVE_MIB_MAX}"
        )),
    };
    let kind = exchange::kind("kind", written.kind.as_deref().unwrap_or(KIND.name()));
    let members = exchange::members(written.members, dev);
    let sharing = exchange::sharing(written.legal_basis, dev);
    let link = link::link(written.exchange);
    let decision_log = decision_log::decision_log(written.decision_log);
    let alerts = alerts::alerts(&written.alerts);
    let mut take = |error: String| errors.push(error);
    let link = link.map_err(|all| all.into_iter().for_each(&mut take));
    let decision_log = decision_log.map_err(|all| all.into_iter().for_each(&mut take));
    let alerts = alerts.map_err(|all| all.into_iter().for_each(&mut take));
    let kind = kind.map_err(&mut take);
    let members = members.map_err(|all| all.into_iter().for_each(&mut take));
    let sharing = sharing.map_err(|all| all.into_iter().for_each(&mut take));
    let member = member.map_err(&mut take);
    let listen = listen.map_err(&mut take);
    let https = https.map_err(&mut take);
    let admin = admin.map_err(&mut take);
    let clock = clock.map_err(&mut take);
    let activation = activation.map_err(&mut take);
    let verify_unavailable = verify_unavailable.map_err(&mut take);
    let required = required.map_err(|all| all.into_iter().for_each(&mut take));
    let stale_after = stale_after.map_err(|all| all.into_iter().for_each(&mut take));
    let tls = tls.map_err(&mut take);
    let exchange = (kind, members, sharing, link, (decision_log, alerts));
    let said = (clock, activation, verify_unavailable, reserve_mib.map_err(&mut take));
    let asked = (required, stale_after);
    match (member, (listen, https), admin, said, asked, tls, exchange) {
        (
            Ok(member),
            (Ok(listen), Ok(https)),
            Ok(admin),
            (Ok(clock), Ok(activation), Ok(verify_unavailable), Ok(reserve_mib)),
            (Ok(required), Ok(stale_after)),
            Ok(tls),
            (Ok(kind), Ok(mut members), Ok(sharing), Ok(exchange), (Ok(decision_log), Ok((alerts, canary)))),
        ) => {
            // The engine's own member is known by what it is.
            members.retain(|other| other.member != member);
            Ok(EngineConfig {
                member,
                engine: written.engine.unwrap_or(ENGINE),
                listen,
                https,
                admin,
                data_dir: overrides.data_dir.or(written.data_dir).unwrap_or_else(|| DATA_DIR.into()),
                rules,
                activation,
                workers,
                clock,
                sandbox: dev && overrides.sandbox,
                policy: Policy {
                    required,
                    verify_unavailable,
                    cooling_off_ms: i64::from(hours) * 3_600_000,
                    stale_after,
                },
                drain: Duration::from_secs(written.drain_seconds.unwrap_or(DRAIN_SECONDS)),
                velocity_keys_max: written.velocity_keys_max.unwrap_or(VELOCITY_KEYS_MAX),
                queue_max: Some(written.queue_ms_max.unwrap_or(QUEUE_MS_MAX))
                    .filter(|ms| *ms != 0)
                    .map(Duration::from_millis),
                caller_requests_per_second_max: written
                    .caller_requests_per_second_max
                    .and_then(NonZeroU32::new),
                request_ids_max: written.request_ids_max.unwrap_or(IDS_KEPT_MAX),
                tls,
                kind,
                members,
                sharing,
                screened_people_alarm: written.screened_people_alarm.unwrap_or(SCREENED_PEOPLE_ALARM),
                journal_reserve_bytes: reserve_mib << 20,
                snapshot_records: written.snapshot_records.map_or(SNAPSHOT_RECORDS, NonZeroU64::get),
                honey_numbers: written.honey_numbers,
                exchange,
                budget_us: written.budget_us.map_or(BUDGET_US, NonZeroU64::get),
                decision_log,
                alerts,
                canary,
                velocity_snapshot: Duration::from_secs(
                    written.velocity_snapshot_seconds.map_or(VELOCITY_SNAPSHOT_SECONDS, NonZeroU64::get),
                ),
                recent_requests_max: written.recent_requests_max.unwrap_or(RECENT_REQUESTS_MAX),
                blast_radius_per_mille_max: written
                    .blast_radius_per_mille_max
                    .unwrap_or(BLAST_RADIUS_PER_MILLE_MAX),
                lookups_per_day_max: written.lookups_per_day_max.unwrap_or(LOOKUPS_PER_DAY_MAX),
            })
        }
        _ => Err(ConfigError(errors)),
    }
}

fn address(key: &str, text: Option<String>, default: &str) -> Result<SocketAddr, String> {
    let text = text.unwrap_or_else(|| default.to_owned());
    text.parse().map_err(|_| format!("{key}: {text:?} is no address and port, such as {default}"))
}

fn tls(written: WrittenTls, dev: bool) -> Result<TlsFiles, String> {
    match (written.certificate, written.key, written.client_authorities) {
        (Some(certificate), Some(key), Some(client_authorities)) => {
            Ok(TlsFiles::Files { certificate, key, client_authorities, revoked: written.revoked })
        }
        (None, None, None) if dev => Ok(TlsFiles::Development),
        _ => Err("tls: certificate, key and client_authorities must all be said".to_owned()),
    }
}

#[cfg(test)]
mod tests;
