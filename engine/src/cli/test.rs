//! `sparr test`: the tables of requests that stand beside the rules, each played against an engine of its own.

use super::check::Format;
use super::{CannotRun, Ended, Outcome};
use crate::rules::{self, Diagnostic, Sources, table};
use crate::server::sources;
use crate::trial::Trial;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `sparr test`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr test config/rules

A file *.test.yaml in the folder, or in its folder tests:

  tests:
    - name: the third payment within a minute
      given: { card_token: c1, amount_minor: 1000 }
      requests:
        - { at: 0s, expect: approve }
        - { at: 9s, expect: { outcome: approve, hits: [] } }
        - { at: 20s, expect: { hits: [card-three-in-a-minute], score: 30 } }

Exit codes: 0 all come out as they say, 1 findings, 2 could not run.")]
pub(crate) struct TestArgs {
    /// Folder of rule files
    #[arg(value_name = "RULES_DIR")]
    dir: PathBuf,
    /// How findings are shown
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// Plays every table of a folder.
pub(crate) fn run(args: &TestArgs) -> Outcome {
    let sources = sources::read_dir(&args.dir)?;
    // Examples run when a set is loaded.
    let errors = |findings: &[Diagnostic]| findings.iter().filter(|finding| finding.is_error()).count();
    let loaded = rules::load(&sources);
    if loaded.set.is_none() {
        show(&loaded.diagnostics, &sources, args.format);
        return Ok(Ended::Findings);
    }
    let tests = sources::read_tests(&args.dir)?;
    let (tables, mut findings) = table::read(&tests);
    for table in &tables {
        // A table is alone in its world: it gets a set, velocity and flags of its own.
        let Some(set) = rules::load(&sources).set else {
            return Err(CannotRun("the rules loaded once and not again".to_owned()));
        };
        Trial::new(set).play(table, &mut findings);
    }
    show(&findings, &tests, args.format);
    let failed = errors(&findings);
    if args.format == Format::Text {
        let rows: usize = tables.iter().map(|table| table.rows.len()).sum();
        println!("{} tests, {rows} requests, {failed} findings", tables.len());
    }
    Ok(if failed == 0 { Ended::Fine } else { Ended::Findings })
}

fn show(findings: &[Diagnostic], sources: &Sources, format: Format) {
    for finding in findings {
        println!("{}", format.render(finding, sources));
    }
}
