//! List files as entries: `.txt` with one value a line, `.csv` with reason and expiry.

use super::{Entry, RawList};
use crate::limits::LIST_FILE_BYTES_MAX;
use crate::rules::diagnostic::{Code, Diagnostic};
use crate::rules::fields::{DATE, parse_date};
use crate::rules::sources::{FileId, SourceFile, Span};

/// Reads a list file; what is wrong with it is reported. The list is there all the same, so that its uses are not
/// said to be wrong as well.
pub(super) fn read(id: FileId, file: &SourceFile, report: &mut Vec<Diagnostic>) -> RawList {
    let base = file.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let (name, extension) = base.rsplit_once('.').unwrap_or((base, ""));
    let mut refuse = |code, message: String| {
        report.push(Diagnostic::new(code, Span::new(id, 0..0), message));
        Vec::new()
    };
    let bytes = file.text.len();
    let entries = match extension {
        _ if bytes > LIST_FILE_BYTES_MAX => {
            refuse(Code::FileBounds, format!("the list has {bytes} bytes; at most {LIST_FILE_BYTES_MAX}"))
        }
        "txt" => lines(id, &file.text),
        "csv" => records(id, &file.text, report),
        _ => {
            let message = "a list is a `.txt` file of one value a line, or a `.csv` file";
            refuse(Code::Syntax, message.to_owned())
        }
    };
    RawList { name: name.to_owned(), file: id, entries }
}

/// One value a line; `#` begins a comment.
fn lines(id: FileId, text: &str) -> Vec<Entry> {
    let mut start = 0;
    let mut entries = Vec::new();
    for line in text.split_inclusive('\n') {
        let value = line.split('#').next().unwrap_or_default();
        let indent = value.len() - value.trim_start().len();
        let value = value.trim();
        if !value.is_empty() {
            let at = Span::new(id, start + indent..start + indent + value.len());
            entries.push(Entry { value: value.into(), expires: None, at });
        }
        start += line.len();
    }
    entries
}

const HEADER: [&str; 3] = ["value", "reason", "expires"];

/// `value,reason,expires`: the last two may be empty or left out.
fn records(id: FileId, text: &str, report: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut entries = Vec::new();
    let mut columns: Option<[Option<usize>; 3]> = None;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(fault) => {
                let at = fault.position().map_or(0, |position| position.byte() as usize);
                let at = Span::new(id, at..text.len()).first_line(text);
                report.push(Diagnostic::new(Code::Syntax, at, format!("this is not CSV: {fault}")));
                break;
            }
        };
        let at = line_at(id, text, record.position().map_or(0, |position| position.byte() as usize));
        let Some([value, reason, expires]) = columns else {
            columns = Some(HEADER.map(|name| record.iter().position(|cell| cell == name)));
            let unknown = record.iter().find(|cell| !HEADER.contains(cell));
            if let Some(unknown) = unknown {
                let message = format!("the columns of a list are value, reason and expires, not `{unknown}`");
                report.push(Diagnostic::new(Code::Syntax, at, message));
                break;
            }
            if columns.is_some_and(|[value, ..]| value.is_none()) {
                let message = "a list begins with its header: value,reason,expires";
                report.push(Diagnostic::new(Code::Syntax, at, message));
                break;
            }
            continue;
        };
        let cell =
            |column: Option<usize>| column.and_then(|at| record.get(at)).filter(|text| !text.is_empty());
        let width = [value, reason, expires].iter().flatten().count();
        if record.len() > width {
            let message = format!("this line has {} columns; the header has {width}", record.len());
            report.push(
                Diagnostic::new(Code::Syntax, at, message)
                    .help("a text with a comma stands in double quotes"),
            );
            continue;
        }
        let Some(value) = cell(value) else {
            report.push(Diagnostic::new(Code::ListLine, at, "this line has no value"));
            continue;
        };
        let date = cell(expires).map(parse_date);
        if date == Some(None) {
            report.push(Diagnostic::new(Code::ListLine, at, format!("`expires` is {DATE}")));
        }
        entries.push(Entry { value: value.into(), expires: date.flatten(), at });
    }
    entries
}

/// The line that a record begins on. The reader gives the byte after the one before, which may be a comment.
fn line_at(id: FileId, text: &str, from: usize) -> Span {
    let mut start = from;
    for line in text[from..].split_inclusive('\n') {
        if !line.trim().is_empty() && !line.starts_with('#') {
            return Span::new(id, start..start + line.trim_end().len());
        }
        start += line.len();
    }
    Span::new(id, from..from)
}
