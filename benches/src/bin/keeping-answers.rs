//! What keeping answers costs a running engine: with the decision log, without it, and without the ring of recent requests too.
//!
//! ```text
//! cargo build --release --workspace --bins && target/release/keeping-answers
//! ```
//!
//! An engine of each kind takes its turn at the same open-loop load, there and back (A B C C B A). Processor time is read by
//! the names of threads: workers answer, the recorder and the writer keep. Latencies are those of the load generator.

use clap::Parser;
use serde_json::Value;
use sparr_loadgen::machine::{self, Ticks};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

/// Measures what keeping answers costs.
#[derive(Parser)]
#[command(name = "keeping-answers")]
struct Args {
    /// Requests per second
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Seconds of each turn
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Times there and back
    #[arg(long, default_value_t = 2)]
    rounds: usize,
}

type Failure = Box<dyn std::error::Error>;

/// What an engine keeps: its name here, and its configuration.
const KINDS: [(&str, &str); 3] = [
    ("log and recent requests", ""),
    ("recent requests alone", "[decision_log]\non = false\n"),
    ("nothing", "recent_requests_max = 0\n[decision_log]\non = false\n"),
];

/// Threads whose processor time is told apart, by the beginnings of their names.
const THREADS: [(&str, &str); 3] =
    [("workers", "worker"), ("recorder", "recorder"), ("writer", "decision-log")];

/// One turn: µs of processor time for each request by thread, then p50, p99 and w99 in µs.
type Turn = [f64; THREADS.len() + 3];

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("keeping-answers: {problem}");
            ExitCode::from(2)
        }
    }
}

fn measure(args: &Args) -> Result<(), Failure> {
    let there: Vec<usize> = (0..KINDS.len()).collect();
    let back = there.iter().rev();
    let order: Vec<usize> = there.iter().chain(back).copied().collect::<Vec<_>>().repeat(args.rounds);
    let mut turns: [Vec<Turn>; KINDS.len()] = Default::default();
    let before = Ticks::now();
    for kind in order {
        turns[kind].push(turn(args, KINDS[kind].1)?);
    }
    let stolen = before.zip(Ticks::now()).map(|(before, now)| now.stolen_percent_since(&before));
    println!(
        "{} requests a second, {} turns of {} s each; medians",
        args.rate,
        args.rounds * 2,
        args.seconds
    );
    println!(
        "| what is kept | workers µs | recorder µs | writer µs | together µs | p50 µs | p99 µs | w99 µs |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for ((name, _), turns) in KINDS.iter().zip(&turns) {
        let median = |at: usize| {
            let mut values: Vec<f64> = turns.iter().map(|turn| turn[at]).collect();
            values.sort_by(f64::total_cmp);
            f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
        };
        let cpu: Vec<f64> = (0..THREADS.len()).map(median).collect();
        let all: f64 = cpu.iter().sum();
        let times = (THREADS.len()..THREADS.len() + 3).map(median).map(|us| format!("{us:.0}"));
        let cpu = cpu.iter().chain([&all]).map(|us| format!("{us:.2}"));
        println!("| {name} | {} |", cpu.chain(times).collect::<Vec<_>>().join(" | "));
    }
    if let Some(stolen) = stolen {
        println!("stolen by the hypervisor meanwhile: {stolen:.1} %");
    }
    Ok(())
}

/// An engine that ends with this.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn beside(name: &str) -> Result<PathBuf, Failure> {
    let file = std::env::current_exe()?.with_file_name(name);
    if file.is_file() { Ok(file) } else { Err(format!("{} is not built", file.display()).into()) }
}

fn start(folder: &Path, config: &str) -> Result<Engine, Failure> {
    let file = folder.join("engine.toml");
    std::fs::write(&file, config)?;
    let mut engine = Command::new(beside("sparr")?)
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"])
        .arg(folder)
        .arg("--config")
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Engine)?;
    let stdout = engine.0.stdout.take().ok_or("it has no output")?;
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    if !lines.by_ref().any(|line| line.contains("\"message\":\"serving\"")) {
        return Err("the engine does not start".into());
    }
    // It must not wait for somebody to read on.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(engine)
}

fn turn(args: &Args, config: &str) -> Result<Turn, Failure> {
    let folder = tempfile::tempdir()?;
    let engine = start(folder.path(), config)?;
    let process = Some(engine.0.id());
    // Rows of memory are warm when it counts.
    load(args, folder.path(), 1)?;
    let cpu = || THREADS.map(|(_, prefix)| machine::cpu_ns(process, prefix).unwrap_or(0));
    let before = cpu();
    let said = load(args, folder.path(), args.seconds)?;
    let after = cpu();
    let requests = (args.rate * args.seconds) as f64;
    let mut turn = [0.0; THREADS.len() + 3];
    for at in 0..THREADS.len() {
        turn[at] = after[at].saturating_sub(before[at]) as f64 / 1e3 / requests;
    }
    let latency = &said["latency_us"];
    for (at, value) in [&latency["p50"], &latency["p99"], &said["w99_us"]].into_iter().enumerate() {
        turn[THREADS.len() + at] = value.as_f64().ok_or_else(|| format!("no figures in {said}"))?;
    }
    Ok(turn)
}

fn load(args: &Args, folder: &Path, seconds: u64) -> Result<Value, Failure> {
    let output = Command::new(beside("sparr-load")?)
        .args(["run", "--fail-policy", "decline", "--json"])
        .args([
            "--rate",
            &args.rate.to_string(),
            "--seconds",
            &seconds.to_string(),
            "--seed",
            &fresh(),
            "--data-dir",
        ])
        .arg(folder)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .map_err(|_| format!("{text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Another seed each time: no engine sees the same payers in the same order twice.
fn fresh() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}
