//! A disk that takes the decision log in far more slowly than answers come: what the operator chose happens.
//!
//! `strace` holds up the one thread that writes the log; screening and everything else go on.

use crate::decision_log::decisions;
use crate::support::{EngineProcess, rules_dir};
use sparr_loadgen::people::personal_number;
use sparr_protocol::client::Pipe;
use sparr_protocol::codes::{Kind, Outcome};
use sparr_protocol::frame::MessageKind;
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::{AuthorisationResponse, Degraded};
use sparr_protocol::testing::skipped;
use sparr_protocol::time::Timestamp;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

const RULES: &str = "\
rules:
  - id: large
    when: amount_minor > 500000
    then: decline
    reason: velocity_card
";

/// More than there are places for on the way to the disk; a tenth of them declines, which have places of their own.
const REQUESTS: u64 = 38_000;
const DECLINES: u64 = REQUESTS / 10;

/// Holds up each write of the decision log until it is let go.
struct HeldUp(Child);

impl HeldUp {
    /// `None` where nobody may: no strace, or no right to look into other processes.
    fn start(engine: &EngineProcess, each_ms: u64) -> Option<Self> {
        let tasks = fs::read_dir(format!("/proc/{}/task", engine.pid())).expect("a process").flatten();
        let writes = |task: &fs::DirEntry| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "decision-log")
        };
        let thread = tasks.into_iter().find(writes).expect("a thread writes the log");
        let delay = format!("inject=pwrite64:delay_enter={}", each_ms * 1_000);
        let strace = Command::new("strace")
            .args(["-e", "trace=pwrite64", "-e", &delay, "-p"])
            .arg(thread.file_name())
            .stderr(Stdio::piped())
            .spawn();
        let mut strace = strace.ok()?;
        let mut lines = BufReader::new(strace.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let attached = lines.next().is_some_and(|line| line.contains("attached"));
        // It must not wait for somebody to read on.
        std::thread::spawn(move || lines.for_each(drop));
        let held = Self(strace);
        attached.then_some(held)
    }
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        // It lets go of the thread when it ends; killed, the kernel does.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends requests as fast as the engine takes them in, and gives back the answers.
fn flood(engine: &EngineProcess) -> Vec<AuthorisationResponse> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let Pipe { mut sender, mut receiver } =
            Pipe::open(&engine.client("gateway")).await.expect("connected");
        let sending = async {
            for first in (1..=REQUESTS).step_by(500) {
                let mut bytes = Vec::new();
                for number in first..(first + 500).min(REQUESTS + 1) {
                    let id = RequestId(u128::from(number).to_be_bytes());
                    let mut request = AuthorisationRequest::new(id, Kind::Invoice, Timestamp::MIN);
                    request.event_time = None;
                    request.amount_minor = Some(if number % 10 == 0 { 600_000 } else { 100 });
                    request.subject = Some(personal_number(number).into());
                    request.encode(&mut bytes).expect("fits");
                }
                sender.send(&bytes).await.expect("sent");
            }
            sender.finish();
        };
        let mut answers = Vec::new();
        let reading = async {
            let mut take = |kind: MessageKind, message: &[u8]| {
                assert_eq!(kind, MessageKind::ScreenAnswer);
                answers.push(AuthorisationResponse::decode(message).expect("an answer"));
            };
            while receiver.receive(&mut take).await.unwrap_or(false) {}
        };
        tokio::join!(sending, reading);
        answers
    })
}

struct Ended {
    answers: Vec<AuthorisationResponse>,
    dropped: u64,
    logged: u64,
    gaps: Vec<u64>,
}

/// Floods an engine whose disk is held up, lets go, and looks at what is in the log. `None` where it cannot be held up.
fn run(when_full: &str, each_ms: u64) -> Option<Ended> {
    let (data, rules) = (tempfile::tempdir().expect("folder"), rules_dir(RULES));
    let config = data.path().join("engine.toml");
    fs::write(&config, format!("[decision_log]\nwhen_full = \"{when_full}\"\n")).expect("written");
    let (config, rules) = (config.display().to_string(), rules.path().display().to_string());
    let engine = EngineProcess::start_in(data.path(), &["--config", &config, "--rules", &rules]);
    let Some(held) = HeldUp::start(&engine, each_ms) else {
        skipped("no strace, or it may not attach", "what happens to answers when the decision log is full");
        return None;
    };
    let answers = flood(&engine);
    drop(held);
    let metric = |name: &str| engine.metric(&format!("sparr_decision_log_{name}")) as u64;
    for _ in 0..600 {
        if metric("waiting") == 0 && metric("answers_total") + metric("dropped_total") == REQUESTS {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // What matters is in the log whatever the operator chose.
    let declined = |line: &serde_json::Value| line["outcome"] == "decline";
    let (_, lines) = decisions(&engine, &["--outcome", "decline", "--limit", "10000"]);
    assert_eq!(lines.iter().filter(|line| declined(line)).count() as u64, DECLINES);
    let gaps: Vec<u64> = lines.iter().filter_map(|line| line["gap"]["missing"].as_u64()).collect();
    Some(Ended { answers, dropped: metric("dropped_total"), logged: metric("answers_total"), gaps })
}

fn unlogged(answers: &[AuthorisationResponse]) -> u64 {
    answers.iter().filter(|answer| answer.degraded.contains(Degraded::UNLOGGED)).count() as u64
}

#[test]
fn where_answers_are_counted_they_come_at_once_say_so_and_leave_a_gap_of_their_number() {
    let Some(Ended { answers, dropped, logged, gaps }) = run("count", 60_000) else { return };
    assert_eq!(answers.len() as u64, REQUESTS);
    assert!(dropped > 0, "there is no room for all of them");
    assert_eq!(logged + dropped, REQUESTS);
    assert_eq!(gaps.iter().sum::<u64>(), dropped);
    assert!(unlogged(&answers) >= dropped, "each of them says so");
    let declined =
        answers.iter().filter(|answer| answer.answer.is_ok_and(|it| it.outcome == Outcome::Decline));
    assert_eq!(declined.count() as u64, DECLINES, "screening goes on");
}

#[test]
fn where_answers_wait_none_is_missing() {
    let Some(Ended { answers, dropped, logged, gaps }) = run("wait", 700) else { return };
    assert_eq!((answers.len() as u64, logged, dropped, gaps), (REQUESTS, REQUESTS, 0, vec![]));
    // The control: the same disk is too slow without waiting. What 50 ms bring takes it 700.
    let Some(Ended { dropped, .. }) = run("count", 700) else { return };
    assert!(dropped > 0);
}
