//! `sparr map`: messages of payment networks as requests for `sparr screen`, and its answers as the networks' codes.

use super::map_show::{Shown, report_json, report_text};
use super::{CannotRun, Ended, Outcome};
use crate::edge::answers::{Answered, Answers};
use crate::edge::iso8583::CardKey;
use crate::edge::iso20022::tables::Status;
use crate::edge::table::Findings;
use crate::edge::{EventTime, Item, Mapped, Standard, iso8583, iso20022};
use crate::limits::EDGE_FILE_BYTES_MAX;
use crate::rules::SourceFile;
use crate::server::{clock, keys, shipped};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use sparr_loadgen::rows::RowClock;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// `sparr map …`.
#[derive(Subcommand)]
pub(crate) enum MapCommand {
    /// Card messages: 0100, 0200 and reversals
    #[command(after_help = EXAMPLE_8583)]
    Iso8583 {
        #[command(flatten)]
        args: MapArgs,
        /// Key of the card zone, 64 hexadecimal digits in a file that its owner alone may read: requests then carry
        /// `pan_digest`, the same at every member
        #[arg(long, value_name = "FILE")]
        pan_key: Option<PathBuf>,
    },
    /// Transfers in XML: pacs.008 and pain.001
    #[command(after_help = EXAMPLE_20022)]
    Iso20022(MapArgs),
    /// Check tables without reading a message
    Check {
        /// Tables, such as config/edge/iso8583.toml
        #[arg(value_name = "TABLE.toml", required = true)]
        tables: Vec<PathBuf>,
        /// Reasons that answers may name [default: those that sparr ships]
        #[arg(long, value_name = "REASONS.toml")]
        reasons: Option<PathBuf>,
    },
}

const EXAMPLE_8583: &str = "Example:
  sparr map iso8583 messages.dat --clock now > requests.ndjson
  sparr screen --json requests.ndjson > answers.ndjson
  sparr map iso8583 messages.dat --answers answers.ndjson

Requests go to standard output, one a line; what was used of each message, what was not, and why one was refused, to standard
error, or with --report as JSON to a file. Exit codes: 0 all mapped, 1 some refused or unanswered, 2 could not run.";

const EXAMPLE_20022: &str = "Example:
  sparr map iso20022 pacs008.xml --clock now > requests.ndjson
  sparr screen --json requests.ndjson > answers.ndjson
  sparr map iso20022 pacs008.xml --answers answers.ndjson

Requests go to standard output, one a line; what was used of each transaction, what was not, and why one was refused, to
standard error, or with --report as JSON to a file. Exit codes: 0 all mapped, 1 some refused or unanswered, 2 could not run.";

/// What both standards need.
#[derive(Args)]
pub(crate) struct MapArgs {
    /// File of messages; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Layout and codes [default: the one that sparr ships, config/edge/]
    #[arg(long, value_name = "TABLE.toml")]
    table: Option<PathBuf>,
    /// Reasons that the table may name [default: those that sparr ships]
    #[arg(long, value_name = "REASONS.toml")]
    reasons: Option<PathBuf>,
    /// Which time a request carries: the message's own (`event`) or that of its receipt by the engine (`now`)
    #[arg(long, value_name = "CLOCK", default_value = "event")]
    clock: RowClock,
    /// Write what was used and what was not to this file, one JSON object a line, instead of to standard error as text
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Answers of `sparr screen` to the requests of this file: print the codes for each message instead of its request
    #[arg(long, value_name = "ANSWERS.ndjson")]
    answers: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(command: &MapCommand) -> Outcome {
    match command {
        MapCommand::Iso8583 { args, pan_key } => {
            let (text, mut findings) = table(args, Standard::Iso8583)?;
            let Some(tables) = iso8583::Tables::read(&text, &mut findings) else { return faulty(&findings) };
            let key = pan_key.as_deref().map(keys::read_secret).transpose()?.map(CardKey::new);
            let file = read(&args.file)?;
            let items = iso8583::items(&file, &tables, key.as_ref(), time(args.clock));
            finish(args, &items, &tables.answers, |code| {
                [("field_39", code.as_str().into())].into_iter().collect()
            })
        }
        MapCommand::Iso20022(args) => {
            let (text, mut findings) = table(args, Standard::Iso20022)?;
            let Some(tables) = iso20022::Tables::read(&text, &mut findings) else { return faulty(&findings) };
            let file = read(&args.file)?;
            let items = iso20022::items(&file, &tables, time(args.clock), clock::now());
            finish(args, &items, &tables.answers, |code: &Status| {
                let reason = code.reason.as_ref().map(|reason| ("status_reason", reason.as_str().into()));
                std::iter::once(("status", Value::from(code.status.as_str()))).chain(reason).collect()
            })
        }
        MapCommand::Check { tables, reasons } => check(tables, reasons.as_deref()),
    }
}

/// The table of the arguments, and the reasons that it may name.
fn table(args: &MapArgs, standard: Standard) -> Result<(String, Findings), CannotRun> {
    let table = match &args.table {
        None => shipped::edge(standard),
        Some(path) => source(path)?,
    };
    let findings = Findings::new(&table.name, &table.text, reasons(args.reasons.as_deref())?);
    Ok((table.text, findings))
}

fn reasons(path: Option<&Path>) -> Result<SourceFile, CannotRun> {
    path.map_or_else(|| Ok(shipped::reasons()), source)
}

fn source(path: &Path) -> Result<SourceFile, CannotRun> {
    let text =
        std::fs::read_to_string(path).map_err(|error| CannotRun(format!("{}: {error}", path.display())))?;
    Ok(SourceFile { name: path.display().to_string(), text })
}

/// A table with findings maps nothing: half of a table would be half of the answers.
fn faulty(findings: &Findings) -> Outcome {
    println!("{}", findings.render());
    Err(CannotRun(format!("{} errors in the table", findings.report.len())))
}

fn check(tables: &[PathBuf], reasons_file: Option<&Path>) -> Outcome {
    let mut errors = 0;
    for path in tables {
        let file = source(path)?;
        let mut findings = Findings::new(&file.name, &file.text, reasons(reasons_file)?);
        // Which standard it is for stands in it; a table that does not say is read as the first, which complains.
        let is_20022 = toml::from_str::<toml::Table>(&file.text)
            .is_ok_and(|table| table.get("standard").and_then(toml::Value::as_str) == Some("iso20022"));
        let read = if is_20022 {
            iso20022::Tables::read(&file.text, &mut findings).is_some()
        } else {
            iso8583::Tables::read(&file.text, &mut findings).is_some()
        };
        if !read {
            println!("{}", findings.render());
        }
        errors += findings.report.len();
    }
    println!("{} tables, {errors} errors", tables.len());
    Ok(if errors == 0 { Ended::Fine } else { Ended::Findings })
}

fn time(clock: RowClock) -> EventTime {
    match clock {
        RowClock::Event => EventTime::Message(clock::now()),
        RowClock::Now => EventTime::Receipt,
    }
}

/// The whole of a file, within its bound; wiped when it goes, because it is full of card numbers and accounts.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CannotRun> {
    let in_file = |error: &dyn std::fmt::Display| CannotRun(format!("{}: {error}", path.display()));
    let mut bytes = Zeroizing::new(Vec::new());
    let limit = EDGE_FILE_BYTES_MAX as u64 + 1;
    let taken = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    taken.map_err(|error| in_file(&error))?;
    if bytes.len() > EDGE_FILE_BYTES_MAX {
        return Err(in_file(&format!("too_large: more than {EDGE_FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Prints requests or codes, and the report.
fn finish<C>(
    args: &MapArgs,
    items: &[Item],
    codes: &Answers<C>,
    show: impl Fn(&C) -> Vec<(&'static str, Value)>,
) -> Outcome {
    let answers = args.answers.as_deref().map(read_answers).transpose()?;
    let mut out = std::io::stdout().lock();
    let mut report = args.report.as_ref().map(File::create).transpose()?;
    let mut ended = if items.is_empty() { Ended::Findings } else { Ended::Fine };
    if items.is_empty() {
        eprintln!("sparr: there is no message in {}", args.file.display());
    }
    for (number, item) in (1..).zip(items) {
        let line = match (&item.mapped, &answers) {
            (Err(_), None) => None,
            (Ok(mapped), None) => Some(mapped.request.to_json()),
            (Ok(mapped), Some(answers)) => {
                Some(answer(number, item, mapped, answers, codes, &show, &mut ended))
            }
            (Err(refused), Some(_)) => Some(json!({
                "number": number, "message": item.message, "error": refused.refusal.name(),
                "problem": refused.to_string(),
            })),
        };
        if item.mapped.is_err() {
            ended = Ended::Findings;
        }
        if let Some(line) = line {
            writeln!(out, "{line}")?;
        }
        let shown = Shown { number, item };
        match (&mut report, &answers) {
            (Some(report), _) => writeln!(report, "{}", report_json(&shown))?,
            (None, None) => eprintln!("{}", report_text(&shown)),
            (None, Some(_)) => {}
        }
    }
    Ok(ended)
}

/// Answers by the id of their requests.
fn read_answers(path: &Path) -> Result<HashMap<String, Value>, CannotRun> {
    let text = read(path)?;
    let text = std::str::from_utf8(&text).map_err(|_| CannotRun(format!("{}: not UTF-8", path.display())))?;
    let mut all = HashMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let answer = sparr_protocol::json::parse(line)
            .map_err(|error| CannotRun(format!("{}:{number}: {error}", path.display())))?;
        // A line that `sparr screen` could make no request of has no id: its message is left without an answer.
        if let Some(id) = answer.get("request_id").and_then(Value::as_str) {
            all.insert(id.to_owned(), answer.clone());
        }
    }
    Ok(all)
}

/// The codes for one message. Where no answer is there or none can be read, it is as if it had not been screened.
fn answer<C>(
    number: usize,
    item: &Item,
    mapped: &Mapped,
    answers: &HashMap<String, Value>,
    codes: &Answers<C>,
    show: impl Fn(&C) -> Vec<(&'static str, Value)>,
    ended: &mut Ended,
) -> Value {
    let id = mapped.request.request_id.to_string();
    let answered = answers.get(&id).and_then(Answered::from_json);
    let mut object = Map::new();
    object.insert("number".into(), number.into());
    object.insert("message".into(), item.message.as_str().into());
    object.insert("request_id".into(), id.into());
    if answered.is_none() {
        *ended = Ended::Findings;
        object.insert("error".into(), "no_answer".into());
    }
    let answered = answered.unwrap_or_else(Answered::none);
    let (code, because) = codes.code(&answered);
    object.insert("ending".into(), answered.ending.name().into());
    object.extend(because.map(|name| ("because".to_owned(), Value::from(name))));
    object.extend(show(code).into_iter().map(|(name, value)| (name.to_owned(), value)));
    object.extend(mapped.echo.iter().map(|(name, text)| ((*name).to_owned(), text.as_str().into())));
    object.into()
}
