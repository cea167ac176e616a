//! Values of constant expressions, with CEL's equality and order.

use std::cmp::Ordering;

/// What a constant expression comes to.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A floating-point number of 64 bits.
    Double(f64),
    /// A text.
    Text(String),
    /// A point in time, nanoseconds since 1970, in the years 1 to 9999.
    Time(i128),
    /// A length of time, nanoseconds.
    Length(i64),
    /// A list; its elements may be of different types.
    List(Vec<Self>),
    /// A type, by its name in CEL.
    Type(&'static str),
}

/// A static type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Type {
    /// Known only when it is evaluated: an element of a list of several types.
    Any,
    Null,
    Bool,
    Int,
    Double,
    Text,
    Time,
    Length,
    List(Box<Self>),
    /// That of types, which are values too.
    OfTypes,
}

impl Type {
    /// The type of what holds both.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::List(one), Self::List(other)) => Self::List(Box::new(one.join(*other))),
            (one, other) if one == other => one,
            _ => Self::Any,
        }
    }

    /// Whether a value of one may be one of the other.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(one), Self::List(other)) => one.overlaps(other),
            _ => self == other,
        }
    }

    /// For messages.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Any => "a value of several types",
            Self::Null => "`null`",
            Self::Bool => "a condition",
            Self::Int => "a whole number",
            Self::Double => "a fraction",
            Self::Text => "a text",
            Self::Time => "a point in time",
            Self::Length => "a length of time",
            Self::List(_) => "a list",
            Self::OfTypes => "a type",
        }
    }
}

impl Value {
    /// Its type.
    pub(super) fn of_type(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Double(_) => Type::Double,
            Self::Text(_) => Type::Text,
            Self::Time(_) => Type::Time,
            Self::Length(_) => Type::Length,
            Self::List(items) => {
                let types = items.iter().map(Self::of_type);
                Type::List(Box::new(types.reduce(Type::join).unwrap_or(Type::Any)))
            }
            Self::Type(_) => Type::OfTypes,
        }
    }

    /// The name of its type in CEL.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Time(_) => "google.protobuf.Timestamp",
            Self::Length(_) => "google.protobuf.Duration",
            Self::List(_) => "list",
            Self::Type(_) => "type",
        }
    }

    /// How large it is: bytes of a text, elements of a list and what is in them.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(items) => items.iter().map(|item| 1 + item.size()).sum(),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::Time(_)
            | Self::Length(_)
            | Self::Type(_) => 0,
        }
    }

    /// CEL's equality: numbers by their value, other types only among themselves; NaN equals nothing.
    pub fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::List(one), Self::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.equals(other))
            }
            (Self::Type(one), Self::Type(other)) => one == other,
            _ => self.order(other).is_some_and(Ordering::is_eq),
        }
    }

    /// The order of two values that have one; none where either is NaN.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => Some(one.cmp(other)),
            (Self::Int(one), Self::Int(other)) => Some(one.cmp(other)),
            (Self::Double(one), Self::Double(other)) => one.partial_cmp(other),
            (Self::Int(one), Self::Double(other)) => int_and_double(*one, *other),
            (Self::Double(one), Self::Int(other)) => int_and_double(*other, *one).map(Ordering::reverse),
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Time(one), Self::Time(other)) => Some(one.cmp(other)),
            (Self::Length(one), Self::Length(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }
}

/// Whether `<` and its like take these two.
pub(super) fn ordered(one: &Type, other: &Type) -> bool {
    use Type::{Any, Bool, Double, Int, Length, Text, Time};
    match (one, other) {
        (Any, Any) => true,
        (Any, known) | (known, Any) => matches!(known, Bool | Int | Double | Text | Time | Length),
        (Int, Double) | (Double, Int) => true,
        (Bool | Int | Double | Text | Time | Length, _) => one == other,
        _ => false,
    }
}

/// Compares as CEL's reference implementation does: where the fraction is within the range of whole numbers, the whole
/// number is rounded to a fraction first.
fn int_and_double(int: i64, double: f64) -> Option<Ordering> {
    (int as f64).partial_cmp(&double)
}
