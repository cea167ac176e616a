//! What an example tries of its rule: what each part of the condition comes to.
//!
//! Two examples for which every part comes to the same try the same thing: the condition needs only one of them.

use super::interpret::Scene;
use super::ir::{Condition, Test};
use super::truth::Truth;

/// What each part of a condition comes to, outer ones first; and whether the rule applies to the request at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    applies: bool,
    parts: Vec<Truth>,
}

impl Tried {
    /// What a request tries of a condition.
    pub(super) fn of(condition: &Condition, applies: bool, scene: Scene<'_>) -> Self {
        let mut tried = Self { applies, parts: Vec::new() };
        // A rule that does not apply asks nothing.
        if applies {
            tried.part(condition, scene);
        }
        tried
    }

    fn part(&mut self, condition: &Condition, scene: Scene<'_>) {
        self.parts.push(condition.truth(scene));
        match &condition.is {
            Test::Constant(_) | Test::Atom(_) => {}
            Test::Not(part) => self.part(part, scene),
            Test::All(parts) | Test::Any(parts) => parts.iter().for_each(|part| self.part(part, scene)),
            Test::If(choice) => {
                [&choice.test, &choice.one, &choice.other].into_iter().for_each(|part| self.part(part, scene));
            }
            Test::Same(pair) => pair.iter().for_each(|part| self.part(part, scene)),
        }
    }
}
