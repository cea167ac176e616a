//! Runs conformance cases of CEL's specification through sparr's profile of the language, and says how many pass.
//!
//! ```text
//! cargo run --release -p sparr-benches --bin cel-conformance -- FILE.jsonl… [--json]
//! ```
//!
//! A line of a file is one case: an expression, what its names stand for, and the value or the error that is right. A
//! wrong value counts as *failed*; an expression that sparr refuses before it evaluates it as *unsupported*. Exit code 1
//! where anything failed, 2 where a file cannot be read.

use serde_json::{Map, Value as Json, json};
use sparr_benches::conformance::{Verdict, judge, text_of};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// How the cases of a section ended.
#[derive(Clone, Copy, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    unsupported: usize,
}

fn main() -> ExitCode {
    let (flags, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let as_json = flags.iter().any(|flag| flag == "--json");
    let verbose = flags.iter().any(|flag| flag == "--verbose");
    if files.is_empty() || flags.iter().any(|flag| flag != "--json" && flag != "--verbose") {
        eprintln!("usage: cel-conformance FILE.jsonl… [--json] [--verbose]");
        return ExitCode::from(2);
    }
    let mut sections: BTreeMap<String, Tally> = BTreeMap::new();
    for file in &files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::from(2);
            }
        };
        for (number, line) in text.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let Ok(Json::Object(case)) = serde_json::from_str(line) else {
                eprintln!("{file}:{}: not a JSON object", number + 1);
                return ExitCode::from(2);
            };
            let section = format!("{}/{}", text_of(&case, "file"), text_of(&case, "section"));
            let tally = sections.entry(section).or_default();
            let expr = text_of(&case, "expr");
            match judge(&case) {
                Verdict::Passed => tally.passed += 1,
                Verdict::Failed(why) => {
                    tally.failed += 1;
                    eprintln!("failed: {}: {expr}: {why}", text_of(&case, "id"));
                }
                Verdict::Unsupported(why) => {
                    tally.unsupported += 1;
                    if verbose {
                        eprintln!("unsupported: {}: {expr}: {why}", text_of(&case, "id"));
                    }
                }
            }
        }
    }
    let total = sections.values().fold(Tally::default(), |sum, one| Tally {
        passed: sum.passed + one.passed,
        failed: sum.failed + one.failed,
        unsupported: sum.unsupported + one.unsupported,
    });
    if as_json {
        let object = |tally: &Tally| json!({"passed": tally.passed, "failed": tally.failed, "unsupported": tally.unsupported});
        let by_name: Map<String, Json> =
            sections.iter().map(|(name, tally)| (name.clone(), object(tally))).collect();
        println!("{}", json!({"total": object(&total), "sections": by_name}));
    } else {
        println!("{:<44} {:>7} {:>7} {:>12}", "section", "passed", "failed", "unsupported");
        for (name, tally) in sections.iter().chain([(&"in all".to_owned(), &total)]) {
            println!("{name:<44} {:>7} {:>7} {:>12}", tally.passed, tally.failed, tally.unsupported);
        }
    }
    ExitCode::from(u8::from(total.failed > 0))
}
