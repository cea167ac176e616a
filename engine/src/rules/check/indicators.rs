//! `indicator(value).hit` and its like, and what a rule may do because of one.
//!
//! Whoever stands in an indicator may be a victim: a person's number is used by mules and thieves. So no rule declines
//! because of an indicator on a person alone; a stricter reading of the payment has to come to it. And one that
//! somebody contests can ask for a review, and for nothing more, until its registrar has answered.

use super::{Checker, Typed};
use crate::facts::schema::FieldIndex;
use crate::request::About;
use crate::rules::Action;
use crate::rules::diagnostic::{Code, Diagnostic};
use crate::rules::expression::{Expr, Place, Source, Syntax, Word};
use crate::rules::fields::alternatives;
use crate::rules::ir::{Atom, Condition, Test, Visit, Visitor};
use crate::velocity::spec::ReadingIndex;
use sparr_protocol::codes::Outcome;
use sparr_protocol::text::nearest;

/// What can be read of an indicator.
const ATTRIBUTES: [&str; 7] = ["hit", "contested", "grade", "class", "role", "attested", "sources"];

/// Fields that say what kind of payment it is and nothing of what is suspicious about it.
const CONTEXT: [&str; 10] = [
    "kind",
    "stage",
    "event_time",
    "hour",
    "weekday",
    "currency",
    "age_years",
    "subject",
    "subject.kind",
    "subject.country",
];

impl Checker<'_> {
    /// `indicator(value).attribute`.
    pub(super) fn indicator(
        &mut self,
        word: &Word,
        arguments: &[Expr],
        attribute: &Word,
        at: Place,
    ) -> Option<Typed> {
        let slot = self.indicator_slot(word, arguments);
        let known = ATTRIBUTES.contains(&attribute.text.as_str());
        if !known {
            let message = format!("an indicator has no `.{}`", attribute.text);
            let near = nearest(&attribute.text, ATTRIBUTES.into_iter());
            let diagnostic = self.fault(Code::UnknownFunction, attribute.at, message);
            self.say(match near {
                Some(_) => diagnostic.did_you_mean(near),
                None => diagnostic.help(format!("it has {}", alternatives(&ATTRIBUTES))),
            });
        }
        let field = FieldIndex::of_indicator(slot?, &attribute.text)?;
        self.read(field, at)
    }

    /// `indicator(…)` alone.
    pub(super) fn say_no_attribute(&mut self, word: &Word, arguments: &[Expr], at: Place) -> Option<Typed> {
        self.indicator_slot(word, arguments);
        let message = "say what is read of the indicator, such as `.hit` or `.grade`";
        self.say(self.fault(Code::Argument, at, message));
        None
    }

    fn indicator_slot(&mut self, word: &Word, arguments: &[Expr]) -> Option<About> {
        let names = About::ALL.map(|(_, name)| name);
        let [argument] = arguments else {
            let message = "`indicator` takes the one value that it is about";
            self.say(self.fault(Code::Argument, word.at, message).help("it is written indicator(email).hit"));
            return None;
        };
        let name = match &argument.is {
            Syntax::Name(name) => name.as_str(),
            _ => self.words(argument.at),
        };
        if let Some(slot) = About::parse(name) {
            return Some(slot);
        }
        let message = format!("indicators are not about `{name}`");
        let near = match name {
            "payer_account" => Some("account"),
            "payee_account" => Some("payee"),
            "card_token" => Some("card"),
            "device_id" => Some("device"),
            "merchant" | "merchant_id" => Some("merchant_org"),
            other => nearest(other, names.into_iter()),
        };
        let diagnostic = self.fault(Code::Argument, argument.at, message);
        self.say(match near {
            Some(_) => diagnostic.did_you_mean(near),
            None => diagnostic.help(format!("they are about {}", alternatives(&names))),
        });
        None
    }
}

/// Refuses what no rule may do because of an indicator.
pub(super) fn check(source: &Source, condition: &Condition, action: Action, report: &mut Vec<Diagnostic>) {
    let declines = action == Action::Outcome(Outcome::Decline);
    let scores = matches!(action, Action::Score(_));
    if (declines || scores)
        && let Some(at) = Alone::of(condition, true).held
    {
        let message = if declines {
            "this rule declines because of an indicator on a person alone"
        } else {
            "this rule adds points because of an indicator on a person alone, and points end in a decline"
        };
        report.push(
            Diagnostic::new(Code::SubjectAlone, source.span(at), message)
                .label("the person may be the victim whose identity was used")
                .help("add what the payment does, or ask for `challenge` or `review`"),
        );
    }
    let contested = Reads::of(condition).fields.into_iter().find(|field| is_contested(*field));
    if contested.is_some() && !matches!(action, Action::Review(_)) {
        let message = "a contested indicator can ask for a review, and for nothing more";
        report.push(Diagnostic::new(Code::Contested, source.span(condition.at), message).help(
            "write `review: after` or `review: hold`, or leave `.contested` out: `.hit` is false meanwhile",
        ));
    }
}

fn is_contested(field: FieldIndex) -> bool {
    field.indicator().is_some_and(|(_, attribute)| attribute == "contested")
}

/// Where a condition can come to hold by indicators on persons alone.
struct Alone {
    /// The place of the first such indicator.
    held: Option<Place>,
    /// Whether nothing but the kind of payment and the person is read: it neither adds nor takes away evidence.
    is_context: bool,
}

impl Alone {
    /// `positive`: the condition counts as it is; otherwise turned round.
    fn of(condition: &Condition, positive: bool) -> Self {
        match (&condition.is, positive) {
            (Test::Constant(_), _) => Self { held: None, is_context: true },
            (Test::Atom(atom), _) => Self::atom(atom, condition.at),
            (Test::Not(inner), _) => Self::of(inner, !positive),
            (Test::All(terms), true) | (Test::Any(terms), false) => Self::all(terms, positive),
            (Test::Any(terms), true) | (Test::All(terms), false) => {
                let mut is_context = true;
                let mut held = None;
                for term in terms {
                    let term = Self::of(term, positive);
                    is_context &= term.is_context;
                    held = held.or(term.held);
                }
                Self { held, is_context }
            }
            // A choice or a comparison of conditions reads all of its parts.
            (Test::If(_) | Test::Same(_), _) => Self::reads(&Reads::of(condition), condition.at),
        }
    }

    fn all(terms: &[Condition], positive: bool) -> Self {
        let terms: Vec<Self> = terms.iter().map(|term| Self::of(term, positive)).collect();
        let alone = terms.iter().all(|term| term.is_context || term.held.is_some());
        Self {
            held: terms.iter().find_map(|term| term.held).filter(|_| alone),
            is_context: terms.iter().all(|term| term.is_context),
        }
    }

    fn atom(atom: &Atom, at: Place) -> Self {
        Self::reads(&Reads::of(atom), at)
    }

    fn reads(reads: &Reads, at: Place) -> Self {
        let is_subject = |field: &FieldIndex| field.indicator().is_some_and(|(slot, _)| slot.is_subject());
        let is_context = |field: &FieldIndex| CONTEXT.contains(&field.def().name);
        let any = reads.fields.iter().any(is_subject);
        let alone =
            reads.readings == 0 && reads.fields.iter().all(|field| is_subject(field) || is_context(field));
        Self { held: (any && alone).then_some(at), is_context: alone && !any }
    }
}

/// Whether a condition reads anything that members share about suspects.
pub(in crate::rules) fn reads_indicators(condition: &Condition) -> bool {
    Reads::of(condition).fields.iter().any(|field| field.indicator().is_some())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_named_here_are_in_the_table() {
        for field in CONTEXT {
            assert!(FieldIndex::find(field).is_some(), "{field}");
        }
        for (slot, _) in About::ALL {
            for attribute in ATTRIBUTES {
                let field = FieldIndex::of_indicator(slot, attribute).expect(attribute);
                assert_eq!(field.indicator(), Some((slot, attribute)));
            }
        }
    }
}
