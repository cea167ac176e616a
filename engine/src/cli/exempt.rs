//! `sparr exempt`: named rules that are silent for one person, card or account, for a while.

use super::exchange::{Common, ask, changed, hex, incomplete, one_of, personal, position, refused, until};
use super::{CannotRun, Ended, Outcome};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{ExchangeAnswer, ExemptionEntry, ExemptionOperation, Operation, Said};
use sparr_protocol::exemption::{ExemptionId, ExemptionKey, RuleNames};
use sparr_protocol::time::Timestamp;

const RULES: &str = "1 to 5 names of rules, with commas between them: there is no exemption from everything";

/// `sparr exempt …`
#[derive(Subcommand)]
pub(crate) enum ExemptCommand {
    /// Silence rules for a key
    #[command(after_help = "Example:
  sparr exempt add --rules card-testing --card - --until 16:00 --why 'loading test, ticket 512'
What the rules would have done stands beside each answer, as `natural`. A person's own flag acts all the same.")]
    Add(AddArgs),
    /// Agree, as a second person: rules on shared indicators are silent only then
    Confirm(OneArgs),
    /// End an exemption now
    End(OneArgs),
    /// List the member's exemptions, newest first
    List(ListArgs),
}

#[derive(Args)]
#[group(id = "who", required = true, multiple = false)]
struct KeyArgs {
    /// A person's number; - reads it from standard input
    #[arg(long, value_name = "NUMBER")]
    subject: Option<String>,
    /// The member's own token of a card; - reads it from standard input
    #[arg(long, value_name = "TOKEN")]
    card: Option<String>,
    /// The account that pays, with its scheme: iban:SE…, bg:…; - reads it from standard input
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

#[derive(Args)]
pub(crate) struct AddArgs {
    /// The rules, by name, with commas between them: at most five
    #[arg(long, value_name = "RULES", value_parser = one_of(RuleNames::parse, RULES))]
    rules: RuleNames,
    #[command(flatten)]
    key: KeyArgs,
    /// Its end, within 30 days: a time of today, a date, or a time with its offset
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Timestamp,
    /// Why, without naming anybody
    #[arg(long, value_name = "WORDS")]
    why: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct OneArgs {
    /// The exemption's id
    #[arg(value_name = "ID", value_parser = one_of(ExemptionId::parse, "32 hexadecimal digits"))]
    id: ExemptionId,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    common: Common,
}

/// Carries out one command.
pub(crate) fn run(command: ExemptCommand) -> Outcome {
    let (operation, common, what) = match command {
        ExemptCommand::Add(AddArgs { rules, key, until, why, common }) => {
            let (key, value) = match key {
                KeyArgs { subject: Some(text), .. } => (ExemptionKey::Subject, text),
                KeyArgs { card: Some(text), .. } => (ExemptionKey::Card, text),
                KeyArgs { account: Some(text), .. } => (ExemptionKey::Account, text),
                KeyArgs { subject: None, card: None, account: None } => {
                    return Err(CannotRun("for whom: --subject, --card or --account".to_owned()));
                }
            };
            let value = personal(value)?.into();
            let add = ExemptionOperation::Add { key, value, rules, until, why };
            (add, common, format!("Exempt until {until}"))
        }
        ExemptCommand::Confirm(OneArgs { id, common }) => {
            (ExemptionOperation::Confirm(id), common, "Agreed".to_owned())
        }
        ExemptCommand::End(OneArgs { id, common }) => {
            (ExemptionOperation::End(id), common, "Ended".to_owned())
        }
        ExemptCommand::List(ListArgs { common }) => {
            let list = Operation::Exemption(ExemptionOperation::List);
            return Ok(listed(&ask(&common, Role::Risk, &list)?, common.json));
        }
    };
    let answers = ask(&common, Role::Risk, &Operation::Exemption(operation))?;
    Ok(changed(&answers, common.json, &what))
}

fn listed(answers: &[ExchangeAnswer], json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    if let Said::Refused(refusal) = &last.said {
        return refused(*refusal, last, json);
    }
    let entries = answers.iter().filter_map(|answer| match &answer.said {
        Said::Exemption(entry) => Some(&**entry),
        _ => None,
    });
    if json {
        let all: Vec<Value> = entries.map(object).collect();
        println!("{}", json!({ "exemptions": all, "position": position(last) }));
        return Ended::Fine;
    }
    for entry in entries {
        let rules = entry.rules.iter().collect::<Vec<_>>().join(",");
        let (standing, key) = (entry.standing.name(), entry.key.name());
        println!("{}  {standing:<8} {key:<8} until {}  {rules}  {}", entry.id, entry.until, entry.why);
    }
    Ended::Fine
}

fn object(entry: &ExemptionEntry) -> Value {
    json!({
        "id": entry.id.to_string(),
        "standing": entry.standing.name(),
        "key": entry.key.name(),
        "pseudonym": hex(&entry.value.0),
        "rules": entry.rules.iter().collect::<Vec<_>>(),
        "granted_at": entry.granted_at.to_string(),
        "until": entry.until.to_string(),
        "why": entry.why,
    })
}
