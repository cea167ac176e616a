//! Tables in TOML: every key is known, every value is checked, and every finding has its place.

use crate::rules::{Code, Diagnostic, FileId, SourceFile, Sources, Span};
use sparr_protocol::text::nearest;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Findings about a table, ready to be shown.
pub struct Findings {
    sources: Sources,
    file: FileId,
    /// What was found.
    pub report: Vec<Diagnostic>,
}

impl Findings {
    /// Nothing was found yet in a file; the reasons are those that the table may name.
    pub fn new(name: &str, text: &str, reasons: SourceFile) -> Self {
        let table = SourceFile { name: name.to_owned(), text: text.to_owned() };
        let sources = Sources { rules: vec![table], lists: Vec::new(), reasons };
        // The first file is the table: it was just put there.
        let file = sources.files().map(|(file, _)| file).next();
        let Some(file) = file else { unreachable!("a set of sources has its reasons at least") };
        Self { sources, file, report: Vec::new() }
    }

    /// Says something of a stretch of the table.
    pub(crate) fn say(
        &mut self,
        code: Code,
        at: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.report.push(Diagnostic::new(code, Span::new(self.file, at), message));
        let last = self.report.len() - 1;
        &mut self.report[last]
    }

    /// All findings as text with carets, one under the other.
    pub fn render(&self) -> String {
        let shown: Vec<_> = self.report.iter().map(|finding| finding.render_plain(&self.sources)).collect();
        shown.join("\n")
    }

    /// The names of the reasons that the table may name.
    pub(crate) fn reasons(&mut self) -> Vec<String> {
        let names = crate::rules::reason_names(self.file, &self.sources.reasons.text);
        names.unwrap_or_else(|| {
            let problem = "the reasons cannot be read: `sparr check` says why";
            self.say(Code::Reason, 0..0, problem);
            Vec::new()
        })
    }
}

/// A table under a key, and where the key stands.
pub(crate) struct Section<'t> {
    name: String,
    at: Range<usize>,
    entries: Vec<(&'t str, Range<usize>, &'t Spanned<DeValue<'t>>)>,
}

impl<'t> Section<'t> {
    /// The whole of a file.
    pub(crate) fn whole(table: &'t Spanned<DeTable<'t>>) -> Self {
        Self { name: String::new(), at: 0..0, entries: entries(table.get_ref()) }
    }

    /// Complains about keys that are not among the known ones.
    pub(crate) fn only(&self, known: &[&str], findings: &mut Findings) {
        for (key, at, _) in &self.entries {
            if !known.contains(key) {
                let place =
                    if self.name.is_empty() { "the table".to_owned() } else { format!("[{}]", self.name) };
                let near = nearest(key, known.iter().copied());
                let said = findings.say(Code::UnknownKey, at.clone(), format!("{place} has no key `{key}`"));
                said.help.extend(near.map(|near| format!("did you mean `{near}`?")));
            }
        }
    }

    fn value(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.entries.iter().find(|(known, ..)| *known == key).map(|(.., value)| *value)
    }

    /// The table under a key; an absent one is empty.
    pub(crate) fn section(&self, key: &str, findings: &mut Findings) -> Self {
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        let Some(value) = self.value(key) else {
            return Self { name, at: self.at.clone(), entries: Vec::new() };
        };
        match value.get_ref().as_table() {
            Some(table) => Self { name, at: value.span(), entries: entries(table) },
            None => {
                findings.say(Code::Value, value.span(), format!("`{key}` is a table"));
                Self { name, at: value.span(), entries: Vec::new() }
            }
        }
    }

    /// The tables of a list of tables.
    pub(crate) fn list(&self, key: &str, findings: &mut Findings) -> Vec<Self> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            findings.say(Code::Value, value.span(), format!("each begins with `[[{key}]]`"));
            return Vec::new();
        };
        let tables = items.iter().filter_map(|item| {
            let table = item.get_ref().as_table()?;
            Some(Self { name: key.to_owned(), at: item.span(), entries: entries(table) })
        });
        tables.collect()
    }

    /// A text that is needed, and what it means.
    pub(crate) fn need<T>(
        &self,
        key: &str,
        expected: &str,
        findings: &mut Findings,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if self.value(key).is_none() {
            findings.say(Code::MissingKey, self.at.clone(), format!("[{}] needs a key `{key}`", self.name));
            return None;
        }
        self.get(key, expected, findings, parse)
    }

    /// A text that may be absent.
    pub(crate) fn get<T>(
        &self,
        key: &str,
        expected: &str,
        findings: &mut Findings,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let parsed = value.get_ref().as_str().and_then(parse);
        if parsed.is_none() {
            findings.say(Code::Value, value.span(), format!("`{key}` is {expected}"));
        }
        parsed
    }

    /// Every key and its place.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'t str, Range<usize>)> + '_ {
        self.entries.iter().map(|(key, at, _)| (*key, at.clone()))
    }

    /// Every entry: key, what it means and what its value means. A slip in either is said.
    pub(crate) fn all<K, V>(
        &self,
        keys: &str,
        values: &str,
        findings: &mut Findings,
        mut key: impl FnMut(&str) -> Option<K>,
        mut value: impl FnMut(&str) -> Option<V>,
    ) -> Vec<(K, V)> {
        let mut all = Vec::new();
        for (name, at, given) in &self.entries {
            let known = key(name);
            if known.is_none() {
                findings.say(Code::UnknownKey, at.clone(), format!("`{name}` is not {keys}"));
            }
            let meant = given.get_ref().as_str().and_then(&mut value);
            if meant.is_none() {
                findings.say(Code::Value, given.span(), format!("`{name}` is {values}"));
            }
            all.extend(known.zip(meant));
        }
        all
    }
}

fn entries<'t>(table: &'t DeTable<'t>) -> Vec<(&'t str, Range<usize>, &'t Spanned<DeValue<'t>>)> {
    table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value)).collect()
}

/// Reads a file as TOML and hands it to a reader. `None` where anything was found.
pub(crate) fn read<T>(
    text: &str,
    findings: &mut Findings,
    reader: impl FnOnce(&Section<'_>, &mut Findings) -> Option<T>,
) -> Option<T> {
    let (table, faults) = DeTable::parse_recoverable(text);
    for fault in faults {
        let message = format!("this is not TOML: {}", fault.message());
        findings.say(Code::Syntax, fault.span().unwrap_or(0..0), message);
    }
    if !findings.report.is_empty() {
        return None;
    }
    reader(&Section::whole(&table), findings).filter(|_| findings.report.is_empty())
}
