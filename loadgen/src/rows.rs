//! Rows of a CSV file, plain or packed with zstd or gzip, or of a Parquet file, as authorisation requests.

use crate::columns::{ColumnMap, RowError};
use sparr_protocol::field::Field;
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which time a row's request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RowClock {
    /// The row's own; the engine must run with `--clock event` where the rows are old.
    Event,
    /// None: the engine's clock when it receives the request.
    Now,
}

/// Why a file's rows cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotOpen(String);

fn named(path: &Path, error: &dyn std::fmt::Display) -> CannotOpen {
    CannotOpen(format!("{}: {error}", path.display()))
}

enum Problem {
    File(CannotOpen),
    Map(String),
}

/// Reads requests off a file, one per row, and counts the bytes that it has taken from the disk.
pub struct Rows {
    reader: csv::Reader<Box<dyn Read + Send>>,
    maker: Arc<RowMaker>,
    raw: RawRow,
    number: u64,
    /// Bytes read of the file.
    pub bytes_read: Arc<AtomicU64>,
    /// Bytes of the file.
    pub bytes: u64,
    /// The first row that is no request.
    pub failed: Option<RowError>,
}

/// One row as it stands in the file, before it is a request.
#[derive(Default)]
pub struct RawRow {
    record: csv::StringRecord,
    line: u64,
    number: u64,
}

impl RawRow {
    /// Its number, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// Makes requests of rows: whoever has a row needs nothing else of the file.
pub struct RowMaker {
    header: csv::StringRecord,
    map: ColumnMap,
    clock: RowClock,
    run: [u8; 8],
}

/// Counts what passes through.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.count.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// A file that is read from its beginning, and how far that has come.
pub struct Opened {
    /// What is in it.
    pub unpacked: Box<dyn Read + Send>,
    /// Bytes of the file as it lies there.
    pub bytes: u64,
    /// Bytes of it that were read.
    pub bytes_read: Arc<AtomicU64>,
}

/// Opens a file, packed or not.
pub fn open_packed(file: &Path) -> std::io::Result<Opened> {
    let inner = File::open(file)?;
    let bytes = inner.metadata()?.len();
    let bytes_read = Arc::new(AtomicU64::new(0));
    let unpacked = unpacked(file, Counted { inner, count: bytes_read.clone() })?;
    Ok(Opened { unpacked, bytes, bytes_read })
}

/// Which text the rows of a file become that are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowText {
    /// CSV, its first line the names of the columns.
    Csv,
    /// One JSON object a line.
    Json,
}

/// Whether a file's name says that it is a Parquet file.
pub fn is_parquet(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "parquet")
}

/// Opens a file of rows: packed or not, or Parquet as the text that its rows become.
pub fn open_rows(file: &Path, text: RowText) -> std::io::Result<Opened> {
    if !is_parquet(file) {
        return open_packed(file);
    }
    #[cfg(feature = "parquet")]
    return crate::parquet::open(file, text);
    #[cfg(not(feature = "parquet"))]
    {
        let _ = text;
        Err(std::io::Error::other("this program was built without the feature parquet"))
    }
}

/// Unpacks what a file's name says is packed: `.zst` and `.gz`.
pub fn unpacked(file: &Path, packed: impl Read + Send + 'static) -> std::io::Result<Box<dyn Read + Send>> {
    Ok(match file.extension().and_then(|extension| extension.to_str()) {
        Some("zst") => Box::new(zstd::Decoder::new(packed)?),
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(packed))),
        Some(_) | None => Box::new(packed),
    })
}

impl Rows {
    /// Opens a file and a map.
    pub fn open(file: &Path, map: &Path, clock: RowClock) -> Result<Self, CannotOpen> {
        let map_text = std::fs::read_to_string(map).map_err(|error| named(map, &error))?;
        Self::open_with(file, &map_text, clock).map_err(|problem| match problem {
            Problem::File(problem) => problem,
            Problem::Map(problem) => named(map, &problem),
        })
    }

    /// Opens a file with the first of these maps whose columns it has: their names and texts.
    pub fn open_with_any(
        file: &Path,
        maps: &[(&'static str, &str)],
        clock: RowClock,
    ) -> Result<(Self, &'static str), CannotOpen> {
        for (name, map) in maps {
            match Self::open_with(file, map, clock) {
                Ok(rows) => return Ok((rows, name)),
                Err(Problem::File(problem)) => return Err(problem),
                Err(Problem::Map(_)) => {}
            }
        }
        Err(named(file, &"none of the known maps fits its columns: give --map"))
    }

    fn open_with(file: &Path, map_text: &str, clock: RowClock) -> Result<Self, Problem> {
        let in_file = |error: &dyn std::fmt::Display| Problem::File(named(file, error));
        let opened = open_rows(file, RowText::Csv);
        let Opened { unpacked, bytes, bytes_read } = opened.map_err(|error| in_file(&error))?;
        let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 20).from_reader(unpacked);
        let header = reader.headers().map_err(|error| in_file(&error))?.clone();
        let parsed = ColumnMap::parse(map_text, &header).map_err(Problem::Map)?;
        // The same file gives the same ids, so that sending it again within the ids' time repeats the answers.
        let mut run = [0; 8];
        match clock {
            RowClock::Event => {
                let name = file.file_name().unwrap_or_default().as_encoded_bytes();
                let digest = blake3::hash(&[name, &bytes.to_le_bytes(), map_text.as_bytes()].concat());
                run.copy_from_slice(&digest.as_bytes()[..8]);
            }
            RowClock::Now => run = crate::fresh_run(),
        }
        let maker = Arc::new(RowMaker { header, map: parsed, clock, run });
        Ok(Self { reader, maker, raw: RawRow::default(), number: 0, bytes_read, bytes, failed: None })
    }

    /// Whether the map names a column that says what was fraud.
    pub fn has_label(&self) -> bool {
        self.maker.map.has_label()
    }

    /// Rows read so far.
    pub fn rows_read(&self) -> u64 {
        self.number
    }

    /// What makes requests of this file's rows.
    pub fn maker(&self) -> Arc<RowMaker> {
        self.maker.clone()
    }

    /// Reads the next row without looking into it; `false` at the end.
    pub fn read_raw(&mut self, raw: &mut RawRow) -> Result<bool, RowError> {
        raw.line = self.reader.position().line();
        let read = self.reader.read_record(&mut raw.record);
        let read = read.map_err(|error| RowError::of_line(raw.line, error.to_string()))?;
        self.number += u64::from(read);
        raw.number = self.number;
        Ok(read)
    }

    fn read(&mut self) -> Result<Option<AuthorisationRequest>, RowError> {
        let mut raw = std::mem::take(&mut self.raw);
        let read = self.read_raw(&mut raw);
        self.raw = raw;
        if read? { self.maker.request(&self.raw).map(Some) } else { Ok(None) }
    }
}

impl RowMaker {
    /// The request of a row.
    pub fn request(&self, raw: &RawRow) -> Result<AuthorisationRequest, RowError> {
        let mut request = self.map.request(&raw.record, raw.line, &self.header)?;
        if !self.map.has(Field::RequestId) {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&self.run);
            id[8..].copy_from_slice(&raw.number.to_be_bytes());
            request.request_id = RequestId(id);
        }
        if self.clock == RowClock::Now || !self.map.has(Field::EventTime) {
            request.event_time = None;
        }
        Ok(request)
    }

    /// The request of a row, and whether it was fraud where the file says so.
    pub fn labelled(&self, raw: &RawRow) -> Result<(AuthorisationRequest, Option<bool>), RowError> {
        let request = self.request(raw)?;
        Ok((request, self.map.label(&raw.record, raw.line, &self.header)?))
    }
}

impl Iterator for Rows {
    type Item = AuthorisationRequest;

    /// Ends at the first row that is no request, which `failed` then names: a file is sent as it is or not at all.
    fn next(&mut self) -> Option<AuthorisationRequest> {
        if self.failed.is_some() {
            return None;
        }
        match self.read() {
            Ok(request) => request,
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}
