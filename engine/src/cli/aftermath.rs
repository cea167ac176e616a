//! `sparr result` and `sparr label`: what became of payments, from NDJSON or CSV. Telling the same again changes nothing.

use super::connect::ConnectArgs;
use super::exchange::{new_operation, why};
use super::{CannotRun, Ended, Outcome};
use crate::cli::aftermath_rows::{self, Told};
use clap::Args;
use futures_util::StreamExt as _;
use serde_json::json;
use sparr_protocol::client::Client;
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::Said;
use std::path::PathBuf;

/// Arguments of `sparr result` and `sparr label`.
#[derive(Args)]
pub(crate) struct AftermathArgs {
    /// NDJSON, or CSV with a header; .zst and .gz are unpacked, and - is standard input
    file: PathBuf,
    /// Which column of a CSV file is which field [default: each by its name]
    #[arg(long, value_name = "MAP.toml")]
    map: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Lines that are on their way at a time.
const IN_FLIGHT: usize = 512;

/// Refused lines that are shown.
const SHOWN_MAX: usize = 20;

/// Tells final results.
pub(crate) fn results(args: &AftermathArgs) -> Outcome {
    let told = aftermath_rows::results(&args.file, args.map.as_deref())?;
    tell(args, Role::Gateway, told, async |client, result| client.final_result(&result).await)
}

/// Tells labels.
pub(crate) fn labels(args: &AftermathArgs) -> Outcome {
    let told = aftermath_rows::labels(&args.file, args.map.as_deref())?;
    // Whoever investigates has a certificate of the role risk; a development engine has one for each role.
    tell(args, Role::Risk, told, async |client, label| client.label(&label).await)
}

fn tell<T>(
    args: &AftermathArgs,
    role: Role,
    Told { rows, mut rejected }: Told<T>,
    send: impl AsyncFn(
        &Client,
        T,
    )
        -> Result<Vec<sparr_protocol::exchange::ExchangeAnswer>, sparr_protocol::client::CallError>,
) -> Outcome {
    let mut config = args.connect.config(role)?;
    config.exchange_timeout = std::time::Duration::from_secs(30);
    let mut durable = 0u64;
    super::runtime()?.block_on(async {
        let client = Client::connect(config).await?;
        let (client, send) = (&client, &send);
        let calls = rows.into_iter().map(|(line, row)| async move { (line, send(client, row).await) });
        let mut answers = futures_util::stream::iter(calls).buffered(IN_FLIGHT);
        while let Some((line, answered)) = answers.next().await {
            match answered?.pop().map(|last| last.said) {
                Some(Said::Durable { .. }) => durable += 1,
                Some(Said::Refused(refusal)) => {
                    let why = why(refusal);
                    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                    rejected.push((line, format!("{}{why}", refusal.name())));
                }
                _ => rejected.push((line, "the answer is incomplete".to_owned())),
            }
        }
        client.close().await;
        Ok::<_, CannotRun>(())
    })?;
    rejected.sort();
    if args.json {
        let lines: Vec<_> = rejected.iter().map(|(line, why)| json!({ "line": line, "why": why })).collect();
        println!("{}", json!({ "durable": durable, "rejected": lines }));
    } else {
        println!("{durable} durable, {} rejected", rejected.len());
        for (line, why) in rejected.iter().take(SHOWN_MAX) {
            println!("  line {line}: {why}");
        }
        if rejected.len() > SHOWN_MAX {
            println!("  and {} more; --json lists them all", rejected.len() - SHOWN_MAX);
        }
    }
    Ok(if rejected.is_empty() { Ended::Fine } else { Ended::Findings })
}

/// An id under which one answer is found; it is not kept.
pub(super) fn answer_id() -> sparr_protocol::ids::RequestId {
    new_operation()
}
