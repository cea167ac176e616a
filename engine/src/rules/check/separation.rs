//! Victims and suspects are different things: what a rule may do because a person asked for protection.
//!
//! A person who asked to be *verified* wants to be asked, not to be cut off; a rule that declined because of the
//! flag would punish them for it, and points that a rule adds because of it end in a decline as well. Only a person
//! who chose *deny* is declined because of a flag. The condition is looked at with `flag.deny` taken as false: if
//! it can then still come to hold because `flag.verify` does, it is refused.

use super::fold;
use crate::facts::schema::FieldIndex;
use crate::rules::Action;
use crate::rules::diagnostic::{Code, Diagnostic};
use crate::rules::expression::{Place, Source};
use crate::rules::ir::{Atom, Condition, Test, Visit, Visitor};
use crate::velocity::spec::ReadingIndex;
use sparr_protocol::codes::Outcome;

const VERIFY: &str = "flag.verify";
const DENY: &str = "flag.deny";

/// What is known of a person without any act of theirs. A rule that reads nothing else judges people by kind.
const PERSONAL_ATTRIBUTES: [&str; 4] = ["age_years", "subject", "subject.kind", "subject.country"];

/// Refuses a decline, or points, because of a flag that asks for verification; and a decline because of personal
/// attributes alone.
pub(in crate::rules) fn check(
    source: &Source,
    condition: &Condition,
    action: Action,
    report: &mut Vec<Diagnostic>,
) {
    let declines = action == Action::Outcome(Outcome::Decline);
    let scores = matches!(action, Action::Score(_));
    if declines || scores {
        let without_deny = fold::assuming(condition, &|atom| is_flag(atom, DENY).then_some(false));
        if let Some(at) = held_by_verify(&without_deny, Sign::Positive) {
            let message = if declines {
                "this rule declines because a person asked for protection"
            } else {
                "this rule adds points because a person asked for protection, and points end in a decline"
            };
            report.push(
                Diagnostic::new(Code::Separation, source.span(at), message)
                    .label("a person with this flag asked to be verified, not to be declined")
                    .help("`flag.deny` is the flag of a person who chose to be declined")
                    .help(
                        "to ask for authentication, write `then: challenge`; the flag itself does so already",
                    ),
            );
        }
    }
    super::indicators::check(source, condition, action, report);
    if declines && reads_personal_attributes_alone(condition) {
        report.push(
            Diagnostic::new(
                Code::OnlyPersonal,
                source.span(condition.at),
                "this rule declines people for what they are, whatever they do",
            )
            .help("add what the payment does, or ask for `challenge` or `review`"),
        );
    }
}

fn is_flag(atom: &Atom, name: &str) -> bool {
    matches!(atom, Atom::Holds(field) if field.def().name == name)
}

/// Whether a part of a condition counts as it is, turned round, or both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Positive,
    Negative,
    Mixed,
}

impl Sign {
    fn turned(self) -> Self {
        match self {
            Self::Positive => Self::Negative,
            Self::Negative => Self::Positive,
            Self::Mixed => Self::Mixed,
        }
    }
}

/// The first place at which `flag.verify` may bring the condition to hold.
fn held_by_verify(condition: &Condition, sign: Sign) -> Option<Place> {
    match &condition.is {
        Test::Constant(_) => None,
        Test::Atom(atom) => {
            let found = match atom {
                Atom::Holds(_) => is_flag(atom, VERIFY) && sign != Sign::Negative,
                Atom::Present(_) | Atom::Covered(..) => false,
                // Inside of a calculated choice a flag counts both ways.
                Atom::Numbers(..)
                | Atom::Fractions(..)
                | Atom::Texts(..)
                | Atom::Codes(..)
                | Atom::NumberIn(..)
                | Atom::TextIn(..)
                | Atom::CodeIn(..)
                | Atom::NumberListed(..)
                | Atom::TextListed(..)
                | Atom::CodeListed(..)
                | Atom::TextPart(..)
                | Atom::Matches(..) => Reads::of(atom).fields.iter().any(|field| field.def().name == VERIFY),
            };
            found.then_some(condition.at)
        }
        Test::Not(inner) => held_by_verify(inner, sign.turned()),
        Test::All(terms) | Test::Any(terms) => terms.iter().find_map(|term| held_by_verify(term, sign)),
        Test::If(choice) => held_by_verify(&choice.test, Sign::Mixed)
            .or_else(|| held_by_verify(&choice.one, sign))
            .or_else(|| held_by_verify(&choice.other, sign)),
        Test::Same(pair) => pair.iter().find_map(|part| held_by_verify(part, Sign::Mixed)),
    }
}

#[derive(Default)]
struct Reads {
    fields: Vec<FieldIndex>,
    readings: usize,
}

impl Visitor for Reads {
    fn field(&mut self, field: FieldIndex) {
        self.fields.push(field);
    }
    fn reading(&mut self, _: ReadingIndex) {
        self.readings += 1;
    }
}

impl Reads {
    fn of(part: &impl Visit) -> Self {
        let mut reads = Self::default();
        part.visit(&mut reads);
        reads
    }
}

fn reads_personal_attributes_alone(condition: &Condition) -> bool {
    let reads = Reads::of(condition);
    let personal = |field: &FieldIndex| PERSONAL_ATTRIBUTES.contains(&field.def().name);
    reads.readings == 0 && !reads.fields.is_empty() && reads.fields.iter().all(personal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_named_here_are_in_the_table() {
        for field in PERSONAL_ATTRIBUTES.iter().chain(&[VERIFY, DENY]) {
            assert!(FieldIndex::find(field).is_some(), "{field}");
        }
    }
}
