//! What is shown, out of what the engine says.

use serde_json::Value;
use std::cmp::Reverse;

/// Events that are shown at most.
const EVENTS: usize = 5;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Member, engine, and where it was asked.
    pub title: String,
    /// When it said this.
    pub at: String,
    /// Whether it screens; otherwise what is missing.
    pub missing: Vec<String>,
    pub budget_us: f64,
    /// Requests in the last second, by its length.
    pub rate: f64,
    /// p50, p90, p99, p99.9 and the longest of the last second, µs.
    pub times: Option<[f64; 5]>,
    /// p99 of each second, µs; zero where nothing was asked.
    pub p99_us: Vec<f64>,
    /// Answers by outcome, and what was not screened: in the last second, and in the span.
    pub answers: Vec<(String, f64, u64)>,
    /// How the state stands: a name and a value each.
    pub state: Vec<(&'static str, String)>,
    /// Other engines, the worst first, or that there are none.
    pub engines: Vec<String>,
    /// Alerts that stand.
    pub alerts: Vec<String>,
    /// What happened last, the newest first.
    pub events: Vec<String>,
    pub is_paused: bool,
    /// Why what is shown is not fresh.
    pub problem: Option<String>,
}

/// A time in the unit in which it is read fastest.
pub(super) fn micros(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{:.1} s", us / 1e6),
        us if us >= 1e4 => format!("{:.0} ms", us / 1e3),
        us if us >= 1e3 => format!("{:.1} ms", us / 1e3),
        us => format!("{us:.0} µs"),
    }
}

/// A count that fits.
pub(super) fn short(count: f64) -> String {
    match count {
        count if count >= 1e6 => format!("{:.1}M", count / 1e6),
        count if count >= 1e4 => format!("{:.1}k", count / 1e3),
        count if count >= 10.0 || count == count.round() => format!("{count:.0}"),
        count => format!("{count:.1}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl View {
    /// Reads the answers to `/api/now` and `/api/history`.
    pub(super) fn read(admin: &str, now: &Value, past: &Value) -> Self {
        let points = list(&past["points"]);
        let last = points.last().unwrap_or(&Value::Null);
        let seconds = (number(&last["took_ms"]) / 1e3).max(1e-3);
        let whole = |point: &Value, key: &str| point["times"]["whole"][key].as_f64();
        let quantile = |key: &str| whole(last, key);
        let times = match ["p50", "p90", "p99", "p999", "max"].map(quantile) {
            [Some(p50), Some(p90), Some(p99), Some(p999), Some(max)] => Some([p50, p90, p99, p999, max]),
            _ => None,
        };
        let answers = answers(points, last, seconds);
        let checks = now["checks"].as_object();
        let missing = checks.into_iter().flatten().filter(|(_, passed)| **passed == false);
        Self {
            title: format!("{} · engine {} · {admin}", text(&now["member"]), now["position"]["engine"]),
            at: clock_of(points.last().unwrap_or(now)),
            missing: missing.map(|(name, _)| name.clone()).collect(),
            budget_us: number(&now["budget_us"]),
            rate: answers.iter().map(|(_, per_second, _)| per_second).sum(),
            times,
            p99_us: points.iter().map(|point| whole(point, "p99").unwrap_or(0.0)).collect(),
            answers,
            state: state(now, last),
            engines: engines(&now["exchange"]),
            alerts: list(&now["alerts"]["standing"]).iter().map(|alert| text(&alert["said"])).collect(),
            events: events(now),
            is_paused: false,
            problem: None,
        }
    }
}

/// The time of day of what the engine said, UTC.
fn clock_of(said: &Value) -> String {
    let at = said["at_ms"].as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

fn answers(points: &[Value], last: &Value, seconds: f64) -> Vec<(String, f64, u64)> {
    let sum = |of: &dyn Fn(&Value) -> u64| points.iter().map(of).sum::<u64>();
    let refused = |point: &Value| {
        point["not_screened"].as_object().into_iter().flatten().map(|(_, n)| number(n) as u64).sum()
    };
    let mut lines: Vec<_> = ["approve", "challenge", "decline"]
        .map(|outcome| {
            let of = |point: &Value| point["answers"][outcome].as_u64().unwrap_or(0);
            (outcome.to_owned(), of(last) as f64 / seconds, sum(&of))
        })
        .into();
    lines.push(("not screened".to_owned(), refused(last) as f64 / seconds, sum(&refused)));
    lines
}

fn state(now: &Value, last: &Value) -> Vec<(&'static str, String)> {
    let exchange = &now["exchange"];
    let degraded = list(&now["degraded"]).first().map_or_else(String::new, |name| format!(" {}", text(name)));
    let age = match exchange {
        Value::Null => "own journal".to_owned(),
        _ => format!("{}{degraded}", micros(number(&now["staleness_ms"]) * 1e3)),
    };
    let commit = last["commits"]["p99"].as_f64().map_or_else(String::new, |us| format!(", {}", micros(us)));
    let log = &now["decision_log"];
    let log = match log {
        Value::Null => "off".to_owned(),
        log if log["well"] == false => "NOT WRITABLE".to_owned(),
        log => format!("{} wait, {} lost", log["waiting"], short(number(&log["dropped"]))),
    };
    let rules = match &now["rule_set"] {
        Value::Null => "NONE".to_owned(),
        set => format!("{}, {:.8}", set["rules"], text(&set["digest"])),
    };
    vec![
        ("state", age),
        ("journal", format!("{}{commit}", text(&now["journal"]))),
        ("log", log),
        ("rules", rules),
        ("flags", format!("{} active", short(number(&now["flags"]["active"])))),
    ]
}

/// The other engines, those that lack most first.
fn engines(exchange: &Value) -> Vec<String> {
    if exchange.is_null() {
        return vec!["no other engines".to_owned()];
    }
    let ms = |value: &Value| value.as_u64().map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"));
    let took = &exchange["propagation_ms"];
    let mut lines = vec![if exchange["linked"] == true {
        format!("everywhere in {}", ms(&took["p99"]))
    } else {
        "NO LINK".to_owned()
    }];
    let mut others: Vec<&Value> =
        list(&exchange["engines"]).iter().filter(|one| one["own"] == false).collect();
    others.sort_by_key(|one| {
        Reverse((one["held_back"].is_string(), one["live"] == false, one["lacks"].as_u64()))
    });
    lines.extend(others.into_iter().map(|one| {
        let stands = if one["held_back"].is_string() {
            "HELD BACK".to_owned()
        } else if one["live"] == false {
            "SILENT".to_owned()
        } else {
            format!("lacks {}", one["lacks"])
        };
        format!("{} {stands}", text(&one["engine"]))
    }));
    lines
}

/// Alerts that began or ended, and rule sets that came, the newest first.
fn events(now: &Value) -> Vec<String> {
    let mut events: Vec<(String, String)> = Vec::new();
    for event in list(&now["alerts"]["events"]) {
        let what = if event["begins"] == true { "begins" } else { "ends" };
        let said = format!("{} {what}: {}", text(&event["name"]), text(&event["said"]));
        events.push((text(&event["at"]), said));
    }
    for entry in list(&now["history"]) {
        let by = text(&entry["by"]);
        let by = if by.is_empty() { by } else { format!(" by {by}") };
        let said = format!(
            "rule set {:.8}, {} rules: {}{by}",
            text(&entry["digest"]),
            entry["rules"],
            text(&entry["how"])
        );
        events.push((text(&entry["at"]), said));
    }
    if now["reload"]["succeeded"] == false {
        let first = text(&now["reload"]["said"]);
        let first = first.lines().next().unwrap_or_default();
        events.push((text(&now["reload"]["at"]), format!("load refused: {first}")));
    }
    // Times are written so that their order is that of their letters.
    events.sort_by(|one, other| other.0.cmp(&one.0));
    let line = |(at, said): (String, String)| format!("{} {said}", at.get(11..19).unwrap_or_default());
    events.into_iter().take(EVENTS).map(line).collect()
}
