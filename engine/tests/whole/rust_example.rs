//! The gateway in Rust of `protocol/examples/`, as its reader runs it.

use crate::support::{EngineProcess, TOLVAN, id, text};
use serde_json::{Value, json};
use sparr_protocol::testing::skipped;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn a_gateway_in_rust_screens_and_falls_back_as_it_says() {
    let bin = Path::new(env!("CARGO_BIN_EXE_sparr")).parent().expect("a folder");
    let program = bin.join("examples/gateway");
    if !program.exists() {
        return skipped("examples are built by `cargo test --workspace`", "that the gateway in Rust runs");
    }
    let engine = EngineProcess::start();
    engine.raise(TOLVAN, "deny");
    let mut command = Command::new(program);
    command.arg(engine.listen.to_string()).arg(engine.data_dir.join("dev/gateway"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let invoice = |number: u64, subject: &str| json!({ "request_id": id(number), "kind": "invoice", "subject": subject });
    let lines = format!("{}\n{}\n", invoice(1, TOLVAN), invoice(2, "19121212-1213"));
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = text(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    assert!(output.status.success() && lines.len() == 2, "{said}");
    let first: Value = serde_json::from_str(lines[0]).expect("JSON");
    assert_eq!(
        (&first["outcome"], lines[1]),
        (&json!("decline"), "not screened (identity_malformed): decline")
    );
}
