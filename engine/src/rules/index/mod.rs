//! From facts to the rules that they may concern, so that what a request costs follows what it matches and not how many
//! rules there are.
//!
//! Each condition is taken apart into terms, one bit each. For every value that atoms ask about (a field, a reading, a
//! calculation) a table holds, for each stretch of its range, the bits of the terms that may still matter there. A request
//! looks up one row per value and puts the rows together with `and`, without a branch per rule (the bitmaps of Lakshman
//! and Stiliadis, 1998). A term that is decided by its rows alone hits at once; any other asks its compiled condition,
//! which knows the answers of all atoms that were asked before.
//!
//! Terms that ask for the same value stand together (`order`), so that for most values most of a row is empty; a summary
//! of each row says which blocks of it are not, and only those that no row leaves empty are looked at (aggregated bit
//! vectors: Baboescu and Varghese, 2001).
//!
//! A rule is left out only where its condition can neither hold nor fail: `agreement` holds that against asking all.

mod alive;
mod build;
mod order;
mod possible;

use super::compile::{Answers, AskValue, Program};
use super::interpret::Scene;
use super::ir::{Node, Text};
use super::truth::{Lack, Truth};
use hashbrown::HashMap;
use sparr_protocol::codes::Kind;

pub(super) use alive::{Alive, Marks};
pub(super) use build::{Builder, contradicts};

/// Words of a block: they are put together at once, in registers, and one bit of a summary speaks of them.
const LANES: usize = 4;

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
    /// Number of its first row: the stretches, then *absent*, then *failed*.
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
    /// Blocks of a row.
    blocks: usize,
    /// The rows of all dimensions and of all kinds, one after the other.
    rows: Vec<[u64; LANES]>,
    /// For each row, [`summary_words`](Self::summary_words) words: a bit for each block that is not empty.
    summaries: Vec<u64>,
    terms: Vec<Term>,
    /// By the number of a kind: the row of the terms of rules that are for it.
    kinds: Vec<usize>,
    dimensions: Vec<Dimension>,
}

impl Index {
    /// Finds the terms that may matter.
    pub(super) fn narrow(
        &self,
        scene: Scene<'_>,
        kind: Kind,
        program: &Program,
        answers: &mut Answers,
        alive: &mut Alive,
    ) {
        let Some(first) = self.kinds.get(usize::from(kind.wire())) else { return alive.forget() };
        let parts = self.summary_words();
        let (mut rows, mut summary) = alive.begin(self.blocks * LANES, parts);
        let mut narrowed = |row: usize| {
            rows.push(row * self.blocks);
            for (left, has) in summary.iter_mut().zip(&self.summaries[row * parts..]) {
                *left &= has;
            }
        };
        narrowed(*first);
        for dimension in &self.dimensions {
            narrowed(dimension.begins + dimension.row(scene, program, answers));
        }
        for (part, left) in summary.iter_mut().enumerate() {
            while *left != 0 {
                let block = part * 64 + left.trailing_zeros() as usize;
                *left &= *left - 1;
                let mut lanes = [u64::MAX; LANES];
                for row in &rows {
                    for (lane, bits) in lanes.iter_mut().zip(&self.rows[row + block]) {
                        *lane &= bits;
                    }
                }
                alive.add(block * LANES, lanes);
            }
        }
        alive.end(rows, summary);
    }

    fn summary_words(&self) -> usize {
        self.blocks.div_ceil(64)
    }

    /// The term at a place.
    pub(super) fn term(&self, place: usize) -> Term {
        self.terms[place]
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
