//! Static types of constant expressions: what cannot be right is refused before anything is evaluated.

use super::evaluate::{Element, Macro, Scope, literal_value, type_named};
use super::functions;
use super::value::{Type, Value, ordered};
use crate::rules::expression::{Expr, Operator, Place, Relation, Syntax};

/// Why an expression is refused.
pub(in crate::rules) struct Refusal {
    /// Which part of it.
    pub(in crate::rules) at: Place,
    pub(in crate::rules) why: String,
}

type Inferred = Result<Type, Refusal>;

/// The type of an expression.
///
/// Unless `checked`, only what is not part of the profile at all is refused; names, functions and types are left to the
/// evaluation.
pub(in crate::rules) fn infer(expr: &Expr, scope: &Scope<'_>, checked: bool) -> Inferred {
    Inference { checked, locals: Vec::new() }.of(expr, scope)
}

struct Inference<'e> {
    checked: bool,
    /// Names of macros with the types that they stand for, inner ones last.
    locals: Vec<(&'e str, Type)>,
}

impl<'e> Inference<'e> {
    /// Refuses where types are checked.
    fn refuse(&self, at: Place, why: impl Into<String>) -> Inferred {
        if self.checked { Err(Refusal { at, why: why.into() }) } else { Ok(Type::Any) }
    }

    fn of(&mut self, expr: &'e Expr, scope: &Scope<'_>) -> Inferred {
        let at = expr.at;
        match &expr.is {
            Syntax::Literal(literal) => Ok(literal_value(literal).of_type()),
            Syntax::Null => Ok(Type::Null),
            Syntax::Name(name) => {
                if let Some((_, local)) = self.locals.iter().rev().find(|(local, _)| local == name) {
                    return Ok(local.clone());
                }
                match scope.find(name).map(Value::of_type).or_else(|| type_named(name).map(|_| Type::OfTypes))
                {
                    Some(known) => Ok(known),
                    None => self.refuse(at, format!("nothing is called `{name}`")),
                }
            }
            Syntax::LeftOut(what) => {
                Err(Refusal { at, why: format!("sparr's profile of CEL leaves out {what}") })
            }
            Syntax::Member(operand, _) => {
                self.of(operand, scope)?;
                self.refuse(at, "a constant has no members")
            }
            Syntax::List(items) => {
                let types = items.iter().map(|item| self.of(item, scope)).collect::<Result<Vec<_>, _>>()?;
                Ok(Type::List(Box::new(types.into_iter().reduce(Type::join).unwrap_or(Type::Any))))
            }
            Syntax::Not(operand) => self.bool(operand, scope),
            Syntax::Negative(operand) => match self.of(operand, scope)? {
                known @ (Type::Int | Type::Double | Type::Length | Type::Any) => Ok(known),
                other => self.refuse(at, format!("{} has no negative", other.noun())),
            },
            Syntax::All(terms) | Syntax::Any(terms) => {
                for term in terms {
                    self.bool(term, scope)?;
                }
                Ok(Type::Bool)
            }
            Syntax::If(parts) => {
                self.bool(&parts[0], scope)?;
                let (one, other) = (self.of(&parts[1], scope)?, self.of(&parts[2], scope)?);
                if one.overlaps(&other) {
                    Ok(one.join(other))
                } else {
                    self.refuse(parts[2].at, "both results of a choice are of one type")
                }
            }
            Syntax::In(pair) => {
                let (one, among) = (self.of(&pair[0], scope)?, self.of(&pair[1], scope)?);
                match among {
                    Type::Any => Ok(Type::Bool),
                    Type::List(item) if item.overlaps(&one) => Ok(Type::Bool),
                    Type::List(_) => self.refuse(at, "the list holds values of another type"),
                    _ => self.refuse(pair[1].at, "behind `in` stands a list"),
                }
            }
            Syntax::Compare(relation, pair) => {
                let (one, other) = (self.of(&pair[0], scope)?, self.of(&pair[1], scope)?);
                let fits = match relation {
                    Relation::Equal | Relation::Unequal => one.overlaps(&other),
                    Relation::Less | Relation::AtMost | Relation::Greater | Relation::AtLeast => {
                        ordered(&one, &other)
                    }
                };
                if fits {
                    return Ok(Type::Bool);
                }
                self.refuse(at, format!("{} cannot be compared with {}", one.noun(), other.noun()))
            }
            Syntax::Arithmetic(operator, pair) => {
                let (one, other) = (self.of(&pair[0], scope)?, self.of(&pair[1], scope)?);
                let nouns = (one.noun(), other.noun());
                match calculated(*operator, one, other) {
                    Some(result) => Ok(result),
                    None => self.refuse(
                        at,
                        format!("`{}` cannot be used with {} and {}", operator.text(), nouns.0, nouns.1),
                    ),
                }
            }
            Syntax::Index(pair) => {
                let (list, place) = (self.of(&pair[0], scope)?, self.of(&pair[1], scope)?);
                match (list, place) {
                    (Type::List(item), Type::Int | Type::Any) => Ok(*item),
                    (Type::Any, _) => Ok(Type::Any),
                    _ => self.refuse(at, "only a list has places, and they are whole numbers"),
                }
            }
            Syntax::Call(word, Some(target), arguments) => match Macro::of(&word.text, arguments) {
                Some(each) => {
                    let among = self.of(target, scope)?;
                    self.each(each, among, target.at, scope)
                }
                None => self.function(&word.text, Some(target), arguments, at, scope),
            },
            Syntax::Call(word, None, arguments) => {
                let name = word.text.strip_prefix('.').unwrap_or(&word.text);
                self.function(name, None, arguments, at, scope)
            }
        }
    }

    fn bool(&mut self, expr: &'e Expr, scope: &Scope<'_>) -> Inferred {
        match self.of(expr, scope)? {
            Type::Bool | Type::Any => Ok(Type::Bool),
            other => self.refuse(expr.at, format!("this is {}, not a condition", other.noun())),
        }
    }

    fn function(
        &mut self,
        name: &str,
        target: Option<&'e Expr>,
        arguments: &'e [Expr],
        at: Place,
        scope: &Scope<'_>,
    ) -> Inferred {
        let method = target.is_some();
        let given: Vec<Type> = target
            .into_iter()
            .chain(arguments)
            .map(|given| self.of(given, scope))
            .collect::<Result<_, _>>()?;
        match functions::result(name, method, &given) {
            Some(result) => Ok(result),
            None if functions::known(name) => {
                let nouns: Vec<&str> = given.iter().map(Type::noun).collect();
                self.refuse(at, format!("`{name}` does not take {}", nouns.join(" and ")))
            }
            None => self.refuse(at, format!("no function is called `{name}`")),
        }
    }

    fn each(&mut self, each: Macro<'e>, among: Type, at: Place, scope: &Scope<'_>) -> Inferred {
        let item = match among {
            Type::List(item) => *item,
            Type::Any => Type::Any,
            other => return self.refuse(at, format!("{} cannot be gone through", other.noun())),
        };
        match each {
            Macro::All(element, test) | Macro::Exists(element, test) | Macro::ExistsOne(element, test) => {
                self.inside(element, item, |inner| inner.bool(test, scope))
            }
            Macro::Filter(element, test) => {
                self.inside(element, item.clone(), |inner| inner.bool(test, scope))?;
                Ok(Type::List(Box::new(item)))
            }
            Macro::Map(element, test, make) => self.inside(element, item, |inner| {
                test.map_or(Ok(Type::Bool), |test| inner.bool(test, scope))?;
                Ok(Type::List(Box::new(inner.of(make, scope)?)))
            }),
        }
    }

    fn inside(
        &mut self,
        element: Element<'e>,
        item: Type,
        look: impl FnOnce(&mut Self) -> Inferred,
    ) -> Inferred {
        let before = self.locals.len();
        self.locals.extend(element.place.map(|name| (name, Type::Int)));
        self.locals.push((element.item, item));
        let inferred = look(self);
        self.locals.truncate(before);
        inferred
    }
}

/// What a calculation makes of two types.
fn calculated(operator: Operator, one: Type, other: Type) -> Option<Type> {
    use Operator::{Add, Divide, Multiply, Subtract};
    use Type::{Any, Double, Int, Length, List, Text, Time};
    match (one, operator, other) {
        (Any, _, _) | (_, _, Any) => Some(Any),
        (Int, _, Int) => Some(Int),
        (Double, Add | Subtract | Multiply | Divide, Double) => Some(Double),
        (Text, Add, Text) => Some(Text),
        (List(one), Add, List(other)) => Some(List(Box::new(one.join(*other)))),
        (Time, Subtract, Time) | (Length, Add | Subtract, Length) => Some(Length),
        (Time, Add | Subtract, Length) | (Length, Add, Time) => Some(Time),
        _ => None,
    }
}
