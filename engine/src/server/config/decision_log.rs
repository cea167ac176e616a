//! `[decision_log]`: what is kept of answers, and what happens where there is no room.

use crate::server::decision_log::{DecisionLogConfig, WhenFull};
use serde::Deserialize;

const KEEP_DAYS: u32 = 30;
/// A hundred thousand years of log would overflow nothing, and be a slip.
const KEEP_DAYS_MAX: u32 = 36_500;
const SIZE_GIB_MAX: u64 = 20;
const SIZE_GIB_LARGEST: u64 = 1 << 20;
const ON: bool = true;
const WHEN_FULL: &str = "count";

/// The table as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenDecisionLog {
    on: Option<bool>,
    when_full: Option<String>,
    keep_days: Option<u32>,
    size_gib_max: Option<u64>,
}

/// A key of the table: its name, its default as it is written, and what it means.
pub(super) type Key = (&'static str, fn() -> String, &'static str);

/// The keys, in their order.
pub(super) const KEYS: &[Key] = &[
    (
        "on",
        || ON.to_string(),
        "Whether there is one. Without it every answer says `unlogged`, nothing can be explained or run again later, and\n\
         velocity forgets up to velocity_snapshot_seconds at a kill.",
    ),
    (
        "when_full",
        || format!("{WHEN_FULL:?}"),
        "What happens to an answer while more come than the disk takes: \"count\" (it is given at once, says `unlogged`, and is\n\
         counted in a gap; places are kept for declines and flagged people) or \"wait\" (it waits for room, a second at most).",
    ),
    (
        "keep_days",
        || KEEP_DAYS.to_string(),
        "Days that answers are kept, with the rule sets that decided them.",
    ),
    (
        "size_gib_max",
        || SIZE_GIB_MAX.to_string(),
        "Gibibytes that they may take; then the oldest go. An answer takes about 700 bytes.",
    ),
];

/// Checks the table.
pub(super) fn decision_log(written: WrittenDecisionLog) -> Result<DecisionLogConfig, Vec<String>> {
    let mut errors = Vec::new();
    let when_full = match written.when_full.as_deref().unwrap_or(WHEN_FULL) {
        "count" => WhenFull::Count,
        "wait" => WhenFull::Wait,
        other => {
            errors.push(format!("decision_log.when_full: {other:?} is neither \"count\" nor \"wait\""));
            WhenFull::Count
        }
    };
    let keep_days = written.keep_days.unwrap_or(KEEP_DAYS);
    if !(1..=KEEP_DAYS_MAX).contains(&keep_days) {
        errors.push(format!("decision_log.keep_days: {keep_days} is not 1 to {KEEP_DAYS_MAX}"));
    }
    let size = written.size_gib_max.unwrap_or(SIZE_GIB_MAX);
    if !(1..=SIZE_GIB_LARGEST).contains(&size) {
        errors.push(format!("decision_log.size_gib_max: {size} is not 1 to {SIZE_GIB_LARGEST}"));
    }
    if errors.is_empty() {
        let bytes_max = size << 30;
        Ok(DecisionLogConfig { is_on: written.on.unwrap_or(ON), when_full, keep_days, bytes_max })
    } else {
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_is_enough_and_every_slip_is_named() {
        let read = |text: &str| decision_log(toml::from_str(text).expect("a table"));
        let usual = read("").expect("fine");
        assert_eq!((usual.is_on, usual.when_full, usual.keep_days), (true, WhenFull::Count, 30));
        assert_eq!(read("when_full = \"wait\"").map(|it| it.when_full), Ok(WhenFull::Wait));
        assert_eq!(
            read("when_full = \"drop\"\nkeep_days = 0\nsize_gib_max = 0").expect_err("slips"),
            [
                "decision_log.when_full: \"drop\" is neither \"count\" nor \"wait\"",
                "decision_log.keep_days: 0 is not 1 to 36500",
                "decision_log.size_gib_max: 0 is not 1 to 1048576",
            ]
        );
    }
}
