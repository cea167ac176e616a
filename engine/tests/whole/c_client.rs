//! The client with a C ABI: the example is compiled by the system's compiler and talks to a real engine.

use crate::support::{EngineProcess, TOLVAN, id, text};
use sparr_client::client::Blocking;
use sparr_protocol::codes::Kind;
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::testing::skipped;
use sparr_protocol::time::Timestamp;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;
use tempfile::TempDir;

/// The library that was built with these tests: beside the engine's binary, or among what it depends on.
fn library() -> PathBuf {
    let bin = Path::new(env!("CARGO_BIN_EXE_sparr")).parent().expect("a folder");
    let found = [bin.to_owned(), bin.join("deps")].into_iter().flat_map(|folder| {
        fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libsparr_client") && name.ends_with(".a")
        })
    });
    let made = |path: &PathBuf| {
        fs::metadata(path).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    };
    found.max_by_key(made).expect("the library is built with the tests")
}

/// Compiles an example against the header and the library.
fn compiled(example: &str) -> Option<(TempDir, PathBuf)> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if Command::new(&compiler).arg("--version").output().is_err() {
        skipped("no C compiler", "that a gateway in C can use the client");
        return None;
    }
    let folder = tempfile::tempdir().expect("folder");
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol");
    let program = folder.path().join(example);
    let output = Command::new(compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(protocol.join("c/include"))
        .arg(protocol.join(format!("examples/c/{example}.c")))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some((folder, program))
}

/// Runs the example: what it printed, line by line.
fn ask(program: &Path, arguments: &[&str], requests: &str) -> Vec<serde_json::Value> {
    let mut command = Command::new(program);
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("piped").write_all(requests.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn a_gateway_in_c_hears_whether_its_numbers_arrive() {
    let Some((_folder, program)) = compiled("check_identities") else { return };
    let engine = EngineProcess::start();
    let run = |more: &[&str]| {
        let mut command = Command::new(&program);
        command
            .arg(engine.listen.to_string())
            .arg(engine.data_dir.join("dev/gateway"))
            .args(more)
            .output()
            .expect("it runs")
    };
    let (right, wrong) = (run(&[]), run(&["digits"]));
    let said = "every number arrives as the person whom it names\n";
    assert_eq!(
        (right.status.code(), text(&right.stdout).as_str()),
        (Some(0), said),
        "{}",
        text(&right.stderr)
    );
    assert_eq!(
        (wrong.status.code(), text(&wrong.stderr).as_str()),
        (Some(1), "121212+1212 arrives as another person\n")
    );
}

#[test]
fn a_gateway_in_c_gets_the_answers_that_the_command_line_gets() {
    let Some((_folder, program)) = compiled("gateway") else { return };
    let engine = EngineProcess::start();
    engine.raise(TOLVAN, "verify");
    let cases = [
        (
            "card_payment",
            vec![
                ("amount_minor", "57416"),
                ("currency", "SEK"),
                ("card_token", "tok-1"),
                ("cvv", "no_match"),
            ],
        ),
        ("invoice", vec![("amount_minor", "5716"), ("currency", "SEK"), ("subject", TOLVAN)]),
        ("invoice", vec![("subject", "191212121213")]),
        ("transfer", vec![("amount_minor", "100"), ("payer_account", "iban:SE00")]),
        ("instant", vec![("amount_minor", "100"), ("currency", "SEK"), ("remote_access", "yes")]),
    ];
    // The same questions twice, under other ids: once from C, all in one batch, and once from the command line.
    let mut from_c = String::new();
    let mut from_shell = Vec::new();
    for (at, (kind, fields)) in (1..).zip(&cases) {
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        from_c += &format!("{} {kind} {}\n", id(at), pairs.join(" "));
        let mut request = serde_json::json!({ "request_id": id(1_000 + at), "kind": kind });
        for (name, value) in fields {
            request[*name] = (*value).into();
        }
        from_shell.push(engine.screen(&request));
    }
    let (connect, identity) =
        (engine.listen.to_string(), engine.data_dir.join("dev/gateway").display().to_string());
    let answers = ask(&program, &[&connect, &identity, "*=hold", "2000000"], &from_c);
    assert_eq!(answers.len(), cases.len());
    for (at, (answer, shown)) in (1..).zip(answers.iter().zip(&from_shell)) {
        assert_eq!(answer["request_id"], id(at));
        for key in ["outcome", "review", "not_screened", "field", "reasons"] {
            assert_eq!(answer[key], shown[key], "{key}: {answer} {shown}");
        }
        // Whoever was not screened is held, as the policy says; whoever was, is not.
        let held = answer["outcome"].is_null().then(|| "hold".into());
        assert_eq!(answer["fallback"], held.unwrap_or(serde_json::Value::Null), "{answer}");
    }
    let ended = |at: usize| (answers[at]["outcome"].as_str(), answers[at]["not_screened"].as_str());
    assert_eq!(ended(1), (Some("challenge"), None));
    assert_eq!(ended(2), (None, Some("identity_malformed")));
    assert_eq!(ended(3), (None, Some("field_malformed")));

    // An engine that stands still: a timeout within the deadline, and each policy's own word.
    engine.signal("STOP");
    let request = format!("{} card_payment amount_minor=1\n{} invoice\n", id(50), id(51));
    for policy in ["approve", "challenge", "hold", "decline"] {
        let words = format!("*={policy},invoice=decline");
        let answers = ask(&program, &[&connect, &identity, &words, "2000000", "60000"], &request);
        let said = |at: usize, key: &str| answers[at][key].as_str().unwrap_or_default().to_owned();
        assert_eq!((said(0, "error"), said(0, "fallback")), ("timeout".into(), policy.into()));
        assert_eq!((said(1, "error"), said(1, "fallback")), ("timeout".into(), "decline".into()));
        assert_eq!(answers[0]["retryable"], true);
    }
    engine.signal("CONT");
    // Nobody there at all.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address")
        .to_string();
    let answers = ask(&program, &[&silent, &identity, "*=decline", "6000000"], &request);
    assert_eq!(
        (answers[0]["error"].as_str(), answers[0]["fallback"].as_str()),
        (Some("unreachable"), Some("decline"))
    );
    // What is wrong before anything is asked.
    for (arguments, said) in [
        ([connect.as_str(), "/nowhere", "*=decline"], "/nowhere/cert.pem"),
        ([connect.as_str(), identity.as_str(), "invoice=hold"], "nothing is said about card_payment"),
        (["nowhere", identity.as_str(), "*=hold"], "no address and port"),
    ] {
        let output = Command::new(&program).args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}

#[test]
fn many_threads_use_one_blocking_client() {
    let engine = EngineProcess::start();
    let mut config = engine.client("gateway");
    config.timeout = std::time::Duration::from_secs(5);
    let client = Blocking::start(config).expect("started");
    client.connect().expect("connected");
    let decided: usize = std::thread::scope(|scope| {
        let ask = |thread: u8| {
            let client = &client;
            move || {
                let batches = (0..20u8).map(|batch| {
                    let requests = (0..10u8).map(|number| {
                        let id = [1, thread, batch, number, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
                        let mut request = AuthorisationRequest::new(
                            RequestId(id),
                            Kind::CardPayment,
                            Timestamp::from_ms(0),
                        );
                        request.event_time = None;
                        request
                    });
                    let answers = client.screen(requests.collect(), 0);
                    answers.iter().filter(|answer| !answer.outcome.is_null()).count()
                });
                batches.sum::<usize>()
            }
        };
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(ask(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(decided, 8 * 20 * 10);
}
