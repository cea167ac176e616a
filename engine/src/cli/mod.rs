//! The command line. Exit codes: 0 fine, 1 findings or a refusal, 2 could not run.

mod aftermath;
mod aftermath_rows;
mod audit;
mod backtest;
mod bulk;
mod canary;
mod check;
mod config;
mod connect;
mod decisions;
#[cfg(feature = "parquet")]
mod decisions_parquet;
#[cfg(not(feature = "parquet"))]
#[path = "decisions_no_parquet.rs"]
mod decisions_parquet;
mod demo;
mod exchange;
mod exchange_status;
mod exempt;
mod explain;
mod explain_answer;
mod flag;
mod flag_import;
mod flag_show;
mod incident;
mod indicator;
mod indicator_import;
mod indicator_show;
mod journal;
mod keys;
mod map;
mod map_show;
mod member;
mod recall;
mod rules;
mod schema;
mod screen;
mod serve;
mod test;
#[cfg(feature = "tui")]
mod top;
mod velocity;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser, Subcommand};
use std::process::ExitCode;

/// Real-time transaction screening: flags that people asked for, velocity, and rules, within a p99 budget.
#[derive(Parser)]
#[command(name = "sparr", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole of it once: an engine, flags, a mixed stream of requests, a table, one decision explained
    Demo(demo::DemoArgs),
    /// Run an engine
    Serve(serve::ServeArgs),
    /// See what an engine would run with
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Watch an engine live in a terminal
    #[cfg(feature = "tui")]
    Top(top::TopArgs),
    /// Send authorisation requests and print the answers
    Screen(screen::ScreenArgs),
    /// Send a payment of a flagged person whom nobody is, and see that it is stopped
    Canary(canary::CanaryArgs),
    /// Turn messages of ISO 8583 and ISO 20022 into requests, and answers into their codes
    #[command(subcommand)]
    Map(map::MapCommand),
    /// Raise, lift and look up people's flags
    #[command(subcommand)]
    Flag(flag::FlagCommand),
    /// Draft, report, share and withdraw indicators: police first
    #[command(subcommand)]
    Indicator(indicator::IndicatorCommand),
    /// Say that the police have an indicator
    #[command(subcommand)]
    Receipt(indicator::ReceiptCommand),
    /// Admit and suspend members, and see their rights
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Prove what a journal holds
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// See who asked about whom, and prove that the audit is whole
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// See how the exchange with other engines stands
    #[command(subcommand)]
    Exchange(exchange_status::ExchangeCommand),
    /// Print the public half of an engine's signing key, and the fingerprint of its network key
    Keys(keys::KeysArgs),
    /// Tell what became of payments: authorised, declined by the issuer, reversed
    #[command(after_help = "Example:
  sparr result results.ndjson
with lines such as {\"request_id\": 32 hexadecimal digits, \"final\": \"declined\", \"response_code\": \"51\", \"time\": RFC 3339 or ms}")]
    Result(aftermath::AftermathArgs),
    /// Tell what payments turned out to be: fraud of some kind, or genuine
    #[command(after_help = "Example:
  sparr label labels.csv --map labels.toml
with the fields payment_id, class (unauthorised, takeover, scam, mule, first_party, genuine), known_at, and where known
chargeback_code and amount_minor")]
    Label(aftermath::AftermathArgs),
    /// List requests of the last hour that would be answered otherwise now
    Recall(recall::RecallArgs),
    /// Check rule files without running them
    Check(check::CheckArgs),
    /// Run rule files over recorded requests
    Backtest(backtest::BacktestArgs),
    /// Play the tests of rule files: tables of requests at stated times
    Test(test::TestArgs),
    /// List answers of the engine, as its decision log has them
    Decisions(decisions::DecisionsArgs),
    /// Say what was affected in a span of time: requests, people, members, and whether data was lost
    IncidentExport(incident::IncidentArgs),
    /// Say what each rule makes of a request in a file, or made of one that was answered, part by part
    Explain(explain::ExplainArgs),
    /// Silence named rules for one person, card or account, for a while
    #[command(subcommand)]
    Exempt(exempt::ExemptCommand),
    /// Print the JSON Schema of rule files, for completion in an editor
    Schema(schema::SchemaArgs),
    /// History of rule sets; reload, approve a staged one, go back to an earlier one, switch rules off
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Look at what is counted of one card, person, device or other key
    #[command(subcommand)]
    Velocity(velocity::VelocityCommand),
    /// Print completions for a shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
}

/// How a command ended.
pub(crate) enum Ended {
    /// All is well.
    Fine,
    /// It ran, and something was found or refused.
    Findings,
}

/// Why a command could not run.
#[derive(Debug)]
pub(crate) struct CannotRun(String);

impl<E: std::fmt::Display> From<E> for CannotRun {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

type Outcome = Result<Ended, CannotRun>;

/// An error about the arguments that repeats no value: a personal number in the wrong place is not for a log.
fn without_values(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg] {
        let given =
            matches!(error.get(kind), Some(ContextValue::String(text)) if !text.starts_with(['-', '<', '[']));
        if given {
            error.insert(kind, ContextValue::String("(not repeated here)".to_owned()));
        }
    }
    error
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let outcome = match Cli::try_parse().unwrap_or_else(|error| without_values(error).exit()).command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        #[cfg(feature = "tui")]
        Command::Top(args) => top::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Screen(args) => screen::run(&args),
        Command::Canary(args) => canary::run(&args),
        Command::Map(command) => map::run(&command),
        Command::Flag(command) => flag::run(command),
        Command::Indicator(command) => indicator::run(command),
        Command::Receipt(command) => indicator::run_receipt(command),
        Command::Member(command) => member::run(command),
        Command::Journal(command) => journal::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Exchange(command) => exchange_status::run(&command),
        Command::Keys(args) => keys::run(&args),
        Command::Result(args) => aftermath::results(&args),
        Command::Label(args) => aftermath::labels(&args),
        Command::Recall(args) => recall::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Backtest(args) => backtest::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Rules(command) => rules::run(command),
        Command::Exempt(command) => exempt::run(command),
        Command::Schema(args) => schema::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Velocity(command) => velocity::run(command),
        Command::Decisions(args) => decisions::run(&args),
        Command::IncidentExport(args) => incident::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "sparr", &mut std::io::stdout());
            Ok(Ended::Fine)
        }
    };
    match outcome {
        Ok(Ended::Fine) => ExitCode::SUCCESS,
        Ok(Ended::Findings) => ExitCode::from(1),
        Err(CannotRun(problem)) => {
            eprintln!("sparr: {problem}");
            ExitCode::from(2)
        }
    }
}

/// A current-thread runtime for a command that talks to an engine.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
