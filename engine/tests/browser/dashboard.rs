//! The dashboard of a running engine: what it shows is what the engine counted and what was sent to it.

use crate::broker::Node;
use crate::browser::Browser;
use crate::relay::{Relay, Weather};
use crate::support::{EngineProcess, rules_dir};
use crate::traffic::{RULES, block_on, payment, send};
use serde_json::{Value, json};
use sparr_protocol::client::Pipe;

/// What all points that the page has seen add up to, as the engine gives them.
fn sums(browser: &Browser) -> Value {
    browser.script(
        "return fetch('/api/history?seconds=3600&points=3600').then(answer => answer.json()).then(past => past.points.reduce(
            (sums, point) => { for (const part of [point.answers, point.not_screened]) for (const name in part)
            sums[name] = (sums[name] || 0) + part[name]; return sums; }, {}))",
    )
}

fn engine() -> (EngineProcess, tempfile::TempDir) {
    let rules = rules_dir(RULES);
    let path = rules.path().display().to_string();
    (EngineProcess::start_with(&["--rules", &path]), rules)
}

fn shown(engine: &EngineProcess) -> Option<Browser> {
    let browser = Browser::start()?;
    browser.looks(1_280, 2_000, "light");
    browser.open(&format!("http://{}/", engine.admin));
    browser.until("it screens", || browser.text("state") == "screening");
    Some(browser)
}

#[test]
fn the_page_shows_what_was_sent_and_what_metrics_say() {
    let (engine, _rules) = engine();
    let Some(browser) = shown(&engine) else { return };
    let took = send(&engine, 10, 200, 7);
    browser.until("all of it has come", || sums(&browser)["identity_malformed"] == 7);
    let sums = sums(&browser);
    assert_eq!((&sums["approve"], &sums["decline"]), (&json!(180), &json!(20)));
    for (name, n) in [("approve", 180.0), ("decline", 20.0)] {
        assert!((engine.metric(&format!("sparr_decisions_total{{outcome=\"{name}\"}}")) - n).abs() < 0.5);
    }
    browser.until("the reason has a line", || browser.text("reasons").contains("identity_malformed\t7"));
    browser.until("the rule has a line", || browser.text("rules").contains("large\t20\t0\t0\t20"));
    // What the page draws is what the engine says of the second, and what it says is within a histogram's step of the
    // engine's own percentile over everything.
    let drawn = browser.script(
        "return fetch('/api/history?seconds=3600&points=1').then(answer => answer.json()).then(past => {
            const times = past.points.at(-1).times.whole; return [times.max, times.cells.reduce((a, b) => a + b, 0), times.p99]; })",
    );
    assert_eq!(drawn[1], 207);
    // Its p99 lies between those of what the gateway was told and of what it measured: each answer was timed after the engine
    // wrote its own figure into it and before the gateway had it. Seconds are joined by their worst, and a histogram's step is
    // one in a hundred at most.
    let p99_of = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[(all.len() * 99).div_ceil(100) - 1]
    };
    let longest = took.iter().map(|it| it.heard).fold(0.0, f64::max);
    let (said, shown) = (p99_of(took.iter().map(|it| it.said).collect()), drawn[2].as_f64().expect("a p99"));
    assert!(said * 0.99 - 1.0 <= shown && shown <= longest * 1.01, "{said} <= {shown} <= {longest} µs");
    let slower = engine.metric("sparr_decision_duration_seconds_bucket{le=\"0.01\"}");
    assert!(drawn[0].as_f64() > Some(10_000.0) || slower > 206.5, "{drawn}: {slower} took 10 ms or less");
    for (width, height, scheme) in
        [(1_280, 2_000, "light"), (1_280, 2_000, "dark"), (390, 3_600, "light"), (390, 3_600, "dark")]
    {
        browser.looks(width, height, scheme);
        browser.until("it is drawn anew", || browser.script("return innerWidth") == json!(width));
        assert_eq!(browser.script("return document.documentElement.scrollWidth <= innerWidth"), json!(true));
        browser.screenshot(&format!("dashboard-{width}-{scheme}"));
    }
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn it_is_used_by_keyboard_and_zooms() {
    let (engine, _rules) = engine();
    let Some(browser) = shown(&engine) else { return };
    // Everything that can be pressed is reached by the keyboard, in order, and shows where one is.
    for reached in ["A", "INPUT", "BUTTON"] {
        browser.press("\u{e004}");
        assert_eq!(browser.script("return document.activeElement.tagName"), reached);
        assert_eq!(browser.script("return document.activeElement.matches(':focus-visible')"), true);
    }
    browser.script("document.activeElement.blur()");
    let span = || browser.script("return document.querySelector('input[name=span]:checked').value");
    for (key, seconds) in [("1", "60"), ("4", "3600"), ("3", "900"), ("1", "60")] {
        browser.press(key);
        assert_eq!(span(), seconds);
    }
    browser.press(" ");
    assert_eq!(browser.text("state"), "paused");
    let points = || browser.script("return document.body.dataset.points");
    let before = points();
    send(&engine, 10, 20, 0);
    assert_eq!((browser.text("state").as_str(), points()), ("paused", before.clone()));
    browser.press(" ");
    browser.until("it goes on", || browser.text("state") == "screening" && points() != before);
    browser.drag("#answers .u-over", 0.5, 0.9);
    browser.until("it has zoomed", || {
        browser.script("return !document.getElementById('unzoom').disabled") == true
    });
    browser.press("\u{e00c}");
    browser.until("it shows all", || {
        browser.script("return document.getElementById('unzoom').disabled") == true
    });
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn what_goes_wrong_is_said() {
    let (engine, rules) = engine();
    let Some(browser) = shown(&engine) else { return };
    let alarm = |words: &str| browser.text("alarms").contains(words);
    std::fs::write(rules.path().join("broken.yaml"), "rules:\n  - id: x\n    when: amount_minr > 1\n")
        .expect("written");
    assert_eq!(engine.http("POST", "/-/reload").0, 422);
    browser.until("the refused load", || alarm("The last load of rules was refused"));
    assert!(browser.text("reload-errors").contains("amount_minr"));
    std::fs::remove_file(rules.path().join("broken.yaml")).expect("removed");
    assert_eq!(engine.http("POST", "/-/reload").0, 200);
    browser.until("it is well again", || browser.text("alarms").is_empty());
    assert_eq!(browser.console(), Vec::<String>::new());
    engine.kill();
    browser.until("the engine is gone", || alarm("does not hear from the engine"));
}

#[test]
fn a_broker_that_is_not_reached_and_the_alert_about_it_are_said() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("engine.toml");
    let text = "[alerts]\nstale_ms = 100\n[exchange]\nnats = [\"nats://127.0.0.1:1\"]\n";
    std::fs::write(&file, text).expect("written");
    let engine = EngineProcess::start_in(folder.path(), &["--config", &file.display().to_string()]);
    let Some(browser) = Browser::start() else { return };
    browser.looks(1_280, 2_000, "light");
    browser.open(&format!("http://{}/", engine.admin));
    browser.until("the missing link", || browser.text("alarms").contains("No link to the other engines"));
    browser.until("the alert", || browser.text("alarms").contains("(stale, since "));
    browser.until("its beginning", || browser.text("noticed").contains("stale begins"));
    assert!(browser.text("noticed-line").ends_with("see above: 1."));
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// A broker that was there is cut off on the way; later it is back.
#[test]
fn a_cut_broker_is_seen_and_so_is_its_return() {
    let Some(broker) = Node::start() else { return };
    let relay = Relay::start(broker.port());
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("engine.toml");
    std::fs::write(&file, format!("[exchange]\nnats = [\"{}\"]\n", relay.url())).expect("written");
    let engine = EngineProcess::start_in(folder.path(), &["--config", &file.display().to_string()]);
    let Some(browser) = shown(&engine) else { return };
    browser.until("all is well", || browser.text("alarms").is_empty());
    assert!(browser.text("exchange-line").starts_with("Linked"));
    let began = sparr_engine::server::clock::instant();
    let cut = Weather { cut: true, ..Weather::default() };
    relay.weather(cut, cut);
    browser.until("it is seen", || browser.text("alarms").contains("stale_amber"));
    println!("a cut broker is seen after {:.1} s", began.elapsed().as_secs_f64());
    browser.until("it is old", || browser.text("alarms").contains("stale_red"));
    browser.screenshot("dashboard-cut");
    relay.weather(Weather::default(), Weather::default());
    browser.until("it is back", || browser.text("alarms").is_empty());
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// More than the engine can answer in time: what it refuses, and that it is over its budget, is seen while it lasts.
#[test]
fn an_overload_is_seen_while_it_lasts() {
    let (rules, folder) = (rules_dir(RULES), tempfile::tempdir().expect("folder"));
    let file = folder.path().join("engine.toml");
    std::fs::write(&file, "budget_us = 20\n").expect("written");
    let (rules, file) = (rules.path().display().to_string(), file.display().to_string());
    let engine = EngineProcess::start_in(folder.path(), &["--config", &file, "--rules", &rules]);
    let Some(browser) = shown(&engine) else { return };
    // Many at once, each with a microsecond left: those at the back of a batch cannot have it.
    let flood = |first: u64| {
        block_on(async {
            let Pipe { mut sender, mut receiver } =
                Pipe::open(&engine.client("gateway")).await.expect("connected");
            let mut bytes = Vec::new();
            for number in first..first + 2_000 {
                let mut hurried = payment(number);
                hurried.deadline_us = 1;
                hurried.encode(&mut bytes).expect("fits");
            }
            let sending = async {
                sender.send(&bytes).await.expect("sent");
                sender.finish();
            };
            let reading = async { while receiver.receive(|_, _| ()).await.unwrap_or(false) {} };
            futures_util::future::join(sending, reading).await;
        });
    };
    let (began, first) = (sparr_engine::server::clock::instant(), std::cell::Cell::new(10));
    browser.until("it is seen", || {
        flood(first.replace(first.get() + 2_000));
        let reasons = browser.text("reasons");
        reasons.contains("deadline_passed") && browser.text("p99-more").starts_with("over the budget")
    });
    println!("an overload is seen after {:.1} s", began.elapsed().as_secs_f64());
    assert!(browser.text("callers").contains("dev gateway"));
    browser.until("it is over", || browser.text("p99-more") == "no requests");
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// The control: what a page should not do is noticed.
#[test]
fn an_error_and_a_foreign_script_are_noticed() {
    let (engine, _rules) = engine();
    let Some(browser) = shown(&engine) else { return };
    browser.script("setTimeout(() => { throw new Error('on purpose') })");
    browser.script(
        "const foreign = document.createElement('script'); foreign.textContent = 'document.title = \"x\"'; \
         document.body.append(foreign)",
    );
    browser.until("both are said", || {
        let said = browser.script("return document.title");
        said != "x"
    });
    let said = browser.console().join("\n");
    assert!(said.contains("on purpose") && said.contains("Content Security Policy"), "{said}");
}

#[test]
fn bad_questions_are_refused_and_files_are_no_paths() {
    let (engine, _rules) = engine();
    for (path, status) in [
        ("/api/history?seconds=0", 400),
        ("/api/history?seconds=x", 400),
        ("/api/history?points=3601", 400),
        ("/api/history?seconds=1&points=1", 200),
        ("/files/../engine.toml", 404),
        ("/files/%2e%2e%2fengine.toml", 404),
        ("/files/index.html", 404),
        ("/files/page.js", 200),
        ("/api/now", 200),
        ("/plain", 200),
    ] {
        assert_eq!(engine.get(path).0, status, "{path}");
    }
}
