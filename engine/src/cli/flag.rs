//! `sparr flag`: what a support desk does for a person.

use super::connect::ConnectArgs;
use super::{CannotRun, Ended, Outcome};
use clap::{Args, Subcommand};
use jiff::ToSpan as _;
use serde_json::{Value, json};
use sparr_protocol::client::Client;
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Role, SubjectKind, Wish};
use sparr_protocol::exchange::{
    ExchangeAnswer, ExchangeRequest, FlagEntry, Operation, Said, StandingCode, SubjectText,
};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::ids::RequestId;
use sparr_protocol::place::Country;
use sparr_protocol::time::Timestamp;

/// Flags end at the end of a day in this zone.
const ZONE: &str = "Europe/Stockholm";

/// `sparr flag …`
#[derive(Subcommand)]
#[command(after_help = "Example:
  sparr flag raise --subject - --wish verify --scope any --until 2027-12-31 --reason suspected-fraud
reads the number from standard input, so that it stands in no history and no list of processes.")]
pub(crate) enum FlagCommand {
    /// Raise a person's flag; one that the same member raised before is replaced
    Raise(RaiseArgs),
    /// Lift the flag that this member raised
    Lift(LiftArgs),
    /// Show every member's flag on a person
    Status(StatusArgs),
    /// List the flags that this member raised
    List(ListArgs),
}

/// Whose flag.
#[derive(Args)]
struct SubjectArgs {
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

/// How the answer is shown, and where the engine is.
#[derive(Args)]
struct Common {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Idempotency key, 32 hexadecimal digits [default: a new one]
    #[arg(long, value_name = "ID", value_parser = one_of(RequestId::parse, "32 hexadecimal digits"))]
    operation: Option<RequestId>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Args)]
pub(crate) struct RaiseArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// verify: ask the person before each payment; deny: decline each payment
    #[arg(long, value_name = "WISH", value_parser = one_of(Wish::parse, "verify or deny"))]
    wish: Wish,
    /// any, credit (invoices and new accounts), or above:30000SEK
    #[arg(long, value_name = "SCOPE", default_value = "any", value_parser = one_of(Scope::parse, "any, credit, or an amount such as above:30000SEK"))]
    scope: Scope,
    /// Last day on which it acts, Swedish time
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = end_of_day)]
    until: Timestamp,
    /// Why: suspected-fraud, stolen-identity, lost-document, scam or precaution
    #[arg(long, value_name = "REASON", value_parser = one_of(FlagReason::parse, "suspected-fraud, stolen-identity, lost-document, scam or precaution"))]
    reason: FlagReason,
    /// A method that is in somebody else's hands, such as bankid: it will not meet the flag. May be repeated
    #[arg(long = "compromised", value_name = "METHOD", value_parser = one_of(AuthMethod::parse, "bankid, freja, otp_sms or another authentication method"))]
    compromised: Vec<AuthMethod>,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    common: Common,
}

/// Who asked, and how that was made sure.
#[derive(Args)]
struct ByArgs {
    /// On whose behalf: self, guardian, trustee, estate or police
    #[arg(long, value_name = "WHO", default_value = "self", value_parser = one_of(RequestedBy::parse, "self, guardian, trustee, estate or police"))]
    requested_by: RequestedBy,
    /// How the person who asked was authenticated
    #[arg(long, value_name = "METHOD", default_value = "bankid", value_parser = one_of(AuthMethod::parse, "bankid, freja, in_person or another authentication method"))]
    authenticated_by: AuthMethod,
}

#[derive(Args)]
pub(crate) struct LiftArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    by: ByArgs,
    /// A second channel confirmed it: it takes effect at once instead of cooling off
    #[arg(long, value_name = "CHANNEL", value_parser = ["second-channel"])]
    confirmed_by: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    common: Common,
}

/// A parser for values that have a `parse` of their own.
fn one_of<T: Clone + Send + Sync + 'static>(
    parse: fn(&str) -> Option<T>,
    expected: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text: &str| parse(text).ok_or_else(|| format!("expected {expected}"))
}

/// The first moment after a day in Sweden.
fn end_of_day(text: &str) -> Result<Timestamp, String> {
    let day: jiff::civil::Date = text.parse().map_err(|_| "expected a date such as 2027-12-31".to_owned())?;
    let next = day.checked_add(1.day()).map_err(|error| error.to_string())?;
    let midnight = next.in_tz(ZONE).map_err(|error| error.to_string())?;
    Ok(Timestamp::from_ms(midnight.timestamp().as_millisecond()))
}

/// The last day on which something acts that ends at this moment.
fn last_day(until: Timestamp) -> String {
    let last = jiff::Timestamp::from_millisecond(until.ms() - 1).and_then(|last| last.in_tz(ZONE));
    last.map_or_else(|_| until.to_string(), |last| last.date().to_string())
}

/// Carries out one command.
pub(crate) fn run(command: FlagCommand) -> Outcome {
    let (operation, common) = match command {
        FlagCommand::Raise(args) => {
            let compromised = args.compromised.into_iter().fold(Methods::default(), Methods::with);
            let terms = Terms {
                wish: args.wish,
                scope: args.scope,
                reason: args.reason,
                requested_by: args.by.requested_by,
                authenticated_by: args.by.authenticated_by,
                compromised,
                valid_until: args.until,
            };
            (Operation::FlagRaise { subject: subject(args.subject)?, terms }, args.common)
        }
        FlagCommand::Lift(args) => {
            let lift = Operation::FlagLift {
                subject: subject(args.subject)?,
                requested_by: args.by.requested_by,
                authenticated_by: args.by.authenticated_by,
                second_channel: args.confirmed_by.is_some(),
            };
            (lift, args.common)
        }
        FlagCommand::Status(args) => (Operation::FlagStatus { subject: subject(args.subject)? }, args.common),
        FlagCommand::List(args) => (Operation::FlagList, args.common),
    };
    let config = common.connect.config(Role::Desk)?;
    let id = common.operation.unwrap_or_else(|| RequestId(crate::server::keys::random_id()));
    let answers = super::runtime()?.block_on(async {
        let client = Client::connect(config).await?;
        let answers = client.exchange(&ExchangeRequest { id, operation: operation.clone() }).await?;
        client.close().await;
        Ok::<_, CannotRun>(answers)
    })?;
    Ok(report(&operation, &answers, common.json))
}

fn subject(args: SubjectArgs) -> Result<SubjectText, CannotRun> {
    let text = if args.subject == "-" {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        line.trim().to_owned()
    } else {
        args.subject
    };
    Ok(SubjectText { text: text.into(), kind: args.subject_kind, country: args.subject_country })
}

fn report(operation: &Operation, answers: &[ExchangeAnswer], json: bool) -> Ended {
    let mut ended = Ended::Fine;
    let flags: Vec<&FlagEntry> = answers
        .iter()
        .filter_map(|answer| match &answer.said {
            Said::Flag(entry) => Some(entry),
            Said::Durable { .. } | Said::Refused(_) | Said::End | Said::Reason(_) => None,
        })
        .collect();
    let Some(last) = answers.last() else { return Ended::Findings };
    let position = json!({
        "engine": last.position.engine, "epoch": last.position.epoch, "index": last.position.index,
    });
    let (value, words) = match &last.said {
        Said::Durable { peers, effective_from } => {
            let what = match operation {
                Operation::FlagRaise { terms, .. } => {
                    format!("Flag raised: {}, until {}", describe(terms), last_day(terms.valid_until))
                }
                Operation::FlagLift { .. } => format!("Flag lifted, from {effective_from}"),
                Operation::FlagStatus { .. } | Operation::FlagList | Operation::ReasonName { .. } => {
                    "Done".to_owned()
                }
            };
            let words =
                format!("{what}. Durable at this engine (record {}), {peers} peers.", last.position.index);
            let value = json!({
                "durable": true, "peers": peers, "effective_from": effective_from.to_string(), "position": position,
            });
            (value, words)
        }
        Said::Refused(refusal) => {
            ended = Ended::Findings;
            let value = json!({ "durable": false, "refused": refusal.name(), "position": position });
            (value, format!("Refused: {}", refusal.name()))
        }
        Said::End => {
            let acts =
                |entry: &&&FlagEntry| matches!(entry.standing, StandingCode::Active | StandingCode::Lifting);
            let value = json!({
                "flagged": flags.iter().any(|entry| acts(&entry)),
                "flags": flags.iter().map(|entry| entry_json(entry)).collect::<Vec<_>>(),
                "position": position,
            });
            let lines: Vec<String> = flags.iter().map(|entry| entry_line(entry)).collect();
            (value, if lines.is_empty() { "No flag.".to_owned() } else { lines.join("\n") })
        }
        Said::Flag(_) | Said::Reason(_) => {
            ended = Ended::Findings;
            (json!({ "refused": "incomplete" }), "Refused: the answer is incomplete".to_owned())
        }
    };
    if json {
        println!("{value}");
    } else {
        println!("{words}");
    }
    ended
}

fn describe(terms: &Terms) -> String {
    let scope = match terms.scope {
        Scope::Any => "any payment".to_owned(),
        Scope::Credit => "credit in the person's name".to_owned(),
        Scope::Above { amount_minor, currency } => {
            format!("payments above {}", sparr_protocol::money::format_amount(amount_minor, currency))
        }
    };
    let compromised: Vec<&str> = terms.compromised.iter().map(AuthMethod::name).collect();
    let except = if compromised.is_empty() {
        String::new()
    } else {
        format!(", not through {}", compromised.join(", "))
    };
    format!("{} for {scope}{except}", terms.wish.name())
}

fn entry_line(entry: &FlagEntry) -> String {
    let lifted = entry.lifted_from.map_or_else(String::new, |from| format!(", lift from {from}"));
    format!(
        "{:?}  {}  {}: {}; raised {} by {}, until {}{lifted}",
        entry.subject,
        entry.standing.name(),
        entry.terms.reason.name(),
        describe(&entry.terms),
        entry.raised_at,
        entry.registrar,
        last_day(entry.terms.valid_until),
    )
}

fn entry_json(entry: &FlagEntry) -> Value {
    let subject: String = entry.subject.0.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "subject": subject,
        "registrar": entry.registrar.as_str(),
        "standing": entry.standing.name(),
        "wish": entry.terms.wish.name(),
        "scope": entry.terms.scope.to_string(),
        "reason": entry.terms.reason.name(),
        "requested_by": entry.terms.requested_by.name(),
        "compromised": entry.terms.compromised.iter().map(AuthMethod::name).collect::<Vec<_>>(),
        "raised_at": entry.raised_at.to_string(),
        "until": last_day(entry.terms.valid_until),
        "lifted_from": entry.lifted_from.map(|from| from.to_string()),
    })
}
