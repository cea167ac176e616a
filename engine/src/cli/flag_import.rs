//! `sparr flag import`: many flags from a file. First the difference, then, within a bound, the change.

use super::bulk;
use super::connect::ConnectArgs;
use super::exchange::{end_of_day, one_of};
use super::{CannotRun, Ended, Outcome};
use clap::Args;
use serde_json::json;
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Role, SubjectKind, Wish};
use sparr_protocol::exchange::{Operation, PlannedChange, Said, SubjectText};
use sparr_protocol::flag::{Methods, Scope, Terms};
use std::path::PathBuf;

/// Changes that an import makes without being told how many to expect: a slip of a file changes no more than this.
const CHANGES_MAX: usize = 100;

#[derive(Args)]
#[command(after_help = "Example:
  sparr flag import flags.csv --dry-run
reads CSV with the columns subject, wish, until, and where wished scope, reason, requested_by, authenticated_by.")]
pub(crate) struct ImportArgs {
    /// CSV with a header
    file: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Make at most so many changes; more than that is refused as a whole
    #[arg(long, value_name = "N", default_value_t = CHANGES_MAX)]
    changes_max: usize,
    /// What kind of numbers they are
    #[arg(long, value_name = "KIND", default_value = "se_person", value_parser = one_of(SubjectKind::parse, "se_person, se_organisation or foreign"))]
    subject_kind: SubjectKind,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// A row that is a flag: its line, whose, and what it says.
struct Row {
    line: u64,
    subject: SubjectText,
    terms: Terms,
}

/// A row that is none. The row itself is not repeated: it is about a person.
struct Reject {
    line: u64,
    why: String,
}

/// Reads a file of flags.
pub(crate) fn import(args: &ImportArgs) -> Outcome {
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| CannotRun(format!("{}: {error}", args.file.display())))?;
    let (rows, mut rejects) = read(&text, args.subject_kind)?;
    let plans = rows.iter().map(|row| Operation::FlagPlan { subject: row.subject.clone(), terms: row.terms });
    let planned = bulk::send(&args.connect, Role::Desk, "comparing", plans.collect())?;
    let (mut new, mut replaced, mut same, mut changes) = (0, 0, 0, Vec::new());
    for (row, said) in rows.into_iter().zip(planned) {
        match said {
            Said::Plan(PlannedChange::New) => {
                new += 1;
                changes.push(row);
            }
            Said::Plan(PlannedChange::Replaces) => {
                replaced += 1;
                changes.push(row);
            }
            Said::Plan(PlannedChange::Same) => same += 1,
            Said::Refused(refusal) => {
                rejects.push(Reject { line: row.line, why: refusal.name().to_owned() });
            }
            _ => rejects.push(Reject { line: row.line, why: "the answer is incomplete".to_owned() }),
        }
    }
    let too_many = changes.len() > args.changes_max;
    let mut raised = 0;
    if !args.dry_run && !too_many {
        let raises: Vec<Operation> = changes
            .iter()
            .map(|row| Operation::FlagRaise { subject: row.subject.clone(), terms: row.terms })
            .collect();
        for (row, said) in changes.iter().zip(bulk::send(&args.connect, Role::Desk, "raising", raises)?) {
            match said {
                Said::Durable { .. } => raised += 1,
                Said::Refused(refusal) => {
                    rejects.push(Reject { line: row.line, why: refusal.name().to_owned() });
                }
                _ => rejects.push(Reject { line: row.line, why: "the answer is incomplete".to_owned() }),
            }
        }
    }
    rejects.sort_by_key(|reject| reject.line);
    if args.json {
        let rejected: Vec<_> =
            rejects.iter().map(|reject| json!({ "line": reject.line, "why": reject.why })).collect();
        let value = json!({
            "dry_run": args.dry_run, "new": new, "replaced": replaced, "same": same, "raised": raised,
            "changes_max": args.changes_max, "too_many": too_many, "rejected": rejected,
        });
        println!("{value}");
    } else {
        println!("{new} new, {replaced} replaced, {same} the same, {} rejected", rejects.len());
        rejects.iter().for_each(|reject| println!("  line {}: {}", reject.line, reject.why));
        if too_many {
            println!(
                "Refused: {} changes are more than {}; nothing was changed (--changes-max)",
                changes.len(),
                args.changes_max
            );
        } else if args.dry_run {
            println!("Nothing was changed: a dry run.");
        } else {
            println!("{raised} flags raised, durable.");
        }
    }
    let clean = rejects.is_empty() && !too_many;
    Ok(if clean { Ended::Fine } else { Ended::Findings })
}

fn read(text: &str, kind: SubjectKind) -> Result<(Vec<Row>, Vec<Reject>), CannotRun> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers()?.clone();
    let known = ["subject", "wish", "until", "scope", "reason", "requested_by", "authenticated_by"];
    if let Some(unknown) = header.iter().find(|name| !known.contains(name)) {
        return Err(CannotRun(format!("no column is called {unknown:?}; there are {}", known.join(", "))));
    }
    let column = |name: &str| header.iter().position(|known| known == name);
    for needed in &known[..3] {
        if column(needed).is_none() {
            return Err(CannotRun(format!("the file needs a column {needed}")));
        }
    }
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let line;
        let read = match &record {
            Ok(record) => {
                line = record.position().map_or(0, csv::Position::line);
                let get =
                    |name: &str| column(name).and_then(|at| record.get(at)).filter(|text| !text.is_empty());
                row(get, kind)
            }
            Err(error) => {
                line = error.position().map_or(0, csv::Position::line);
                Err("not as many columns as the header".to_owned())
            }
        };
        match read {
            Ok((subject, terms)) => rows.push(Row { line, subject, terms }),
            Err(why) => rejects.push(Reject { line, why }),
        }
    }
    Ok((rows, rejects))
}

fn row<'a>(get: impl Fn(&str) -> Option<&'a str>, kind: SubjectKind) -> Result<(SubjectText, Terms), String> {
    fn parsed<T>(
        text: Option<&str>,
        default: T,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        text.map_or(Ok(default), |text| parse(text).ok_or_else(|| format!("{name} is not legal")))
    }
    let subject = get("subject").ok_or("subject is empty")?;
    let wish = get("wish").and_then(Wish::parse).ok_or("wish is verify or deny")?;
    let until = get("until").ok_or("until is empty")?;
    let terms = Terms {
        wish,
        scope: parsed(get("scope"), Scope::Any, "scope", Scope::parse)?,
        reason: parsed(get("reason"), FlagReason::Precaution, "reason", FlagReason::parse)?,
        requested_by: parsed(get("requested_by"), RequestedBy::Person, "requested_by", RequestedBy::parse)?,
        authenticated_by: parsed(
            get("authenticated_by"),
            AuthMethod::BankId,
            "authenticated_by",
            AuthMethod::parse,
        )?,
        compromised: Methods::default(),
        valid_until: end_of_day(until).map_err(|_| "until is a date such as 2027-12-31")?,
    };
    Ok((SubjectText { text: subject.into(), kind, country: None }, terms))
}
