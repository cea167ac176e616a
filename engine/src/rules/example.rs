//! Examples: requests that stand beside a rule and say whether it hits. They run whenever the set is loaded, against
//! the compiled rule itself.

use super::compile::{Answers, Program};
use super::diagnostic::{Code, Diagnostic};
use super::example_readings::StatedReading;
use super::explain::{parts, truth_text};
use super::expression::Source;
use super::fields::{self, entries};
use super::interpret::Scene;
use super::ir::Condition;
use super::lists::Lists;
use super::sources::Span;
use super::tried::Tried;
use super::truth::Truth;
use super::yaml::{Node, Value};
use super::{example_indicators, example_readings};
use crate::facts::money::Rates;
use crate::facts::{Facts, Wanted};
use crate::indicators::Evidence;
use crate::request::{About, Keyring, NetworkKey, Request};
use crate::velocity::spec::{KindSet, Plan};
use jiff::tz::TimeZone;
use sparr_protocol::codes::{Kind, Wish};
use sparr_protocol::frame::Next;
use sparr_protocol::ids::RequestId;
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::text::SetError;
use sparr_protocol::time::Timestamp;

/// An example as it is written.
pub(super) struct Example<'a> {
    /// Where it begins.
    at: Span,
    /// Whether the rule should hit.
    hits: bool,
    /// Fields of the request: name, value, and where they stand.
    fields: Vec<(&'a str, Span, &'a str, Span)>,
    readings: Vec<StatedReading>,
    flag: Option<Wish>,
    indicators: Vec<(About, Evidence)>,
}

/// What an example runs against.
pub(super) struct Stage<'s> {
    pub(super) source: &'s Source,
    pub(super) condition: &'s Condition,
    /// Number of the condition in the program.
    pub(super) compiled: usize,
    pub(super) kinds: KindSet,
    pub(super) plan: &'s Plan,
    pub(super) program: &'s Program,
    pub(super) lists: &'s Lists,
    pub(super) rates: &'s Rates,
    pub(super) zone: &'s TimeZone,
}

/// The time of an example that names none: 2026-01-01 12:00 UTC, a Thursday.
pub(super) const EXAMPLE_TIME: Timestamp = Timestamp::from_ms(1_767_268_800_000);

/// Fields that follow from others, and which those are.
const FOLLOWS_FROM: &[(&str, &str)] = &[
    ("hour", "`event_time`"),
    ("weekday", "`event_time`"),
    ("email_domain", "`email`"),
    ("age_years", "`subject` and `event_time`"),
    ("amount_base_minor", "`amount_minor` and `currency`"),
];

impl<'a> Example<'a> {
    /// Reads `match: {…}` or `no_match: {…}`.
    pub(super) fn read(node: &'a Node, report: &mut Vec<Diagnostic>) -> Option<Self> {
        let group = entries(node, "an example", report)?;
        let [(name @ ("match" | "no_match"), at, body)] = group[..] else {
            let message = "an example is one `match` or one `no_match`, with a request behind it";
            report.push(Diagnostic::new(
                Code::ExampleForm,
                group.first().map_or(node.at, |first| first.1),
                message,
            ));
            return None;
        };
        let mut example = Self {
            at,
            hits: name == "match",
            fields: Vec::new(),
            readings: Vec::new(),
            flag: None,
            indicators: Vec::new(),
        };
        if matches!(body.is, Value::Nothing) {
            return Some(example);
        }
        let before = report.len();
        for (field, at, value) in entries(body, "an example's request", report)? {
            match field {
                "velocity" => example_readings::velocity(value, &mut example.readings, report),
                "first_seen" => example_readings::first_seen(value, &mut example.readings, report),
                "indicator" => example.indicators = example_indicators::read(value, report),
                "flag" => {
                    let wishes = ["verify", "deny"];
                    example.flag = fields::one_of(value, "flag", &wishes, Wish::parse, report);
                }
                _ => {
                    if let Some(text) = fields::text(value, field, report) {
                        example.fields.push((field, at, text, value.at));
                    }
                }
            }
        }
        // A misread example would only be found to disagree.
        (report.len() == before).then_some(example)
    }

    /// Runs the examples of one rule; what does not agree is reported, and what tries nothing that another has not tried.
    pub(super) fn run_all(examples: &[Self], stage: &Stage<'_>, report: &mut Vec<Diagnostic>) {
        let mut known: Vec<(Tried, Span)> = Vec::new();
        for example in examples {
            let Some(tried) = example.run(stage, report) else { continue };
            match known.iter().find(|(before, _)| tried.repeats(before)) {
                None => known.push((tried, example.at)),
                Some((_, before)) => report.push(
                    Diagnostic::new(
                        Code::ExampleRepeats,
                        example.at,
                        "the condition does not need this example",
                    )
                    .label("every part of the condition comes to the same as before")
                    .also(*before, "this one tries it already")
                    .help("leave it out, or let it try a part that no other example tries"),
                ),
            }
        }
    }

    /// Runs the example; what does not agree is reported. Gives back what it tries, where it agrees.
    fn run(&self, stage: &Stage<'_>, report: &mut Vec<Diagnostic>) -> Option<Tried> {
        let before = report.len();
        let request = self.request(stage, report);
        let readings = example_readings::all(&self.readings, stage.condition, stage.plan, report);
        if report.len() > before {
            return None;
        }
        let mut frame = Vec::new();
        if let Err(fault) = request.encode(&mut frame) {
            report.push(Diagnostic::new(Code::ExampleForm, self.at, format!("this is no request: {fault}")));
            return None;
        }
        let Next::Frame { frame, .. } = Next::parse(&frame, REQUEST_FRAME_BYTES_MAX) else { return None };
        let Ok((_, message)) = frame.open() else { return None };
        // Examples hold no real person's number, so their key is nobody's secret.
        let keyring = Keyring::new(NetworkKey::new(0, Default::default()), None);
        let stated = request.event_time.unwrap_or_default();
        let request = match Request::parse(message, &keyring, stated.date(), stated) {
            Ok(request) => request,
            Err(refusal) => {
                let name = refusal.field.map_or("", |field| field.name());
                let at =
                    self.fields.iter().find(|(field, ..)| *field == name).map_or(self.at, |field| field.3);
                let why = refusal.why.name();
                let message = if name.is_empty() {
                    format!("this is no request: {why}")
                } else {
                    format!("`{name}` cannot be this: {why}")
                };
                report.push(Diagnostic::new(Code::ExampleForm, at, message));
                return None;
            }
        };
        let wanted = Wanted {
            plan: stage.plan,
            observed_since: &[],
            rates: stage.rates,
            zone: stage.zone,
            began: Timestamp::MIN,
        };
        let facts = Facts::stated(&request, &wanted, &keyring, self.flag, &readings)
            .with_indicators(&self.indicators);
        let now = request.event_time();
        let scene = Scene { facts: &facts, lists: stage.lists, now };
        let mut answers = Answers::default();
        answers.reset(stage.program);
        let truth = stage.program.truth(stage.compiled, scene, &mut answers);
        let runs = stage.kinds.contains(request.view().kind());
        if (truth == Truth::True && runs) != self.hits {
            report.push(self.disagreement(stage, scene, truth, runs));
            return None;
        }
        Some(Tried::of(stage.condition, runs, scene))
    }

    /// The request that the example states. What it leaves out is absent, except for what every request has, and
    /// the currency of an amount.
    fn request(&self, stage: &Stage<'_>, report: &mut Vec<Diagnostic>) -> AuthorisationRequest {
        let kind = Kind::ALL.iter().find(|kind| stage.kinds.contains(**kind));
        let kind = kind.copied().unwrap_or(Kind::CardPayment);
        let mut request = AuthorisationRequest::new(RequestId([1; 16]), kind, EXAMPLE_TIME);
        for (name, at, text, value_at) in &self.fields {
            // Messages call `subject.kind` and `subject.country` by names without a dot.
            let result = request.set(name, text).or_else(|fault| match fault {
                SetError::UnknownField { .. } => {
                    request.set(&name.replace('.', "_"), text).map_err(|_| fault)
                }
                SetError::Value { .. } => Err(fault),
            });
            match result {
                Ok(()) => {}
                Err(SetError::UnknownField { nearest, .. }) => {
                    let diagnostic = Diagnostic::new(
                        Code::ExampleForm,
                        *at,
                        format!("a request has no field called `{name}`"),
                    );
                    let source = FOLLOWS_FROM.iter().find(|(field, _)| field == name);
                    report.push(match (source, name.strip_prefix("flag.")) {
                        (Some((_, from)), _) => {
                            diagnostic.help(format!("`{name}` follows from {from}: set that"))
                        }
                        (None, Some(wish)) => diagnostic.help(format!("write `flag: {wish}`")),
                        (None, None) => diagnostic.did_you_mean(nearest),
                    });
                }
                Err(SetError::Value { expected, .. }) => {
                    let message = format!("`{name}` is {expected}");
                    report.push(Diagnostic::new(Code::ExampleForm, *value_at, message));
                }
            }
        }
        if request.amount_minor.is_some() {
            request.currency.get_or_insert(stage.rates.base);
        }
        request
    }

    fn disagreement(&self, stage: &Stage<'_>, scene: Scene<'_>, truth: Truth, runs: bool) -> Diagnostic {
        let (message, label) = if self.hits {
            ("the rule should hit this example, and does not", "should hit")
        } else {
            ("the rule should not hit this example, and does", "should not hit")
        };
        let diagnostic = Diagnostic::new(Code::Example, self.at, message).label(label);
        if !runs {
            let kind = scene.facts.request.view().kind().name();
            return diagnostic.help(format!("the rule's `kinds` leave out `{kind}`"));
        }
        let diagnostic =
            diagnostic.also(stage.source.whole(), format!("the condition comes to: {}", truth_text(truth)));
        let parts = parts(stage.condition, &stage.source.text, 1, scene);
        // The condition as a whole has just been said.
        let lines: Vec<_> = parts
            .iter()
            .skip(1)
            .map(|part| format!("{}{}: {}", "  ".repeat(part.depth - 1), part.text, part.value))
            .collect();
        if lines.is_empty() {
            return diagnostic;
        }
        diagnostic.help(format!("its parts come to:\n{}", lines.join("\n")))
    }
}
