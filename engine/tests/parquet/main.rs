//! Parquet files, with the feature of that name: what comes out of the decision log is what NDJSON has, and what somebody else
//! wrote is read as the CSV that it would be.

#[path = "../whole/support.rs"]
#[allow(dead_code, reason = "shared with the tests of single engines")]
mod support;
#[path = "../operations/traffic.rs"]
mod traffic;

use parquet::basic::Type;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use support::{EngineProcess, rules_dir, seed, sparr, text};
use traffic::{RULES, send};

/// What a backtest says, but for how long it took.
fn backtest(rules: &Path, data: &Path, map: Option<&Path>) -> Result<Value, String> {
    let mut command = sparr();
    command.args(["backtest", "--json", "--rules"]).arg(rules).arg("--data").arg(data);
    if let Some(map) = map {
        command.arg("--map").arg(map);
    }
    let output = command.output().expect("it runs");
    if output.status.code() == Some(2) {
        return Err(text(&output.stderr));
    }
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}: {}", output.status, text(&output.stderr));
    let mut said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for key in ["rows_per_s", "seconds", "report"] {
        said.as_object_mut().expect("an object").remove(key);
    }
    Ok(said)
}

#[test]
fn an_export_is_the_same_in_both_forms() {
    let rules = rules_dir(RULES);
    let engine = EngineProcess::start_with(&["--rules", &rules.path().display().to_string()]);
    send(&engine, 10, 300, 5);
    assert_eq!(engine.metric_becomes("sparr_decision_log_answers_total", 305.0), 305.0);
    let folder = tempfile::tempdir().expect("folder");
    let (lines, file) = (folder.path().join("log.ndjson"), folder.path().join("log.parquet"));
    let exported = engine.sparr(&["decisions", "--export"]);
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    fs::write(&lines, &exported.stdout).expect("written");
    let path = file.display().to_string();
    let exported = engine.sparr(&["decisions", "--export", "--parquet", &path]);
    assert!(exported.status.success() && exported.stdout.is_empty(), "{}", text(&exported.stderr));
    let from_lines = backtest(rules.path(), &lines, None).expect("it runs");
    assert_eq!((&from_lines["rows"], &from_lines["outcomes"]["decline"]), (&300.into(), &30.into()));
    assert_eq!(backtest(rules.path(), &file, None).expect("it runs"), from_lines);
    let refused = engine.sparr(&["decisions", "--export", "--parquet", "/nowhere/log.parquet"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// A file as analysts' tools write it: numbers, times, text and labels as types, and a column that nobody asks for.
fn write(path: &Path, rows: i64) {
    let schema = "message rows {
        REQUIRED INT64 TX_TIME (TIMESTAMP(MICROS, true)); REQUIRED DOUBLE AMOUNT; REQUIRED BYTE_ARRAY CARD (UTF8);
        OPTIONAL INT32 MCC; REQUIRED BOOLEAN FRAUD; REQUIRED INT32 DAY (DATE);
    }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = File::create(path).expect("a file");
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::new())).expect("a writer");
    for group in 0..2 {
        let numbers: Vec<i64> = (group * rows / 2..(group + 1) * rows / 2).collect();
        let mut group = writer.next_row_group().expect("a group");
        let mut put = |kind: Type| {
            let mut column = group.next_column().expect("open").expect("one more");
            macro_rules! values {
                ($kind:ty, $of:expr, $there:expr) => {{
                    let values: Vec<<$kind as DataType>::T> = numbers.iter().map($of).collect();
                    column.typed::<$kind>().write_batch(&values, $there, None).expect("written");
                }};
            }
            match kind {
                Type::INT64 => values!(Int64Type, |n| (1_700_000_000_000 + n * 1_000) * 1_000, None),
                Type::DOUBLE => values!(DoubleType, |n| (n % 90) as f64 + 0.25, None),
                Type::BYTE_ARRAY => {
                    values!(ByteArrayType, |n| ByteArray::from(format!("card{}", n % 7).as_str()), None)
                }
                Type::INT32 => values!(Int32Type, |n| 5_000 + (n % 3) as i32, Some(&vec![1; numbers.len()])),
                Type::BOOLEAN => values!(BoolType, |n| n % 50 == 0, None),
                other => panic!("no column has the type {other}"),
            }
            column.close().expect("closed");
        };
        for kind in [Type::INT64, Type::DOUBLE, Type::BYTE_ARRAY, Type::INT32, Type::BOOLEAN, Type::INT32] {
            put(kind);
        }
        group.close().expect("closed");
    }
    writer.close().expect("closed");
}

const MAP: &str = "[columns]
event_time = \"TX_TIME\"
amount = \"AMOUNT\"
card_token = \"CARD\"
mcc = \"MCC\"
label = \"FRAUD\"
[defaults]
kind = \"card_payment\"
currency = \"EUR\"
";

const CARDS: &str = "rules:
  - id: often
    when: velocity(card, \"1m\").count > 8 && amount_minor > 2000
    then: decline
    reason: velocity_card
";

#[test]
fn typed_columns_are_read_as_the_csv_that_they_would_be() {
    let (folder, rules) = (tempfile::tempdir().expect("folder"), rules_dir(CARDS));
    let at = |name: &str| folder.path().join(name);
    write(&at("rows.parquet"), 1_000);
    let mut csv = String::from("TX_TIME,AMOUNT,CARD,MCC,FRAUD\n");
    for n in 0..1_000 {
        let (time, fraud) = (1_700_000_000_000i64 + n * 1_000, n % 50 == 0);
        csv.push_str(&format!("{time},{}.25,card{},{},{fraud}\n", n % 90, n % 7, 5_000 + n % 3));
    }
    fs::write(at("rows.csv"), csv).expect("written");
    fs::write(at("map.toml"), MAP).expect("written");
    let from = |name: &str| backtest(rules.path(), &at(name), Some(&at("map.toml")));
    let from_csv = from("rows.csv").expect("it runs");
    assert!(from_csv["rules"][0]["hits"].as_u64().is_some_and(|hits| hits > 100), "{from_csv}");
    assert!(from_csv["rules"][0]["true_positives"].as_u64().is_some_and(|hits| hits > 0), "{from_csv}");
    assert_eq!(from("rows.parquet").expect("it runs"), from_csv);
    fs::write(at("map.toml"), MAP.replace("AMOUNT", "AMUONT")).expect("written");
    let refused = from("rows.parquet").expect_err("no such column");
    assert!(refused.contains("AMUONT") && refused.contains("AMOUNT"), "{refused}");
}

/// Files that lie about themselves end in an error, or in fewer or other rows, never in a crash.
#[test]
fn a_damaged_file_is_an_error() {
    let (folder, rules) = (tempfile::tempdir().expect("folder"), rules_dir(CARDS));
    let (file, map) = (folder.path().join("rows.parquet"), folder.path().join("map.toml"));
    write(&file, 200);
    fs::write(&map, MAP).expect("written");
    let whole = fs::read(&file).expect("readable");
    let mut random = seed() | 1;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut errors = 0;
    for _ in 0..60 {
        let mut bytes = whole.clone();
        match next(3) {
            0 => bytes.truncate(next(whole.len())),
            // The end says where everything is.
            1 => bytes[whole.len() - 1 - next(400)] ^= 1 << next(8),
            _ => bytes[next(whole.len())] ^= 1 << next(8),
        }
        fs::write(&file, bytes).expect("written");
        errors += usize::from(backtest(rules.path(), &file, Some(&map)).is_err());
    }
    assert!(errors > 20, "{errors}");
    fs::write(&file, &whole).expect("written");
    assert!(backtest(rules.path(), &file, Some(&map)).is_ok());
}
