//! `sparr config`: what an engine would run with.

use super::serve::ServeArgs;
use super::{Ended, Outcome};
use crate::server::config::{Origin, Shown, show};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// What can be asked about a configuration.
#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration that `sparr serve` with the same arguments would run with, and where each value comes from
    #[command(after_help = "Examples:
  sparr config show --dev
  sparr config show --config config/engine.toml --json

It takes the arguments of `sparr serve`, starts nothing, and ends with 2 and everything that is wrong where the engine would not
start. Files with secrets are named, never opened.")]
    Show(ShowArgs),
}

/// Arguments of `sparr config show`.
#[derive(Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// One JSON array, an object for each key
    #[arg(long)]
    json: bool,
}

/// Runs a question about a configuration.
pub(crate) fn run(command: &ConfigCommand) -> Outcome {
    let ConfigCommand::Show(args) = command;
    let shown = show(args.serve.config(), &args.serve.overrides())?;
    if args.json {
        println!("{}", Value::Array(shown.iter().map(|one| object(one, args.serve.config())).collect()));
    } else {
        print!("{}", text(&shown, args.serve.config()));
    }
    Ok(Ended::Fine)
}

fn object(shown: &Shown, file: Option<&Path>) -> Value {
    let origin = match &shown.origin {
        Origin::Default => json!({"from": "default"}),
        Origin::Development => json!({"from": "development"}),
        Origin::File(line) => {
            json!({"from": "file", "file": file.map(|file| file.display().to_string()), "line": line})
        }
        Origin::Environment(name) => json!({"from": "environment", "name": name}),
        Origin::Argument(name) => json!({"from": "argument", "name": name}),
    };
    json!({"key": shown.key, "value": shown.value, "origin": origin, "names_secret": shown.names_secret})
}

/// A file that an engine would read, each value with where it comes from.
fn text(shown: &[Shown], file: Option<&Path>) -> String {
    let lines: Vec<(Option<&str>, String, String)> = shown
        .iter()
        .map(|one| {
            let (table, key) = match one.key.split_once('.') {
                Some((table, key)) => (Some(table), key),
                None => (None, one.key.as_str()),
            };
            let place = match (&one.origin, file) {
                (Origin::File(_), Some(file)) => format!("{}, {}", file.display(), one.origin),
                _ => one.origin.to_string(),
            };
            let secret = if one.names_secret { "; its content is not shown" } else { "" };
            (table, format!("{key} = {}", one.value), format!("{place}{secret}"))
        })
        .collect();
    let width = lines.iter().map(|(_, line, _)| line.chars().count()).filter(|width| *width <= 60).max();
    let (width, mut out, mut last) = (width.unwrap_or(0), String::new(), None);
    for (table, line, place) in &lines {
        if *table != last {
            last = *table;
            // Writing to a string cannot fail.
            let _ = writeln!(out, "\n[{}]", table.unwrap_or_default());
        }
        let _ = writeln!(out, "{line:<width$}  # {place}");
    }
    out
}
