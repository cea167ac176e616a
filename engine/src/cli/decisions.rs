//! `sparr decisions`: the answers of an engine, as its decision log has them.

use super::decisions_parquet::ParquetFile;
use super::exchange::{Common, incomplete, new_operation, one_of, refused};
use super::{CannotRun, Ended, Outcome};
use clap::Args;
use serde_json::Value;
use sparr_protocol::client::Client;
use sparr_protocol::codes;
use sparr_protocol::codes::Role;
use sparr_protocol::exchange::{
    Answered, DECISIONS_MAX, DecisionDetail, DecisionPlace, DecisionQuery, ExchangeAnswer, ExchangeRequest,
    Operation, Said,
};
use sparr_protocol::exemption::is_rule_name;
use sparr_protocol::ids::{MemberName, RequestId};
use sparr_protocol::time::Timestamp;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Reading a page may mean reading all of the log.
const PAGE_WAIT: std::time::Duration = std::time::Duration::from_secs(300);

/// Arguments of `sparr decisions`.
#[derive(Args)]
#[command(after_help = "Examples:
  sparr decisions --since 1h --outcome decline --rule card-testing
  sparr decisions --since 2026-11-23T08:00:00+01:00 --rerun --json
  sparr decisions --since 1d --export > day.ndjson && sparr backtest --rules candidate --data day.ndjson
  sparr decisions --since 1d --export --parquet day.parquet

Exit codes: 0 fine, 1 something is missing in an export, was changed in the log, or comes to something else when it is run
again; 2 could not run.")]
pub(crate) struct DecisionsArgs {
    #[command(flatten)]
    span: SpanArgs,
    /// approve, challenge, decline or not_screened
    #[arg(long, value_name = "OUTCOME", value_parser = one_of(answered, "approve, challenge, decline or not_screened"))]
    outcome: Option<Answered>,
    /// Where this rule hit, enforced or in shadow
    #[arg(long, value_name = "RULE", value_parser = one_of(rule, "a rule's id, such as card-testing"))]
    rule: Option<String>,
    /// Where a flag or an indicator of this member was involved
    #[arg(long, value_name = "MEMBER", value_parser = one_of(MemberName::parse, "a member's name"))]
    member: Option<MemberName>,
    /// The answer to this request
    #[arg(long, value_name = "ID", value_parser = one_of(RequestId::parse, "32 hexadecimal digits"))]
    id: Option<RequestId>,
    /// At most so many, the oldest first; 0 for all [default: 1000, all with --export]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Run each one again and say what differs
    #[arg(long)]
    rerun: bool,
    /// The requests as NDJSON that `sparr backtest` reads as it is
    #[arg(long, conflicts_with_all = ["rerun", "json"])]
    export: bool,
    /// Export though answers are missing in the log
    #[arg(long, requires = "export")]
    allow_gaps: bool,
    /// Export into a Parquet file instead (feature `parquet`)
    #[arg(long, value_name = "FILE", requires = "export")]
    parquet: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// A span of time.
#[derive(Args, Clone, Copy)]
pub(super) struct SpanArgs {
    /// Answered from this time on: RFC 3339, ms since 1970, or how long ago (90s, 15m, 2h, 7d)
    #[arg(long, value_name = "TIME", value_parser = one_of(time, TIME))]
    since: Option<Timestamp>,
    /// Answered before this time
    #[arg(long, value_name = "TIME", value_parser = one_of(time, TIME))]
    until: Option<Timestamp>,
}

const TIME: &str = "a time such as 2026-11-22T16:00:00+01:00, or how long ago, such as 15m";

/// A time, or how long ago it was.
fn time(text: &str) -> Option<Timestamp> {
    let units = [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let ago = units.iter().find_map(|(unit, ms)| {
        let count: i64 = text.strip_suffix(unit)?.parse().ok().filter(|count| *count >= 0)?;
        count.checked_mul(*ms)
    });
    match ago {
        Some(ms) => Some(crate::server::clock::now().saturating_add_ms(-ms)),
        None => Timestamp::parse(text),
    }
}

fn answered(text: &str) -> Option<Answered> {
    match text {
        "not_screened" => Some(Answered::NotScreened),
        other => codes::Outcome::parse(other).map(Answered::With),
    }
}

fn rule(text: &str) -> Option<String> {
    is_rule_name(text).then(|| text.to_owned())
}

impl SpanArgs {
    /// Every answer of the span.
    pub(super) fn query(self) -> DecisionQuery {
        DecisionQuery {
            request: None,
            since: self.since.unwrap_or(Timestamp::MIN),
            until: self.until.unwrap_or(Timestamp::from_ms(i64::MAX)),
            after: DecisionPlace::default(),
            limit: DECISIONS_MAX,
            answer: Answered::Any,
            member: None,
            rule: None,
            detail: DecisionDetail::default(),
        }
    }
}

/// What became of asking.
pub(super) enum Asked {
    /// Everything was heard, or `each` had enough.
    Heard,
    /// The engine refused, or made no sense; it was printed.
    Ended(Ended),
}

/// Asks for everything that a query means, page by page, and hands on line after line.
pub(super) fn ask_all(
    common: &Common,
    role: Role,
    mut query: DecisionQuery,
    mut each: impl FnMut(Value) -> Result<ControlFlow<()>, CannotRun>,
) -> Result<Asked, CannotRun> {
    let mut config = common.connect.config(role)?;
    config.exchange_timeout = PAGE_WAIT;
    super::runtime()?.block_on(async {
        let client = Client::connect(config).await?;
        loop {
            let operation = Operation::DecisionList(Box::new(query.clone()));
            let answers = client.exchange(&ExchangeRequest { id: new_operation(), operation }).await?;
            let Some(text) = text_of(&answers) else {
                client.close().await;
                let ended = match answers.last() {
                    Some(last @ ExchangeAnswer { said: Said::Refused(refusal), .. }) => {
                        refused(*refusal, last, common.json)
                    }
                    _ => incomplete(common.json),
                };
                return Ok(Asked::Ended(ended));
            };
            let mut lines = 0;
            for line in text.lines() {
                let value: Value = serde_json::from_str(line)?;
                lines += 1;
                let place = |key: &str| value["place"][key].as_u64().unwrap_or_default();
                query.after = DecisionPlace { segment: place("segment"), at: place("at") };
                if each(value)?.is_break() {
                    client.close().await;
                    return Ok(Asked::Heard);
                }
            }
            if lines < query.limit {
                client.close().await;
                return Ok(Asked::Heard);
            }
        }
    })
}

/// The pieces of an answer, put together; `None` where it is no text.
fn text_of(answers: &[ExchangeAnswer]) -> Option<String> {
    let (last, pieces) = answers.split_last()?;
    matches!(last.said, Said::End).then_some(())?;
    let mut text = String::new();
    for piece in pieces {
        let Said::Piece(piece) = &piece.said else { return None };
        text.push_str(piece);
    }
    Some(text)
}

/// Lists decisions.
pub(crate) fn run(args: &DecisionsArgs) -> Outcome {
    let detail = DecisionDetail { rerun: args.rerun, export: args.export, explain: false };
    let limit = args.limit.unwrap_or(if args.export { 0 } else { 1_000 });
    let limit = if limit == 0 { u64::MAX } else { limit };
    let query = DecisionQuery {
        request: args.id,
        answer: args.outcome.unwrap_or(Answered::Any),
        member: args.member,
        rule: args.rule.clone(),
        limit: limit.min(DECISIONS_MAX.into()) as u16,
        detail,
        ..args.span.query()
    };
    let mut file = args.parquet.as_deref().map(ParquetFile::create).transpose()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut decisions, mut findings, mut gaps) = (0, 0, 0);
    let asked = ask_all(&args.common, Role::Operator, query, |mut line| {
        let is_decision = line.get("gap").is_none() && line.get("damage").is_none();
        if is_decision {
            decisions += 1;
            findings += u64::from(line["rerun"]["equal"] == Value::Bool(false));
        } else {
            gaps += u64::from(line.get("gap").is_some());
            findings += u64::from(line.get("damage").is_some());
        }
        if args.export {
            match (is_decision, line.as_object_mut()) {
                (true, Some(object)) => {
                    object.remove("place");
                    match &mut file {
                        Some(file) => file.add(std::mem::take(object))?,
                        None => writeln!(out, "{line}")?,
                    }
                }
                (true | false, _) => eprintln!("{}", words(&line)),
            }
        } else if args.common.json {
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{}", words(&line))?;
        }
        Ok(if decisions < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    out.flush()?;
    if let Asked::Ended(ended) = asked {
        return Ok(ended);
    }
    if decisions == 0 && findings == 0 && gaps == 0 && !args.common.json && !args.export {
        println!("The decision log has no such answer.");
    }
    file.map_or(Ok(()), ParquetFile::finish)?;
    let missing = args.export && gaps > 0 && !args.allow_gaps;
    if missing {
        eprintln!(
            "Answers are missing in the log: this is not all of them. --allow-gaps says that it is enough."
        );
    }
    Ok(if findings > 0 || missing { Ended::Findings } else { Ended::Fine })
}

/// A line for people.
pub(super) fn words(line: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    if let Some(gap) = line.get("gap") {
        let missing =
            gap["missing"].as_u64().map_or_else(|| "answers".to_owned(), |n| format!("{n} answers"));
        return format!(
            "{}  GAP: {missing} missing since {} ({})",
            text(&gap["until"]),
            text(&gap["from"]),
            text(&gap["why"])
        );
    }
    if let Some(damage) = line.get("damage") {
        return format!("DAMAGED: {} ({})", text(damage), line["place"]);
    }
    let answer = match line["outcome"].as_str() {
        Some(outcome) => match line["review"].as_str() {
            None | Some("none") => outcome.to_owned(),
            Some(review) => format!("{outcome} + {review}"),
        },
        None => format!("not screened ({})", text(&line["not_screened"])),
    };
    let mut out = format!("{}  {}  {answer:<18}", text(&line["answered_at"]), text(&line["request_id"]));
    let amount = line["amount_minor"].as_i64().map_or_else(String::new, |minor| {
        format!(" {}.{:02} {}", minor / 100, minor.unsigned_abs() % 100, text(&line["currency"]))
    });
    // Writing to a string cannot fail.
    let _ = write!(out, "  {}{amount}", line["kind"].as_str().unwrap_or("no request"));
    let list = |key: &str| -> Vec<String> { line[key].as_array().into_iter().flatten().map(text).collect() };
    for (what, key) in
        [("", "reasons"), ("rules: ", "rules"), ("in shadow: ", "shadow"), ("silenced: ", "silenced")]
    {
        let names = list(key);
        if !names.is_empty() {
            let _ = write!(out, "  {what}{}", names.join(", "));
        }
    }
    if line["repeated"] == Value::Bool(true) {
        out.push_str("  (given again)");
    }
    match &line["rerun"]["equal"] {
        Value::Bool(true) => out.push_str("  run again: the same"),
        Value::Bool(false) => {
            let _ = write!(out, "  RUN AGAIN: DIFFERS in {}", line["rerun"]["differs"]);
        }
        _ => {}
    }
    out
}
