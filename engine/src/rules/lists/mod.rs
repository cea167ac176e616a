//! Named lists: files of values that are not personal, looked up by rules.
//!
//! What a list holds is inferred from its use: texts, numbers, the names of an enumeration, or prefixes of
//! addresses. A line that does not fit a use is an error at that line. Expiry stays with the entry and is judged at
//! the time of the decision.

mod entries;
mod prefixes;

use super::diagnostic::{Code, Diagnostic};
use super::settings::end_of;
use super::sources::{FileId, SourceFile, Span};
use crate::facts::schema::CodeDomain;
use core::net::IpAddr;
use hashbrown::HashMap;
use jiff::tz::TimeZone;
use prefixes::Prefixes;
use sparr_protocol::limits::TEXT_BYTES_MAX;
use sparr_protocol::text::nearest;
use sparr_protocol::time::{Date, Timestamp};

/// A list as its file has it.
pub(super) struct RawList {
    pub(super) name: String,
    pub(super) file: FileId,
    pub(super) entries: Vec<Entry>,
}

/// One entry of a list.
pub(super) struct Entry {
    pub(super) value: Box<str>,
    /// The last day on which it counts.
    pub(super) expires: Option<Date>,
    at: Span,
}

/// What a list is used for.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Texts,
    Numbers,
    Codes(&'static CodeDomain),
    Prefixes,
}

impl Use {
    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Texts, Self::Texts)
            | (Self::Numbers, Self::Numbers)
            | (Self::Prefixes, Self::Prefixes) => true,
            (Self::Codes(one), Self::Codes(other)) => std::ptr::eq(one, other),
            (Self::Texts | Self::Numbers | Self::Codes(_) | Self::Prefixes, _) => false,
        }
    }
}

/// Place of a list, in one of its uses, in [`Lists`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ListIndex(usize);

/// All lists of a set, and the uses that its rules make of them.
pub(super) struct Library {
    raw: Vec<RawList>,
    wanted: Vec<(usize, Use)>,
}

impl Library {
    /// Reads all list files; two lists of one name are an error.
    pub(super) fn read<'a>(
        files: impl Iterator<Item = (FileId, &'a SourceFile)>,
        report: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut raw: Vec<RawList> = Vec::new();
        for (id, file) in files {
            let list = entries::read(id, file, report);
            if let Some(first) = raw.iter().find(|known| known.name == list.name) {
                let here = Span::new(id, 0..0);
                report.push(
                    Diagnostic::new(
                        Code::DuplicateId,
                        here,
                        format!("a second list is called `{}`", list.name),
                    )
                    .also(Span::new(first.file, 0..0), "the first one"),
                );
                continue;
            }
            raw.push(list);
        }
        Self { raw, wanted: Vec::new() }
    }

    /// The list of a name, in one of its uses.
    pub(super) fn want(&mut self, name: &str, wanted: Use) -> Option<ListIndex> {
        let raw = self.raw.iter().position(|list| list.name == name)?;
        let known = self.wanted.iter().position(|(at, known)| *at == raw && known.is(wanted));
        Some(ListIndex(known.unwrap_or_else(|| {
            self.wanted.push((raw, wanted));
            self.wanted.len() - 1
        })))
    }

    /// The names of all lists.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.raw.iter().map(|list| list.name.as_str())
    }

    /// The lists that no rule uses.
    pub(super) fn unused(&self) -> impl Iterator<Item = &RawList> {
        let used = |at: usize| self.wanted.iter().any(|(raw, _)| *raw == at);
        self.raw.iter().enumerate().filter(move |(at, _)| !used(*at)).map(|(_, list)| list)
    }

    /// The lists that rules use, each once.
    pub(super) fn used(&self) -> impl Iterator<Item = &RawList> {
        let used = |at: usize| self.wanted.iter().any(|(raw, _)| *raw == at);
        self.raw.iter().enumerate().filter(move |(at, _)| used(*at)).map(|(_, list)| list)
    }

    /// Builds a table for each use.
    pub(super) fn build(&self, zone: &TimeZone, report: &mut Vec<Diagnostic>) -> Lists {
        let tables =
            self.wanted.iter().map(|(raw, wanted)| Table::build(&self.raw[*raw], *wanted, zone, report));
        Lists { tables: tables.collect() }
    }
}

/// Lists as rules look them up.
pub(super) struct Lists {
    tables: Vec<Table>,
}

type Map<K> = HashMap<K, Timestamp, foldhash::fast::RandomState>;

/// One list in one use. Every value stands with the time from which on it no longer counts.
enum Table {
    Texts(Map<Box<str>>),
    Numbers(Map<i64>),
    Codes(Map<u16>),
    Prefixes(Box<Prefixes>),
}

/// A list whose every line is wrong says so for this many of them.
const BAD_LINES_SHOWN: usize = 10;

impl Table {
    fn build(list: &RawList, wanted: Use, zone: &TimeZone, report: &mut Vec<Diagnostic>) -> Self {
        let mut table = match wanted {
            Use::Texts => Self::Texts(Map::default()),
            Use::Numbers => Self::Numbers(Map::default()),
            Use::Codes(_) => Self::Codes(Map::default()),
            Use::Prefixes => Self::Prefixes(Box::default()),
        };
        let mut bad = Vec::new();
        for entry in &list.entries {
            let until = entry.expires.map_or(Timestamp::from_ms(i64::MAX), |day| end_of(day, zone));
            bad.extend(table.add(entry, wanted, until).err());
        }
        let more = bad.len().saturating_sub(BAD_LINES_SHOWN);
        if let Some(first_hidden) = bad.get(BAD_LINES_SHOWN) {
            let message = format!("{more} more lines of `{}` do not fit", list.name);
            report.push(Diagnostic::new(Code::ListLine, first_hidden.primary.at, message));
        }
        report.extend(bad.into_iter().take(BAD_LINES_SHOWN).map(|diagnostic| *diagnostic));
        table
    }

    /// Adds an entry. A value that is there already counts for as long as the longer-lived of the two.
    fn add(&mut self, entry: &Entry, wanted: Use, until: Timestamp) -> Result<(), Box<Diagnostic>> {
        let value = &*entry.value;
        let refuse = |message: String| Box::new(Diagnostic::new(Code::ListLine, entry.at, message));
        let longest = |known: &mut Timestamp| *known = until.max(*known);
        match self {
            Self::Texts(map) => {
                if value.len() > TEXT_BYTES_MAX {
                    return Err(refuse(format!(
                        "this is longer than any text of a request ({TEXT_BYTES_MAX} bytes)"
                    )));
                }
                longest(map.entry(value.to_ascii_lowercase().into()).or_insert(until));
            }
            Self::Numbers(map) => {
                let number = value
                    .parse()
                    .map_err(|_| refuse(format!("a rule looks up numbers here; `{value}` is none")))?;
                longest(map.entry(number).or_insert(until));
            }
            Self::Codes(map) => {
                let Use::Codes(domain) = wanted else { return Ok(()) };
                let code = (domain.parse)(value).ok_or_else(|| {
                    let names = (domain.names)();
                    let message = format!("a rule looks up a {} here; `{value}` is none", domain.name);
                    Box::new(
                        Diagnostic::new(Code::ListLine, entry.at, message)
                            .did_you_mean(nearest(value, names.iter().copied())),
                    )
                })?;
                longest(map.entry(code).or_insert(until));
            }
            Self::Prefixes(prefixes) => {
                let prefix = prefixes::parse(value).map_err(|fault| refuse(fault.to_string()))?;
                prefixes.insert(prefix, until);
            }
        }
        Ok(())
    }
}

impl Lists {
    /// Whether a text is in a list; the case of a–z does not matter.
    pub(super) fn holds_text(&self, list: ListIndex, text: &str, now: Timestamp) -> bool {
        let Table::Texts(map) = &self.tables[list.0] else { return false };
        let mut buffer = [0; TEXT_BYTES_MAX];
        let Some(lower) = buffer.get_mut(..text.len()) else { return false };
        lower.copy_from_slice(text.as_bytes());
        lower.make_ascii_lowercase();
        let lower = std::str::from_utf8(lower).unwrap_or_default();
        map.get(lower).is_some_and(|until| now < *until)
    }

    /// Whether a number is in a list.
    pub(super) fn holds_number(&self, list: ListIndex, number: i64, now: Timestamp) -> bool {
        let Table::Numbers(map) = &self.tables[list.0] else { return false };
        map.get(&number).is_some_and(|until| now < *until)
    }

    /// Whether a value of an enumeration is in a list.
    pub(super) fn holds_code(&self, list: ListIndex, code: u16, now: Timestamp) -> bool {
        let Table::Codes(map) = &self.tables[list.0] else { return false };
        map.get(&code).is_some_and(|until| now < *until)
    }

    /// Whether an address lies in any prefix of a list.
    pub(super) fn covers(&self, list: ListIndex, address: IpAddr, now: Timestamp) -> bool {
        let Table::Prefixes(prefixes) = &self.tables[list.0] else { return false };
        prefixes.cover(address, now)
    }
}
