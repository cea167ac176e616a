//! `sparr explain`: what each rule of a folder makes of requests in a file, part by part, with its source lines; and, where a
//! request's id is given instead of a file, why the engine answered it as it did (`explain_answer`).

use super::exchange::Common;
use super::{Ended, Outcome, explain_answer};
use crate::rules::{self, Location, Mode, RuleExplanation, RuleSet, Truth};
use crate::server::config::RulesFrom;
use crate::server::{clock, sources};
use crate::trial::{Trial, Tried};
use clap::Args;
use serde_json::{Value, json};
use sparr_protocol::codes::Wish;
use sparr_protocol::ids::RequestId;
use sparr_protocol::json;
use sparr_protocol::request::AuthorisationRequest;
use std::path::PathBuf;

/// Arguments of `sparr explain`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr explain request.json --rules config/rules
  sparr explain 0123456789abcdef0123456789abcdef --rerun

With a request's id, the engine says from its decision log why it answered as it did.

The file holds one request as JSON, as `sparr screen` takes it, or one a line: they are screened in order by an engine of
their own, so that later ones find the earlier ones in their windows; nothing of it is sent anywhere.

Exit codes: 0 explained, 1 a line was no request, the rules have findings, the log has no such answer or running it again
comes to something else, 2 could not run.")]
pub(crate) struct ExplainArgs {
    /// File of requests, or the id of one that was answered
    #[arg(value_name = "FILE.json|REQUEST_ID")]
    file: PathBuf,
    /// Folder of rule files; without it, the rules that are built in
    #[arg(long, value_name = "RULES_DIR")]
    rules: Option<PathBuf>,
    /// A flag that the requests' person has raised before
    #[arg(long, value_name = "WISH", value_parser = ["verify", "deny"])]
    flag: Option<String>,
    /// Rules that did not hit, too
    #[arg(long)]
    all: bool,
    /// Run an answer again, from the log, and compare
    #[arg(long)]
    rerun: bool,
    /// How it is printed, and where the engine is
    #[command(flatten)]
    common: Common,
}

/// Explains the requests of a file.
pub(crate) fn run(args: &ExplainArgs) -> Outcome {
    let id = args.file.to_str().filter(|_| !args.file.exists()).and_then(RequestId::parse);
    if let Some(id) = id {
        return explain_answer::run(&explain_answer::Wanted {
            request: id,
            rerun: args.rerun,
            all: args.all,
            common: &args.common,
        });
    }
    if args.rerun {
        return Err(super::CannotRun("--rerun is for the id of a request that was answered".to_owned()));
    }
    if !args.file.exists() {
        return Err(super::CannotRun(
            "neither a file nor the id of a request (32 hexadecimal digits)".to_owned(),
        ));
    }
    let sources = match &args.rules {
        Some(dir) => sources::read_dir(dir)?,
        None => sources::read(&RulesFrom::Shipped)?,
    };
    let loaded = rules::load(&sources);
    let Some(set) = loaded.set else {
        for finding in loaded.diagnostics.iter().filter(|finding| finding.is_error()) {
            println!("{}", finding.render_plain(&sources));
        }
        return Ok(Ended::Findings);
    };
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| super::CannotRun(format!("{}: {error}", args.file.display())))?;
    let flag = args.flag.as_deref().and_then(Wish::parse);
    let mut trial = Trial::new(set);
    let mut ended = Ended::Fine;
    for (number, text) in requests(&text) {
        let request = json::parse(text).and_then(|value| AuthorisationRequest::from_json(&value));
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                println!("line {number}: {error}");
                ended = Ended::Findings;
                continue;
            }
        };
        let now = request.event_time.unwrap_or_else(clock::now);
        let tried = trial.screen(&request, now, flag, true)?;
        let said = trial.with_set(|set| {
            if args.common.json {
                as_json(&tried, set, args.all).to_string()
            } else {
                words(&tried, set, args.all)
            }
        });
        println!("{}", said.unwrap_or_default());
    }
    Ok(ended)
}

/// One object over several lines, or one a line; each with the line that it begins on.
fn requests(text: &str) -> Vec<(usize, &str)> {
    if json::parse(text).is_ok() {
        return vec![(1, text)];
    }
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).collect()
}

fn shown(rule: &RuleExplanation, all: bool) -> bool {
    all || matches!(rule.truth, Truth::True | Truth::Error(_))
}

fn words(tried: &Tried, set: &RuleSet, all: bool) -> String {
    let name =
        |code| set.reasons().get(code).map_or_else(|| code.0.to_string(), |reason| reason.name.clone());
    let mut out = format!("{}\n", tried.response.to_json(name));
    let others = tried.explained.iter().filter(|rule| !shown(rule, all)).count();
    for rule in tried.explained.iter().filter(|rule| shown(rule, all)) {
        let Location { file, line, .. } = &set.rules()[rule.rule].location;
        let mode = if rule.mode == Mode::Shadow { ", in shadow" } else { "" };
        out.push_str(&format!("\n{} ({file}:{line}{mode}): {}\n", rule.id, truth(rule.truth)));
        let lines: Vec<String> = rule.parts.iter().map(|part| part.line.to_string()).collect();
        let width = lines.iter().map(String::len).max().unwrap_or_default();
        for (part, line) in rule.parts.iter().zip(lines) {
            let indent = "  ".repeat(part.depth);
            out.push_str(&format!("{line:>width$} | {indent}{} = {}\n", part.text, part.value));
        }
    }
    if others > 0 {
        out.push_str(&format!("\n{others} more rules apply and do not hit: --all shows them\n"));
    }
    out
}

fn truth(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "hit",
        Truth::False => "no hit",
        Truth::Absent => "no hit: something that it needs is absent",
        Truth::Error(fault) => fault.text(),
    }
}

fn as_json(tried: &Tried, set: &RuleSet, all: bool) -> Value {
    let name =
        |code| set.reasons().get(code).map_or_else(|| code.0.to_string(), |reason| reason.name.clone());
    let rules: Vec<Value> = tried
        .explained
        .iter()
        .filter(|rule| shown(rule, all))
        .map(|rule| {
            let Location { file, line, .. } = &set.rules()[rule.rule].location;
            let parts: Vec<Value> = rule
                .parts
                .iter()
                .map(|part| json!({"line": part.line, "depth": part.depth, "text": part.text, "value": part.value}))
                .collect();
            json!({"id": rule.id, "mode": rule.mode.name(), "file": file, "line": line,
                   "hit": rule.truth == Truth::True, "result": truth(rule.truth), "parts": parts})
        })
        .collect();
    json!({"answer": tried.response.to_json(name), "rules": rules})
}
