//! What was sent and what came back, in the order of sending: for whoever runs it again. Values stand in it as they were sent.

use crate::stream::Planned;
use crate::summary::Names;
use sparr_protocol::response::AuthorisationResponse;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Why a run is not recorded.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotRecord(String);

fn named(file: &Path, error: &dyn std::fmt::Display) -> CannotRecord {
    CannotRecord(format!("{}: {error}", file.display()))
}

/// Writes `requests.ndjson`, as `sparr screen --json` and `sparr backtest --data` take it, and `answers.ndjson`.
pub struct Record {
    dir: PathBuf,
    requests: BufWriter<File>,
    /// The first thing that could not be written.
    failed: Option<std::io::Error>,
}

impl Record {
    /// Begins in a folder, which is made where it is missing.
    pub fn begin(dir: &Path) -> Result<Self, CannotRecord> {
        std::fs::create_dir_all(dir).map_err(|error| named(dir, &error))?;
        let file = dir.join("requests.ndjson");
        let requests = BufWriter::new(File::create(&file).map_err(|error| named(&file, &error))?);
        Ok(Self { dir: dir.to_owned(), requests, failed: None })
    }

    /// Notes a request that will be sent.
    pub fn sends(&mut self, planned: &Planned) {
        if self.failed.is_none() {
            self.failed = writeln!(self.requests, "{}", planned.request.to_json()).err();
        }
    }

    /// Says which requests will be sent: all that were noted.
    pub fn sent(&mut self) -> Result<(), CannotRecord> {
        let flushed = self.requests.flush();
        self.failed.take().map_or(flushed, Err).map_err(|error| named(&self.dir, &error))
    }

    /// Writes the answers, each beside its request's line; one that never came is an empty object.
    pub fn answered(
        &self,
        count: usize,
        answers: &[(u64, AuthorisationResponse)],
        names: &Names,
    ) -> Result<(), CannotRecord> {
        let file = self.dir.join("answers.ndjson");
        let mut out = BufWriter::new(File::create(&file).map_err(|error| named(&file, &error))?);
        let mut in_order = vec![None; count];
        for (number, answer) in answers {
            if let Some(place) = in_order.get_mut(*number as usize) {
                *place = Some(answer);
            }
        }
        let written = in_order.into_iter().try_for_each(|answer| match answer {
            Some(answer) => {
                let name = |code| names.get(&code).cloned().unwrap_or_else(|| format!("reason_{}", code.0));
                writeln!(out, "{}", answer.to_json(name))
            }
            None => writeln!(out, "{{}}"),
        });
        written.and_then(|()| out.flush()).map_err(|error| named(&file, &error))
    }
}
