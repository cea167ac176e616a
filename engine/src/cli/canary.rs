//! `sparr canary`: a flagged person whom nobody is, for gateways that do not send one themselves.

use super::connect::ConnectArgs;
use super::{CannotRun, Ended, Outcome};
use crate::planted::CanaryFate;
use crate::server::clock;
use clap::Args;
use serde_json::{Value, json};
use sparr_protocol::client::{CANARY_EVERY, Canary, CanaryResult, Client, Verdict};
use sparr_protocol::codes::Role;
use sparr_protocol::identity::Subject;
use sparr_protocol::json;
use sparr_protocol::personal::Personal;
use sparr_protocol::request::AuthorisationRequest;
use std::time::Duration;

/// Arguments of `sparr canary`.
#[derive(Args)]
#[command(after_help = "Examples:
  sparr flag raise --subject 189001019802 --wish deny --scope any --until 2027-12-31 --reason suspected-fraud
  sparr canary --subject 189001019802              one payment; exit code 1 where it was not stopped
  sparr canary --subject 189001019802 --every 60   one a minute, a line each, until it is ended

The number is one that is published for tests (serial 980 to 999) and is nobody's. `[alerts] canary` of the engine names it too:
the engine then tells of a canary that was not stopped and of one that does not come. Better than this command is the client's
own `watch_canary` inside the gateway: this one shows that the engine stops the person, not that the gateway asks it.")]
pub(crate) struct CanaryArgs {
    /// The canary's number
    #[arg(long, value_name = "NUMBER", required_unless_present = "request")]
    subject: Option<String>,
    /// A request as JSON to send instead of an invoice of 100.00 SEK, where the engine requires more fields
    #[arg(long, value_name = "JSON", conflicts_with = "subject")]
    request: Option<String>,
    /// Seconds between two [default: one is sent]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Sends canaries.
pub(crate) fn run(args: &CanaryArgs) -> Outcome {
    let canary = canary(args)?;
    let config = args.connect.config(Role::Gateway)?;
    super::runtime()?.block_on(async {
        let Some(seconds) = args.every else {
            let client = Client::connect(config).await?;
            let result = client.send_canary(&canary).await;
            client.close().await;
            println!("{}", line(&result));
            return Ok(if result == CanaryResult::Stopped { Ended::Fine } else { Ended::Findings });
        };
        // An engine that is away now is what this is for: it is told of, and tried again.
        let client = Client::new(config);
        client
            .watch_canary(&canary, Duration::from_secs(seconds), |result| println!("{}", line(&result)))
            .await;
        Ok(Ended::Fine)
    })
}

/// The payment, of a number that is nobody's.
fn canary(args: &CanaryArgs) -> Result<Canary, CannotRun> {
    let canary = match (&args.request, &args.subject) {
        (Some(text), _) => {
            Canary::of(json::parse(text).and_then(|value| AuthorisationRequest::from_json(&value))?)
        }
        (None, subject) => Canary::new(Personal::from(subject.clone().unwrap_or_default())),
    };
    let request = canary.request();
    let number = request.subject.as_ref().map_or("", Personal::expose);
    if Subject::parse_swedish(number, clock::moment().today)?.is_for_tests() {
        Ok(canary)
    } else {
        Err(CannotRun("a canary's number is one that is published for tests (serial 980 to 999)".to_owned()))
    }
}

fn line(result: &CanaryResult) -> Value {
    let at = clock::now().to_string();
    match result {
        CanaryResult::Stopped => json!({ "at": at, "canary": CanaryFate::Stopped.name() }),
        CanaryResult::NotStopped(Verdict::Screened(response)) => {
            json!({ "at": at, "canary": CanaryFate::of(response).name() })
        }
        CanaryResult::NotStopped(Verdict::NotScreened { not_screened, .. }) => {
            json!({ "at": at, "canary": CanaryFate::NotScreened.name(), "why": not_screened.why.name() })
        }
        CanaryResult::NotStopped(Verdict::NoAnswer { error, .. }) => {
            json!({ "at": at, "canary": "no_answer", "why": error.to_string() })
        }
    }
}

/// What the help says of the default is the client's.
const _: () = assert!(CANARY_EVERY.as_secs() == 60);
