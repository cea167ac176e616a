//! `sparr-load generate`: final results and labels of a stream, for whoever wants to know what became of it.

use crate::{CannotRun, Ended, Outcome};
use clap::Args;
use serde_json::Value;
use sparr_loadgen::aftermath;
use sparr_loadgen::frames::SOME_MIDNIGHT;
use sparr_loadgen::people::Population;
use sparr_loadgen::stream::{Plan, Stream};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Arguments of `sparr-load generate`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr-load generate --requests 200000 --seed 1 --out day/")]
pub(crate) struct GenerateArgs {
    /// Requests of the day
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    requests: u64,
    /// The same seed gives the same day
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Folder for results.ndjson and labels.ndjson
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the files.
pub(crate) fn run(args: &GenerateArgs) -> Outcome {
    std::fs::create_dir_all(&args.out).map_err(|error| named(&args.out, &error))?;
    let (mut results, mut labels) = (Out::create(&args.out, "results")?, Out::create(&args.out, "labels")?);
    let population = Population { flags: 0, ..Population::default() };
    // The ids are those of `sparr-load run --seed` with this run's front half: zero, because nothing is sent.
    let (seed, requests) = (args.seed, args.requests);
    let plan = Plan { seed, population, midnight: SOME_MIDNIGHT, requests, listed: 0, run: [0; 8] };
    for (number, planned) in (0..).zip(Stream::new(plan)) {
        let time = planned.request.event_time.unwrap_or(SOME_MIDNIGHT).ms();
        results.line(&aftermath::final_result(number, &planned).to_json(time))?;
        if let Some(label) = aftermath::label(number, &planned) {
            labels.line(&label.to_json(time))?;
        }
    }
    for (out, what) in [(&mut results, "final results"), (&mut labels, "labels")] {
        let lines = out.finish()?;
        println!("{}: {lines} {what}", out.file.display());
    }
    Ok(Ended::Fine)
}

fn named(file: &Path, error: &dyn std::fmt::Display) -> CannotRun {
    CannotRun(format!("{}: {error}", file.display()))
}

struct Out {
    file: PathBuf,
    writer: BufWriter<File>,
    lines: u64,
}

impl Out {
    fn create(dir: &Path, name: &str) -> Result<Self, CannotRun> {
        let file = dir.join(format!("{name}.ndjson"));
        let writer = BufWriter::new(File::create(&file).map_err(|error| named(&file, &error))?);
        Ok(Self { file, writer, lines: 0 })
    }

    fn line(&mut self, value: &Value) -> Result<(), CannotRun> {
        self.lines += 1;
        writeln!(self.writer, "{value}").map_err(|error| named(&self.file, &error))
    }

    fn finish(&mut self) -> Result<u64, CannotRun> {
        self.writer.flush().map_err(|error| named(&self.file, &error))?;
        Ok(self.lines)
    }
}
