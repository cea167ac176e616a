//! Stands in for Parquet files where the program was built without them.

use super::CannotRun;
use serde_json::{Map, Value};
use std::path::Path;

/// No file.
pub(super) enum ParquetFile {}

impl ParquetFile {
    /// Says why there is none.
    pub(super) fn create(_: &Path) -> Result<Self, CannotRun> {
        Err(CannotRun("this program was built without the feature parquet".to_owned()))
    }

    pub(super) fn add(&mut self, _: Map<String, Value>) -> Result<(), CannotRun> {
        match *self {}
    }

    pub(super) fn finish(self) -> Result<(), CannotRun> {
        match self {}
    }
}
