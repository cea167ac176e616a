//! What became of payments, on the disk: one line each, with a checksum, in two generations of bounded size.
//!
//! A line is the first eight hexadecimal digits of the BLAKE3 of a JSON object, a space, and the object. A payment is a pseudonym. When
//! the newer generation is full it becomes the older one, and the one before that goes. A line that is not whole is left out
//! and counted: at the end of a file it is what a killed engine was writing, and nobody was told that it is durable.

use serde::{Deserialize, Serialize};
use sparr_protocol::aftermath::{Final, LabelClass};
use sparr_protocol::ids::{Pseudonym, RequestId};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A generation is full at this size: some 500,000 lines.
const GENERATION_BYTES: u64 = 64 << 20;

/// One result or label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Result {
        request: RequestId,
        result: Final,
        code: Option<String>,
        time_ms: i64,
    },
    Label {
        payment: Pseudonym,
        class: LabelClass,
        code: Option<String>,
        amount_minor: Option<i64>,
        known_at_ms: i64,
        rules: Vec<String>,
    },
}

/// A line as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment: Option<String>,
    what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount_minor: Option<i64>,
    at_ms: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rules: Vec<String>,
}

impl Line {
    fn to_text(&self) -> io::Result<String> {
        let written = match self.clone() {
            Self::Result { request, result, code, time_ms } => Written {
                request: Some(request.to_string()),
                payment: None,
                what: result.name().to_owned(),
                code,
                amount_minor: None,
                at_ms: time_ms,
                rules: Vec::new(),
            },
            Self::Label { payment, class, code, amount_minor, known_at_ms, rules } => Written {
                request: None,
                payment: Some(RequestId(payment.0).to_string()),
                what: class.name().to_owned(),
                code,
                amount_minor,
                at_ms: known_at_ms,
                rules,
            },
        };
        let json = serde_json::to_string(&written)?;
        Ok(format!("{} {json}\n", checksum(&json)))
    }

    fn read(text: &str) -> Option<Self> {
        let (sum, json) = text.split_once(' ')?;
        (sum == checksum(json)).then_some(())?;
        let Written { request, payment, what, code, amount_minor, at_ms, rules } =
            serde_json::from_str(json).ok()?;
        Some(match (request, payment) {
            (Some(request), None) => Self::Result {
                request: RequestId::parse(&request)?,
                result: Final::parse(&what)?,
                code,
                time_ms: at_ms,
            },
            (None, Some(payment)) => Self::Label {
                payment: Pseudonym(RequestId::parse(&payment)?.0),
                class: LabelClass::parse(&what)?,
                code,
                amount_minor,
                known_at_ms: at_ms,
                rules,
            },
            (Some(_), Some(_)) | (None, None) => return None,
        })
    }
}

fn checksum(json: &str) -> String {
    blake3::hash(json.as_bytes()).to_hex()[..8].to_owned()
}

/// The file that is written to.
pub(super) struct AftermathFile {
    newer: PathBuf,
    older: PathBuf,
    file: File,
    bytes: u64,
}

impl AftermathFile {
    /// Reads both generations, oldest line first, and goes on behind the last line that is whole.
    pub(super) fn open(data_dir: &Path, mut each: impl FnMut(Line)) -> io::Result<Self> {
        let folder = data_dir.join("aftermath");
        fs::create_dir_all(&folder)?;
        let (older, newer) = (folder.join("older.log"), folder.join("newer.log"));
        let (mut whole, mut broken) = (0, 0);
        for path in [&older, &newer] {
            let text = match fs::read(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(error),
            };
            whole = 0;
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                if line.last() != Some(&b'\n') {
                    break;
                }
                whole += line.len() as u64;
                match str::from_utf8(&line[..line.len() - 1]).ok().and_then(Line::read) {
                    Some(line) => each(line),
                    None => broken += 1,
                }
            }
        }
        if broken > 0 {
            tracing::error!(broken, "results and labels in {} are not what was written", folder.display());
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&newer)?;
        file.set_len(whole)?;
        Ok(Self { newer, older, file, bytes: whole })
    }

    /// Makes lines durable, all or none.
    pub(super) fn append<'a>(&mut self, lines: impl Iterator<Item = &'a Line>) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        if self.bytes >= GENERATION_BYTES {
            fs::rename(&self.newer, &self.older)?;
            self.file = File::create(&self.newer)?;
            self.bytes = 0;
        }
        let text: String = lines.map(Line::to_text).collect::<io::Result<_>>()?;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(number: u8) -> Line {
        let request = RequestId([number; 16]);
        Line::Result { request, result: Final::Declined, code: Some("51".to_owned()), time_ms: 5 }
    }

    fn label() -> Line {
        Line::Label {
            payment: Pseudonym([9; 16]),
            class: LabelClass::Scam,
            code: None,
            amount_minor: Some(100),
            known_at_ms: 7,
            rules: vec!["a-rule".to_owned()],
        }
    }

    fn read(dir: &Path) -> Vec<Line> {
        let mut lines = Vec::new();
        AftermathFile::open(dir, |line| lines.push(line)).expect("opened");
        lines
    }

    #[test]
    fn lines_come_back_a_half_one_goes_and_a_changed_one_is_left_out() {
        let dir = tempfile::tempdir().expect("folder");
        let lines = [result(1), label(), result(2)];
        AftermathFile::open(dir.path(), |_| {}).expect("opened").append(lines.iter()).expect("written");
        assert_eq!(read(dir.path()), lines);
        let path = dir.path().join("aftermath/newer.log");
        let whole = fs::read(&path).expect("readable");
        fs::write(&path, &whole[..whole.len() - 4]).expect("written");
        assert_eq!(read(dir.path()), lines[..2]);
        let mut file = AftermathFile::open(dir.path(), |_| {}).expect("opened");
        file.append([result(3)].iter()).expect("written");
        assert_eq!(read(dir.path()), [result(1), label(), result(3)]);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).expect("written");
            let read = read(dir.path());
            assert!(read.len() < 3 && read.iter().all(|line| lines.contains(line)), "byte {at}");
        }
        // A full generation becomes the older one.
        fs::write(&path, &whole).expect("written");
        let mut file = AftermathFile::open(dir.path(), |_| {}).expect("opened");
        file.bytes = GENERATION_BYTES;
        file.append([result(4)].iter()).expect("written");
        assert_eq!(read(dir.path()).len(), 4);
    }
}
