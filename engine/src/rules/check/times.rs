//! Times in a condition: constants, and what is read off a calendar or a clock.

use super::{Checker, NumberKind, Typed};
use crate::rules::constant::{self, CalendarPart};
use crate::rules::diagnostic::Code as DiagnosticCode;
use crate::rules::expression::{Expr, Literal, Operator, Place, Word};
use crate::rules::ir::{Node, Number, Unit, Zone};

impl Checker<'_> {
    /// `timestamp("…")`.
    pub(super) fn timestamp(&mut self, argument: &Expr, whole: &Expr) -> Option<Typed> {
        self.time_constant(
            argument,
            whole,
            "`timestamp` takes a time with its offset in quotes, such as \"2026-11-22T16:48:00Z\"",
        )
    }

    /// `duration("…")`.
    pub(super) fn duration(&mut self, argument: &Expr, whole: &Expr) -> Option<Typed> {
        self.time_constant(
            argument,
            whole,
            "`duration` takes a length of time in quotes, such as \"10m\" or \"1h30m\"",
        )
    }

    fn time_constant(&mut self, argument: &Expr, whole: &Expr, form: &str) -> Option<Typed> {
        let literal = self.literal(argument).is_some();
        let before = self.report.len();
        let typed = self.constant_part(whole);
        if typed.is_none() && (literal || !self.is_constant(argument)) {
            self.report.truncate(before);
            self.say(self.fault(DiagnosticCode::Argument, argument.at, form));
        }
        typed
    }

    /// `int(argument)`: a fraction without what stands behind its point.
    pub(super) fn int(&mut self, argument: &Expr, at: Place) -> Option<Typed> {
        match self.typed(argument)? {
            Typed::Number(number, NumberKind::Plain) => Some(Typed::Number(number, NumberKind::Plain)),
            Typed::Fraction(fraction) => {
                let is = Number::Truncated(Box::new(fraction));
                Some(Typed::Number(Node { at, is }, NumberKind::Plain))
            }
            other => {
                let message = format!("`int` makes a whole number of a fraction; this is {}", other.noun());
                self.say(self.fault(DiagnosticCode::Type, argument.at, message));
                None
            }
        }
    }

    /// `time.getHours("Europe/Stockholm")`, `length.getMinutes()` and their like.
    pub(super) fn calendar(
        &mut self,
        function: &Word,
        time: &Expr,
        zone: Option<&Expr>,
        at: Place,
    ) -> Option<Typed> {
        let part = CalendarPart::of(&function.text)?;
        let plain = |is| Some(Typed::Number(Node { at, is }, NumberKind::Plain));
        let count = |value| Node { at, is: Number::Constant(value, Unit::Plain) };
        let divided = |operator, number, by| Number::Arithmetic(operator, Box::new([number, count(by)]));
        match (self.typed(time)?, zone) {
            (Typed::Number(number, NumberKind::Time), _) => {
                let name = match zone.map(|zone| self.literal(zone)) {
                    None => "UTC",
                    Some(Some(Literal::Text(name))) => name,
                    Some(_) => "",
                };
                match constant::zone(name) {
                    Ok(found) => {
                        let zone = Zone { name: name.into(), zone: found };
                        plain(Number::Calendar(part, zone, Box::new(number)))
                    }
                    Err(_) => {
                        let message =
                            "a time zone is a name in quotes, such as \"Europe/Stockholm\" or \"+01:00\"";
                        let at = zone.map_or(at, |zone| zone.at);
                        self.say(self.fault(DiagnosticCode::Argument, at, message));
                        None
                    }
                }
            }
            (Typed::Number(number, NumberKind::Duration), None) => match part {
                CalendarPart::Hours => plain(divided(Operator::Divide, number, 3_600_000)),
                CalendarPart::Minutes => plain(divided(Operator::Divide, number, 60_000)),
                CalendarPart::Seconds => plain(divided(Operator::Divide, number, 1_000)),
                CalendarPart::Milliseconds => plain(divided(Operator::Remainder, number, 1_000)),
                CalendarPart::FullYear
                | CalendarPart::Month
                | CalendarPart::Date
                | CalendarPart::DayOfMonth
                | CalendarPart::DayOfWeek
                | CalendarPart::DayOfYear => self.say_no_time(function, time, "a length of time"),
            },
            (other, _) => self.say_no_time(function, time, &other.noun()),
        }
    }

    fn say_no_time(&mut self, function: &Word, time: &Expr, noun: &str) -> Option<Typed> {
        let message = format!("`{}` is read off a point in time; this is {noun}", function.text);
        self.say(self.fault(DiagnosticCode::Type, time.at, message));
        None
    }
}
