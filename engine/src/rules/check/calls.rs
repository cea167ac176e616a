//! Functions: which there are, what they take, and what to say of those there are not.

use super::compare::whole;
use super::{Checker, NumberKind, Typed, fold};
use crate::limits::{PATTERN_BYTES_MAX, PATTERN_PROGRAM_BYTES_MAX, RULE_COST_MAX};
use crate::rules::constant::{self, CalendarPart};
use crate::rules::diagnostic::Code as DiagnosticCode;
use crate::rules::expression::{Expr, Literal, Place, Syntax, Word};
use crate::rules::ir::{Atom, Case, Choice, Node, Number, Part, Pattern, Test, Text, Unit};
use sparr_protocol::text::nearest;

/// Every function, for "did you mean".
const FUNCTIONS: [&str; 36] = [
    "has",
    "velocity",
    "first_seen",
    "indicator",
    "list",
    "cidrs",
    "size",
    "timestamp",
    "duration",
    "double",
    "startsWith",
    "endsWith",
    "contains",
    "lowerAscii",
    "upperAscii",
    "matches",
    "exists",
    "all",
    "int",
    "exists_one",
    "map",
    "filter",
    "string",
    "bool",
    "type",
    "transformList",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

/// Functions of CEL that are left out.
const LEFT_OUT: [&str; 3] = ["uint", "bytes", "dyn"];

/// Functions that are calculated of constants only.
const OF_CONSTANTS: [&str; 8] =
    ["exists_one", "existsOne", "map", "filter", "transformList", "string", "bool", "type"];

/// Names that are known and have a meaning, but not in this version.
const NOT_YET: &[(&str, &str)] =
    &[("amount_in", "an amount in a currency of choice; `amount_base_minor` is in the set's base currency")];

impl Checker<'_> {
    /// `function(arguments)` or `target.function(arguments)`.
    pub(super) fn call(
        &mut self,
        function: &Word,
        target: Option<&Expr>,
        arguments: &[Expr],
        whole: &Expr,
    ) -> Option<Typed> {
        let at = whole.at;
        match (function.text.as_str(), target, arguments) {
            ("has", None, [argument]) => self.presence(argument, at),
            ("velocity", None, _) => self.say_no_measure(function, arguments, at),
            ("first_seen", None, _) => self.first_seen(function, arguments, at),
            ("indicator", None, _) => self.say_no_attribute(function, arguments, at),
            ("list" | "cidrs", None, _) => {
                let message =
                    format!("`{}` stands behind `in`: x in {}(\"…\")", function.text, function.text);
                self.say(self.fault(DiagnosticCode::Argument, at, message));
                None
            }
            ("timestamp", None, [argument]) => self.timestamp(argument, whole),
            ("duration", None, [argument]) => self.duration(argument, whole),
            ("double", None, [argument]) => self.double(argument),
            ("int", None, [argument]) => self.int(argument, at),
            (name, _, _) if OF_CONSTANTS.contains(&name) => self.constant_part(whole),
            (name, Some(time), [] | [_]) if CalendarPart::of(name).is_some() => {
                self.calendar(function, time, arguments.first(), at)
            }
            ("size", Some(text), []) | ("size", None, [text]) => {
                let text = self.text(text, function)?;
                let is = match &text.is {
                    Text::Constant(text) => Number::Constant(text.chars().count() as i64, Unit::Plain),
                    Text::Field(..) | Text::If(_) => Number::Size(Box::new(text)),
                };
                Some(Typed::Number(Node { at, is }, NumberKind::Plain))
            }
            ("startsWith", Some(text), [part]) => self.text_part(text, function, Part::Start, part, at),
            ("endsWith", Some(text), [part]) => self.text_part(text, function, Part::End, part, at),
            ("contains", Some(text), [part]) => self.text_part(text, function, Part::Anywhere, part, at),
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
                self.matches(text, function, pattern, at)
            }
            ("lowerAscii", Some(text), []) => self.with_case(text, function, Case::Lower, at),
            ("upperAscii", Some(text), []) => self.with_case(text, function, Case::Upper, at),
            ("exists" | "all", Some(list), [name, body]) => self.each(function, list, None, name, body, at),
            ("exists" | "all", Some(list), [place, name, body]) => {
                self.each(function, list, Some(place), name, body, at)
            }
            ("distinct", Some(window), [key]) => self.distinct(window, function, key, at),
            _ => self.say_no_such_call(function, target, arguments),
        }
    }

    fn say_no_such_call(
        &mut self,
        function: &Word,
        target: Option<&Expr>,
        arguments: &[Expr],
    ) -> Option<Typed> {
        let name = function.text.as_str();
        let velocity = target.is_some_and(
            |target| matches!(&target.is, Syntax::Call(word, None, _) if word.text == "velocity"),
        );
        if velocity {
            return self.say_member_called(function);
        }
        let usage = match name {
            "has" => Some("has(field)"),
            "timestamp" => Some("timestamp(\"2026-11-22T16:48:00Z\")"),
            "duration" => Some("duration(\"10m\")"),
            "double" => Some("double(number)"),
            "size" => Some("text.size()"),
            "startsWith" | "endsWith" | "contains" => Some("text.startsWith(\"…\")"),
            "matches" => Some("text.matches(r\"…\")"),
            "lowerAscii" | "upperAscii" => Some("text.lowerAscii()"),
            "exists" | "all" => Some("[\"a\", \"b\"].exists(x, …x…)"),
            _ => None,
        };
        let fault = |code, message: String| self.fault(code, function.at, message);
        let diagnostic = if let Some(usage) = usage {
            let count = arguments.len();
            let plural = if count == 1 { "" } else { "s" };
            let message = format!("`{name}` is not used like this, with {count} argument{plural}");
            fault(DiagnosticCode::Argument, message).help(format!(
                "it is written {}",
                usage.replace("startsWith", name).replace("lowerAscii", name)
            ))
        } else if let Some((_, meaning)) = NOT_YET.iter().find(|(known, _)| *known == name) {
            fault(DiagnosticCode::NotYet, format!("`{name}` is not in this version: {meaning}"))
        } else if LEFT_OUT.contains(&name) {
            let message = format!("`{name}` is CEL, but not part of sparr's profile");
            fault(DiagnosticCode::NotInProfile, message)
        } else {
            fault(DiagnosticCode::UnknownFunction, format!("no function is called `{name}`"))
                .did_you_mean(nearest(name, FUNCTIONS.into_iter()))
        };
        self.say(diagnostic);
        None
    }

    /// `has(field)`.
    fn presence(&mut self, argument: &Expr, at: Place) -> Option<Typed> {
        let Syntax::Name(name) = &argument.is else {
            let message = "`has` takes the name of a field";
            self.say(self.fault(DiagnosticCode::Argument, argument.at, message));
            return None;
        };
        let field = self.field(name, argument.at)?;
        self.count();
        Some(Typed::Bool(Node { at, is: Test::Atom(Atom::Present(field)) }))
    }

    fn double(&mut self, argument: &Expr) -> Option<Typed> {
        match self.typed(argument)? {
            Typed::Number(number, NumberKind::Plain) => Some(Typed::Fraction(whole(number))),
            Typed::Fraction(fraction) => Some(Typed::Fraction(fraction)),
            other => {
                let message =
                    format!("`double` makes a fraction of a whole number; this is {}", other.noun());
                let diagnostic = self.fault(DiagnosticCode::Type, argument.at, message);
                self.say(match other {
                    Typed::Number(_, NumberKind::Money) => {
                        diagnostic.help("amounts stay whole minor units: write `x * 2 > y * 3` for x > 1.5 y")
                    }
                    _ => diagnostic,
                });
                None
            }
        }
    }

    /// An operand that must be a text.
    fn text(&mut self, operand: &Expr, function: &Word) -> Option<Node<Text>> {
        match self.typed(operand)? {
            Typed::Text(text) => Some(text),
            other => {
                let message = format!("`{}` reads a text; this is {}", function.text, other.noun());
                let diagnostic = self.fault(DiagnosticCode::Type, operand.at, message);
                self.say(match other {
                    Typed::Code(..) => diagnostic.help("compare it with names: x in [\"…\", \"…\"]"),
                    _ => diagnostic,
                });
                None
            }
        }
    }

    fn text_part(
        &mut self,
        text: &Expr,
        function: &Word,
        part: Part,
        other: &Expr,
        at: Place,
    ) -> Option<Typed> {
        let (text, other) = (self.text(text, function), self.text(other, function));
        self.count();
        Some(Typed::Bool(fold::text_part(text?, part, other?, at)))
    }

    fn matches(&mut self, text: &Expr, function: &Word, pattern: &Expr, at: Place) -> Option<Typed> {
        let text = self.text(text, function);
        let Some(Literal::Text(source)) = self.literal(pattern) else {
            let message = "a pattern is a constant text, so that it is compiled once";
            self.say(self.fault(DiagnosticCode::Pattern, pattern.at, message));
            return None;
        };
        let compiled = if source.len() > PATTERN_BYTES_MAX {
            Err(format!("the pattern has {} bytes; at most {PATTERN_BYTES_MAX}", source.len()))
        } else {
            constant::pattern(source).map_err(|fault| match fault {
                regex::Error::CompiledTooBig(_) => {
                    format!(
                        "the pattern takes more than {PATTERN_PROGRAM_BYTES_MAX} bytes when it is compiled"
                    )
                }
                other => {
                    // The last line is the reason; the ones before it draw the pattern once more.
                    let text = other.to_string();
                    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    format!("this is no pattern: {reason}")
                }
            })
        };
        match compiled {
            Ok(pattern) => {
                self.count();
                let atom = Atom::Matches(text?, Pattern(pattern));
                Some(Typed::Bool(Node { at, is: Test::Atom(atom) }))
            }
            Err(message) => {
                self.say(self.fault(DiagnosticCode::Pattern, pattern.at, message));
                None
            }
        }
    }

    fn with_case(&mut self, text: &Expr, function: &Word, case: Case, at: Place) -> Option<Typed> {
        let text = self.text(text, function)?;
        Some(Typed::Text(Node { at, is: cased(text.is, case) }))
    }

    /// `[constants].exists(name, body)`: the body once for each constant. With two names, the first is the element's
    /// place in the list.
    fn each(
        &mut self,
        function: &Word,
        list: &Expr,
        place: Option<&Expr>,
        name: &Expr,
        body: &Expr,
        at: Place,
    ) -> Option<Typed> {
        let items = self.elements(function, list)?;
        let mut names = Vec::with_capacity(2);
        for name in place.into_iter().chain([name]) {
            match &name.is {
                Syntax::Name(bound) if !bound.contains('.') => names.push(bound.clone()),
                _ => {
                    let message =
                        format!("`{}` takes a name for the element, then a condition", function.text);
                    self.say(self.fault(DiagnosticCode::Argument, name.at, message));
                    return None;
                }
            }
        }
        let mut terms = Vec::with_capacity(items.len());
        for (index, literal) in items.into_iter().enumerate() {
            self.count();
            if self.cost > RULE_COST_MAX {
                self.say_too_costly(at);
                return None;
            }
            let before = self.bound.len();
            if place.is_some() {
                self.bound.push((names[0].clone(), Literal::Int(index as i64)));
            }
            self.bound.extend(names.last().map(|name| (name.clone(), literal)));
            let term = self.condition(body);
            self.bound.truncate(before);
            // What is wrong with the body is wrong for every element.
            terms.push(term?);
        }
        let folded = if function.text == "all" { fold::all(terms, at) } else { fold::any(terms, at) };
        Some(Typed::Bool(Node { at, ..folded }))
    }

    /// The elements that `exists` and `all` go through.
    fn elements(&mut self, function: &Word, list: &Expr) -> Option<Vec<Literal>> {
        if let Syntax::List(items) = &list.is {
            for item in items {
                if !self.is_constant(item) {
                    let message = "a list in a condition holds constants";
                    self.say(self.fault(DiagnosticCode::Type, item.at, message));
                    return None;
                }
            }
        } else if !self.is_constant(list) {
            let message = format!("`{}` goes through a list of constants: [\"a\", \"b\"]", function.text);
            self.say(self.fault(DiagnosticCode::Type, list.at, message));
            return None;
        }
        self.constant_elements(list)
    }
}

/// A text with its letters in one case; of two cases, the outer one counts.
fn cased(text: Text, case: Case) -> Text {
    match text {
        Text::Constant(text) => Text::Constant(if case == Case::Lower {
            text.to_ascii_lowercase().into()
        } else {
            text.to_ascii_uppercase().into()
        }),
        Text::Field(field, _) => Text::Field(field, case),
        Text::If(choice) => {
            let Choice { test, one, other } = *choice;
            let again = |text: Node<Text>| Node { at: text.at, is: cased(text.is, case) };
            Text::If(Box::new(Choice { test, one: again(one), other: again(other) }))
        }
    }
}
