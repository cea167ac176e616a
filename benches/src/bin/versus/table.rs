//! The table of goals with this run's figures.

use crate::contest::Pair;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// One goal and what this run says of it.
pub(crate) struct Goal {
    id: String,
    what: String,
    ours: f64,
    peer: Option<f64>,
    ratio: f64,
    /// Smallest and largest ratio of the pairs.
    range: (f64, f64),
    bold: f64,
    beyond: f64,
    larger_is_better: bool,
}

impl Goal {
    /// Ours over the peer's should be at least so much.
    pub(crate) fn at_least(id: &str, what: &str, pair: &Pair, bold: f64, beyond: f64) -> Self {
        Self::of(id, what, pair, bold, beyond, true)
    }

    /// Ours over the peer's should be at most so much.
    pub(crate) fn at_most(id: &str, what: &str, pair: &Pair, bold: f64, beyond: f64) -> Self {
        Self::of(id, what, pair, bold, beyond, false)
    }

    fn of(id: &str, what: &str, pair: &Pair, bold: f64, beyond: f64, larger_is_better: bool) -> Self {
        let (ours, peer) = (median(&pair.ours), median(&pair.peers));
        let ratios: Vec<f64> = pair.ours.iter().zip(&pair.peers).map(|(ours, peer)| ours / peer).collect();
        let range = ratios
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), ratio| (low.min(*ratio), high.max(*ratio)));
        Self {
            id: id.to_owned(),
            what: what.to_owned(),
            ours,
            peer: Some(peer),
            ratio: median(&ratios),
            range,
            bold,
            beyond,
            larger_is_better,
        }
    }

    /// A count, which needs no peer, should be at most so much.
    pub(crate) fn count(id: &str, what: &str, ours: f64, bold: f64, beyond: f64) -> Self {
        let (id, what, range) = (id.to_owned(), what.to_owned(), (ours, ours));
        Self { id, what, ours, peer: None, ratio: ours, range, bold, beyond, larger_is_better: false }
    }

    fn met(&self) -> &'static str {
        let reaches = |goal: f64| if self.larger_is_better { self.ratio >= goal } else { self.ratio <= goal };
        match (reaches(self.beyond), reaches(self.bold)) {
            (true, _) => "beyond",
            (false, true) => "bold",
            (false, false) => "not yet",
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// For people.
pub(crate) fn text(goals: &[Goal]) -> String {
    let mut out = format!(
        "{:<9}{:<48}{:>12}{:>12}{:>8}  {:<15}{:>6}{:>8}  {}\n",
        "goal", "what", "ours", "peer", "ratio", "of the pairs", "bold", "beyond", "met"
    );
    for goal in goals {
        let peer = goal.peer.map_or_else(|| "–".to_owned(), number);
        let range = format!("{:.2} to {:.2}", goal.range.0, goal.range.1);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:<9}{:<48}{:>12}{:>12}{:>8.2}  {:<15}{:>6.2}{:>8.2}  {}",
            goal.id,
            goal.what,
            number(goal.ours),
            peer,
            goal.ratio,
            range,
            goal.bold,
            goal.beyond,
            goal.met()
        );
    }
    out
}

fn number(value: f64) -> String {
    if value >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// For scripts.
pub(crate) fn json(goals: &[Goal], machine: &str) -> Value {
    let goal = |goal: &Goal| {
        json!({
            "id": goal.id, "what": goal.what, "ours": goal.ours, "peer": goal.peer, "ratio": goal.ratio,
            "bold": goal.bold, "beyond": goal.beyond, "met": goal.met(),
        })
    };
    let noise: Vec<Value> = goals
        .iter()
        .map(|goal| json!({ "id": goal.id, "lowest": goal.range.0, "highest": goal.range.1 }))
        .collect();
    json!({ "goals": goals.iter().map(goal).collect::<Vec<_>>(), "machine": machine, "noise": noise })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_pairs_and_is_held_against_its_goal() {
        let pair = Pair { ours: vec![50.0, 90.0, 60.0], peers: vec![100.0, 100.0, 100.0] };
        for (goal, met) in [
            (Goal::at_least("1", "rate", &pair, 0.5, 0.6), "beyond"),
            (Goal::at_least("1", "rate", &pair, 0.6, 0.7), "bold"),
            (Goal::at_least("1", "rate", &pair, 0.7, 0.8), "not yet"),
            (Goal::at_most("2", "time", &pair, 0.7, 0.5), "bold"),
            (Goal::at_most("2", "time", &pair, 0.5, 0.4), "not yet"),
            (Goal::count("5", "count", 0.31, 0.4, 0.3), "bold"),
        ] {
            assert_eq!(goal.met(), met, "{}", goal.what);
            assert_eq!(text(&[goal]).lines().count(), 2);
        }
        let goal = Goal::at_least("1", "rate", &pair, 0.5, 0.6);
        assert_eq!(
            json(&[goal], "two cores"),
            json!({
                "goals": [{
                    "id": "1", "what": "rate", "ours": 60.0, "peer": 100.0, "ratio": 0.6, "bold": 0.5,
                    "beyond": 0.6, "met": "beyond",
                }],
                "machine": "two cores",
                "noise": [{ "id": "1", "lowest": 0.5, "highest": 0.9 }],
            })
        );
    }
}
