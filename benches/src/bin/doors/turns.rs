//! Turns, and the table of what they brought.

use crate::Failure;

/// Whose turn it is: the left column's or the right one's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The data plane alone.
    Quic,
    /// The HTTPS door, or the data plane beside a flood of it.
    Https,
}

/// Figures of both, round by round.
#[derive(Default)]
pub(crate) struct Pair {
    quic: Vec<f64>,
    https: Vec<f64>,
}

impl Pair {
    /// Adds a figure.
    pub(crate) fn push(&mut self, who: Who, figure: f64) {
        match who {
            Who::Quic => self.quic.push(figure),
            Who::Https => self.https.push(figure),
        }
    }
}

/// A B B A: what drifts meanwhile strikes both alike.
pub(crate) fn interleaved(
    rounds: usize,
    mut round: impl FnMut(Who) -> Result<f64, Failure>,
) -> Result<Pair, Failure> {
    let mut pair = Pair::default();
    for number in 0..rounds {
        let order = if number % 2 == 0 { [Who::Quic, Who::Https] } else { [Who::Https, Who::Quic] };
        for who in order {
            pair.push(who, round(who)?);
        }
    }
    Ok(pair)
}

/// One figure of both.
pub(crate) struct Row {
    what: String,
    pair: Pair,
}

impl Row {
    /// Of all rounds.
    pub(crate) fn of(what: String, pair: Pair) -> Self {
        Self { what, pair }
    }

    /// The right column in the left one's, of each pair of rounds: the median, the least and the most.
    fn ratios(&self) -> (f64, f64, f64) {
        let mut all: Vec<f64> =
            self.pair.quic.iter().zip(&self.pair.https).map(|(quic, https)| https / quic).collect();
        all.sort_by(f64::total_cmp);
        let last = all.len().saturating_sub(1);
        let at = |place: usize| all.get(place).copied().unwrap_or(f64::NAN);
        (median(&all), at(0), at(last))
    }

    /// The median of the ratios.
    pub(crate) fn ratio(&self) -> f64 {
        self.ratios().0
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => at(count / 2),
        count => f64::midpoint(at(count / 2 - 1), at(count / 2)),
    }
}

/// The rows as a table: medians of both, and the ratio of the pairs.
pub(crate) fn table(left: &str, right: &str, rows: &[Row]) -> String {
    let mut text = format!("\n{:<48} {left:>10} {right:>16}  ratio (of the pairs)\n", "");
    for row in rows {
        let (ratio, least, most) = row.ratios();
        text.push_str(&format!(
            "{:<48} {:>10.1} {:>16.1}  {ratio:.2} ({least:.2}–{most:.2})\n",
            row.what,
            median(&row.pair.quic),
            median(&row.pair.https),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_take_turns_and_ratios_are_of_pairs() {
        let mut order = String::new();
        let pair = interleaved(2, |who| {
            order.push(if who == Who::Quic { 'A' } else { 'B' });
            Ok(if who == Who::Quic { 2.0 } else { order.len() as f64 })
        });
        let row = Row::of("x".to_owned(), pair.expect("fine"));
        assert_eq!((order.as_str(), row.ratios()), ("ABBA", (1.25, 1.0, 1.5)));
        assert!(table("a", "b", &[row]).contains("1.25 (1.00–1.50)"));
    }
}
