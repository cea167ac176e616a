//! `sparr rules`: which rule set decided when; load, approve, go back, switch off. Whatever changes something is asked for
//! with the identity of a certificate, and the history says whose.

use super::exchange::{Common, ask, incomplete, one_of, position, refused};
use super::{CannotRun, Ended, Outcome};
use clap::{Args, Subcommand};
use serde_json::json;
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{ExchangeAnswer, Operation, RulesOperation, Said};
use sparr_protocol::exemption::is_rule_name;
use sparr_protocol::ids::{RequestId, RuleSetDigest};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// What to do.
#[derive(Subcommand)]
pub(crate) enum RulesCommand {
    /// Which rule sets were staged and which decided, newest first: one JSON object a line
    History(AdminArgs),
    /// Load the rule files again: they decide, or wait for a second person's approval
    Reload(ReloadArgs),
    /// Make the staged rule set decide: another person than the one who had it staged
    #[command(after_help = "Example:
  sparr rules approve 0123456789abcdef0123456789abcdef")]
    Approve(DigestArgs),
    /// Switch a rule off at once, or all of them, until they are revived: across reloads and restarts
    Kill(RuleArgs),
    /// Let a rule that was switched off do again what its file says
    Revive(RuleArgs),
    /// Make an earlier rule set decide again
    Rollback(RollbackArgs),
}

/// Where the engine's admin port is.
#[derive(Args)]
pub(crate) struct AdminArgs {
    /// The engine's admin port
    #[arg(long, value_name = "ADDRESS", default_value = crate::server::config::ADMIN)]
    admin: String,
}

#[derive(Args)]
pub(crate) struct ReloadArgs {
    /// The set may change more answers than the configuration allows without a word: see `sparr backtest --live`
    #[arg(long)]
    accept: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct DigestArgs {
    /// Digest of the staged set, as the reload said it
    #[arg(value_name = "DIGEST", value_parser = one_of(digest, DIGEST))]
    digest: RuleSetDigest,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct RollbackArgs {
    /// Its digest; without it, the one before the active one
    #[arg(value_name = "DIGEST", value_parser = one_of(digest, DIGEST))]
    digest: Option<RuleSetDigest>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct RuleArgs {
    /// The rule's id
    #[arg(value_name = "RULE", value_parser = one_of(rule, "a rule's id, such as card-testing"), required_unless_present = "all")]
    rule: Option<String>,
    /// Every rule of the set. What people's flags ask for is no rule: it acts all the same
    #[arg(long, conflicts_with = "rule")]
    all: bool,
    #[command(flatten)]
    common: Common,
}

const DIGEST: &str = "a digest of 32 hexadecimal digits";

fn digest(text: &str) -> Option<RuleSetDigest> {
    let fits = text.len() == 32;
    RequestId::parse(text).filter(|_| fits).map(|digits| RuleSetDigest(digits.0))
}

fn rule(text: &str) -> Option<String> {
    is_rule_name(text).then(|| text.to_owned())
}

/// Does it.
pub(crate) fn run(command: RulesCommand) -> Outcome {
    let (operation, common) = match command {
        RulesCommand::History(at) => return history(&at),
        RulesCommand::Reload(args) => (RulesOperation::Reload { accept: args.accept }, args.common),
        RulesCommand::Approve(args) => (RulesOperation::Approve(args.digest), args.common),
        RulesCommand::Rollback(args) => (RulesOperation::Rollback(args.digest), args.common),
        RulesCommand::Kill(RuleArgs { rule, common, .. }) => {
            (rule.map_or(RulesOperation::KillAll, RulesOperation::Kill), common)
        }
        RulesCommand::Revive(RuleArgs { rule, common, .. }) => {
            (rule.map_or(RulesOperation::ReviveAll, RulesOperation::Revive), common)
        }
    };
    let answers = ask(&common, Role::Risk, &Operation::Rules(operation))?;
    Ok(loaded(&answers, common.json))
}

fn loaded(answers: &[ExchangeAnswer], json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    match &last.said {
        Said::RuleSet { digest, staged } => {
            if json {
                let digest = digest.to_string();
                println!("{}", json!({ "digest": digest, "staged": staged, "position": position(last) }));
            } else if *staged {
                println!("staged: {digest}; it waits for another person's `sparr rules approve {digest}`");
            } else {
                println!("active: {digest}");
            }
            Ended::Fine
        }
        Said::Refused(refusal) => refused(*refusal, last, json),
        _ => incomplete(json),
    }
}

/// Reads the history off the admin port, over HTTP/1.0: the connection's end is the answer's.
fn history(at: &AdminArgs) -> Outcome {
    let failed = |error: std::io::Error| CannotRun(format!("admin port {}: {error}", at.admin));
    let mut stream = TcpStream::connect(&at.admin).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
    write!(stream, "GET /api/rules/history HTTP/1.0\r\nHost: {}\r\n\r\n", at.admin).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => {
            print!("{body}");
            Ok(Ended::Fine)
        }
        Some(other) => Err(CannotRun(format!("the admin port answers {other}"))),
        None => Err(CannotRun("no answer".to_owned())),
    }
}
