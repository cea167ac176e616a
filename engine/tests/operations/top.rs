//! `sparr top --once` and `sparr config show` against what runs.

use crate::support::{EngineProcess, TOLVAN, rules_dir, sparr, text};
use crate::traffic::{RULES, send};
use std::collections::BTreeSet;
use std::process::Output;

fn top(admin: &str) -> Output {
    sparr().args(["top", "--once", "--admin", admin]).output().expect("it runs")
}

#[test]
fn a_frame_says_what_the_engine_counted() {
    let rules = rules_dir(RULES);
    let engine = EngineProcess::start_with(&["--rules", &rules.path().display().to_string()]);
    let admin = engine.admin.to_string();
    send(&engine, 10, 300, 4);
    // All of it is in the span once the second has ended.
    let frame = (0..600).find_map(|_| {
        let output = top(&admin);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let frame = text(&output.stdout);
        let line = |name: &str| frame.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
        let sums = ["approve", "challenge", "decline", "not screened"].map(|name| {
            let cells: Vec<String> =
                line(name).split('│').nth(1)?.split_whitespace().map(str::to_owned).collect();
            cells.last()?.parse::<u64>().ok()
        });
        if sums == [Some(270), Some(0), Some(30), Some(4)] {
            return Some(frame);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        None
    });
    let frame = frame.unwrap_or_else(|| panic!("in vain: {}", text(&top(&admin).stdout)));
    assert_eq!(frame.lines().count(), 24);
    assert!(frame.lines().all(|line| line.chars().count() <= 80), "{frame}");
    for words in ["sparr dev · engine 1", "SCREENING", "no other engines", "rule set", &admin] {
        assert!(frame.contains(words), "{words}: {frame}");
    }
    // An alarm of the page is a line here.
    std::fs::write(rules.path().join("broken.yaml"), "rules:\n  - id: x\n    when: amount_minr > 1\n")
        .expect("written");
    assert_eq!(engine.http("POST", "/-/reload").0, 422);
    assert!(text(&top(&admin).stdout).contains("load refused"));
    engine.kill();
    let gone = top(&admin);
    assert_eq!((gone.status.code(), text(&gone.stdout)), (Some(2), String::new()));
    assert!(text(&gone.stderr).contains(&format!("no answer from the admin port {admin}")), "{gone:?}");
}

#[test]
fn top_without_a_terminal_and_with_another_server_says_so() {
    let output = sparr().arg("top").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--once"), "{output:?}");
}

#[test]
fn what_config_show_prints_is_a_configuration_and_names_where_it_comes_from() {
    let folder = tempfile::tempdir().expect("folder");
    let secret = folder.path().join("secret.key");
    let words = format!("BEGIN PRIVATE KEY {TOLVAN}");
    std::fs::write(&secret, &words).expect("written");
    let file = folder.path().join("engine.toml");
    let secret = secret.display().to_string();
    std::fs::write(
        &file,
        format!(
            "member = \"bank-1\"\nactivation = \"approve\"\nverify_unavailable = \"hold\"\nhoney_numbers = {secret:?}\n\
             [tls]\ncertificate = \"c.pem\"\nkey = {secret:?}\nclient_authorities = \"a.pem\"\n[alerts]\nband_factor = 9\n"
        ),
    )
    .expect("written");
    let file = file.display().to_string();
    let show = |more: &[&str]| {
        let mut command = sparr();
        command.args(["config", "show", "--config", &file]).args(more);
        command.env("SPARR_ADMIN", "127.0.0.1:9").env_remove("SPARR_DATA_DIR").output().expect("it runs")
    };
    let shown = show(&["--workers", "3"]);
    let printed = text(&shown.stdout);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    for (key, origin) in [
        ("member = \"bank-1\"", format!("{file}, line 1")),
        ("workers = 3", "argument, --workers".to_owned()),
        ("admin = \"127.0.0.1:9\"", "environment, SPARR_ADMIN".to_owned()),
        ("drain_seconds = 5", "default".to_owned()),
        ("band_factor = 9", format!("{file}, line 10")),
        ("key = ", "; its content is not shown".to_owned()),
        ("honey_numbers = ", "; its content is not shown".to_owned()),
    ] {
        let line =
            printed.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {printed}"));
        assert!(line.ends_with(&origin), "{line}");
    }
    assert!(!printed.contains("PRIVATE") && !printed.contains(TOLVAN));
    let json = text(&show(&["--json"]).stdout);
    assert!(!json.contains("PRIVATE"));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let of =
        |key: &str| json.as_array().expect("an array").iter().find(|one| one["key"] == key).expect("shown");
    assert_eq!((&of("tls.key")["names_secret"], &of("tls.key")["origin"]["line"]), (&true.into(), &7.into()));
    assert_eq!(of("alerts.window_seconds")["origin"], serde_json::json!({"from": "default"}));
    // What is printed is read again as what it was.
    let again = folder.path().join("again.toml");
    std::fs::write(&again, &printed).expect("written");
    let again = sparr().args(["config", "show", "--json", "--config"]).arg(&again).output().expect("it runs");
    let again: serde_json::Value = serde_json::from_str(&text(&again.stdout)).expect("JSON");
    let values = |all: &serde_json::Value| {
        let all = all.as_array().expect("an array").iter();
        // In the order of their names: tables of kinds keep the file's.
        all.map(|one| (one["key"].to_string(), one["value"].to_string()))
            .filter(|(key, _)| !key.contains("workers") && !key.contains("admin"))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(values(&again), values(&json));
    // What would not start is not shown, and everything that is wrong is said; never the values of a broken line.
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, "clock = \"sun\"\n[exchange]\nnats = [\"nats://user:hunter2@a:1\"]\n")
        .expect("written");
    let refused = sparr().args(["config", "show", "--config"]).arg(&broken).output().expect("it runs");
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said.contains("clock: \"sun\"") && said.contains("exchange.nats") && !said.contains("hunter2"),
        "{said}"
    );
}
