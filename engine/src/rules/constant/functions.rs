//! The functions of constant expressions, in one table: what each takes decides at checking time and, where an
//! element's type is known only then, when it is evaluated.

use super::Failure;
use super::times::{self, CalendarPart};
use super::value::{Type, Value};
use regex::RegexBuilder;

/// A type that a function takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    Bool,
    Int,
    Double,
    Text,
    Time,
    Length,
    List,
    Type,
}

impl Kind {
    /// Whether a value of the type is taken.
    fn takes(self, given: &Type) -> bool {
        match given {
            Type::Any => true,
            Type::Null => self == Self::Any,
            Type::Bool => matches!(self, Self::Any | Self::Bool),
            Type::Int => matches!(self, Self::Any | Self::Int),
            Type::Double => matches!(self, Self::Any | Self::Double),
            Type::Text => matches!(self, Self::Any | Self::Text),
            Type::Time => matches!(self, Self::Any | Self::Time),
            Type::Length => matches!(self, Self::Any | Self::Length),
            Type::List(_) => matches!(self, Self::Any | Self::List),
            Type::OfTypes => matches!(self, Self::Any | Self::Type),
        }
    }

    fn of_type(self) -> Type {
        match self {
            Self::Any => Type::Any,
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Double => Type::Double,
            Self::Text => Type::Text,
            Self::Time => Type::Time,
            Self::Length => Type::Length,
            Self::List => Type::List(Box::new(Type::Any)),
            Self::Type => Type::OfTypes,
        }
    }
}

type Run = fn(&[Value]) -> Result<Value, Failure>;

/// One way of calling a function.
struct Function {
    name: &'static str,
    /// Written `x.f(…)`; the target is the first of what it takes.
    method: bool,
    takes: &'static [Kind],
    gives: Kind,
    run: Run,
}

const fn function(name: &'static str, takes: &'static [Kind], gives: Kind, run: Run) -> Function {
    Function { name, method: false, takes, gives, run }
}

const fn method(name: &'static str, takes: &'static [Kind], gives: Kind, run: Run) -> Function {
    Function { name, method: true, takes, gives, run }
}

macro_rules! run {
    ($($pattern:pat_param),+ => $result:expr) => {
        |given| match given {
            [$($pattern),+] => $result,
            _ => Err(Failure::NoOverload),
        }
    };
}

use Value as V;

static FUNCTIONS: &[Function] = &[
    function("size", &[Kind::Text], Kind::Int, run!(V::Text(text) => size(text))),
    method("size", &[Kind::Text], Kind::Int, run!(V::Text(text) => size(text))),
    function("size", &[Kind::List], Kind::Int, run!(V::List(items) => Ok(V::Int(items.len() as i64)))),
    method("size", &[Kind::List], Kind::Int, run!(V::List(items) => Ok(V::Int(items.len() as i64)))),
    method(
        "startsWith",
        &[Kind::Text, Kind::Text],
        Kind::Bool,
        run!(V::Text(text), V::Text(part) => Ok(V::Bool(text.starts_with(part.as_str())))),
    ),
    method(
        "endsWith",
        &[Kind::Text, Kind::Text],
        Kind::Bool,
        run!(V::Text(text), V::Text(part) => Ok(V::Bool(text.ends_with(part.as_str())))),
    ),
    method(
        "contains",
        &[Kind::Text, Kind::Text],
        Kind::Bool,
        run!(V::Text(text), V::Text(part) => Ok(V::Bool(text.contains(part.as_str())))),
    ),
    method(
        "matches",
        &[Kind::Text, Kind::Text],
        Kind::Bool,
        run!(V::Text(text), V::Text(pattern) => matches(text, pattern)),
    ),
    function(
        "matches",
        &[Kind::Text, Kind::Text],
        Kind::Bool,
        run!(V::Text(text), V::Text(pattern) => matches(text, pattern)),
    ),
    method(
        "lowerAscii",
        &[Kind::Text],
        Kind::Text,
        run!(V::Text(text) => Ok(V::Text(text.to_ascii_lowercase()))),
    ),
    method(
        "upperAscii",
        &[Kind::Text],
        Kind::Text,
        run!(V::Text(text) => Ok(V::Text(text.to_ascii_uppercase()))),
    ),
    function("int", &[Kind::Int], Kind::Int, run!(same => Ok(same.clone()))),
    function("int", &[Kind::Double], Kind::Int, run!(V::Double(value) => int_of(*value).map(V::Int))),
    function(
        "int",
        &[Kind::Text],
        Kind::Int,
        run!(V::Text(text) => text.parse().map(V::Int).map_err(|_| Failure::Form("a whole number"))),
    ),
    function("int", &[Kind::Time], Kind::Int, run!(V::Time(ns) => Ok(V::Int(times::seconds(*ns))))),
    function("double", &[Kind::Double], Kind::Double, run!(same => Ok(same.clone()))),
    function("double", &[Kind::Int], Kind::Double, run!(V::Int(value) => Ok(V::Double(*value as f64)))),
    function(
        "double",
        &[Kind::Text],
        Kind::Double,
        run!(V::Text(text) => text.parse().map(V::Double).map_err(|_| Failure::Form("a number"))),
    ),
    function("string", &[Kind::Text], Kind::Text, run!(same => Ok(same.clone()))),
    function("string", &[Kind::Bool], Kind::Text, run!(V::Bool(value) => Ok(V::Text(value.to_string())))),
    function("string", &[Kind::Int], Kind::Text, run!(V::Int(value) => Ok(V::Text(value.to_string())))),
    function(
        "string",
        &[Kind::Double],
        Kind::Text,
        run!(V::Double(value) => Ok(V::Text(double_text(*value)))),
    ),
    function("string", &[Kind::Time], Kind::Text, run!(V::Time(ns) => times::time_text(*ns).map(V::Text))),
    function(
        "string",
        &[Kind::Length],
        Kind::Text,
        run!(V::Length(ns) => Ok(V::Text(times::length_text(*ns)))),
    ),
    function("bool", &[Kind::Bool], Kind::Bool, run!(same => Ok(same.clone()))),
    function("bool", &[Kind::Text], Kind::Bool, run!(V::Text(text) => bool_of(text))),
    function("timestamp", &[Kind::Time], Kind::Time, run!(same => Ok(same.clone()))),
    function(
        "timestamp",
        &[Kind::Text],
        Kind::Time,
        run!(V::Text(text) => times::parse_time(text).map(V::Time)),
    ),
    function(
        "timestamp",
        &[Kind::Int],
        Kind::Time,
        run!(V::Int(value) => times::of_seconds(*value).map(V::Time)),
    ),
    function("duration", &[Kind::Length], Kind::Length, run!(same => Ok(same.clone()))),
    function(
        "duration",
        &[Kind::Text],
        Kind::Length,
        run!(V::Text(text) => times::parse_length(text).map(V::Length)),
    ),
    function("type", &[Kind::Any], Kind::Type, run!(value => Ok(V::Type(value.type_name())))),
];

/// Whether there is any way of calling a function of this name.
pub(in crate::rules) fn known(name: &str) -> bool {
    CalendarPart::of(name).is_some() || FUNCTIONS.iter().any(|function| function.name == name)
}

/// What a call gives; `None` where no function takes this.
pub(super) fn result(name: &str, method: bool, given: &[Type]) -> Option<Type> {
    if let Some(part) = CalendarPart::of(name) {
        let called = match given {
            [Type::Length] => part.of_length(0).is_some(),
            [Type::Time | Type::Any] | [Type::Time | Type::Any, Type::Text | Type::Any] => true,
            _ => false,
        };
        return (method && called).then_some(Type::Int);
    }
    let mut ways = ways(name, method, given).map(|function| function.gives.of_type());
    let first = ways.next()?;
    Some(ways.fold(first, Type::join))
}

/// Calls a function.
pub(super) fn call(name: &str, method: bool, given: &[Value]) -> Result<Value, Failure> {
    if let (Some(part), true) = (CalendarPart::of(name), method) {
        return match given {
            [V::Length(ns)] => part.of_length(*ns).map(V::Int).ok_or(Failure::NoOverload),
            [V::Time(ns)] => times::calendar(part, *ns, &jiff::tz::TimeZone::UTC).map(V::Int),
            [V::Time(ns), V::Text(zone)] => times::calendar(part, *ns, &times::zone(zone)?).map(V::Int),
            _ => Err(Failure::NoOverload),
        };
    }
    let types: Vec<Type> = given.iter().map(Value::of_type).collect();
    let way = ways(name, method, &types).next().ok_or(Failure::NoOverload)?;
    (way.run)(given)
}

fn ways(name: &str, method: bool, given: &[Type]) -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().filter(move |function| {
        function.name == name
            && function.method == method
            && function.takes.len() == given.len()
            && function.takes.iter().zip(given).all(|(kind, given)| kind.takes(given))
    })
}

/// Characters, not bytes.
fn size(text: &str) -> Result<Value, Failure> {
    Ok(V::Int(text.chars().count() as i64))
}

/// A pattern, compiled under the limits of conditions.
pub(in crate::rules) fn pattern(source: &str) -> Result<regex::Regex, regex::Error> {
    RegexBuilder::new(source).size_limit(crate::limits::PATTERN_PROGRAM_BYTES_MAX).build()
}

fn matches(text: &str, source: &str) -> Result<Value, Failure> {
    let pattern = pattern(source).map_err(|_| Failure::Form("a pattern"))?;
    Ok(V::Bool(pattern.is_match(text)))
}

/// A fraction without what stands behind its point. The ends of the range are left out, as they may be rounded.
pub(in crate::rules) fn int_of(value: f64) -> Result<i64, Failure> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if value > -LIMIT && value < LIMIT { Ok(value as i64) } else { Err(Failure::Range("a whole number")) }
}

fn bool_of(text: &str) -> Result<Value, Failure> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(V::Bool(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(V::Bool(false)),
        _ => Err(Failure::Form("`true` or `false`")),
    }
}

/// The shortest decimal that reads back as the same number, with an exponent below 10⁻⁴ and from 10⁶ on, as CEL's
/// reference implementation writes it.
fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}
