//! `sparr indicator import`: public formats to drafts. What cannot be one is named by its line.

use super::bulk;
use super::connect::ConnectArgs;
use super::exchange::{one_of, until};
use super::{CannotRun, Ended, Outcome};
use crate::request::Prefix;
use clap::{Args, ValueEnum};
use regex::Regex;
use serde_json::{Value, json};
use sparr_protocol::codes::Role;
use sparr_protocol::contact;
use sparr_protocol::exchange::{IndicatorOperation, Operation, Said};
use sparr_protocol::indicator::{ClassName, Grade, IndicatorKind};
use sparr_protocol::time::Timestamp;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;

/// Rejects that are shown one by one on a terminal.
const REJECTS_SHOWN: usize = 20;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// By what is in it
    Auto,
    /// One value a line; # begins a comment
    Lines,
    /// A STIX 2.1 bundle
    Stix,
    /// A MISP warning list
    Misp,
}

#[derive(Args)]
#[command(after_help = "Example:
  sparr indicator import networks.txt --class botnet --grade observed --dry-run")]
pub(crate) struct ImportArgs {
    /// The file
    file: PathBuf,
    /// What it is written in
    #[arg(long, value_enum, default_value = "auto")]
    format: Format,
    /// What all of them are evidence of
    #[arg(long, value_name = "CLASS", value_parser = one_of(ClassName::parse, "1 to 24 of a-z, 0-9, _ and -"))]
    class: ClassName,
    /// How well all of them were looked into
    #[arg(long, value_name = "GRADE", default_value = "observed", value_parser = one_of(Grade::parse, "observed, investigated or confirmed"))]
    grade: Grade,
    /// Their end [default: the longest that each kind may have]
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    /// Say what would be drafted, and draft nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Something that was found in a file: where, and what.
struct Found {
    place: String,
    kind: IndicatorKind,
    value: String,
}

/// What a file holds.
#[derive(Default)]
struct Read {
    found: Vec<Found>,
    /// What is none, by its place. Values are not repeated: they may be about a person.
    rejects: Vec<(String, &'static str)>,
    duplicates: usize,
    seen: HashSet<(IndicatorKind, String)>,
}

/// Reads a file of indicators.
pub(crate) fn import(args: &ImportArgs) -> Outcome {
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| CannotRun(format!("{}: {error}", args.file.display())))?;
    let mut read = Read::default();
    let json_format = match args.format {
        Format::Auto => text.trim_start().starts_with('{'),
        Format::Lines => false,
        Format::Stix | Format::Misp => true,
    };
    if json_format {
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| CannotRun(format!("{}: {error}", args.file.display())))?;
        match (args.format, value.get("objects"), value.get("list")) {
            (Format::Auto | Format::Stix, Some(Value::Array(objects)), _) => read.stix(objects)?,
            // A single object of STIX is a file of its own in many collections.
            (Format::Auto | Format::Stix, None, None) => read.stix(std::slice::from_ref(&value))?,
            (Format::Auto | Format::Misp, _, Some(Value::Array(list))) => read.misp(list),
            _ => return Err(CannotRun(format!("{}: neither STIX nor a MISP list", args.file.display()))),
        }
    } else {
        read.lines(&text);
    }
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    read.found.iter().for_each(|found| *by_kind.entry(found.kind.name()).or_default() += 1);

    let mut drafted = 0;
    if !args.dry_run {
        let drafts = read.found.iter().map(|found| {
            Operation::Indicator(IndicatorOperation::Draft {
                kind: found.kind,
                value: found.value.as_str().into(),
                role: None,
                grade: args.grade,
                class: args.class,
                valid_until: args.until,
            })
        });
        let said = bulk::send(&args.connect, Role::Analyst, "drafting", drafts.collect())?;
        for (found, said) in read.found.iter().zip(said) {
            match said {
                Said::Drafted { .. } => drafted += 1,
                Said::Refused(refusal) => read.rejects.push((found.place.clone(), refusal.name())),
                _ => read.rejects.push((found.place.clone(), "the answer is incomplete")),
            }
        }
    }
    if args.json {
        let rejected: Vec<_> =
            read.rejects.iter().map(|(place, why)| json!({ "at": place, "why": why })).collect();
        let value = json!({
            "dry_run": args.dry_run, "found": by_kind, "duplicates": read.duplicates, "drafted": drafted,
            "rejected": rejected,
        });
        println!("{value}");
    } else {
        let counts: Vec<String> = by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let counts = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
        println!("Found {counts}; {} duplicates, {} rejected", read.duplicates, read.rejects.len());
        for (place, why) in read.rejects.iter().take(REJECTS_SHOWN) {
            println!("  {place}: {why}");
        }
        if read.rejects.len() > REJECTS_SHOWN {
            println!("  and {} more (--json has all)", read.rejects.len() - REJECTS_SHOWN);
        }
        if args.dry_run {
            println!("Nothing was drafted: a dry run.");
        } else {
            println!("{drafted} drafted: they act at this member from now on.");
        }
    }
    Ok(if read.rejects.is_empty() { Ended::Fine } else { Ended::Findings })
}

/// What kind of value a bare text is.
fn kind_of(text: &str) -> Option<IndicatorKind> {
    if Prefix::parse(text).is_ok() {
        Some(IndicatorKind::Cidr)
    } else if text.parse::<IpAddr>().is_ok() {
        Some(IndicatorKind::Ip)
    } else if text.contains('@') {
        contact::email(text).map(|_| IndicatorKind::Email)
    } else {
        contact::domain(text).map(|_| IndicatorKind::Domain)
    }
}

impl Read {
    fn add(&mut self, place: String, kind: IndicatorKind, value: &str) {
        if self.seen.insert((kind, value.to_ascii_lowercase())) {
            self.found.push(Found { place, kind, value: value.to_owned() });
        } else {
            self.duplicates += 1;
        }
    }

    fn value(&mut self, place: String, text: &str) {
        match kind_of(text) {
            Some(kind) => self.add(place, kind, text),
            None => {
                self.rejects.push((place, "neither a network, an address, an e-mail address nor a domain"))
            }
        }
    }

    /// One value a line. What follows the value after white space is a remark of the list's maker.
    fn lines(&mut self, text: &str) {
        for (at, line) in text.lines().enumerate() {
            let value = line.split('#').next().unwrap_or_default().split_whitespace().next();
            if let Some(value) = value {
                self.value(format!("line {}", at + 1), value);
            }
        }
    }

    fn misp(&mut self, list: &[Value]) {
        for (at, value) in list.iter().enumerate() {
            let place = format!("list entry {}", at + 1);
            match value.as_str() {
                // A leading dot means "and everything below it".
                Some(text) => self.value(place, text.trim_start_matches('.')),
                None => self.rejects.push((place, "not a text")),
            }
        }
    }

    /// Indicators of a bundle whose pattern compares one value, or any of several. Revoked ones are left out.
    fn stix(&mut self, objects: &[Value]) -> Result<(), CannotRun> {
        let comparison = Regex::new(
            r"^\s*(ipv4-addr|ipv6-addr|domain-name|email-addr|email-message):(value|from_ref\.value|sender_ref\.value)\s*=\s*'([^'\\]+)'\s*$",
        )?;
        let either = Regex::new(r"\s+OR\s+")?;
        for (at, object) in objects.iter().enumerate() {
            let place = format!("object {}", at + 1);
            let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
            if kind != "indicator" || object.get("revoked").and_then(Value::as_bool) == Some(true) {
                continue;
            }
            let Some(pattern) = object.get("pattern").and_then(Value::as_str) else {
                self.rejects.push((place, "an indicator without a pattern"));
                continue;
            };
            let pattern_type = object.get("pattern_type").and_then(Value::as_str).unwrap_or("stix");
            let inner = pattern.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let compared: Option<Vec<&str>> = inner.filter(|_| pattern_type == "stix").and_then(|inner| {
                either
                    .split(inner)
                    .map(|one| {
                        comparison.captures(one).and_then(|found| found.get(3)).map(|value| value.as_str())
                    })
                    .collect()
            });
            match compared {
                Some(values) => values.into_iter().for_each(|value| self.value(place.clone(), value)),
                None => self.rejects.push((place, "a pattern that is no comparison of addresses or names")),
            }
        }
        Ok(())
    }
}
