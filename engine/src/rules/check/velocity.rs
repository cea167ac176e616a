//! `velocity(key, window)`: whose events, how far back, which kinds, and what is read of them.

use super::durations::{duration_text, parse_duration};
use super::{Checker, NumberKind, Typed};
use crate::limits::VELOCITY_SPAN_MS_MAX;
use crate::request::KeyName;
use crate::rules::diagnostic::Code as DiagnosticCode;
use crate::rules::expression::{Expr, Literal, Place, Syntax, Word};
use crate::rules::fields::alternatives;
use crate::rules::ir::{Node, Number};
use crate::velocity::spec::{KeyExpr, KindSet, Mark, Measure, ReadingSpec, TAGS_MAX};
use sparr_protocol::codes::Kind;
use sparr_protocol::text::nearest;

/// Shortest window.
const SPAN_MS_MIN: i64 = 1_000;

/// Fields that people write instead of the key they mean.
const KEYS_OF_FIELDS: &[(&str, KeyName)] = &[
    ("card_token", KeyName::Card),
    ("par", KeyName::Card),
    ("pan_digest", KeyName::Card),
    ("device_id", KeyName::Device),
    ("payer_account", KeyName::Account),
    ("payee_account", KeyName::Payee),
    ("merchant_id", KeyName::Merchant),
    ("merchant_org", KeyName::Merchant),
    ("terminal_id", KeyName::Terminal),
    ("customer", KeyName::Subject),
    ("user", KeyName::Subject),
    ("person", KeyName::Subject),
];

/// Measures that are written without parentheses.
const MEASURES: [&str; 6] = ["count", "sum", "max", "declined", "declined_by_sparr", "declined_final"];

/// What can be read, as help says it.
const THERE_IS: &str = "there is .count, .sum, .max, .declined, .declined_final and .distinct(key)";

/// A key as examples write it: `card`, or `[card, merchant]`.
pub(in crate::rules) fn parse_key(text: &str) -> Option<KeyExpr> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        None => KeyName::parse(text).map(|first| KeyExpr { first, second: None }),
        Some(pair) => {
            let (one, other) = pair.split_once(',')?;
            pair_of(KeyName::parse(one.trim())?, KeyName::parse(other.trim())?)
        }
    }
}

/// A pair of two different keys. Its order does not matter, so it has one.
fn pair_of(one: KeyName, other: KeyName) -> Option<KeyExpr> {
    (one != other).then(|| KeyExpr { first: one.min(other), second: Some(one.max(other)) })
}

/// The length of a window, ms: 1 s to 90 days.
pub(in crate::rules) fn parse_window(text: &str) -> Option<i64> {
    parse_duration(text).filter(|span_ms| (SPAN_MS_MIN..=VELOCITY_SPAN_MS_MAX).contains(span_ms))
}

/// A window whose measure is still to be named.
struct Window {
    key: KeyExpr,
    kinds: KindSet,
    span_ms: i64,
}

impl Checker<'_> {
    /// `operand.member`, where the operand is no name: a measure of a window.
    pub(super) fn member(&mut self, operand: &Expr, member: &Word) -> Option<Typed> {
        let window = match &operand.is {
            Syntax::Call(word, None, arguments) if word.text == "velocity" => {
                self.velocity_key(word, arguments)
            }
            Syntax::Call(word, None, arguments) if word.text == "indicator" => {
                let at = Place { start: operand.at.start, end: member.at.end };
                return self.indicator(word, arguments, member, at);
            }
            _ => {
                let typed = self.typed(operand)?;
                let message = format!("{} has no member `{}`", typed.noun(), member.text);
                self.say(self.fault(DiagnosticCode::UnknownFunction, member.at, message));
                return None;
            }
        };
        let (measure, kind) = match member.text.as_str() {
            "count" => (Measure::Count, NumberKind::Plain),
            "sum" => (Measure::Sum, NumberKind::Money),
            "max" => (Measure::Max, NumberKind::Money),
            // The long name says whose decline it is, where it stands beside the issuer's.
            "declined" | "declined_by_sparr" => (Measure::Marked(Mark::DeclinedBySparr), NumberKind::Plain),
            "declined_final" => (Measure::Marked(Mark::DeclinedFinal), NumberKind::Plain),
            "distinct" => {
                let message = "`.distinct` says of which key: `.distinct(terminal)`";
                self.say(self.fault(DiagnosticCode::Argument, member.at, message));
                return None;
            }
            name => {
                let message = format!("a window has no `.{name}`");
                let diagnostic = self.fault(DiagnosticCode::UnknownFunction, member.at, message);
                let near = nearest(
                    name,
                    ["count", "sum", "max", "declined", "declined_final", "distinct"].into_iter(),
                );
                self.say(match near {
                    Some(_) => diagnostic.did_you_mean(near),
                    None => diagnostic.help(THERE_IS),
                });
                return None;
            }
        };
        self.reading(window?, measure, kind, Place { start: operand.at.start, end: member.at.end })
    }

    fn reading(&mut self, window: Window, measure: Measure, kind: NumberKind, at: Place) -> Option<Typed> {
        let Window { key, kinds, span_ms } = window;
        let Some(index) = self.plan.add(ReadingSpec { key, kinds, span_ms, measure }) else {
            let message = format!(
                "the different values of a third key are counted for `{}`; there is room for {TAGS_MAX}",
                key.text()
            );
            self.say(self.fault(DiagnosticCode::Argument, at, message));
            return None;
        };
        Some(Typed::Number(Node { at, is: Number::Reading(index, kind.unit()) }, kind))
    }

    /// `velocity(…).distinct(terminal)`, the one measure that is written with parentheses.
    pub(super) fn distinct(&mut self, operand: &Expr, member: &Word, key: &Expr, at: Place) -> Option<Typed> {
        let window = match &operand.is {
            Syntax::Call(word, None, arguments) if word.text == "velocity" => {
                self.velocity_key(word, arguments)
            }
            _ => {
                let message = "`.distinct` is read of a window: velocity(card, \"24h\").distinct(terminal)";
                self.say(self.fault(DiagnosticCode::UnknownFunction, member.at, message));
                return None;
            }
        };
        let name = match &key.is {
            Syntax::Name(name) => KeyName::parse(name),
            _ => None,
        };
        let Some(name) = name else {
            let keys: Vec<&str> = KeyName::ALL.iter().map(|key| key.name()).collect();
            let message = format!("`.distinct` takes one of the keys {}", alternatives(&keys));
            self.say(self.fault(DiagnosticCode::Argument, key.at, message));
            return None;
        };
        self.reading(window?, Measure::Distinct(name), NumberKind::Plain, at)
    }

    /// `velocity(…).count()` and its like.
    pub(super) fn say_member_called(&mut self, member: &Word) -> Option<Typed> {
        let name = member.text.as_str();
        let diagnostic = if MEASURES.contains(&name) {
            let message = format!("`.{name}` is written without parentheses");
            self.fault(DiagnosticCode::Argument, member.at, message)
        } else {
            let message = format!("a window has no `.{name}`");
            self.fault(DiagnosticCode::UnknownFunction, member.at, message).help(THERE_IS)
        };
        self.say(diagnostic);
        None
    }

    /// `velocity(…)` alone.
    pub(super) fn say_no_measure(&mut self, word: &Word, arguments: &[Expr], at: Place) -> Option<Typed> {
        self.velocity_key(word, arguments);
        let message = "say what is read of the window: `.count`, `.sum`, `.max`, `.declined`, `.declined_final` or `.distinct(key)`";
        self.say(self.fault(DiagnosticCode::Argument, at, message));
        None
    }

    /// The arguments of `velocity`.
    fn velocity_key(&mut self, word: &Word, arguments: &[Expr]) -> Option<Window> {
        let (key, window, kinds) =
            match arguments {
                [key, window] => (key, window, None),
                [key, window, kinds] => (key, window, Some(kinds)),
                _ => {
                    let message = "`velocity` takes a key and a window, and perhaps a list of kinds";
                    self.say(self.fault(DiagnosticCode::Argument, word.at, message).help(
                        "it is written velocity(card, \"10m\") or velocity(card, \"10m\", [\"refund\"])",
                    ));
                    return None;
                }
            };
        let key = self.key(key);
        let span_ms = self.window(window);
        let kinds = kinds.map_or(Some(KindSet::DEFAULT), |kinds| self.kinds(kinds));
        Some(Window { key: key?, span_ms: span_ms?, kinds: kinds? })
    }

    /// `first_seen(card)`, or `first_seen(card, "30d")`: how long ago the key was first seen.
    pub(super) fn first_seen(&mut self, word: &Word, arguments: &[Expr], at: Place) -> Option<Typed> {
        let (key, window) = match arguments {
            [key] => (key, None),
            [key, window] => (key, Some(window)),
            _ => {
                let message = "`first_seen` takes a key, and perhaps how far it looks back";
                let help = "it is written first_seen(card) < duration(\"1h\") or first_seen(card, \"30d\")";
                self.say(self.fault(DiagnosticCode::Argument, word.at, message).help(help));
                return None;
            }
        };
        let key = self.key(key);
        let span_ms = window.map_or(Some(VELOCITY_SPAN_MS_MAX), |window| self.window(window));
        let (key, span_ms) = (key?, span_ms?);
        // Whatever somebody does with a card or a device shows that it is not new.
        let spec = ReadingSpec { key, kinds: KindSet::ALL, span_ms, measure: Measure::FirstSeen };
        let Some(index) = self.plan.add(spec) else {
            let known = self.plan.keys().iter().find(|plan| plan.key == key);
            let known = known.and_then(|plan| plan.first_seen_ms).map(duration_text).unwrap_or_default();
            let message =
                format!("another condition looks back {known} for `{}`: one key has one length", key.text());
            self.say(self.fault(DiagnosticCode::Argument, at, message));
            return None;
        };
        let is = Number::Reading(index, NumberKind::Duration.unit());
        Some(Typed::Number(Node { at, is }, NumberKind::Duration))
    }

    fn key(&mut self, expr: &Expr) -> Option<KeyExpr> {
        match &expr.is {
            Syntax::List(pair) => {
                let [one, other] = &pair[..] else {
                    let message = "a key is one name, or a pair: [card, merchant]";
                    self.say(self.fault(DiagnosticCode::Argument, expr.at, message));
                    return None;
                };
                let (one, other) = (self.key_name(one), self.key_name(other));
                let pair = pair_of(one?, other?);
                if pair.is_none() {
                    let message = "a pair is of two different keys";
                    self.say(self.fault(DiagnosticCode::Argument, expr.at, message));
                }
                pair
            }
            _ => self.key_name(expr).map(|first| KeyExpr { first, second: None }),
        }
    }

    fn key_name(&mut self, expr: &Expr) -> Option<KeyName> {
        let names = KeyName::ALL.map(KeyName::name);
        let name = match &expr.is {
            Syntax::Name(name) => name,
            Syntax::Literal(Literal::Text(text)) if KeyName::parse(text).is_some() => {
                let message = format!("a key is written without quotes: {text}");
                self.say(self.fault(DiagnosticCode::Argument, expr.at, message));
                return None;
            }
            _ => {
                let message = "here stands the name of a key";
                self.say(
                    self.fault(DiagnosticCode::Argument, expr.at, message)
                        .help(format!("the keys are {}", alternatives(&names))),
                );
                return None;
            }
        };
        let key = KeyName::parse(name);
        if key.is_none() {
            let diagnostic =
                self.fault(DiagnosticCode::Argument, expr.at, format!("no key is called `{name}`"));
            let meant = KEYS_OF_FIELDS.iter().find(|(field, _)| field == name).map(|(_, key)| key.name());
            let near = meant.or_else(|| nearest(name, names.into_iter()));
            self.say(match near {
                Some(_) => diagnostic.did_you_mean(near),
                None => diagnostic.help(format!("the keys are {}", alternatives(&names))),
            });
        }
        key
    }

    fn window(&mut self, expr: &Expr) -> Option<i64> {
        let span_ms = match self.literal(expr) {
            Some(Literal::Text(text)) => parse_window(text),
            _ => None,
        };
        if span_ms.is_none() {
            let message = "a window is a length of time in quotes, from \"1s\" to \"90d\"";
            self.say(
                self.fault(DiagnosticCode::Argument, expr.at, message)
                    .help("write \"30s\", \"10m\", \"24h\" or \"7d\""),
            );
        }
        span_ms
    }

    fn kinds(&mut self, expr: &Expr) -> Option<KindSet> {
        let items = match &expr.is {
            Syntax::List(items) if !items.is_empty() => items,
            _ => {
                let message = "the kinds that are counted are a list: [\"refund\"]";
                self.say(self.fault(DiagnosticCode::Argument, expr.at, message));
                return None;
            }
        };
        let mut set = Some(KindSet::EMPTY);
        for item in items {
            let name = match self.literal(item) {
                Some(Literal::Text(name)) => name.clone(),
                _ => String::new(),
            };
            match Kind::parse(&name) {
                Some(kind) => set = set.map(|set| set.with(kind)),
                None => {
                    let near = nearest(&name, Kind::ALL.iter().map(|kind| kind.name()));
                    let message = format!("`{}` is no kind of payment", self.words(item.at));
                    self.say(self.fault(DiagnosticCode::UnknownValue, item.at, message).did_you_mean(near));
                    set = None;
                }
            }
        }
        set
    }
}
