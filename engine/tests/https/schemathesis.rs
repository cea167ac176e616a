//! Schemathesis, which nobody here wrote, reads the document and asks whatever it thinks of: nothing breaks the door, and no
//! answer lies outside the document.

use crate::client::{address, engine};
use crate::support::text;
use sparr_protocol::testing::skipped;
use std::process::{Command, Stdio};

/// The program: `SPARR_SCHEMATHESIS`, or the one on the path.
fn program() -> Option<Command> {
    let name = std::env::var_os("SPARR_SCHEMATHESIS")
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "schemathesis".into());
    let has = Command::new(&name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        skipped(
            "no schemathesis",
            "that no question a stranger thinks of breaks the HTTPS door or its document",
        );
        return None;
    }
    Some(Command::new(name))
}

#[test]
fn no_question_breaks_the_door_and_no_answer_lies_outside_the_document() {
    let Some(program) = program() else { return };
    let engine = engine();
    let folder = tempfile::tempdir().expect("folder");
    // One run for each role that may do something: who may not is told so before the body counts.
    for (role, paths, without) in [
        // In a batch each object has its own answer: a wrong one does not make the request one.
        (
            "gateway",
            "^/v1/(screen|results|labels|openapi.json)$",
            "positive_data_acceptance,negative_data_rejection",
        ),
        ("desk", "^/v1/flags$", "positive_data_acceptance"),
        ("analyst", "^/v1/indicators$", "positive_data_acceptance"),
    ] {
        let identity = engine.data_dir.join("dev").join(role);
        let output = Command::new(program.get_program())
            .arg("run")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/openapi.json"))
            .args(["--url", &format!("https://{}", address(&engine)), "--include-path-regex", paths])
            .arg("--request-cert")
            .arg(identity.join("cert.pem"))
            .arg("--request-cert-key")
            .arg(identity.join("key.pem"))
            .arg("--tls-verify")
            .arg(identity.join("ca.pem"))
            .args([
                "--phases",
                "examples,coverage,fuzzing",
                "--max-examples",
                "40",
                "--seed",
                "1",
                "--no-color",
            ])
            // A number that names nobody is a text as the document wants it: the rest is for the engine to say.
            .args(["--exclude-checks", without])
            .args(["--suppress-health-check", "all", "--generation-database", "none"])
            .current_dir(folder.path())
            .output()
            .expect("it runs");
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{role}: {out}{err}");
        assert!(out.contains("Test cases:"), "{out}");
    }
    // It did reach the desk behind the door.
    let answered = engine.metric("sparr_decision_duration_seconds_count");
    assert!(answered > 20.0, "{answered}");
    assert_eq!(engine.get("/readyz"), (200, "ready\n".to_owned()));
}
