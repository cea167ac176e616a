//! Constant expressions: what CEL makes of an expression that reads nothing of a request.
//!
//! Conditions use it for their constant parts, which are evaluated once, when the set is loaded; and it is the yardstick
//! of the language: the conformance cases of CEL's specification run through it, and the compiled conditions are
//! compared with it, request by request, with the request's values put in as constants.

mod evaluate;
mod functions;
mod infer;
mod times;
mod value;

pub use evaluate::Names;
pub(super) use evaluate::evaluate;
pub(super) use functions::{int_of, known, pattern};
pub(super) use infer::infer;
pub(super) use times::{CalendarPart, zone};
pub use value::Value;

use super::expression::{self, Source};
use super::sources::{FileId, SourceFile, Sources, Span};

/// Why a constant expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A whole number, time or length of time that does not fit.
    Range(&'static str),
    /// A text that is not what it is converted to.
    Form(&'static str),
    /// A division of whole numbers by zero.
    DivisionByZero,
    /// A whole number beyond 64 bits.
    Overflow,
    /// An operator or function that does not take these types.
    NoOverload,
    /// A name or function that is not there.
    Unknown,
    /// A place that a list does not have.
    Index,
    /// More steps than constants are given.
    Fuel,
}

impl Failure {
    /// In words.
    pub fn text(self) -> String {
        match self {
            Self::Range(what) => format!("out of range for {what}"),
            Self::Form(what) => format!("this text is not {what}"),
            Self::DivisionByZero => "division by zero".to_owned(),
            Self::Overflow => "integer overflow".to_owned(),
            Self::NoOverload => "this is not defined for values of these types".to_owned(),
            Self::Unknown => "a name that is not there".to_owned(),
            Self::Fuel => "it takes too many steps".to_owned(),
            Self::Index => "the list has no such place".to_owned(),
        }
    }
}

/// What became of an expression.
#[derive(Clone, Debug)]
pub enum Evaluated {
    /// Its value.
    Value(Value),
    /// It is well-formed, and has no value.
    Failed(Failure),
    /// It is refused before it is evaluated: why.
    Refused(String),
}

/// Reads, checks and evaluates one expression of sparr's CEL profile, apart from any rule.
///
/// `names` are what its names stand for. Without `checked` its types are not looked at beforehand, so that what does not
/// fit fails only where it is evaluated.
///
/// ```
/// use sparr_engine::rules::constant::{Evaluated, Names, Value, evaluate_text};
/// let done = evaluate_text("['a', 'b'].exists(x, x == 'b') && size('ÿ') == 1", &Names::default(), true);
/// assert!(matches!(done, Evaluated::Value(Value::Bool(true))));
/// assert!(matches!(evaluate_text("1u + 2u", &Names::default(), true), Evaluated::Refused(_)));
/// ```
pub fn evaluate_text(text: &str, names: &Names, checked: bool) -> Evaluated {
    let file = SourceFile { name: "expression".to_owned(), text: text.to_owned() };
    let none = SourceFile { name: String::new(), text: String::new() };
    let sources = Sources { rules: vec![file], lists: Vec::new(), reasons: none };
    let Some((id, _)) = sources.files().next() else {
        return Evaluated::Refused("there is no expression".to_owned());
    };
    let mut report = Vec::new();
    let expr = expression::parse(&whole(id, text), &mut report);
    let Some(expr) = expr else {
        return Evaluated::Refused(report.first().map_or_else(String::new, |first| first.message.clone()));
    };
    if let Err(refusal) = infer(&expr, &names.scope(), checked) {
        return Evaluated::Refused(refusal.why);
    }
    match evaluate(&expr, &names.scope()) {
        Ok(value) => Evaluated::Value(value),
        Err(failure) => Evaluated::Failed(failure),
    }
}

fn whole(file: FileId, text: &str) -> Source {
    Source::plain(text, Span::new(file, 0..text.len()))
}
