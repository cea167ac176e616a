//! `sparr indicator` and `sparr receipt`: what fraud analysts and the police do.

use super::exchange::{Common, ask, changed, hex, incomplete, one_of, personal, refused, until};
use super::indicator_import::{ImportArgs, import};
use super::indicator_show::{document, exported, listed};
use super::{CannotRun, Ended, Outcome};
use crate::contract::answers::drafted_json;
use crate::server::clock;
use crate::server::keys::SigningKey;
use clap::{Args, Subcommand};
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{ExchangeAnswer, IndicatorEntry, IndicatorOperation, Operation, Said};
use sparr_protocol::indicator::{
    ClassName, Grade, IndicatorId, IndicatorKind, IndicatorRole, receipt_signed_bytes,
};
use sparr_protocol::time::Timestamp;
use std::path::PathBuf;

const KINDS: &str =
    "subject, account, email, phone, ip, cidr, domain, device, card, par, pan_digest or merchant_org";
const ROLES: &str = "mule, applicant, payer, payee, fake_shop, merchant, device, caller or recruiter";

/// `sparr indicator …`
#[derive(Subcommand)]
#[command(after_help = "Example:
  sparr indicator draft --kind email --value - --class phishing --grade investigated
acts at this member at once. Elsewhere it acts after report, a receipt of the police, and share.")]
pub(crate) enum IndicatorCommand {
    /// Draft an indicator: it acts at this member at once
    Draft(DraftArgs),
    /// Print the document for the police
    Report(OneArgs),
    /// Share it with every member, once the police have it
    Share(OneArgs),
    /// Say that the same was found independently, or answer a contest of an own one
    Confirm(ConfirmArgs),
    /// Disagree: until the registrar has answered it can ask for a review alone
    Contest(ContestArgs),
    /// Take it back
    Withdraw(WithdrawArgs),
    /// Withdraw another member's, as one of two persons of the central organisation
    Override(WithdrawArgs),
    /// List the indicators that this identity may see
    List(ListArgs),
    /// Draft many from a file: lines, STIX 2.1, MISP warning lists
    Import(ImportArgs),
    /// Print networks and domains as a STIX 2.1 bundle, withdrawn ones as revoked
    Export(ListArgs),
}

/// `sparr receipt …`
#[derive(Subcommand)]
#[command(after_help = "Example:
  sparr receipt add --indicator 5f0c… --reference 5000-K123-26")]
pub(crate) enum ReceiptCommand {
    /// Confirm that the police have it: signed by the police, or said by two persons of its own member
    Add(ReceiptArgs),
}

#[derive(Args)]
pub(crate) struct DraftArgs {
    /// What kind of value it is about
    #[arg(long, value_name = "KIND", value_parser = one_of(IndicatorKind::parse, KINDS))]
    kind: IndicatorKind,
    /// The value; - reads it from standard input. An account has its scheme: iban:SE…, bg:…, swish:…
    #[arg(long, value_name = "VALUE")]
    value: String,
    /// What it is evidence of: 1 to 24 of a–z, 0–9, _ and -, such as phishing or fake_shop
    #[arg(long, value_name = "CLASS", value_parser = one_of(ClassName::parse, "1 to 24 of a-z, 0-9, _ and -"))]
    class: ClassName,
    /// In which role the value was seen; needed for a subject
    #[arg(long, value_name = "ROLE", value_parser = one_of(IndicatorRole::parse, ROLES))]
    role: Option<IndicatorRole>,
    /// How well it was looked into: observed, investigated or confirmed
    #[arg(long, value_name = "GRADE", value_parser = one_of(Grade::parse, "observed, investigated or confirmed"))]
    grade: Grade,
    /// Its end: a date, or a time with its offset [default: the longest that its kind may have]
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct OneArgs {
    /// The indicator's id
    #[arg(value_name = "ID", value_parser = one_of(IndicatorId::parse, "32 hexadecimal digits"))]
    id: IndicatorId,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct ConfirmArgs {
    #[command(flatten)]
    one: OneArgs,
    /// A file with the member's own evidence: its digest is recorded, the file stays here
    #[arg(long, value_name = "FILE")]
    evidence: PathBuf,
}

#[derive(Args)]
pub(crate) struct ContestArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Why it is wrong, without naming anybody
    #[arg(long, value_name = "WORDS")]
    why: String,
    /// Until when the registrar is to answer, within 30 days; after that it no longer acts
    #[arg(long, value_name = "TIME", value_parser = until)]
    due: Timestamp,
}

#[derive(Args)]
pub(crate) struct WithdrawArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Why, without naming anybody
    #[arg(long, value_name = "WORDS")]
    why: String,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct ReceiptArgs {
    /// The indicator's id
    #[arg(long, value_name = "ID", value_parser = one_of(IndicatorId::parse, "32 hexadecimal digits"))]
    indicator: IndicatorId,
    /// The police's own reference
    #[arg(long, value_name = "REFERENCE")]
    reference: String,
    /// When they received it, a time with its offset [default: now]
    #[arg(long, value_name = "TIME", value_parser = one_of(Timestamp::parse, "a time such as 2026-11-22T16:48:00Z"))]
    received_at: Option<Timestamp>,
    /// The member's own word, by its analyst: a second person has to say the same
    #[arg(long)]
    own_word: bool,
    #[command(flatten)]
    common: Common,
}

/// Carries out one command.
pub(crate) fn run(command: IndicatorCommand) -> Outcome {
    let (operation, common, what) = match command {
        IndicatorCommand::Draft(args) => {
            let draft = IndicatorOperation::Draft {
                kind: args.kind,
                value: personal(args.value)?.into(),
                role: args.role,
                grade: args.grade,
                class: args.class,
                valid_until: args.until,
            };
            let answers = ask(&args.common, Role::Analyst, &Operation::Indicator(draft))?;
            return Ok(drafted(&answers, args.common.json));
        }
        IndicatorCommand::Report(args) => return report(&args),
        IndicatorCommand::Share(args) => {
            (IndicatorOperation::Share(args.id), args.common, "Shared with every member".to_owned())
        }
        IndicatorCommand::Confirm(args) => {
            let evidence = std::fs::read(&args.evidence)
                .map_err(|error| CannotRun(format!("{}: {error}", args.evidence.display())))?;
            let evidence = *blake3::hash(&evidence).as_bytes();
            let confirm = IndicatorOperation::Confirm { id: args.one.id, evidence };
            (confirm, args.one.common, "Confirmed".to_owned())
        }
        IndicatorCommand::Contest(args) => {
            let contest = IndicatorOperation::Contest { id: args.one.id, due: args.due, why: args.why };
            let what = format!("Contested: it can ask for a review alone, and lapses at {}", args.due);
            (contest, args.one.common, what)
        }
        IndicatorCommand::Withdraw(args) => {
            let withdraw = IndicatorOperation::Withdraw { id: args.one.id, why: args.why };
            (withdraw, args.one.common, "Withdrawn".to_owned())
        }
        IndicatorCommand::Override(WithdrawArgs { one, why }) => {
            let overriding = IndicatorOperation::Override { id: one.id, why };
            let answers = ask(&one.common, Role::Centre, &Operation::Indicator(overriding))?;
            let what = "Override recorded: two persons of the central organisation withdraw it";
            return Ok(changed(&answers, one.common.json, what));
        }
        IndicatorCommand::List(args) => {
            let answers = list(&args.common, Role::Analyst, None)?;
            return Ok(listed(&answers, args.common.json));
        }
        IndicatorCommand::Export(args) => {
            let answers = list(&args.common, Role::Analyst, None)?;
            return Ok(exported(&answers, args.common.json));
        }
        IndicatorCommand::Import(args) => return import(&args),
    };
    let answers = ask(&common, Role::Analyst, &Operation::Indicator(operation))?;
    Ok(changed(&answers, common.json, &what))
}

fn list(common: &Common, role: Role, one: Option<IndicatorId>) -> Result<Vec<ExchangeAnswer>, CannotRun> {
    ask(common, role, &Operation::Indicator(IndicatorOperation::List(one)))
}

/// The one indicator of a listing.
fn only(answers: &[ExchangeAnswer]) -> Option<&IndicatorEntry> {
    answers.iter().find_map(|answer| match &answer.said {
        Said::Indicator(entry) => Some(&**entry),
        _ => None,
    })
}

fn drafted(answers: &[ExchangeAnswer], json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    match &last.said {
        Said::Drafted { digest, effective_from } => {
            let id = digest.id();
            if json {
                println!("{}", drafted_json(digest, *effective_from, last));
            } else {
                println!(
                    "Drafted {id}: it acts at this member from now on. Durable (record {}).",
                    last.position.index
                );
            }
            Ended::Fine
        }
        Said::Refused(refusal) => refused(*refusal, last, json),
        _ => incomplete(json),
    }
}

fn report(args: &OneArgs) -> Outcome {
    let marked =
        ask(&args.common, Role::Analyst, &Operation::Indicator(IndicatorOperation::Report(args.id)))?;
    if let Some(last) = marked.last()
        && let Said::Refused(refusal) = &last.said
    {
        return Ok(refused(*refusal, last, args.common.json));
    }
    let answers = list(&args.common, Role::Analyst, Some(args.id))?;
    Ok(match only(&answers) {
        Some(entry) => document(entry, args.common.json),
        None => incomplete(args.common.json),
    })
}

/// Carries out one command.
pub(crate) fn run_receipt(ReceiptCommand::Add(args): ReceiptCommand) -> Outcome {
    let role = if args.own_word { Role::Analyst } else { Role::Police };
    // The police sign with a key that lies beside their certificate.
    let key_file = args.common.connect.identity_dir(role).join("signing-1.key");
    let now = clock::now();
    let received_at = args.received_at.unwrap_or(now);
    let signature = if key_file.is_file() && !args.own_word {
        let answers = list(&args.common, role, Some(args.indicator))?;
        let Some(entry) = only(&answers) else {
            let Some(last) = answers.last() else { return Ok(incomplete(args.common.json)) };
            let refusal = match last.said {
                Said::Refused(refusal) => refusal,
                _ => sparr_protocol::exchange::Refusal::NoSuchIndicator,
            };
            return Ok(refused(refusal, last, args.common.json));
        };
        let signed = receipt_signed_bytes(&entry.digest, &args.reference, received_at);
        Some(Box::new(SigningKey::from_file(&key_file)?.sign(&signed)))
    } else {
        None
    };
    let operation = IndicatorOperation::Receipt {
        id: args.indicator,
        reference: args.reference.clone(),
        received_at,
        signature,
    };
    let what = format!("Receipt {} of {} recorded", args.reference, hex(&args.indicator.0));
    let answers = ask(&args.common, role, &Operation::Indicator(operation))?;
    Ok(changed(&answers, args.common.json, &what))
}
