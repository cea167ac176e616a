//! The `set:` group: what holds for the whole set. Thresholds of the summed score, time zone, exchange rates.

use super::diagnostic::{Code, Diagnostic};
use super::fields::{self, Fields};
use super::yaml::Node;
use crate::facts::money::{RATE_UNIT, Rates};
use jiff::tz::TimeZone;
use sparr_protocol::money::Currency;
use sparr_protocol::text::nearest;
use sparr_protocol::time::{Date, Timestamp};

/// From which summed score on what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// A person looks at it afterwards.
    pub review: i32,
    /// Authentication is asked for.
    pub challenge: i32,
    /// It is declined.
    pub decline: i32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { review: 50, challenge: 70, decline: 90 }
    }
}

/// What holds for the whole set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) thresholds: Thresholds,
    pub(super) zone: TimeZone,
    pub(super) base: Currency,
    /// Currency, and millionths of the base unit that one unit of it is worth. Sorted.
    pub(super) rates: Vec<(Currency, i64)>,
    /// The day of the rates.
    pub(super) rates_date: Option<Date>,
}

/// The zone in which a day ends where a set names none.
const DEFAULT_ZONE: &str = "Europe/Stockholm";

impl Default for Settings {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            zone: TimeZone::get(DEFAULT_ZONE).unwrap_or(TimeZone::UTC),
            base: Currency::SEK,
            rates: Vec::new(),
            rates_date: None,
        }
    }
}

impl Settings {
    /// The rates in the form in which facts use them.
    pub(super) fn rates(&self) -> Rates {
        Rates::new(self.base, self.rates.clone())
    }
}

/// The first moment after a day, in a zone.
pub(super) fn end_of(day: Date, zone: &TimeZone) -> Timestamp {
    let civil = jiff::civil::Date::new(day.year as i16, day.month as i8, day.day as i8);
    let next = civil.and_then(|day| day.tomorrow()).and_then(|day| zone.to_zoned(day.at(0, 0, 0, 0)));
    // A date at the very end of the calendar has no tomorrow: it never comes.
    next.map_or(Timestamp::from_ms(i64::MAX), |start| Timestamp::from_ms(start.timestamp().as_millisecond()))
}

/// Reads the group.
pub(super) fn read(node: &Node, report: &mut Vec<Diagnostic>) -> Option<Settings> {
    let set = Fields::open(node, "the set", &["thresholds", "time_zone", "base_currency", "rates"], report)?;
    let mut settings = Settings::default();
    if let Some(node) = set.get("thresholds") {
        settings.thresholds = thresholds(node, report).unwrap_or_default();
    }
    if let Some(node) = set.get("time_zone") {
        let name = fields::text(node, "time_zone", report).unwrap_or(DEFAULT_ZONE);
        match TimeZone::get(name) {
            Ok(zone) => settings.zone = zone,
            Err(_) => report.push(
                Diagnostic::new(Code::Settings, node.at, format!("no time zone is called `{name}`"))
                    .help("zones are named as in the IANA database: Europe/Stockholm"),
            ),
        }
    }
    if let Some(node) = set.get("base_currency") {
        settings.base = currency(node, report).unwrap_or(Currency::SEK);
    }
    if let Some(node) = set.get("rates") {
        read_rates(node, &mut settings, report);
    }
    Some(settings)
}

fn thresholds(node: &Node, report: &mut Vec<Diagnostic>) -> Option<Thresholds> {
    let group = Fields::open(node, "the group of thresholds", &["review", "challenge", "decline"], report)?;
    let mut points = |key: &str| {
        let legal = |text: &str| text.parse().ok().filter(|points| *points > 0);
        let expected = "a number of points above zero";
        group.need(key, report).and_then(|node| fields::value(node, key, expected, legal, report))
    };
    let (review, challenge, decline) = (points("review"), points("challenge"), points("decline"));
    let thresholds = Thresholds { review: review?, challenge: challenge?, decline: decline? };
    let ordered = thresholds.review < thresholds.challenge && thresholds.challenge < thresholds.decline;
    if !ordered {
        let at = group.get("review").map_or(node.at, |first| first.at);
        let message = "thresholds rise: `review` below `challenge` below `decline`";
        report.push(Diagnostic::new(Code::Settings, at, message));
    }
    Some(thresholds)
}

fn read_rates(node: &Node, settings: &mut Settings, report: &mut Vec<Diagnostic>) {
    let Some(entries) = fields::entries(node, "rates", report) else { return };
    let mut dated = false;
    for (name, key, value) in entries {
        if name == "date" {
            dated = true;
            settings.rates_date = fields::value(value, "date", fields::DATE, fields::parse_date, report);
            continue;
        }
        let Some(currency) = known_currency(name, key, report) else { continue };
        if currency == settings.base {
            let message = format!("{currency} is the base currency: its rate is one");
            report.push(Diagnostic::new(Code::Settings, key, message));
        }
        let expected = "a rate above zero with at most six decimals, such as \"11.2345\"";
        if let Some(rate) = fields::value(value, name, expected, parts_per_million, report) {
            settings.rates.push((currency, rate));
        }
    }
    settings.rates.sort();
    if !dated {
        report.push(
            Diagnostic::new(Code::MissingKey, node.at, "rates need a key `date`: the day they are from")
                .help("sums are made again with the rates of their day"),
        );
    }
}

fn currency(node: &Node, report: &mut Vec<Diagnostic>) -> Option<Currency> {
    let name = fields::text(node, "base_currency", report)?;
    known_currency(name, node.at, report)
}

fn known_currency(name: &str, at: super::sources::Span, report: &mut Vec<Diagnostic>) -> Option<Currency> {
    let currency = Currency::parse(name);
    if currency.is_none() {
        let codes = (0..1_000).filter_map(Currency::from_wire).map(Currency::code);
        report.push(
            Diagnostic::new(Code::Settings, at, format!("no currency has the code `{name}`"))
                .did_you_mean(nearest(name, codes)),
        );
    }
    currency
}

/// `11.2345` is 11,234,500 millionths.
fn parts_per_million(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    whole.checked_mul(RATE_UNIT)?.checked_add(fraction).filter(|rate| *rate > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_without_rounding() {
        for (text, rate) in [
            ("11.2345", Some(11_234_500)),
            ("0.000001", Some(1)),
            ("12", Some(12_000_000)),
            ("0", None),
            ("0.0000001", None),
            ("11,23", None),
            (".5", None),
            ("5.", None),
            ("-1", None),
            ("1e3", None),
            ("9223372036854.775807", Some(i64::MAX)),
            ("9223372036855", None),
        ] {
            assert_eq!(parts_per_million(text), rate, "{text}");
        }
    }

    #[test]
    fn a_day_ends_at_midnight_where_the_set_is_at_home_also_when_clocks_change() {
        let zone = Settings::default().zone;
        for (day, end) in [
            (Date::new(2026, 12, 31), "2026-12-31T23:00:00Z"),
            (Date::new(2026, 6, 30), "2026-06-30T22:00:00Z"),
            (Date::new(2026, 3, 29), "2026-03-29T22:00:00Z"),
            (Date::new(2026, 10, 25), "2026-10-25T23:00:00Z"),
        ] {
            assert_eq!(Some(end_of(day, &zone)), Timestamp::parse(end), "{day}");
        }
        assert_eq!(end_of(Date::new(9_999, 12, 31), &zone), Timestamp::from_ms(i64::MAX));
    }
}
