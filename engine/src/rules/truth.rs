//! Three-valued logic with errors: what a condition, or a value in it, comes to.

/// A calculation that has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// A whole number that does not fit in 64 bits.
    Overflow,
    /// A division of whole numbers by zero.
    DivisionByZero,
}

impl Fault {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Overflow => "integer overflow",
            Self::DivisionByZero => "division by zero",
        }
    }
}

/// Why there is no value. The order is strength: an error is stronger than absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    /// The request does not carry it.
    Absent,
    Fault(Fault),
}

/// What a condition comes to. The order is strength among those that absorb nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Truth {
    /// It does not hold.
    False,
    /// It holds.
    True,
    /// Something that it needs is absent: a rule that ends so does not hit.
    Absent,
    /// A calculation in it has no result.
    Error(Fault),
}

impl Truth {
    /// `&&`: what does not hold absorbs everything.
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::False || other == Self::False { Self::False } else { self.max(other) }
    }

    /// `||`: what holds absorbs everything.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::True || other == Self::True { Self::True } else { self.max(other) }
    }

    /// `!`.
    pub(super) fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            Self::Absent | Self::Error(_) => self,
        }
    }

    /// `==` of two conditions: there is no answer where either has none.
    pub(super) fn same(self, other: Self) -> Self {
        if self.max(other) > Self::True { self.max(other) } else { (self == other).into() }
    }

    /// `self ? one : other`.
    pub(super) fn choose(self, one: impl FnOnce() -> Self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::True => one(),
            Self::False => other(),
            Self::Absent | Self::Error(_) => self,
        }
    }

    /// The truth value, or why there is none.
    pub(super) fn decided(self) -> Result<bool, Lack> {
        match self {
            Self::False => Ok(false),
            Self::True => Ok(true),
            Self::Absent => Err(Lack::Absent),
            Self::Error(fault) => Err(Lack::Fault(fault)),
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl From<Result<bool, Lack>> for Truth {
    fn from(result: Result<bool, Lack>) -> Self {
        match result {
            Ok(holds) => holds.into(),
            Err(Lack::Absent) => Self::Absent,
            Err(Lack::Fault(fault)) => Self::Error(fault),
        }
    }
}

/// Two values, or the stronger of the reasons why there is none.
pub(super) fn both<A, B>(one: Result<A, Lack>, other: Result<B, Lack>) -> Result<(A, B), Lack> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(one), Err(other)) => Err(one.max(other)),
        (Err(lack), Ok(_)) | (Ok(_), Err(lack)) => Err(lack),
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{Absent, False, True};
    use super::*;

    const OVERFLOW: Truth = Truth::Error(Fault::Overflow);
    const ZERO: Truth = Truth::Error(Fault::DivisionByZero);
    const ALL: [Truth; 5] = [False, True, Absent, OVERFLOW, ZERO];

    #[test]
    fn the_tables_of_and_or_and_same() {
        let and = [
            [False, False, False, False, False],
            [False, True, Absent, OVERFLOW, ZERO],
            [False, Absent, Absent, OVERFLOW, ZERO],
            [False, OVERFLOW, OVERFLOW, OVERFLOW, ZERO],
            [False, ZERO, ZERO, ZERO, ZERO],
        ];
        let or = [
            [False, True, Absent, OVERFLOW, ZERO],
            [True, True, True, True, True],
            [Absent, True, Absent, OVERFLOW, ZERO],
            [OVERFLOW, True, OVERFLOW, OVERFLOW, ZERO],
            [ZERO, True, ZERO, ZERO, ZERO],
        ];
        let same = [
            [True, False, Absent, OVERFLOW, ZERO],
            [False, True, Absent, OVERFLOW, ZERO],
            [Absent, Absent, Absent, OVERFLOW, ZERO],
            [OVERFLOW, OVERFLOW, OVERFLOW, OVERFLOW, ZERO],
            [ZERO, ZERO, ZERO, ZERO, ZERO],
        ];
        for (row, one) in ALL.into_iter().enumerate() {
            for (column, other) in ALL.into_iter().enumerate() {
                assert_eq!(one.and(other), and[row][column], "{one:?} && {other:?}");
                assert_eq!(one.or(other), or[row][column], "{one:?} || {other:?}");
                assert_eq!(one.same(other), same[row][column], "{one:?} == {other:?}");
            }
        }
        assert_eq!(ALL.map(Truth::not), [True, False, Absent, OVERFLOW, ZERO]);
    }

    /// The laws that let an index ask atoms in any order, each at most once.
    #[test]
    fn and_and_or_are_commutative_associative_and_dual() {
        for one in ALL {
            for two in ALL {
                assert_eq!((one.and(two), one.or(two)), (two.and(one), two.or(one)));
                assert_eq!(one.and(two).not(), one.not().or(two.not()));
                for three in ALL {
                    assert_eq!(one.and(two).and(three), one.and(two.and(three)));
                    assert_eq!(one.or(two).or(three), one.or(two.or(three)));
                }
            }
        }
    }
}
