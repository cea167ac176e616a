//! `sparr incident-export`: what was affected in a span of time, as a report on an incident asks (DORA, article 19): requests,
//! people, members, from when until when, and whether data was lost.

use super::decisions::{Asked, SpanArgs, ask_all};
use super::exchange::Common;
use super::{Ended, Outcome};
use clap::Args;
use serde_json::{Value, json};
use sparr_protocol::codes::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Arguments of `sparr incident-export`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr incident-export --since 2026-11-23T08:00:00+01:00 --until 2026-11-23T09:30:00+01:00 --json

Exit codes: 0 nothing was lost, 1 answers of the span are missing or damaged in the log, 2 could not run.")]
pub(crate) struct IncidentArgs {
    #[command(flatten)]
    span: SpanArgs,
    /// Only what was answered worse than usual: not screened, on old state, on windows that were not full, unlogged
    #[arg(long)]
    affected_only: bool,
    #[command(flatten)]
    common: Common,
}

/// What is added up.
#[derive(Default)]
struct Incident {
    requests: u64,
    affected: Vec<String>,
    answers: BTreeMap<String, u64>,
    worse: BTreeMap<String, u64>,
    people: BTreeSet<String>,
    members: BTreeSet<String>,
    first: Option<String>,
    last: Option<String>,
    gaps: Vec<Value>,
    damage: Vec<Value>,
}

/// Ways in which an answer says that it is worth less, which have nothing to do with an incident.
const USUAL: [&str; 3] = ["velocity_capped", "exempted", "shadow_shed"];

impl Incident {
    fn add(&mut self, line: Value, affected_only: bool) {
        if line.get("gap").is_some() {
            return self.gaps.push(line["gap"].clone());
        }
        if line.get("damage").is_some() {
            return self.damage.push(line);
        }
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut worse = texts(&line["degraded"]);
        worse.retain(|name| !USUAL.contains(&name.as_str()));
        worse.extend(line["not_screened"].as_str().map(|why| format!("not_screened: {why}")));
        self.requests += 1;
        if affected_only && worse.is_empty() {
            return;
        }
        let answer = line["outcome"].as_str().or_else(|| line["not_screened"].as_str()).unwrap_or("unknown");
        *self.answers.entry(answer.to_owned()).or_default() += 1;
        worse.into_iter().for_each(|name| *self.worse.entry(name).or_default() += 1);
        self.affected.extend(line["request_id"].as_str().map(str::to_owned));
        self.people.extend(line["about"]["subject"].as_str().map(str::to_owned));
        for involved in ["flags", "indicators"] {
            let of = |one: &Value| one["registrar"].as_str().map(str::to_owned);
            self.members.extend(line[involved].as_array().into_iter().flatten().filter_map(of));
        }
        let at = line["answered_at"].as_str().map(str::to_owned);
        self.first = self.first.take().into_iter().chain(at.clone()).min();
        self.last = self.last.take().into_iter().chain(at).max();
    }

    fn lost(&self) -> bool {
        !self.gaps.is_empty() || !self.damage.is_empty()
    }

    fn missing(&self) -> (u64, bool) {
        let known = self.gaps.iter().filter_map(|gap| gap["missing"].as_u64()).sum();
        (known, self.gaps.iter().any(|gap| gap["missing"].is_null()))
    }
}

/// Adds it up.
pub(crate) fn run(args: &IncidentArgs) -> Outcome {
    let mut incident = Incident::default();
    let asked = ask_all(&args.common, Role::Operator, args.span.query(), |line| {
        incident.add(line, args.affected_only);
        Ok(ControlFlow::Continue(()))
    })?;
    if let Asked::Ended(ended) = asked {
        return Ok(ended);
    }
    let (missing, unknown) = incident.missing();
    let lost = incident.lost();
    let Incident { requests, affected, answers, worse, people, members, first, last, gaps, damage } =
        incident;
    if args.common.json {
        let value = json!({
            "from": first, "to": last, "requests": requests, "affected": affected.len(), "answers": answers,
            "worse_than_usual": worse, "people": people.len(), "members": members, "data_loss": lost,
            "missing": missing, "missing_unknown": unknown, "gaps": gaps, "damage": damage, "request_ids": affected,
        });
        println!("{value}");
    } else {
        let or = |time: Option<String>| time.unwrap_or_else(|| "-".to_owned());
        println!(
            "From {} to {}: {} of {requests} requests, {} people",
            or(first),
            or(last),
            affected.len(),
            people.len()
        );
        answers.iter().for_each(|(answer, n)| println!("  {answer:<28}{n:>10}"));
        if !worse.is_empty() {
            println!("Worse than usual");
            worse.iter().for_each(|(how, n)| println!("  {how:<28}{n:>10}"));
        }
        let members: Vec<String> = members.into_iter().collect();
        println!(
            "Members whose flags or indicators were involved: {}",
            if members.is_empty() { "none".to_owned() } else { members.join(", ") }
        );
        if lost {
            let more = if unknown { ", and some more after a kill" } else { "" };
            println!(
                "DATA LOSS: {missing} answers are known to be missing in the decision log{more}; {} gaps, {} damaged places",
                gaps.len(),
                damage.len()
            );
        } else {
            println!("No data loss: the decision log of this time is whole.");
        }
    }
    Ok(if lost { Ended::Findings } else { Ended::Fine })
}
