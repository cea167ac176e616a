//! What the commands of the exchange have in common: options, the call, and how an answer is shown.

use super::connect::ConnectArgs;
use super::{CannotRun, Ended};
use crate::contract;
pub(super) use crate::contract::{end_of_day, hex, last_day, position, why};
use clap::Args;
use contract::ZONE;
use serde_json::json;
use sparr_protocol::client::Client;
use sparr_protocol::codes::{AuthMethod, RequestedBy, Role, SubjectKind};
use sparr_protocol::exchange::{ExchangeAnswer, ExchangeRequest, Operation, Refusal, Said, SubjectText};
use sparr_protocol::ids::RequestId;
use sparr_protocol::place::Country;
use sparr_protocol::time::Timestamp;

/// Whose flag.
#[derive(Args)]
pub(super) struct SubjectArgs {
    /// Personal or organisation number, in any legal spelling; - reads it from standard input
    #[arg(long, value_name = "NUMBER")]
    subject: String,
    /// What kind of number it is
    #[arg(long, value_name = "KIND", default_value = "se_person", value_parser = one_of(SubjectKind::parse, "se_person, se_organisation or foreign"))]
    subject_kind: SubjectKind,
    /// Country of a foreign number, two letters
    #[arg(long, value_name = "COUNTRY", value_parser = one_of(Country::parse, "a two-letter code of ISO 3166, such as NO"))]
    subject_country: Option<Country>,
}

impl SubjectArgs {
    /// The number as it goes to the engine.
    pub(super) fn text(self) -> Result<SubjectText, CannotRun> {
        let text = personal(self.subject)?;
        Ok(SubjectText { text: text.into(), kind: self.subject_kind, country: self.subject_country })
    }
}

/// A personal value from the command line, or from standard input, where it stands in no history.
pub(super) fn personal(given: String) -> Result<String, CannotRun> {
    if given != "-" {
        return Ok(given);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Longest wait for a rule set to be loaded.
const RULES_WAIT: std::time::Duration = std::time::Duration::from_secs(120);

/// How the answer is shown, and where the engine is.
#[derive(Args)]
pub(super) struct Common {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Idempotency key, 32 hexadecimal digits [default: a new one]
    #[arg(long, value_name = "ID", value_parser = one_of(RequestId::parse, "32 hexadecimal digits"))]
    operation: Option<RequestId>,
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

/// Who asked, and how that was made sure.
#[derive(Args)]
pub(super) struct ByArgs {
    /// On whose behalf: self, guardian, trustee, estate or police
    #[arg(long, value_name = "WHO", default_value = "self", value_parser = one_of(RequestedBy::parse, "self, guardian, trustee, estate or police"))]
    pub(super) requested_by: RequestedBy,
    /// How the person who asked was authenticated
    #[arg(long, value_name = "METHOD", default_value = "bankid", value_parser = one_of(AuthMethod::parse, "bankid, freja, in_person or another authentication method"))]
    pub(super) authenticated_by: AuthMethod,
}

/// A parser for values that have a `parse` of their own.
pub(super) fn one_of<T: Clone + Send + Sync + 'static>(
    parse: fn(&str) -> Option<T>,
    expected: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text: &str| parse(text).ok_or_else(|| format!("expected {expected}"))
}

/// A time of today (16:00), a day (its end), or a time with its offset.
pub(super) fn until(text: &str) -> Result<Timestamp, String> {
    let expected = || "expected a time such as 16:00 or 2026-11-22T16:00:00+01:00, or a date".to_owned();
    if let (5, Ok(time)) = (text.len(), text.parse::<jiff::civil::Time>()) {
        let now = jiff::Timestamp::from_millisecond(crate::server::clock::now().ms());
        let today = now.and_then(|now| now.in_tz(ZONE)).map_err(|error| error.to_string())?;
        let moment = today.date().to_datetime(time).in_tz(ZONE).map_err(|error| error.to_string())?;
        return Ok(Timestamp::from_ms(moment.timestamp().as_millisecond()));
    }
    if text.contains('T') {
        return Timestamp::parse(text).ok_or_else(expected);
    }
    end_of_day(text).map_err(|_| expected())
}

/// Carries out one operation in a role.
pub(super) fn ask(
    common: &Common,
    role: Role,
    operation: &Operation,
) -> Result<Vec<ExchangeAnswer>, CannotRun> {
    let mut config = common.connect.config(role)?;
    if matches!(operation, Operation::Rules(_)) {
        // Sets load at the lowest priority, so that screening does not wait; a person does.
        config.timeout = RULES_WAIT;
    }
    let id = common.operation.unwrap_or_else(new_operation);
    super::runtime()?.block_on(async {
        let client = Client::connect(config).await?;
        let request = ExchangeRequest { id, operation: operation.clone() };
        let answers = client.exchange(&request).await?;
        client.close().await;
        Ok::<_, CannotRun>(answers)
    })
}

/// A new idempotency key.
pub(super) fn new_operation() -> RequestId {
    RequestId(crate::server::keys::random_id())
}

/// Prints a refusal.
pub(super) fn refused(refusal: Refusal, answer: &ExchangeAnswer, json: bool) -> Ended {
    if json {
        println!("{}", contract::refused(refusal, answer));
    } else {
        let why = why(refusal);
        println!("Refused: {}{}{why}", refusal.name(), if why.is_empty() { "" } else { ": " });
    }
    Ended::Findings
}

/// Prints what became of a change; `what` says in words what was done.
pub(super) fn changed(answers: &[ExchangeAnswer], json: bool, what: &str) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    match &last.said {
        Said::Durable { peers, effective_from, second_person } => {
            if json {
                println!("{}", contract::durable(*peers, *effective_from, *second_person, last));
            } else {
                let waits = if *second_person {
                    " It takes effect once a second person has said the same."
                } else {
                    ""
                };
                println!(
                    "{what}. Durable at this engine (record {}), {peers} peers.{waits}",
                    last.position.index
                );
            }
            Ended::Fine
        }
        Said::Refused(refusal) => refused(*refusal, last, json),
        _ => incomplete(json),
    }
}

/// Prints that an answer makes no sense.
pub(super) fn incomplete(json: bool) -> Ended {
    if json {
        println!("{}", json!({ "refused": "incomplete" }));
    } else {
        println!("Refused: the answer is incomplete");
    }
    Ended::Findings
}
