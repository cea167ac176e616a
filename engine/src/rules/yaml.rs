//! YAML as a tree in which every node knows where it stands.
//!
//! Built from the parser's events rather than through serde, because serde stops at a file's first error and loses
//! places on the way. What rule files do without (anchors, aliases, tags, several documents) is refused here, so no
//! file can grow when it is read.

use super::diagnostic::{Code, Diagnostic};
use super::sources::{FileId, Span};
use crate::limits::{RULE_FILE_BYTES_MAX, YAML_DEPTH_MAX};
use serde_saphyr::granit_parser::{self as granit, ErrorKind, Event, Parser, ScalarStyle, StrInput};

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Span,
    pub(super) is: Value,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Value {
    /// A key without a value.
    Nothing,
    Scalar(String, Style),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// Something that was refused and reported: nothing more is said of it.
    Refused,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// After `|` or `>`.
    Block,
}

impl Node {
    /// What this is, for "expected …, found …".
    pub(super) fn noun(&self) -> &'static str {
        match &self.is {
            Value::Nothing | Value::Refused => "nothing",
            Value::Scalar(..) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a group of keys",
        }
    }
}

/// Reads a file. `None` where it is no YAML, or holds nothing but comments: both are reported.
pub(super) fn parse(file: FileId, text: &str, report: &mut Vec<Diagnostic>) -> Option<Node> {
    let start = Span::new(file, 0..0);
    if text.len() > RULE_FILE_BYTES_MAX {
        let message =
            format!("the file has {} bytes; a rule file has at most {RULE_FILE_BYTES_MAX}", text.len());
        report.push(Diagnostic::new(Code::FileBounds, start, message));
        return None;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        let last_line = text.rfind('\n').map_or(0, |newline| newline + 1);
        report.push(
            Diagnostic::new(
                Code::FileBounds,
                Span::new(file, last_line..text.len()),
                "the file does not end with a newline, so its last line may have been cut off",
            )
            .help("end the last line with a newline"),
        );
        return None;
    }
    let mut options = granit::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: YAML_DEPTH_MAX,
        block_nesting_limit: YAML_DEPTH_MAX,
    };
    options.set_emit_comments(false);
    let events = Parser::new_from_str_with_options(text, options);
    let mut tree = Tree { file, text, events, report, documents: 0 };
    let root = tree.document();
    match root {
        Ok(Some(node)) => Some(node),
        Ok(None) => {
            let message = "the file holds no rules: it begins with `rules:` or `set:`";
            report.push(Diagnostic::new(Code::MissingKey, start, message));
            None
        }
        Err(Stop) => None,
    }
}

/// A syntax error was reported: nothing after it can be trusted.
struct Stop;

struct Tree<'a, 'r> {
    file: FileId,
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    report: &'r mut Vec<Diagnostic>,
    documents: usize,
}

impl<'a> Tree<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, granit::Span), Stop> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                self.say_syntax(&error);
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, granit::Span::default())),
        }
    }

    /// The one document of the file.
    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(..) => {
                    self.documents += 1;
                    if self.documents == 2 {
                        let at = self.span(&span).first_line(self.text);
                        let message = "a second document begins here; a rule file is one document";
                        self.report.push(Diagnostic::new(Code::NotUsedHere, at, message));
                    }
                }
                Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::MappingStart(..)
                | Event::Alias(_)
                | Event::UnresolvedAlias(_) => {
                    let node = self.node(event, span)?;
                    root.get_or_insert(node);
                }
                _ => {}
            }
        }
    }

    /// The node that begins with an event. Recursion is bounded by the parser's nesting limits.
    fn node(&mut self, event: Event<'a>, span: granit::Span) -> Result<Node, Stop> {
        let mut at = self.span(&span);
        let is = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), &span);
                match style {
                    _ if tag.is_some() => Value::Refused,
                    ScalarStyle::Plain if at.start == at.end => Value::Nothing,
                    ScalarStyle::Plain => Value::Scalar(text.into_owned(), Style::Plain),
                    ScalarStyle::SingleQuoted => Value::Scalar(text.into_owned(), Style::SingleQuoted),
                    ScalarStyle::DoubleQuoted => Value::Scalar(text.into_owned(), Style::DoubleQuoted),
                    ScalarStyle::Literal | ScalarStyle::Folded => {
                        Value::Scalar(text.into_owned(), Style::Block)
                    }
                }
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), &span);
                let (items, end) = self.items(at.end)?;
                at.end = end;
                Value::List(items)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), &span);
                let (items, end) = self.items(at.end)?;
                at.end = end;
                let mut items = items.into_iter();
                let mut entries = Vec::with_capacity(items.len() / 2);
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    entries.push((key, value));
                }
                Value::Map(entries)
            }
            // Only nodes are handed over, and what is left of them is aliases.
            _ => {
                let diagnostic = Diagnostic::new(Code::NotUsedHere, at, "rule files do without aliases");
                self.report.push(diagnostic.help("write the value out where it is used"));
                Value::Refused
            }
        };
        Ok(Node { at, is })
    }

    /// The nodes up to the end of a list or map, and where the last of them ends. A bracket that closes it counts.
    fn items(&mut self, mut end: usize) -> Result<(Vec<Node>, usize), Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd | Event::MappingEnd | Event::StreamEnd) {
                let closed = self.span(&span);
                let bracket = closed.start < closed.end;
                return Ok((items, if bracket { closed.end } else { end }));
            }
            let node = self.node(event, span)?;
            end = end.max(node.at.end);
            items.push(node);
        }
    }

    fn refuse_properties(&mut self, anchor: usize, tagged: bool, span: &granit::Span) {
        let at = self.span(span);
        if anchor != 0 {
            let diagnostic = Diagnostic::new(Code::NotUsedHere, at, "rule files do without anchors");
            self.report.push(diagnostic.help("remove the `&name` in front of this value"));
        }
        if tagged {
            let at = span.tag_span().map_or(at, |tag| self.span(&tag));
            let diagnostic =
                Diagnostic::new(Code::NotUsedHere, at, "`!` begins a tag, and rule files do without tags");
            self.report.push(
                diagnostic.help("write a condition that begins with `!` after `|`, on a line of its own"),
            );
        }
    }

    /// A span of the parser, without the whitespace that it leaves at the end of block scalars.
    fn span(&self, span: &granit::Span) -> Span {
        let bytes = span.byte_range().unwrap_or_default();
        let kept = self.text[bytes.clone()].trim_end().len();
        Span::new(self.file, bytes.start..bytes.start + kept)
    }

    fn say_syntax(&mut self, error: &granit::ScanError) {
        let byte = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
        let width = self.text[byte..].chars().next().filter(|next| *next != '\n').map_or(0, char::len_utf8);
        let at = Span::new(self.file, byte..byte + width);
        let (code, message, help) = match error.kind() {
            ErrorKind::RecursionLimitExceeded => {
                (Code::FileBounds, "the file is nested too deeply".to_owned(), "")
            }
            ErrorKind::DirectiveDisallowed => {
                (Code::NotUsedHere, "rule files do without directives".to_owned(), "")
            }
            ErrorKind::MappingValueNotAllowed => (
                Code::Syntax,
                "a colon and a space begin a value, and none can stand here".to_owned(),
                "write a text that has a colon in it after `|`, on lines of its own, or check the indentation",
            ),
            ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry => (
                Code::Syntax,
                "this line does not continue what stands above it".to_owned(),
                "the keys of one group, and the dashes of one list, begin at one column",
            ),
            ErrorKind::UnclosedQuotedScalar => (Code::Syntax, "this quote is never closed".to_owned(), ""),
            ErrorKind::UnclosedFlowCollection { open } => {
                (Code::Syntax, format!("this `{open}` is never closed"), "")
            }
            ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => (
                Code::Syntax,
                "a value that begins with a quote ends with it".to_owned(),
                "write a condition that begins with a quote after `|`, on a line of its own",
            ),
            ErrorKind::UnknownQuotedScalarEscape => (
                Code::Syntax,
                "this backslash begins an escape that YAML does not know".to_owned(),
                "write a condition after `|`, on lines of its own: there a backslash is a backslash",
            ),
            ErrorKind::TabInIndentation | ErrorKind::TabInBlockIndentation | ErrorKind::TabNotAllowed => {
                (Code::Syntax, "YAML is indented with spaces, not with tabs".to_owned(), "")
            }
            other => (Code::Syntax, format!("this is not YAML: {other}"), ""),
        };
        let diagnostic = Diagnostic::new(code, at, message);
        self.report.push(if help.is_empty() { diagnostic } else { diagnostic.help(help) });
    }
}
