//! Checked conditions made fast: each distinct atom of a set becomes one closure that is specialised for its shape
//! and asked at most once per request; each condition becomes a small tree over the numbers of its atoms.

use super::interpret::Scene;
use super::ir::{Atom, Choice, Code, Condition, Fraction, Node, Number, Test, Text};
use super::truth::{Lack, Truth, both};
use super::values::{
    calculate, calculate_fraction, code_reader, negative, reading, time_reader, truth_reader, whole_reader,
};
use crate::facts::schema::FieldIndex;
use hashbrown::HashMap;
use sparr_protocol::time::Timestamp;

/// A question as a closure.
pub(super) type Ask<T> = Box<dyn Fn(Scene<'_>) -> T + Send + Sync>;

/// A number as a closure.
pub(super) type AskValue<T> = Ask<Result<T, Lack>>;

/// A condition over numbers of atoms.
enum Step {
    Constant(bool),
    Atom(usize),
    Not(Box<Self>),
    All(Box<[Self]>),
    Any(Box<[Self]>),
    If(Box<[Self; 3]>),
    Same(Box<[Self; 2]>),
}

/// The conditions of a set, compiled together.
#[derive(Default)]
pub(super) struct Program {
    places: HashMap<Atom, usize, foldhash::fast::RandomState>,
    asks: Vec<Ask<Truth>>,
    conditions: Vec<Step>,
}

/// What the atoms of a program came to for one request; kept from request to request for its memory.
#[derive(Debug, Default)]
pub(super) struct Answers {
    known: Vec<(u32, Truth)>,
    /// Answers of another round are forgotten.
    round: u32,
}

impl Answers {
    /// Forgets everything, for a program of so many atoms.
    pub(super) fn reset(&mut self, program: &Program) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 || self.known.len() != program.asks.len() {
            self.known.clear();
            self.known.resize(program.asks.len(), (0, Truth::Absent));
            self.round = 1;
        }
    }
}

impl Program {
    /// Compiles a condition and gives back its number.
    pub(super) fn add(&mut self, condition: &Condition) -> usize {
        let step = self.step(condition);
        self.conditions.push(step);
        self.conditions.len() - 1
    }

    /// How many distinct atoms there are.
    pub(super) fn atoms(&self) -> usize {
        self.asks.len()
    }

    /// What a condition comes to. Answers that are known are not asked for again.
    pub(super) fn truth(&self, condition: usize, scene: Scene<'_>, answers: &mut Answers) -> Truth {
        self.run(&self.conditions[condition], scene, answers)
    }

    /// The number of an atom that some condition asks.
    pub(super) fn number_of(&self, atom: &Atom) -> Option<usize> {
        self.places.get(atom).copied()
    }

    /// What an atom comes to, asked at most once.
    pub(super) fn answer(&self, atom: usize, scene: Scene<'_>, answers: &mut Answers) -> Truth {
        let (round, known) = answers.known[atom];
        if round == answers.round {
            return known;
        }
        let truth = self.asks[atom](scene);
        answers.known[atom] = (answers.round, truth);
        truth
    }

    fn run(&self, step: &Step, scene: Scene<'_>, answers: &mut Answers) -> Truth {
        match step {
            Step::Constant(holds) => (*holds).into(),
            Step::Atom(at) => self.answer(*at, scene, answers),
            Step::Not(inner) => self.run(inner, scene, answers).not(),
            Step::All(terms) => {
                let mut all = Truth::True;
                for term in terms {
                    all = all.and(self.run(term, scene, answers));
                    if all == Truth::False {
                        break;
                    }
                }
                all
            }
            Step::Any(terms) => {
                let mut any = Truth::False;
                for term in terms {
                    any = any.or(self.run(term, scene, answers));
                    if any == Truth::True {
                        break;
                    }
                }
                any
            }
            Step::If(parts) => match self.run(&parts[0], scene, answers) {
                Truth::True => self.run(&parts[1], scene, answers),
                Truth::False => self.run(&parts[2], scene, answers),
                open @ (Truth::Absent | Truth::Error(_)) => open,
            },
            Step::Same(pair) => self.run(&pair[0], scene, answers).same(self.run(&pair[1], scene, answers)),
        }
    }

    fn step(&mut self, condition: &Condition) -> Step {
        let mut steps = |terms: &[Condition]| terms.iter().map(|term| self.step(term)).collect();
        match &condition.is {
            Test::Constant(holds) => Step::Constant(*holds),
            Test::Atom(atom) => {
                let next = self.asks.len();
                let at = *self.places.entry_ref(atom).or_insert(next);
                if at == next {
                    self.asks.push(ask(atom));
                }
                Step::Atom(at)
            }
            Test::Not(inner) => Step::Not(Box::new(self.step(inner))),
            Test::All(terms) => Step::All(steps(terms)),
            Test::Any(terms) => Step::Any(steps(terms)),
            Test::If(choice) => Step::If(Box::new([
                self.step(&choice.test),
                self.step(&choice.one),
                self.step(&choice.other),
            ])),
            Test::Same(pair) => Step::Same(Box::new([self.step(&pair[0]), self.step(&pair[1])])),
        }
    }
}

/// An atom as a closure. The frequent shapes, a field or a reading against a constant, read in one step.
fn ask(atom: &Atom) -> Ask<Truth> {
    match atom {
        Atom::Holds(field) => match truth_reader(*field) {
            Some(read) => Box::new(move |scene| read(scene.facts).map_or(Truth::Absent, Truth::from)),
            None => plainly(atom),
        },
        Atom::Codes(Node { is: Code::Field(field), .. }, Node { is: Code::Constant(code), .. }) => {
            let code = *code;
            code_is(*field, move |value| value == code)
        }
        Atom::CodeIn(Node { is: Code::Field(field), .. }, among) => {
            let among = among.clone();
            code_is(*field, move |value| among.binary_search(&value).is_ok())
        }
        Atom::Numbers(left, relation, Node { is: Number::Constant(right, _), .. }) => {
            let (relation, right) = (*relation, *right);
            number_is(left, move |left| relation.holds(left.cmp(&right)))
        }
        Atom::Numbers(left, relation, right) => {
            let (left, relation, right) = (number(left), *relation, number(right));
            Box::new(move |scene| {
                both(left(scene), right(scene)).map(|(left, right)| relation.holds(left.cmp(&right))).into()
            })
        }
        Atom::NumberIn(value, among) => {
            let among = among.clone();
            number_is(value, move |value| among.binary_search(&value).is_ok())
        }
        Atom::NumberListed(value, list) => {
            let (value, list) = (number(value), *list);
            Box::new(move |scene| {
                value(scene).map(|value| scene.lists.holds_number(list, value, scene.now)).into()
            })
        }
        Atom::Fractions(left, relation, right) => {
            let (left, relation, right) = (fraction(left), *relation, fraction(right));
            Box::new(move |scene| {
                both(left(scene), right(scene))
                    .map(|(left, right)| left.partial_cmp(&right).is_some_and(|order| relation.holds(order)))
                    .into()
            })
        }
        Atom::TextPart(value, part, Node { is: Text::Constant(other), .. }) => {
            let (value, part, other) = (value.clone(), *part, other.clone());
            Box::new(move |scene| value.with_text(scene, |text| part.found(text, &other)).into())
        }
        // A text is short and its tree is shallow: what is left reads plainly.
        Atom::Present(_)
        | Atom::Codes(..)
        | Atom::CodeIn(..)
        | Atom::CodeListed(..)
        | Atom::Texts(..)
        | Atom::TextIn(..)
        | Atom::TextListed(..)
        | Atom::TextPart(..)
        | Atom::Matches(..)
        | Atom::Covered(..) => plainly(atom),
    }
}

fn plainly(atom: &Atom) -> Ask<Truth> {
    let atom = atom.clone();
    Box::new(move |scene| atom.truth(scene))
}

fn code_is(field: FieldIndex, test: impl Fn(u16) -> bool + Send + Sync + 'static) -> Ask<Truth> {
    match code_reader(field) {
        Some(read) => {
            Box::new(move |scene| read(scene.facts).map_or(Truth::Absent, |code| test(code).into()))
        }
        None => Box::new(|_| Truth::Absent),
    }
}

fn number_is(value: &Node<Number>, test: impl Fn(i64) -> bool + Send + Sync + 'static) -> Ask<Truth> {
    let whole = match &value.is {
        Number::Field(field) => whole_reader(*field),
        Number::Reading(index, _) => {
            let index = *index;
            return Box::new(move |scene| reading(scene.facts.reading(index)).map(&test).into());
        }
        Number::Constant(..)
        | Number::Size(_)
        | Number::Calendar(..)
        | Number::Truncated(_)
        | Number::Negative(_)
        | Number::Arithmetic(..)
        | Number::If(_) => None,
    };
    match whole {
        Some(read) => {
            Box::new(move |scene| read(scene.facts).map_or(Truth::Absent, |value| test(value).into()))
        }
        None => {
            let value = number(value);
            Box::new(move |scene| value(scene).map(&test).into())
        }
    }
}

/// A number as a closure.
pub(super) fn number(node: &Node<Number>) -> AskValue<i64> {
    match &node.is {
        Number::Constant(value, _) => {
            let value = *value;
            Box::new(move |_| Ok(value))
        }
        Number::Field(field) => match (whole_reader(*field), time_reader(*field)) {
            (Some(read), _) => Box::new(move |scene| read(scene.facts).ok_or(Lack::Absent)),
            (None, Some(read)) => {
                Box::new(move |scene| read(scene.facts).map(Timestamp::ms).ok_or(Lack::Absent))
            }
            (None, None) => Box::new(|_| Err(Lack::Absent)),
        },
        Number::Reading(index, _) => {
            let index = *index;
            Box::new(move |scene| reading(scene.facts.reading(index)))
        }
        Number::Size(_) | Number::Calendar(..) | Number::Truncated(_) => {
            let node = node.clone();
            Box::new(move |scene| node.number(scene))
        }
        Number::Negative(inner) => {
            let inner = number(inner);
            Box::new(move |scene| inner(scene).and_then(negative))
        }
        Number::Arithmetic(operator, pair) => {
            let (operator, left, right) = (*operator, number(&pair[0]), number(&pair[1]));
            Box::new(move |scene| {
                let (left, right) = both(left(scene), right(scene))?;
                calculate(operator, left, right).map_err(Lack::Fault)
            })
        }
        Number::If(choice) => choose(choice, number),
    }
}

/// A fraction as a closure.
fn fraction(node: &Node<Fraction>) -> AskValue<f64> {
    match &node.is {
        Fraction::Constant(value) => {
            let value = value.0;
            Box::new(move |_| Ok(value))
        }
        Fraction::Whole(inner) => {
            let inner = number(inner);
            Box::new(move |scene| inner(scene).map(|value| value as f64))
        }
        Fraction::Negative(inner) => {
            let inner = fraction(inner);
            Box::new(move |scene| inner(scene).map(|value| -value))
        }
        Fraction::Arithmetic(operator, pair) => {
            let (operator, left, right) = (*operator, fraction(&pair[0]), fraction(&pair[1]));
            Box::new(move |scene| {
                both(left(scene), right(scene)).map(|(left, right)| calculate_fraction(operator, left, right))
            })
        }
        Fraction::If(choice) => choose(choice, fraction),
    }
}

/// A choice as a closure. Choices inside of values are rare, so their test is read plainly.
fn choose<N, T: 'static>(choice: &Choice<N>, compile: fn(&Node<N>) -> AskValue<T>) -> AskValue<T> {
    let test = choice.test.clone();
    let (one, other) = (compile(&choice.one), compile(&choice.other));
    Box::new(move |scene| if test.truth(scene).decided()? { one(scene) } else { other(scene) })
}
