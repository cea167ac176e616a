//! From facts to the rules that they may concern, so that what a request costs follows what it matches and not how many
//! rules there are.
//!
//! Each condition is taken apart into terms, one bit each. For every value that atoms ask about (a field, a reading, a
//! calculation) a table holds, for each stretch of its range, the bits of the terms that may still matter there. A request
//! looks up one row per value and puts the rows together with `and`, without a branch per rule (the bitmaps of Lakshman
//! and Stiliadis, 1998). A term that is decided by its rows alone hits at once; any other asks its compiled condition,
//! which knows the answers of all atoms that were asked before.
//!
//! A rule is left out only where its condition can neither hold nor fail: `agreement` holds that against asking all.

mod build;
mod possible;

use super::compile::{Answers, AskValue, Program};
use super::interpret::Scene;
use super::ir::{Node, Text};
use super::truth::{Lack, Truth};
use hashbrown::HashMap;
use sparr_protocol::codes::Kind;

pub(super) use build::{Builder, contradicts};

/// Words that are put together at once, in registers.
const LANES: usize = 8;

/// Values with tables at most.
const DIMENSIONS_MAX: usize = 192;

/// What a value is looked up by.
enum Lookup {
    /// Stretches of whole numbers, each from its start on. The first one is below all starts.
    Number(AskValue<i64>, Box<[i64]>),
    /// Row of each value of an enumeration; those behind its end have row 0.
    Code(fn(&crate::facts::Facts<'_>) -> Option<u16>, Box<[u16]>),
    /// Row of each text; all others have row 0.
    Text(Node<Text>, HashMap<Box<str>, u16, foldhash::fast::RandomState>),
    /// The answer of an atom, by its number.
    Atom(usize),
}

/// One value, with the terms that may matter for each stretch of its range.
struct Dimension {
    lookup: Lookup,
    /// Where its rows begin among those of all: the stretches, then *absent*, then *failed*.
    begins: usize,
    stretches: usize,
}

/// One term of a rule's condition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    /// Place of the rule's gate among those of its mode.
    pub(super) gate: u32,
    /// Place of the rule in its set.
    pub(super) rule: u32,
    /// Whether the gate stands open for everybody and always, but for the kind of payment.
    pub(super) plain: bool,
    /// Whether the rows decide it alone.
    pub(super) sure: bool,
}

/// The terms of all rules of one mode.
#[derive(Default)]
pub(super) struct Index {
    /// Words of a row: a multiple of [`LANES`].
    words: usize,
    /// The rows of all dimensions.
    rows: Vec<u64>,
    terms: Vec<Term>,
    /// By the number of a kind: the terms of rules that are for it.
    kinds: Vec<Box<[u64]>>,
    dimensions: Vec<Dimension>,
}

impl Index {
    /// Finds the terms that may matter, as bits.
    pub(super) fn narrow(
        &self,
        scene: Scene<'_>,
        kind: Kind,
        program: &Program,
        answers: &mut Answers,
        alive: &mut Vec<u64>,
    ) {
        alive.clear();
        let Some(first) = self.kinds.get(usize::from(kind.wire())) else { return };
        alive.extend_from_slice(first);
        let mut rows = [0; DIMENSIONS_MAX];
        for (row, dimension) in rows.iter_mut().zip(&self.dimensions) {
            *row = dimension.begins + dimension.row(scene, program, answers) * self.words;
        }
        let rows = &rows[..self.dimensions.len()];
        let (chunks, _) = alive.as_chunks_mut::<LANES>();
        for (at, chunk) in chunks.iter_mut().enumerate() {
            let mut lanes = *chunk;
            for row in rows {
                let row = &self.rows[row + at * LANES..][..LANES];
                for (lane, bits) in lanes.iter_mut().zip(row) {
                    *lane &= bits;
                }
            }
            *chunk = lanes;
        }
    }

    /// The terms of such bits, in the order of the rules.
    pub(super) fn terms<'i>(&'i self, alive: &'i [u64]) -> impl Iterator<Item = Term> + 'i {
        alive.iter().enumerate().flat_map(move |(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                self.terms.get(at * 64 + bit).copied()
            })
        })
    }
}

impl Dimension {
    fn row(&self, scene: Scene<'_>, program: &Program, answers: &mut Answers) -> usize {
        let lacking = |lack: Lack| match lack {
            Lack::Absent => self.stretches,
            Lack::Fault(_) => self.stretches + 1,
        };
        match &self.lookup {
            Lookup::Number(ask, starts) => match ask(scene) {
                Ok(value) => starts.partition_point(|start| *start <= value),
                Err(lack) => lacking(lack),
            },
            Lookup::Code(read, rows) => match read(scene.facts) {
                Some(code) => rows.get(usize::from(code)).copied().unwrap_or_default().into(),
                None => self.stretches,
            },
            Lookup::Text(text, rows) => {
                match text.with_text(scene, |text| rows.get(text).copied().unwrap_or_default()) {
                    Ok(row) => row.into(),
                    Err(lack) => lacking(lack),
                }
            }
            Lookup::Atom(number) => match program.answer(*number, scene, answers) {
                Truth::False => 0,
                Truth::True => 1,
                Truth::Absent => self.stretches,
                Truth::Error(_) => self.stretches + 1,
            },
        }
    }
}
