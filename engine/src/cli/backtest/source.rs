//! Where recorded requests come from: CSV with a map, or NDJSON, whose keys are the fields' own names; packed or not.

use crate::cli::CannotRun;
use serde_json::Value;
use sparr_loadgen::rows::{Opened, RowClock, Rows, open_packed};
use sparr_protocol::request::AuthorisationRequest;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file of recorded requests.
pub(super) struct Source {
    rows: Kind,
    /// Bytes of the file.
    pub(super) bytes: u64,
    bytes_read: Arc<AtomicU64>,
}

enum Kind {
    Csv(Box<Rows>),
    Json(JsonLines),
}

struct JsonLines {
    reader: BufReader<Box<dyn Read>>,
    line: String,
    number: u64,
}

/// Whether a file's name says that it holds one JSON object a line, packed or not.
fn is_json(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".zst").or_else(|| name.strip_suffix(".gz")).unwrap_or(name);
    [".ndjson", ".jsonl", ".json"].iter().any(|ending| name.ends_with(ending))
}

impl Source {
    /// Opens a file; CSV needs a map.
    pub(super) fn open(file: &Path, map: Option<&Path>) -> Result<Self, CannotRun> {
        if is_json(file) {
            if map.is_some() {
                return Err(CannotRun("NDJSON names its fields itself: --map is for CSV".to_owned()));
            }
            let opened = open_packed(file);
            let Opened { unpacked, bytes, bytes_read } =
                opened.map_err(|error| CannotRun(format!("{}: {error}", file.display())))?;
            let reader = BufReader::with_capacity(1 << 20, unpacked);
            let lines = JsonLines { reader, line: String::new(), number: 0 };
            return Ok(Self { rows: Kind::Json(lines), bytes, bytes_read });
        }
        let map =
            map.ok_or_else(|| CannotRun("a CSV file needs --map: which column is which field".to_owned()))?;
        let rows = Rows::open(file, map, RowClock::Event)?;
        let (bytes, bytes_read) = (rows.bytes, rows.bytes_read.clone());
        Ok(Self { rows: Kind::Csv(Box::new(rows)), bytes, bytes_read })
    }

    /// Whether rows may say themselves what was fraud.
    pub(super) fn has_label(&self) -> bool {
        match &self.rows {
            Kind::Csv(rows) => rows.has_label(),
            Kind::Json(_) => true,
        }
    }

    /// Bytes that were read of the file.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// The next request, and whether it was fraud where the row says so.
    pub(super) fn next(&mut self) -> Result<Option<(AuthorisationRequest, Option<bool>)>, String> {
        match &mut self.rows {
            Kind::Csv(rows) => rows.next_labelled().map_err(|error| error.to_string()),
            Kind::Json(lines) => lines.next(),
        }
    }
}

impl JsonLines {
    fn next(&mut self) -> Result<Option<(AuthorisationRequest, Option<bool>)>, String> {
        loop {
            self.line.clear();
            self.number += 1;
            let at = |problem: &dyn std::fmt::Display| format!("line {}: {problem}", self.number);
            if self.reader.read_line(&mut self.line).map_err(|error| at(&error))? == 0 {
                return Ok(None);
            }
            if self.line.trim().is_empty() {
                continue;
            }
            let mut value = sparr_protocol::json::parse(&self.line).map_err(|error| at(&error))?;
            let label = value.as_object_mut().and_then(|object| object.remove("label"));
            let fraud = match label {
                None | Some(Value::Null) => None,
                Some(Value::Bool(fraud)) => Some(fraud),
                Some(Value::Number(number)) if number.as_i64() == Some(1) => Some(true),
                Some(Value::Number(number)) if number.as_i64() == Some(0) => Some(false),
                Some(_) => return Err(at(&"label: expected 1 or 0, true or false, or null")),
            };
            let request = AuthorisationRequest::from_json(&value).map_err(|error| at(&error))?;
            return Ok(Some((request, fraud)));
        }
    }
}
