//! A small seeded generator: the same seed gives the same stream on every machine and in every version.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number from 0 to `end − 1`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The bias of the multiplication is under 2⁻³² for every range used here.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// Whether something happens that happens `parts` times in a thousand.
    pub(crate) fn per_mille(&mut self, parts: u64) -> bool {
        self.below(1_000) < parts
    }

    /// An amount from 0 to `end − 1` of which small ones are likelier, as on receipts.
    pub(crate) fn skewed(&mut self, end: u64) -> u64 {
        self.below(end).min(self.below(end)).min(self.below(end))
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bytes
    }
}

/// Ranks by the law of Zipf and Mandelbrot: rank `k` is drawn as often as `1 / (k + flat)`. The larger `flat` is, the
/// more alike are the first ranks: shops differ by hundreds, customers by a handful.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    /// For each rank, the share of draws up to and including it, of 2⁶⁴.
    up_to: Vec<u64>,
}

impl Zipf {
    /// `count` ranks, at least one. Only sums and quotients, which IEEE 754 rounds in one way: the same draws on
    /// every machine.
    pub(crate) fn new(count: u64, flat: u64) -> Self {
        let weight = |rank: u64| 1.0 / (rank + flat + 1) as f64;
        let all: f64 = (0..count.max(1)).map(weight).sum();
        let mut sum = 0.0;
        let up_to = (0..count.max(1)).map(|rank| {
            sum += weight(rank);
            (sum / all * u64::MAX as f64) as u64
        });
        Self { up_to: up_to.collect() }
    }

    /// A rank, from 0.
    pub(crate) fn draw(&self, random: &mut Random) -> u64 {
        let share = random.next();
        (self.up_to.partition_point(|up_to| *up_to < share) as u64).min(self.up_to.len() as u64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_drawn_as_often_as_their_law_says() {
        let (zipf, mut random) = (Zipf::new(1_000, 0), Random::new(1));
        let mut drawn = [0u32; 1_000];
        (0..200_000).for_each(|_| drawn[zipf.draw(&mut random) as usize] += 1);
        // Of 1/1 + … + 1/1000 = 7.485 the first rank has 1, the tenth 0.1.
        assert!((26_000..27_500).contains(&drawn[0]), "{}", drawn[0]);
        assert!((2_450..2_900).contains(&drawn[9]), "{}", drawn[9]);
        assert!(drawn[999] > 0);
        let (flat, mut drawn) = (Zipf::new(1_000, 10_000), [0u32; 1_000]);
        (0..200_000).for_each(|_| drawn[flat.draw(&mut random) as usize] += 1);
        assert!(drawn.iter().all(|draws| (120..290).contains(draws)), "nearly alike");
    }
}
