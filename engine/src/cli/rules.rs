//! `sparr rules`: which rule set decided when; approve a staged one, or go back to an earlier one.

use super::{CannotRun, Ended, Outcome};
use clap::{Args, Subcommand};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// What to do.
#[derive(Subcommand)]
pub(crate) enum RulesCommand {
    /// Which rule sets were staged and which decided, newest first: one JSON object a line
    History(AdminArgs),
    /// Make the staged rule set decide
    #[command(after_help = "Example:
  sparr rules approve 0123456789abcdef0123456789abcdef --by anna")]
    Approve {
        /// Digest of the staged set, as the reload said it
        #[arg(value_name = "DIGEST", value_parser = digest)]
        digest: String,
        /// Who approves, for the history
        #[arg(long, value_name = "NAME", value_parser = name)]
        by: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Switch one rule off at once, until it is revived: across reloads and restarts
    Kill {
        /// The rule's id
        #[arg(value_name = "RULE", value_parser = name)]
        rule: String,
        /// Who asks, for the history
        #[arg(long, value_name = "NAME", value_parser = name)]
        by: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Let a rule that was switched off do again what its file says
    Revive {
        /// The rule's id
        #[arg(value_name = "RULE", value_parser = name)]
        rule: String,
        /// Who asks, for the history
        #[arg(long, value_name = "NAME", value_parser = name)]
        by: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Make an earlier rule set decide again
    Rollback {
        /// Its digest; without it, the one before the active one
        #[arg(value_name = "DIGEST", value_parser = digest)]
        digest: Option<String>,
        /// Who asks, for the history
        #[arg(long, value_name = "NAME", value_parser = name)]
        by: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

/// Where the engine is.
#[derive(Args)]
pub(crate) struct AdminArgs {
    /// The engine's admin port
    #[arg(long, value_name = "ADDRESS", default_value = crate::server::config::ADMIN)]
    admin: String,
}

fn digest(text: &str) -> Result<String, String> {
    let fits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(text.to_ascii_lowercase()) } else { Err("a digest has 32 hexadecimal digits".to_owned()) }
}

fn name(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(legal);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 64 letters, digits, `-`, `_` and `.`".to_owned())
    }
}

/// Does it.
pub(crate) fn run(command: RulesCommand) -> Outcome {
    let (status, body) = match command {
        RulesCommand::History(at) => ask(&at, "GET", "/api/rules/history")?,
        RulesCommand::Approve { digest, by, admin } => {
            ask(&admin, "POST", &format!("/-/rules/approve?digest={digest}&by={by}"))?
        }
        RulesCommand::Kill { rule, by, admin } => {
            ask(&admin, "POST", &format!("/-/rules/kill?rule={rule}&by={by}"))?
        }
        RulesCommand::Revive { rule, by, admin } => {
            ask(&admin, "POST", &format!("/-/rules/revive?rule={rule}&by={by}"))?
        }
        RulesCommand::Rollback { digest: Some(digest), by, admin } => {
            ask(&admin, "POST", &format!("/-/rules/rollback?digest={digest}&by={by}"))?
        }
        RulesCommand::Rollback { digest: None, by, admin } => {
            ask(&admin, "POST", &format!("/-/rules/rollback?by={by}"))?
        }
    };
    print!("{body}");
    match status {
        200 => Ok(Ended::Fine),
        409 => Ok(Ended::Findings),
        other => Err(CannotRun(format!("the admin port answers {other}"))),
    }
}

/// One exchange over HTTP/1.0: the connection's end is the answer's.
fn ask(at: &AdminArgs, method: &str, path: &str) -> Result<(u16, String), CannotRun> {
    let failed = |error: std::io::Error| CannotRun(format!("admin port {}: {error}", at.admin));
    let mut stream = TcpStream::connect(&at.admin).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", at.admin)
        .map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.map(|status| (status, body.to_owned())).ok_or_else(|| CannotRun("no answer".to_owned()))
}
