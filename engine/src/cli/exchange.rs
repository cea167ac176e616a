//! What the commands of the exchange have in common: options, the call, and how an answer is shown.

use super::connect::ConnectArgs;
use super::{CannotRun, Ended};
use clap::Args;
use jiff::ToSpan as _;
use serde_json::{Value, json};
use sparr_protocol::client::Client;
use sparr_protocol::codes::{AuthMethod, RequestedBy, Role, SubjectKind};
use sparr_protocol::exchange::{ExchangeAnswer, ExchangeRequest, Operation, Refusal, Said, SubjectText};
use sparr_protocol::ids::RequestId;
use sparr_protocol::place::Country;
use sparr_protocol::time::Timestamp;

/// Days and hours on the command line are those of this zone.
const ZONE: &str = "Europe/Stockholm";

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

/// The first moment after a day in Sweden.
pub(super) fn end_of_day(text: &str) -> Result<Timestamp, String> {
    let day: jiff::civil::Date = text.parse().map_err(|_| "expected a date such as 2027-12-31".to_owned())?;
    let next = day.checked_add(1.day()).map_err(|error| error.to_string())?;
    let midnight = next.in_tz(ZONE).map_err(|error| error.to_string())?;
    Ok(Timestamp::from_ms(midnight.timestamp().as_millisecond()))
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

/// The last day on which something acts that ends at this moment.
pub(super) fn last_day(until: Timestamp) -> String {
    let last = jiff::Timestamp::from_millisecond(until.ms() - 1).and_then(|last| last.in_tz(ZONE));
    last.map_or_else(|_| until.to_string(), |last| last.date().to_string())
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

/// Where the engine stood when it answered.
pub(super) fn position(answer: &ExchangeAnswer) -> Value {
    let at = answer.position;
    json!({ "engine": at.engine, "epoch": at.epoch, "index": at.index })
}

/// What a refusal means, for people.
pub(super) fn why(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::LocalIdentifier => {
            "this value means something at its own member alone; share the par, the pan_digest or another common one"
        }
        Refusal::VictimNotSuspect => {
            "a person whose identity was misused is a victim: raise a flag with them instead"
        }
        Refusal::RoleMissing => "an indicator about a person says in which role: --role",
        Refusal::ReceiptMissing => "the police have not confirmed that they have this very content",
        Refusal::SecondPersonNeeded => "one person has said so; a second one has to",
        Refusal::SamePerson => "the same person has said so before; two persons means two",
        Refusal::SharingOff => {
            "no legal basis is configured for sharing this kind (legal_basis in engine.toml)"
        }
        Refusal::MemberSuspended => "the member is suspended: it can do nothing",
        Refusal::NotRegistrar => {
            "another member entered it, and alone changes it; see `sparr flag lift-request`"
        }
        Refusal::NotPermitted => "not a right of this role at this kind of member; see `sparr member rights`",
        Refusal::LookupBudgetSpent => "more different people were looked up today than a member may",
        Refusal::UntilTooFar => "the end lies further ahead than it may",
        Refusal::PersonalInText => {
            "the text names somebody; people will read it, so say it without numbers and addresses"
        }
        Refusal::NoSuchRule => "the active rule set has no rule of this name",
        Refusal::NoSuchExemption => "no exemption that acts has this id; see `sparr exempt list`",
        Refusal::NothingStaged => "no rule set waits for approval",
        Refusal::OtherSetStaged => "another rule set waits than this one; see `sparr rules history`",
        Refusal::NoSuchRuleSet => "no such rule set decided before, or its copy is not whole",
        Refusal::RulesRefused => "the rule files have errors and nothing was changed; see `sparr check`",
        Refusal::AcceptNeeded => {
            "the set would change more answers than the configuration allows; see `sparr backtest --live`, and --accept"
        }
        Refusal::NotKept => "the engine could not keep it on its disk, and nothing was changed",
        Refusal::NoSuchKey => {
            "no rule of the active set counts by this key; keys are named as rules name them"
        }
        Refusal::OwnEvidenceNeeded => "a confirmation needs evidence of its own",
        _ => "",
    }
}

/// Prints a refusal.
pub(super) fn refused(refusal: Refusal, answer: &ExchangeAnswer, json: bool) -> Ended {
    if json {
        let value = json!({
            "durable": false, "refused": refusal.name(), "why": why(refusal), "position": position(answer),
        });
        println!("{value}");
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
                let value = json!({
                    "durable": true,
                    "peers": peers,
                    "effective_from": effective_from.to_string(),
                    "second_person_needed": second_person,
                    "position": position(last),
                });
                println!("{value}");
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

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
