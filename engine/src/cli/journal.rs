//! `sparr journal`: proof of what a data folder holds, without an engine.

use super::{CannotRun, Ended, Outcome};
use crate::server::config::DATA_DIR;
use crate::server::verify::{Findings, verify};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// `sparr journal …`
#[derive(Subcommand)]
#[command(after_help = "Example:
  sparr journal verify --data-dir sparr-data
while the engine is stopped, or on a copy of its folder.")]
pub(crate) enum JournalCommand {
    /// Prove for the whole history: chains, signatures, rights, police first
    Verify(VerifyArgs),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The engine's data folder
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, env = "SPARR_DATA_DIR")]
    data_dir: PathBuf,
    /// The engine's configuration, for the members that it names [default: those of a development engine]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Carries out one command.
pub(crate) fn run(JournalCommand::Verify(args): &JournalCommand) -> Outcome {
    let Findings { records, commits, origins, indicators_shared, findings } =
        verify(&args.data_dir, args.config.as_deref()).map_err(CannotRun)?;
    if args.json {
        let value = json!({
            "records": records, "commits": commits, "origins": origins,
            "indicators_shared": indicators_shared, "findings": findings,
        });
        println!("{value}");
    } else {
        println!(
            "{records} records of {origins} origins in {commits} signed commits; {indicators_shared} indicators shared"
        );
        findings.iter().for_each(|finding| println!("  {finding}"));
        if findings.is_empty() {
            println!("Chains, signatures, rights and police-first hold for the whole history.");
        }
    }
    Ok(if findings.is_empty() { Ended::Fine } else { Ended::Findings })
}
