//! `sparr velocity show`: what is counted of one key.

use super::exchange::{Common, ask, hex, incomplete, personal, position, refused};
use super::{CannotRun, Ended, Outcome};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{
    ExchangeAnswer, KeyText, Operation, Said, VelocityEntry, WindowEntry, WindowState,
};

/// `sparr velocity …`
#[derive(Subcommand)]
pub(crate) enum VelocityCommand {
    /// Show what is kept of a key, and what its windows hold now
    #[command(after_help = "Examples:
  sparr velocity show card=tok-1
  sparr velocity show card=tok-1 merchant=m1
  sparr velocity show subject=- < number.txt

Keys are named as rules name them: subject, card (the member's own token), device, ip, email, phone, account, payee, merchant,
terminal, domain. The value is shown as a pseudonym alone, the look is in the audit, and different keys count as different people
in the day's budget.")]
    Show(ShowArgs),
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The key and its value; two for a pair; - as a value reads it from standard input
    #[arg(value_name = "KEY=VALUE", required = true, num_args = 1..=2)]
    keys: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Carries out one command.
pub(crate) fn run(command: VelocityCommand) -> Outcome {
    let VelocityCommand::Show(ShowArgs { keys, common }) = command;
    let mut keys = keys.into_iter().map(|text| {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
            .ok_or_else(|| CannotRun("expected a key and its value, such as card=tok-1".to_owned()))?;
        Ok::<_, CannotRun>(KeyText { name: name.to_owned(), value: personal(value.to_owned())?.into() })
    });
    let first = keys.next().ok_or_else(|| CannotRun("which key?".to_owned()))??;
    let second = keys.next().transpose()?;
    let answers = ask(&common, Role::Risk, &Operation::VelocityShow { first, second })?;
    let Some(last) = answers.last() else { return Ok(incomplete(common.json)) };
    match &last.said {
        Said::End => {}
        Said::Refused(refusal) => return Ok(refused(*refusal, last, common.json)),
        _ => return Ok(incomplete(common.json)),
    }
    if common.json {
        print_json(&answers, last)
    } else {
        print_text(&answers)
    }
    Ok(Ended::Fine)
}

fn print_json(answers: &[ExchangeAnswer], last: &ExchangeAnswer) {
    let mut keys: Vec<Value> = Vec::new();
    for answer in answers {
        match &answer.said {
            Said::Velocity(entry) => keys.push(key(entry)),
            Said::Window(entry) => {
                if let Some(windows) = keys.last_mut().and_then(|key| key["windows"].as_array_mut()) {
                    windows.push(window(entry));
                }
            }
            _ => {}
        }
    }
    println!("{}", json!({ "keys": keys, "position": position(last) }));
}

fn key(entry: &VelocityEntry) -> Value {
    let VelocityEntry { key, value, second, kept } = entry;
    let kept = kept.map(|kept| {
        json!({
            "first_seen": kept.first.to_string(), "newest": kept.newest.to_string(),
            "kept_until": kept.kept_until.to_string(), "events": kept.events, "panes": kept.panes,
            "bytes": kept.bytes,
        })
    });
    let second = second.map(|second| hex(&second.0));
    json!({ "key": key, "pseudonym": hex(&value.0), "second_pseudonym": second, "kept": kept, "windows": [] })
}

fn window(entry: &WindowEntry) -> Value {
    let known = matches!(entry.state, WindowState::Exact | WindowState::Capped);
    json!({
        "reading": entry.reading, "state": entry.state.name(), "value": known.then_some(entry.value),
        "full_at": entry.full_at.map(|time| time.to_string()),
    })
}

fn print_text(answers: &[ExchangeAnswer]) {
    for answer in answers {
        match &answer.said {
            Said::Velocity(entry) => {
                let second = entry.second.map_or_else(String::new, |second| format!(", {}", hex(&second.0)));
                println!("{}  {}{second}", entry.key, hex(&entry.value.0));
                match entry.kept {
                    None => println!("  nothing is kept of it: not seen, or forgotten since"),
                    Some(kept) => println!(
                        "  {} events one by one, {} groups of older ones, {} bytes; first seen {}, newest {}, kept until {}",
                        kept.events, kept.panes, kept.bytes, kept.first, kept.newest, kept.kept_until
                    ),
                }
            }
            Said::Window(entry) => {
                println!("  {:<52}{:>14}{}", entry.reading, reading(entry), warming(entry))
            }
            _ => {}
        }
    }
}

fn reading(entry: &WindowEntry) -> String {
    match entry.state {
        WindowState::Absent => "–".to_owned(),
        WindowState::Unknown => "not known".to_owned(),
        WindowState::Exact => entry.value.to_string(),
        WindowState::Capped => format!("about {}", entry.value),
    }
}

fn warming(entry: &WindowEntry) -> String {
    entry.full_at.map_or_else(String::new, |time| format!("  warming: whole from {time} on"))
}
