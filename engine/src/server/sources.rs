//! Rule files from a folder, or those that this binary was built with.

use super::config::RulesFrom;
use super::shipped;
use crate::limits::{LIST_FILE_BYTES_MAX, RULE_FILE_BYTES_MAX};
use crate::rules::{SourceFile, Sources};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Why rule files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// A file or the folder cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Neither a file nor a link to one: a pipe would make the reader wait for ever.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// Larger than such a file may be.
    #[error("{}: {bytes} bytes; the largest is {max}", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The largest size.
        max: usize,
    },
    /// Written to while it was read: what was read may be half of each.
    #[error("{}: changed while it was read", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// Not UTF-8.
    #[error("{}: not UTF-8", path.display())]
    NotText {
        /// Which.
        path: PathBuf,
    },
    /// There is no rule file.
    #[error("{}: no rule file (*.yaml) in it", dir.display())]
    Empty {
        /// Which folder.
        dir: PathBuf,
    },
}

/// Reads the sources.
pub fn read(from: &RulesFrom) -> Result<Sources, SourcesError> {
    match from {
        RulesFrom::Dir(dir) => read_dir(dir),
        RulesFrom::Shipped => Ok(shipped::sources()),
    }
}

/// Reads `*.yaml` and `*.yml`, `lists/*.txt` and `lists/*.csv`, and `reasons.toml` from the folder or beside it.
/// Tests of rules (`*.test.yaml`) are no rules.
pub fn read_dir(dir: &Path) -> Result<Sources, SourcesError> {
    let rules = files(dir, &["yaml", "yml"], RULE_FILE_BYTES_MAX, dir, false)?;
    if rules.is_empty() {
        return Err(SourcesError::Empty { dir: dir.to_owned() });
    }
    let lists_dir = dir.join("lists");
    let lists = if lists_dir.is_dir() {
        files(&lists_dir, &["txt", "csv"], LIST_FILE_BYTES_MAX, dir, false)?
    } else {
        Vec::new()
    };
    let beside = dir.parent().map(|parent| parent.join("reasons.toml"));
    let reasons = [Some(dir.join("reasons.toml")), beside].into_iter().flatten().find(|path| path.is_file());
    let reasons = match reasons {
        Some(path) => {
            SourceFile { name: path.display().to_string(), text: read_text(&path, RULE_FILE_BYTES_MAX)? }
        }
        None => shipped::reasons(),
    };
    Ok(Sources { rules, lists, reasons })
}

/// Reads the tests of rules, `*.test.yaml`, of the folder and of its folder `tests`.
pub fn read_tests(dir: &Path) -> Result<Sources, SourcesError> {
    let mut rules = files(dir, &["yaml", "yml"], RULE_FILE_BYTES_MAX, dir, true)?;
    let inner = dir.join("tests");
    if inner.is_dir() {
        rules.extend(files(&inner, &["yaml", "yml"], RULE_FILE_BYTES_MAX, &inner, true)?);
    }
    Ok(Sources { rules, lists: Vec::new(), reasons: shipped::reasons() })
}

fn files(
    dir: &Path,
    extensions: &[&str],
    bytes_max: usize,
    root: &Path,
    tests: bool,
) -> Result<Vec<SourceFile>, SourcesError> {
    let failed = |error| SourcesError::Io { path: dir.to_owned(), error };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let wanted = path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e));
        if wanted && !name.starts_with('.') && name.contains(".test.") == tests {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = read_text(&path, bytes_max)?;
        let shown = if dir == root { path.display().to_string() } else { list_name(&path, root) };
        Ok(SourceFile { name: shown, text })
    };
    paths.into_iter().map(read).collect()
}

/// Lists are shown by their place in the rule folder: their names are how rules call them.
fn list_name(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn read_text(path: &Path, bytes_max: usize) -> Result<String, SourcesError> {
    let failed = |error| SourcesError::Io { path: path.to_owned(), error };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(SourcesError::NotAFile { path: path.to_owned() });
    }
    if metadata.len() > bytes_max as u64 {
        return Err(SourcesError::TooLarge { path: path.to_owned(), bytes: metadata.len(), max: bytes_max });
    }
    let file = fs::File::open(path).map_err(failed)?;
    let before = file.metadata().map_err(failed)?;
    if !before.is_file() {
        return Err(SourcesError::NotAFile { path: path.to_owned() });
    }
    let mut bytes = Vec::with_capacity(before.len().min(bytes_max as u64) as usize);
    (&file).take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let after = file.metadata().map_err(failed)?;
    let written = before.len() != after.len() || before.modified().ok() != after.modified().ok();
    if written || bytes.len() as u64 != after.len() {
        return Err(SourcesError::Changed { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|_| SourcesError::NotText { path: path.to_owned() })
}
