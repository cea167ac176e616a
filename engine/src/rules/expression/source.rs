//! A condition's text, cut out of its file so that every byte keeps its place.
//!
//! Plain and block scalars are taken raw, indentation and newlines included: to CEL they are white space, and a
//! comment ends at its own line even where YAML would fold it. A quoted scalar is taken unescaped, with a table.

use super::Place;
use crate::rules::sources::{FileId, Span};
use crate::rules::yaml::{Node, Style, Value};
use std::iter::Peekable;
use std::str::CharIndices;

/// A condition's text and where it comes from.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Source {
    /// The text.
    pub(in crate::rules) text: String,
    file: FileId,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    /// The text is a slice of the file that begins here.
    Slice(usize),
    /// For each byte of the text, and its end, the byte of the file.
    Table(Vec<usize>),
}

impl Source {
    /// The text of a scalar.
    pub(in crate::rules) fn of_scalar(file: FileId, file_text: &str, node: &Node) -> Option<Self> {
        let Value::Scalar(value, style) = &node.is else { return None };
        let raw = &file_text[node.at.start..node.at.end];
        let (text, origin) = match style {
            Style::Plain | Style::Block => (raw.to_owned(), Origin::Slice(node.at.start)),
            Style::SingleQuoted | Style::DoubleQuoted => {
                (value.clone(), Origin::Table(align(value, raw, *style, node.at.start)))
            }
        };
        Some(Self { text, file, origin })
    }

    /// A text that stands alone, as `at` says.
    pub(in crate::rules) fn plain(text: &str, at: Span) -> Self {
        Self { text: text.to_owned(), file: at.file, origin: Origin::Slice(at.start) }
    }

    /// The place of a stretch of the text in its file.
    pub(in crate::rules) fn span(&self, at: Place) -> Span {
        let byte = |at: usize| match &self.origin {
            Origin::Slice(base) => base + at,
            Origin::Table(places) => places[at.min(places.len() - 1)],
        };
        Span::new(self.file, byte(at.start)..byte(at.end).max(byte(at.start)))
    }

    /// The place of the whole text in its file.
    pub(in crate::rules) fn whole(&self) -> Span {
        self.span(Place { start: 0, end: self.text.len() })
    }
}

/// Walks an unescaped value and its raw form side by side, and notes where each byte of the value comes from.
/// The value is the YAML parser's: what is escaped how is its decision, here only lengths are followed.
fn align(value: &str, raw: &str, style: Style, base: usize) -> Vec<usize> {
    let closing_quote = raw.len().saturating_sub(1);
    let mut places = Vec::with_capacity(value.len() + 1);
    let mut raw = raw.char_indices().peekable();
    raw.next();
    let mut value = value.chars().peekable();
    while let Some(&next) = value.peek() {
        skip_line_continuation(&mut raw, style);
        let Some((at, letter)) = raw.next() else { break };
        if folds(letter, &mut raw) {
            // A line break with the white space around it: one space, or one newline for each empty line.
            while let Some(white) = value.next_if(|next| matches!(next, ' ' | '\n')) {
                places.resize(places.len() + white.len_utf8(), base + at);
                if white == ' ' {
                    break;
                }
            }
            while raw.next_if(|(_, next)| next.is_whitespace()).is_some() {}
            continue;
        }
        if style == Style::DoubleQuoted && letter == '\\' {
            let digits = match raw.next() {
                Some((_, 'x')) => 2,
                Some((_, 'u')) => 4,
                Some((_, 'U')) => 8,
                _ => 0,
            };
            for _ in 0..digits {
                raw.next();
            }
        } else if style == Style::SingleQuoted && letter == '\'' {
            raw.next();
        }
        places.resize(places.len() + next.len_utf8(), base + at);
        value.next();
    }
    places.resize(value_end(places.len(), &mut value), base + closing_quote);
    places.push(base + closing_quote);
    places
}

/// Bytes that a value has in all, of which some were not found in its raw form.
fn value_end(found: usize, rest: &mut impl Iterator<Item = char>) -> usize {
    found + rest.map(char::len_utf8).sum::<usize>()
}

/// Whether white space that begins here runs over a line break.
fn folds(letter: char, raw: &mut Peekable<CharIndices<'_>>) -> bool {
    if !letter.is_whitespace() {
        return false;
    }
    let run = raw.clone().map(|(_, next)| next).take_while(|next| next.is_whitespace());
    std::iter::once(letter).chain(run).any(|white| white == '\n')
}

/// A backslash at the end of a line joins it with the next one.
fn skip_line_continuation(raw: &mut Peekable<CharIndices<'_>>, style: Style) {
    let mut ahead = raw.clone().map(|(_, next)| next);
    let joins = ahead.next() == Some('\\') && matches!(ahead.next(), Some('\n' | '\r'));
    if style == Style::DoubleQuoted && joins {
        raw.next();
        while raw.next_if(|(_, next)| next.is_whitespace()).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sources::{SourceFile, Sources};
    use crate::rules::yaml;

    /// Every occurrence of a word in the condition has its place at the same word in the file.
    #[test]
    fn every_word_keeps_its_place_in_every_kind_of_scalar() {
        for text in [
            "when: alpha && beta\n",
            "when: alpha\n   && beta\n",
            "åäö: 1\nwhen: |\n  // öre\n  alpha\n    && beta\n",
            "when: >-\n  alpha // a comment\n\n  && beta\n",
            "when: |2-\n    alpha\n  && beta # x\n",
            "when: 'alpha == ''å'' && beta'\n",
            "when: \"\\u00e5 \\\"alpha\\\"\\t&& \\x20 beta\"\n",
            "when: \"å alpha \\\n   && beta\"\n",
            "when: \"alpha\n   && \n\n\n  beta\"\n",
            "when: 'alpha\n\n   å && beta'\n",
            "when: \"alpha\\n&&\\nbeta\"\r\n",
            "{when: alpha && beta}\n",
            "\u{feff}when: |\r\n  alpha // å\r\n    && beta\r\n",
        ] {
            let file = SourceFile { name: "a".into(), text: text.into() };
            let sources = Sources { rules: vec![file.clone()], lists: vec![], reasons: file };
            let (id, _) = sources.files().next().expect("one file");
            let mut report = Vec::new();
            let root = yaml::parse(id, text, &mut report).expect(text);
            let Value::Map(entries) = &root.is else { panic!("{text}") };
            let (_, scalar) = entries.last().expect("one key");
            let source = Source::of_scalar(id, text, scalar).expect("a scalar");
            for word in ["alpha", "beta"] {
                let start = source.text.find(word).expect("in the condition");
                let span = source.span(Place { start, end: start + word.len() });
                assert_eq!(text.get(span.start..span.end), Some(word), "{text}");
            }
            for (start, letter) in source.text.char_indices() {
                let span = source.span(Place { start, end: start + letter.len_utf8() });
                assert!(text.get(span.start..span.end).is_some(), "{text:?} at {start}: {span:?}");
            }
        }
    }
}
