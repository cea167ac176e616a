//! Calculations: which kinds of numbers they take, and what they make of them.

use super::{Checker, NumberKind, Typed};
use crate::rules::diagnostic::Code as DiagnosticCode;
use crate::rules::expression::{Expr, Operator, Place};
use crate::rules::ir::{Double, Fraction, Node, Number, Text};
use crate::rules::truth::Fault;
use crate::rules::values::{calculate, calculate_fraction};

impl Checker<'_> {
    /// `left operator right`.
    pub(super) fn arithmetic(
        &mut self,
        operator: Operator,
        left: &Expr,
        right: &Expr,
        at: Place,
    ) -> Option<Typed> {
        let (one, other) = (self.typed(left), self.typed(right));
        let (one, other) = (one?, other?);
        match (one, other) {
            (Typed::Number(one, kind), Typed::Number(other, other_kind)) => {
                let Some(kind) = result(operator, kind, other_kind) else {
                    let nouns = [kind, other_kind].map(|kind| match kind {
                        NumberKind::Plain => "a whole number",
                        NumberKind::Money => "an amount",
                        NumberKind::Time => "a point in time",
                        NumberKind::Duration => "a length of time",
                    });
                    let message =
                        format!("`{}` cannot be used with {} and {}", operator.text(), nouns[0], nouns[1]);
                    self.say(self.fault(DiagnosticCode::Type, at, message));
                    return None;
                };
                self.calculation(operator, one, other, kind, at)
            }
            (Typed::Fraction(one), Typed::Fraction(other)) if operator != Operator::Remainder => {
                Some(Typed::Fraction(fractions(operator, one, other, at)))
            }
            (Typed::Number(_, NumberKind::Money), Typed::Fraction(_))
            | (Typed::Fraction(_), Typed::Number(_, NumberKind::Money)) => {
                let message = "an amount cannot be calculated with a fraction";
                self.say(
                    self.fault(DiagnosticCode::Money, at, message)
                        .help("amounts are whole minor units: write `x * 3 / 2` for one and a half times x"),
                );
                None
            }
            (Typed::Number(_, NumberKind::Plain), Typed::Fraction(_)) => self.say_mixed(left, at),
            (Typed::Fraction(_), Typed::Number(_, NumberKind::Plain)) => self.say_mixed(right, at),
            (Typed::Text(one), Typed::Text(other)) if operator == Operator::Add => {
                self.joined(one, other, at)
            }
            (one, other) => {
                let message =
                    format!("`{}` cannot be used with {} and {}", operator.text(), one.noun(), other.noun());
                self.say(self.fault(DiagnosticCode::Type, at, message));
                None
            }
        }
    }

    /// Constant texts are joined when the set is loaded; those of a request are not.
    fn joined(&mut self, one: Node<Text>, other: Node<Text>, at: Place) -> Option<Typed> {
        if let (Text::Constant(one), Text::Constant(other)) = (&one.is, &other.is) {
            let joined = Text::Constant(format!("{one}{other}").into());
            return Some(Typed::Text(Node { at, is: joined }));
        }
        let message = "texts of a request are not joined in a condition";
        self.say(self.fault(DiagnosticCode::NotInProfile, at, message).help("compare their parts"));
        None
    }

    fn say_mixed(&mut self, whole: &Expr, at: Place) -> Option<Typed> {
        let message = "a whole number and a fraction are not calculated with each other";
        let help = format!("make a fraction of the whole number: double({})", self.words(whole.at));
        self.say(self.fault(DiagnosticCode::Type, at, message).help(help));
        None
    }

    fn calculation(
        &mut self,
        operator: Operator,
        left: Node<Number>,
        right: Node<Number>,
        kind: NumberKind,
        at: Place,
    ) -> Option<Typed> {
        let is = match (&left.is, &right.is) {
            (Number::Constant(left, _), Number::Constant(right, _)) => {
                match calculate(operator, *left, *right) {
                    Ok(value) => Number::Constant(value, kind.unit()),
                    Err(fault) => return self.say_fails(fault, at),
                }
            }
            (_, Number::Constant(0, _)) if matches!(operator, Operator::Divide | Operator::Remainder) => {
                return self.say_fails(Fault::DivisionByZero, at);
            }
            _ => Number::Arithmetic(operator, Box::new([left, right])),
        };
        Some(Typed::Number(Node { at, is }, kind))
    }

    fn say_fails(&mut self, fault: Fault, at: Place) -> Option<Typed> {
        let message = format!("this calculation can only fail: {}", fault.text());
        self.say(self.fault(DiagnosticCode::Constant, at, message));
        None
    }

    /// `-operand`.
    pub(super) fn negative(&mut self, operand: &Expr, at: Place) -> Option<Typed> {
        match self.typed(operand)? {
            Typed::Number(number, kind) if kind != NumberKind::Time => Some(Typed::Number(
                match number.is {
                    Number::Constant(value, unit) => match value.checked_neg() {
                        Some(value) => Node { at, is: Number::Constant(value, unit) },
                        None => return self.say_fails(Fault::Overflow, at),
                    },
                    _ => Node { at, is: Number::Negative(Box::new(number)) },
                },
                kind,
            )),
            Typed::Fraction(fraction) => Some(Typed::Fraction(Node {
                at,
                is: match fraction.is {
                    Fraction::Constant(value) => Fraction::Constant(Double(-value.0)),
                    _ => Fraction::Negative(Box::new(fraction)),
                },
            })),
            other => {
                let message = format!("{} has no negative", other.noun());
                self.say(self.fault(DiagnosticCode::Type, at, message));
                None
            }
        }
    }
}

fn fractions(operator: Operator, left: Node<Fraction>, right: Node<Fraction>, at: Place) -> Node<Fraction> {
    let is = match (&left.is, &right.is) {
        (Fraction::Constant(left), Fraction::Constant(right)) => {
            Fraction::Constant(Double(calculate_fraction(operator, left.0, right.0)))
        }
        _ => Fraction::Arithmetic(operator, Box::new([left, right])),
    };
    Node { at, is }
}

/// What a calculation makes of two kinds of numbers, if they go together.
fn result(operator: Operator, one: NumberKind, other: NumberKind) -> Option<NumberKind> {
    use NumberKind::{Duration, Money, Plain, Time};
    match (one, operator, other) {
        (Plain, _, Plain) => Some(Plain),
        // How many times an amount goes into another is no amount.
        (Money, Operator::Divide, Money) => Some(Plain),
        (Money, _, Money | Plain) | (Plain, _, Money) => Some(Money),
        (Time, Operator::Subtract, Time) => Some(Duration),
        (Time, Operator::Add | Operator::Subtract, Duration) | (Duration, Operator::Add, Time) => Some(Time),
        (Duration, Operator::Add | Operator::Subtract, Duration) => Some(Duration),
        _ => None,
    }
}
