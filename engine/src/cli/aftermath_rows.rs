//! Final results and labels as people write them: NDJSON with the names of the fields, or CSV with a map. No error repeats
//! a value.

use super::CannotRun;
use super::aftermath::answer_id;
use crate::contract::Fields;
use crate::contract::aftermath::{LABEL_FIELDS, RESULT_FIELDS, label, result};
use serde::Deserialize;
use sparr_protocol::aftermath::{FinalResult, Label};
use sparr_protocol::text::nearest;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

/// What was read: rows with their lines, and lines that are none.
pub(crate) struct Told<T> {
    pub(crate) rows: Vec<(u64, T)>,
    pub(crate) rejected: Vec<(u64, String)>,
}

/// Final results of a file.
pub(crate) fn results(file: &Path, map: Option<&Path>) -> Result<Told<FinalResult>, CannotRun> {
    read(file, map, &RESULT_FIELDS, |fields| result(fields, answer_id()))
}

/// Labels of a file.
pub(crate) fn labels(file: &Path, map: Option<&Path>) -> Result<Told<Label>, CannotRun> {
    read(file, map, &LABEL_FIELDS, |fields| label(fields, answer_id()))
}

/// A map, as for requests: `[columns]` and `[defaults]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    #[serde(default)]
    columns: BTreeMap<String, String>,
    #[serde(default)]
    defaults: BTreeMap<String, String>,
}

fn read<T>(
    file: &Path,
    map: Option<&Path>,
    known: &[&str],
    row: impl Fn(&Fields) -> Result<T, String>,
) -> Result<Told<T>, CannotRun> {
    let in_file = |error: &dyn std::fmt::Display| CannotRun(format!("{}: {error}", file.display()));
    let opened: Box<dyn Read + Send> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).map_err(|error| in_file(&error))?)
    };
    let opened = sparr_loadgen::rows::unpacked(file, opened).map_err(|error| in_file(&error))?;
    let mut reader = BufReader::new(opened);
    let mut told = Told { rows: Vec::new(), rejected: Vec::new() };
    let mut take = |line: u64, fields: Result<Fields, String>| match fields.and_then(|fields| row(&fields)) {
        Ok(row) => told.rows.push((line, row)),
        Err(why) => told.rejected.push((line, why)),
    };
    let is_json = loop {
        let bytes = reader.fill_buf().map_err(|error| in_file(&error))?;
        match bytes.first() {
            None => return Ok(told),
            Some(b' ' | b'\n' | b'\r' | b'\t') => reader.consume(1),
            Some(first) => break *first == b'{',
        }
    };
    if is_json {
        if map.is_some() {
            return Err(CannotRun("NDJSON names its fields itself: --map is for CSV".to_owned()));
        }
        for (number, line) in (1..).zip(reader.lines()) {
            let line = line.map_err(|error| in_file(&error))?;
            if !line.trim().is_empty() {
                let value = sparr_protocol::json::parse(&line).map_err(|_| "not JSON".to_owned());
                take(number, value.and_then(|value| crate::contract::fields(value, known)));
            }
        }
        return Ok(told);
    }
    let map = match map {
        None => Map::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| CannotRun(format!("{}: {error}", path.display())))?;
            toml::from_str(&text).map_err(|error| CannotRun(format!("{}: {error}", path.display())))?
        }
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(reader);
    let header = reader.headers().map_err(|error| in_file(&error))?.clone();
    let columns = columns(&map, &header, known)?;
    for record in reader.records() {
        let (line, fields) = match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let cell = |at: usize| record.get(at).unwrap_or_default().to_owned();
                let mut fields = map.defaults.clone();
                fields.extend(columns.iter().map(|(name, at)| (name.clone(), cell(*at))));
                (line, Ok(fields))
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                (line, Err("not as many columns as the header".to_owned()))
            }
        };
        take(line, fields);
    }
    Ok(told)
}

/// Which column is which field.
fn columns(map: &Map, header: &csv::StringRecord, known: &[&str]) -> Result<Vec<(String, usize)>, CannotRun> {
    let unknown = |name: &str| {
        let near = nearest(name, known.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        CannotRun(format!("no field is called {name:?}{near}; there are {}", known.join(", ")))
    };
    for name in map.columns.keys().chain(map.defaults.keys()) {
        if !known.contains(&name.as_str()) {
            return Err(unknown(name));
        }
    }
    if map.columns.is_empty() {
        let named = header.iter().enumerate().map(|(at, name)| {
            if known.contains(&name) { Ok((name.to_owned(), at)) } else { Err(unknown(name)) }
        });
        return named.collect();
    }
    let found = map.columns.iter().map(|(name, column)| {
        let at = header.iter().position(|known| known == column);
        at.map(|at| (name.clone(), at)).ok_or_else(|| CannotRun(format!("the file has no column {column:?}")))
    });
    found.collect()
}
