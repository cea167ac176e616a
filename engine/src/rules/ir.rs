//! Checked conditions: typed trees in which nothing can be wrong any more.
//!
//! A condition is a tree of `&&`, `||`, `!` and choices over **atoms**: comparisons and membership tests that read
//! the facts. Atoms are equal when they say the same, wherever they stand, so that a set asks each distinct one once.

use super::constant::CalendarPart;
use super::expression::{Operator, Place, Relation};
use super::lists::ListIndex;
use crate::facts::schema::FieldIndex;
use crate::velocity::spec::ReadingIndex;
use jiff::tz::TimeZone;
use regex::Regex;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A part of a condition and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node<T> {
    pub(super) at: Place,
    pub(super) is: T,
}

/// A condition: it holds, does not hold, or has no answer.
pub(super) type Condition = Node<Test>;

/// What a condition is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Test {
    Constant(bool),
    Atom(Atom),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    If(Box<Choice<Self>>),
    Same(Box<[Condition; 2]>),
}

/// `test ? one : other`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Choice<T> {
    pub(super) test: Condition,
    pub(super) one: Node<T>,
    pub(super) other: Node<T>,
}

/// One question to the facts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Atom {
    /// A field that is true or false.
    Holds(FieldIndex),
    /// Whether a field is there. Never absent itself.
    Present(FieldIndex),
    Numbers(Node<Number>, Relation, Node<Number>),
    Fractions(Node<Fraction>, Relation, Node<Fraction>),
    Texts(Node<Text>, Relation, Node<Text>),
    /// Whether two values of one enumeration are the same.
    Codes(Node<Code>, Node<Code>),
    /// Whether a number is one of these; sorted.
    NumberIn(Node<Number>, Box<[i64]>),
    TextIn(Node<Text>, Box<[Box<str>]>),
    CodeIn(Node<Code>, Box<[u16]>),
    NumberListed(Node<Number>, ListIndex),
    TextListed(Node<Text>, ListIndex),
    CodeListed(Node<Code>, ListIndex),
    /// Whether an address lies in a prefix of a list.
    Covered(FieldIndex, ListIndex),
    TextPart(Node<Text>, Part, Node<Text>),
    Matches(Node<Text>, Pattern),
}

/// Where in a text another one is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Start,
    End,
    Anywhere,
}

impl Part {
    /// Whether `text` has `part` there.
    pub(super) fn found(self, text: &str, part: &str) -> bool {
        match self {
            Self::Start => text.starts_with(part),
            Self::End => text.ends_with(part),
            Self::Anywhere => text.contains(part),
        }
    }
}

/// A whole number: a count, an amount in minor units, a time or a length of time in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Number {
    Constant(i64, Unit),
    Field(FieldIndex),
    Reading(ReadingIndex, Unit),
    /// Characters of a text.
    Size(Box<Node<Text>>),
    /// Read off the calendar or the clock of a point in time, in a time zone.
    Calendar(CalendarPart, Zone, Box<Node<Self>>),
    /// A fraction without what stands behind its point.
    Truncated(Box<Node<Fraction>>),
    Negative(Box<Node<Self>>),
    Arithmetic(Operator, Box<[Node<Self>; 2]>),
    If(Box<Choice<Self>>),
}

/// A time zone: equal to what has the same name.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub(super) name: Box<str>,
    pub(super) zone: TimeZone,
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// What a whole number counts, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unit {
    Plain,
    /// Milliseconds since 1970.
    Time,
    /// Milliseconds.
    Duration,
}

/// A number with a fractional part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fraction {
    Constant(Double),
    Whole(Box<Node<Number>>),
    Negative(Box<Node<Self>>),
    Arithmetic(Operator, Box<[Node<Self>; 2]>),
    If(Box<Choice<Self>>),
}

/// A text that a request carries, or a constant one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Text {
    Constant(Box<str>),
    Field(FieldIndex, Case),
    If(Box<Choice<Self>>),
}

/// What is done to the letters a–z of a text before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Case {
    AsWritten,
    Lower,
    Upper,
}

/// A value of an enumeration, by its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Code {
    Constant(u16),
    Field(FieldIndex),
    If(Box<Choice<Self>>),
}

/// A floating-point constant: equal to what has the same bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Double(pub(super) f64);

impl PartialEq for Double {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Double {}

impl Hash for Double {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// A compiled pattern: equal to what has the same text.
#[derive(Clone, Debug)]
pub(super) struct Pattern(pub(super) Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl Relation {
    /// Whether two values in this order stand in the relation.
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }

    /// The relation of the two values the other way round.
    pub(super) const fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::Unequal => self,
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
        }
    }
}

/// What looks at every part of a condition that reads the facts, those inside of choices included.
pub(super) trait Visitor {
    /// A field that is read, or asked for whether it is there.
    fn field(&mut self, _: FieldIndex) {}
    /// A velocity reading.
    fn reading(&mut self, _: ReadingIndex) {}
    /// A calculation that may fail.
    fn calculation(&mut self) {}
}

/// What a visitor can be taken through.
pub(super) trait Visit {
    /// Shows every field and reading to a visitor.
    fn visit(&self, visitor: &mut dyn Visitor);
}

impl<T> Visit for Choice<T>
where
    Node<T>: Visit,
{
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.test.visit(visitor);
        self.one.visit(visitor);
        self.other.visit(visitor);
    }
}

impl Visit for Condition {
    fn visit(&self, visitor: &mut dyn Visitor) {
        match &self.is {
            Test::Constant(_) => {}
            Test::Atom(atom) => atom.visit(visitor),
            Test::Not(inner) => inner.visit(visitor),
            Test::All(terms) | Test::Any(terms) => terms.iter().for_each(|term| term.visit(visitor)),
            Test::If(choice) => choice.visit(visitor),
            Test::Same(parts) => parts.iter().for_each(|part| part.visit(visitor)),
        }
    }
}

impl Visit for Atom {
    fn visit(&self, visitor: &mut dyn Visitor) {
        match self {
            Self::Holds(field) | Self::Present(field) | Self::Covered(field, _) => visitor.field(*field),
            Self::Numbers(left, _, right) => [left, right].iter().for_each(|part| part.visit(visitor)),
            Self::Fractions(left, _, right) => [left, right].iter().for_each(|part| part.visit(visitor)),
            Self::Texts(left, _, right) | Self::TextPart(left, _, right) => {
                [left, right].iter().for_each(|part| part.visit(visitor));
            }
            Self::Codes(left, right) => [left, right].iter().for_each(|part| part.visit(visitor)),
            Self::NumberIn(value, _) | Self::NumberListed(value, _) => value.visit(visitor),
            Self::TextIn(value, _) | Self::TextListed(value, _) | Self::Matches(value, _) => {
                value.visit(visitor);
            }
            Self::CodeIn(value, _) | Self::CodeListed(value, _) => value.visit(visitor),
        }
    }
}

impl Visit for Node<Number> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        match &self.is {
            Number::Constant(..) => {}
            Number::Field(field) => visitor.field(*field),
            Number::Reading(index, _) => visitor.reading(*index),
            Number::Size(text) => text.visit(visitor),
            Number::Calendar(_, _, inner) | Number::Negative(inner) => {
                visitor.calculation();
                inner.visit(visitor);
            }
            Number::Truncated(fraction) => {
                visitor.calculation();
                fraction.visit(visitor);
            }
            Number::Arithmetic(_, pair) => {
                visitor.calculation();
                pair.iter().for_each(|part| part.visit(visitor));
            }
            Number::If(choice) => choice.visit(visitor),
        }
    }
}

impl Visit for Node<Fraction> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        match &self.is {
            Fraction::Constant(_) => {}
            Fraction::Whole(number) => number.visit(visitor),
            Fraction::Negative(inner) => inner.visit(visitor),
            Fraction::Arithmetic(_, pair) => pair.iter().for_each(|part| part.visit(visitor)),
            Fraction::If(choice) => choice.visit(visitor),
        }
    }
}

impl Visit for Node<Text> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        match &self.is {
            Text::Constant(_) => {}
            Text::Field(field, _) => visitor.field(*field),
            Text::If(choice) => choice.visit(visitor),
        }
    }
}

impl Visit for Node<Code> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        match &self.is {
            Code::Constant(_) => {}
            Code::Field(field) => visitor.field(*field),
            Code::If(choice) => choice.visit(visitor),
        }
    }
}
