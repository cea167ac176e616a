//! Rows of a CSV file, plain or packed with zstd or gzip, as authorisation requests.

use super::CannotRun;
use super::columns::{ColumnMap, RowError};
use crate::server::clock;
use clap::ValueEnum;
use sparr_protocol::field::Field;
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which time a row's request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowClock {
    /// The row's own; the engine must run with `--clock event` where the rows are old.
    Event,
    /// The time of sending.
    Now,
}

/// Reads requests off a file, one per row, and counts the bytes that it has taken from the disk.
pub(crate) struct Rows {
    reader: csv::Reader<Box<dyn Read>>,
    header: csv::StringRecord,
    map: ColumnMap,
    row: csv::StringRecord,
    clock: RowClock,
    run: [u8; 8],
    number: u64,
    /// Bytes read of the file.
    pub(crate) bytes_read: Arc<AtomicU64>,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// The first row that is no request.
    pub(crate) failed: Option<RowError>,
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

impl Rows {
    /// Opens a file and a map.
    pub(crate) fn open(file: &Path, map: &Path, clock: RowClock) -> Result<Self, CannotRun> {
        let named =
            |path: &Path, error: &dyn std::fmt::Display| CannotRun(format!("{}: {error}", path.display()));
        let opened = File::open(file).map_err(|error| named(file, &error))?;
        let bytes = opened.metadata().map_err(|error| named(file, &error))?.len();
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: opened, count: bytes_read.clone() };
        let unpacked: Box<dyn Read> = match file.extension().and_then(|extension| extension.to_str()) {
            Some("zst") => Box::new(zstd::Decoder::new(counted).map_err(|error| named(file, &error))?),
            Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(counted))),
            Some(_) | None => Box::new(counted),
        };
        let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 20).from_reader(unpacked);
        let header = reader.headers().map_err(|error| named(file, &error))?.clone();
        let map_text = std::fs::read_to_string(map).map_err(|error| named(map, &error))?;
        let parsed = ColumnMap::parse(&map_text, &header).map_err(|error| named(map, &error))?;
        // The same file gives the same ids, so that sending it again within the ids' time repeats the answers.
        let mut run = [0; 8];
        match clock {
            RowClock::Event => {
                let name = file.file_name().unwrap_or_default().as_encoded_bytes();
                let digest = blake3::hash(&[name, &bytes.to_le_bytes(), map_text.as_bytes()].concat());
                run.copy_from_slice(&digest.as_bytes()[..8]);
            }
            RowClock::Now => run.copy_from_slice(&crate::server::keys::random_id()[..8]),
        }
        let row = csv::StringRecord::new();
        Ok(Self { reader, header, map: parsed, row, clock, run, number: 0, bytes_read, bytes, failed: None })
    }

    fn read(&mut self) -> Result<Option<AuthorisationRequest>, RowError> {
        let line = self.reader.position().line();
        let read = self.reader.read_record(&mut self.row);
        if !read.map_err(|error| RowError::of_line(line, error.to_string()))? {
            return Ok(None);
        }
        self.number += 1;
        let mut request = self.map.request(&self.row, line, &self.header)?;
        if !self.map.has(Field::RequestId) {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&self.run);
            id[8..].copy_from_slice(&self.number.to_be_bytes());
            request.request_id = RequestId(id);
        }
        if self.clock == RowClock::Now || !self.map.has(Field::EventTime) {
            request.event_time = Some(clock::now());
        }
        Ok(Some(request))
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
