//! `sparr member`: what the central organisation does, and what everybody may do.

use super::exchange::{Common, ask, changed, hex, incomplete, one_of, position, refused};
use super::{Ended, Outcome};
use crate::rights::{Reach, Right, reach};
use crate::server::config::member_key;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{ExchangeAnswer, MemberOperation, Operation, Said};
use sparr_protocol::ids::MemberName;
use sparr_protocol::member::{MemberEntry, MemberKey, MemberKind};

const KINDS: &str = "payment_provider, bank, merchant, telecom, authority, police or central_organisation";

/// `sparr member …`
#[derive(Subcommand)]
#[command(after_help = "Example:
  sparr member suspend bank-b --why 'does not answer contests'
From that moment the member can do nothing; `member admit` lets it back in.")]
pub(crate) enum MemberCommand {
    /// Let a member in, or let a suspended one back in
    Admit(AdmitArgs),
    /// Suspend a member: from that moment it can do nothing
    Suspend(SuspendArgs),
    /// Give a member another signing key
    RotateKey(RotateArgs),
    /// List the members that the engine knows
    List(ListArgs),
    /// Print the table of rights; it is the one that engines ask
    Rights(RightsArgs),
}

#[derive(Args)]
pub(crate) struct AdmitArgs {
    /// Its name
    #[arg(value_name = "MEMBER", value_parser = one_of(MemberName::parse, "1 to 24 lower-case letters, digits and inner hyphens"))]
    member: MemberName,
    /// What kind of organisation it is
    #[arg(long, value_name = "KIND", value_parser = one_of(MemberKind::parse, KINDS))]
    kind: MemberKind,
    /// Its public signing key, 64 hexadecimal digits
    #[arg(long, value_name = "KEY", value_parser = one_of(member_key, "64 hexadecimal digits"))]
    key: Option<MemberKey>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct SuspendArgs {
    /// Its name
    #[arg(value_name = "MEMBER", value_parser = one_of(MemberName::parse, "a member's name"))]
    member: MemberName,
    /// Why
    #[arg(long, value_name = "WORDS")]
    why: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct RotateArgs {
    /// Its name
    #[arg(value_name = "MEMBER", value_parser = one_of(MemberName::parse, "a member's name"))]
    member: MemberName,
    /// The new public signing key, 64 hexadecimal digits
    #[arg(long, value_name = "KEY", value_parser = one_of(member_key, "64 hexadecimal digits"))]
    key: MemberKey,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct RightsArgs {
    /// Print JSON: every cell that is given
    #[arg(long)]
    json: bool,
    /// Taken as by the other commands, and not needed: every engine has the same table
    #[arg(long, value_name = "DIR", hide = true)]
    data_dir: Option<std::path::PathBuf>,
}

/// Carries out one command.
pub(crate) fn run(command: MemberCommand) -> Outcome {
    let (operation, common, what) = match command {
        MemberCommand::Admit(args) => {
            let key = args.key.unwrap_or([0; 32]);
            let admit = MemberOperation::Admit { member: args.member, kind: args.kind, key };
            (admit, args.common, format!("{} admitted as {}", args.member, args.kind.name()))
        }
        MemberCommand::Suspend(args) => {
            let suspend = MemberOperation::Suspend { member: args.member, why: args.why };
            (suspend, args.common, format!("{} suspended", args.member))
        }
        MemberCommand::RotateKey(args) => {
            let rotate = MemberOperation::RotateKey { member: args.member, key: args.key };
            (rotate, args.common, format!("{} signs with another key from now on", args.member))
        }
        MemberCommand::List(args) => {
            let answers = ask(&args.common, Role::Centre, &Operation::Member(MemberOperation::List))?;
            return Ok(listed(&answers, args.common.json));
        }
        MemberCommand::Rights(args) => return Ok(rights(args.json)),
    };
    let answers = ask(&common, Role::Centre, &Operation::Member(operation))?;
    Ok(changed(&answers, common.json, &what))
}

fn listed(answers: &[ExchangeAnswer], json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    if let Said::Refused(refusal) = &last.said {
        return refused(*refusal, last, json);
    }
    let members: Vec<&MemberEntry> = answers
        .iter()
        .filter_map(|answer| match &answer.said {
            Said::Member(entry) => Some(entry),
            _ => None,
        })
        .collect();
    if json {
        let all: Vec<Value> = members
            .iter()
            .map(|entry| {
                json!({
                    "member": entry.member.as_str(),
                    "kind": entry.kind.name(),
                    "standing": entry.standing.name(),
                    "key_number": entry.key_number,
                    "key": if entry.key_number == 0 { Value::Null } else { hex(&entry.key).into() },
                })
            })
            .collect();
        println!("{}", json!({ "members": all, "position": position(last) }));
        return Ended::Fine;
    }
    for entry in members {
        let key = match entry.key_number {
            0 => String::new(),
            number => format!("  signing key {number}: {}", hex(&entry.key)),
        };
        let (member, kind, standing) = (entry.member.as_str(), entry.kind.name(), entry.standing.name());
        println!("{member:<24}  {kind:<20}  {standing:<10}{key}");
    }
    Ended::Fine
}

/// The table, off the same function that engines ask.
fn rights(json: bool) -> Ended {
    let mut cells = Vec::new();
    for right in Right::all() {
        for kind in MemberKind::ALL.iter().copied() {
            for role in Role::ALL.iter().copied() {
                let reach = reach(kind, role, right);
                if reach != Reach::Nobody {
                    cells.push((right.name(), kind.name(), role.name(), reach.name()));
                }
            }
        }
    }
    if json {
        let all: Vec<Value> = cells
            .iter()
            .map(|(right, kind, role, reach)| {
                json!({ "right": right, "member_kind": kind, "role": role, "on": reach })
            })
            .collect();
        println!("{}", json!({ "rights": all, "everything_else": "not_permitted" }));
        return Ended::Fine;
    }
    println!("{:<20}  {:<20}  {:<10}  on", "right", "kind of member", "role");
    for (right, kind, role, reach) in cells {
        println!("{right:<20}  {kind:<20}  {role:<10}  {reach}");
    }
    println!("Everything else is not permitted.");
    Ended::Fine
}
