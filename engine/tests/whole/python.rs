//! A gateway in Python, on another QUIC stack and written from `WIRE.md` alone, talks to real engines.

use crate::support::{EngineProcess, rules_dir, shipped_rules, text};
use sparr_protocol::testing::skipped;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/examples/python")
}

/// A python that has aioquic: `SPARR_PYTHON`, or the one on the path.
pub(crate) fn python() -> Option<Command> {
    let name =
        std::env::var_os("SPARR_PYTHON").filter(|name| !name.is_empty()).unwrap_or_else(|| "python3".into());
    let has = Command::new(&name).args(["-c", "import aioquic"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        skipped("no python3 with aioquic", "that a gateway on another QUIC stack can speak the wire");
        return None;
    }
    let mut command = Command::new(name);
    // What it compiles has no place among the sources.
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(folder());
    Some(command)
}

#[test]
fn a_gateway_in_python_speaks_the_wire_from_its_document_alone() {
    let Some(mut python) = python() else { return };
    let engine = EngineProcess::start();
    let strict = tempfile::tempdir().expect("folder");
    let config = strict.path().join("engine.toml");
    fs::write(&config, "[required]\ninvoice = [\"subject\"]\n").expect("written");
    let (rules, config) = (shipped_rules().display().to_string(), config.display().to_string());
    let strict = EngineProcess::start_with(&["--rules", &rules, "--config", &config]);
    let broken = rules_dir("rules: [");
    let ruleless = EngineProcess::start_with(&["--rules", &broken.path().display().to_string()]);
    // A certificate of another engine's authority, of somebody who trusts this one.
    let other = engine.data_dir.join("other/gateway");
    fs::create_dir_all(&other).expect("made");
    for (from, file) in [(&strict, "cert.pem"), (&strict, "key.pem"), (&engine, "ca.pem")] {
        fs::copy(from.data_dir.join("dev/gateway").join(file), other.join(file)).expect("copied");
    }
    let engines = [&engine, &strict, &ruleless];
    let output = python
        .arg("interop.py")
        .args(engines.map(|engine| engine.listen.to_string()))
        .args(engines.map(|engine| engine.data_dir.join("dev")))
        .output()
        .expect("it runs");
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert_eq!(said.lines().count(), 4, "{said}");
    // What it heard is what the engine counted: nothing was answered by anybody else.
    let outcomes = ["approve", "challenge", "decline"];
    let decided = outcomes.map(|name| engine.metric(&format!("sparr_decisions_total{{outcome=\"{name}\"}}")));
    assert!(decided.iter().sum::<f64>() >= 2_000.0, "{decided:?}");
    assert_eq!(engine.metric("sparr_not_screened_total{why=\"id_conflict\"}"), 1.0);
    assert_eq!(ruleless.metric("sparr_not_screened_total{why=\"no_rules\"}"), 1.0);
}

#[test]
fn a_gateway_in_python_hears_whether_its_numbers_arrive() {
    let Some(mut python) = python() else { return };
    let engine = EngineProcess::start();
    let identity = engine.data_dir.join("dev/gateway");
    let own = python
        .arg("check_identities.py")
        .arg(engine.listen.to_string())
        .arg(&identity)
        .output()
        .expect("it runs");
    let said = "every number arrives as the person whom it names\n";
    assert_eq!((own.status.code(), text(&own.stdout).as_str()), (Some(0), said), "{}", text(&own.stderr));
    // The control: one that keeps integers.
    let spoilt = "import asyncio, sys, check_identities as it\n\
        it.as_sent = lambda number: str(int(number.replace('-', '').replace('+', '')))\n\
        asyncio.run(it.main(*sys.argv[1:3]))";
    let Some(mut python) = self::python() else { return };
    let spoilt =
        python.args(["-c", spoilt]).arg(engine.listen.to_string()).arg(&identity).output().expect("it runs");
    assert_eq!(spoilt.status.code(), Some(1));
    assert!(
        text(&spoilt.stderr).contains("121212+1212 arrives as another person"),
        "{}",
        text(&spoilt.stderr)
    );
}

#[test]
fn the_example_is_as_short_as_it_says() {
    let text = fs::read_to_string(folder().join("gateway.py")).expect("readable");
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines < 100, "{lines} lines");
}
