//! Whether people's numbers arrive as the people whom they name: asked once, before a gateway screens.

use super::{CallError, Client};
use crate::exchange::{ExchangeRequest, Operation, Said};
use crate::ids::RequestId;
use crate::limits::TEXT_BYTES_MAX;
use crate::personal::Personal;

/// What is sent where a client would send nothing.
const NOTHING: &str = "-";

impl Client {
    /// Has the engine name numbers as people write them, sends them as `as_sent` makes of them what this gateway sends for a
    /// customer's, and gives back what is wrong: a sentence for each number that arrives as somebody else, or as nobody. Empty
    /// is right. A gateway with wrong numbers does not find flags, and nothing else will tell it.
    pub async fn check_identities(&self, as_sent: impl Fn(&str) -> String) -> Result<Vec<String>, CallError> {
        let sent = self.identity_challenges().await?.iter().map(|number| as_sent(number)).collect();
        self.wrong_identities(sent).await
    }

    /// The numbers that are to be sent, as people write them.
    pub async fn identity_challenges(&self) -> Result<Vec<String>, CallError> {
        let named = self.identities(*b"which numbers?  ", Vec::new()).await?;
        Ok(named.iter().flat_map(|line| line.split(' ')).map(str::to_owned).collect())
    }

    /// What is wrong with what is sent for them, in their order.
    pub async fn wrong_identities(&self, sent: Vec<String>) -> Result<Vec<String>, CallError> {
        // What is empty or too long is no number, and does not travel.
        let legal = |text: String| {
            if text.is_empty() || text.len() > TEXT_BYTES_MAX { NOTHING.into() } else { text.into() }
        };
        self.identities(*b"are they right? ", sent.into_iter().map(legal).collect()).await
    }

    async fn identities(&self, id: [u8; 16], answers: Vec<Personal>) -> Result<Vec<String>, CallError> {
        let asked = ExchangeRequest { id: RequestId(id), operation: Operation::IdentityCheck { answers } };
        let said = self.exchange(&asked).await?.into_iter().filter_map(|answer| match answer.said {
            Said::Line(line) => Some(line),
            Said::Refused(refusal) => Some(format!("the engine checks no numbers: {}", refusal.name())),
            _ => None,
        });
        Ok(said.collect())
    }
}
