//! Comparisons and membership: which values can be compared, and what to say of those that cannot.

use super::{Checker, NumberKind, Typed, fold, with_article};
use crate::facts::schema::CodeDomain;
use crate::rules::diagnostic::{Code as DiagnosticCode, Diagnostic};
use crate::rules::expression::{Expr, Literal, Place, Relation, Syntax, Word};
use crate::rules::fields::alternatives;
use crate::rules::ir::{Atom, Choice, Code, Condition, Fraction, Node, Number, Test, Text, Unit};
use crate::rules::lists::Use;
use sparr_protocol::text::nearest;

const WHOLE_MINOR_UNITS: &str = "amounts are whole minor units: write 5000 for 50.00";

impl Checker<'_> {
    /// `left relation right`.
    pub(super) fn compare(
        &mut self,
        relation: Relation,
        left: &Expr,
        right: &Expr,
        at: Place,
    ) -> Option<Typed> {
        let (one, other) = (self.typed(left), self.typed(right));
        let (one, other) = (one?, other?);
        let ordered = !matches!(relation, Relation::Equal | Relation::Unequal);
        let condition = match (one, other) {
            (Typed::Number(one, kind), Typed::Number(other, other_kind)) if comparable(kind, other_kind) => {
                fold::numbers(one, relation, other, at)
            }
            (Typed::Number(_, NumberKind::Money), Typed::Fraction(_)) => {
                return self.say_money(right.at);
            }
            (Typed::Fraction(_), Typed::Number(_, NumberKind::Money)) => {
                return self.say_money(left.at);
            }
            (Typed::Number(one, NumberKind::Plain), Typed::Fraction(other)) => {
                fold::fractions(whole(one), relation, other, at)
            }
            (Typed::Fraction(one), Typed::Number(other, NumberKind::Plain)) => {
                fold::fractions(one, relation, whole(other), at)
            }
            (Typed::Fraction(one), Typed::Fraction(other)) => fold::fractions(one, relation, other, at),
            (Typed::Text(one), Typed::Text(other)) => fold::texts(one, relation, other, at),
            (Typed::Code(one, domain), Typed::Text(_)) if !ordered => {
                equal(relation, fold::codes(one, self.as_code(right, domain)?, at), at)
            }
            (Typed::Text(_), Typed::Code(other, domain)) if !ordered => {
                equal(relation, fold::codes(self.as_code(left, domain)?, other, at), at)
            }
            (Typed::Code(one, domain), Typed::Code(other, other_domain))
                if !ordered && std::ptr::eq(domain, other_domain) =>
            {
                equal(relation, fold::codes(one, other, at), at)
            }
            (Typed::Bool(one), Typed::Bool(other)) if !ordered => {
                equal(relation, fold::same(one, other, at), at)
            }
            (one, other) => {
                self.say_incomparable(relation, (left, &one), (right, &other));
                return None;
            }
        };
        self.count();
        Some(Typed::Bool(condition))
    }

    fn say_money(&mut self, at: Place) -> Option<Typed> {
        let message = "an amount cannot be compared with a fraction";
        self.say(self.fault(DiagnosticCode::Money, at, message).help(WHOLE_MINOR_UNITS));
        None
    }

    fn say_incomparable(&mut self, relation: Relation, left: (&Expr, &Typed), right: (&Expr, &Typed)) {
        let nouns = (left.1.noun(), right.1.noun());
        let ordered = !matches!(relation, Relation::Equal | Relation::Unequal);
        let message = match (left.1, right.1) {
            (Typed::Code(..), _) | (_, Typed::Code(..)) | (Typed::Bool(_), Typed::Bool(_)) if ordered => {
                format!("`{}` orders values, and these have no order", relation.text())
            }
            _ => format!("{} cannot be compared with {}", nouns.0, nouns.1),
        };
        let diagnostic = self
            .fault(DiagnosticCode::Type, right.0.at, message)
            .label(format!("this is {}", nouns.1))
            .also(self.source.span(left.0.at), format!("this is {}", nouns.0));
        let diagnostic = self.advise(diagnostic, left, right);
        self.say(diagnostic);
    }

    /// What to write instead of a comparison of two types.
    fn advise(&self, diagnostic: Diagnostic, left: (&Expr, &Typed), right: (&Expr, &Typed)) -> Diagnostic {
        let literal = self.literal(right.0).or_else(|| self.literal(left.0));
        let types = (left.1, right.1);
        match (types, literal) {
            ((Typed::Address(_), _) | (_, Typed::Address(_)), _) => {
                diagnostic.help("an address is looked up in a list of prefixes: ip in cidrs(\"…\")")
            }
            ((Typed::Number(_, NumberKind::Time), _), Some(Literal::Text(text))) => {
                let time = if text.contains('T') { text } else { "2026-11-22T16:48:00Z" };
                diagnostic.help(format!("a time is written timestamp(\"{time}\")"))
            }
            ((Typed::Number(_, NumberKind::Duration), _), Some(Literal::Text(_) | Literal::Int(_))) => {
                diagnostic.help("a length of time is written duration(\"10m\")")
            }
            ((Typed::Number(..), _) | (_, Typed::Number(..)), Some(Literal::Text(text)))
                if text.parse::<i64>().is_ok() =>
            {
                diagnostic.help(format!("write the number without quotes: {text}"))
            }
            ((Typed::Text(_), _) | (_, Typed::Text(_)), Some(Literal::Int(number))) => {
                diagnostic.help(format!("write the text in quotes: \"{number}\""))
            }
            ((Typed::Code(..), Typed::Code(..)), _) => diagnostic,
            ((Typed::Code(..), _) | (_, Typed::Code(..)), _) => {
                diagnostic.help("its values are written as names in quotes")
            }
            _ => diagnostic,
        }
    }

    /// An expression as a value of an enumeration: a name in quotes, a choice of such, or a field of its own kind.
    pub(super) fn as_code(&mut self, expr: &Expr, domain: &'static CodeDomain) -> Option<Node<Code>> {
        let at = expr.at;
        if let Some(Literal::Text(name)) = self.literal(expr) {
            let name = name.clone();
            return match (domain.parse)(&name) {
                Some(code) => Some(Node { at, is: Code::Constant(code) }),
                None => {
                    self.say_unknown_value(&name, domain, at);
                    None
                }
            };
        }
        if let Syntax::If(parts) = &expr.is {
            let test = self.condition(&parts[0]);
            let (one, other) = (self.as_code(&parts[1], domain), self.as_code(&parts[2], domain));
            let choice = Choice { test: test?, one: one?, other: other? };
            return Some(Node { at, is: Code::If(Box::new(choice)) });
        }
        match self.typed(expr)? {
            Typed::Code(code, own) if std::ptr::eq(own, domain) => Some(code),
            other => {
                let message = format!("this is {}, not {}", other.noun(), with_article(domain.name));
                self.say(self.fault(DiagnosticCode::Type, at, message));
                None
            }
        }
    }

    fn say_unknown_value(&mut self, name: &str, domain: &CodeDomain, at: Place) {
        /// Longer lists of names than this are no help.
        const NAMES_SHOWN: usize = 16;
        let names = (domain.names)();
        let near = names
            .iter()
            .copied()
            .find(|known| known.eq_ignore_ascii_case(name))
            .or_else(|| nearest(name, names.iter().copied()));
        let message = format!("`{name}` is no {}", domain.name);
        let diagnostic = self.fault(DiagnosticCode::UnknownValue, at, message);
        self.say(match near {
            Some(_) => diagnostic.did_you_mean(near),
            None if names.len() <= NAMES_SHOWN => diagnostic.help(format!("it is {}", alternatives(&names))),
            None => diagnostic,
        });
    }

    /// `value in list`.
    pub(super) fn membership(&mut self, value: &Expr, among: &Expr, at: Place) -> Option<Typed> {
        self.count();
        let atom = match &among.is {
            Syntax::List(items) => self.one_of(value, items, among.at),
            Syntax::Call(word, None, arguments) if word.text == "list" => self.listed(value, word, arguments),
            Syntax::Call(word, None, arguments) if word.text == "cidrs" => {
                self.covered(value, word, arguments)
            }
            _ if !matches!(among.is, Syntax::Literal(_)) && self.is_constant(among) => {
                let literals = self.constant_elements(among)?;
                let at = among.at;
                let items: Vec<_> =
                    literals.into_iter().map(|literal| Expr { at, is: Syntax::Literal(literal) }).collect();
                self.one_of(value, &items, at)
            }
            _ => {
                // What stands on the left is checked all the same.
                self.typed(value);
                let message = "behind `in` stands a list";
                self.say(self.fault(DiagnosticCode::Type, among.at, message).help(
                    "a list is written [\"a\", \"b\"], list(\"name\") or, for addresses, cidrs(\"name\")",
                ));
                None
            }
        }?;
        Some(Typed::Bool(Node { at, is: atom }))
    }

    /// `value in [constants]`.
    fn one_of(&mut self, value: &Expr, items: &[Expr], at: Place) -> Option<Test> {
        let typed = self.typed(value);
        if items.is_empty() {
            self.say(self.fault(DiagnosticCode::Argument, at, "nothing is in an empty list"));
            return None;
        }
        Some(Test::Atom(match typed? {
            Typed::Number(value, kind) => {
                let numbers = self.constants(items, kind)?;
                if let Number::Constant(value, _) = value.is {
                    return Some(Test::Constant(numbers.contains(&value)));
                }
                Atom::NumberIn(value, sorted(numbers))
            }
            Typed::Text(value) => {
                let texts: Option<Vec<Box<str>>> = items
                    .iter()
                    .map(|item| match self.typed(item)? {
                        Typed::Text(Node { is: Text::Constant(text), .. }) => Some(text),
                        _ => self.say_not_constant(item, "texts"),
                    })
                    .collect();
                let texts = texts?;
                if let Text::Constant(value) = &value.is {
                    return Some(Test::Constant(texts.contains(value)));
                }
                Atom::TextIn(value, sorted(texts))
            }
            Typed::Code(value, domain) => {
                let codes: Vec<_> = items.iter().map(|item| self.constant_code(item, domain)).collect();
                Atom::CodeIn(value, sorted(codes.into_iter().collect::<Option<_>>()?))
            }
            other @ (Typed::Bool(_) | Typed::Fraction(_) | Typed::Address(_)) => {
                let message = format!("{} cannot be looked up in a list of constants", other.noun());
                let diagnostic = self.fault(DiagnosticCode::Type, value.at, message);
                self.say(match other {
                    Typed::Address(_) => {
                        diagnostic.help("look it up in a list of prefixes: ip in cidrs(\"…\")")
                    }
                    _ => diagnostic,
                });
                return None;
            }
        }))
    }

    fn constants(&mut self, items: &[Expr], kind: NumberKind) -> Option<Vec<i64>> {
        let numbers: Vec<_> = items
            .iter()
            .map(|item| {
                if kind == NumberKind::Money && matches!(self.literal(item), Some(Literal::Double(_))) {
                    self.say_money(item.at);
                    return None;
                }
                match self.typed(item)? {
                    Typed::Number(Node { is: Number::Constant(number, unit), .. }, _)
                        if unit == kind.unit() =>
                    {
                        Some(number)
                    }
                    _ => self.say_not_constant(item, "numbers like the value on the left"),
                }
            })
            .collect();
        numbers.into_iter().collect()
    }

    fn constant_code(&mut self, item: &Expr, domain: &'static CodeDomain) -> Option<u16> {
        match self.literal(item) {
            Some(_) => match self.as_code(item, domain)?.is {
                Code::Constant(code) => Some(code),
                Code::Field(_) | Code::If(_) => None,
            },
            None => self.say_not_constant(item, "names in quotes"),
        }
    }

    fn say_not_constant<T>(&mut self, item: &Expr, expected: &str) -> Option<T> {
        let message = format!("a list in a condition holds constants: {expected}");
        self.say(self.fault(DiagnosticCode::Type, item.at, message));
        None
    }

    /// `value in list("name")`.
    fn listed(&mut self, value: &Expr, word: &Word, arguments: &[Expr]) -> Option<Test> {
        let typed = self.typed(value);
        let (name, at) = self.list_name(word, arguments)?;
        Some(Test::Atom(match typed? {
            Typed::Text(text) => Atom::TextListed(text, self.want(&name, Use::Texts, at)?),
            Typed::Number(number, NumberKind::Plain) => {
                Atom::NumberListed(number, self.want(&name, Use::Numbers, at)?)
            }
            Typed::Code(code, domain) => Atom::CodeListed(code, self.want(&name, Use::Codes(domain), at)?),
            other @ (Typed::Bool(_) | Typed::Number(..) | Typed::Fraction(_) | Typed::Address(_)) => {
                let message = format!("{} cannot be looked up in a list", other.noun());
                let diagnostic = self.fault(DiagnosticCode::Type, value.at, message);
                self.say(match other {
                    Typed::Address(_) => {
                        diagnostic.help("an address is looked up in prefixes: ip in cidrs(\"…\")")
                    }
                    _ => diagnostic,
                });
                return None;
            }
        }))
    }

    /// `ip in cidrs("name")`.
    fn covered(&mut self, value: &Expr, word: &Word, arguments: &[Expr]) -> Option<Test> {
        let typed = self.typed(value);
        let (name, at) = self.list_name(word, arguments)?;
        match typed? {
            Typed::Address(field) => {
                Some(Test::Atom(Atom::Covered(field, self.want(&name, Use::Prefixes, at)?)))
            }
            other => {
                let message = format!("prefixes cover IP addresses; this is {}", other.noun());
                self.say(self.fault(DiagnosticCode::Type, value.at, message).help("write list(\"…\")"));
                None
            }
        }
    }

    fn list_name(&mut self, word: &Word, arguments: &[Expr]) -> Option<(String, Place)> {
        if let [argument] = arguments
            && let Some(Literal::Text(name)) = self.literal(argument)
        {
            return Some((name.clone(), argument.at));
        }
        let at = arguments.first().map_or(word.at, |argument| argument.at);
        let message = format!("`{}` takes the name of a list, in quotes", word.text);
        self.say(self.fault(DiagnosticCode::Argument, at, message));
        None
    }

    fn want(&mut self, name: &str, wanted: Use, at: Place) -> Option<crate::rules::lists::ListIndex> {
        let list = self.library.want(name, wanted);
        if list.is_none() {
            let diagnostic =
                self.fault(DiagnosticCode::UnknownList, at, format!("no list is called `{name}`"));
            let near = nearest(name, self.library.names()).map(str::to_owned);
            self.say(match near {
                Some(near) => diagnostic.did_you_mean(Some(&near)),
                None => {
                    diagnostic.help("a list is a file of the directory `lists`, and is called like its file")
                }
            });
        }
        list
    }
}

/// Whether two kinds of numbers are compared as they are.
fn comparable(one: NumberKind, other: NumberKind) -> bool {
    let plain = |kind| matches!(kind, NumberKind::Plain | NumberKind::Money);
    one == other || plain(one) && plain(other)
}

/// A comparison for equality, turned round where it asks for the opposite.
fn equal(relation: Relation, same: Condition, at: Place) -> Condition {
    if relation == Relation::Unequal { fold::not(same, at) } else { same }
}

/// A whole number among fractions. Above 2⁵³ it is rounded; counts and days are far below.
pub(super) fn whole(number: Node<Number>) -> Node<Fraction> {
    let at = number.at;
    match number.is {
        Number::Constant(value, Unit::Plain) => {
            Node { at, is: Fraction::Constant(crate::rules::ir::Double(value as f64)) }
        }
        _ => Node { at, is: Fraction::Whole(Box::new(number)) },
    }
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Box<[T]> {
    values.sort_unstable();
    values.dedup();
    values.into()
}
