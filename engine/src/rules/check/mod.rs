//! The type-checker: from a syntax tree to a condition in which every name, type and constant is right.
//!
//! Both sides of an operator are checked before either is given up, so one pass tells everything. What it returns
//! has its constants folded already.

mod arithmetic;
mod calls;
mod compare;
mod constants;
mod durations;
mod fold;
mod indicators;
mod names;
mod separation;
mod times;
mod velocity;

pub(crate) use durations::duration_text;
pub(super) use durations::parse_duration;
pub(super) use indicators::reads_indicators;
pub(super) use separation::check as check_separation;
pub(super) use velocity::{parse_key, parse_window};

use super::diagnostic::{Code as DiagnosticCode, Diagnostic};
use super::expression::{Expr, Literal, Place, Source, Syntax};
use super::ir::{Choice, Code, Condition, Double, Fraction, Node, Number, Test, Text, Unit};
use super::lists::Library;
use crate::facts::schema::{CodeDomain, FieldIndex};
use crate::limits::RULE_COST_MAX;
use crate::velocity::spec::Plan;

/// A checked condition.
pub(super) struct Checked {
    pub(super) condition: Condition,
    /// Atoms that one evaluation asks at most.
    pub(super) cost: u32,
}

/// Checks a condition against the field table. What is wrong is reported.
pub(super) fn check(
    source: &Source,
    expr: &Expr,
    library: &mut Library,
    plan: &mut Plan,
    report: &mut Vec<Diagnostic>,
) -> Option<Checked> {
    let mut checker = Checker { source, library, plan, report, bound: Vec::new(), cost: 0 };
    let condition = checker.condition(expr)?;
    let cost = checker.cost;
    if cost > RULE_COST_MAX {
        checker.say_too_costly(expr.at);
        return None;
    }
    Some(Checked { condition, cost })
}

/// An expression with its type.
enum Typed {
    Bool(Condition),
    Number(Node<Number>, NumberKind),
    Fraction(Node<Fraction>),
    Text(Node<Text>),
    Code(Node<Code>, &'static CodeDomain),
    Address(FieldIndex),
}

/// What a whole number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberKind {
    Plain,
    Money,
    Time,
    Duration,
}

impl NumberKind {
    const fn unit(self) -> Unit {
        match self {
            Self::Plain | Self::Money => Unit::Plain,
            Self::Time => Unit::Time,
            Self::Duration => Unit::Duration,
        }
    }
}

impl Typed {
    /// The type, for messages.
    fn noun(&self) -> String {
        let noun = match self {
            Self::Bool(_) => "a condition",
            Self::Number(_, NumberKind::Plain) => "a whole number",
            Self::Number(_, NumberKind::Money) => "an amount",
            Self::Number(_, NumberKind::Time) => "a point in time",
            Self::Number(_, NumberKind::Duration) => "a length of time",
            Self::Fraction(_) => "a fraction",
            Self::Text(_) => "a text",
            Self::Code(_, domain) => return with_article(domain.name),
            Self::Address(_) => "an IP address",
        };
        noun.to_owned()
    }
}

/// `a channel`, `an entry mode`.
fn with_article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A']) || noun.starts_with("SCA");
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

struct Checker<'c> {
    source: &'c Source,
    library: &'c mut Library,
    plan: &'c mut Plan,
    report: &'c mut Vec<Diagnostic>,
    /// Names that `exists` and `all` stand for, with the constant that each is right now.
    bound: Vec<(String, Literal)>,
    cost: u32,
}

impl Checker<'_> {
    /// A finding at a place of the condition.
    fn fault(&self, code: DiagnosticCode, at: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, self.source.span(at), message)
    }

    fn say(&mut self, diagnostic: Diagnostic) {
        self.report.push(diagnostic);
    }

    /// What an expression says, word for word.
    fn words(&self, at: Place) -> &str {
        self.source.text.get(at.start..at.end).unwrap_or_default()
    }

    /// One more atom. Unrolled lists can multiply, so the bound is looked at while the tree grows.
    fn count(&mut self) {
        self.cost = self.cost.saturating_add(1);
    }

    fn say_too_costly(&mut self, at: Place) {
        let message = format!("this condition asks more than {RULE_COST_MAX} questions");
        self.say(self.fault(DiagnosticCode::SetBounds, at, message).help("put long lists into list files"));
    }

    /// An expression that must be a condition.
    fn condition(&mut self, expr: &Expr) -> Option<Condition> {
        match self.typed(expr)? {
            Typed::Bool(condition) => Some(condition),
            other @ (Typed::Number(..)
            | Typed::Fraction(_)
            | Typed::Text(_)
            | Typed::Code(..)
            | Typed::Address(_)) => {
                let message = format!("`{}` is {}, not a condition", self.words(expr.at), other.noun());
                let diagnostic = self.fault(DiagnosticCode::Type, expr.at, message);
                self.say(match other {
                    Typed::Number(..) => diagnostic.help("compare it with a number: `… > 0`"),
                    _ => diagnostic.help("compare it with something, or ask `has(…)` whether it is there"),
                });
                None
            }
        }
    }

    /// Checks an expression of any type.
    fn typed(&mut self, expr: &Expr) -> Option<Typed> {
        let at = expr.at;
        // These have words of their own for what is wrong with them.
        let own = match &expr.is {
            Syntax::Literal(_) | Syntax::Null | Syntax::Name(_) | Syntax::List(_) => true,
            Syntax::Call(word, None, _) => matches!(word.text.as_str(), "timestamp" | "duration"),
            _ => false,
        };
        if !own && self.is_constant(expr) {
            return self.constant_part(expr);
        }
        match &expr.is {
            Syntax::Literal(literal) => Some(constant(literal, at)),
            Syntax::Null => {
                let message = "`null` is compared with constants only";
                self.say(
                    self.fault(DiagnosticCode::NotInProfile, at, message)
                        .help("an absent field is asked for with `has(x)`"),
                );
                None
            }
            Syntax::Name(name) if name.starts_with('.') => {
                let message = "sparr's profile of CEL leaves out a leading dot";
                self.say(self.fault(DiagnosticCode::NotInProfile, at, message));
                None
            }
            Syntax::Name(name) => self.name(name, at),
            Syntax::Member(operand, member) => self.member(operand, member),
            Syntax::Call(function, target, arguments) => {
                self.call(function, target.as_deref(), arguments, expr)
            }
            Syntax::List(_) => {
                let message =
                    "a list stands only behind `in`, before `.exists(…)` or `.all(…)`, or in `velocity(…)`";
                self.say(self.fault(DiagnosticCode::Type, at, message));
                None
            }
            Syntax::Not(operand) => {
                let operand = self.condition(operand)?;
                Some(Typed::Bool(fold::not(operand, at)))
            }
            Syntax::Negative(operand) => self.negative(operand, at),
            Syntax::All(terms) => {
                let terms: Vec<_> = terms.iter().map(|term| self.condition(term)).collect();
                Some(Typed::Bool(fold::all(terms.into_iter().collect::<Option<_>>()?, at)))
            }
            Syntax::Any(terms) => {
                let terms: Vec<_> = terms.iter().map(|term| self.condition(term)).collect();
                Some(Typed::Bool(fold::any(terms.into_iter().collect::<Option<_>>()?, at)))
            }
            Syntax::If(parts) => self.choice(parts, at),
            Syntax::In(pair) => self.membership(&pair[0], &pair[1], at),
            Syntax::Index(_) => self.constant_part(expr),
            Syntax::Compare(relation, pair) => self.compare(*relation, &pair[0], &pair[1], at),
            Syntax::Arithmetic(operator, pair) => self.arithmetic(*operator, &pair[0], &pair[1], at),
            Syntax::LeftOut(what) => {
                let message = format!("sparr's profile of CEL leaves out {what}");
                let diagnostic = self.fault(DiagnosticCode::NotInProfile, at, message);
                self.say(match *what {
                    "unsigned numbers" => diagnostic.help("write the number without `u`"),
                    _ => diagnostic,
                });
                None
            }
        }
    }

    /// `test ? one : other`: both branches have one type.
    fn choice(&mut self, parts: &[Expr; 3], at: Place) -> Option<Typed> {
        let test = self.condition(&parts[0]);
        let (one, other) = (self.typed(&parts[1]), self.typed(&parts[2]));
        let (test, one, other) = (test?, one?, other?);
        match (one, other) {
            (Typed::Bool(one), Typed::Bool(other)) => Some(Typed::Bool(fold::choose(test, one, other, at))),
            (Typed::Number(one, kind), Typed::Number(other, other_kind)) => {
                let kind = match (kind, other_kind) {
                    (NumberKind::Plain, NumberKind::Money) | (NumberKind::Money, NumberKind::Plain) => {
                        NumberKind::Money
                    }
                    _ if kind == other_kind => kind,
                    _ => return self.say_branches_differ(parts),
                };
                let choice = Number::If(Box::new(Choice { test, one, other }));
                Some(Typed::Number(Node { at, is: choice }, kind))
            }
            (Typed::Fraction(one), Typed::Fraction(other)) => {
                let choice = Fraction::If(Box::new(Choice { test, one, other }));
                Some(Typed::Fraction(Node { at, is: choice }))
            }
            (Typed::Text(one), Typed::Text(other)) => {
                Some(Typed::Text(Node { at, is: Text::If(Box::new(Choice { test, one, other })) }))
            }
            (Typed::Code(one, domain), _) => {
                let other = self.as_code(&parts[2], domain)?;
                Some(Typed::Code(Node { at, is: Code::If(Box::new(Choice { test, one, other })) }, domain))
            }
            (_, Typed::Code(other, domain)) => {
                let one = self.as_code(&parts[1], domain)?;
                Some(Typed::Code(Node { at, is: Code::If(Box::new(Choice { test, one, other })) }, domain))
            }
            _ => self.say_branches_differ(parts),
        }
    }

    fn say_branches_differ(&mut self, parts: &[Expr; 3]) -> Option<Typed> {
        let one = self.source.span(parts[1].at);
        let message = "both results of a choice are of one type";
        self.say(self.fault(DiagnosticCode::Type, parts[2].at, message).also(one, "the other result"));
        None
    }

    /// The constant that an expression is, also where a name of `exists` or `all` stands for it.
    fn literal<'e>(&'e self, expr: &'e Expr) -> Option<&'e Literal> {
        match &expr.is {
            Syntax::Literal(literal) => Some(literal),
            Syntax::Name(name) => self.bound_to(name),
            _ => None,
        }
    }

    /// What a name of `exists` or `all` stands for; the innermost one counts.
    fn bound_to(&self, name: &str) -> Option<&Literal> {
        self.bound.iter().rev().find(|(bound, _)| bound == name).map(|(_, literal)| literal)
    }
}

/// A constant with its type.
fn constant(literal: &Literal, at: Place) -> Typed {
    match literal {
        Literal::Bool(value) => Typed::Bool(Node { at, is: Test::Constant(*value) }),
        Literal::Int(value) => {
            Typed::Number(Node { at, is: Number::Constant(*value, Unit::Plain) }, NumberKind::Plain)
        }
        Literal::Double(value) => Typed::Fraction(Node { at, is: Fraction::Constant(Double(*value)) }),
        Literal::Text(text) => Typed::Text(Node { at, is: Text::Constant(text.as_str().into()) }),
    }
}
