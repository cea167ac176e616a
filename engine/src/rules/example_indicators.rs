//! Indicators as an example states them: `indicator: { email: { grade: confirmed, sources: 2 } }`.

use super::diagnostic::{Code, Diagnostic};
use super::fields::{self, alternatives, entries};
use super::yaml::Node;
use crate::indicators::Evidence;
use crate::request::About;
use sparr_protocol::indicator::{Attestation, ClassName, Grade, IndicatorRole};

/// What an indicator is where its example says nothing of it: one that somebody else shared, as they mostly are.
fn usual() -> Evidence {
    Evidence {
        hit: true,
        contested: false,
        grade: Grade::Observed,
        class: ClassName::NONE,
        role: None,
        attested: Some(Attestation::Police),
        sources: 1,
        strongest: None,
    }
}

/// Reads a group of values, each with a group of attributes.
pub(super) fn read(node: &Node, report: &mut Vec<Diagnostic>) -> Vec<(About, Evidence)> {
    let mut stated = Vec::new();
    for (name, at, attributes) in entries(node, "`indicator`", report).unwrap_or_default() {
        let Some(slot) = About::parse(name) else {
            let names = About::ALL.map(|(_, name)| name);
            let message = format!("indicators are not about `{name}`");
            let help = format!("they are about {}", alternatives(&names));
            report.push(Diagnostic::new(Code::ExampleForm, at, message).help(help));
            continue;
        };
        let mut evidence = usual();
        for (attribute, at, value) in entries(attributes, "an indicator", report).unwrap_or_default() {
            read_attribute(&mut evidence, attribute, at, value, report);
        }
        stated.push((slot, evidence));
    }
    stated
}

fn read_attribute(
    evidence: &mut Evidence,
    attribute: &str,
    at: super::sources::Span,
    value: &Node,
    report: &mut Vec<Diagnostic>,
) {
    let truth = |text: &str| text.parse::<bool>().ok();
    match attribute {
        "hit" => {
            if let Some(hit) = fields::value(value, attribute, "true or false", truth, report) {
                evidence.hit = hit;
            }
        }
        "contested" => {
            if let Some(contested) = fields::value(value, attribute, "true or false", truth, report) {
                (evidence.contested, evidence.hit) = (contested, !contested);
            }
        }
        "grade" => {
            let names: Vec<&str> = Grade::ALL.iter().map(|grade| grade.name()).collect();
            if let Some(grade) = fields::one_of(value, attribute, &names, Grade::parse, report) {
                evidence.grade = grade;
            }
        }
        "role" => {
            let names: Vec<&str> = IndicatorRole::ALL.iter().map(|role| role.name()).collect();
            evidence.role = fields::one_of(value, attribute, &names, IndicatorRole::parse, report);
        }
        "class" => {
            let expected = "1 to 24 of a-z, 0-9, _ and -";
            if let Some(class) = fields::value(value, attribute, expected, ClassName::parse, report) {
                evidence.class = class;
            }
        }
        "attested" => {
            let names = ["police", "member"];
            evidence.attested = fields::one_of(value, attribute, &names, Attestation::parse, report);
        }
        "sources" => {
            let number = |text: &str| text.parse().ok();
            if let Some(sources) = fields::value(value, attribute, "a number from 0 to 255", number, report) {
                evidence.sources = sources;
            }
        }
        _ => {
            let message = format!("an indicator has no `{attribute}`");
            report.push(Diagnostic::new(Code::ExampleForm, at, message));
        }
    }
}
