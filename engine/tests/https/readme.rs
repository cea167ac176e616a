//! The README's curl command does what it says.

use crate::client::{address, engine};
use crate::support::text;
use sparr_protocol::testing::skipped;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_curl_command_of_the_readme_screens() {
    if !Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok_and(|it| it.success()) {
        return skipped("no curl", "that the README's curl command works as it stands");
    }
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("readable");
    let command =
        readme.split("```sh\ncurl ").nth(1).and_then(|rest| rest.split("```").next()).expect("it is there");
    let engine = engine();
    let command = format!("curl --silent --show-error {command}")
        .replace("127.0.0.1:7444", &address(&engine).to_string())
        .replace("sparr-data", &engine.data_dir.display().to_string());
    let output = Command::new("sh").args(["-c", &command]).output().expect("a shell");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("\"outcome\":\"approve\""), "{command}: {out}{err}");
}
