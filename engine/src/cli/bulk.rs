//! Many operations over one connection: in order, a few at a time, with progress on a terminal.

use super::CannotRun;
use super::connect::ConnectArgs;
use super::exchange::new_operation;
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use sparr_protocol::client::Client;
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said};

/// Operations that are on their way at a time: a few transactions' worth.
const IN_FLIGHT: usize = 256;

/// Sends operations; what each heard last, in the order of the operations.
pub(super) fn send(
    connect: &ConnectArgs,
    role: Role,
    what: &'static str,
    operations: Vec<Operation>,
) -> Result<Vec<Said>, CannotRun> {
    let config = connect.config(role)?;
    let progress = ProgressBar::new(operations.len() as u64)
        .with_style(ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {eta}")?)
        .with_message(what);
    let said = super::runtime()?.block_on(async {
        let client = Client::connect(config).await?;
        let requests = operations.into_iter().map(|operation| {
            let request = ExchangeRequest { id: new_operation(), operation };
            let (client, progress) = (&client, &progress);
            async move {
                let answers = client.exchange(&request).await;
                progress.inc(1);
                answers
            }
        });
        let mut all = Vec::new();
        let mut answers = futures_util::stream::iter(requests).buffered(IN_FLIGHT);
        while let Some(answers) = answers.next().await {
            let last = answers?.pop().ok_or_else(|| CannotRun("the answer is incomplete".to_owned()))?;
            all.push(last.said);
        }
        client.close().await;
        Ok::<_, CannotRun>(all)
    });
    progress.finish_and_clear();
    said
}
