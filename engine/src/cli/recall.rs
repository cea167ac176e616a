//! `sparr recall`: requests that would be answered otherwise now, because of a flag, an indicator or a withdrawal that came
//! after them.

use super::exchange::{Common, ask, incomplete, new_operation, refused};
use super::{CannotRun, Ended, Outcome};
use crate::recent::Words as _;
use clap::Args;
use serde_json::{Value, json};
use sparr_protocol::client::Client;
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{ExchangeRequest, Operation, RecallEntry, RecallOperation, Said, ShortAnswer};
use std::io::Write as _;

/// Arguments of `sparr recall`.
#[derive(Args)]
#[command(after_help = "Examples:
  sparr recall
  sparr recall --follow --json | ship-stopper

Each recall has a number: --after the last one that was dealt with gives those that came since.")]
pub(crate) struct RecallArgs {
    /// Those with a higher number than this
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// Go on, and print each other one as it is found
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    common: Common,
}

/// Lists recalls, or follows them.
pub(crate) fn run(args: &RecallArgs) -> Outcome {
    if args.follow {
        return follow(args);
    }
    let operation = Operation::Recall(RecallOperation::List(args.after));
    let answers = ask(&args.common, Role::Gateway, &operation)?;
    for answer in &answers {
        match &answer.said {
            Said::Recalled(entry) => print(entry, args.common.json)?,
            Said::End => {}
            Said::Refused(refusal) => return Ok(refused(*refusal, answer, args.common.json)),
            _ => return Ok(incomplete(args.common.json)),
        }
    }
    if answers.len() == 1 && !args.common.json {
        println!("No request of the last hour would be answered otherwise now.");
    }
    Ok(Ended::Fine)
}

fn follow(args: &RecallArgs) -> Outcome {
    let config = args.common.connect.config(Role::Gateway)?;
    super::runtime()?.block_on(async {
        let client = Client::connect(config).await?;
        let operation = Operation::Recall(RecallOperation::Watch(args.after));
        let request = ExchangeRequest { id: new_operation(), operation };
        let mut answers = client.watch(&request).await?;
        while let Some(answer) = answers.recv().await {
            match &answer.said {
                Said::Recalled(entry) => print(entry, args.common.json)?,
                Said::Refused(refusal) => return Ok(refused(*refusal, &answer, args.common.json)),
                _ => return Ok(incomplete(args.common.json)),
            }
        }
        Err(CannotRun("the engine has ended the stream".to_owned()))
    })
}

fn answer(answer: &ShortAnswer) -> Value {
    match answer {
        Ok((outcome, review)) => json!({ "outcome": outcome.name(), "review": review.name() }),
        Err(why) => json!({ "not_screened": why.name() }),
    }
}

fn print(entry: &RecallEntry, json: bool) -> std::io::Result<()> {
    // Whoever reads along sees each line at once; a pipe that is closed ends the command.
    let mut out = std::io::stdout().lock();
    if json {
        let value = json!({
            "number": entry.number, "request_id": entry.request_id.to_string(), "payment_id": entry.payment_id,
            "answered_at": entry.answered_at.to_string(), "was": answer(&entry.was), "is": answer(&entry.is),
            "cause": entry.cause.name(), "found_at": entry.found_at.to_string(),
        });
        writeln!(out, "{value}")?;
    } else {
        writeln!(
            out,
            "{:>5}  {}  {:<32}  {} → {}  ({}, answered {})",
            entry.number,
            entry.request_id,
            entry.payment_id.as_deref().unwrap_or("-"),
            entry.was.words(),
            entry.is.words(),
            entry.cause.name(),
            entry.answered_at
        )?;
    }
    out.flush()
}
