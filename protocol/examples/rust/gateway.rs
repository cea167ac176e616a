//! A gateway in Rust: checks that people's numbers arrive, then asks an engine about each request on standard input.
//!
//! ```sh
//! cargo run --release --package sparr-protocol --features client,json --example gateway -- \
//!     127.0.0.1:7443 sparr-data/dev/gateway < requests.ndjson
//! ```

use sparr_protocol::client::{Client, ClientConfig, FailPolicy, Fallback, Identity, Verdict};
use sparr_protocol::codes::Kind;
use sparr_protocol::request::AuthorisationRequest;
use std::error::Error;
use std::io::BufRead as _;
use std::path::Path;

/// What this gateway sends for a number that somebody typed.
fn as_sent(number: &str) -> String {
    number.to_owned()
}

/// What happens to a payment that could not be screened: somebody has to have written it, for every kind.
fn fail_policy(kind: Kind) -> Fallback {
    match kind {
        Kind::Invoice | Kind::AccountOpening => Fallback::Decline,
        Kind::Transfer | Kind::Instant | Kind::Payout => Fallback::Hold,
        Kind::CardPayment
        | Kind::AccountVerification
        | Kind::TokenProvisioning
        | Kind::PayeeAdded
        | Kind::CredentialChange => Fallback::Challenge,
        Kind::Refund | Kind::Reversal => Fallback::Approve,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: gateway HOST:PORT IDENTITY";
    let engine = arguments.next().ok_or(usage)?.parse()?;
    let identity = Identity::from_dir(Path::new(&arguments.next().ok_or(usage)?))?;
    let client =
        Client::connect(ClientConfig::new(engine, identity, FailPolicy::by_kind(fail_policy))).await?;
    let wrong = client.check_identities(as_sent).await?;
    if !wrong.is_empty() {
        return Err(wrong.join("; ").into());
    }
    for line in std::io::stdin().lock().lines() {
        let request = AuthorisationRequest::from_json(&serde_json::from_str(&line?)?)?;
        match client.decide(&request).await {
            Verdict::Screened(response) => {
                println!("{}", response.to_json(|code| format!("reason_{}", code.0)))
            }
            Verdict::NotScreened { not_screened, fallback } => {
                println!("not screened ({}): {}", not_screened.why.name(), fallback.name());
            }
            Verdict::NoAnswer { error, fallback } => println!("no answer ({error}): {}", fallback.name()),
        }
    }
    Ok(())
}
