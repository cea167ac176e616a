//! `sparr check`: every error of every rule file at once, without running any of them.

use super::{CannotRun, Ended, Outcome};
use crate::limits::{RULE_COST_MAX, SET_COST_MAX};
use crate::rules::{self, Diagnostic, RuleSet, Sources};
use crate::server::sources;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::cmp::Reverse;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Arguments of `sparr check`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr check config/rules

Exit codes: 0 no finding, 1 findings, 2 could not run.")]
pub(crate) struct CheckArgs {
    /// Folder of rule files
    #[arg(value_name = "RULES_DIR")]
    dir: PathBuf,
    /// How findings are shown
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Findings that are warnings elsewhere are errors: what a risk team's CI runs
    #[arg(long)]
    strict: bool,
    /// Also what each rule costs at most, the dearest first: questions that one evaluation asks
    #[arg(long)]
    costs: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// With the place in the file and a caret
    Text,
    /// One JSON object a line
    Json,
    /// Annotations that a GitHub workflow shows at the line
    Github,
}

impl Format {
    /// A finding in this format; in colours on a terminal.
    pub(crate) fn render(self, finding: &Diagnostic, sources: &Sources) -> String {
        match self {
            Self::Text if std::io::stdout().is_terminal() => finding.render_coloured(sources),
            Self::Text => finding.render_plain(sources),
            Self::Json => finding.render_json(sources),
            Self::Github => finding.render_github(sources),
        }
    }
}

/// Prints what rules cost, and what share of what they may. A set asks each distinct question once, so that it costs less
/// than its rules together.
fn costs(set: &RuleSet, format: Format) {
    let mut rules: Vec<_> = set.rules().iter().collect();
    rules.sort_by_key(|rule| (Reverse(rule.cost), rule.id.as_str()));
    let share = |cost: u32, most: u32| f64::from(cost) / f64::from(most) * 100.0;
    if format == Format::Json {
        for rule in rules {
            println!("{}", json!({ "rule": rule.id, "cost": rule.cost, "cost_max": RULE_COST_MAX }));
        }
        return println!("{}", json!({ "set_cost": set.cost(), "set_cost_max": SET_COST_MAX }));
    }
    println!("{:>6}  {:>6}  rule", "cost", "of cap");
    for rule in rules {
        println!("{:>6}  {:>5.1}%  {}", rule.cost, share(rule.cost, RULE_COST_MAX), rule.id);
    }
    println!("{:>6}  {:>5.1}%  the set", set.cost(), share(set.cost(), SET_COST_MAX));
}

/// Checks a folder.
pub(crate) fn run(args: &CheckArgs) -> Outcome {
    let sources = sources::read_dir(&args.dir)?;
    let loaded = rules::load(&sources);
    for diagnostic in &loaded.diagnostics {
        println!("{}", args.format.render(diagnostic, &sources));
    }
    let errors = loaded.diagnostics.iter().filter(|diagnostic| args.strict || diagnostic.is_error()).count();
    let warnings = loaded.diagnostics.len() - errors;
    if args.format == Format::Text {
        match &loaded.set {
            Some(set) if errors == 0 => {
                println!("{} rules, digest {}, {warnings} warnings", set.rules().len(), set.digest());
            }
            Some(_) | None => println!("{errors} errors, {warnings} warnings"),
        }
    }
    if let Some(set) = loaded.set.as_ref().filter(|_| args.costs) {
        costs(set, args.format);
    }
    if errors == 0 && loaded.set.is_none() {
        return Err(CannotRun("the rules were not loaded and no reason was given".to_owned()));
    }
    Ok(if errors == 0 { Ended::Fine } else { Ended::Findings })
}
