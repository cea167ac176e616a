//! What an example tries of its rule: what each part of the condition comes to.
//!
//! Two examples for which every part comes to the same try the same thing: the condition needs only one of them. Where one
//! of many values or patterns is met, the next example may meet another of them.

use super::interpret::Scene;
use super::ir::{Atom, Condition, Test};
use super::truth::Truth;

/// What each part of a condition comes to, outer ones first; and whether the rule applies to the request at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    applies: bool,
    parts: Vec<Truth>,
    meets_one_of_many: bool,
}

impl Tried {
    /// What a request tries of a condition.
    pub(super) fn of(condition: &Condition, applies: bool, scene: Scene<'_>) -> Self {
        let mut tried = Self { applies, parts: Vec::new(), meets_one_of_many: false };
        // A rule that does not apply asks nothing.
        if applies {
            tried.part(condition, scene);
        }
        tried
    }

    /// Whether another example has tried the same.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        !self.meets_one_of_many && self == other
    }

    fn part(&mut self, condition: &Condition, scene: Scene<'_>) {
        let truth = condition.truth(scene);
        self.parts.push(truth);
        match &condition.is {
            Test::Constant(_) => {}
            Test::Atom(atom) => self.meets_one_of_many |= truth == Truth::True && is_of_many(atom),
            Test::Not(part) => self.part(part, scene),
            Test::All(parts) | Test::Any(parts) => parts.iter().for_each(|part| self.part(part, scene)),
            Test::If(choice) => {
                [&choice.test, &choice.one, &choice.other]
                    .into_iter()
                    .for_each(|part| self.part(part, scene));
            }
            Test::Same(pair) => pair.iter().for_each(|part| self.part(part, scene)),
        }
    }
}

/// Whether an atom asks for any one of several values.
fn is_of_many(atom: &Atom) -> bool {
    match atom {
        Atom::Covered(..)
        | Atom::Matches(..)
        | Atom::NumberIn(..)
        | Atom::NumberListed(..)
        | Atom::TextIn(..)
        | Atom::TextListed(..)
        | Atom::CodeIn(..)
        | Atom::CodeListed(..) => true,
        Atom::Holds(_)
        | Atom::Present(_)
        | Atom::Numbers(..)
        | Atom::Fractions(..)
        | Atom::Texts(..)
        | Atom::TextPart(..)
        | Atom::Codes(..) => false,
    }
}
