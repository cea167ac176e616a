//! The files of a rule set as they were given, and places in them.

/// A file of a rule set.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its name, as it is shown to people. A list is named after the last part of it, without the extension.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// All files of a rule set.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Rule files, YAML.
    pub rules: Vec<SourceFile>,
    /// Named lists, `.txt` or `.csv`.
    pub lists: Vec<SourceFile>,
    /// The reasons that answers give, TOML.
    pub reasons: SourceFile,
}

impl Sources {
    /// Every file with its number: rule files first, then lists, then the reasons.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        let files = self.rules.iter().chain(&self.lists).chain([&self.reasons]);
        files.enumerate().map(|(at, file)| (FileId(at), file))
    }

    /// The file of a number that these sources gave out.
    pub fn file(&self, id: FileId) -> &SourceFile {
        let lists = self.rules.len();
        let reasons = lists + self.lists.len();
        match id.0 {
            at if at < lists => &self.rules[at],
            at if at < reasons => &self.lists[at - lists],
            _ => &self.reasons,
        }
    }
}

impl SourceFile {
    /// Line and column of a byte; of the character that it is part of, and of the end for a byte behind it.
    pub fn position(&self, byte: usize) -> Position {
        let before = &self.text[..self.text.floor_char_boundary(byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// Line and column of each of several bytes, in rising order: the file is read once.
    pub(super) fn positions(&self, bytes: impl Iterator<Item = usize>) -> Vec<Position> {
        let (mut line, mut line_start) = (1, 0);
        bytes
            .map(|byte| {
                while let Some(length) = self.text[line_start..byte].find('\n') {
                    line += 1;
                    line_start += length + 1;
                }
                Position { line, column: self.text[line_start..byte].chars().count() + 1 }
            })
            .collect()
    }
}

/// Number of a file within its [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(usize);

/// A stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Which file.
    pub file: FileId,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last one.
    pub end: usize,
}

impl Span {
    /// A stretch of a file.
    pub fn new(file: FileId, bytes: std::ops::Range<usize>) -> Self {
        Self { file, start: bytes.start, end: bytes.end }
    }

    /// The whole of its first line, from its own first byte on.
    pub(super) fn first_line(self, text: &str) -> Self {
        let end = text[self.start..self.end].find('\n').map_or(self.end, |newline| self.start + newline);
        Self { end, ..self }
    }
}

/// A place for people: both count from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let file = SourceFile { name: "a".into(), text: "åäö x\ny".into() };
        for (byte, line, column) in
            [(0, 1, 1), (2, 1, 2), (7, 1, 5), (8, 1, 6), (9, 2, 1), (10, 2, 2), (3, 1, 2), (99, 2, 2)]
        {
            assert_eq!(file.position(byte), Position { line, column }, "{byte}");
        }
        let bytes = [0, 2, 7, 8, 9, 10];
        let one_by_one: Vec<_> = bytes.iter().map(|byte| file.position(*byte)).collect();
        assert_eq!(file.positions(bytes.into_iter()), one_by_one);
    }

    #[test]
    fn files_are_numbered_rules_first() {
        let file = |name: &str| SourceFile { name: name.into(), text: String::new() };
        let sources = Sources {
            rules: vec![file("r0"), file("r1")],
            lists: vec![file("l0")],
            reasons: file("reasons"),
        };
        for (id, expected) in sources.files() {
            assert_eq!(sources.file(id).name, expected.name);
        }
        assert_eq!(sources.files().count(), 4);
    }
}
