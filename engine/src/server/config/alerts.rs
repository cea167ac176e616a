//! `[alerts]`: from where on the engine tells of itself.

use super::decision_log::Key;
use crate::server::alerts::AlertsConfig;
use crate::server::clock;
use serde::Deserialize;
use sparr_protocol::identity::Subject;
use sparr_protocol::personal::Personal;

const WINDOW_SECONDS: u64 = 300;
const WINDOW_SECONDS_MIN: u64 = 5;
const BASELINE_SECONDS: u64 = 3_600;
/// A day: what is added up is kept in memory.
const SECONDS_MAX: u64 = 86_400;
/// By chance a rule that should hit twenty times does not hit at all once in five hundred million windows.
const RULE_HITS_MIN: u64 = 20;
const BAND_FACTOR: u64 = 4;
const BAND_FACTOR_MIN: u64 = 2;
/// Where answers begin to say `stale_red`.
const STALE_MS: u32 = 5_000;
/// Three of the minutes in which a canary is sent.
const CANARY_SECONDS: u64 = 180;

/// The table as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAlerts {
    window_seconds: Option<u64>,
    baseline_seconds: Option<u64>,
    rule_hits_min: Option<u64>,
    band_factor: Option<u64>,
    stale_ms: Option<u32>,
    canary: Option<String>,
    canary_seconds: Option<u64>,
}

/// The keys, in their order.
pub(super) const KEYS: &[Key] = &[
    (
        "window_seconds",
        || WINDOW_SECONDS.to_string(),
        "How long is looked back at how often rules hit now; also how long a gap of the decision log is told of.",
    ),
    (
        "baseline_seconds",
        || BASELINE_SECONDS.to_string(),
        "How long before that their usual rate is taken from.",
    ),
    (
        "rule_hits_min",
        || RULE_HITS_MIN.to_string(),
        "A rule that by its usual rate should have hit so often in the window and did not once is told of (rule_silent);\n\
         below that, nothing is said of it.",
    ),
    (
        "band_factor",
        || BAND_FACTOR.to_string(),
        "A rule that hits more than so many times as often as usual, or less than that part of it, has left its band\n\
         (rule_off_band).",
    ),
    (
        "stale_ms",
        || STALE_MS.to_string(),
        "How old what other members said may be before it is told of, ms (stale).",
    ),
    (
        "canary_seconds",
        || CANARY_SECONDS.to_string(),
        "Where there is a canary: how long none may come before it is told of (canary_missing).",
    ),
];

/// What is said of the key that has no default.
pub(super) const CANARY: &str = "A published test number of a person with a flag. Gateways send a payment of that person every minute (see `sparr canary`);\n\
     one that was not stopped is told of (canary_passed). It stands in this table.\n\
     canary = \"189001019802\"";

/// The canary's number. Only numbers that are given to nobody: what stands in a file is read by many.
fn canary(text: &str) -> Result<Personal, String> {
    let number = Subject::parse_swedish(text, clock::moment().today)
        .map_err(|error| format!("alerts.canary: {error}"))?;
    if number.is_for_tests() {
        Ok(text.into())
    } else {
        Err("alerts.canary: not a number that is published for tests (serial 980 to 999); a person's own is not taken".to_owned())
    }
}

/// Checks the table.
pub(super) fn alerts(written: &WrittenAlerts) -> Result<(AlertsConfig, Option<Personal>), Vec<String>> {
    let mut errors = Vec::new();
    let number_of_canary = written.canary.as_deref().and_then(|text| match canary(text) {
        Ok(number) => Some(number),
        Err(error) => {
            errors.push(error);
            None
        }
    });
    let mut number = |name: &str, written: Option<u64>, default: u64, (least, most): (u64, u64)| {
        let value = written.unwrap_or(default);
        if !(least..=most).contains(&value) {
            errors.push(format!("alerts.{name}: {value} is not {least} to {most}"));
        }
        value
    };
    let window = (WINDOW_SECONDS_MIN, SECONDS_MAX);
    let config = AlertsConfig {
        window_seconds: number("window_seconds", written.window_seconds, WINDOW_SECONDS, window),
        baseline_seconds: number("baseline_seconds", written.baseline_seconds, BASELINE_SECONDS, window),
        rule_hits_min: number("rule_hits_min", written.rule_hits_min, RULE_HITS_MIN, (1, u64::MAX)),
        band_factor: number("band_factor", written.band_factor, BAND_FACTOR, (BAND_FACTOR_MIN, 1_000)),
        stale_ms: written.stale_ms.unwrap_or(STALE_MS),
        canary_seconds: number("canary_seconds", written.canary_seconds, CANARY_SECONDS, window),
    };
    if errors.is_empty() { Ok((config, number_of_canary)) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_is_enough_and_every_slip_is_named() {
        let read = |text: &str| alerts(&toml::from_str(text).expect("a table"));
        let (usual, no_canary) = read("").expect("fine");
        assert_eq!(no_canary, None);
        assert!(read("canary = \"18900101-9802\"").is_ok_and(|(_, canary)| canary.is_some()));
        assert_eq!((usual.window_seconds, usual.baseline_seconds, usual.band_factor), (300, 3_600, 4));
        assert_eq!(read("window_seconds = 5\nrule_hits_min = 1").map(|(it, _)| it.window_seconds), Ok(5));
        assert_eq!(
            read("window_seconds = 4\nbaseline_seconds = 86401\nrule_hits_min = 0\nband_factor = 1")
                .expect_err("slips"),
            [
                "alerts.window_seconds: 4 is not 5 to 86400",
                "alerts.baseline_seconds: 86401 is not 5 to 86400",
                "alerts.rule_hits_min: 0 is not 1 to 18446744073709551615",
                "alerts.band_factor: 1 is not 2 to 1000",
            ]
        );
        // A number that is wrong, and one that could be somebody's, is refused without being repeated.
        for (text, refused) in [
            ("189001019803", "alerts.canary: the check digit does not agree"),
            (
                "191212121212",
                "alerts.canary: not a number that is published for tests (serial 980 to 999); a person's own is not taken",
            ),
        ] {
            assert_eq!(read(&format!("canary = \"{text}\"")).expect_err("refused"), [refused]);
        }
    }
}
