//! A backtest finds the same, byte for byte, on however many threads it runs.

use crate::backtest::{backtest, shown};
use crate::support::{of_tier, rules_dir, shipped_rules, sparr, text};
use serde_json::Value;
use sparr_protocol::testing::test_data;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

/// Every measure, and one that reads what was decided before: a row that is screened too early is answered otherwise.
const RULES: &str = "\
rules:
  - id: busy
    when: velocity(card, \"24h\").count >= 4 || velocity(device, \"1h\").count >= 2
    then: decline
    reason: velocity_card
  - id: again
    when: velocity(card, \"7d\").declined >= 2 || velocity(device, \"7d\").declined >= 2
    then: challenge
    reason: velocity_card
  - id: spread
    when: velocity(ip, \"1h\").distinct(device) >= 2 || velocity(card, \"24h\").distinct(terminal) >= 4
    review: after
    reason: velocity_card
  - id: large
    when: velocity(card, \"24h\").sum > 60000 && velocity(card, \"24h\").max > 20000
    then: challenge
    reason: velocity_card
  - id: new
    when: first_seen(terminal, \"2d\") < duration(\"1h\") || first_seen(email, \"2d\") < duration(\"1m\")
    score: 10
    reason: velocity_card
";

/// The first rows of a file of the given data, unpacked.
fn rows(folder: &Path, name: &str, most: u64) -> Option<PathBuf> {
    let unproven = "that a backtest does not depend on its threads, on real rows";
    let packed = test_data(&format!("transactions/{name}.csv.zst"), unproven)?;
    let file = fs::File::open(packed).expect("there");
    let lines = BufReader::new(zstd::Decoder::new(file).expect("packed")).lines();
    let out = folder.join(format!("{name}.csv"));
    let mut writer = std::io::BufWriter::new(fs::File::create(&out).expect("made"));
    for line in lines.take(most as usize + 1) {
        writeln!(writer, "{}", line.expect("text")).expect("written");
    }
    writer.into_inner().expect("written");
    Some(out)
}

/// All that a run leaves behind: JSON without its speed, page, answers.
fn run(folder: &Path, rules: &str, data: &Path, map: &Path, threads: &str) -> (String, String, String) {
    let (page, answers) = (folder.join("page.html"), folder.join("answers.ndjson"));
    let against = shipped_rules().display().to_string();
    let mut found = backtest(&[
        "--rules",
        rules,
        "--against",
        &against,
        "--data",
        shown(data),
        "--map",
        shown(map),
        "--html",
        shown(&page),
        "--answers",
        shown(&answers),
        "--threads",
        threads,
    ]);
    assert!(found.as_object_mut().and_then(|object| object.remove("rows_per_s")).is_some());
    let read = |path: &Path| fs::read_to_string(path).expect("written");
    (found.to_string(), read(&page), read(&answers))
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = rules_dir(RULES);
    let rules = rules.path().display().to_string();
    for (name, map, most) in [
        ("fdh_2018-04-01_2018-07-15", "fdh.toml", of_tier(60_000, u64::MAX - 1)),
        ("fraud_ecommerce_device_ip", "fraud_ecommerce.toml", of_tier(30_000, u64::MAX - 1)),
    ] {
        let Some(data) = rows(folder.path(), name, most) else { continue };
        let map = shipped_rules().join("../maps").join(map);
        let one = run(folder.path(), &rules, &data, &map, "1");
        let found: Value = serde_json::from_str(&one.0).expect("JSON");
        // Neither file has all the fields, so not every rule can hit; without hits there would be nothing to compare.
        let rules_of = found["rules"].as_array().expect("rules").iter();
        let hit: Vec<&Value> = rules_of.filter(|rule| rule["hits"].as_u64() > Some(0)).collect();
        assert!(hit.len() >= 2 && hit.iter().any(|rule| rule["id"] == "again"), "{name}: {hit:?}");
        assert_eq!(one.2.lines().count() as u64, found["rows"].as_u64().expect("rows"));
        for threads in ["2", "3", "8"] {
            let many = run(folder.path(), &rules, &data, &map, threads);
            assert!(one == many, "{name} with {threads} threads");
        }
        // The negative control: the last rows first, and something else is found.
        let text = fs::read_to_string(&data).expect("there");
        let (header, rest) = text.split_once('\n').expect("a header");
        let mut lines: Vec<&str> = rest.lines().collect();
        let half = lines.len() / 2;
        lines.rotate_left(half);
        let turned = folder.path().join("turned.csv");
        fs::write(&turned, format!("{header}\n{}\n", lines.join("\n"))).expect("written");
        assert_ne!(run(folder.path(), &rules, &turned, &map, "2").0, one.0, "{name} in another order");
    }
}

const MAP: &str = "[columns]\nevent_time = \"when\"\namount = \"sum\"\ncard_token = \"card\"\n\
    [defaults]\nkind = \"card_payment\"\ncurrency = \"SEK\"\n";

/// What is wrong with a file is the first thing that is wrong, however many threads look at it; and a file as dense as a busy
/// gateway's minute is screened to its last row.
#[test]
fn the_first_bad_row_is_named_and_a_dense_file_is_screened_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("map.toml"), MAP).expect("written");
    let rules = rules_dir(RULES);
    let row = |number: u64| {
        format!("2026-03-01T10:00:{:02}.{:03}Z,1.00,c{number}\n", number / 8_000, number / 8 % 1_000)
    };
    let dense: String = (0..80_000).map(row).collect();
    fs::write(path("dense.csv"), format!("when,sum,card\n{dense}")).expect("written");
    let bad = |broken: &[u64]| -> String {
        let row = |number| if broken.contains(&number) { "never,1.00,c\n".to_owned() } else { row(number) };
        format!("when,sum,card\n{}", (0..20_000).map(row).collect::<String>())
    };
    fs::write(path("bad.csv"), bad(&[9_000, 9_700, 15_000])).expect("written");
    let arguments = |data: &str| {
        let (data, map) = (path(data).display().to_string(), path("map.toml").display().to_string());
        let rules = rules.path().display().to_string();
        ["--rules", &rules, "--data", &data, "--map", &map, "--threads", "4"].map(str::to_owned)
    };
    let dense = arguments("dense.csv");
    let found = backtest(&dense.each_ref().map(String::as_str));
    assert_eq!((&found["rows"], &found["not_screened"]), (&80_000.into(), &serde_json::json!({})));
    for _ in 0..5 {
        let output = sparr().arg("backtest").args(arguments("bad.csv")).output().expect("it runs");
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
        assert!(text(&output.stderr).contains("line 9002, when"), "{}", text(&output.stderr));
    }
}
