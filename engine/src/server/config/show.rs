//! What an engine would run with, key by key, and where each value comes from.
//!
//! Values are those of the checked configuration, so that what is shown is what counts. A file that holds a secret is named and
//! never opened.

use super::required::REQUIRED;
use super::types::{Activation, ClockKind, EngineConfig, RulesFrom, TlsFiles};
use super::{ConfigError, Overrides};
use crate::decision::VerifyUnavailable;
use crate::server::decision_log::WhenFull;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything: what the engine does then.
    Default,
    /// Nobody said anything, and a development engine does something of its own then.
    Development,
    /// A line of the file, counted from one.
    File(usize),
    /// An environment variable.
    Environment(&'static str),
    /// An argument of the command.
    Argument(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Development => f.write_str("default of --dev"),
            Self::File(line) => write!(f, "line {line}"),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Argument(name) => write!(f, "argument, {name}"),
        }
    }
}

/// One key as it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its name, with its table's before a dot.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the value is the name of a file with a secret.
    pub names_secret: bool,
}

/// Files whose content is a secret.
const SECRET: [&str; 4] = ["tls.key", "exchange.credentials", "exchange.tls_key", "honey_numbers"];

/// Keys for which a development engine has a default of its own.
const DEVELOPMENT: [&str; 5] =
    ["member", "activation", "verify_unavailable", "lift_cooling_off_hours", "journal_reserve_mib"];

/// Keys that the command line and the environment can say.
type Said = BTreeMap<&'static str, (Option<String>, &'static str, Option<&'static str>)>;

/// Every key of the configuration that these layers make, in the order of the file.
pub fn show(file: Option<&Path>, overrides: &Overrides) -> Result<Vec<Shown>, ConfigError> {
    let config = EngineConfig::load(file, overrides.clone())?;
    let text = match file {
        None => String::new(),
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| ConfigError(vec![format!("{}: {error}", file.display())]))?,
    };
    let lines = lines(&text);
    let said = said(overrides);
    let shown = values(&config, &text).into_iter().map(|(key, value)| {
        let origin = origin(&key, &said, &lines, overrides.dev);
        let names_secret = SECRET.contains(&key.as_str());
        Shown { key, value, origin, names_secret }
    });
    Ok(shown.collect())
}

fn origin(key: &str, said: &Said, lines: &BTreeMap<String, usize>, dev: bool) -> Origin {
    if let Some((Some(value), argument, environment)) = said.get(key) {
        // An argument is stronger; where both say the same, nobody can tell them apart, and it does not matter.
        let of_environment =
            environment.filter(|name| std::env::var(name).is_ok_and(|known| known == *value));
        return of_environment.map_or(Origin::Argument(argument), Origin::Environment);
    }
    match lines.get(key) {
        Some(line) => Origin::File(*line),
        None if dev && DEVELOPMENT.contains(&key) => Origin::Development,
        None => Origin::Default,
    }
}

fn said(overrides: &Overrides) -> Said {
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let all = [
        ("data_dir", path(&overrides.data_dir), "--data-dir", Some("SPARR_DATA_DIR")),
        ("listen", overrides.listen.clone(), "--listen", Some("SPARR_LISTEN")),
        ("https", overrides.https.clone(), "--https", Some("SPARR_HTTPS")),
        ("admin", overrides.admin.clone(), "--admin", Some("SPARR_ADMIN")),
        ("rules", path(&overrides.rules), "--rules", Some("SPARR_RULES")),
        ("member", overrides.member.clone(), "--member", Some("SPARR_MEMBER")),
        ("activation", overrides.activation.clone(), "--activation", None),
        ("clock", overrides.clock.clone(), "--clock", None),
        ("workers", overrides.workers.map(|workers| workers.to_string()), "--workers", None),
    ];
    all.into_iter().map(|(key, value, argument, name)| (key, (value, argument, name))).collect()
}

/// The line on which each key of a file stands, by its name with its table's.
fn lines(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    // It was read before: it is a table.
    if let Ok(table) = DeTable::parse(text) {
        walk("", table.get_ref(), text, &mut found);
    }
    found
}

fn walk(before: &str, table: &DeTable<'_>, text: &str, found: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let name = format!("{before}{}", key.get_ref());
        let line = text[..key.span().start.min(text.len())].matches('\n').count() + 1;
        if let DeValue::Table(inner) = value.get_ref() {
            walk(&format!("{name}."), inner, text, found);
        }
        found.insert(name, line);
    }
}

/// Every key with what it comes to.
fn values(config: &EngineConfig, text: &str) -> Vec<(String, Value)> {
    let EngineConfig {
        member,
        engine,
        listen,
        https,
        admin,
        data_dir,
        rules,
        activation,
        workers,
        clock,
        // Said on the command line alone.
        sandbox: _,
        policy,
        drain,
        queue_max,
        caller_requests_per_second_max,
        velocity_keys_max,
        request_ids_max,
        tls,
        kind,
        members: _,
        sharing: _,
        lookups_per_day_max,
        recent_requests_max,
        budget_us,
        velocity_snapshot,
        blast_radius_per_mille_max,
        screened_people_alarm,
        journal_reserve_bytes,
        snapshot_records,
        honey_numbers,
        decision_log,
        alerts,
        canary,
        exchange,
    } = config;
    let mut all: Vec<(String, Value)> = Vec::new();
    let mut put = |key: &str, value: Value| all.push((key.to_owned(), value));
    let text_of = |text: &str| Value::String(text.to_owned());
    let path = |path: &Path| Value::String(path.display().to_string());
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    put("member", text_of(member.as_str()));
    put("kind", text_of(kind.name()));
    put("engine", number(u64::from(*engine)));
    put("listen", text_of(&listen.to_string()));
    if let Some(https) = https {
        put("https", text_of(&https.to_string()));
    }
    put("admin", text_of(&admin.to_string()));
    put("data_dir", path(data_dir));
    put(
        "rules",
        match rules {
            RulesFrom::Dir(dir) => path(dir),
            RulesFrom::Shipped => text_of("the rules that sparr was built with"),
        },
    );
    put(
        "activation",
        text_of(match activation {
            Activation::Reload => "reload",
            Activation::Watch => "watch",
            Activation::Approve => "approve",
        }),
    );
    put("workers", number(*workers as u64));
    put(
        "clock",
        text_of(match clock {
            ClockKind::Wall => "wall",
            ClockKind::Event => "event",
        }),
    );
    put(
        "verify_unavailable",
        text_of(match policy.verify_unavailable {
            VerifyUnavailable::Hold => "hold",
            VerifyUnavailable::Decline => "decline",
        }),
    );
    put("lift_cooling_off_hours", Value::Integer(policy.cooling_off_ms / 3_600_000));
    put("lookups_per_day_max", number(*lookups_per_day_max as u64));
    put("recent_requests_max", number(*recent_requests_max as u64));
    put("blast_radius_per_mille_max", number(u64::from(*blast_radius_per_mille_max)));
    put("screened_people_alarm", number(*screened_people_alarm));
    put("journal_reserve_mib", number(journal_reserve_bytes >> 20));
    put("snapshot_records", number(*snapshot_records));
    put("drain_seconds", number(drain.as_secs()));
    put(
        "queue_ms_max",
        number(queue_max.map_or(0, |max| u64::try_from(max.as_millis()).unwrap_or(u64::MAX))),
    );
    put(
        "caller_requests_per_second_max",
        number(caller_requests_per_second_max.map_or(0, |max| max.get().into())),
    );
    put("velocity_keys_max", number(*velocity_keys_max as u64));
    put("budget_us", number(*budget_us));
    put("velocity_snapshot_seconds", number(velocity_snapshot.as_secs()));
    put("request_ids_max", number(*request_ids_max as u64));
    if let Some(file) = honey_numbers {
        put("honey_numbers", path(file));
    }
    if let TlsFiles::Files { certificate, key, client_authorities, revoked } = tls {
        put("tls.certificate", path(certificate));
        put("tls.key", path(key));
        put("tls.client_authorities", path(client_authorities));
        if let Some(file) = revoked {
            put("tls.revoked", path(file));
        }
    }
    put("decision_log.on", Value::Boolean(decision_log.is_on));
    put(
        "decision_log.when_full",
        text_of(match decision_log.when_full {
            WhenFull::Count => "count",
            WhenFull::Wait => "wait",
        }),
    );
    put("decision_log.keep_days", number(u64::from(decision_log.keep_days)));
    put("decision_log.size_gib_max", number(decision_log.bytes_max >> 30));
    put("alerts.window_seconds", number(alerts.window_seconds));
    put("alerts.baseline_seconds", number(alerts.baseline_seconds));
    put("alerts.rule_hits_min", number(alerts.rule_hits_min));
    put("alerts.band_factor", number(alerts.band_factor));
    put("alerts.stale_ms", number(u64::from(alerts.stale_ms)));
    put("alerts.canary_seconds", number(alerts.canary_seconds));
    if let Some(number) = canary {
        put("alerts.canary", text_of(number.expose()));
    }
    if let Some(link) = exchange {
        put("exchange.nats", Value::Array(link.servers.iter().map(|one| text_of(one)).collect()));
        put("exchange.network", text_of(&link.network));
        put("exchange.replicas", number(u64::from(link.replicas)));
        let tls = link.tls.as_ref();
        let identity = tls.and_then(|tls| tls.identity.as_ref());
        for (key, file) in [
            ("exchange.credentials", link.credentials.as_ref()),
            ("exchange.tls_authorities", tls.map(|tls| &tls.authorities)),
            ("exchange.tls_certificate", identity.map(|(certificate, _)| certificate)),
            ("exchange.tls_key", identity.map(|(_, key)| key)),
        ] {
            if let Some(file) = file {
                put(key, path(file));
            }
        }
    }
    all.extend(tables(config, text));
    all
}

/// Tables that have a line for each kind or member: as the file has them, or their defaults.
fn tables(config: &EngineConfig, text: &str) -> Vec<(String, Value)> {
    let file: toml::Table = toml::from_str(text).unwrap_or_default();
    let mut all = Vec::new();
    let written = |name: &str| file.get(name).and_then(Value::as_table).filter(|table| !table.is_empty());
    match written("required") {
        Some(table) => {
            all.extend(table.iter().map(|(kind, value)| (format!("required.{kind}"), value.clone())))
        }
        None if config.policy.required == crate::policy::Required::default() => {}
        None => all.extend(REQUIRED.iter().map(|(kind, fields)| {
            let fields = fields.iter().map(|field| Value::String((*field).to_owned())).collect();
            (format!("required.{}", kind.name()), Value::Array(fields))
        })),
    }
    for name in ["stale_after_ms", "members"] {
        let table = written(name).into_iter().flatten();
        all.extend(table.map(|(key, value)| (format!("{name}.{key}"), value.clone())));
    }
    all.extend(file.get("legal_basis").map(|value| ("legal_basis".to_owned(), value.clone())));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::{commented_defaults, keys};

    fn of(text: &str, overrides: &Overrides) -> BTreeMap<String, (String, Origin)> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let shown = show(Some(file.path()), overrides).expect("it loads");
        shown.into_iter().map(|one| (one.key, (one.value.to_string(), one.origin))).collect()
    }

    #[test]
    fn every_key_of_the_file_is_shown_with_its_value_and_line() {
        let text = commented_defaults();
        let shown = of(&text, &Overrides::default());
        let file: toml::Table = toml::from_str(&text).expect("TOML");
        let mut keys = 0;
        for (name, value) in &file {
            let inner: Vec<(String, &Value)> = match value.as_table() {
                Some(table) => table.iter().map(|(key, value)| (format!("{name}.{key}"), value)).collect(),
                None => vec![(name.clone(), value)],
            };
            for (key, value) in inner {
                let (is, origin) = shown.get(&key).unwrap_or_else(|| panic!("{key} is not shown"));
                // So many as there are cores.
                assert!(key == "workers" || *is == value.to_string(), "{key}: {is}");
                let Origin::File(line) = origin else { panic!("{key}: {origin:?}") };
                let last = key.rsplit('.').next().expect("a name");
                let at = text.lines().nth(line - 1).expect("a line");
                assert!(at.starts_with(&format!("{last} =")), "{key} at {line}: {at}");
                keys += 1;
            }
        }
        assert_eq!(keys, shown.len());
        assert!(keys > 35 && keys::names().count() >= 30);
    }

    #[test]
    fn what_is_nearer_counts_and_says_so() {
        let overrides = Overrides { dev: true, listen: Some("[::1]:7".to_owned()), ..Overrides::default() };
        let shown =
            of("\nbudget_us = 250\nlisten = \"[::1]:1\"\n[exchange]\nnats = [\"nats://a:1\"]\n", &overrides);
        for (key, value, origin) in [
            ("listen", "\"[::1]:7\"", Origin::Argument("--listen")),
            ("budget_us", "250", Origin::File(2)),
            ("member", "\"dev\"", Origin::Development),
            ("lift_cooling_off_hours", "0", Origin::Development),
            ("drain_seconds", "5", Origin::Default),
            ("exchange.nats", "[\"nats://a:1\"]", Origin::File(5)),
            ("exchange.replicas", "3", Origin::Default),
        ] {
            assert_eq!(shown.get(key), Some(&(value.to_owned(), origin)), "{key}");
        }
        assert!(!shown.contains_key("tls.key") && !shown.contains_key("required.invoice"));
    }
}
