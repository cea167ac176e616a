//! Making the tables of an index, when a set is loaded.

use super::order::order;
use super::possible::{
    Possible, Subject, at_code, at_number, at_text, atoms, can_fail, codes, possible, starts, terms, texts,
};
use super::{DIMENSIONS_MAX, Dimension, Index, LANES, Lookup, Term};
use crate::rules::compile::{Program, number};
use crate::rules::ir::{Atom, Condition, Node, Test};
use crate::rules::truth::{Fault, Truth};
use crate::rules::values::code_reader;
use crate::velocity::spec::KindSet;
use hashbrown::HashMap;
use sparr_protocol::codes::Kind;
use std::cell::Cell;

/// Stretches of one value at most: finer ones are put together, and what they decide is asked again.
const STRETCHES_MAX: usize = 256;

/// A term on its way.
struct Draft {
    gate: u32,
    rule: u32,
    plain: bool,
    kinds: KindSet,
    condition: Condition,
    /// What its atoms are about, in their order, by number.
    about: Vec<usize>,
    /// Whether a conjunct is about several things, or about none, or may fail: then no table decides it.
    open: bool,
}

impl Draft {
    /// What the condition may come to where the atoms about one subject are known.
    fn possible(&self, subject: usize, truth: &dyn Fn(&Atom) -> Truth) -> Possible {
        let next = Cell::new(0);
        // Atoms are met in the order in which they were numbered, each once.
        possible(&self.condition, &|atom| {
            let at = next.replace(next.get() + 1);
            (self.about.get(at) == Some(&subject)).then(|| truth(atom))
        })
    }

    fn matters(&self, subject: usize, truth: &dyn Fn(&Atom) -> Truth) -> bool {
        self.possible(subject, truth).matters()
    }

    /// Its atoms about a subject.
    fn own(&self, subject: usize) -> Vec<&Atom> {
        let mut found = Vec::new();
        atoms(&self.condition, &mut found);
        found
            .into_iter()
            .zip(&self.about)
            .filter(|(_, about)| **about == subject)
            .map(|(atom, _)| atom)
            .collect()
    }
}

/// Collects the rules of one mode.
#[derive(Default)]
pub(in crate::rules) struct Builder {
    drafts: Vec<Draft>,
    subjects: HashMap<Subject, usize, foldhash::fast::RandomState>,
}

impl Builder {
    /// Adds the rule behind a gate.
    pub(in crate::rules) fn add(
        &mut self,
        gate: usize,
        rule: usize,
        plain: bool,
        kinds: KindSet,
        condition: &Condition,
    ) {
        for term in terms(condition) {
            let mut about = Vec::new();
            let mut open = false;
            for part in &term {
                let mut found = Vec::new();
                atoms(part, &mut found);
                let before = about.len();
                about.extend(found.into_iter().map(|atom| {
                    let next = self.subjects.len();
                    *self.subjects.entry(Subject::of(atom)).or_insert(next)
                }));
                let of_part = &about[before..];
                open |= of_part.first().is_none_or(|first| of_part.iter().any(|other| other != first));
                open |= can_fail(*part);
            }
            let at = condition.at;
            let parts: Vec<Condition> = term.into_iter().cloned().collect();
            let condition = Node { at, is: Test::All(parts) };
            self.drafts.push(Draft {
                gate: gate as u32,
                rule: rule as u32,
                plain,
                kinds,
                condition,
                about,
                open,
            });
        }
    }

    /// Makes the tables.
    pub(in crate::rules) fn build(mut self, program: &Program) -> Index {
        let places = order(self.drafts.iter().map(|draft| &draft.condition), &self.subjects);
        let mut drafts: Vec<Option<Draft>> = self.drafts.into_iter().map(Some).collect();
        self.drafts = places.into_iter().filter_map(|place| drafts[place].take()).collect();
        let words = self.drafts.len().div_ceil(64).next_multiple_of(LANES);
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); self.subjects.len()];
        for (at, draft) in self.drafts.iter().enumerate() {
            for subject in &draft.about {
                if users[*subject].last() != Some(&at) {
                    users[*subject].push(at);
                }
            }
        }
        let all = self.drafts.len();
        let worth = |subject: &Subject, uses: usize| match subject {
            Subject::Atom(_) => uses >= (all / 256).max(4),
            Subject::Number(_) | Subject::Code(_) | Subject::Text(_) => uses > all / 512,
        };
        let mut chosen: Vec<_> =
            self.subjects.iter().filter(|(subject, number)| worth(subject, users[**number].len())).collect();
        // The most used ones first; of equals, the one that is met first.
        chosen.sort_by_key(|(_, number)| (usize::MAX - users[**number].len(), **number));
        chosen.truncate(DIMENSIONS_MAX);
        let mut exact = vec![false; self.subjects.len()];
        let mut dimensions = Vec::with_capacity(chosen.len());
        let mut rows = Vec::new();
        for (subject, number) in chosen {
            let uses = Uses { number: *number, users: &users[*number], drafts: &self.drafts, words };
            if let Some((dimension, is_exact)) = uses.dimension(subject, program, &mut rows) {
                dimensions.push(dimension);
                exact[*number] = is_exact;
            }
        }
        let mut kinds = Vec::new();
        for kind in Kind::ALL {
            let number = usize::from(kind.wire());
            // A number that no kind has gets the row of one that has: nobody asks for it.
            kinds.resize(number + 1, rows.len() / words.max(1));
            let mut row = vec![0; words];
            for (at, draft) in self.drafts.iter().enumerate() {
                row[at / 64] |= u64::from(draft.kinds.contains(*kind)) << (at % 64);
            }
            rows.extend(row);
        }
        for dimension in &mut dimensions {
            dimension.begins /= words.max(1);
        }
        let sure = |draft: &Draft| !draft.open && draft.about.iter().all(|subject| exact[*subject]);
        let terms = self
            .drafts
            .iter()
            .map(|draft| Term { gate: draft.gate, rule: draft.rule, plain: draft.plain, sure: sure(draft) })
            .collect();
        let blocks = words / LANES;
        let rows = rows.as_chunks::<LANES>().0.to_vec();
        let summaries = rows.chunks(blocks.max(1)).flat_map(summary).collect();
        Index { blocks, rows, summaries, terms, kinds, dimensions }
    }
}

/// A bit for each block of a row that is not empty.
fn summary(row: &[[u64; LANES]]) -> impl Iterator<Item = u64> + '_ {
    row.chunks(64).map(|blocks| {
        let bits =
            blocks.iter().zip(0..).map(|(block, at)| u64::from(block.iter().any(|word| *word != 0)) << at);
        bits.fold(0, |all, bit| all | bit)
    })
}

/// Whether no request can make a condition hold, whatever is absent: for some value that it asks about, none will do.
///
/// What two values have to do with each other is not looked at, so not every contradiction is found.
pub(in crate::rules) fn contradicts(condition: &Condition, program: &Program) -> bool {
    let mut builder = Builder::default();
    builder.add(0, 0, true, KindSet::EMPTY, condition);
    builder.drafts.iter().enumerate().all(|(at, draft)| {
        builder.subjects.iter().any(|(subject, number)| {
            let uses = Uses { number: *number, users: &[at], drafts: &builder.drafts, words: LANES };
            let mut rows = Vec::new();
            // A table that was not made says nothing.
            draft.about.contains(number)
                && uses.dimension(subject, program, &mut rows).is_some_and(|(dimension, _)| {
                    // The last row is that of a value whose calculation failed: that holds nothing either.
                    let mut rows = rows.chunks(LANES).take(dimension.stretches + 1);
                    rows.all(|row| row[at / 64] >> (at % 64) & 1 == 0)
                })
        })
    })
}

/// The terms that ask about one subject.
struct Uses<'u> {
    number: usize,
    users: &'u [usize],
    drafts: &'u [Draft],
    words: usize,
}

impl Uses<'_> {
    /// The table of the subject, and whether its stretches are as fine as the atoms.
    fn dimension(
        &self,
        subject: &Subject,
        program: &Program,
        rows: &mut Vec<u64>,
    ) -> Option<(Dimension, bool)> {
        let Self { number: this, users, drafts, words } = *self;
        let matters = |at: usize, truth: &dyn Fn(&Atom) -> Truth| drafts[at].matters(this, truth);
        let own = |at: usize| drafts[at].own(this);
        let mut table = Table { rows: Vec::new(), words };
        let mut exact = true;
        let (lookup, stretches) = match subject {
            Subject::Number(node) => {
                let mut all = Vec::new();
                users.iter().for_each(|at| {
                    own(*at).into_iter().for_each(|atom| starts(atom, |start| all.push(start)))
                });
                all.sort_unstable();
                all.dedup();
                if all.len() >= STRETCHES_MAX {
                    exact = false;
                    let step = all.len().div_ceil(STRETCHES_MAX - 1);
                    all = all.into_iter().step_by(step).collect();
                }
                let stretches = all.len() + 1;
                table.fill(stretches + 2);
                for at in users {
                    let mut turns = vec![i64::MIN];
                    own(*at).into_iter().for_each(|atom| starts(atom, |start| turns.push(start)));
                    turns.sort_unstable();
                    turns.dedup();
                    let alive: Vec<bool> =
                        turns.iter().map(|turn| matters(*at, &|atom| at_number(atom, *turn))).collect();
                    for stretch in 0..stretches {
                        let from = if stretch == 0 { i64::MIN } else { all[stretch - 1] };
                        let first = turns.partition_point(|turn| *turn <= from).saturating_sub(1);
                        let last = all
                            .get(stretch)
                            .map_or(turns.len(), |to| turns.partition_point(|turn| turn < to));
                        if !alive[first..last.max(first + 1)].iter().any(|alive| *alive) {
                            table.clear(stretch, *at);
                        }
                    }
                }
                (Lookup::Number(number(node), all.into()), stretches)
            }
            Subject::Code(field) => {
                let mut named: Vec<u16> =
                    users.iter().flat_map(|at| own(*at)).flat_map(|atom| codes(atom).to_vec()).collect();
                named.sort_unstable();
                named.dedup();
                let stretches = named.len() + 1;
                table.fill(stretches + 2);
                for at in users {
                    let own = own(*at);
                    let other = matters(*at, &|atom| at_code(atom, None));
                    if !other {
                        table.clear(0, *at);
                    }
                    for (row, code) in (1..).zip(&named) {
                        let mentioned = own.iter().any(|atom| codes(atom).binary_search(code).is_ok());
                        let alive =
                            if mentioned { matters(*at, &|atom| at_code(atom, Some(*code))) } else { other };
                        if !alive {
                            table.clear(row, *at);
                        }
                    }
                }
                let mut rows = vec![0; named.last().map_or(0, |last| usize::from(*last) + 1)];
                (1..).zip(&named).for_each(|(row, code)| rows[usize::from(*code)] = row);
                (Lookup::Code(code_reader(*field)?, rows.into()), stretches)
            }
            Subject::Text(node) => {
                let mut named: Vec<Box<str>> = Vec::new();
                for at in users {
                    own(*at)
                        .into_iter()
                        .for_each(|atom| named.extend(texts(atom).into_iter().map(Box::from)));
                }
                named.sort_unstable();
                named.dedup();
                // The most that a row number holds is far above what the caps of a rule allow to be worth a table.
                if named.len() >= STRETCHES_MAX {
                    return None;
                }
                let stretches = named.len() + 1;
                table.fill(stretches + 2);
                for at in users {
                    for row in 0..stretches {
                        let value = row.checked_sub(1).map(|at| &*named[at]);
                        if !matters(*at, &|atom| at_text(atom, value)) {
                            table.clear(row, *at);
                        }
                    }
                }
                let rows = named.into_iter().zip(1..).collect();
                (Lookup::Text(node.clone(), rows), stretches)
            }
            Subject::Atom(atom) => {
                table.fill(4);
                for at in users {
                    for (row, truth) in [Truth::False, Truth::True].into_iter().enumerate() {
                        if !matters(*at, &|_| truth) {
                            table.clear(row, *at);
                        }
                    }
                }
                (Lookup::Atom(program.number_of(atom)?), 2)
            }
        };
        for at in users {
            for (row, truth) in [(stretches, Truth::Absent), (stretches + 1, Truth::Error(Fault::Overflow))] {
                if !matters(*at, &|_| truth) {
                    table.clear(row, *at);
                }
            }
        }
        let begins = rows.len();
        rows.extend_from_slice(&table.rows);
        Some((Dimension { lookup, begins, stretches }, exact))
    }
}

struct Table {
    rows: Vec<u64>,
    words: usize,
}

impl Table {
    /// So many rows in which every term may matter.
    fn fill(&mut self, rows: usize) {
        self.rows = vec![u64::MAX; rows * self.words];
    }

    fn clear(&mut self, row: usize, term: usize) {
        self.rows[row * self.words + term / 64] &= !(1 << (term % 64));
    }
}
