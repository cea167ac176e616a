//! The audit's files: lines of text, each with the keyed digest of everything before it, in segments of bounded size.
//!
//! A segment begins with `sparr-audit 1 NUMBER CHAIN`, the chain's head where the segment before it ended. Every other line
//! is `CHAIN JSON`, where CHAIN is the keyed BLAKE3 of the chain before it and the JSON, 64 hexadecimal digits. The oldest
//! segments are removed; what is left proves itself from its first header on.

use super::entry::{Entry, hex};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A new segment begins where one has this size: some 60,000 looks.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Segments that are kept: 1 GiB, millions of looks.
const SEGMENTS_KEPT: u64 = 64;
const MAGIC: &str = "sparr-audit 1";

/// The chain's head: the digest of everything so far.
type Head = [u8; 32];

/// The folder of segments under a data folder.
pub(super) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("audit")
}

fn segment_file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.log"))
}

/// Numbers of the segments that are there, in order.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|n| n.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn next(key: &[u8; 32], head: &Head, json: &str) -> Head {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(head).update(json.as_bytes());
    *hasher.finalize().as_bytes()
}

fn header(number: u64, head: &Head) -> String {
    format!("{MAGIC} {number} {}\n", hex(head))
}

/// What reading the segments came to.
#[derive(Debug, Default)]
pub struct Found {
    /// Lines that are whole.
    pub entries: u64,
    /// Segments.
    pub segments: u64,
    /// What does not hold, each with its place.
    pub findings: Vec<String>,
    /// A last line that is not whole: an engine was stopped while it wrote it, or is writing it now.
    pub unfinished: bool,
    head: Head,
    last: Option<Entry>,
    /// Where the last whole line of the last segment ends.
    whole_bytes: u64,
    last_segment: u64,
}

/// Reads every segment, checks the chain from the first header on, and hands on each line.
pub(super) fn read(folder: &Path, key: &[u8; 32], mut each: impl FnMut(&Entry)) -> io::Result<Found> {
    let mut found = Found::default();
    if !folder.is_dir() {
        return Ok(found);
    }
    for number in segments(folder)? {
        let place = |line: u64| format!("{}, line {line}", segment_file(folder, number).display());
        if found.unfinished {
            found.findings.push(format!("{}: the segment before it ends in the middle of a line", place(1)));
            found.unfinished = false;
        }
        let mut reader = BufReader::new(File::open(segment_file(folder, number))?);
        let mut line = Vec::new();
        let (mut at, mut is_sound) = (0, true);
        (found.whole_bytes, found.last_segment) = (0, number);
        loop {
            line.clear();
            // One line is short: what is longer is none.
            if reader.by_ref().take(1 << 16).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            at += 1;
            if line.last() != Some(&b'\n') {
                found.unfinished = true;
                break;
            }
            let text = str::from_utf8(&line[..line.len() - 1]).unwrap_or_default();
            if at == 1 {
                match header_of(text, number) {
                    Some(head) if found.segments == 0 || head == found.head => found.head = head,
                    Some(head) => {
                        found
                            .findings
                            .push(format!("{}: it does not follow the segment before it", place(at)));
                        found.head = head;
                    }
                    None => {
                        found.findings.push(format!("{}: no header", place(at)));
                        is_sound = false;
                    }
                }
            } else if is_sound {
                match entry_of(text, key, &found.head) {
                    Some((head, entry)) => {
                        each(&entry);
                        found.entries += 1;
                        (found.head, found.last) = (head, Some(entry));
                    }
                    None => {
                        found.findings.push(format!("{}: it is not what was written there", place(at)));
                        // What follows hangs on this line: one finding says it all.
                        is_sound = false;
                    }
                }
            }
            found.whole_bytes += line.len() as u64;
        }
        found.segments += 1;
    }
    Ok(found)
}

fn header_of(line: &str, number: u64) -> Option<Head> {
    let (stated, head) = line.strip_prefix(MAGIC)?.trim_start().split_once(' ')?;
    if stated.parse() != Ok(number) { None } else { digest(head) }
}

fn entry_of(line: &str, key: &[u8; 32], before: &Head) -> Option<(Head, Entry)> {
    let (chain, json) = line.split_once(' ')?;
    let head = next(key, before, json);
    (digest(chain)? == head).then_some(())?;
    Some((head, serde_json::from_str(json).ok()?))
}

fn digest(text: &str) -> Option<Head> {
    blake3::Hash::from_hex(text).ok().map(|hash| *hash.as_bytes())
}

/// The end of the last segment, for writing.
pub(super) struct Writer {
    folder: PathBuf,
    key: zeroize::Zeroizing<[u8; 32]>,
    number: u64,
    file: File,
    bytes: u64,
    head: Head,
}

impl Writer {
    /// Goes on where the last life ended, and gives back its last line. Whatever does not hold in what is there stays as
    /// it is, and a new segment begins behind it.
    pub(super) fn open(
        folder: &Path,
        key: &[u8; 32],
        each: impl FnMut(&Entry),
    ) -> io::Result<(Self, Option<Entry>, Found)> {
        fs::create_dir_all(folder)?;
        let mut found = read(folder, key, each)?;
        let last = found.last.take();
        let goes_on = found.segments > 0 && found.findings.is_empty() && found.whole_bytes > 0;
        let number = if goes_on { found.last_segment } else { found.last_segment + 1 };
        let path = segment_file(folder, number);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        // The half of a line that a killed engine left: the line of its gap follows.
        file.set_len(if goes_on { found.whole_bytes } else { 0 })?;
        let mut writer = Self {
            folder: folder.to_owned(),
            key: zeroize::Zeroizing::new(*key),
            number,
            file,
            bytes: if goes_on { found.whole_bytes } else { 0 },
            head: found.head,
        };
        if !goes_on {
            writer.put(&header(number, &writer.head))?;
        }
        Ok((writer, last, found))
    }

    /// Makes lines durable, all or none: after an error the file is as it was, and the same may be tried again.
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        if self.bytes >= SEGMENT_BYTES {
            self.begin_segment()?;
        }
        let (mut text, mut head) = (String::new(), self.head);
        for entry in entries {
            let json = serde_json::to_string(entry)?;
            head = next(&self.key, &head, &json);
            text.push_str(&hex(&head));
            text.push(' ');
            text.push_str(&json);
            text.push('\n');
        }
        self.put(&text)?;
        self.head = head;
        Ok(())
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let written =
            self.file.write_all_at(text.as_bytes(), self.bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What was half written goes; where that fails too, the next attempt writes over it.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += text.len() as u64;
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.number + 1;
        let mut file = File::create(segment_file(&self.folder, number))?;
        let first = header(number, &self.head);
        file.write_all(first.as_bytes())?;
        file.sync_data()?;
        (self.number, self.file, self.bytes) = (number, file, first.len() as u64);
        for old in segments(&self.folder)?.into_iter().filter(|old| old + SEGMENTS_KEPT <= number) {
            fs::remove_file(segment_file(&self.folder, old))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Event;
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn entry(number: i64) -> Entry {
        Entry { at_ms: number, event: Event::HoneyScreened { times: 1 } }
    }

    fn written(folder: &Path, numbers: std::ops::Range<i64>) -> Found {
        let (mut writer, _, found) = Writer::open(folder, &KEY, |_| {}).expect("opened");
        for number in numbers {
            writer.append(&[entry(number), entry(number)]).expect("written");
        }
        found
    }

    fn verified(folder: &Path) -> Found {
        read(folder, &KEY, |_| {}).expect("readable")
    }

    #[test]
    fn every_changed_removed_or_foreign_byte_is_found() {
        let dir = tempfile::tempdir().expect("folder");
        written(dir.path(), 0..3);
        let again = written(dir.path(), 3..6);
        assert_eq!((again.entries, again.findings.len()), (6, 0));
        let fine = verified(dir.path());
        assert_eq!((fine.entries, fine.findings.as_slice(), fine.unfinished), (12, &[][..], false));

        let file = segment_file(dir.path(), 1);
        let whole = fs::read(&file).expect("readable");
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&file, bytes).expect("written");
            let found = verified(dir.path());
            assert!(!found.findings.is_empty() || found.unfinished, "byte {at}");
        }
        // Each line but the last, whose absence nothing that follows betrays: that is what `stopped` and `gap` are for.
        for removed in 0..lines.len() - 1 {
            let kept: Vec<u8> = lines
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != removed)
                .flat_map(|(_, line)| line.to_vec())
                .collect();
            fs::write(&file, kept).expect("written");
            assert!(!verified(dir.path()).findings.is_empty(), "line {removed}");
        }
        fs::write(&file, &whole).expect("written");
        let foreign = read(dir.path(), &[8; 32], |_| {}).expect("readable");
        assert!(!foreign.findings.is_empty(), "another engine's key");
    }

    #[test]
    fn a_half_written_line_is_dropped_and_damage_is_kept_as_it_is() {
        let dir = tempfile::tempdir().expect("folder");
        written(dir.path(), 0..2);
        let file = segment_file(dir.path(), 1);
        let whole = fs::read(&file).expect("readable");
        fs::write(&file, &whole[..whole.len() - 5]).expect("written");
        assert!(verified(dir.path()).unfinished);
        assert_eq!(written(dir.path(), 2..3).entries, 3);
        let found = verified(dir.path());
        assert_eq!((found.entries, found.findings.len(), found.unfinished), (5, 0, false));

        let mut bytes = fs::read(&file).expect("readable");
        bytes[200] ^= 1;
        fs::write(&file, &bytes).expect("written");
        written(dir.path(), 3..4);
        assert_eq!(fs::read(&file).expect("readable"), bytes, "evidence is not touched");
        let found = verified(dir.path());
        assert_eq!(found.segments, 2);
        assert!(!found.findings.is_empty());
    }

    #[test]
    fn segments_follow_each_other_and_the_oldest_go() {
        let dir = tempfile::tempdir().expect("folder");
        let (mut writer, ..) = Writer::open(dir.path(), &KEY, |_| {}).expect("opened");
        for number in 0..SEGMENTS_KEPT as i64 + 5 {
            writer.append(&[entry(number)]).expect("written");
            // As if it were full.
            writer.bytes = SEGMENT_BYTES.max(writer.bytes);
            writer.begin_segment().expect("begun");
        }
        let found = verified(dir.path());
        assert_eq!(found.segments, SEGMENTS_KEPT);
        assert_eq!((found.findings.as_slice(), found.entries), (&[][..], SEGMENTS_KEPT - 1));
    }
}
