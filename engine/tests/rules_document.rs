//! `config/RULES.md` is true: its tables are made from the code, and everything it shows is loaded and run.
//!
//! `SPARR_BLESS=1 cargo test --test rules_document` writes the tables anew.

use sparr_engine::facts::schema::{CodeDomain, FIELDS, Read};
use sparr_engine::limits::{
    EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, PATTERN_BYTES_MAX, READINGS_MAX, RULE_COST_MAX, RULES_MAX,
};
use sparr_engine::request::KeyName;
use sparr_engine::rules::{Code, Diagnostic, SourceFile, Sources, load, table};
use sparr_engine::trial::Trial;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config")
}

fn read(path: &Path) -> SourceFile {
    let text = std::fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    SourceFile { name: name.to_owned(), text }
}

fn folder(path: &Path, extensions: &[&str]) -> Vec<SourceFile> {
    let entries = std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("readable").path());
    let mut paths: Vec<_> = entries
        .filter(|path| {
            path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known))
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn shipped() -> Sources {
    Sources {
        rules: folder(&config().join("rules"), &["yaml"]),
        lists: folder(&config().join("rules/lists"), &["txt", "csv"]),
        reasons: read(&config().join("reasons.toml")),
    }
}

fn said(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    diagnostics.iter().map(|diagnostic| diagnostic.render_plain(sources)).collect()
}

#[test]
fn the_shipped_rules_load_without_a_finding() {
    let sources = shipped();
    let loaded = load(&sources);
    assert_eq!(said(&loaded.diagnostics, &sources), "");
    let set = loaded.set.expect("no finding");
    assert!(set.rules().len() >= 20, "{}", set.rules().len());
    let reasons: Vec<_> = set.rules().iter().map(|rule| rule.reason).collect();
    for reason in set.reasons().iter() {
        let own = sparr_engine::rules::BUILT_IN
            .iter()
            .map(|(code, _)| *code)
            .chain([sparr_engine::sandbox::SANDBOX]);
        let built_in = own.into_iter().any(|code| code == reason.code);
        assert!(built_in || reasons.contains(&reason.code), "no rule gives the reason {}", reason.name);
    }
}

/// The values of an enumeration, or what they are where there are many.
fn values(domain: &CodeDomain) -> String {
    let names = (domain.names)();
    match (names.len(), domain.name) {
        (0..=16, _) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" "),
        (_, "country") => "two letters of ISO 3166: `SE`".to_owned(),
        (_, "currency") => "three letters of ISO 4217: `SEK`".to_owned(),
        (_, other) => panic!("say what {other} is written like"),
    }
}

fn field_table() -> String {
    let mut table = String::from("| field | value | meaning |\n|---|---|---|\n");
    for field in FIELDS {
        let value = match field.read {
            Read::Bool(_) => "`true` or `false`".to_owned(),
            Read::Int(_) => "whole number".to_owned(),
            Read::Money(_) => "amount".to_owned(),
            Read::Text(_) => "text".to_owned(),
            Read::Opaque(_) => "text, never shown".to_owned(),
            Read::Code(domain, _) => values(domain),
            Read::Ip(_) => "address, only in `cidrs`".to_owned(),
            Read::Time(_) => "point in time".to_owned(),
            Read::Presence(_) => "only `has(…)`".to_owned(),
        };
        let _ = writeln!(table, "| `{}` | {value} | {} |", field.name, field.meaning);
    }
    table
}

fn key_table() -> String {
    let keys: Vec<String> = KeyName::ALL.iter().map(|key| format!("`{}`", key.name())).collect();
    keys.join(" ") + "\n"
}

fn code_table() -> String {
    let mut table = String::from("| code | finding |\n|---|---|\n");
    for code in Code::ALL {
        let _ = writeln!(table, "| {} | {} |", code.text(), code.title());
    }
    table
}

fn bounds() -> String {
    format!(
        "A condition has at most {EXPRESSION_BYTES_MAX} bytes and {EXPRESSION_DEPTH_MAX} levels; a rule asks at most \
         {RULE_COST_MAX} questions; a set has\nat most {RULES_MAX} rules and {READINGS_MAX} different windows. A pattern has \
         at most {PATTERN_BYTES_MAX} bytes.\n"
    )
}

#[test]
fn the_tables_are_those_of_the_code() {
    let path = config().join("RULES.md");
    let mut document = read(&path).text;
    let before = document.clone();
    for (name, table) in
        [("fields", field_table()), ("keys", key_table()), ("codes", code_table()), ("bounds", bounds())]
    {
        let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
        let start = document.find(&open).unwrap_or_else(|| panic!("no {open}")) + open.len();
        let end = start + document[start..].find(&close).unwrap_or_else(|| panic!("no {close}"));
        document.replace_range(start..end, &table);
    }
    if std::env::var_os("SPARR_BLESS").is_some() {
        std::fs::write(path, document).expect("writable");
    } else {
        assert_eq!(before, document, "SPARR_BLESS=1 writes the tables anew");
    }
}

/// The code blocks of a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    document
        .split(&open)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_rule_that_is_shown_loads_and_agrees_with_its_examples() {
    let document = read(&config().join("RULES.md")).text;
    let shown = blocks(&document, "yaml");
    assert!(shown.len() >= 10, "{}", shown.len());
    for (at, text) in shown.iter().enumerate() {
        if text.starts_with("tests:") {
            let file = SourceFile { name: format!("block {}", at + 1), text: text.clone() };
            let tests = Sources { rules: vec![file], ..shipped() };
            let (tables, mut findings) = table::read(&tests);
            for table in &tables {
                Trial::new(load(&shipped()).set.expect("shipped")).play(table, &mut findings);
            }
            assert_eq!(said(&findings, &tests), "", "{text}");
            continue;
        }
        let mut rules = vec![SourceFile { name: format!("block {}", at + 1), text: text.clone() }];
        if !text.contains("rules:") {
            rules.push(read(&config().join("rules/shops.yaml")));
        }
        let sources = Sources { rules, ..shipped() };
        let mut diagnostics = load(&sources).diagnostics;
        diagnostics.retain(|finding| finding.code != Code::UnusedList);
        assert_eq!(said(&diagnostics, &sources), "", "{text}");
    }
}

#[test]
fn every_finding_that_is_shown_is_said_like_that() {
    let agreed = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics"), &["txt"]);
    let document = read(&config().join("RULES.md")).text;
    for block in blocks(&document, "text") {
        assert!(agreed.iter().any(|file| file.text.contains(&block)), "{block}");
    }
}

#[test]
fn every_condition_that_is_shown_is_one() {
    let document = read(&config().join("RULES.md")).text;
    let mut conditions = 0;
    for block in blocks(&document, "cel") {
        for line in
            block.lines().filter(|line| !line.trim_start().starts_with("//") && !line.trim().is_empty())
        {
            conditions += 1;
            let text = format!(
                "rules:\n  - id: shown\n    description: d\n    owner: o\n    mode: enforce\n    when: |\n      {line}\n    \
                 then: challenge\n    reason: velocity_card\n    examples: []\n"
            );
            let sources = Sources { rules: vec![SourceFile { name: "shown".into(), text }], ..shipped() };
            let loaded = load(&sources);
            assert!(loaded.set.is_some(), "{}", said(&loaded.diagnostics, &sources));
        }
    }
    assert!(conditions >= 30, "{conditions}");
}

/// Each rule of the collection is written in the cookbook, or listed with the reason why it cannot be.
#[test]
fn the_cookbook_accounts_for_every_rule_that_others_wrote() {
    let unproven = "that the cookbook covers the collected rules";
    let Some(path) = sparr_protocol::testing::test_data("rules/fraud_rules.jsonl", unproven) else { return };
    let document = read(&config().join("RULES.md")).text;
    let written: String = blocks(&document, "yaml").concat();
    let (_, table) = document.split_once("### What cannot be written").expect("a table");
    let table = table.split("\n## ").next().unwrap_or_default();
    let mut expressed = 0;
    for line in std::fs::read_to_string(path).expect("readable").lines() {
        let rule: serde_json::Value = serde_json::from_str(line).expect("an object");
        let id = rule["id"].as_str().expect("an id");
        let named =
            |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == id);
        let shown = written.lines().any(|line| line.trim_start().starts_with("# ") && named(line));
        let bands = id == "scl-07";
        assert!(
            shown || bands || named(table),
            "{id}: neither in the cookbook nor among what cannot be written"
        );
        assert!(!(shown && named(table)), "{id}: both");
        expressed += usize::from(shown || bands);
    }
    assert!(expressed >= 41, "{expressed}");
}
