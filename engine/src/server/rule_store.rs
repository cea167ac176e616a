//! Second copies of rule sets, and the history of which one decided when.
//!
//! A set that was staged or made active is kept whole under its digest, with a checksum: a start finds the last good one
//! though the folder of rules is broken, and a rollback needs no files but these.

use crate::rules::{SourceFile, Sources};
use serde_json::{Value, json};
use sparr_protocol::ids::RuleSetDigest;
use sparr_protocol::time::Timestamp;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// First word of a kept set's first line; a checksum follows.
const FORM: &str = "sparr-rule-set-1";

/// Sets that are kept beside the ones in the last entries of the history.
const KEPT: usize = 32;

/// Where copies and history lie.
pub(super) struct RuleStore {
    dir: PathBuf,
    /// How long a set is kept after another one has replaced it: answers of that time are run again with it.
    kept_for_ms: i64,
}

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When.
    pub(super) at: Timestamp,
    /// Which set.
    pub(super) digest: String,
    /// How many rules it has.
    pub(super) rules: u64,
    /// What was done: `staged`, or why it became active.
    pub(super) how: String,
    /// Who asked, where that was said.
    pub(super) by: String,
}

impl Entry {
    /// As one line of the file and of `sparr rules history`.
    pub(super) fn to_json(&self) -> Value {
        json!({"at": self.at.to_string(), "digest": self.digest, "rules": self.rules, "how": self.how, "by": self.by})
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        Some(Self {
            at: Timestamp::parse(&text("at")?)?,
            digest: text("digest")?,
            rules: value.get("rules")?.as_u64()?,
            how: text("how")?,
            by: text("by")?,
        })
    }

    /// Whether the set began to decide then.
    pub(super) fn activated(&self) -> bool {
        self.how != "staged"
    }
}

impl RuleStore {
    /// The store of a data folder; sets that decided in the last so many days are kept.
    pub(super) fn open(data_dir: &Path, kept_for_days: u32) -> io::Result<Self> {
        let dir = data_dir.join("rule-sets");
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, kept_for_ms: i64::from(kept_for_days).saturating_mul(86_400_000) })
    }

    fn file(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}.set"))
    }

    /// Keeps a set, durably.
    pub(super) fn keep(&self, digest: RuleSetDigest, sources: &Sources) -> io::Result<()> {
        // The rules that are off now belong to the digest: without them the same files are another set.
        let killed = self.killed();
        let file = |file: &SourceFile| json!({"name": file.name, "text": file.text});
        let files = |files: &[SourceFile]| files.iter().map(file).collect::<Vec<_>>();
        let body = json!({
            "rules": files(&sources.rules), "lists": files(&sources.lists), "reasons": file(&sources.reasons), "killed": killed
        })
        .to_string();
        let path = self.file(&digest.to_string());
        let unfinished = path.with_extension("new");
        let mut out = fs::File::create(&unfinished)?;
        write!(out, "{FORM} {}\n{body}", blake3::hash(body.as_bytes()).to_hex())?;
        out.sync_all()?;
        fs::rename(&unfinished, &path)?;
        fs::File::open(&self.dir)?.sync_all()
    }

    /// A kept set; none where it is not there, or not whole.
    pub(super) fn read(&self, digest: &str) -> Option<Sources> {
        self.read_with_killed(digest).map(|(sources, _)| sources)
    }

    /// A kept set, and the rules that were switched off in it.
    pub(super) fn read_with_killed(&self, digest: &str) -> Option<(Sources, BTreeSet<String>)> {
        let name = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let text = fs::read_to_string(self.file(name.then_some(digest)?)).ok()?;
        let (head, body) = text.split_once('\n')?;
        let whole = format!("{FORM} {}", blake3::hash(body.as_bytes()).to_hex());
        let body: Value = serde_json::from_str(Some(body).filter(|_| head == whole)?).ok()?;
        let file = |value: &Value| {
            let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
            Some(SourceFile { name: text("name")?, text: text("text")? })
        };
        let files = |key: &str| body.get(key)?.as_array()?.iter().map(file).collect::<Option<Vec<_>>>();
        let killed = body.get("killed").cloned().unwrap_or_else(|| json!([]));
        let killed = serde_json::from_value(killed).ok()?;
        let (rules, lists, reasons) = (files("rules")?, files("lists")?, file(body.get("reasons")?)?);
        Some((Sources { rules, lists, reasons }, killed))
    }

    /// Adds to the history, durably, and forgets copies that no recent entry names.
    pub(super) fn note(&self, entry: &Entry) -> io::Result<()> {
        let mut out =
            fs::OpenOptions::new().create(true).append(true).open(self.dir.join("history.jsonl"))?;
        writeln!(out, "{}", entry.to_json())?;
        out.sync_all()?;
        let recent = self.still_needed(entry.at);
        for file in fs::read_dir(&self.dir)?.flatten() {
            let path = file.path();
            let digest = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|it| it == "set") && !recent.iter().any(|known| known == digest) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Digests of the last sets of the history, and of those that answers which are kept may name.
    fn still_needed(&self, now: Timestamp) -> Vec<String> {
        let mut needed = Vec::new();
        // A set decides until the next one is activated.
        let mut replaced_at = now;
        for (at, entry) in self.history().into_iter().rev().enumerate() {
            if at < KEPT || now.ms_since(replaced_at) <= self.kept_for_ms {
                if entry.activated() {
                    replaced_at = entry.at;
                }
                needed.push(entry.digest);
            }
        }
        needed
    }

    /// The rules that were switched off by hand: they stay off across reloads and restarts.
    pub(super) fn killed(&self) -> BTreeSet<String> {
        let text = fs::read_to_string(self.dir.join("killed.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Keeps them, durably.
    pub(super) fn keep_killed(&self, killed: &BTreeSet<String>) -> io::Result<()> {
        let unfinished = self.dir.join("killed.new");
        let mut out = fs::File::create(&unfinished)?;
        write!(out, "{}", json!(killed))?;
        out.sync_all()?;
        fs::rename(&unfinished, self.dir.join("killed.json"))?;
        fs::File::open(&self.dir)?.sync_all()
    }

    /// The history, oldest first. A line that was cut off is left out.
    pub(super) fn history(&self) -> Vec<Entry> {
        let text = fs::read_to_string(self.dir.join("history.jsonl")).unwrap_or_default();
        let entry = |line: &str| Entry::from_json(&serde_json::from_str(line).ok()?);
        text.lines().filter_map(entry).collect()
    }
}
