//! The goals with this run's figures: one row for each goal, load and peer.

use crate::turns::{Figure, Pairs, median};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What a row is about.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    /// Its number in the list of goals.
    pub(crate) id: &'static str,
    /// Which load the engine had.
    pub(crate) load: &'static str,
    /// What is measured.
    pub(crate) what: String,
    /// Who stands beside sparr.
    pub(crate) peer: &'static str,
    /// What the ratio is held against; `None` where it is there to be known.
    pub(crate) aim: Option<Aim>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// At least so much; and more than was hoped for.
    AtLeast(f64, f64),
    /// At most so much; and less than was hoped for.
    AtMost(f64, f64),
}

impl Aim {
    fn bounds(self) -> (f64, f64) {
        let (Self::AtLeast(bold, beyond) | Self::AtMost(bold, beyond)) = self;
        (bold, beyond)
    }

    fn verdict(self, figure: f64) -> Verdict {
        let reaches = |goal: f64| match self {
            Self::AtLeast(..) => figure >= goal,
            Self::AtMost(..) => figure <= goal,
        };
        let (bold, beyond) = self.bounds();
        match (reaches(beyond), reaches(bold)) {
            (true, _) => Verdict::Beyond,
            (false, true) => Verdict::Bold,
            (false, false) => Verdict::NotYet,
        }
    }
}

/// What this run says of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More than was asked for.
    Beyond,
    /// What was asked for.
    Bold,
    /// Less.
    NotYet,
    /// Nothing was asked for.
    Information,
    /// The rounds may not be believed.
    Invalid,
    /// Not measured, and so not proven.
    Skipped,
    /// Measured by another program.
    Elsewhere,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Beyond => "beyond",
            Self::Bold => "bold",
            Self::NotYet => "not yet",
            Self::Information => "to know",
            Self::Invalid => "INVALID",
            Self::Skipped => "SKIPPED",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    goal: Goal,
    ours: Option<f64>,
    theirs: Option<f64>,
    ratio: Option<f64>,
    /// Smallest and largest ratio of the pairs, or figure of the rounds.
    range: Option<(f64, f64)>,
    verdict: Verdict,
    /// Noise, or why there is no figure.
    note: String,
}

impl Row {
    /// Ours over the peer's, pair by pair.
    pub(crate) fn beside(goal: Goal, ours: &[Figure], theirs: &[Figure]) -> Self {
        let pairs = Pairs::of(ours, theirs);
        let ratio = median(&pairs.ratios);
        let mut row = Self::of(goal, &pairs.ratios, ratio, &pairs);
        row.ours = Some(median(&pairs.ours)).filter(|figure| figure.is_finite());
        row.theirs = Some(median(&pairs.theirs)).filter(|figure| figure.is_finite());
        row.ratio = Some(ratio).filter(|figure| figure.is_finite());
        row
    }

    /// A figure that needs no peer.
    pub(crate) fn alone(goal: Goal, ours: &[Figure]) -> Self {
        let pairs = Pairs::of(ours, ours);
        let figure = median(&pairs.ours);
        let mut row = Self::of(goal, &pairs.ours, figure, &pairs);
        row.ours = Some(figure).filter(|figure| figure.is_finite());
        row
    }

    /// Nothing was measured.
    pub(crate) fn skipped(goal: Goal, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::without_figures(goal, why.into()) }
    }

    /// Another program measures it.
    pub(crate) fn elsewhere(goal: Goal, by: &str) -> Self {
        Self { verdict: Verdict::Elsewhere, ..Self::without_figures(goal, by.to_owned()) }
    }

    fn without_figures(goal: Goal, note: String) -> Self {
        let (ours, theirs, ratio, range) = (None, None, None, None);
        Self { goal, ours, theirs, ratio, range, verdict: Verdict::Information, note }
    }

    fn of(goal: Goal, rounds: &[f64], figure: f64, pairs: &Pairs) -> Self {
        let verdict = match goal.aim {
            _ if pairs.are_too_few() => Verdict::Invalid,
            None => Verdict::Information,
            Some(aim) => aim.verdict(figure),
        };
        let note = pairs.doubts.first().map_or_else(String::new, |first| {
            let all = pairs.doubts.len() + pairs.ratios.len();
            format!("{} of {all} pairs left out: {first}", pairs.doubts.len())
        });
        let least = rounds.iter().copied().reduce(f64::min);
        let range = least.zip(rounds.iter().copied().reduce(f64::max));
        Self { range, verdict, ..Self::without_figures(goal, note) }
    }

    /// Says more in the last column.
    pub(crate) fn noting(mut self, more: &str) -> Self {
        if !self.note.is_empty() && !more.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(more);
        self
    }
}

/// For people.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut out = format!(
        "{:<5}{:<11}{:<56}{:<22}{:>11}{:>11}{:>9}  {:<16}{:>7}{:>8}  {:<10}{}\n",
        "goal",
        "load",
        "what",
        "peer",
        "ours",
        "peer's",
        "ratio",
        "of the rounds",
        "bold",
        "beyond",
        "verdict",
        "noise"
    );
    for row in rows {
        let Goal { id, load, what, peer, aim } = &row.goal;
        let range =
            row.range.map_or_else(String::new, |(low, high)| format!("{}–{}", number(low), number(high)));
        let (bold, beyond) = aim.map(Aim::bounds).unzip();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{id:<5}{load:<11}{what:<56}{peer:<22}{:>11}{:>11}{:>9}  {range:<16}{:>7}{:>8}  {:<10}{}",
            maybe(row.ours),
            maybe(row.theirs),
            maybe(row.ratio),
            maybe(bold),
            maybe(beyond),
            row.verdict.name(),
            row.note
        );
    }
    out
}

fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.4}"),
    }
}

/// For scripts.
pub(crate) fn json(rows: &[Row], machine: &str, noise: &Value) -> Value {
    let row = |row: &Row| {
        let Goal { id, load, what, peer, aim } = &row.goal;
        let (bold, beyond) = aim.map(Aim::bounds).unzip();
        let (lowest, highest) = row.range.unzip();
        json!({
            "goal": id, "load": load, "what": what, "peer": peer, "ours": row.ours, "theirs": row.theirs,
            "ratio": row.ratio, "lowest": lowest, "highest": highest, "bold": bold, "beyond": beyond,
            "verdict": row.verdict.name(), "note": row.note,
        })
    };
    json!({ "goals": rows.iter().map(row).collect::<Vec<_>>(), "machine": machine, "noise": noise })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(values: &[f64]) -> Vec<Figure> {
        values.iter().copied().map(Figure::from).collect()
    }

    fn goal(aim: Aim) -> Goal {
        Goal { id: "1", load: "reference", what: "rate".to_owned(), peer: "echo", aim: Some(aim) }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_pairs_and_is_held_against_its_goal() {
        let (ours, theirs) = (figures(&[50.0, 90.0, 60.0]), figures(&[100.0; 3]));
        for (aim, verdict) in [
            (Aim::AtLeast(0.5, 0.6), Verdict::Beyond),
            (Aim::AtLeast(0.6, 0.7), Verdict::Bold),
            (Aim::AtLeast(0.7, 0.8), Verdict::NotYet),
            (Aim::AtMost(0.7, 0.5), Verdict::Bold),
            (Aim::AtMost(0.5, 0.4), Verdict::NotYet),
        ] {
            assert_eq!(Row::beside(goal(aim), &ours, &theirs).verdict, verdict, "{aim:?}");
        }
        let counted = Row::alone(goal(Aim::AtMost(0.4, 0.3)), &figures(&[0.31]));
        assert_eq!((counted.verdict, counted.ours, counted.ratio), (Verdict::Bold, Some(0.31), None));
    }

    #[test]
    fn a_late_generator_makes_a_row_invalid_and_a_row_without_figures_says_why() {
        let late = Figure { value: 1.0, doubt: Some("the generator was late".to_owned()) };
        let met = goal(Aim::AtLeast(0.1, 0.1));
        let rows = [
            Row::beside(met.clone(), &[late.clone(), late], &figures(&[1.0, 1.0])),
            Row::skipped(met.clone(), "no redis-server here"),
            Row::elsewhere(met, "bin restart").noting("ten minutes"),
        ];
        let text = text(&rows);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert!(lines[0].contains("INVALID") && lines[0].contains("2 of 2 pairs left out: the generator"));
        assert!(lines[1].contains("SKIPPED") && lines[1].contains("no redis-server"), "{}", lines[1]);
        assert!(lines[2].ends_with("elsewhere bin restart; ten minutes"), "{}", lines[2]);
        let json = json(&rows, "two cores", &json!({ "stolen_percent": 0.5 }));
        assert_eq!(json["goals"][0]["verdict"], "INVALID");
        assert_eq!(json["goals"][1]["ratio"], Value::Null, "not a number is no number");
        assert_eq!((&json["machine"], &json["noise"]["stolen_percent"]), (&json!("two cores"), &json!(0.5)));
    }
}
