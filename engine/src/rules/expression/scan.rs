//! A first look at a condition, before the parser: brackets, nesting, and the slips that people bring along from
//! other languages.
//!
//! The grammar alone would say `mismatched input 'and' expecting {<EOF>, '==', …`. Slips are few and well known, so
//! each gets its own sentence here; what is left goes to the parser.

use super::slips::{CURLY_QUOTES, ESCAPES, FOREIGN_WORDS, SIGNS};
use super::{Place, Source};
use crate::limits::EXPRESSION_DEPTH_MAX;
use crate::rules::diagnostic::{Code, Diagnostic};
use std::ops::Range;

/// What a first look finds.
pub(super) struct Looked {
    /// Bracket pairs: places of the opening and the closing one, sorted.
    pub(super) brackets: Vec<(usize, usize)>,
    /// Where the last thing ends that is neither white space nor a comment.
    pub(super) end: usize,
}

/// Looks a condition over. `None` where something was reported.
pub(super) fn scan(source: &Source, report: &mut Vec<Diagnostic>) -> Option<Looked> {
    let before = report.len();
    let mut scan = Scan {
        source,
        text: &source.text,
        at: 0,
        end: 0,
        brackets: Vec::new(),
        open: vec![Level::default()],
        too_deep: false,
        report,
    };
    while scan.at < scan.text.len() {
        scan.step();
    }
    let Scan { mut brackets, open, end, report, .. } = scan;
    for level in open.iter().filter(|level| level.bracket != ' ') {
        let at = source.span(Place { start: level.at, end: level.at + 1 });
        let message = format!("this `{}` is never closed", level.bracket);
        report.push(Diagnostic::new(Code::Unclosed, at, message));
    }
    if end == 0 {
        let at = source.span(Place { start: 0, end: 0 });
        report.push(Diagnostic::new(Code::Unexpected, at, "the condition is empty"));
    }
    brackets.sort_unstable();
    (report.len() == before).then_some(Looked { brackets, end })
}

/// What is open: the whole condition, or a bracket in it.
struct Level {
    bracket: char,
    at: usize,
    /// Operators in a row, each of which may nest what stands before it.
    chain: usize,
    /// Question marks whose colon is to come or has come: each nests what stands after it.
    choices: usize,
    /// Question marks whose colon is still to come.
    undecided: usize,
}

impl Default for Level {
    fn default() -> Self {
        Self { bracket: ' ', at: 0, chain: 0, choices: 0, undecided: 0 }
    }
}

struct Scan<'a, 'r> {
    source: &'a Source,
    text: &'a str,
    at: usize,
    end: usize,
    brackets: Vec<(usize, usize)>,
    open: Vec<Level>,
    too_deep: bool,
    report: &'r mut Vec<Diagnostic>,
}

impl<'a> Scan<'a, '_> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn say(&mut self, code: Code, bytes: Range<usize>, message: impl Into<String>) {
        let at = self.source.span(Place { start: bytes.start, end: bytes.end });
        self.report.push(Diagnostic::new(code, at, message));
    }

    /// Takes what stands here: white space, a comment, a quoted text, a word, a number, a bracket or a sign.
    fn step(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        let count = |test: fn(char) -> bool| rest.find(|letter: char| !test(letter)).unwrap_or(rest.len());
        if matches!(first, ' ' | '\t' | '\n' | '\r' | '\u{c}') {
            self.at += first.len_utf8();
            return;
        }
        if rest.starts_with("//") {
            self.at += rest.find('\n').unwrap_or(rest.len());
            return;
        }
        if first.is_whitespace() {
            let message =
                format!("this is a special space (U+{:04X}); write an ordinary one", u32::from(first));
            self.say(Code::Unexpected, self.at..self.at + first.len_utf8(), message);
            self.at += first.len_utf8();
        } else if matches!(first, '"' | '\'') {
            self.quoted(first, false);
        } else if CURLY_QUOTES.contains(&first) {
            self.curly_quoted(rest);
        } else if first.is_alphabetic() || first == '_' {
            self.word(&rest[..count(|letter| letter.is_alphanumeric() || letter == '_')]);
        } else if first.is_ascii_digit() {
            self.number(&rest[..count(|letter| letter.is_alphanumeric() || letter == '_')]);
        } else {
            self.sign(first);
        }
        self.end = self.at;
    }

    /// A text in quotes. Its escapes are looked at, because a pattern in a plain text is the usual slip.
    fn quoted(&mut self, quote: char, raw: bool) {
        let start = self.at;
        // Between three marks a text may run over several lines, and hold single ones.
        let three = quote.to_string().repeat(3);
        let mark = if self.rest().starts_with(&three) { three } else { quote.to_string() };
        let mut letters = self.rest().char_indices().skip(mark.len());
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\n' if mark.len() == 1 => break,
                '\\' if !raw => match letters.next() {
                    Some((_, next)) if ESCAPES.contains(next) => {}
                    Some((_, other)) if other != '\n' => {
                        let message = format!("`\\{other}` is no escape");
                        let here = start + at..start + at + 1 + other.len_utf8();
                        let at = self.source.span(Place { start: here.start, end: here.end });
                        self.report.push(
                            Diagnostic::new(Code::Unexpected, at, message)
                                .help("in a pattern, put an r before the text: r\"\\d+\""),
                        );
                    }
                    _ => break,
                },
                _ if letter == quote && self.rest()[at..].starts_with(&mark) => {
                    self.at = start + at + mark.len();
                    return;
                }
                _ => {}
            }
        }
        let line = self.rest().find('\n').map_or(self.text.len(), |at| start + at);
        self.say(Code::Unclosed, start..start + 1, "this quote is never closed");
        self.at = line;
    }

    /// A text in typographic quotes, as word processors and chat programs make them.
    fn curly_quoted(&mut self, rest: &str) {
        let line = rest.find('\n').unwrap_or(rest.len());
        let mut letters = rest[..line].char_indices().skip(1);
        let end = letters.find(|(_, letter)| CURLY_QUOTES.contains(letter) || *letter == '"');
        let len = end.map_or(line, |(at, letter)| at + letter.len_utf8());
        let at = self.source.span(Place { start: self.at, end: self.at + len });
        self.report.push(
            Diagnostic::new(Code::ForeignOperator, at, "these are typographic quotes")
                .help("write a text between straight quotes: \"…\""),
        );
        self.at += len;
    }

    fn word(&mut self, word: &str) {
        let start = self.at;
        self.at += word.len();
        let next = self.rest().chars().next();
        if let Some(quote @ ('"' | '\'')) = next
            && matches!(word, "r" | "R" | "b" | "B" | "br" | "bR" | "Br" | "BR")
        {
            return self.quoted(quote, word.contains(['r', 'R']));
        }
        let called = next == Some('(') && !matches!(word, "not" | "NOT" | "Not");
        let member = self.text[..start].trim_end().ends_with('.');
        let foreign = FOREIGN_WORDS.iter().find(|(foreign, _)| *foreign == word && !called && !member);
        if let Some((_, sentence)) = foreign {
            self.say(Code::ForeignOperator, start..self.at, *sentence);
        } else if word == "in" {
            self.deepen(1);
        } else if !word.is_ascii() {
            let message = format!("`{word}`: names are written with the letters a–z");
            self.say(Code::Unexpected, start..self.at, message);
        }
    }

    /// A number, with the letters that may follow it.
    fn number(&mut self, word: &str) {
        let start = self.at;
        self.at += word.len();
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let unit = &word[digits..];
        let exponent = matches!(unit.as_bytes().first(), Some(b'e' | b'E'));
        if unit.starts_with('_') {
            let plain = word.replace('_', "");
            self.say(
                Code::Unexpected,
                start..self.at,
                format!("numbers are written without separators: {plain}"),
            );
        } else if !(unit.is_empty() || exponent || matches!(unit, "u" | "U") || word.starts_with("0x")) {
            let message = if matches!(unit, "s" | "m" | "h" | "d" | "ms") {
                format!("a length of time stands in quotes: \"{word}\"")
            } else {
                format!("`{word}` is neither a number nor a name")
            };
            self.say(Code::Unexpected, start..self.at, message);
        }
    }

    fn sign(&mut self, first: char) {
        match first {
            '(' | '[' | '{' => {
                self.deepen(1);
                self.open.push(Level { bracket: first, at: self.at, ..Level::default() });
                self.at += 1;
            }
            ')' | ']' | '}' => self.close(first),
            _ => {
                let rest = self.rest();
                let known = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign));
                let sign = known.map_or_else(|| &rest[..first.len_utf8()], |(sign, _)| *sign);
                if let Some((_, Some(sentence))) = known {
                    self.say(Code::ForeignOperator, self.at..self.at + sign.len(), *sentence);
                } else if !first.is_ascii() || first.is_control() {
                    let message = format!("`{}` does not belong here", first.escape_default());
                    self.say(Code::Unexpected, self.at..self.at + sign.len(), message);
                }
                self.count(sign);
                self.at += sign.len();
            }
        }
    }

    fn close(&mut self, bracket: char) {
        let opening = match bracket {
            ')' => '(',
            ']' => '[',
            _ => '{',
        };
        let here = self.at;
        self.at += 1;
        match self.open.last() {
            Some(level) if level.bracket == opening => {
                self.brackets.push((level.at, here));
                self.open.pop();
            }
            Some(level) if level.bracket != ' ' => {
                let (open, at) = (level.bracket, level.at);
                let opened = self.source.span(Place { start: at, end: at + 1 });
                let closed = self.source.span(Place { start: here, end: here + 1 });
                let message = format!("`{bracket}` does not close `{open}`");
                self.report
                    .push(Diagnostic::new(Code::Unclosed, closed, message).also(opened, "opened here"));
                self.open.pop();
            }
            _ => self.say(Code::Unclosed, here..here + 1, format!("this `{bracket}` closes nothing")),
        }
    }

    /// Counts what nests: the parser and everything after it recurse as deep as this says, so it is bounded here.
    fn count(&mut self, sign: &str) {
        let Some(level) = self.open.last_mut() else { return };
        match sign {
            "&&" | "||" => level.chain = 0,
            "," => {
                level.chain = 0;
                level.choices = 0;
                level.undecided = 0;
            }
            "?" => {
                level.chain = 0;
                level.choices += 1;
                level.undecided += 1;
                self.deepen(0);
            }
            ":" if level.undecided == 0 && level.bracket != '{' => {
                let message =
                    "a colon belongs to `condition ? one : other`; fields are written without colons";
                self.say(Code::ForeignOperator, self.at..self.at + 1, message);
            }
            ":" => {
                level.chain = 0;
                level.undecided = level.undecided.saturating_sub(1);
            }
            _ => self.deepen(1),
        }
    }

    fn deepen(&mut self, operators: usize) {
        if let Some(level) = self.open.last_mut() {
            level.chain += operators;
        }
        let depth: usize = self.open.iter().map(|level| level.chain + level.choices).sum();
        if depth > EXPRESSION_DEPTH_MAX && !self.too_deep {
            self.too_deep = true;
            let message = format!("the condition is nested more than {EXPRESSION_DEPTH_MAX} deep");
            self.say(Code::ExpressionBounds, self.at..self.at + 1, message);
        }
    }
}
