//! Tests of a rule set: tables of requests at stated times, with what should come of each.
//!
//! They stand in `*.test.yaml` beside the rules. Time is the table's own, so that windows can be tested; every request is
//! observed as a real one would be.

use super::diagnostic::{Code, Diagnostic};
use super::fields::{self, Fields, entries};
use super::sources::{Sources, Span};
use super::yaml::{self, Node, Value};
use super::{check, example::EXAMPLE_TIME};
use sparr_protocol::codes::{Outcome, Review, Wish};
use sparr_protocol::time::Timestamp;

/// When a table begins that does not say: 2026-01-01 12:00 UTC.
pub const START: Timestamp = EXAMPLE_TIME;

/// A table: requests in the order in which they come.
#[derive(Debug)]
pub struct Table {
    /// What it is about.
    pub name: String,
    /// Where it is named.
    pub at: Span,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A field of a request as it is written: name and value, each with its place.
#[derive(Clone, Debug)]
pub struct Stated {
    /// The field's name.
    pub name: String,
    /// Where it stands.
    pub name_at: Span,
    /// The value.
    pub value: String,
    /// Where that stands.
    pub value_at: Span,
}

/// One request, and what should come of it.
#[derive(Debug)]
pub struct Row {
    /// Where it begins.
    pub at: Span,
    /// When it comes.
    pub time: Timestamp,
    /// Its fields: those of `given`, and in their place its own.
    pub fields: Vec<Stated>,
    /// A flag that its person has raised before.
    pub flag: Option<Wish>,
    /// What should come of it.
    pub expected: Expected,
}

/// What should come of a request; what is `None` may be anything.
#[derive(Debug, Default)]
pub struct Expected {
    /// Where it stands.
    pub at: Option<Span>,
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// The review.
    pub review: Option<Review>,
    /// The summed score.
    pub score: Option<i32>,
    /// The names of the reasons, in any order.
    pub reasons: Option<Vec<String>>,
    /// The ids of the enforced rules that hit, in any order.
    pub hits: Option<Vec<String>>,
    /// The ids of the shadow rules that hit, in any order.
    pub shadow: Option<Vec<String>>,
    /// Why it is not screened.
    pub not_screened: Option<String>,
}

const OUTCOMES: [&str; 3] = ["approve", "challenge", "decline"];
const REVIEWS: [&str; 3] = ["none", "after", "hold"];

/// Reads the tables of all files, which stand among the `rules` of `sources`.
pub fn read(sources: &Sources) -> (Vec<Table>, Vec<Diagnostic>) {
    let mut report = Vec::new();
    let mut tables = Vec::new();
    for (id, file) in sources.files().take(sources.rules.len()) {
        let Some(tree) = yaml::parse(id, &file.text, &mut report) else { continue };
        let Some(top) = Fields::open(&tree, "a file of tests", &["tests"], &mut report) else { continue };
        let Some(tests) = top.need("tests", &mut report) else { continue };
        for node in fields::list(tests, "tests", &mut report) {
            tables.extend(table(&file.text, node, &mut report));
        }
    }
    (tables, report)
}

fn table(text: &str, node: &Node, report: &mut Vec<Diagnostic>) -> Option<Table> {
    let test = Fields::open(node, "a test", &["name", "start", "given", "requests"], report)?;
    let name_node = test.need("name", report);
    let start = test.get("start").and_then(|node| {
        fields::value(node, "start", "a time such as 2026-03-01T12:00:00Z", Timestamp::parse, report)
    });
    let start = start.unwrap_or(EXAMPLE_TIME);
    let given = test.get("given").map_or_else(Given::default, |node| Given::read(node, "`given`", report));
    let requests = test.need("requests", report)?;
    let rows = fields::list(requests, "requests", report)
        .iter()
        .filter_map(|node| row(text, node, start, &given, report))
        .collect::<Vec<_>>();
    if let Some(back) = rows.windows(2).find(|pair| pair[1].time < pair[0].time) {
        let message = "requests stand in the order in which they come";
        report.push(Diagnostic::new(Code::TestForm, back[1].at, message));
    }
    Some(Table {
        name: name_node.and_then(|node| fields::text(node, "name", report)).unwrap_or_default().to_owned(),
        at: name_node.map_or_else(|| node.at.first_line(text), |node| node.at),
        rows,
    })
}

/// Fields of a request, and the flag of its person.
#[derive(Default)]
struct Given {
    at: Option<Span>,
    expect: Option<Expected>,
    after_ms: i64,
    fields: Vec<Stated>,
    flag: Option<Wish>,
}

impl Given {
    fn read(node: &Node, what: &str, report: &mut Vec<Diagnostic>) -> Self {
        let mut given = Self { at: Some(node.at), ..Self::default() };
        for (name, name_at, value) in entries(node, what, report).unwrap_or_default() {
            match name {
                "at" => {
                    let length = |text: &str| check::parse_duration(text).filter(|ms| *ms >= 0);
                    let form = "how long after the start it comes, such as 90s";
                    given.after_ms = fields::value(value, "at", form, length, report).unwrap_or_default();
                }
                "expect" => given.expect = Some(expected(value, report)),
                "flag" => {
                    given.flag = fields::one_of(value, "flag", &["verify", "deny"], Wish::parse, report);
                }
                _ => given.fields.extend(fields::text(value, name, report).map(|text| Stated {
                    name: name.to_owned(),
                    name_at,
                    value: text.to_owned(),
                    value_at: value.at,
                })),
            }
        }
        given
    }
}

fn row(
    text: &str,
    node: &Node,
    start: Timestamp,
    given: &Given,
    report: &mut Vec<Diagnostic>,
) -> Option<Row> {
    let own = Given::read(node, "a request", report);
    let at = own.at.unwrap_or(node.at).first_line(text);
    let Some(expected) = own.expect else {
        let message = "a request of a test says what it expects";
        report.push(
            Diagnostic::new(Code::TestForm, at, message)
                .help("write `expect: approve`, or `expect: { outcome: decline, hits: [a-rule] }`"),
        );
        return None;
    };
    let mut fields = own.fields;
    let inherited = given.fields.iter().filter(|known| !fields.iter().any(|own| own.name == known.name));
    let inherited: Vec<_> = inherited.cloned().collect();
    fields.extend(inherited);
    let flag = own.flag.or(given.flag);
    Some(Row { at, time: start.saturating_add_ms(own.after_ms), fields, flag, expected })
}

fn expected(node: &Node, report: &mut Vec<Diagnostic>) -> Expected {
    let at = Some(node.at);
    if let Value::Scalar(..) = &node.is {
        let outcome = fields::one_of(node, "expect", &OUTCOMES, Outcome::parse, report);
        return Expected { at, outcome, ..Expected::default() };
    }
    let keys = ["outcome", "review", "score", "reasons", "hits", "shadow", "not_screened"];
    let Some(group) = Fields::open(node, "`expect`", &keys, report) else { return Expected::default() };
    let mut names = |key: &str| {
        let node = group.get(key)?;
        let items = fields::list(node, key, report);
        Some(items.iter().filter_map(|item| Some(fields::text(item, key, report)?.to_owned())).collect())
    };
    let (reasons, hits, shadow) = (names("reasons"), names("hits"), names("shadow"));
    Expected {
        at,
        outcome: group
            .get("outcome")
            .and_then(|node| fields::one_of(node, "outcome", &OUTCOMES, Outcome::parse, report)),
        review: group
            .get("review")
            .and_then(|node| fields::one_of(node, "review", &REVIEWS, Review::parse, report)),
        score: group.get("score").and_then(|node| {
            fields::value(node, "score", "a whole number", |text| text.parse().ok(), report)
        }),
        reasons,
        hits,
        shadow,
        not_screened: group
            .get("not_screened")
            .and_then(|node| Some(fields::text(node, "not_screened", report)?.to_owned())),
    }
}
