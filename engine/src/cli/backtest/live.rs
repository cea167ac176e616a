//! `sparr backtest --live`: what a running engine's rule files, if they were loaded now, would have changed among the
//! requests of the last hour.

use crate::cli::connect::ConnectArgs;
use crate::cli::exchange::{incomplete, new_operation, refused};
use crate::cli::{CannotRun, Ended, Outcome, runtime};
use serde_json::json;
use sparr_protocol::client::Client;
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{ExchangeRequest, Operation, RulesOperation, Said};
use std::time::Duration;

/// Longest wait: a large set takes seconds to load, at the lowest priority.
const WAIT: Duration = Duration::from_secs(120);

/// Asks, and prints the answer.
pub(super) fn run(connect: &ConnectArgs, json: bool) -> Outcome {
    let mut config = connect.config(Role::Risk)?;
    config.exchange_timeout = WAIT;
    let answers = runtime()?.block_on(async {
        let client = Client::connect(config).await?;
        let operation = Operation::Rules(RulesOperation::Plan);
        let answers = client.exchange(&ExchangeRequest { id: new_operation(), operation }).await?;
        client.close().await;
        Ok::<_, CannotRun>(answers)
    })?;
    let Some(last) = answers.last() else { return Ok(incomplete(json)) };
    match &last.said {
        Said::Blast(blast) if json => {
            let value = json!({
                "rule_set_digest": blast.digest.to_string(), "requests": blast.requests,
                "changes": blast.changes, "declines_before": blast.declines_before,
                "declines_after": blast.declines_after, "people": blast.people, "flagged": blast.flagged,
                "sentence": blast.sentence,
            });
            println!("{value}");
            Ok(Ended::Fine)
        }
        Said::Blast(blast) => {
            println!("{}: {}", blast.digest, blast.sentence);
            Ok(Ended::Fine)
        }
        Said::Refused(refusal) => Ok(refused(*refusal, last, json)),
        _ => Ok(incomplete(json)),
    }
}
