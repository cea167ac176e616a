//! The commands of `sparr-load` as a user runs them, against a service that knows nothing.

use sparr_loadgen::service::{Behaviour, Keys, Service};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn sparr_load() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sparr-load"));
    for variable in ["SPARR_CONNECT", "SPARR_IDENTITY", "SPARR_DATA_DIR"] {
        command.env_remove(variable);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct Stage {
    keys: Keys,
    service: Service,
}

impl Stage {
    fn new(behaviour: Behaviour) -> Self {
        let keys = Keys::make().expect("keys");
        let service = Service::start("service", keys.server_config().expect("a configuration"), behaviour);
        Self { keys, service: service.expect("it starts") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = sparr_load();
        command.args(arguments).arg("--connect").arg(self.service.listen.to_string());
        command.arg("--identity").arg(self.keys.identity_dir()).args(["--fail-policy", "hold"]);
        command
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.command(arguments).arg("--json").output().expect("it runs");
        // 1 says that the budget was missed, which a busy machine may do.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

#[test]
fn the_generator_reports_what_customers_waited_and_a_closed_loop_does_not() {
    let output = sparr_load().args(["self-test", "--json", "--seconds", "3"]).output().expect("it runs");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let ms = |key: &str| found[key].as_f64().expect(key);
    // One-sided, so that a slow machine, on which everything takes longer, fails nothing.
    assert!((190.0..200.0).contains(&ms("true_p99_ms")), "{found}");
    assert!(ms("open_p99_ms") >= ms("true_p99_ms") * 0.95, "{found}");
    assert!(ms("closed_p99_ms") < ms("open_p99_ms") / 2.0, "{found}");
}

#[test]
fn a_run_answers_everything_and_writes_its_page_and_its_log() {
    let (stage, folder) = (Stage::new(Behaviour::Echo), tempfile::tempdir().expect("a folder"));
    let (page, log) = (folder.path().join("report.html"), folder.path().join("run.hlog"));
    let files = [page.to_str().expect("text"), log.to_str().expect("text")];
    let arguments =
        ["run", "--rate", "3000,1000", "--shuffle", "--seconds", "1", "--html", files[0], "--hlog", files[1]];
    let said = stage.json(&arguments);
    assert_eq!((&said["decisions"], &said["unanswered"]), (&4_000.into(), &0.into()), "{said}");
    assert_eq!(said["outcomes"]["approve"], 4_000);
    assert!(said["latency_us"]["p50"].as_f64() <= said["latency_us"]["max"].as_f64(), "{said}");
    assert!(said["datagrams_per_request"].as_f64().is_some_and(|datagrams| datagrams > 0.0));
    let page = std::fs::read_to_string(page).expect("written");
    assert_eq!((page.matches("<svg").count(), page.matches("<polyline").count()), (2, 5));
    assert!(!page.contains("http") && !page.contains("<script"), "the page needs nothing from elsewhere");
    let log = std::fs::read_to_string(log).expect("written");
    assert_eq!(
        log.lines().filter(|line| line.contains("HISTFAAA")).count(),
        2,
        "one interval a second:\n{log}"
    );
}

#[test]
fn a_run_is_recorded_in_the_order_of_sending_or_not_at_all() {
    let (stage, folder) = (Stage::new(Behaviour::Echo), tempfile::tempdir().expect("a folder"));
    let dir = folder.path().join("recorded");
    let record = [
        "run",
        "--rate",
        "2000",
        "--seconds",
        "1",
        "--clock",
        "event",
        "--record",
        dir.to_str().expect("text"),
    ];
    stage.json(&[&record[..], &["--streams", "1"]].concat());
    let read = |name: &str| -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(dir.join(name)).expect("written");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let (requests, answers) = (read("requests.ndjson"), read("answers.ndjson"));
    assert_eq!((requests.len(), answers.len()), (2_000, 2_000));
    for (request, answer) in requests.iter().zip(&answers) {
        assert_eq!(request["request_id"], answer["request_id"]);
        assert_eq!(answer["outcome"], "approve");
    }
    let time = |request: &serde_json::Value| -> i64 {
        request["event_time"].as_str().and_then(|ms| ms.parse().ok()).expect("ms")
    };
    assert!(requests.windows(2).all(|two| time(&two[0]) <= time(&two[1])));
    let output = stage.command(&record).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("--record wants --clock event, --connections 1 and --streams 1"), "{said}");
}

#[test]
fn a_search_ends_with_a_rate_that_was_tried() {
    let stage = Stage::new(Behaviour::Echo);
    let search = ["find-max", "--from", "500", "--to", "2000", "--seconds", "1", "--budget-p99", "5s"];
    let once = stage.json(&[&search[..], &["--repeats", "1"]].concat());
    assert_eq!((&once["max_per_s"], &once["budget_us"]), (&2_000.into(), &5_000_000.into()), "{once}");
    assert_eq!(once["tries"].as_array().map(Vec::len), Some(3), "{once}");
    let repeated = stage.json(&[&search[..], &["--repeats", "2"]].concat());
    assert_eq!(repeated["max_per_s"], 2_000, "{repeated}");
    let passed =
        |one: &serde_json::Value| (one["rate"].as_u64(), one["passed"].as_u64(), one["tries"].as_u64());
    let rungs: Vec<_> = repeated["repeated"].as_array().expect("a list").iter().map(passed).collect();
    let all = |rate| (Some(rate), Some(2), Some(2));
    assert_eq!(rungs, [all(1_600), all(1_800), all(2_000)], "{repeated}");
    let first = ["find-max", "--from", "500", "--to", "500", "--seconds", "1", "--repeats", "1"];
    let impossible = stage.json(&[&first[..], &["--budget-p99", "0"]].concat());
    assert_eq!(impossible["max_per_s"], 0, "{impossible}");
    for (bad, says) in [
        (&["find-max", "--budget-p99", "1 minute"][..], "give a time like 500us, 1ms or 1.5ms"),
        (&["find-max", "--budget-p99", "-1ms"], "unexpected argument"),
        (&["find-max", "--from", "2000", "--to", "500"], "--to 500 is below --from 2000"),
    ] {
        let output = stage.command(bad).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
        assert!(text(&output.stderr).contains(says), "{bad:?}: {}", text(&output.stderr));
    }
}

#[test]
fn late_answers_are_counted_by_the_fail_policy() {
    let stage = Stage::new(Behaviour::Stall { every: 100, pause: Duration::from_millis(120) });
    let said = stage.json(&["run", "--rate", "500", "--seconds", "1", "--deadline-us", "50000"]);
    assert_eq!(said["decisions"], 500, "{said}");
    // At 500 a second a stall of 120 ms makes 35 requests wait longer than 50 ms.
    let held = said["fallbacks"]["hold"].as_u64().unwrap_or_default();
    assert!((4 * 30..=500).contains(&held), "{said}");
}

#[test]
fn a_service_that_dies_is_said_and_not_measured() {
    let stage = Stage::new(Behaviour::Echo);
    let mut running = stage.command(&["run", "--rate", "1000", "--seconds", "30"]);
    let running = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    std::thread::sleep(Duration::from_millis(700));
    drop(stage.service);
    let Output { status, stdout, stderr } = running.wait_with_output().expect("it ends");
    assert_eq!(status.code(), Some(2), "{}", text(&stderr));
    assert!(text(&stderr).contains("the connection was lost: it was closed"), "{}", text(&stderr));
    assert!(stdout.is_empty(), "no figures of half a run");
}

#[test]
fn bad_input_is_named_and_nothing_is_sent() {
    let stage = Stage::new(Behaviour::Echo);
    let said = |mut command: Command| {
        let output = command.output().expect("it runs");
        (output.status.code(), text(&output.stderr))
    };
    for (command, expected) in [
        (stage.command(&["run", "--rate", "0"]), "0 is not in 1..=5000000"),
        (stage.command(&["run", "--pin", "1000"]), "does not let the generator stay on core 1000"),
        (stage.command(&["replay", "--input", "none.csv", "--map", "none.toml"]), "none.toml: No such file"),
        (
            {
                let mut command = sparr_load();
                command.args(["run", "--connect", "127.0.0.1:9", "--fail-policy", "hold"]);
                command.arg("--identity").arg(stage.keys.identity_dir());
                command
            },
            "no engine answers at 127.0.0.1:9",
        ),
        (
            {
                let mut command = sparr_load();
                command.args(["run", "--fail-policy", "hold", "--data-dir", "nowhere"]);
                command
            },
            "no identity in nowhere/dev/gateway",
        ),
        (
            {
                let mut command = sparr_load();
                command.arg("run");
                command
            },
            "--fail-policy",
        ),
    ] {
        let (code, said) = said(command);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_days_aftermath_is_the_same_for_the_same_seed() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, seed: &str| {
        let out = folder.path().join(name);
        let mut command = sparr_load();
        command.args(["generate", "--requests", "5000", "--seed", seed, "--out"]).arg(&out);
        assert!(command.output().expect("it runs").status.success());
        let read = |file: &str| std::fs::read_to_string(out.join(file)).expect("written");
        (read("results.ndjson"), read("labels.ndjson"))
    };
    let (results, labels) = write("one", "4");
    assert_eq!(results.lines().count(), 5_000);
    assert!(labels.lines().count() > 100);
    assert_eq!((results, labels), write("same", "4"));
    assert_ne!(write("one", "4").1, write("other", "5").1);
}
