//! The order of terms: those that ask for the same value of the same thing stand together, so that a value for which they
//! do not matter leaves whole stretches of its row empty.

use super::possible::Subject;
use crate::rules::expression::Relation;
use crate::rules::ir::{Atom, Code, Condition, Node, Number, Test, Text};
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What one question of a term asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asks {
    /// This value, or a few of which this is the first: few requests have it.
    For(i64),
    /// Less than this.
    Below(i64),
    /// More than this.
    Above(i64),
}

/// What the parts of a term ask for that must all hold, each with the number of what it is about.
fn asks(
    term: &Condition,
    subjects: &HashMap<Subject, usize, foldhash::fast::RandomState>,
) -> Vec<(usize, Asks)> {
    let Test::All(parts) = &term.is else { return Vec::new() };
    let one = |part: &Condition| {
        let Test::Atom(atom) = &part.is else { return None };
        Some((*subjects.get(&Subject::of(atom))?, asked(atom)?))
    };
    parts.iter().filter_map(one).collect()
}

fn asked(atom: &Atom) -> Option<Asks> {
    // Any order of texts will do, as long as equal ones are equal.
    let text = |text: &str| {
        text.bytes()
            .chain(std::iter::repeat(0))
            .take(8)
            .fold(0, |number: i64, byte| number << 8 | i64::from(byte))
    };
    match atom {
        Atom::Numbers(_, relation, Node { is: Number::Constant(constant, _), .. }) => match relation {
            Relation::Equal => Some(Asks::For(*constant)),
            Relation::Unequal => None,
            Relation::Less | Relation::AtMost => Some(Asks::Below(*constant)),
            Relation::Greater | Relation::AtLeast => Some(Asks::Above(*constant)),
        },
        Atom::NumberIn(_, among) => among.first().copied().map(Asks::For),
        Atom::Codes(_, Node { is: Code::Constant(code), .. }) => Some(Asks::For((*code).into())),
        Atom::CodeIn(_, among) => among.first().map(|code| Asks::For((*code).into())),
        Atom::Texts(_, Relation::Equal, Node { is: Text::Constant(constant), .. }) => {
            Some(Asks::For(text(constant)))
        }
        Atom::TextIn(_, among) => among.first().map(|first| Asks::For(text(first))),
        _ => None,
    }
}

/// The places of terms in the order in which they are to stand. Equal ones keep theirs.
pub(super) fn order<'t>(
    terms: impl Iterator<Item = &'t Condition>,
    subjects: &HashMap<Subject, usize, foldhash::fast::RandomState>,
) -> Vec<usize> {
    let mut asks: Vec<Vec<(usize, Asks)>> = terms.map(|term| asks(term, subjects)).collect();
    let mut values: HashMap<usize, BTreeSet<Asks>, foldhash::fast::RandomState> = HashMap::default();
    for (subject, asks) in asks.iter().flatten() {
        values.entry(*subject).or_default().insert(*asks);
    }
    // What is asked for one value is left out most often; of that, what has the most different values.
    let weight = |(subject, asks): &(usize, Asks)| {
        let different = values.get(subject).map_or(0, BTreeSet::len);
        (!matches!(asks, Asks::For(_)), Reverse(different), *subject, *asks)
    };
    asks.iter_mut().for_each(|asks| asks.sort_unstable_by_key(weight));
    let mut places: Vec<usize> = (0..asks.len()).collect();
    // Those that ask for nothing of the kind stand last: any value may matter for them.
    places.sort_by_cached_key(|place| {
        let own: Vec<_> = asks[*place].iter().map(weight).collect();
        (own.is_empty(), own)
    });
    places
}
