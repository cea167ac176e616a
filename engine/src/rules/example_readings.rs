//! What an example states of windows: `velocity: { card: { 10m: { count: 9 } } }` and `first_seen: { card: 2d }`.

use super::check::{duration_text, parse_duration, parse_key, parse_window};
use super::diagnostic::{Code, Diagnostic};
use super::fields::{self, entries, say_form};
use super::ir::{Condition, Visit as _, Visitor};
use super::sources::Span;
use super::yaml::{Node, Value};
use crate::request::KeyName;
use crate::velocity::Reading;
use crate::velocity::spec::{KeyExpr, KindSet, Mark, Measure, Plan, ReadingIndex, ReadingSpec};
use sparr_protocol::codes::Kind;

/// A reading as an example states it.
pub(super) struct StatedReading {
    key: KeyExpr,
    /// `None` where it is for any length: when a key was first seen.
    span_ms: Option<i64>,
    measure: Measure,
    value: i64,
    at: Span,
}

impl StatedReading {
    fn is_of(&self, spec: &ReadingSpec) -> bool {
        spec.key == self.key
            && spec.measure == self.measure
            && self.span_ms.is_none_or(|span_ms| span_ms == spec.span_ms)
    }

    /// As a condition reads it.
    fn text(&self) -> String {
        match self.span_ms {
            Some(span_ms) => window_text(self.key, span_ms, self.measure),
            None => format!("first_seen({})", self.key.text()),
        }
    }
}

/// `{ key: { window: { count: 9, sum: 100 } } }`.
pub(super) fn velocity(node: &Node, stated: &mut Vec<StatedReading>, report: &mut Vec<Diagnostic>) {
    let Value::Map(keys) = &node.is else {
        return say_form(node, "`velocity` is a group of keys", report);
    };
    for (key_node, windows) in keys {
        let Some(key) = key(key_node, report) else { continue };
        for (window, at, measures) in entries(windows, "a velocity key", report).unwrap_or_default() {
            let Some(span_ms) = parse_window(window) else {
                let message = format!("`{window}` is no window, such as 10m or 24h");
                report.push(Diagnostic::new(Code::ExampleForm, at, message));
                continue;
            };
            for (name, at, value) in entries(measures, "a window", report).unwrap_or_default() {
                let Some(measure) = measure_of(name) else {
                    let message = format!(
                        "a window has `count`, `sum`, `max`, `declined`, `declined_final` and `distinct(key)`, not `{name}`"
                    );
                    report.push(Diagnostic::new(Code::ExampleForm, at, message));
                    continue;
                };
                let number = |text: &str| text.parse().ok();
                if let Some(value) = fields::value(value, name, "a whole number", number, report) {
                    stated.push(StatedReading { key, span_ms: Some(span_ms), measure, value, at });
                }
            }
        }
    }
}

/// `{ key: 2d }`; what is not named is not known.
pub(super) fn first_seen(node: &Node, stated: &mut Vec<StatedReading>, report: &mut Vec<Diagnostic>) {
    let Value::Map(keys) = &node.is else {
        return say_form(node, "`first_seen` is a group of keys", report);
    };
    for (key_node, value) in keys {
        let Some(key) = key(key_node, report) else { continue };
        let expected = "a length of time, such as 0s or 2d";
        let age = |text: &str| parse_duration(text).filter(|age_ms| *age_ms >= 0);
        if let Some(value) = fields::value(value, "first_seen", expected, age, report) {
            let measure = Measure::FirstSeen;
            stated.push(StatedReading { key, span_ms: None, measure, value, at: key_node.at });
        }
    }
}

/// The readings that an example states; all others are absent.
pub(super) fn all(
    stated: &[StatedReading],
    condition: &Condition,
    plan: &Plan,
    report: &mut Vec<Diagnostic>,
) -> Vec<Reading> {
    let read = ReadingsRead::of(condition);
    let mut readings = vec![Reading::Absent; plan.readings()];
    for stated in stated {
        let asked: Vec<_> = plan
            .keys()
            .iter()
            .flat_map(|plan| &plan.readings)
            .filter(|(index, spec)| stated.is_of(spec) && read.contains(*index))
            .collect();
        if asked.is_empty() {
            let message = format!("the rule does not read {}", stated.text());
            report.push(Diagnostic::new(Code::ExampleForm, stated.at, message));
        }
        for (index, spec) in asked {
            let most = if spec.measure == Measure::FirstSeen { spec.span_ms } else { i64::MAX };
            readings[index.0] = Reading::Exact(stated.value.min(most));
        }
    }
    readings
}

fn key(node: &Node, report: &mut Vec<Diagnostic>) -> Option<KeyExpr> {
    let key = key_text(node).and_then(|text| parse_key(&text));
    if key.is_none() {
        let message = "this is no key of velocity, such as card or \"[card, merchant]\"";
        report.push(Diagnostic::new(Code::ExampleForm, node.at, message));
    }
    key
}

/// A key of velocity as text: `card`, `"[card, merchant]"`, or the pair written as a list.
fn key_text(node: &Node) -> Option<String> {
    match &node.is {
        Value::Scalar(text, _) => Some(text.clone()),
        Value::List(pair) => {
            let names: Option<Vec<&str>> = pair
                .iter()
                .map(|item| match &item.is {
                    Value::Scalar(text, _) => Some(text.as_str()),
                    Value::Nothing | Value::List(_) | Value::Map(_) | Value::Refused => None,
                })
                .collect();
            Some(format!("[{}]", names?.join(", ")))
        }
        Value::Nothing | Value::Map(_) | Value::Refused => None,
    }
}

/// A measure as examples write it: as a condition does, without the dot.
fn measure_of(name: &str) -> Option<Measure> {
    match name {
        "count" => Some(Measure::Count),
        "sum" => Some(Measure::Sum),
        "max" => Some(Measure::Max),
        "declined" | "declined_by_sparr" => Some(Measure::Marked(Mark::DeclinedBySparr)),
        "declined_final" => Some(Measure::Marked(Mark::DeclinedFinal)),
        _ => {
            let key = name.strip_prefix("distinct(")?.strip_suffix(')')?;
            KeyName::parse(key.trim()).map(Measure::Distinct)
        }
    }
}

/// A reading as a rule writes it: `velocity(card, "10m").count`. Kinds that count by default are not named.
pub fn reading_text(spec: &ReadingSpec) -> String {
    let ReadingSpec { key, kinds, span_ms, measure } = *spec;
    if measure == Measure::FirstSeen {
        return format!("first_seen({}, \"{}\")", key.text(), duration_text(span_ms));
    }
    if kinds == KindSet::DEFAULT {
        return window_text(key, span_ms, measure);
    }
    let named = Kind::ALL.iter().filter(|kind| kinds.contains(**kind));
    let named: Vec<String> = named.map(|kind| format!("\"{}\"", kind.name())).collect();
    let (key, window, kinds) = (key.text(), duration_text(span_ms), named.join(", "));
    format!("velocity({key}, \"{window}\", [{kinds}]).{}", measure_name(measure))
}

fn window_text(key: KeyExpr, span_ms: i64, measure: Measure) -> String {
    format!("velocity({}, \"{}\").{}", key.text(), duration_text(span_ms), measure_name(measure))
}

fn measure_name(measure: Measure) -> String {
    match measure {
        Measure::Count => "count".to_owned(),
        Measure::Sum => "sum".to_owned(),
        Measure::Max => "max".to_owned(),
        Measure::Marked(Mark::DeclinedBySparr) => "declined".to_owned(),
        Measure::Marked(Mark::DeclinedFinal) => "declined_final".to_owned(),
        Measure::Distinct(key) => format!("distinct({})", key.name()),
        Measure::FirstSeen => "first_seen".to_owned(),
    }
}

/// The readings that one condition asks for.
#[derive(Default)]
struct ReadingsRead(Vec<ReadingIndex>);

impl ReadingsRead {
    fn of(condition: &Condition) -> Self {
        let mut read = Self::default();
        condition.visit(&mut read);
        read
    }

    fn contains(&self, index: ReadingIndex) -> bool {
        self.0.contains(&index)
    }
}

impl Visitor for ReadingsRead {
    fn reading(&mut self, index: ReadingIndex) {
        self.0.push(index);
    }
}
