//! `sparr decisions --export --parquet FILE`: the log's requests as a Parquet file that analysts' tools and the backtest read.
//!
//! One column for each field of a request, called as the field is. Times are timestamps, amounts integers, all else text;
//! what is absent is null. Needs the feature `parquet`.

use super::CannotRun;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use serde_json::{Map, Value};
use sparr_protocol::field::Field;
use sparr_protocol::time::Timestamp;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a row group: what is in memory before it is written.
const GROUP_ROWS: usize = 50_000;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Integer,
    Time,
}

fn holds(field: Field) -> Holds {
    match field {
        Field::EventTime => Holds::Time,
        Field::AmountMinor => Holds::Integer,
        _ => Holds::Text,
    }
}

/// A file that is written under another name until it is whole.
pub(super) struct ParquetFile {
    writer: SerializedFileWriter<File>,
    rows: Vec<Map<String, Value>>,
    half: PathBuf,
    whole: PathBuf,
}

impl ParquetFile {
    /// Begins a file.
    pub(super) fn create(path: &Path) -> Result<Self, CannotRun> {
        let columns = fields().map(|field| column(field).map(Arc::new));
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("request").with_fields(columns).build()?;
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let half = PathBuf::from(name);
        let file = File::create(&half).map_err(|error| CannotRun(format!("{}: {error}", half.display())))?;
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        Ok(Self { writer, rows: Vec::new(), half, whole: path.to_owned() })
    }

    /// Adds a request.
    pub(super) fn add(&mut self, request: Map<String, Value>) -> Result<(), CannotRun> {
        self.rows.push(request);
        if self.rows.len() == GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    /// Writes what is left, and gives the file its name.
    pub(super) fn finish(mut self) -> Result<(), CannotRun> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        self.writer.finish()?;
        self.writer.inner().sync_all()?;
        std::fs::rename(&self.half, &self.whole)?;
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), CannotRun> {
        let mut group = self.writer.next_row_group()?;
        for field in fields() {
            let values = self.rows.iter().map(|row| row.get(field.name()));
            match holds(field) {
                Holds::Text => put::<ByteArrayType>(&mut group, values, |value| {
                    Some(ByteArray::from(text(value).as_str()))
                })?,
                Holds::Integer => put::<Int64Type>(&mut group, values, |value| text(value).parse().ok())?,
                Holds::Time => put::<Int64Type>(&mut group, values, |value| {
                    Timestamp::parse(&text(value)).map(Timestamp::ms)
                })?,
            }
        }
        group.close()?;
        self.rows.clear();
        Ok(())
    }
}

/// Every field of a request, in the order of the columns.
fn fields() -> impl Iterator<Item = Field> {
    Field::ALWAYS.iter().chain(Field::OPTIONAL).copied()
}

fn column(field: Field) -> Result<Type, CannotRun> {
    let (physical, logical) = match holds(field) {
        Holds::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Holds::Integer => (Physical::INT64, None),
        Holds::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
    };
    let column = Type::primitive_type_builder(field.name(), physical);
    Ok(column.with_repetition(Repetition::OPTIONAL).with_logical_type(logical).build()?)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Writes the next column: its values, and for each row whether there is one.
fn put<'a, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    rows: impl Iterator<Item = Option<&'a Value>>,
    convert: impl Fn(&Value) -> Option<T::T>,
) -> Result<(), CannotRun> {
    let (mut values, mut there) = (Vec::new(), Vec::new());
    for value in rows {
        let value = value.and_then(&convert);
        there.push(i16::from(value.is_some()));
        values.extend(value);
    }
    let Some(mut column) = group.next_column()? else {
        return Err(CannotRun("a column is missing in the schema".to_owned()));
    };
    column.typed::<T>().write_batch(&values, Some(&there), None)?;
    column.close()?;
    Ok(())
}
