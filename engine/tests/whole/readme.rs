//! The README is true: its commands run, in its order, and do what it says.

use crate::support::{EngineProcess, text};
use std::fs;
use std::path::Path;
use std::process::Command;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).expect("readable")
}

/// The commands of the README's console blocks.
fn commands(readme: &str) -> Vec<String> {
    let blocks = readme.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_readme_run_as_they_stand() {
    let engine = EngineProcess::start();
    let bin = Path::new(env!("CARGO_BIN_EXE_sparr")).parent().expect("a folder");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut printed = Vec::new();
    let commands = commands(&readme());
    assert!(commands.len() >= 6, "{commands:?}");
    for command in &commands {
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .env("PATH", &path)
            .env("SPARR_DATA_DIR", &engine.data_dir)
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{command}: {}{}", text(&output.stdout), text(&output.stderr));
        printed.push(text(&output.stdout));
    }
    assert!(printed[0].contains("\"outcome\":\"approve\""), "{}", printed[0]);
    assert!(printed[2].contains("\"outcome\":\"challenge\""), "{}", printed[2]);
    // The answer that the README shows is this one, but for what differs from run to run.
    let shown =
        readme().split("```json\n").nth(1).and_then(|rest| rest.split("```").next().map(str::to_owned));
    let stable = |text: &str| {
        let mut value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        for key in ["position", "engine_us"] {
            value.as_object_mut().expect("an object").remove(key).expect(key);
        }
        value
    };
    assert_eq!(stable(&shown.expect("an answer is shown")), stable(&printed[2]));
}

#[test]
fn the_demonstration_shows_what_it_promises() {
    let output = crate::support::sparr()
        .args(["demo", "--seconds", "1", "--flags", "2000", "--json"])
        .output()
        .expect("it runs");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(err, "", "no progress bar in a pipe");
    let summary: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
    assert_eq!((&summary["flags"], &summary["position"]["index"]), (&2_000.into(), &2_000.into()));
    assert_eq!(summary["not_screened"], serde_json::json!({}), "the stream is valid");
    assert_eq!(summary["decisions"], summary["answers"]);
    for reason in ["flag_verify", "flag_deny"] {
        assert!(summary["reasons"][reason].as_u64().is_some_and(|hits| hits > 0), "{reason}: {summary}");
    }
    assert_eq!(summary["loop"], "open");
    let explained = summary["explained"].as_str().expect("one decision is explained");
    assert!(
        explained.contains("Declined") && explained.contains("What the customer may be told"),
        "{explained}"
    );
}
