//! `sparr exchange status`: who is there, who lacks what, how old the state is.

use super::exchange::{Common, ask, hex, incomplete, position, refused};
use super::{Ended, Outcome};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{EngineEntry, ExchangeAnswer, ExchangeEntry, Operation, Said};
use sparr_protocol::response::Degraded;

/// `sparr exchange …`
#[derive(Subcommand)]
#[command(after_help = "Example:
  sparr exchange status
It ends with 1 where something is missing: no link, an engine that is behind or held back, or one that has been heard and\nis silent.")]
pub(crate) enum ExchangeCommand {
    /// Who is there, what each engine has, how old this engine's state is, what was repaired
    Status(StatusArgs),
}

#[derive(Args)]
pub(crate) struct StatusArgs {
    /// Whose certificate asks: operator, desk, analyst, centre or police
    #[arg(long = "as", value_name = "ROLE", default_value = "operator", value_parser = super::exchange::one_of(Role::parse, "a role"))]
    role: Role,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
pub(crate) fn run(command: &ExchangeCommand) -> Outcome {
    let ExchangeCommand::Status(args) = command;
    let answers = ask(&args.common, args.role, &Operation::ExchangeStatus)?;
    Ok(shown(&answers, args.common.json))
}

fn shown(answers: &[ExchangeAnswer], json: bool) -> Ended {
    let Some(last) = answers.last() else { return incomplete(json) };
    if let Said::Refused(refusal) = &last.said {
        return refused(*refusal, last, json);
    }
    let (mut exchange, mut engines, mut remarks) = (None, Vec::new(), Vec::new());
    for answer in answers {
        match &answer.said {
            Said::Exchange(entry) => exchange = Some(entry),
            Said::Engine(entry) => engines.push(entry),
            Said::Line(line) => remarks.push(line),
            _ => {}
        }
    }
    let Some(exchange) = exchange else { return incomplete(json) };
    if json {
        let value = json!({
            "exchange": exchange_json(exchange),
            "engines": engines.iter().map(|entry| engine_json(entry)).collect::<Vec<_>>(),
            "broker": remarks,
            "position": position(last),
        });
        println!("{value}");
    } else if !exchange.networked {
        println!("No other engines: this engine's own journal is the exchange.");
    } else {
        println!("{}", exchange_line(exchange));
        engines.iter().for_each(|entry| println!("{}", engine_line(entry)));
        remarks.iter().for_each(|remark| println!("broker: {remark}"));
    }
    let ails = |entry: &EngineEntry| entry.behind_ms.is_some() || entry.held_back.is_some() || !entry.is_live;
    let well =
        !exchange.networked || exchange.linked && exchange.joined && !engines.iter().any(|entry| ails(entry));
    if well { Ended::Fine } else { Ended::Findings }
}

/// `green`, `amber` or `red`, as every answer says it.
fn colour(staleness_ms: u32) -> &'static str {
    let degraded = crate::exchanged::degraded(staleness_ms);
    match degraded {
        Degraded::AMBER => "amber",
        Degraded::RED => "red",
        _ => "green",
    }
}

fn age(staleness_ms: u32) -> String {
    if staleness_ms == u32::MAX { "never heard of it".to_owned() } else { format!("{staleness_ms} ms old") }
}

fn exchange_line(entry: &ExchangeEntry) -> String {
    let link = if entry.linked { "linked" } else { "no link" };
    let joined = if entry.joined { "" } else { ", not live yet: it does not have what the others have" };
    format!(
        "{link}{joined}; state {} ({}); {} own records wait for the broker; {} gaps, {} questions, {} batches sent to \
         others, {} messages refused",
        age(entry.staleness_ms),
        colour(entry.staleness_ms),
        entry.waiting,
        entry.gaps,
        entry.questions,
        entry.repaired,
        entry.refused
    )
}

fn engine_line(entry: &EngineEntry) -> String {
    let mut more = String::new();
    match entry.heard_ms {
        _ if entry.is_own => more.push_str(", this engine"),
        Some(ms) if entry.is_live => more.push_str(&format!(", heard {ms} ms ago")),
        Some(ms) => more.push_str(&format!(", silent for {:.0} s", f64::from(ms) / 1e3)),
        None => more.push_str(", not heard since the start"),
    }
    if let Some(ms) = entry.behind_ms {
        more.push_str(&format!(", more of it is known since {ms} ms"));
    }
    if let Some(held) = entry.held_back {
        more.push_str(&format!(", held back: {}", held.name()));
    }
    if entry.lacks > 0 {
        more.push_str(&format!(", lacks {} records of this engine", entry.lacks));
    }
    format!(
        "{}/{}  epoch {} record {}  {}{more}",
        entry.member,
        entry.engine,
        entry.epoch,
        entry.sequence,
        &hex(&entry.digest)[..16]
    )
}

fn exchange_json(entry: &ExchangeEntry) -> Value {
    json!({
        "networked": entry.networked,
        "linked": entry.linked,
        "joined": entry.joined,
        "staleness_ms": entry.staleness_ms,
        "state": colour(entry.staleness_ms),
        "waiting": entry.waiting,
        "gaps": entry.gaps,
        "questions": entry.questions,
        "repaired": entry.repaired,
        "refused": entry.refused,
    })
}

fn engine_json(entry: &EngineEntry) -> Value {
    json!({
        "member": entry.member.as_str(),
        "engine": entry.engine,
        "epoch": entry.epoch,
        "sequence": entry.sequence,
        "digest": hex(&entry.digest),
        "own": entry.is_own,
        "live": entry.is_live,
        "heard_ms": entry.heard_ms,
        "behind_ms": entry.behind_ms,
        "held_back": entry.held_back.map(|held| held.name()),
        "lacks": entry.lacks,
        "rule_set": entry.rule_set.map(|digest| hex(&digest)),
    })
}
