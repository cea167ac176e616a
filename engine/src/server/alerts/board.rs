//! Alerts that stand, and what began and ended last.

use super::AlertName;
use crate::metrics::lock;
use serde_json::{Value, json};
use sparr_protocol::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

/// Alerts that are kept at a time: a broken gateway must not make a page of ten thousand lines. The others are counted.
const ALERTS_MAX: usize = 64;
/// Beginnings and ends that are remembered.
const EVENTS_MAX: usize = 20;

/// One alert that stands.
#[derive(Clone, Debug, PartialEq)]
struct Alert {
    since: Timestamp,
    said: String,
}

/// The beginning or the end of an alert.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    at: Timestamp,
    name: AlertName,
    about: String,
    begins: bool,
    said: String,
}

impl Event {
    fn json(&self) -> Value {
        json!({
            "at": self.at.to_string(), "name": self.name.name(), "about": self.about,
            "begins": self.begins, "said": self.said,
        })
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Board(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    alerts: BTreeMap<(AlertName, String), Alert>,
    /// Alerts for which there was no place.
    more: usize,
    events: VecDeque<Event>,
}

impl Board {
    /// Takes in what stands now. What is new and what is over is a line of the log each.
    pub(super) fn set(&self, mut found: BTreeMap<(AlertName, String), String>, now: Timestamp) {
        let mut kept = lock(&self.0);
        let mut events = Vec::new();
        kept.alerts.retain(|(name, about), alert| {
            let said = found.remove(&(*name, about.clone()));
            let stands = said.is_some();
            alert.said = said.unwrap_or_else(|| std::mem::take(&mut alert.said));
            if !stands {
                let (about, said) = (about.clone(), alert.said.clone());
                events.push(Event { at: now, name: *name, about, begins: false, said });
            }
            stands
        });
        let room = ALERTS_MAX.saturating_sub(kept.alerts.len());
        kept.more = found.len().saturating_sub(room);
        for ((name, about), said) in found.into_iter().take(room) {
            let event = Event { at: now, name, about: about.clone(), begins: true, said: said.clone() };
            events.push(event);
            kept.alerts.insert((name, about), Alert { since: now, said });
        }
        for event in events {
            let Event { name, about, begins, said, .. } = &event;
            if *begins {
                tracing::warn!(alert = name.name(), about, "alert begins: {said}");
            } else {
                tracing::info!(alert = name.name(), about, "alert ends: {said}");
            }
            kept.events.push_front(event);
        }
        kept.events.truncate(EVENTS_MAX);
    }

    /// Whether each name stands, and about what.
    pub(crate) fn standing(&self) -> Vec<(AlertName, String, bool)> {
        let kept = lock(&self.0);
        let single = AlertName::ALL.into_iter().filter(|name| !name.is_about_something());
        let single =
            single.map(|name| (name, String::new(), kept.alerts.contains_key(&(name, String::new()))));
        let several = kept.alerts.keys().filter(|(name, _)| name.is_about_something());
        single.chain(several.map(|(name, about)| (*name, about.clone(), true))).collect()
    }

    /// What stands, as the page shows it.
    pub(in crate::server) fn json(&self) -> Value {
        let kept = lock(&self.0);
        let line = |((name, about), alert): (&(AlertName, String), &Alert)| json!({"name": name.name(), "about": about, "since": alert.since.to_string(), "said": alert.said});
        json!({
            "standing": kept.alerts.iter().map(line).collect::<Vec<_>>(),
            "more": kept.more,
            "events": kept.events.iter().map(Event::json).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_begins_once_stands_and_ends_once() {
        let board = Board::default();
        let found = |rules: usize| {
            let rules = (0..rules).map(|n| ((AlertName::RuleSilent, format!("r{n:03}")), format!("{n}")));
            rules.collect::<BTreeMap<_, _>>()
        };
        let at = |second: i64| Timestamp::from_ms(second * 1_000);
        let events = || board.json()["events"].as_array().map_or(0, Vec::len);
        for (second, rules, standing, so_far) in [(1, 0, 0, 0), (2, 2, 2, 2), (3, 2, 2, 2), (4, 1, 1, 3)] {
            board.set(found(rules), at(second));
            assert_eq!(board.json()["standing"].as_array().map(Vec::len), Some(standing), "second {second}");
            assert_eq!(events(), so_far, "second {second}");
        }
        assert_eq!(board.json()["standing"][0]["since"], at(2).to_string());
        assert_eq!(
            (&board.json()["events"][0]["about"], &board.json()["events"][0]["begins"]),
            (&"r001".into(), &false.into())
        );
        board.set(found(100), at(5));
        assert_eq!((board.json()["more"].as_u64(), events()), (Some(36), EVENTS_MAX));
        let standing = board.standing();
        let singles = standing.iter().filter(|(name, ..)| !name.is_about_something());
        assert_eq!((standing.len(), singles.filter(|(_, _, stands)| !stands).count()), (ALERTS_MAX + 4, 4));
    }
}
