//! What a condition may come to when a part of what it reads is known: the ground on which rules are left out.

use super::super::ir::{Atom, Code, Condition, Node, Number, Test, Text, Visit, Visitor};
use crate::facts::schema::FieldIndex;
use crate::rules::expression::Relation;
use crate::rules::truth::{Fault, Truth};

/// A set of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Possible(u8);

/// One answer of each kind; which calculation failed does not matter here.
const ANSWERS: [Truth; 4] = [Truth::False, Truth::True, Truth::Absent, Truth::Error(Fault::Overflow)];

impl Possible {
    const NONE: Self = Self(0);

    pub(super) const fn only(truth: Truth) -> Self {
        Self(match truth {
            Truth::False => 1,
            Truth::True => 2,
            Truth::Absent => 4,
            Truth::Error(_) => 8,
        })
    }

    const fn or_also(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn holds(self, truth: Truth) -> bool {
        self.0 & Self::only(truth).0 != 0
    }

    /// Whether the rule may hit, or fail: only then must it be asked.
    pub(super) const fn matters(self) -> bool {
        self.0 & (2 | 8) != 0
    }

    fn answers(self) -> impl Iterator<Item = Truth> {
        ANSWERS.into_iter().filter(move |truth| self.holds(*truth))
    }

    fn with(self, other: Self, join: impl Fn(Truth, Truth) -> Truth) -> Self {
        self.answers().fold(Self::NONE, |set, one| {
            other.answers().fold(set, |set, other| set.or_also(Self::only(join(one, other))))
        })
    }
}

/// What a condition may come to, where `known` says what some of its atoms come to.
pub(super) fn possible(condition: &Condition, known: &dyn Fn(&Atom) -> Option<Truth>) -> Possible {
    let again = |part: &Condition| possible(part, known);
    match &condition.is {
        Test::Constant(holds) => Possible::only((*holds).into()),
        Test::Atom(atom) => known(atom).map_or_else(|| unknown(atom), Possible::only),
        Test::Not(inner) => again(inner).with(Possible::only(Truth::True), |one, _| one.not()),
        Test::All(terms) => {
            terms.iter().fold(Possible::only(Truth::True), |all, term| all.with(again(term), Truth::and))
        }
        Test::Any(terms) => {
            terms.iter().fold(Possible::only(Truth::False), |any, term| any.with(again(term), Truth::or))
        }
        Test::If(choice) => {
            // All three are looked at, so that every atom is met once and in order.
            let (test, one, other) = (again(&choice.test), again(&choice.one), again(&choice.other));
            test.answers().fold(Possible::NONE, |set, test| {
                set.or_also(match test {
                    Truth::True => one,
                    Truth::False => other,
                    Truth::Absent | Truth::Error(_) => Possible::only(test),
                })
            })
        }
        Test::Same(pair) => again(&pair[0]).with(again(&pair[1]), Truth::same),
    }
}

fn unknown(atom: &Atom) -> Possible {
    let two = Possible::only(Truth::False).or_also(Possible::only(Truth::True));
    if matches!(atom, Atom::Present(_)) {
        return two;
    }
    let three = two.or_also(Possible::only(Truth::Absent));
    if can_fail(atom) { three.or_also(Possible::only(Truth::Error(Fault::Overflow))) } else { three }
}

/// Whether a part has a calculation in it that may fail.
pub(super) fn can_fail(part: &impl Visit) -> bool {
    #[derive(Default)]
    struct Calculates(bool);
    impl Visitor for Calculates {
        fn calculation(&mut self) {
            self.0 = true;
        }
    }
    let mut calculates = Calculates::default();
    part.visit(&mut calculates);
    calculates.0
}

/// What an atom asks about: one value, against constants; or only the atom itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Number(Node<Number>),
    Code(FieldIndex),
    Text(Node<Text>),
    Atom(Atom),
}

impl Subject {
    pub(super) fn of(atom: &Atom) -> Self {
        match atom {
            Atom::Numbers(value, _, Node { is: Number::Constant(..), .. }) | Atom::NumberIn(value, _) => {
                Self::Number(value.clone())
            }
            Atom::Codes(Node { is: Code::Field(field), .. }, Node { is: Code::Constant(_), .. })
            | Atom::CodeIn(Node { is: Code::Field(field), .. }, _) => Self::Code(*field),
            Atom::Texts(value, Relation::Equal | Relation::Unequal, Node { is: Text::Constant(_), .. })
            | Atom::TextIn(value, _)
                if matches!(value.is, Text::Field(..)) =>
            {
                Self::Text(value.clone())
            }
            _ => Self::Atom(atom.clone()),
        }
    }
}

/// What an atom about a whole number comes to for one.
pub(super) fn at_number(atom: &Atom, value: i64) -> Truth {
    match atom {
        Atom::Numbers(_, relation, Node { is: Number::Constant(constant, _), .. }) => {
            relation.holds(value.cmp(constant)).into()
        }
        Atom::NumberIn(_, among) => among.binary_search(&value).is_ok().into(),
        _ => Truth::Absent,
    }
}

/// Where what an atom about a whole number comes to may change: each number begins a stretch.
pub(super) fn starts(atom: &Atom, mut add: impl FnMut(i64)) {
    let mut single = |value: i64| {
        add(value);
        if let Some(behind) = value.checked_add(1) {
            add(behind);
        }
    };
    match atom {
        Atom::Numbers(_, _, Node { is: Number::Constant(constant, _), .. }) => single(*constant),
        Atom::NumberIn(_, among) => among.iter().for_each(|value| single(*value)),
        _ => {}
    }
}

/// What an atom about an enumeration comes to for a value; `None` stands for one that it does not name.
pub(super) fn at_code(atom: &Atom, value: Option<u16>) -> Truth {
    match atom {
        Atom::Codes(_, Node { is: Code::Constant(constant), .. }) => (value == Some(*constant)).into(),
        Atom::CodeIn(_, among) => value.is_some_and(|value| among.binary_search(&value).is_ok()).into(),
        _ => Truth::Absent,
    }
}

/// The values of an enumeration that an atom names.
pub(super) fn codes(atom: &Atom) -> &[u16] {
    match atom {
        Atom::Codes(_, Node { is: Code::Constant(constant), .. }) => std::slice::from_ref(constant),
        Atom::CodeIn(_, among) => among,
        _ => &[],
    }
}

/// What an atom about a text comes to for one; `None` stands for one that it does not name.
pub(super) fn at_text(atom: &Atom, value: Option<&str>) -> Truth {
    match atom {
        Atom::Texts(_, relation, Node { is: Text::Constant(constant), .. }) => {
            ((value == Some(constant)) == (*relation == Relation::Equal)).into()
        }
        Atom::TextIn(_, among) => {
            value.is_some_and(|value| among.iter().any(|known| **known == *value)).into()
        }
        _ => Truth::Absent,
    }
}

/// The texts that an atom names.
pub(super) fn texts(atom: &Atom) -> Vec<&str> {
    match atom {
        Atom::Texts(_, _, Node { is: Text::Constant(constant), .. }) => vec![constant],
        Atom::TextIn(_, among) => among.iter().map(|text| &**text).collect(),
        _ => Vec::new(),
    }
}

/// Every atom of a condition.
pub(super) fn atoms<'c>(condition: &'c Condition, found: &mut Vec<&'c Atom>) {
    match &condition.is {
        Test::Constant(_) => {}
        Test::Atom(atom) => found.push(atom),
        Test::Not(inner) => atoms(inner, found),
        Test::All(terms) | Test::Any(terms) => terms.iter().for_each(|term| atoms(term, found)),
        Test::If(choice) => {
            [&choice.test, &choice.one, &choice.other].iter().for_each(|part| atoms(part, found))
        }
        Test::Same(pair) => pair.iter().for_each(|part| atoms(part, found)),
    }
}

/// Terms of which at least one matters where the condition does: what is joined by `&&` is multiplied out over what is
/// joined by `||`, as far as that stays small.
pub(super) fn terms(condition: &Condition) -> Vec<Vec<&Condition>> {
    const TERMS_MAX: usize = 16;
    match &condition.is {
        Test::Any(parts) => {
            let all: Vec<_> = parts.iter().flat_map(terms).collect();
            if all.len() <= TERMS_MAX { all } else { vec![vec![condition]] }
        }
        Test::All(parts) => {
            let mut product: Vec<Vec<&Condition>> = vec![Vec::new()];
            for part in parts {
                let inner = terms(part);
                if inner.len() * product.len() > TERMS_MAX {
                    product.iter_mut().for_each(|term| term.push(part));
                    continue;
                }
                product = product
                    .iter()
                    .flat_map(|term| inner.iter().map(move |more| [term.as_slice(), more].concat()))
                    .collect();
            }
            product
        }
        Test::Constant(_) | Test::Atom(_) | Test::Not(_) | Test::If(_) | Test::Same(_) => {
            vec![vec![condition]]
        }
    }
}
