//! Turns: A B B A, so that what drifts meanwhile strikes all sides alike; and what the rounds come to.

use sparr_benches::Failure;

/// What one round brought, and why it may not be believed, if so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figure {
    /// The figure.
    pub(crate) value: f64,
    /// Why it may not be believed.
    pub(crate) doubt: Option<String>,
}

impl From<f64> for Figure {
    fn from(value: f64) -> Self {
        Self { value, doubt: None }
    }
}

/// So many rounds of each side: forwards, then backwards, and so on. Gives the rounds back side by side.
pub(crate) fn in_turns<S: Copy, T>(
    rounds: usize,
    sides: &[S],
    mut round: impl FnMut(S) -> Result<T, Failure>,
) -> Result<Vec<Vec<T>>, Failure> {
    let mut all: Vec<Vec<T>> = sides.iter().map(|_| Vec::new()).collect();
    for number in 0..rounds {
        for step in 0..sides.len() {
            let at = if number % 2 == 0 { step } else { sides.len() - 1 - step };
            all[at].push(round(sides[at])?);
        }
    }
    Ok(all)
}

/// Rounds of two sides that belong together, without those of which either may not be believed.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// Of our side.
    pub(crate) ours: Vec<f64>,
    /// Of the peer.
    pub(crate) theirs: Vec<f64>,
    /// Ours over theirs.
    pub(crate) ratios: Vec<f64>,
    /// Why others were left out.
    pub(crate) doubts: Vec<String>,
}

impl Pairs {
    /// Of the rounds of two sides.
    pub(crate) fn of(ours: &[Figure], theirs: &[Figure]) -> Self {
        let mut pairs = Self::default();
        for (one, other) in ours.iter().zip(theirs) {
            match one.doubt.as_ref().or(other.doubt.as_ref()) {
                Some(doubt) => pairs.doubts.push(doubt.clone()),
                None => {
                    pairs.ours.push(one.value);
                    pairs.theirs.push(other.value);
                    pairs.ratios.push(one.value / other.value);
                }
            }
        }
        pairs
    }

    /// Whether too few are left to say anything.
    pub(crate) fn are_too_few(&self) -> bool {
        self.ratios.len() <= self.doubts.len()
    }
}

/// The middle of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_sides_take_turns_there_and_back() {
        let mut order = String::new();
        let rounds = in_turns(2, &['A', 'B', 'C'], |side| {
            order.push(side);
            Ok(order.len())
        });
        assert_eq!(order, "ABCCBA");
        assert_eq!(rounds.expect("fine"), [[1, 6], [2, 5], [3, 4]]);
    }

    #[test]
    fn a_doubtful_round_takes_its_pair_along() {
        let late = Figure { value: 9.0, doubt: Some("late".to_owned()) };
        let pairs = Pairs::of(
            &[Figure::from(1.0), late.clone(), Figure::from(3.0), Figure::from(4.0)],
            &[Figure::from(2.0), Figure::from(2.0), Figure::from(2.0), late],
        );
        assert_eq!((pairs.ratios.as_slice(), pairs.doubts.len()), ([0.5, 1.5].as_slice(), 2));
        assert!(pairs.are_too_few(), "two of four");
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0])), (2.0, 2.5));
        assert!(median(&[]).is_nan());
    }
}
