//! The reasons that answers give: number, name, rank and sentences, from `reasons.toml`.
//!
//! The number is identity and is forever; the order of the file is precedence.

use super::diagnostic::{Code, Diagnostic};
use super::sources::{FileId, Span};
use sparr_protocol::response::ReasonCode;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Its number: in answers and logs, forever.
    pub code: ReasonCode,
    /// Its name: in rules, JSON and metrics.
    pub name: String,
    /// What an analyst reads.
    pub analyst: String,
    /// What may be said to the customer.
    pub customer: String,
}

/// Reasons that the engine itself gives, with their numbers.
pub const BUILT_IN: [(ReasonCode, &str); 4] = [
    (ReasonCode(1), "flag_deny"),
    (ReasonCode(2), "flag_verify"),
    (ReasonCode(3), "flag_verify_unavailable"),
    (ReasonCode(10), "score"),
];

/// Every reason of a set, by precedence.
#[derive(Clone, Debug, Default)]
pub struct ReasonTable {
    by_rank: Vec<Reason>,
    /// Number and place, sorted by number.
    places: Vec<(u16, usize)>,
}

impl ReasonTable {
    fn new(by_rank: Vec<Reason>) -> Self {
        let mut places: Vec<_> =
            by_rank.iter().enumerate().map(|(place, reason)| (reason.code.0, place)).collect();
        places.sort_unstable();
        Self { by_rank, places }
    }

    /// The reasons, first by precedence.
    pub fn iter(&self) -> impl Iterator<Item = &Reason> {
        self.by_rank.iter()
    }

    /// The reason of this name.
    pub fn named(&self, name: &str) -> Option<&Reason> {
        self.by_rank.iter().find(|reason| reason.name == name)
    }

    /// The reason of this number.
    pub fn get(&self, code: ReasonCode) -> Option<&Reason> {
        self.place(code).map(|place| &self.by_rank[place])
    }

    /// The name of a number.
    pub fn name(&self, code: ReasonCode) -> Option<&str> {
        self.get(code).map(|reason| reason.name.as_str())
    }

    /// Precedence of a number: 0 comes first, and a number that is not in the table after all others.
    pub fn rank(&self, code: ReasonCode) -> u16 {
        self.place(code).and_then(|place| u16::try_from(place).ok()).unwrap_or(u16::MAX)
    }

    fn place(&self, code: ReasonCode) -> Option<usize> {
        let at = self.places.binary_search_by_key(&code.0, |(number, _)| *number).ok()?;
        Some(self.places[at].1)
    }
}

/// Whether a name belongs to the engine itself.
pub(super) fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(_, built_in)| *built_in == name)
}

/// Reads the file.
pub(super) fn read(file: FileId, text: &str, report: &mut Vec<Diagnostic>) -> ReasonTable {
    let errors = report.len();
    let (table, faults) = DeTable::parse_recoverable(text);
    for fault in faults {
        let at = Span::new(file, fault.span().unwrap_or(0..0));
        report.push(Diagnostic::new(Code::Syntax, at, format!("this is not TOML: {}", fault.message())));
    }
    let mut reader = Reader { file, report, taken: Vec::new() };
    let reasons = reader.reasons(table.get_ref());
    if reader.report.len() == errors {
        reader.miss_built_in();
    }
    ReasonTable::new(reasons)
}

/// The names of a file's reasons, by precedence; `None` where anything is wrong with it. Findings stand at `file`.
#[cfg(feature = "server")]
pub(crate) fn reason_names(file: FileId, text: &str) -> Option<Vec<String>> {
    let mut report = Vec::new();
    let table = read(file, text, &mut report);
    report.is_empty().then(|| table.iter().map(|reason| reason.name.clone()).collect())
}

struct Reader<'r> {
    file: FileId,
    report: &'r mut Vec<Diagnostic>,
    /// Numbers and names that are taken, with their places.
    taken: Vec<(u16, String, Span)>,
}

const REASON_KEYS: [&str; 4] = ["code", "name", "analyst", "customer"];

impl Reader<'_> {
    fn say(&mut self, code: Code, at: Range<usize>, message: impl Into<String>) {
        self.report.push(Diagnostic::new(code, Span::new(self.file, at), message));
    }

    fn reasons(&mut self, table: &DeTable<'_>) -> Vec<Reason> {
        for (key, _) in table.iter().filter(|(key, _)| key.get_ref() != "reason") {
            let message = format!("the reasons have no key `{}`", key.get_ref());
            self.say(Code::UnknownKey, key.span(), message);
        }
        let Some((_, value)) = table.iter().find(|(key, _)| key.get_ref() == "reason") else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.say(Code::Value, value.span(), "reasons are tables: each begins with `[[reason]]`");
            return Vec::new();
        };
        items.iter().filter_map(|item| self.reason(item)).collect()
    }

    fn reason(&mut self, item: &Spanned<DeValue<'_>>) -> Option<Reason> {
        let Some(table) = item.get_ref().as_table() else {
            self.say(Code::Value, item.span(), "a reason is a table");
            return None;
        };
        for (key, _) in table.iter().filter(|(key, _)| !REASON_KEYS.contains(&key.get_ref().as_ref())) {
            let message = format!("a reason has no key `{}`", key.get_ref());
            self.say(Code::UnknownKey, key.span(), message);
        }
        let code = self.need(item, table, "code", "a number from 1 to 65535", |value| match value {
            DeValue::Integer(number) => number.as_str().parse().ok().filter(|code| *code != 0),
            _ => None,
        });
        let name = self.need(item, table, "name", "a name of lower-case letters, digits and _", |value| {
            value.as_str().filter(|name| is_name(name)).map(str::to_owned)
        });
        let sentence =
            |value: &DeValue<'_>| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let analyst = self.need(item, table, "analyst", "a sentence", sentence);
        let customer = self.need(item, table, "customer", "a sentence", sentence);
        let (code, name) = (code?, name?);
        self.take(code, &name, table);
        Some(Reason { code: ReasonCode(code), name, analyst: analyst?, customer: customer? })
    }

    fn need<T>(
        &mut self,
        item: &Spanned<DeValue<'_>>,
        table: &DeTable<'_>,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let Some((_, value)) = table.iter().find(|(known, _)| known.get_ref() == key) else {
            self.say(Code::MissingKey, item.span(), format!("a reason needs a key `{key}`"));
            return None;
        };
        let parsed = parse(value.get_ref());
        if parsed.is_none() {
            self.say(Code::Value, value.span(), format!("`{key}` is {expected}"));
        }
        parsed
    }

    /// Numbers and names are each given once, and the engine's own keep theirs.
    fn take(&mut self, code: u16, name: &str, table: &DeTable<'_>) {
        let place = |key: &str| {
            let value = table.iter().find(|(known, _)| known.get_ref() == key);
            Span::new(self.file, value.map_or(0..0, |(_, value)| value.span()))
        };
        let (code_at, name_at) = (place("code"), place("name"));
        for (taken_code, taken_name, at) in &self.taken {
            if *taken_code == code {
                let message = format!("the number {code} is taken by `{taken_name}`");
                self.report
                    .push(Diagnostic::new(Code::DuplicateId, code_at, message).also(*at, "taken here"));
            }
            if taken_name == name {
                let message = format!("the name `{name}` is taken");
                self.report
                    .push(Diagnostic::new(Code::DuplicateId, name_at, message).also(*at, "taken here"));
            }
        }
        for (built_in, its_name) in BUILT_IN {
            if (built_in.0 == code) != (its_name == name) {
                let message = format!("the engine's own reason `{its_name}` has the number {}", built_in.0);
                self.report.push(Diagnostic::new(Code::Reason, code_at, message));
            }
        }
        self.taken.push((code, name.to_owned(), name_at));
    }

    fn miss_built_in(&mut self) {
        for (code, name) in BUILT_IN {
            if !self.taken.iter().any(|(taken, ..)| *taken == code.0) {
                let message = format!("the engine's own reason `{name}` ({}) is missing", code.0);
                self.say(Code::Reason, 0..0, message);
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(letter)
}
