//! Parts of a condition that read nothing: they are evaluated once, here.

use super::{Checker, NumberKind, Typed};
use crate::limits::CONSTANT_STEPS_MAX;
use crate::rules::constant::{self, Failure, Names, Value};
use crate::rules::diagnostic::Code as DiagnosticCode;
use crate::rules::expression::{Expr, Literal, Place, Syntax};
use crate::rules::ir::{Double, Fraction, Node, Number, Test, Text, Unit};

const NS_PER_MS: i64 = 1_000_000;

impl Checker<'_> {
    /// Whether an expression reads nothing of a request, nor of a list: `locals` are the names that macros inside of it
    /// give.
    pub(super) fn is_constant(&self, expr: &Expr) -> bool {
        self.constant_with(expr, &mut Vec::new())
    }

    fn constant_with<'e>(&'e self, expr: &'e Expr, locals: &mut Vec<&'e str>) -> bool {
        let all = |parts: &'e [Expr], locals: &mut Vec<&'e str>| {
            parts.iter().all(|part| self.constant_with(part, locals))
        };
        match &expr.is {
            Syntax::Literal(_) | Syntax::Null => true,
            Syntax::Name(name) => locals.contains(&name.as_str()) || self.bound_to(name).is_some(),
            Syntax::Member(..) | Syntax::LeftOut(_) => false,
            Syntax::List(items) | Syntax::All(items) | Syntax::Any(items) => all(items, locals),
            Syntax::Not(operand) | Syntax::Negative(operand) => self.constant_with(operand, locals),
            Syntax::If(parts) => all(&parts[..], locals),
            Syntax::In(pair)
            | Syntax::Index(pair)
            | Syntax::Compare(_, pair)
            | Syntax::Arithmetic(_, pair) => all(&pair[..], locals),
            Syntax::Call(word, target, arguments) => {
                let target = target.as_deref();
                if !target.is_none_or(|target| self.constant_with(target, locals)) {
                    return false;
                }
                let names: Vec<&str> = match (word.text.as_str(), target) {
                    (
                        "all" | "exists" | "exists_one" | "existsOne" | "filter" | "map" | "transformList",
                        Some(_),
                    ) => arguments
                        .iter()
                        .take(arguments.len().saturating_sub(1).min(2))
                        .map_while(|argument| match &argument.is {
                            Syntax::Name(name) => Some(name.as_str()),
                            _ => None,
                        })
                        .collect(),
                    // What is no function of constants is for the checker to name.
                    (name, _) if constant::known(name) => Vec::new(),
                    _ => return false,
                };
                if names.is_empty() && !constant::known(&word.text) {
                    return false;
                }
                let before = locals.len();
                locals.extend(&names);
                let constant = all(&arguments[names.len()..], locals);
                locals.truncate(before);
                constant
            }
        }
    }

    /// What a constant expression comes to. One that is not constant, or has no value, is reported.
    pub(super) fn constant_value(&mut self, expr: &Expr) -> Option<Value> {
        if !self.is_constant(expr) {
            // What is wrong with its parts is said first.
            let message =
                "this is calculated of constants only, and here a field of the request stands in it";
            self.say(self.fault(DiagnosticCode::NotInProfile, expr.at, message));
            return None;
        }
        let values = self.bound.iter().rev().map(|(name, literal)| (name.clone(), value_of(literal)));
        let names = Names::new(values.collect(), String::new());
        let scope = names.scope();
        if let Err(refusal) = constant::infer(expr, &scope, true) {
            self.say(self.fault(DiagnosticCode::Type, refusal.at, refusal.why));
            return None;
        }
        match constant::evaluate(expr, &scope) {
            Ok(value) => Some(value),
            Err(Failure::Fuel) => {
                let message =
                    format!("this calculation of constants takes more than {CONSTANT_STEPS_MAX} steps");
                self.say(self.fault(DiagnosticCode::SetBounds, expr.at, message));
                None
            }
            Err(failure) => {
                let message = format!("this calculation can only fail: {}", failure.text());
                self.say(self.fault(DiagnosticCode::Constant, expr.at, message));
                None
            }
        }
    }

    /// A constant expression, with its type.
    pub(super) fn constant_part(&mut self, expr: &Expr) -> Option<Typed> {
        let value = self.constant_value(expr)?;
        self.constant_typed(value, expr.at)
    }

    fn constant_typed(&mut self, value: Value, at: Place) -> Option<Typed> {
        let number = |value, unit, kind| Typed::Number(Node { at, is: Number::Constant(value, unit) }, kind);
        Some(match value {
            Value::Bool(holds) => Typed::Bool(Node { at, is: Test::Constant(holds) }),
            Value::Int(value) => number(value, Unit::Plain, NumberKind::Plain),
            Value::Double(value) => Typed::Fraction(Node { at, is: Fraction::Constant(Double(value)) }),
            Value::Text(text) => Typed::Text(Node { at, is: Text::Constant(text.into()) }),
            Value::Time(ns) if ns % i128::from(NS_PER_MS) == 0 => {
                number((ns / i128::from(NS_PER_MS)) as i64, Unit::Time, NumberKind::Time)
            }
            Value::Length(ns) if ns % NS_PER_MS == 0 => {
                number(ns / NS_PER_MS, Unit::Duration, NumberKind::Duration)
            }
            Value::Time(_) | Value::Length(_) => {
                let message = "times are compared in whole milliseconds";
                self.say(self.fault(DiagnosticCode::Constant, at, message));
                return None;
            }
            Value::Null | Value::List(_) | Value::Type(_) => {
                let message = format!("a value of the type `{}` does not stand here", value.type_name());
                self.say(self.fault(DiagnosticCode::Type, at, message));
                return None;
            }
        })
    }

    /// The elements of a constant list, as constants that a condition can hold.
    pub(super) fn constant_elements(&mut self, list: &Expr) -> Option<Vec<Literal>> {
        let Value::List(items) = self.constant_value(list)? else {
            self.say(self.fault(DiagnosticCode::Type, list.at, "here stands a list"));
            return None;
        };
        let literals: Option<Vec<Literal>> = items
            .into_iter()
            .map(|item| match item {
                Value::Bool(value) => Some(Literal::Bool(value)),
                Value::Int(value) => Some(Literal::Int(value)),
                Value::Double(value) => Some(Literal::Double(value)),
                Value::Text(text) => Some(Literal::Text(text)),
                Value::Null | Value::Time(_) | Value::Length(_) | Value::List(_) | Value::Type(_) => None,
            })
            .collect();
        if literals.is_none() {
            let message = "a list in a condition holds numbers, texts, `true` and `false`";
            self.say(self.fault(DiagnosticCode::Type, list.at, message));
        }
        literals
    }
}

fn value_of(literal: &Literal) -> Value {
    match literal {
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::Text(text) => Value::Text(text.clone()),
    }
}
