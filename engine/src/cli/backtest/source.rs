//! Where recorded requests come from: CSV with a map, or NDJSON, whose keys are the fields' own names; packed or not. Parquet
//! is read as the one or the other.
//!
//! Rows are taken off the file one after the other, and made into requests by whoever has time.

use crate::cli::CannotRun;
use serde_json::Value;
use sparr_loadgen::rows::{Opened, RawRow, RowClock, RowMaker, RowText, Rows, is_parquet, open_rows};
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
    reader: BufReader<Box<dyn Read + Send>>,
    number: u64,
}

/// Rows as they stand in the file. Their memory is used again.
pub(super) enum RawRows {
    Csv { rows: Vec<RawRow>, count: usize, maker: Arc<RowMaker> },
    Json { text: String, first: u64 },
}

/// A request, whether it was fraud where the row says so, and the row's number from 1.
pub(super) type Row = (AuthorisationRequest, Option<bool>, u64);

/// Whether a file's name says that it holds one JSON object a line, packed or not.
fn is_json(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".zst").or_else(|| name.strip_suffix(".gz")).unwrap_or(name);
    [".ndjson", ".jsonl", ".json"].iter().any(|ending| name.ends_with(ending))
}

impl Source {
    /// Opens a file; CSV needs a map.
    pub(super) fn open(file: &Path, map: Option<&Path>) -> Result<Self, CannotRun> {
        let has_field_names = is_json(file) || is_parquet(file) && map.is_none();
        if has_field_names {
            if map.is_some() {
                return Err(CannotRun("NDJSON names its fields itself: --map is for CSV".to_owned()));
            }
            let opened = open_rows(file, RowText::Json);
            let Opened { unpacked, bytes, bytes_read } =
                opened.map_err(|error| CannotRun(format!("{}: {error}", file.display())))?;
            let reader = BufReader::with_capacity(1 << 20, unpacked);
            return Ok(Self { rows: Kind::Json(JsonLines { reader, number: 0 }), bytes, bytes_read });
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

    /// Rows read so far.
    pub(super) fn rows_read(&self) -> u64 {
        match &self.rows {
            Kind::Csv(rows) => rows.rows_read(),
            Kind::Json(lines) => lines.number,
        }
    }

    /// Room for rows of this file.
    pub(super) fn room(&self) -> RawRows {
        match &self.rows {
            Kind::Csv(rows) => RawRows::Csv { rows: Vec::new(), count: 0, maker: rows.maker() },
            Kind::Json(_) => RawRows::Json { text: String::new(), first: 0 },
        }
    }

    /// Takes up to `most` rows off the file. `false` where there are none behind them; what was read before a row that
    /// cannot be read is in `raw`.
    pub(super) fn take(&mut self, raw: &mut RawRows, most: usize) -> Result<bool, String> {
        match (&mut self.rows, raw) {
            (Kind::Csv(from), RawRows::Csv { rows, count, .. }) => {
                *count = 0;
                while *count < most {
                    if rows.len() == *count {
                        rows.push(RawRow::default());
                    }
                    if !from.read_raw(&mut rows[*count]).map_err(|error| error.to_string())? {
                        return Ok(false);
                    }
                    *count += 1;
                }
                Ok(true)
            }
            (Kind::Json(from), RawRows::Json { text, first }) => from.take(text, first, most),
            (Kind::Csv(_), RawRows::Json { .. }) | (Kind::Json(_), RawRows::Csv { .. }) => {
                Err("rows of another file".to_owned())
            }
        }
    }
}

impl JsonLines {
    fn take(&mut self, text: &mut String, first: &mut u64, most: usize) -> Result<bool, String> {
        text.clear();
        *first = self.number + 1;
        for _ in 0..most {
            let read = self.reader.read_line(text);
            if read.map_err(|error| format!("line {}: {error}", self.number + 1))? == 0 {
                return Ok(false);
            }
            self.number += 1;
        }
        Ok(true)
    }
}

impl RawRows {
    /// Makes requests of the rows, in order; ends with the first row that is none.
    pub(super) fn each(&self, mut take: impl FnMut(Row) -> Result<(), String>) -> Result<(), String> {
        match self {
            Self::Csv { rows, count, maker } => rows[..*count].iter().try_for_each(|raw| {
                let (request, fraud) = maker.labelled(raw).map_err(|error| error.to_string())?;
                take((request, fraud, raw.number()))
            }),
            Self::Json { text, first } => (*first..)
                .zip(text.lines())
                .filter(|(_, line)| !line.trim().is_empty())
                .try_for_each(|(number, line)| {
                    let (request, fraud) =
                        of_json(line).map_err(|problem| format!("line {number}: {problem}"))?;
                    take((request, fraud, number))
                }),
        }
    }
}

fn of_json(line: &str) -> Result<(AuthorisationRequest, Option<bool>), String> {
    let mut value = sparr_protocol::json::parse(line).map_err(|error| error.to_string())?;
    let label = value.as_object_mut().and_then(|object| object.remove("label"));
    let fraud = match label {
        None | Some(Value::Null) => None,
        Some(Value::Bool(fraud)) => Some(fraud),
        Some(Value::Number(number)) if number.as_i64() == Some(1) => Some(true),
        Some(Value::Number(number)) if number.as_i64() == Some(0) => Some(false),
        Some(_) => return Err("label: expected 1 or 0, true or false, or null".to_owned()),
    };
    Ok((AuthorisationRequest::from_json(&value).map_err(|error| error.to_string())?, fraud))
}
