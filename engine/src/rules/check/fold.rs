//! Conditions put together with their constants folded: what is known before any request is not asked again.

use crate::rules::expression::{Place, Relation};
use crate::rules::ir::{Atom, Choice, Code, Condition, Fraction, Node, Number, Part, Test, Text};

fn decided(holds: bool, at: Place) -> Condition {
    Node { at, is: Test::Constant(holds) }
}

fn constant(condition: &Condition) -> Option<bool> {
    match condition.is {
        Test::Constant(holds) => Some(holds),
        Test::Atom(_) | Test::Not(_) | Test::All(_) | Test::Any(_) | Test::If(_) | Test::Same(_) => None,
    }
}

pub(super) fn not(inner: Condition, at: Place) -> Condition {
    match inner.is {
        Test::Constant(holds) => decided(!holds, at),
        Test::Not(inner) => *inner,
        Test::Atom(_) | Test::All(_) | Test::Any(_) | Test::If(_) | Test::Same(_) => {
            Node { at, is: Test::Not(Box::new(inner)) }
        }
    }
}

pub(super) fn all(terms: Vec<Condition>, at: Place) -> Condition {
    if terms.iter().any(|term| constant(term) == Some(false)) {
        return decided(false, at);
    }
    let mut open: Vec<_> = terms.into_iter().filter(|term| constant(term).is_none()).collect();
    match open.len() {
        0 => decided(true, at),
        1 => open.remove(0),
        _ => Node { at, is: Test::All(open) },
    }
}

pub(super) fn any(terms: Vec<Condition>, at: Place) -> Condition {
    if terms.iter().any(|term| constant(term) == Some(true)) {
        return decided(true, at);
    }
    let mut open: Vec<_> = terms.into_iter().filter(|term| constant(term).is_none()).collect();
    match open.len() {
        0 => decided(false, at),
        1 => open.remove(0),
        _ => Node { at, is: Test::Any(open) },
    }
}

pub(super) fn choose(test: Condition, one: Condition, other: Condition, at: Place) -> Condition {
    match constant(&test) {
        Some(true) => one,
        Some(false) => other,
        None => Node { at, is: Test::If(Box::new(Choice { test, one, other })) },
    }
}

pub(super) fn same(one: Condition, other: Condition, at: Place) -> Condition {
    match (constant(&one), constant(&other)) {
        (Some(one), Some(other)) => decided(one == other, at),
        (Some(true), None) => other,
        (None, Some(true)) => one,
        (Some(false), None) => not(other, at),
        (None, Some(false)) => not(one, at),
        (None, None) => Node { at, is: Test::Same(Box::new([one, other])) },
    }
}

fn atom(atom: Atom, at: Place) -> Condition {
    Node { at, is: Test::Atom(atom) }
}

/// Constants stand on the right, so that a comparison and its mirror image are one atom.
pub(super) fn numbers(left: Node<Number>, relation: Relation, right: Node<Number>, at: Place) -> Condition {
    match (&left.is, &right.is) {
        (Number::Constant(left, _), Number::Constant(right, _)) => {
            decided(relation.holds(left.cmp(right)), at)
        }
        (Number::Constant(..), _) => atom(Atom::Numbers(right, relation.mirrored(), left), at),
        _ => atom(Atom::Numbers(left, relation, right), at),
    }
}

pub(super) fn fractions(
    left: Node<Fraction>,
    relation: Relation,
    right: Node<Fraction>,
    at: Place,
) -> Condition {
    match (&left.is, &right.is) {
        (Fraction::Constant(left), Fraction::Constant(right)) => {
            decided(left.0.partial_cmp(&right.0).is_some_and(|order| relation.holds(order)), at)
        }
        (Fraction::Constant(_), _) => atom(Atom::Fractions(right, relation.mirrored(), left), at),
        _ => atom(Atom::Fractions(left, relation, right), at),
    }
}

pub(super) fn texts(left: Node<Text>, relation: Relation, right: Node<Text>, at: Place) -> Condition {
    match (&left.is, &right.is) {
        (Text::Constant(left), Text::Constant(right)) => decided(relation.holds(left.cmp(right)), at),
        (Text::Constant(_), _) => atom(Atom::Texts(right, relation.mirrored(), left), at),
        _ => atom(Atom::Texts(left, relation, right), at),
    }
}

pub(super) fn text_part(text: Node<Text>, part: Part, other: Node<Text>, at: Place) -> Condition {
    match (&text.is, &other.is) {
        (Text::Constant(text), Text::Constant(other)) => decided(part.found(text, other), at),
        _ => atom(Atom::TextPart(text, part, other), at),
    }
}

pub(super) fn codes(left: Node<Code>, right: Node<Code>, at: Place) -> Condition {
    match (&left.is, &right.is) {
        (Code::Constant(left), Code::Constant(right)) => decided(left == right, at),
        (Code::Constant(_), _) => atom(Atom::Codes(right, left), at),
        _ => atom(Atom::Codes(left, right), at),
    }
}

/// A condition under the assumption that some atoms are known, folded again.
pub(super) fn assuming(condition: &Condition, known: &impl Fn(&Atom) -> Option<bool>) -> Condition {
    let at = condition.at;
    let again = |part: &Condition| assuming(part, known);
    match &condition.is {
        Test::Constant(_) => condition.clone(),
        Test::Atom(atom) => known(atom).map_or_else(|| condition.clone(), |holds| decided(holds, at)),
        Test::Not(inner) => not(again(inner), at),
        Test::All(terms) => all(terms.iter().map(again).collect(), at),
        Test::Any(terms) => any(terms.iter().map(again).collect(), at),
        Test::If(choice) => choose(again(&choice.test), again(&choice.one), again(&choice.other), at),
        Test::Same(pair) => same(again(&pair[0]), again(&pair[1]), at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::schema::FieldIndex;
    use crate::rules::truth::Truth;

    /// Folding never changes what a condition comes to, whatever its open parts are.
    #[test]
    fn folding_agrees_with_the_tables() {
        let at = Place::default();
        let open = || atom(Atom::Present(FieldIndex::find("mcc").expect("a field")), at);
        let values = [Truth::False, Truth::True, Truth::Absent];
        // What a folded condition comes to when its one open atom has a value.
        fn come(condition: &Condition, value: Truth) -> Truth {
            match &condition.is {
                Test::Constant(holds) => (*holds).into(),
                Test::Atom(_) => value,
                Test::Not(inner) => come(inner, value).not(),
                Test::All(terms) => terms.iter().fold(Truth::True, |all, term| all.and(come(term, value))),
                Test::Any(terms) => terms.iter().fold(Truth::False, |any, term| any.or(come(term, value))),
                Test::If(choice) => come(&choice.test, value)
                    .choose(|| come(&choice.one, value), || come(&choice.other, value)),
                Test::Same(pair) => come(&pair[0], value).same(come(&pair[1], value)),
            }
        }
        for value in values {
            for known in [false, true] {
                let fixed = || decided(known, at);
                let truth = Truth::from(known);
                assert_eq!(come(&not(fixed(), at), value), truth.not());
                assert_eq!(come(&all(vec![fixed(), open()], at), value), truth.and(value));
                assert_eq!(come(&any(vec![open(), fixed()], at), value), truth.or(value));
                assert_eq!(come(&same(fixed(), open(), at), value), truth.same(value));
                assert_eq!(come(&same(open(), fixed(), at), value), value.same(truth));
                let chosen = choose(fixed(), open(), not(open(), at), at);
                assert_eq!(come(&chosen, value), truth.choose(|| value, || value.not()));
            }
            assert_eq!(come(&not(not(open(), at), at), value), value);
        }
    }
}
