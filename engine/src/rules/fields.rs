//! Reading a group of keys: which are known, which are missing, what their values may be. Every slip is reported,
//! and reading goes on.

use super::diagnostic::{Code, Diagnostic};
use super::sources::Span;
use super::yaml::{Node, Value};
use sparr_protocol::text::nearest;
use sparr_protocol::time::Date;

/// The keys of one group.
pub(super) struct Fields<'a> {
    /// What the group is, for messages: `a rule`.
    what: &'static str,
    at: Span,
    entries: Vec<(&'a str, &'a Node)>,
}

impl<'a> Fields<'a> {
    /// Opens a group, and reports keys that are unknown or given twice.
    pub(super) fn open(
        node: &'a Node,
        what: &'static str,
        known: &[&'static str],
        report: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let entries = entries(node, what, report)?;
        // A missing key is missed where the group begins.
        let at = entries.first().map_or(node.at, |(_, key, _)| *key);
        let mut fields = Self { what, at, entries: Vec::with_capacity(entries.len()) };
        for (name, key, value) in entries {
            if known.contains(&name) {
                fields.entries.push((name, value));
            } else {
                let near = nearest(name, known.iter().copied());
                let diagnostic =
                    Diagnostic::new(Code::UnknownKey, key, format!("{what} has no key `{name}`"));
                let diagnostic = match near {
                    Some(_) => diagnostic.did_you_mean(near),
                    None => diagnostic.help(format!("its keys are {}", listed(known))),
                };
                report.push(diagnostic);
            }
        }
        Some(fields)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str, report: &mut Vec<Diagnostic>) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("{} needs a key `{key}`", self.what);
            report.push(Diagnostic::new(Code::MissingKey, self.at, message));
        }
        found
    }
}

/// The keys of a group with their places and values. Keys that are no text, or given twice, are reported.
pub(super) fn entries<'a>(
    node: &'a Node,
    what: &str,
    report: &mut Vec<Diagnostic>,
) -> Option<Vec<(&'a str, Span, &'a Node)>> {
    let Value::Map(map) = &node.is else {
        say_form(node, &format!("{what} is a group of keys"), report);
        return None;
    };
    let mut found: Vec<(&str, Span, &Node)> = Vec::with_capacity(map.len());
    for (key, value) in map {
        let Value::Scalar(name, _) = &key.is else {
            say_form(key, "a key is a single name", report);
            continue;
        };
        match found.iter().find(|(known, ..)| known == name) {
            Some((_, first, _)) => report.push(
                Diagnostic::new(Code::DuplicateKey, key.at, format!("the key `{name}` is given twice"))
                    .also(*first, "first given here"),
            ),
            None => found.push((name, key.at, value)),
        }
    }
    Some(found)
}

/// Reports a node of the wrong form, unless it was reported already.
pub(super) fn say_form(node: &Node, rule: &str, report: &mut Vec<Diagnostic>) {
    if !matches!(node.is, Value::Refused) {
        report.push(Diagnostic::new(Code::Value, node.at, format!("{rule}; this is {}", node.noun())));
    }
}

/// The text of a single value.
pub(super) fn text<'a>(node: &'a Node, key: &str, report: &mut Vec<Diagnostic>) -> Option<&'a str> {
    match &node.is {
        Value::Scalar(text, _) => Some(text),
        Value::Nothing | Value::List(_) | Value::Map(_) | Value::Refused => {
            say_form(node, &format!("`{key}` is a single value"), report);
            None
        }
    }
}

/// A single value that `parse` understands.
pub(super) fn value<'a, T>(
    node: &'a Node,
    key: &str,
    expected: &str,
    parse: impl FnOnce(&'a str) -> Option<T>,
    report: &mut Vec<Diagnostic>,
) -> Option<T> {
    let text = text(node, key, report)?;
    let value = parse(text);
    if value.is_none() {
        report.push(Diagnostic::new(Code::Value, node.at, format!("`{key}` is {expected}")));
    }
    value
}

/// A single value that is one of a few names.
pub(super) fn one_of<T>(
    node: &Node,
    key: &str,
    names: &[&'static str],
    parse: impl FnOnce(&str) -> Option<T>,
    report: &mut Vec<Diagnostic>,
) -> Option<T> {
    let text = text(node, key, report)?;
    let value = parse(text);
    if value.is_none() {
        let message = format!("`{key}` is {}, not `{text}`", alternatives(names));
        report.push(
            Diagnostic::new(Code::Value, node.at, message).did_you_mean(nearest(text, names.iter().copied())),
        );
    }
    value
}

/// The items of a list.
pub(super) fn list<'a>(node: &'a Node, key: &str, report: &mut Vec<Diagnostic>) -> &'a [Node] {
    match &node.is {
        Value::List(items) => items,
        Value::Nothing | Value::Scalar(..) | Value::Map(_) | Value::Refused => {
            say_form(node, &format!("`{key}` is a list"), report);
            &[]
        }
    }
}

/// A date, as ISO 8601 writes it.
pub(super) fn parse_date(text: &str) -> Option<Date> {
    let digits = |range: std::ops::Range<usize>| -> Option<u16> {
        let part = text.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
    };
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let spelled = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    Some(Date::new(year, month as u8, day as u8)).filter(|date| spelled && date.is_real())
}

/// What a date looks like, for messages.
pub(super) const DATE: &str = "a date such as 2027-06-30";

/// `a, b and c`.
pub(super) fn listed(names: &[&str]) -> String {
    joined(names, "and")
}

/// `a, b or c`.
pub(super) fn alternatives(names: &[&str]) -> String {
    joined(names, "or")
}

fn joined(names: &[&str], last: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_real_days_in_one_spelling() {
        assert_eq!(parse_date("2027-06-30"), Some(Date::new(2027, 6, 30)));
        for bad in [
            "2027-06-31",
            "2027-6-30",
            "27-06-30",
            "2027/06/30",
            "2027-06-30 ",
            "",
            "2027-06-3å",
            "+027-06-30",
        ] {
            assert_eq!(parse_date(bad), None, "{bad:?}");
        }
    }
}
