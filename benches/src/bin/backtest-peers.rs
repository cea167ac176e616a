//! A backtest over a million real rows, beside the same rules in pandas and in a plain script of deques: all in one run, in
//! turns, with the same hits.
//!
//! `cargo build --release -p sparr-engine -p sparr-benches && target/release/backtest-peers [--rounds N]`; `SPARR_PYTHON` names
//! a Python, one with pandas. What is not there is left out, and said.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use clap::Parser;
use serde_json::Value;
use sparr_loadgen::rows::open_packed;
use sparr_protocol::testing::test_data;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Arguments.
#[derive(Parser)]
struct Arguments {
    /// Rounds of each; pandas and the script run in the first three of them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Rounds in which the slow ones run too.
const SLOW_ROUNDS: usize = 3;

/// The rules that the scripts have as well.
const RULES: [&str; 8] = [
    "amount_minor > 22000",
    "amount_minor >= 22000",
    "velocity(card, \"1h\").count >= 3",
    "velocity(card, \"24h\").count >= 8",
    "velocity(card, \"24h\").sum > 60000",
    "velocity(card, \"24h\").distinct(terminal) >= 7",
    "velocity(terminal, \"7d\").sum > 150000",
    "velocity(terminal, \"7d\").count >= 15",
];

/// One contestant: its name, how it is started, and which of its figures are compared.
struct Contestant {
    name: &'static str,
    command: Vec<String>,
    /// Whether it is a Python script, which runs less often.
    slow: bool,
    /// Whether its hits must be everybody's.
    same_rules: bool,
}

fn main() {
    let Arguments { rounds } = Arguments::parse();
    let Some(packed) = test_data("transactions/fdh_2018-04-01_2018-07-15.csv.zst", "how fast a backtest is")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    let rows = folder.path().join("rows.csv");
    unpack(&packed, &rows);
    let rules = write_rules(folder.path());
    let contestants = contestants(&rows, &rules);
    let mut seconds: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut hits: Option<Value> = None;
    let mut count = 0.0;
    for round in 0..rounds {
        // A B B A: what the machine does besides meets all of them.
        let order: Vec<&Contestant> =
            if round % 2 == 0 { contestants.iter().collect() } else { contestants.iter().rev().collect() };
        for contestant in order {
            if contestant.slow && round >= SLOW_ROUNDS {
                continue;
            }
            let started = Instant::now();
            let said = run(&contestant.command);
            seconds.entry(contestant.name).or_default().push(started.elapsed().as_secs_f64());
            count = said["rows"].as_f64().unwrap_or(count);
            if contestant.same_rules {
                let found = hits_of(&said);
                let first = hits.get_or_insert_with(|| found.clone());
                assert_eq!(*first, found, "{} finds something else", contestant.name);
            }
        }
    }
    println!("{count} rows; hits by rule, the same for all: {}", hits.unwrap_or_default());
    let ours = median(seconds.get("sparr, the same rules").map(Vec::as_slice).unwrap_or_default());
    for (name, seconds) in &seconds {
        let took = median(seconds);
        let per_s = count / took;
        println!("{name:<44}{took:>9.2} s{per_s:>12.0} rows/s{:>9.1} × as long", took / ours);
    }
}

fn contestants(rows: &Path, rules: &Path) -> Vec<Contestant> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = |path: &Path| path.display().to_string();
    let binary = std::env::current_exe().unwrap_or_default().with_file_name("sparr");
    let backtest = |rules: &Path, threads: Option<&str>| {
        let map = text(&root.join("config/maps/fdh.toml"));
        let (binary, rules, rows) = (text(&binary), text(rules), text(rows));
        let mut command: Vec<String> =
            [&binary, "backtest", "--json", "--rules", &rules, "--data", &rows, "--map", &map]
                .map(str::to_owned)
                .to_vec();
        command.extend(threads.iter().flat_map(|threads| ["--threads".to_owned(), (*threads).to_owned()]));
        command
    };
    let sparr = |name, command, same_rules| Contestant { name, command, slow: false, same_rules };
    let shipped = root.join("config/rules");
    let mut all = vec![
        sparr("sparr, the same rules", backtest(rules, None), true),
        sparr("sparr, the same rules, one thread", backtest(rules, Some("1")), true),
        sparr("sparr, the shipped rules", backtest(&shipped, None), false),
        sparr("sparr, the shipped rules, one thread", backtest(&shipped, Some("1")), false),
    ];
    let python = std::env::var("SPARR_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = |module: &str| {
        let imported = Command::new(&python).args(["-c", &format!("import {module}")]).output();
        imported.is_ok_and(|output| output.status.success())
    };
    for (name, script, module) in
        [("a script of deques", "deques.py", "collections"), ("pandas", "frames.py", "pandas")]
    {
        if has(module) {
            let script = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script));
            let command = vec![python.clone(), script, text(rows)];
            all.push(Contestant { name, command, slow: true, same_rules: true });
        } else {
            println!("SKIPPED: {name}: {python} has no {module}; name another Python in SPARR_PYTHON");
        }
    }
    all
}

fn run(command: &[String]) -> Value {
    let output = Command::new(&command[0]).args(&command[1..]).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", command[0]));
    let problem = || String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {}", problem());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Hits by rule, however they were said.
fn hits_of(said: &Value) -> Value {
    match said["rules"].as_array() {
        Some(rules) => rules
            .iter()
            .map(|rule| (rule["id"].as_str().unwrap_or_default().to_owned(), rule["hits"].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        None => said["hits"].clone(),
    }
}

fn unpack(packed: &Path, rows: &PathBuf) {
    let copied = open_packed(packed).and_then(|mut opened| {
        let mut out = File::create(rows)?;
        std::io::copy(&mut opened.unpacked, &mut out)
    });
    copied.unwrap_or_else(|error| panic!("{}: {error}", packed.display()));
}

fn write_rules(folder: &Path) -> PathBuf {
    let dir = folder.join("rules");
    let mut yaml = "set:\n  base_currency: EUR\nrules:\n".to_owned();
    for (number, when) in RULES.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            yaml,
            "  - id: r{number}\n    description: d\n    owner: o\n    when: {when}\n    then: challenge\n    reason: velocity_card"
        );
    }
    let reasons = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/reasons.toml");
    let written = fs::create_dir_all(&dir)
        .and_then(|()| fs::write(dir.join("rules.yaml"), yaml))
        .and_then(|()| fs::copy(reasons, dir.join("reasons.toml")));
    written.unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    dir
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
