//! What an engine calls its reasons.

use sparr_protocol::client::Client;
use sparr_protocol::exchange::{ExchangeRequest, Operation, Said};
use sparr_protocol::response::ReasonCode;
use std::collections::BTreeMap;

/// What an engine calls its reason codes; asked once for each.
pub struct ReasonNames<'a> {
    client: &'a Client,
    known: BTreeMap<ReasonCode, String>,
}

impl<'a> ReasonNames<'a> {
    /// Knows none yet.
    pub fn new(client: &'a Client) -> Self {
        Self { client, known: BTreeMap::new() }
    }

    /// Learns the names of all of these codes, and gives them back.
    pub async fn of(
        client: &Client,
        codes: impl IntoIterator<Item = ReasonCode>,
    ) -> BTreeMap<ReasonCode, String> {
        let mut names = ReasonNames::new(client);
        names.learn(codes).await;
        names.known
    }

    /// Learns the names of these codes; a code that the engine does not know is shown as its number.
    pub async fn learn(&mut self, codes: impl IntoIterator<Item = ReasonCode>) {
        for code in codes {
            if self.known.contains_key(&code) {
                continue;
            }
            let id = crate::fresh_id();
            let asked = ExchangeRequest { id, operation: Operation::ReasonName { code } };
            let name = match self.client.exchange(&asked).await.as_deref() {
                Ok([answer]) => match &answer.said {
                    Said::Reason(name) => Some(name.clone()),
                    _ => None,
                },
                Ok(_) | Err(_) => None,
            };
            self.known.insert(code, name.unwrap_or_else(|| format!("reason_{}", code.0)));
        }
    }

    /// A name that was learnt.
    pub fn name(&self, code: ReasonCode) -> String {
        self.known.get(&code).cloned().unwrap_or_else(|| format!("reason_{}", code.0))
    }
}
