//! Findings for people and for machines: snippets with carets, one JSON object per line, GitHub annotations.

use super::diagnostic::{Diagnostic, Label, Severity};
use super::sources::{Position, SourceFile, Sources, Span};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

impl Diagnostic {
    /// The finding as a snippet with carets, without colours.
    pub fn render_plain(&self, sources: &Sources) -> String {
        render(self, sources, &Renderer::plain())
    }

    /// The same for a terminal, with ANSI colours.
    pub fn render_coloured(&self, sources: &Sources) -> String {
        render(self, sources, &Renderer::styled())
    }

    /// The finding as one JSON object, on one line. End columns are exclusive.
    pub fn render_json(&self, sources: &Sources) -> String {
        let finding = Finding {
            code: self.code.text(),
            severity: self.severity().name(),
            message: &self.message,
            place: Place::of(&self.primary, sources),
            related: self.secondary.iter().map(|label| Place::of(label, sources)).collect(),
            help: &self.help,
        };
        // Texts and numbers under fixed names: there is nothing that JSON cannot say.
        serde_json::to_string(&finding).unwrap_or_default()
    }

    /// The finding as a workflow command of GitHub Actions, which shows it beside the line it is about.
    pub fn render_github(&self, sources: &Sources) -> String {
        let (file, start, end) = positions(self.primary.at, sources);
        let label = Some(&self.primary.text).filter(|text| !text.is_empty());
        let body: Vec<&str> =
            std::iter::once(&self.message).chain(label).chain(&self.help).map(String::as_str).collect();
        format!(
            "::{} file={},line={},col={},endLine={},endColumn={},title={}::{}",
            self.severity().name(),
            escaped(&file.name, true),
            start.line,
            start.column,
            end.line,
            end.column,
            self.code.text(),
            escaped(&body.join("\n"), false),
        )
    }
}

fn render(diagnostic: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    // The renderer pads lines that have nothing on them.
    renderer
        .render(&[group(diagnostic, sources)])
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.text());
    let primary = (AnnotationKind::Primary, &diagnostic.primary);
    let secondary = diagnostic.secondary.iter().map(|label| (AnnotationKind::Context, label));
    let labels: Vec<_> = std::iter::once(primary).chain(secondary).collect();

    let mut group = Group::with_title(title);
    let mut files: Vec<_> = labels.iter().map(|(_, label)| label.at.file).collect();
    files.dedup();
    for file in files {
        let here: Vec<_> = labels.iter().filter(|(_, label)| label.at.file == file).copied().collect();
        group = group.element(snippet(sources.file(file), &here));
    }
    let help = diagnostic.help.iter().map(|help| annotate_snippets::normalize_untrusted_str(help));
    group.elements(help.map(|help| Level::HELP.message(help)))
}

/// The lines that the labels stand on, and those between them. The rest of the file is not handed over: a list may
/// be many megabytes long.
fn snippet<'a>(file: &'a SourceFile, labels: &[(AnnotationKind, &'a Label)]) -> Snippet<'a, Annotation<'a>> {
    // Places come from several parsers: one that lies within a character is moved, not trusted.
    let start = |label: &Label| file.text.floor_char_boundary(label.at.start);
    let end = |label: &Label| file.text.floor_char_boundary(label.at.end).max(start(label));
    let first = labels.iter().map(|(_, label)| start(label)).min().unwrap_or(0);
    let last = labels.iter().map(|(_, label)| end(label)).max().unwrap_or(0);
    let from = file.text[..first].rfind('\n').map_or(0, |newline| newline + 1);
    let to = file.text[last..].find('\n').map_or(file.text.len(), |newline| last + newline);
    let annotations = labels.iter().map(|(kind, label)| {
        let bytes = start(label) - from..end(label) - from;
        kind.span(bytes).label((!label.text.is_empty()).then_some(label.text.as_str()))
    });
    Snippet::source(&file.text[from..to])
        .line_start(file.position(from).line)
        .path(file.name.as_str())
        .annotations(annotations)
}

/// Where a label is, for machines.
#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    label: &'a str,
}

impl<'a> Place<'a> {
    fn of(label: &'a Label, sources: &'a Sources) -> Self {
        let (file, start, end) = positions(label.at, sources);
        Self {
            file: &file.name,
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            label: &label.text,
        }
    }
}

fn positions(at: Span, sources: &Sources) -> (&SourceFile, Position, Position) {
    let file = sources.file(at.file);
    (file, file.position(at.start), file.position(at.end))
}

/// One finding, for machines.
#[derive(Serialize)]
struct Finding<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
    related: Vec<Place<'a>>,
    help: &'a [String],
}

/// Escapes as the runner undoes them; a property also has its two separators escaped.
fn escaped(text: &str, property: bool) -> String {
    let mut out = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if property {
        out = out.replace(':', "%3A").replace(',', "%2C");
    }
    out
}
