//! Why a rule hit or did not: each part of its condition, word for word, with what it came to.

use super::interpret::Scene;
use super::ir::{Atom, Code, Condition, Fraction, Node, Number, Test, Text, Unit};
use super::set::{Mode, RuleSet};
use super::truth::{Lack, Truth};
use super::values::time_reader;
use super::{check::duration_text, expression::Operator, expression::Place};
use crate::facts::Facts;
use crate::facts::schema::{CodeDomain, Read};
use sparr_protocol::time::Timestamp;

/// What one rule made of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleExplanation {
    /// Place of the rule in [`RuleSet::rules`].
    pub rule: usize,
    /// Its name.
    pub id: String,
    /// What it is there for.
    pub description: String,
    /// Whether a hit counts.
    pub mode: Mode,
    /// What its condition came to; it hit where this is [`Truth::True`].
    pub truth: Truth,
    /// Its condition, as it is written.
    pub when: String,
    /// The parts of the condition, each before its own parts.
    pub parts: Vec<Part>,
}

/// A part of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How deep inside of the condition it stands; the condition itself is 0.
    pub depth: usize,
    /// The line of its file on which it begins.
    pub line: usize,
    /// The part, word for word.
    pub text: String,
    /// What it came to: a value, `absent`, or what failed.
    pub value: String,
}

impl RuleSet {
    /// What each rule that applies to a request made of it, enforced rules first.
    pub fn explain(&self, facts: &Facts<'_>, now: Timestamp) -> Vec<RuleExplanation> {
        let scene = Scene { facts, lists: &self.lists, now };
        let explain = |at: usize| {
            let rule = &self.rules[at];
            RuleExplanation {
                rule: at,
                id: rule.id.clone(),
                description: rule.description.clone(),
                mode: rule.mode,
                truth: rule.condition.truth(scene),
                when: rule.when.clone(),
                parts: parts(&rule.condition, &rule.when, rule.when_line, scene),
            }
        };
        self.applying(facts, now).map(explain).collect()
    }
}

/// The parts of a condition, outer ones first. Constants are left out: they say what they are.
pub(super) fn parts(condition: &Condition, text: &str, first_line: usize, scene: Scene<'_>) -> Vec<Part> {
    let mut explainer = Explainer { text, first_line, scene, parts: Vec::new() };
    explainer.condition(condition, 0);
    explainer.parts
}

struct Explainer<'e> {
    text: &'e str,
    first_line: usize,
    scene: Scene<'e>,
    parts: Vec<Part>,
}

impl Explainer<'_> {
    fn say(&mut self, at: Place, depth: usize, value: String) {
        let text = on_one_line(self.text.get(at.start..at.end).unwrap_or_default());
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = self.first_line + before.bytes().filter(|byte| *byte == b'\n').count();
        self.parts.push(Part { depth, line, text, value });
    }

    fn condition(&mut self, condition: &Condition, depth: usize) {
        if matches!(condition.is, Test::Constant(_)) {
            return;
        }
        self.say(condition.at, depth, truth_text(condition.truth(self.scene)));
        let inner = depth + 1;
        match &condition.is {
            Test::Constant(_) => {}
            Test::Atom(atom) => self.atom(atom, inner),
            Test::Not(part) => self.condition(part, inner),
            // The body of `exists` and `all` stands at one place for every element: the whole says it.
            Test::All(terms) | Test::Any(terms) if unrolled(terms) => {}
            Test::All(terms) | Test::Any(terms) => terms.iter().for_each(|term| self.condition(term, inner)),
            Test::If(choice) => {
                [&choice.test, &choice.one, &choice.other]
                    .into_iter()
                    .for_each(|part| self.condition(part, inner));
            }
            Test::Same(pair) => pair.iter().for_each(|part| self.condition(part, inner)),
        }
    }

    fn atom(&mut self, atom: &Atom, depth: usize) {
        match atom {
            Atom::Holds(_) | Atom::Present(_) | Atom::Covered(..) => {}
            Atom::Numbers(left, _, right) => [left, right].iter().for_each(|part| self.number(part, depth)),
            Atom::Fractions(left, _, right) => {
                [left, right].iter().for_each(|part| self.fraction(part, depth));
            }
            Atom::Texts(left, _, right) | Atom::TextPart(left, _, right) => {
                [left, right].iter().for_each(|part| self.words(part, depth));
            }
            Atom::Codes(left, right) => [left, right].iter().for_each(|part| self.code(part, depth)),
            Atom::NumberIn(value, _) | Atom::NumberListed(value, _) => self.number(value, depth),
            Atom::TextIn(value, _) | Atom::TextListed(value, _) | Atom::Matches(value, _) => {
                self.words(value, depth);
            }
            Atom::CodeIn(value, _) | Atom::CodeListed(value, _) => self.code(value, depth),
        }
    }

    fn number(&mut self, node: &Node<Number>, depth: usize) {
        let unit = unit(node);
        let value = node.number(self.scene).map(|value| match unit {
            Unit::Plain => value.to_string(),
            Unit::Time => Timestamp::from_ms(value).to_string(),
            Unit::Duration => duration_text(value),
        });
        match &node.is {
            Number::Constant(..) => return,
            Number::Field(_) | Number::Reading(..) | Number::Size(_) => {
                self.say(node.at, depth, value_text(value));
            }
            Number::Truncated(fraction) => {
                self.say(node.at, depth, value_text(value));
                self.fraction(fraction, depth + 1);
            }
            Number::Calendar(_, _, inner) | Number::Negative(inner) => {
                self.say(node.at, depth, value_text(value));
                self.number(inner, depth + 1);
            }
            Number::Arithmetic(_, pair) => {
                self.say(node.at, depth, value_text(value));
                pair.iter().for_each(|part| self.number(part, depth + 1));
            }
            Number::If(choice) => {
                self.say(node.at, depth, value_text(value));
                self.condition(&choice.test, depth + 1);
                self.number(&choice.one, depth + 1);
                self.number(&choice.other, depth + 1);
            }
        }
        if let Number::Size(text) = &node.is {
            self.words(text, depth + 1);
        }
    }

    fn fraction(&mut self, node: &Node<Fraction>, depth: usize) {
        let value = node.fraction(self.scene).map(|value| value.to_string());
        match &node.is {
            Fraction::Constant(_) => {}
            Fraction::Whole(number) => self.number(number, depth),
            Fraction::Negative(inner) => {
                self.say(node.at, depth, value_text(value));
                self.fraction(inner, depth + 1);
            }
            Fraction::Arithmetic(_, pair) => {
                self.say(node.at, depth, value_text(value));
                pair.iter().for_each(|part| self.fraction(part, depth + 1));
            }
            Fraction::If(choice) => {
                self.say(node.at, depth, value_text(value));
                self.condition(&choice.test, depth + 1);
                self.fraction(&choice.one, depth + 1);
                self.fraction(&choice.other, depth + 1);
            }
        }
    }

    fn words(&mut self, node: &Node<Text>, depth: usize) {
        if matches!(node.is, Text::Constant(_)) {
            return;
        }
        let hidden = matches!(node.is, Text::Field(field, _) if matches!(field.def().read, Read::Opaque(_)));
        let value = node.with_text(self.scene, |text| {
            if hidden { "present (not shown)".to_owned() } else { format!("{text:?}") }
        });
        self.say(node.at, depth, value_text(value));
        if let Text::If(choice) = &node.is {
            self.condition(&choice.test, depth + 1);
            self.words(&choice.one, depth + 1);
            self.words(&choice.other, depth + 1);
        }
    }

    fn code(&mut self, node: &Node<Code>, depth: usize) {
        let Some(domain) = domain(node) else { return };
        let value = node.code(self.scene).map(|code| format!("{:?}", (domain.name_of)(code)));
        self.say(node.at, depth, value_text(value));
        if let Code::If(choice) = &node.is {
            self.condition(&choice.test, depth + 1);
            self.code(&choice.one, depth + 1);
            self.code(&choice.other, depth + 1);
        }
    }
}

/// An expression without its comments and line breaks. Quoted texts stay as they are.
fn on_one_line(expression: &str) -> String {
    let mut line = String::with_capacity(expression.len());
    let mut quote = None;
    let mut rest = expression;
    while let Some(letter) = rest.chars().next() {
        match quote {
            None if rest.starts_with("//") => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            None if letter.is_whitespace() => {
                if !line.ends_with(' ') {
                    line.push(' ');
                }
                rest = &rest[letter.len_utf8()..];
                continue;
            }
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            Some(_) if letter == '\\' => {
                // The letter behind a backslash ends nothing.
                line.push(letter);
                rest = &rest[1..];
            }
            Some(open) if open == letter => quote = None,
            None | Some(_) => {}
        }
        let next = rest.chars().next().map_or(0, char::len_utf8);
        line.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    line.trim_end().to_owned()
}

fn unrolled(terms: &[Condition]) -> bool {
    let place = |term: &Condition| (term.at.start, term.at.end);
    terms.windows(2).all(|pair| place(&pair[0]) == place(&pair[1]))
}

fn unit(node: &Node<Number>) -> Unit {
    match &node.is {
        Number::Constant(_, unit) | Number::Reading(_, unit) => *unit,
        Number::Field(field) if time_reader(*field).is_some() => Unit::Time,
        Number::Field(_) => Unit::Plain,
        Number::Size(_) | Number::Calendar(..) | Number::Truncated(_) => Unit::Plain,
        Number::Negative(inner) => unit(inner),
        Number::Arithmetic(operator, pair) => match (unit(&pair[0]), operator, unit(&pair[1])) {
            (Unit::Time, Operator::Subtract, Unit::Time) => Unit::Duration,
            (Unit::Time, _, _) | (_, _, Unit::Time) => Unit::Time,
            (Unit::Duration, _, _) => Unit::Duration,
            (Unit::Plain, _, _) => Unit::Plain,
        },
        Number::If(choice) => unit(&choice.one),
    }
}

/// The enumeration of a value; a constant alone does not say.
fn domain(node: &Node<Code>) -> Option<&'static CodeDomain> {
    match &node.is {
        Code::Constant(_) => None,
        Code::Field(field) => {
            let Read::Code(domain, _) = field.def().read else { return None };
            Some(domain)
        }
        Code::If(choice) => domain(&choice.one).or_else(|| domain(&choice.other)),
    }
}

/// A condition's answer in words.
pub(super) fn truth_text(truth: Truth) -> String {
    match truth {
        Truth::False => "false".to_owned(),
        Truth::True => "true".to_owned(),
        Truth::Absent => "absent".to_owned(),
        Truth::Error(fault) => fault.text().to_owned(),
    }
}

fn value_text(value: Result<String, Lack>) -> String {
    match value {
        Ok(text) => text,
        Err(Lack::Absent) => "absent".to_owned(),
        Err(Lack::Fault(fault)) => fault.text().to_owned(),
    }
}
