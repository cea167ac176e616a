//! `sparr flag`: what a support desk does for a person.

use super::Outcome;
use super::exchange::{ByArgs, Common, SubjectArgs, ask, changed, end_of_day, last_day, one_of, until};
use super::flag_import::{ImportArgs, import};
use super::flag_show::{describe, listed, reported};
use crate::contract::flags::amount;
use clap::{Args, Subcommand};
use sparr_protocol::codes::{AuthMethod, FlagReason, Role, Wish};
use sparr_protocol::exchange::{Operation, SubjectText};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::ids::MemberName;
use sparr_protocol::money::Currency;
use sparr_protocol::time::Timestamp;

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
    /// List the flags that this member raised, or only those that end soon
    List(ListArgs),
    /// Let one merchant through for some hours, so that nobody has to lift the flag to buy a refrigerator
    Pass(PassArgs),
    /// Give the flag a later end
    Extend(ExtendArgs),
    /// Ask the member that raised a flag to lift it, for a person who came to this desk
    LiftRequest(LiftRequestArgs),
    /// Say that two numbers are one person: flags follow the person
    Link(LinkArgs),
    /// What a desk may tell the person: since when, where and for what it is enforced, who looked
    Report(StatusArgs),
    /// Lift another member's flag as one of two persons of the central organisation
    Override(OverrideArgs),
    /// Raise many flags from a file, after a look at what would change
    Import(ImportArgs),
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
    /// Only flags that act and end within so many days, the first to end first
    #[arg(long, value_name = "DAYS")]
    expiring: Option<u32>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct PassArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// The merchant: an organisationsnummer (good at every member), or this member's own id of it
    #[arg(long, value_name = "MERCHANT")]
    merchant: String,
    /// Each payment up to this amount, such as 30000SEK
    #[arg(long, value_name = "AMOUNT", value_parser = one_of(amount, "an amount such as 30000SEK"))]
    max: (i64, Currency),
    /// Until when, within 24 hours: 16:00 (today, Swedish time), a time with its offset, or a date
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Timestamp,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct ExtendArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// The new last day on which it acts, Swedish time
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = end_of_day)]
    until: Timestamp,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct LiftRequestArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// The member that raised the flag, as `flag status` names it
    #[arg(long, value_name = "MEMBER", value_parser = one_of(MemberName::parse, "a member's name"))]
    registrar: MemberName,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct LinkArgs {
    /// One number, such as a samordningsnummer
    #[arg(long, value_name = "NUMBER")]
    old: String,
    /// The other, such as the personnummer after it
    #[arg(long, value_name = "NUMBER")]
    new: String,
    /// Take back what this member said: they are not one person
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct OverrideArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// The member that raised the flag
    #[arg(long, value_name = "MEMBER", value_parser = one_of(MemberName::parse, "a member's name"))]
    registrar: MemberName,
    #[command(flatten)]
    common: Common,
}

/// Carries out one command.
pub(crate) fn run(command: FlagCommand) -> Outcome {
    let (operation, common, what) = match command {
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
            let what = format!("Flag raised: {}, until {}", describe(&terms), last_day(terms.valid_until));
            (Operation::FlagRaise { subject: args.subject.text()?, terms }, args.common, what)
        }
        FlagCommand::Lift(args) => {
            let lift = Operation::FlagLift {
                subject: args.subject.text()?,
                requested_by: args.by.requested_by,
                authenticated_by: args.by.authenticated_by,
                second_channel: args.confirmed_by.is_some(),
            };
            (lift, args.common, "Flag lifted".to_owned())
        }
        FlagCommand::Status(args) => {
            let status = Operation::FlagStatus { subject: args.subject.text()? };
            let answers = ask(&args.common, Role::Desk, &status)?;
            return Ok(listed(&answers, None, args.common.json));
        }
        FlagCommand::Report(args) => {
            let report = Operation::FlagReport { subject: args.subject.text()? };
            let answers = ask(&args.common, Role::Desk, &report)?;
            return Ok(reported(&answers, args.common.json));
        }
        FlagCommand::List(args) => {
            let answers = ask(&args.common, Role::Desk, &Operation::FlagList)?;
            return Ok(listed(&answers, args.expiring, args.common.json));
        }
        FlagCommand::Pass(args) => {
            let pass = Operation::FlagPass {
                subject: args.subject.text()?,
                merchant: args.merchant,
                amount_minor: args.max.0,
                currency: args.max.1,
                until: args.until,
                requested_by: args.by.requested_by,
                authenticated_by: args.by.authenticated_by,
            };
            (pass, args.common, format!("Pass granted, until {}", args.until))
        }
        FlagCommand::Extend(args) => {
            let extend = Operation::FlagExtend {
                subject: args.subject.text()?,
                until: args.until,
                requested_by: args.by.requested_by,
                authenticated_by: args.by.authenticated_by,
            };
            (extend, args.common, format!("Flag extended, until {}", last_day(args.until)))
        }
        FlagCommand::LiftRequest(args) => {
            let request = Operation::FlagLiftRequest {
                subject: args.subject.text()?,
                registrar: args.registrar,
                requested_by: args.by.requested_by,
                authenticated_by: args.by.authenticated_by,
            };
            (request, args.common, format!("{} is asked to lift the flag, which acts on", args.registrar))
        }
        FlagCommand::Link(args) => {
            let number = |text: String| SubjectText {
                text: text.into(),
                kind: sparr_protocol::codes::SubjectKind::SePerson,
                country: None,
            };
            let link = Operation::SubjectLink {
                old: number(super::exchange::personal(args.old)?),
                new: number(super::exchange::personal(args.new)?),
                linked: !args.undo,
                requested_by: args.by.requested_by,
                authenticated_by: args.by.authenticated_by,
            };
            let what = if args.undo { "The numbers are apart again" } else { "The numbers are one person" };
            (link, args.common, what.to_owned())
        }
        FlagCommand::Override(args) => {
            let lift = Operation::FlagOverride { subject: args.subject.text()?, registrar: args.registrar };
            let answers = ask(&args.common, Role::Centre, &lift)?;
            return Ok(changed(&answers, args.common.json, "Override recorded"));
        }
        FlagCommand::Import(args) => return import(&args),
    };
    let answers = ask(&common, Role::Desk, &operation)?;
    Ok(changed(&answers, common.json, &what))
}
