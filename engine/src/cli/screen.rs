//! `sparr screen`: requests written as JSON, or the rows of a file.

use super::connect::ConnectArgs;
use super::{CannotRun, Ended, Outcome};
use crate::server::clock;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sparr_loadgen::names::ReasonNames;
use sparr_loadgen::rows::{RowClock, Rows};
use sparr_loadgen::tally::Tally;
use sparr_loadgen::{closed_loop, summary};
use sparr_protocol::client::{CallError, Client, ClientConfig, Pipe};
use sparr_protocol::codes::Role;
use sparr_protocol::json::{self, JsonError};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::{AuthorisationResponse, Why};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Arguments of `sparr screen`.
#[derive(Args)]
#[command(after_help = "Examples:
  sparr screen --json '{\"request_id\": \"00000000000000000000000000000001\", \"kind\": \"invoice\",
                        \"amount_minor\": 5716, \"currency\": \"SEK\", \"subject\": \"19121212-1212\"}'
  sparr screen --json requests.ndjson              one object a line; - reads standard input
  sparr screen --input rows.csv.zst --map config/maps/fdh.toml

One answer a line, in the order of the requests. Exit code 1 where a line was no request.")]
pub(crate) struct ScreenArgs {
    /// A request as a JSON object, or a file with one per line; with --input: print the summary as JSON
    #[arg(long, value_name = "JSON|FILE", num_args = 0..=1, default_missing_value = "", required_unless_present = "input")]
    json: Option<String>,
    /// A CSV file whose rows are sent, in order; .zst and .gz are unpacked
    #[arg(long, value_name = "FILE", requires = "map")]
    input: Option<PathBuf>,
    /// Which column is which field
    #[arg(long, value_name = "MAP.toml", requires = "input")]
    map: Option<PathBuf>,
    /// Which time a row's request carries: its own (`event`) or the time of sending (`now`)
    #[arg(long, value_name = "CLOCK", default_value = "event", requires = "input")]
    clock: RowClock,
    /// Rows in flight at once
    #[arg(long, value_name = "N", default_value_t = 1_024, requires = "input")]
    in_flight: usize,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Sends requests and prints what comes back.
pub(crate) fn run(args: &ScreenArgs) -> Outcome {
    let config = args.connect.config(Role::Gateway)?;
    match (&args.input, &args.map) {
        (Some(input), Some(map)) => send_rows(args, input, map, config),
        _ => send_json(args.json.as_deref().unwrap_or_default(), config),
    }
}

/// A request, or what is wrong with its line.
type Line = (usize, Result<AuthorisationRequest, JsonError>);

fn send_json(given: &str, config: ClientConfig) -> Outcome {
    let lines = read_lines(given)?;
    super::runtime()?.block_on(async {
        let client = Client::connect(config).await?;
        let mut names = ReasonNames::new(&client);
        let mut ended = Ended::Fine;
        for chunk in lines.chunks(LINES_AT_ONCE) {
            for (line, answered) in screen_all(&client, chunk).await {
                let shown = match answered {
                    Ok(response) => {
                        if let Ok(decided) = response.answer {
                            names.learn(decided.reasons.iter()).await;
                        }
                        response.to_json(|code| names.name(code))
                    }
                    Err(error) => {
                        ended = Ended::Findings;
                        json!({ "line": line, "error": error.code, "problem": error.problem })
                    }
                };
                print_line(&shown)?;
            }
        }
        client.close().await;
        Ok(ended)
    })
}

/// Lines that are in flight together.
const LINES_AT_ONCE: usize = 1_024;

/// Why a line has no answer.
struct LineError {
    code: &'static str,
    problem: String,
}

async fn screen_all(
    client: &Client,
    lines: &[Line],
) -> Vec<(usize, Result<AuthorisationResponse, LineError>)> {
    let calls = lines.iter().map(|(line, request)| async move {
        let answered = match request {
            Ok(request) => client.screen(request).await.map_err(|error| LineError {
                code: match error {
                    CallError::Timeout(_) => "timeout",
                    CallError::InFlight => "id_twice",
                    CallError::Encode(_) => "too_large",
                    CallError::Connect(_)
                    | CallError::ConnectionLost(_)
                    | CallError::TooManyInFlight(_)
                    | CallError::Unreadable(_) => "connection_lost",
                },
                problem: error.to_string(),
            }),
            Err(error) => Err(LineError { code: "no_request", problem: error.to_string() }),
        };
        (*line, answered)
    });
    futures_util::future::join_all(calls).await
}

/// One object, or one per line of a file or of standard input.
fn read_lines(given: &str) -> Result<Vec<Line>, CannotRun> {
    let parse = |text: &str| json::parse(text).and_then(|value| AuthorisationRequest::from_json(&value));
    if given.trim_start().starts_with('{') {
        return Ok(vec![(1, parse(given))]);
    }
    let lines: Vec<String> = match given {
        "" => return Err(CannotRun("--json needs an object, a file, or - for standard input".to_owned())),
        "-" => std::io::stdin().lock().lines().collect::<Result<_, _>>()?,
        file => {
            let text =
                std::fs::read_to_string(file).map_err(|error| CannotRun(format!("{file}: {error}")))?;
            text.lines().map(str::to_owned).collect()
        }
    };
    let numbered = lines.iter().enumerate().map(|(at, line)| (at + 1, line.trim()));
    Ok(numbered.filter(|(_, line)| !line.is_empty()).map(|(number, line)| (number, parse(line))).collect())
}

fn print_line(value: &Value) -> Result<(), CannotRun> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").map_err(CannotRun::from)
}

fn send_rows(args: &ScreenArgs, input: &Path, map: &Path, config: ClientConfig) -> Outcome {
    let mut rows = Rows::open(input, map, args.clock)?;
    let progress = progress_bar(rows.bytes);
    let (bytes_read, mut tally) = (rows.bytes_read.clone(), Tally::default());
    let started = clock::instant();
    let (names, took) = super::runtime()?.block_on(async {
        let pipe = Pipe::open(&config).await?;
        closed_loop::run(pipe, &mut rows, args.in_flight, |response, round_trip| {
            tally.add(&response, round_trip);
            if tally.answers.is_multiple_of(4_096) {
                progress.set_position(bytes_read.load(Ordering::Relaxed));
                progress.set_message(format!("{} requests", tally.answers));
            }
        })
        .await?;
        let took = clock::instant().duration_since(started);
        progress.finish_and_clear();
        let client = Client::connect(config.clone()).await?;
        let names = ReasonNames::of(&client, tally.reasons.keys().copied()).await;
        Ok::<_, CannotRun>((names, took))
    })?;
    if args.json.is_some() {
        let mut object = summary::answers_object(&tally, took, &names);
        object.extend(summary::closed_loop_object(&tally));
        print_line(&object.into())?;
    } else {
        print!("{}{}", summary::answers_table(&tally, &names), summary::closed_loop_table(&tally, took));
    }
    let skewed: u64 =
        tally.not_screened.iter().filter(|((why, _), _)| *why == Why::TimeSkew.name()).map(|(_, n)| n).sum();
    if skewed > 0 {
        eprintln!(
            "sparr: {skewed} rows are too old for the engine's clock: run it with --clock event, or send them with --clock now"
        );
    }
    match rows.failed {
        None => Ok(Ended::Fine),
        Some(error) => Err(CannotRun(format!("{}: {error}; the rows before it were sent", input.display()))),
    }
}

/// A bar on a terminal, and nothing of it in a pipe.
fn progress_bar(bytes: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {eta} left") {
        bar.set_style(style);
    }
    bar
}
