//! What the rule front-end says about everything that can be wrong, word for word and caret for caret.
//!
//! Each file of `diagnostics/` holds cases, one behind each line `#### name`. What is said about them stands in the
//! `.txt` file beside it. `SPARR_BLESS=1 cargo test --test diagnostics` writes those files anew: read the difference.

use sparr_engine::rules::{Diagnostic, SourceFile, Sources, load};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: text.into() }
}

/// The lists that cases of rules can use.
fn lists(text: &str) -> Vec<SourceFile> {
    let lists = [("disposable_domains", "example.com\n"), ("tor_exits", "192.0.2.0/24\n2001:db8::/32\n")];
    // A case that misspells a list still has it; one that has nothing to do with lists is not told they are unused.
    let named = lists.iter().filter(|(name, _)| text.contains(&name[..8]));
    named.map(|(name, lines)| file(&format!("lists/{name}.txt"), lines)).collect()
}

/// The cases of a file: name and text.
fn cases(text: &str) -> Vec<(&str, &str)> {
    let mut cases = Vec::new();
    for part in text.split("#### ").skip(1) {
        let (name, body) = part.split_once('\n').unwrap_or((part, ""));
        cases.push((name, body));
    }
    assert!(!cases.is_empty());
    cases
}

/// What is said about a case of a file.
fn sources(extension: &str, name: &str, text: &str) -> Sources {
    let rule = "rules:\n  - id: user\n    description: Uses the lists\n    owner: o\n    mode: enforce\n    \
                when: email_domain in list(\"words\") || ip in cidrs(\"prefixes\") || mcc in list(\"numbers\")\n      \
                || merchant_country in list(\"countries\")\n    score: 1\n    reason: other\n    \
                examples: [no_match: {}]\n";
    let reasons = read(&folder().join("reasons.toml"));
    match extension {
        "yaml" => Sources {
            rules: vec![file("rules.yaml", text)],
            lists: lists(text),
            reasons: file("reasons.toml", &reasons),
        },
        "toml" => Sources { rules: vec![], lists: vec![], reasons: file("reasons.toml", text) },
        "list" => {
            let name = name.split(' ').next().unwrap_or_default();
            let mut lists: Vec<_> = ["words", "prefixes", "numbers", "countries"]
                .iter()
                .filter(|list| !name.contains(**list))
                .map(|list| file(&format!("lists/{list}.txt"), ""))
                .collect();
            lists.push(file(&format!("lists/{name}"), text));
            Sources { rules: vec![file("rules.yaml", rule)], lists, reasons: file("reasons.toml", &reasons) }
        }
        other => panic!("{other}"),
    }
}

fn compare(golden: &Path, said: &str) {
    if std::env::var_os("SPARR_BLESS").is_some() {
        std::fs::write(golden, said).expect("writable");
        return;
    }
    let expected = read(golden);
    for (line, (expected, said)) in expected.lines().zip(said.lines()).enumerate() {
        assert_eq!(said, expected, "{}:{}", golden.display(), line + 1);
    }
    assert_eq!(said.lines().count(), expected.lines().count(), "{}", golden.display());
}

#[test]
fn every_finding_is_said_as_it_was_agreed() {
    let mut paths: Vec<_> = std::fs::read_dir(folder())
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "reasons"))
        .filter(|path| path.extension().is_some_and(|extension| extension != "txt"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 8, "{paths:?}");
    for path in paths {
        let extension = path.extension().and_then(|extension| extension.to_str()).expect("an extension");
        let mut said = String::new();
        for (name, text) in cases(&read(&path)) {
            let sources = sources(extension, name, text);
            let loaded = load(&sources);
            let _ = writeln!(said, "#### {name}\n");
            for diagnostic in &loaded.diagnostics {
                let _ = writeln!(said, "{}", diagnostic.render_plain(&sources));
            }
            if loaded.diagnostics.is_empty() {
                said.push_str("nothing\n\n");
            }
        }
        compare(&path.with_extension("txt"), &said);
    }
}

/// Every code has a case that shows it, so that none is dead and none is unreadable.
#[test]
fn every_code_is_shown() {
    let mut shown = String::new();
    for entry in std::fs::read_dir(folder()).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            shown.push_str(&read(&path));
        }
    }
    for code in sparr_engine::rules::Code::ALL {
        // Expiry needs a clock, bounds need more text than a case should have, and tables are played (`rule_commands`).
        if !["W006", "E013", "E042", "E043"].contains(&code.text()) {
            assert!(shown.contains(&format!("[{}]", code.text())), "{} is never shown", code.text());
        }
    }
}

fn one_finding() -> (Sources, Diagnostic) {
    let rule = "rules:\n  - id: a-rule\n    description: x\n    owner: o\n    mode: enforce\n    \
                when: merchant_id == \"ö\" && amuont > 1\n    then: decline\n    reason: other\n";
    let sources = sources("yaml", "", rule);
    let mut findings = load(&sources).diagnostics;
    assert_eq!(findings.len(), 1, "{findings:?}");
    (sources, findings.remove(0))
}

#[test]
fn machines_get_json_lines() {
    let (sources, finding) = one_finding();
    assert_eq!(
        finding.render_json(&sources),
        "{\"code\":\"E025\",\"severity\":\"error\",\"message\":\"no field is called `amuont`\",\
         \"file\":\"rules.yaml\",\"line\":6,\"column\":33,\"end_line\":6,\"end_column\":39,\"label\":\"\",\
         \"related\":[],\"help\":[\"config/RULES.md has a table of all fields\"]}"
    );
}

#[test]
fn github_gets_workflow_commands() {
    let (sources, finding) = one_finding();
    assert_eq!(
        finding.render_github(&sources),
        "::error file=rules.yaml,line=6,col=33,endLine=6,endColumn=39,title=E025::\
         no field is called `amuont`%0Aconfig/RULES.md has a table of all fields"
    );
}

#[test]
fn terminals_get_colours_and_nothing_else_differs() {
    let (sources, finding) = one_finding();
    let coloured = finding.render_coloured(&sources);
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, escape)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = escape.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    assert_ne!(coloured, plain);
    assert_eq!(plain, finding.render_plain(&sources));
}
