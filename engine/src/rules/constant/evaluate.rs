//! The evaluator of constant expressions: the tree, from the leaves up, with CEL's absorbing of errors.

use super::times;
use super::value::{Value, ordered};
use super::{Failure, functions};
use crate::limits::CONSTANT_STEPS_MAX;
use crate::rules::expression::{Expr, Literal, Operator, Relation, Syntax};
use crate::rules::truth::Fault;
use crate::rules::values::{calculate, calculate_fraction};
use std::cell::Cell;

/// What names stand for, and the container in which they are looked up.
#[derive(Clone, Debug)]
pub struct Names {
    values: Vec<(String, Value)>,
    container: String,
    /// Steps that are left: macros inside of macros multiply.
    fuel: Cell<u32>,
}

impl Default for Names {
    fn default() -> Self {
        Self::new(Vec::new(), String::new())
    }
}

/// Names inside of an expression: those given, and in front of them those of macros.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Scope<'s> {
    names: &'s Names,
    bound: Option<&'s Bound<'s>>,
}

/// A name that a macro gives to an element.
pub(super) struct Bound<'s> {
    name: &'s str,
    value: Value,
    outer: Option<&'s Self>,
}

impl Names {
    /// Names, dotted or not, with their values; and a dotted prefix: inside of `a.b` the name `x` is `a.b.x`, else
    /// `a.x`, else `x`.
    pub fn new(values: Vec<(String, Value)>, container: String) -> Self {
        Self { values, container, fuel: Cell::new(CONSTANT_STEPS_MAX) }
    }

    /// The names before any macro.
    pub(in crate::rules) fn scope(&self) -> Scope<'_> {
        Scope { names: self, bound: None }
    }
}

impl<'s> Scope<'s> {
    /// Counts steps. There are none left where an expression would take too long, or grow too large.
    fn burn(&self, steps: usize) -> Result<(), Failure> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.names.fuel.get().checked_sub(steps));
        self.names.fuel.set(left.unwrap_or(0));
        left.map(drop).ok_or(Failure::Fuel)
    }

    /// What a name stands for.
    pub(super) fn find(&self, name: &str) -> Option<&Value> {
        if let Some(absolute) = name.strip_prefix('.') {
            return self.global(absolute);
        }
        let mut bound = self.bound;
        while let Some(here) = bound {
            if here.name == name {
                return Some(&here.value);
            }
            bound = here.outer;
        }
        let mut container = self.names.container.as_str();
        while !container.is_empty() {
            if let Some(found) = self.global(&format!("{container}.{name}")) {
                return Some(found);
            }
            container = container.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        self.global(name)
    }

    fn global(&self, name: &str) -> Option<&Value> {
        self.names.values.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// The names of types, which are values themselves.
pub(super) fn type_named(name: &str) -> Option<Value> {
    const TYPES: [&str; 13] = [
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "list",
        "map",
        "type",
        "null_type",
        "google.protobuf.Timestamp",
        "google.protobuf.Duration",
        "optional_type",
    ];
    TYPES.iter().find(|known| **known == name).map(|known| Value::Type(known))
}

/// The value of a constant expression.
pub(in crate::rules) fn evaluate(expr: &Expr, scope: &Scope<'_>) -> Result<Value, Failure> {
    scope.burn(1)?;
    let value = |expr: &Expr| evaluate(expr, scope);
    match &expr.is {
        Syntax::Literal(literal) => Ok(literal_value(literal)),
        Syntax::Null => Ok(Value::Null),
        Syntax::Name(name) => scope.find(name).cloned().or_else(|| type_named(name)).ok_or(Failure::Unknown),
        Syntax::Member(..) | Syntax::LeftOut(_) => Err(Failure::NoOverload),
        Syntax::List(items) => Ok(Value::List(items.iter().map(value).collect::<Result<_, _>>()?)),
        Syntax::Not(operand) => bool_of(value(operand)?).map(|holds| Value::Bool(!holds)),
        Syntax::Negative(operand) => match value(operand)? {
            Value::Int(value) => value.checked_neg().map(Value::Int).ok_or(Failure::Overflow),
            Value::Double(value) => Ok(Value::Double(-value)),
            Value::Length(ns) => {
                ns.checked_neg().map(Value::Length).ok_or(Failure::Range("a length of time"))
            }
            _ => Err(Failure::NoOverload),
        },
        Syntax::All(terms) => absorbing(terms.iter().map(value), false),
        Syntax::Any(terms) => absorbing(terms.iter().map(value), true),
        Syntax::If(parts) => value(&parts[if bool_of(value(&parts[0])?)? { 1 } else { 2 }]),
        Syntax::In(pair) => {
            let (one, among) = (value(&pair[0])?, value(&pair[1])?);
            match among {
                Value::List(items) => Ok(Value::Bool(items.iter().any(|item| item.equals(&one)))),
                _ => Err(Failure::NoOverload),
            }
        }
        Syntax::Compare(relation, pair) => compare(*relation, &value(&pair[0])?, &value(&pair[1])?),
        Syntax::Arithmetic(operator, pair) => {
            let (one, other) = (value(&pair[0])?, value(&pair[1])?);
            scope.burn((one.size() + other.size()) / 16)?;
            arithmetic(*operator, one, other)
        }
        Syntax::Index(pair) => match (value(&pair[0])?, value(&pair[1])?) {
            (Value::List(items), Value::Int(at)) => {
                let item = usize::try_from(at).ok().and_then(|at| items.into_iter().nth(at));
                item.ok_or(Failure::Index)
            }
            (Value::List(items), Value::Double(at)) if at >= 0.0 && at.fract() == 0.0 => {
                items.into_iter().nth(at as usize).ok_or(Failure::Index)
            }
            (Value::List(_), Value::Double(_)) => Err(Failure::Index),
            _ => Err(Failure::NoOverload),
        },
        Syntax::Call(word, Some(target), arguments) => match Macro::of(&word.text, arguments) {
            Some(each) => each.run(value(target)?, scope),
            None => {
                let given = std::iter::once(&**target).chain(arguments).map(value);
                functions::call(&word.text, true, &given.collect::<Result<Vec<_>, _>>()?)
            }
        },
        Syntax::Call(word, None, arguments) => {
            let given = arguments.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            functions::call(word.text.strip_prefix('.').unwrap_or(&word.text), false, &given)
        }
    }
}

pub(super) fn literal_value(literal: &Literal) -> Value {
    match literal {
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::Text(text) => Value::Text(text.clone()),
    }
}

fn bool_of(value: Value) -> Result<bool, Failure> {
    match value {
        Value::Bool(holds) => Ok(holds),
        _ => Err(Failure::NoOverload),
    }
}

/// `&&` and `||`: the deciding value absorbs the errors of the others.
fn absorbing(terms: impl Iterator<Item = Result<Value, Failure>>, deciding: bool) -> Result<Value, Failure> {
    let mut failed = None;
    for term in terms {
        match term.and_then(bool_of) {
            Ok(holds) if holds == deciding => return Ok(Value::Bool(deciding)),
            Ok(_) => {}
            // Nothing absorbs that there was no time.
            Err(Failure::Fuel) => return Err(Failure::Fuel),
            Err(failure) => failed = Some(failure),
        }
    }
    failed.map_or(Ok(Value::Bool(!deciding)), Err)
}

fn compare(relation: Relation, one: &Value, other: &Value) -> Result<Value, Failure> {
    let holds = match relation {
        Relation::Equal => one.equals(other),
        Relation::Unequal => !one.equals(other),
        Relation::Less | Relation::AtMost | Relation::Greater | Relation::AtLeast => {
            if !ordered(&one.of_type(), &other.of_type()) {
                return Err(Failure::NoOverload);
            }
            one.order(other).is_some_and(|order| relation.holds(order))
        }
    };
    Ok(Value::Bool(holds))
}

fn arithmetic(operator: Operator, one: Value, other: Value) -> Result<Value, Failure> {
    use Operator::{Add, Divide, Multiply, Subtract};
    use Value::{Double, Int, Length, List, Text, Time};
    let length = |ns: Option<i64>| ns.map(Length).ok_or(Failure::Range("a length of time"));
    match (one, operator, other) {
        (Int(one), _, Int(other)) => calculate(operator, one, other).map(Int).map_err(|fault| match fault {
            Fault::Overflow => Failure::Overflow,
            Fault::DivisionByZero => Failure::DivisionByZero,
        }),
        (Double(one), Add | Subtract | Multiply | Divide, Double(other)) => {
            Ok(Double(calculate_fraction(operator, one, other)))
        }
        (Text(one), Add, Text(other)) => Ok(Text(one + &other)),
        (List(one), Add, List(other)) => Ok(List(one.into_iter().chain(other).collect())),
        (Time(one), Subtract, Time(other)) => length(i64::try_from(one - other).ok()),
        (Time(time), Add, Length(ns)) | (Length(ns), Add, Time(time)) => {
            times::in_range(time + i128::from(ns)).map(Time)
        }
        (Time(time), Subtract, Length(ns)) => times::in_range(time - i128::from(ns)).map(Time),
        (Length(one), Add, Length(other)) => length(one.checked_add(other)),
        (Length(one), Subtract, Length(other)) => length(one.checked_sub(other)),
        _ => Err(Failure::NoOverload),
    }
}

/// What goes through a list.
pub(super) enum Macro<'e> {
    All(Element<'e>, &'e Expr),
    Exists(Element<'e>, &'e Expr),
    ExistsOne(Element<'e>, &'e Expr),
    Filter(Element<'e>, &'e Expr),
    /// With what is left out, and what is made of the rest.
    Map(Element<'e>, Option<&'e Expr>, &'e Expr),
}

/// The names of an element: of its place, where the macro has two names, and of itself.
#[derive(Clone, Copy)]
pub(super) struct Element<'e> {
    pub(super) place: Option<&'e str>,
    pub(super) item: &'e str,
}

impl<'e> Macro<'e> {
    /// The macro of a name with these arguments.
    pub(super) fn of(name: &str, arguments: &'e [Expr]) -> Option<Self> {
        let one = |item: &'e Expr| Some(Element { place: None, item: simple(item)? });
        let two = |place: &'e Expr, item: &'e Expr| {
            let (place, item) = (simple(place)?, simple(item)?);
            (place != item).then_some(Element { place: Some(place), item })
        };
        Some(match (name, arguments) {
            ("all", [item, test]) => Self::All(one(item)?, test),
            ("all", [place, item, test]) => Self::All(two(place, item)?, test),
            ("exists", [item, test]) => Self::Exists(one(item)?, test),
            ("exists", [place, item, test]) => Self::Exists(two(place, item)?, test),
            ("exists_one" | "existsOne", [item, test]) => Self::ExistsOne(one(item)?, test),
            ("exists_one" | "existsOne", [place, item, test]) => Self::ExistsOne(two(place, item)?, test),
            ("filter", [item, test]) => Self::Filter(one(item)?, test),
            ("map", [item, make]) => Self::Map(one(item)?, None, make),
            ("map", [item, test, make]) => Self::Map(one(item)?, Some(test), make),
            ("transformList", [place, item, make]) => Self::Map(two(place, item)?, None, make),
            ("transformList", [place, item, test, make]) => Self::Map(two(place, item)?, Some(test), make),
            _ => return None,
        })
    }

    fn run(&self, among: Value, scope: &Scope<'_>) -> Result<Value, Failure> {
        let Value::List(items) = among else { return Err(Failure::NoOverload) };
        let items = items.into_iter().enumerate();
        let ask = |element: &Element<'_>, at: usize, item: &Value, body: &Expr| {
            element.with(at, item, scope, |scope| evaluate(body, scope))
        };
        let holds = |element: &Element<'_>, at: usize, item: &Value, body: &Expr| {
            ask(element, at, item, body).and_then(bool_of)
        };
        match self {
            Self::All(element, body) => {
                absorbing(items.map(|(at, item)| ask(element, at, &item, body)), false)
            }
            Self::Exists(element, body) => {
                absorbing(items.map(|(at, item)| ask(element, at, &item, body)), true)
            }
            Self::ExistsOne(element, body) => {
                let mut found = 0;
                for (at, item) in items {
                    found += usize::from(holds(element, at, &item, body)?);
                }
                Ok(Value::Bool(found == 1))
            }
            Self::Filter(element, body) => {
                let mut kept = Vec::new();
                for (at, item) in items {
                    if holds(element, at, &item, body)? {
                        kept.push(item);
                    }
                }
                Ok(Value::List(kept))
            }
            Self::Map(element, test, make) => {
                let mut made = Vec::new();
                for (at, item) in items {
                    if test.map_or(Ok(true), |test| holds(element, at, &item, test))? {
                        made.push(ask(element, at, &item, make)?);
                    }
                }
                Ok(Value::List(made))
            }
        }
    }
}

impl Element<'_> {
    /// Looks at something inside of the macro, with the element's names in place.
    pub(super) fn with<R>(
        &self,
        at: usize,
        item: &Value,
        scope: &Scope<'_>,
        look: impl FnOnce(&Scope<'_>) -> R,
    ) -> R {
        let place = self.place.map(|name| Bound { name, value: Value::Int(at as i64), outer: scope.bound });
        let outer = place.as_ref().or(scope.bound);
        let item = Bound { name: self.item, value: item.clone(), outer };
        look(&Scope { names: scope.names, bound: Some(&item) })
    }
}

fn simple(expr: &Expr) -> Option<&str> {
    match &expr.is {
        Syntax::Name(name) if !name.contains('.') => Some(name),
        _ => None,
    }
}
