//! Rows of a Parquet file as the text that they would be elsewhere: CSV with a header for a column map, or one JSON object a
//! line where the columns are called as fields are.
//!
//! Only flat columns have a text. Times become milliseconds, dates and decimals what they are written as, and what is null is
//! empty or left out. Needs the feature `parquet`.

use crate::rows::{Opened, RowText};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows that are made into text at a time.
const ROWS_AT_ONCE: usize = 256;

/// Opens a Parquet file as text.
pub(crate) fn open(file: &Path, style: RowText) -> io::Result<Opened> {
    let inner = File::open(file)?;
    let bytes = inner.metadata()?.len();
    let reader = guarded(|| SerializedFileReader::new(inner).map_err(io::Error::other))?;
    let metadata = reader.metadata().file_metadata();
    let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
    let columns = metadata.schema_descr().root_schema().get_fields();
    if let Some(nested) = columns.iter().find(|column| !column.is_primitive()) {
        return Err(io::Error::other(format!(
            "the column {:?} is nested: only flat ones are read",
            nested.name()
        )));
    }
    let names: Vec<String> = columns.iter().map(|column| column.name().to_owned()).collect();
    let bytes_read = Arc::new(AtomicU64::new(0));
    let mut text = Text {
        rows: guarded(|| Ok(RowIter::from_file_into(Box::new(reader))))?,
        style,
        buffer: Vec::new(),
        at: 0,
        taken: 0,
        of: (rows, bytes),
        bytes_read: bytes_read.clone(),
    };
    match style {
        RowText::Csv => text.write_csv(&names)?,
        RowText::Json => {}
    }
    Ok(Opened { unpacked: Box::new(text), bytes, bytes_read })
}

/// The library panics over some files that lie about themselves: that is an error of the file.
fn guarded<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(io::Error::other("the file is damaged")))
}

struct Text {
    rows: RowIter<'static>,
    style: RowText,
    buffer: Vec<u8>,
    /// What of the buffer was read.
    at: usize,
    /// Rows taken off the file.
    taken: u64,
    /// All rows, and the file's bytes.
    of: (u64, u64),
    bytes_read: Arc<AtomicU64>,
}

impl Read for Text {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
            for _ in 0..ROWS_AT_ONCE {
                let rows = &mut self.rows;
                let Some(row) = guarded(|| rows.next().transpose().map_err(io::Error::other))? else { break };
                self.take(row)?;
            }
        }
        let read = (&self.buffer[self.at..]).read(out)?;
        self.at += read;
        Ok(read)
    }
}

impl Text {
    fn take(&mut self, row: Row) -> io::Result<()> {
        self.taken += 1;
        let (rows, bytes) = self.of;
        let share = u128::from(self.taken) * u128::from(bytes) / u128::from(rows.max(self.taken));
        self.bytes_read.store(u64::try_from(share).unwrap_or(bytes), Ordering::Relaxed);
        match self.style {
            RowText::Csv => {
                let fields = row.into_columns().into_iter();
                let texts = fields.map(|(name, field)| Ok(text(&name, field)?.unwrap_or_default()));
                let texts: Vec<String> = texts.collect::<io::Result<_>>()?;
                self.write_csv(&texts)
            }
            RowText::Json => {
                let mut object = Map::new();
                for (name, field) in row.into_columns() {
                    let value = match field {
                        Field::Bool(is) => Some(Value::Bool(is)),
                        Field::Long(number) | Field::TimestampMillis(number) => Some(number.into()),
                        other => text(&name, other)?.map(Value::String),
                    };
                    object.extend(value.map(|value| (name, value)));
                }
                serde_json::to_writer(&mut self.buffer, &object)?;
                self.buffer.push(b'\n');
                Ok(())
            }
        }
    }

    fn write_csv(&mut self, record: &[String]) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.buffer);
        writer.write_record(record)?;
        writer.flush()
    }
}

/// A value as it would stand in a CSV file; `None` where there is none. An error does not repeat it.
fn text(name: &str, field: Field) -> io::Result<Option<String>> {
    Ok(Some(match field {
        Field::Null => return Ok(None),
        Field::Str(text) => text,
        Field::Bytes(bytes) => {
            let text =
                bytes.as_utf8().map_err(|_| io::Error::other(format!("{name}: bytes that are no text")))?;
            text.to_owned()
        }
        Field::TimestampMillis(ms) => ms.to_string(),
        Field::TimestampMicros(us) => us.div_euclid(1_000).to_string(),
        Field::Bool(is) => is.to_string(),
        Field::Byte(number) => number.to_string(),
        Field::Short(number) => number.to_string(),
        Field::Int(number) => number.to_string(),
        Field::Long(number) => number.to_string(),
        Field::UByte(number) => number.to_string(),
        Field::UShort(number) => number.to_string(),
        Field::UInt(number) => number.to_string(),
        Field::ULong(number) => number.to_string(),
        Field::Float16(number) => number.to_string(),
        Field::Float(number) => number.to_string(),
        Field::Double(number) => number.to_string(),
        // As the library writes them: 2026-11-23, 10.50.
        date_or_decimal @ (Field::Date(_)
        | Field::Decimal(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)) => date_or_decimal.to_string().trim_matches('"').to_owned(),
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            return Err(io::Error::other(format!("{name}: a nested value")));
        }
    }))
}
