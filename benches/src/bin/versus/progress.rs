//! How far a run is: a bar where somebody watches, a line for each step where not.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;

/// The steps of a run, on standard error.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    done: u64,
    steps: u64,
}

impl Progress {
    /// So many steps.
    pub(crate) fn of(steps: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed}  {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, done: 0, steps }
    }

    /// The next step begins.
    pub(crate) fn begin(&mut self, step: &str) {
        self.done += 1;
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.done - 1);
                bar.set_message(step.to_owned());
                bar.tick();
            }
            None => eprintln!("{}/{}: {step}", self.done, self.steps),
        }
    }

    /// There are no more.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
