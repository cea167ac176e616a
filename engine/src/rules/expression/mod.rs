//! Conditions as text: from a YAML scalar to a syntax tree whose every node knows its place.
//!
//! The parser is the `cel` crate's, behind [`parse`] alone: one other module knows what a parser we use, and this
//! tree is what everything after it sees.

mod parse;
mod scan;
mod slips;
mod source;

pub(super) use parse::parse;
pub(super) use source::Source;

use std::hash::{Hash, Hasher};

/// Where an expression stands in its condition's text, in bytes.
///
/// Two expressions that say the same are equal wherever they stand, so all places are equal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// An expression as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expr {
    pub(super) at: Place,
    pub(super) is: Syntax,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Syntax {
    Literal(Literal),
    /// `null`: only constants are compared with it.
    Null,
    /// A name, dotted or not: `mcc`, `flag.deny`.
    Name(String),
    /// A member of something that is no name: `velocity(…).count`.
    Member(Box<Expr>, Word),
    /// `f(…)`, or `x.f(…)` with a target.
    Call(Word, Option<Box<Expr>>, Vec<Expr>),
    List(Vec<Expr>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    If(Box<[Expr; 3]>),
    In(Box<[Expr; 2]>),
    /// `list[place]`.
    Index(Box<[Expr; 2]>),
    Compare(Relation, Box<[Expr; 2]>),
    Arithmetic(Operator, Box<[Expr; 2]>),
    /// CEL that sparr's profile leaves out: what it is.
    LeftOut(&'static str),
}

/// A name inside an expression, with its own place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) at: Place,
    pub(super) text: String,
}

/// A constant as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Relation {
    /// As it is written.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// A calculation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// As it is written.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}
