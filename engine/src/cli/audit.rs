//! `sparr audit`: who asked about whom, and proof that nothing of it was changed.

use super::{CannotRun, Ended, Outcome};
use crate::server::audit::{Entry, Event, Found, Looked, verify};
use crate::server::config::DATA_DIR;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sparr_protocol::exchange::OperationKind;
use sparr_protocol::time::Timestamp;
use std::collections::VecDeque;
use std::path::PathBuf;

/// `sparr audit …`
#[derive(Subcommand)]
#[command(after_help = "Example:
  sparr audit list --data-dir sparr-data --last 20
Both commands read the files: beside a running engine, after it, or on a copy of its folder.")]
pub(crate) enum AuditCommand {
    /// Prove that no line of the audit was changed, removed or added
    Verify(VerifyArgs),
    /// Print who asked about whom, oldest first
    List(ListArgs),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The engine's data folder
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "SPARR_DATA_DIR")]
    data_dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// The engine's data folder
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "SPARR_DATA_DIR")]
    data_dir: PathBuf,
    /// Only the last so many lines
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    last: usize,
    /// Only what this member's people asked
    #[arg(long, value_name = "MEMBER")]
    member: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Carries out one command.
pub(crate) fn run(command: &AuditCommand) -> Outcome {
    match command {
        AuditCommand::Verify(args) => {
            let (mut gaps, mut looks) = (0, 0);
            let found = verify(&args.data_dir, |entry| {
                gaps += u64::from(matches!(entry.event, Event::Gap { .. }));
                looks += u64::from(matches!(entry.event, Event::Looked(_)));
            });
            Ok(verified(&found.map_err(CannotRun)?, looks, gaps, args.json))
        }
        AuditCommand::List(args) => {
            let mut last = VecDeque::new();
            let wanted = |entry: &Entry| match (&args.member, &entry.event) {
                (None, _) => true,
                (Some(member), Event::Looked(looked)) => looked.member == *member,
                (Some(_), _) => false,
            };
            let found = verify(&args.data_dir, |entry| {
                if wanted(entry) {
                    last.push_back(entry.clone());
                }
                if last.len() > args.last {
                    last.pop_front();
                }
            });
            let found = found.map_err(CannotRun)?;
            if args.json {
                let entries: Vec<Value> = last.iter().map(|entry| json!(entry)).collect();
                println!("{}", json!({ "entries": entries, "findings": found.findings }));
            } else {
                last.iter().for_each(|entry| println!("{}", line(entry)));
                found.findings.iter().for_each(|finding| println!("  {finding}"));
            }
            Ok(if found.findings.is_empty() { Ended::Fine } else { Ended::Findings })
        }
    }
}

fn verified(found: &Found, looks: u64, gaps: u64, json: bool) -> Ended {
    let Found { entries, segments, findings, unfinished, .. } = found;
    if json {
        let value = json!({
            "entries": entries, "segments": segments, "looks": looks, "gaps": gaps, "findings": findings,
            "unfinished": unfinished,
        });
        println!("{value}");
    } else {
        println!(
            "{entries} lines in {segments} segments: {looks} looks; {gaps} gaps after an engine that was killed"
        );
        if *unfinished {
            println!("  the last line is not whole: an engine is writing it, or was killed while it did");
        }
        findings.iter().for_each(|finding| println!("  {finding}"));
        if findings.is_empty() {
            println!("No line was changed, removed or added.");
        }
    }
    if findings.is_empty() { Ended::Fine } else { Ended::Findings }
}

fn line(entry: &Entry) -> String {
    let at = Timestamp::from_ms(entry.at_ms);
    match &entry.event {
        Event::Began { epoch } => format!("{at}  the engine began, epoch {epoch}"),
        Event::Gap { last_ms } => {
            let last = Timestamp::from_ms(*last_ms);
            format!("{at}  the engine was killed: what came after {last} may be missing")
        }
        Event::Stopped => format!("{at}  the engine stopped in order"),
        Event::HoneyScreened { times } => {
            format!("{at}  {times} payments of numbers that nobody was ever given were screened")
        }
        Event::Looked(Looked {
            operation,
            member,
            member_kind,
            role,
            actor,
            subject,
            flagged,
            honey,
            shown,
            refused,
        }) => {
            let whom = subject.as_deref().unwrap_or("-");
            let mut came = match (refused, shown) {
                (Some(refused), _) => format!("refused: {refused}"),
                (None, Some(shown)) if operation == OperationKind::VelocityShow.name() => {
                    format!("{shown} velocity keys shown")
                }
                (None, Some(shown)) => format!("{shown} flags shown"),
                (None, None) => "answered".to_owned(),
            };
            if *flagged {
                came.push_str(", flagged");
            }
            if *honey {
                came.push_str(", NOBODY HAS THIS NUMBER");
            }
            format!("{at}  {operation:<13}  {member}/{role}/{actor} ({member_kind})  {whom}  {came}")
        }
    }
}
