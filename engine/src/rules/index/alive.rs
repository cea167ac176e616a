//! What a search in the index leaves, without a branch for each bit: processors guess branches, and bits are a matter of
//! luck.

use super::LANES;

/// The terms that are left, kept from request to request for its memory.
#[derive(Debug, Default)]
pub(in crate::rules) struct Alive {
    rows: Vec<usize>,
    summary: Vec<u64>,
    /// Words that are not empty, each with the place of its first bit; then an empty one.
    words: Vec<(u64, u32)>,
    length: usize,
}

impl Alive {
    /// Begins with no term, for so many words at most. Lends room for places of rows, and a summary in which all bits of
    /// so many words are set.
    pub(super) fn begin(&mut self, words_max: usize, summary_words: usize) -> (Vec<usize>, Vec<u64>) {
        if self.words.len() <= words_max {
            self.words.resize(words_max + 1, (0, 0));
        }
        self.length = 0;
        let (mut rows, mut summary) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.summary));
        rows.clear();
        summary.clear();
        summary.resize(summary_words, u64::MAX);
        (rows, summary)
    }

    /// No term is left.
    pub(super) fn forget(&mut self) {
        self.words.clear();
        self.length = 0;
    }

    /// Adds the words of a block. What is empty is written too, and then written over.
    pub(super) fn add(&mut self, first_word: usize, lanes: [u64; LANES]) {
        for (at, word) in lanes.into_iter().enumerate() {
            self.words[self.length] = (word, ((first_word + at) * 64) as u32);
            self.length += usize::from(word != 0);
        }
    }

    /// Takes back what was lent.
    pub(super) fn end(&mut self, rows: Vec<usize>, summary: Vec<u64>) {
        (self.rows, self.summary) = (rows, summary);
        self.words[self.length] = (0, 0);
    }

    /// The places of the bits, in rising order.
    pub(in crate::rules) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let mut at = 0;
        let (mut left, mut first) = self.words.first().copied().unwrap_or_default();
        std::iter::from_fn(move || {
            // Only behind the last word there is an empty one.
            if left == 0 {
                return None;
            }
            let place = first as usize + left.trailing_zeros() as usize;
            left &= left - 1;
            at += usize::from(left == 0);
            let (word, begins) = self.words[at];
            left = if left == 0 { word } else { left };
            first = begins;
            Some(place)
        })
    }
}

/// Rules that were marked: each once, read in rising order.
#[derive(Debug, Default)]
pub(in crate::rules) struct Marks {
    bits: Vec<u64>,
    /// A bit for each word of `bits` that is not empty.
    words: Vec<u64>,
}

impl Marks {
    /// Makes room for so many rules.
    pub(in crate::rules) fn fit(&mut self, rules: usize) {
        let words = rules.div_ceil(64);
        if self.bits.len() < words {
            self.bits.resize(words, 0);
            self.words.resize(words.div_ceil(64), 0);
        }
    }

    /// Marks a rule.
    pub(in crate::rules) fn mark(&mut self, rule: usize) {
        let word = rule / 64;
        self.bits[word] |= 1 << (rule % 64);
        self.words[word / 64] |= 1 << (word % 64);
    }

    /// Whether a rule is marked.
    pub(in crate::rules) fn has(&self, rule: usize) -> bool {
        self.bits[rule / 64] >> (rule % 64) & 1 == 1
    }

    /// Hands over the marked rules in rising order, and forgets them.
    pub(in crate::rules) fn drain(&mut self, mut take: impl FnMut(usize)) {
        for (at, words) in self.words.iter_mut().enumerate() {
            let mut words = std::mem::take(words);
            while words != 0 {
                let word = at * 64 + words.trailing_zeros() as usize;
                words &= words - 1;
                let mut bits = std::mem::take(&mut self.bits[word]);
                while bits != 0 {
                    take(word * 64 + bits.trailing_zeros() as usize);
                    bits &= bits - 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn places_and_marks_come_back_in_rising_order_each_once() {
        let mut seed = 1u64;
        let mut dice = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        let (mut alive, mut marks) = (Alive::default(), Marks::default());
        for round in 0..200 {
            let blocks = usize::try_from(dice() % 9).expect("few");
            let (rows, summary) = alive.begin(blocks * LANES, 1);
            let mut expected = BTreeSet::new();
            marks.fit(blocks * LANES * 64);
            for block in 0..blocks {
                let lanes = [(); LANES].map(|()| if dice() % 3 == 0 { 0 } else { dice() & dice() << 31 });
                for (at, bit) in (0..LANES).flat_map(|at| (0..64).map(move |bit| (at, bit))) {
                    if lanes[at] >> bit & 1 == 1 {
                        expected.insert((block * LANES + at) * 64 + bit);
                    }
                }
                alive.add(block * LANES, lanes);
            }
            alive.end(rows, summary);
            let expected: Vec<usize> = expected.into_iter().collect();
            assert_eq!(alive.places().collect::<Vec<_>>(), expected, "round {round}");
            expected.iter().rev().chain(&expected).for_each(|place| marks.mark(*place));
            assert!(expected.iter().all(|place| marks.has(*place)));
            let mut drained = Vec::new();
            marks.drain(|rule| drained.push(rule));
            assert_eq!(drained, expected, "round {round}");
            marks.drain(|rule| panic!("{rule} was forgotten"));
        }
    }
}
