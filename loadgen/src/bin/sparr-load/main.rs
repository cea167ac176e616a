//! `sparr-load`: the open-loop load generator, against any engine. Exit codes: 0 fine, 1 over the budget or not to be
//! believed, 2 could not run.

mod find_max;
mod generate;
mod options;
mod run;
mod self_test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Sends authorisation requests on schedule, whatever became of the earlier ones, and measures from the intended time.
#[derive(Parser)]
#[command(name = "sparr-load", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send a seeded stream at one rate, or at several after each other
    Run(run::RunArgs),
    /// Send the rows of a CSV file at a rate
    Replay(run::ReplayArgs),
    /// Search the highest rate at which the p99 stays within the budget
    FindMax(find_max::FindMaxArgs),
    /// Measure a service whose latency can be calculated, and compare
    SelfTest(self_test::SelfTestArgs),
    /// Write what becomes of a stream's payments: final results and labels, with their delays
    Generate(generate::GenerateArgs),
}

/// How a command ended.
pub(crate) enum Ended {
    /// All is well.
    Fine,
    /// It ran, and the budget was missed or the figures may not be believed.
    Findings,
}

/// Why a command could not run.
pub(crate) struct CannotRun(pub(crate) String);

impl<E: std::fmt::Display> From<E> for CannotRun {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

pub(crate) type Outcome = Result<Ended, CannotRun>;

/// A current-thread runtime that nothing else uses.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Replay(args) => run::replay(&args),
        Command::FindMax(args) => find_max::run(&args),
        Command::SelfTest(args) => self_test::run(&args),
        Command::Generate(args) => generate::run(&args),
    };
    match outcome {
        Ok(Ended::Fine) => ExitCode::SUCCESS,
        Ok(Ended::Findings) => ExitCode::from(1),
        Err(CannotRun(problem)) => {
            eprintln!("sparr-load: {problem}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
