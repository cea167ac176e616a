//! The flags that people asked for, raised by a desk.

use crate::cli::CannotRun;
use crate::server::clock;
use sparr_loadgen::people::{Population, personal_number};
use sparr_protocol::client::{Client, ClientConfig};
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, SubjectKind};
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said, SubjectText};
use sparr_protocol::flag::{Methods, Terms};
use std::time::Duration;

/// Flags that are raised at once: each waits for the disk, together they share a commit.
const FLAGS_AT_ONCE: usize = 1_024;

/// Raises every flag of the population, and says how long it took.
pub(super) async fn raise(config: ClientConfig, population: &Population) -> Result<Duration, CannotRun> {
    let client = Client::connect(config).await?;
    let started = clock::instant();
    let valid_until = clock::now().saturating_add_ms(365 * 86_400_000);
    let mut flags = population.flags().peekable();
    while flags.peek().is_some() {
        let calls = flags.by_ref().take(FLAGS_AT_ONCE).map(|(person, asked)| {
            let terms = Terms {
                wish: asked.wish,
                scope: asked.scope,
                reason: FlagReason::SuspectedFraud,
                requested_by: RequestedBy::Person,
                authenticated_by: AuthMethod::BankId,
                compromised: Methods::default(),
                valid_until,
            };
            let text = personal_number(person).into();
            let subject = SubjectText { text, kind: SubjectKind::SePerson, country: None };
            let id = sparr_loadgen::fresh_id();
            let raise = ExchangeRequest { id, operation: Operation::FlagRaise { subject, terms } };
            let client = &client;
            async move { client.exchange(&raise).await }
        });
        for answers in futures_util::future::join_all(calls).await {
            match answers?.as_slice() {
                [only] if matches!(only.said, Said::Durable { .. }) => {}
                other => return Err(CannotRun(format!("a flag was not raised: {other:?}"))),
            }
        }
    }
    client.close().await;
    Ok(clock::instant().duration_since(started))
}
