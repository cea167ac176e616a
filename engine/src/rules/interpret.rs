//! The plain reading of a checked condition: walk the tree, ask the facts.
//!
//! Explanations use it, part by part, and it is what [`compile`](super::compile) is tested against.

use super::ir::{Atom, Choice, Code, Condition, Fraction, Node, Number, Test, Text};
use super::lists::Lists;
use super::truth::{Lack, Truth, both};
use super::values::{
    address_reader, calculate, calculate_fraction, calendar, code_reader, negative, present, reading,
    text_reader, time_reader, truncated, truth_reader, whole_reader, with_case,
};
use crate::facts::Facts;
use sparr_protocol::time::Timestamp;

/// What a condition is asked about.
#[derive(Clone, Copy)]
pub(super) struct Scene<'s> {
    pub(super) facts: &'s Facts<'s>,
    pub(super) lists: &'s Lists,
    /// The time by which entries of lists have expired.
    pub(super) now: Timestamp,
}

impl Condition {
    /// What the condition comes to.
    pub(super) fn truth(&self, scene: Scene<'_>) -> Truth {
        match &self.is {
            Test::Constant(holds) => (*holds).into(),
            Test::Atom(atom) => atom.truth(scene),
            Test::Not(inner) => inner.truth(scene).not(),
            Test::All(terms) => terms.iter().fold(Truth::True, |all, term| all.and(term.truth(scene))),
            Test::Any(terms) => terms.iter().fold(Truth::False, |any, term| any.or(term.truth(scene))),
            Test::If(choice) => {
                choice.test.truth(scene).choose(|| choice.one.truth(scene), || choice.other.truth(scene))
            }
            Test::Same(pair) => pair[0].truth(scene).same(pair[1].truth(scene)),
        }
    }
}

impl Atom {
    /// What the atom comes to.
    pub(super) fn truth(&self, scene: Scene<'_>) -> Truth {
        let Scene { facts, lists, now } = scene;
        match self {
            Self::Holds(field) => {
                truth_reader(*field).and_then(|read| read(facts)).map_or(Truth::Absent, Truth::from)
            }
            Self::Present(field) => present(*field, facts).into(),
            Self::Numbers(left, relation, right) => both(left.number(scene), right.number(scene))
                .map(|(left, right)| relation.holds(left.cmp(&right)))
                .into(),
            Self::Fractions(left, relation, right) => both(left.fraction(scene), right.fraction(scene))
                .map(|(left, right)| left.partial_cmp(&right).is_some_and(|order| relation.holds(order)))
                .into(),
            Self::Texts(left, relation, right) => {
                with_texts(left, right, scene, |left, right| relation.holds(left.cmp(right))).into()
            }
            Self::Codes(left, right) => {
                both(left.code(scene), right.code(scene)).map(|(left, right)| left == right).into()
            }
            Self::NumberIn(value, among) => {
                value.number(scene).map(|value| among.binary_search(&value).is_ok()).into()
            }
            Self::TextIn(value, among) => value
                .with_text(scene, |text| among.binary_search_by(|known| (**known).cmp(text)).is_ok())
                .into(),
            Self::CodeIn(value, among) => {
                value.code(scene).map(|value| among.binary_search(&value).is_ok()).into()
            }
            Self::NumberListed(value, list) => {
                value.number(scene).map(|value| lists.holds_number(*list, value, now)).into()
            }
            Self::TextListed(value, list) => {
                value.with_text(scene, |text| lists.holds_text(*list, text, now)).into()
            }
            Self::CodeListed(value, list) => {
                value.code(scene).map(|value| lists.holds_code(*list, value, now)).into()
            }
            Self::Covered(field, list) => address_reader(*field)
                .and_then(|read| read(facts))
                .map_or(Truth::Absent, |address| lists.covers(*list, address, now).into()),
            Self::TextPart(text, part, other) => {
                with_texts(text, other, scene, |text, other| part.found(text, other)).into()
            }
            Self::Matches(text, pattern) => text.with_text(scene, |text| pattern.0.is_match(text)).into(),
        }
    }
}

impl<T> Choice<T> {
    /// The branch that is taken.
    fn taken(&self, scene: Scene<'_>) -> Result<&Node<T>, Lack> {
        Ok(if self.test.truth(scene).decided()? { &self.one } else { &self.other })
    }
}

impl Node<Number> {
    /// The number.
    pub(super) fn number(&self, scene: Scene<'_>) -> Result<i64, Lack> {
        match &self.is {
            Number::Constant(value, _) => Ok(*value),
            Number::Field(field) => match whole_reader(*field) {
                Some(read) => read(scene.facts),
                None => time_reader(*field).and_then(|read| read(scene.facts)).map(Timestamp::ms),
            }
            .ok_or(Lack::Absent),
            Number::Reading(index, _) => reading(scene.facts.reading(*index)),
            Number::Size(text) => text.with_text(scene, |text| text.chars().count() as i64),
            Number::Calendar(part, zone, time) => time.number(scene).and_then(|ms| calendar(*part, ms, zone)),
            Number::Truncated(fraction) => fraction.fraction(scene).and_then(truncated),
            Number::Negative(inner) => inner.number(scene).and_then(negative),
            Number::Arithmetic(operator, pair) => both(pair[0].number(scene), pair[1].number(scene))
                .and_then(|(left, right)| calculate(*operator, left, right).map_err(Lack::Fault)),
            Number::If(choice) => choice.taken(scene)?.number(scene),
        }
    }
}

impl Node<Fraction> {
    /// The fraction.
    pub(super) fn fraction(&self, scene: Scene<'_>) -> Result<f64, Lack> {
        match &self.is {
            Fraction::Constant(value) => Ok(value.0),
            Fraction::Whole(number) => number.number(scene).map(|number| number as f64),
            Fraction::Negative(inner) => inner.fraction(scene).map(|value| -value),
            Fraction::Arithmetic(operator, pair) => both(pair[0].fraction(scene), pair[1].fraction(scene))
                .map(|(left, right)| calculate_fraction(*operator, left, right)),
            Fraction::If(choice) => choice.taken(scene)?.fraction(scene),
        }
    }
}

impl Node<Text> {
    /// Looks at the text, in the case that the rule asks for.
    pub(super) fn with_text<R>(&self, scene: Scene<'_>, look: impl FnOnce(&str) -> R) -> Result<R, Lack> {
        match &self.is {
            Text::Constant(text) => Ok(look(text)),
            Text::Field(field, case) => {
                let text = text_reader(*field).and_then(|read| read(scene.facts));
                Ok(with_case(text.ok_or(Lack::Absent)?, *case, look))
            }
            Text::If(choice) => choice.taken(scene)?.with_text(scene, look),
        }
    }
}

impl Node<Code> {
    /// The number of the enumeration's value.
    pub(super) fn code(&self, scene: Scene<'_>) -> Result<u16, Lack> {
        match &self.is {
            Code::Constant(code) => Ok(*code),
            Code::Field(field) => code_reader(*field).and_then(|read| read(scene.facts)).ok_or(Lack::Absent),
            Code::If(choice) => choice.taken(scene)?.code(scene),
        }
    }
}

fn with_texts<R>(
    one: &Node<Text>,
    other: &Node<Text>,
    scene: Scene<'_>,
    look: impl FnOnce(&str, &str) -> R,
) -> Result<R, Lack> {
    let both = one.with_text(scene, |one| other.with_text(scene, |other| look(one, other)));
    match both {
        Ok(result) => result,
        // The other one may lack for a stronger reason.
        Err(lack) => Err(other.with_text(scene, |_| ()).err().map_or(lack, |other| lack.max(other))),
    }
}
