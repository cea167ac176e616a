//! The repository checks itself: layering, file length, documents that point somewhere, words that do not belong.

use std::fs;
use std::path::{Path, PathBuf};

/// From which on a file asks for a split. One that is longer needs a line here with its reason.
const LINES_MAX: usize = 400;
const LONGER: &[(&str, &str)] = &[
    ("protocol/src/wire_tests.rs", "one golden request with every field is long"),
    ("protocol/src/response.rs", "the answer's vocabulary is one table after the other"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

fn files(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() {
            if name != "target" && name != ".git" && name != "sparr-data" {
                files(&path, extension, found);
            }
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
}

/// Every file with an extension, by its place in the repository, with its text.
fn texts(extension: &str) -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    files(&root, extension, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("inside").display().to_string();
            (name, fs::read_to_string(&path).expect("text"))
        })
        .collect()
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut findings = Vec::new();
    for (name, text) in texts("rs") {
        let lines = text.lines().count();
        let excused = LONGER.iter().any(|(known, _)| *known == name);
        if lines > LINES_MAX && !excused {
            findings.push(format!("{name}: {lines} lines"));
        }
        if excused && lines <= LINES_MAX {
            findings.push(format!("{name}: no longer needs its excuse"));
        }
        if !text.starts_with("//!") {
            findings.push(format!("{name}: does not begin with //!"));
        }
        if let Some(long) = text.lines().position(|line| line.chars().count() > 200) {
            findings.push(format!("{name}:{}: over 200 characters", long + 1));
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// What only the shell may name: everything else gets bytes, times and values as arguments.
const OF_THE_SHELL: &[&str] = &[
    "tokio",
    "quinn",
    "redb",
    "axum",
    "std::fs",
    "std::net",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
];

/// Which modules of the engine are the shell.
fn is_shell(name: &str) -> bool {
    ["server/", "cli/", "main.rs"].iter().any(|part| name.starts_with(&format!("engine/src/{part}")))
}

#[test]
fn nothing_outside_the_shell_names_sockets_files_threads_or_clocks() {
    let mut findings = Vec::new();
    for (name, text) in texts("rs") {
        let core = name.starts_with("engine/src/") && !is_shell(&name) && !name.ends_with("_tests.rs");
        let wire = name.starts_with("protocol/src/")
            && !name.contains("/client/")
            && !name.contains("testing")
            && !name.contains("tests");
        if !core && !wire {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (at, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            findings.extend(
                OF_THE_SHELL
                    .iter()
                    .filter(|word| names(line, word))
                    .map(|word| format!("{name}:{}: {word}", at + 1)),
            );
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// Whether a line names a path, as a word of its own.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let part_of_a_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !part_of_a_word(before) && !part_of_a_word(after)
    })
}

/// Who may know whom inside the engine's core: a module, and the modules that it may not name.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "request",
        &[
            "flags",
            "indicators",
            "members",
            "velocity",
            "facts",
            "rules",
            "decision",
            "state",
            "screen",
            "journal",
        ],
    ),
    (
        "flags",
        &["indicators", "members", "velocity", "facts", "rules", "decision", "state", "screen", "journal"],
    ),
    (
        "indicators",
        &["flags", "members", "velocity", "facts", "rules", "decision", "state", "screen", "journal"],
    ),
    (
        "members",
        &["flags", "indicators", "velocity", "facts", "rules", "decision", "state", "screen", "journal"],
    ),
    (
        "velocity",
        &["flags", "indicators", "members", "facts", "rules", "decision", "state", "screen", "journal"],
    ),
    ("facts", &["rules", "decision", "state", "screen", "journal"]),
    ("rules", &["decision", "state", "screen", "journal"]),
    ("decision", &["state", "screen", "journal"]),
    ("journal", &["flags", "velocity", "facts", "rules", "decision", "state", "screen"]),
];

#[test]
fn data_flows_one_way() {
    let mut findings = Vec::new();
    for (name, text) in texts("rs") {
        for (module, forbidden) in FORBIDDEN {
            let inside = name.starts_with(&format!("engine/src/{module}/"))
                || name == format!("engine/src/{module}.rs");
            if !inside || name.contains("test") {
                continue;
            }
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for (at, line) in
                code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
            {
                findings.extend(
                    forbidden
                        .iter()
                        .filter(|other| names(line, &format!("crate::{other}")))
                        .map(|other| format!("{name}:{}: {module} must not know {other}", at + 1)),
                );
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn documents_point_at_files_that_are_there() {
    let root = root();
    let mut findings = Vec::new();
    for (name, text) in texts("md") {
        let folder = root.join(&name).parent().expect("a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") && !folder.join(path).exists() {
                findings.push(format!("{name}: {target}"));
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn nothing_unfinished_is_left() {
    // Written in two halves, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("dbg", "!(")];
    let mut findings = Vec::new();
    for extension in ["rs", "md", "toml", "yaml"] {
        for (name, text) in texts(extension) {
            for (at, line) in text.lines().enumerate() {
                findings.extend(
                    marks
                        .iter()
                        .filter(|mark| line.contains(**mark))
                        .map(|mark| format!("{name}:{}: {mark}", at + 1)),
                );
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
