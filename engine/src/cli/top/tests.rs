//! Frames as they are drawn, compared with what was looked at once.

use super::*;
use serde_json::json;
use std::path::Path;

fn point(at: i64, approve: u64, p99: Option<f64>) -> Value {
    let whole = p99.map(
        |p99| json!({"p50": p99 / 4.0, "p90": p99 / 2.0, "p99": p99, "p999": p99 * 3.0, "max": p99 * 9.0}),
    );
    json!({
        "at_ms": 1_795_427_400_000_i64 + at * 1_000, "took_ms": 1_000,
        "answers": {"approve": approve, "challenge": approve / 100, "decline": approve / 1_000},
        "not_screened": if at % 10 == 0 { json!({"overloaded": 3}) } else { json!({}) },
        "times": {"whole": whole}, "commits": {"p99": 812.0},
    })
}

fn now() -> Value {
    json!({
        "at_ms": 1_795_427_400_000_i64, "member": "bank-one", "budget_us": 1_000, "staleness_ms": 0, "degraded": [],
        "position": {"engine": 2}, "checks": {"state": true, "accepting": true, "rules": true, "journal": true},
        "journal": "open", "rule_set": {"rules": 37, "digest": "673ea8a22877c96e1a61587e040137d7"},
        "flags": {"active": 104_233}, "exchange": null, "reload": null,
        "decision_log": {"written": 12, "dropped": 0, "gaps": 0, "waiting": 41, "well": true},
        "alerts": {"standing": [], "more": 0, "events": []},
        "history": [{"at": "2026-11-23T08:00:00.000Z", "how": "start", "by": "", "rules": 37, "digest": "673ea8a22877"}],
    })
}

/// Compares a frame with the file that was looked at; `SPARR_BLESS=1` writes it anew.
fn is_as_seen(name: &str, view: &View) {
    let drawn = frame(view).expect("drawn");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/top/frames").join(name);
    if std::env::var_os("SPARR_BLESS").is_some() {
        std::fs::write(&file, &drawn).expect("written");
    }
    assert_eq!(drawn, std::fs::read_to_string(&file).unwrap_or_default(), "{name}");
    let (wide, high) = (usize::from(FRAME.0), usize::from(FRAME.1));
    assert_eq!(drawn.lines().count(), high);
    assert!(drawn.lines().all(|line| line.chars().count() <= wide));
}

#[test]
fn an_engine_that_does_well() {
    let points: Vec<Value> =
        (0..60).map(|at| point(at, 19_800, Some(180.0 + (at % 7) as f64 * 30.0))).collect();
    is_as_seen("well.txt", &View::read("127.0.0.1:7480", &now(), &json!({ "points": points })));
}

#[test]
fn an_engine_in_trouble_says_so_in_words() {
    let points: Vec<Value> =
        (0..90).map(|at| point(at, 1_200, (at > 30).then_some(40.0 * at as f64))).collect();
    let mut now = now();
    now["checks"]["journal"] = false.into();
    now["journal"] = "failed".into();
    now["staleness_ms"] = 61_000.into();
    now["degraded"] = json!(["stale_red"]);
    now["decision_log"]["well"] = false.into();
    now["exchange"] = json!({
        "linked": false, "propagation_ms": {"p50": null, "p99": null, "max": null},
        "engines": [
            {"engine": "bank-one/2", "own": true, "live": true, "lacks": 0, "held_back": null},
            {"engine": "bank-two/1", "own": false, "live": true, "lacks": 12, "held_back": null},
            {"engine": "bank-three/1", "own": false, "live": false, "lacks": 310, "held_back": null},
            {"engine": "bank-four/1", "own": false, "live": true, "lacks": 0, "held_back": "Damaged"},
        ],
    });
    now["reload"] = json!({"at": "2026-11-23T09:29:00.000Z", "succeeded": false, "said": "error: no field is called `amount_minr`\n --> x"});
    let said = "The rule card-testing hit 0 times in 61200 decisions, 118 times by its usual rate.";
    let alert = json!({"name": "rule_silent", "about": "card-testing", "since": "2026-11-23T09:28:00.000Z", "said": said});
    let event = json!({"at": "2026-11-23T09:28:00.000Z", "name": "rule_silent", "about": "card-testing", "begins": true, "said": said});
    now["alerts"] = json!({"standing": [alert, alert], "more": 0, "events": [event]});
    let mut view = View::read("10.0.0.7:7480", &now, &json!({ "points": points }));
    is_as_seen("trouble.txt", &view);
    // An engine that does not answer any more leaves what was seen last, and a word that it is old.
    view.problem = Some("no answer from the admin port 10.0.0.7:7480".to_owned());
    let drawn = frame(&view).expect("drawn");
    assert_eq!(drawn.lines().last(), Some("! OLD: no answer from the admin port 10.0.0.7:7480"));
    assert!(drawn.contains("OVER the budget") && drawn.contains("NOT READY: journal"));
}

#[test]
fn an_engine_that_has_just_started_is_drawn_too() {
    let view = View::read("127.0.0.1:7480", &now(), &json!({ "points": [] }));
    assert!(frame(&view).expect("drawn").contains("no requests in the last second"));
    // On the smallest terminal and on a large one.
    for (wide, high) in [(1, 1), (20, 8), (200, 60)] {
        let Ok(mut terminal) = Terminal::new(TestBackend::new(wide, high));
        let Ok(_) = terminal.draw(|frame| draw::draw(frame, &view));
    }
}
