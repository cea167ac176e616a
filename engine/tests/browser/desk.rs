//! The desk page, as a support agent uses it: by keyboard, in two languages, with two members, two persons, and an engine
//! that goes away in the middle.

use crate::broker::Node;
use crate::browser::Browser;
use crate::door::{self, Caller, address};
use crate::engines::{Exchange, connect, screen, until};
use crate::lent::lent;
use crate::support::{EngineProcess, TOLVAN, shipped_rules};
use crate::traffic::block_on;
use serde_json::{Value, json};
use sparr_protocol::codes::{AuthMethod, FlagReason, Kind, Outcome, RequestedBy, Review};
use sparr_protocol::exchange::{LookedBy, StandingCode};
use sparr_protocol::member::MemberKind;
use std::fs;
use std::path::Path;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const DOWN: &str = "\u{e015}";

/// The number as people write it.
const WRITTEN: &str = "19121212-1212";

/// Opens the page of an engine as somebody.
fn open(browser: &Browser, engine: &EngineProcess, role: &str, language: &str) {
    open_at(browser, &Caller::of(engine, role), language);
}

fn open_at(browser: &Browser, caller: &Caller, language: &str) {
    browser.open(&format!("http://{}/desk", lent(caller)));
    browser.until("it knows who one is", || !browser.text("who").is_empty());
    browser.script(&format!(
        "const it = document.getElementById('language'); it.value = '{language}'; it.dispatchEvent(new Event('change'))"
    ));
}

/// Finds a person: types the number where the page has put one, and presses Enter.
fn find(browser: &Browser, number: &str) {
    assert_eq!(focused(browser, "id"), "number");
    browser.keys(number);
    browser.press(ENTER);
    browser.until("the person is shown", || focused(browser, "id") == "person");
}

fn focused(browser: &Browser, property: &str) -> String {
    let value = browser.script(&format!("return document.activeElement.{property}"));
    value.as_str().unwrap_or_default().to_owned()
}

/// Goes to a button by the keyboard alone, and presses it.
fn press(browser: &Browser, label: &str) {
    for _ in 0..60 {
        browser.press(TAB);
        if focused(browser, "tagName") == "BUTTON" && focused(browser, "textContent") == label {
            assert_eq!(browser.script("return document.activeElement.matches(':focus-visible')"), true);
            return browser.press(ENTER);
        }
    }
    panic!("no key leads to {label:?}: {}", browser.script("return document.body.innerText"));
}

/// The number is nowhere but in the field: not in an address, the history, a title or what the browser keeps.
fn is_discreet(browser: &Browser) {
    let kept = browser.script(
        "return [location.href, document.title, JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie,
            history.length, ...performance.getEntriesByType('resource').map(entry => entry.name)].join(' ')",
    );
    let kept = kept.as_str().expect("text");
    assert!(kept.contains("/v1/flags") && !kept.contains("1212"), "{kept}");
}

/// The files below a folder in which the number stands.
fn written(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(written(&path));
        } else if fs::read(&path).is_ok_and(|bytes| {
            [TOLVAN, WRITTEN].iter().any(|number| memchr::memmem::find(&bytes, number.as_bytes()).is_some())
        }) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Two banks that share flags, each with a page for its desk.
fn exchange(node: &Node) -> Exchange {
    let mut exchange = Exchange::prepare(&[node.url(), node.url()], "");
    for at in 0..2 {
        let file = exchange.dir(at).join("engine.toml");
        let text = fs::read_to_string(&file).expect("readable");
        let more = "https = \"127.0.0.1:0\"\nlift_cooling_off_hours = 24\n";
        fs::write(&file, format!("{more}{text}")).expect("written");
        exchange.start_engine(at);
    }
    exchange.until_equal(0);
    // A member that never screened anybody by a number holds a flag, and enforces it nowhere.
    block_on(async {
        for engine in exchange.running() {
            let gateway = connect(engine, "gateway").await;
            assert!(screen(&gateway, "invoice", 1).await.answer.is_ok());
        }
    });
    exchange
}

#[test]
fn a_person_is_found_flagged_let_through_and_lifted_by_keyboard_and_the_other_bank_sees_it() {
    let Some(node) = Node::start() else { return };
    let Some(browser) = Browser::start() else { return };
    let exchange = exchange(&node);
    browser.looks(1_280, 900, "light");
    open(&browser, exchange.engine(0), "desk", "sv");
    browser.script("document.getElementById('number').focus()");
    find(&browser, WRITTEN);
    assert_eq!(browser.text("standing"), "○ Inte spärrad");
    press(&browser, "Lägg in spärr");
    // verify → deny, and Enter sends what stands there: any payment, suspected fraud, a year.
    assert_eq!(focused(&browser, "value"), "verify");
    browser.press(DOWN);
    assert_eq!(focused(&browser, "value"), "deny");
    assert_eq!(browser.script("return document.getElementById('amount').offsetParent === null"), true);
    assert_eq!(browser.script("return document.getElementById('country').offsetParent === null"), true);
    browser.screenshot("desk-raise");
    browser.press(ENTER);
    browser.until("it is flagged", || browser.text("standing") == "⚑ Spärrad");
    assert_eq!(browser.text("said"), "Sparat. Det gäller nu.");
    browser.until("both members enforce it", || browser.text("flags").contains("2 av 2 medlemmar"));
    for (_, words) in
        [("what", "Neka varje betalning"), ("why", "Misstänkt bedrägeri"), ("who", "personen själv")]
    {
        assert!(browser.text("flags").contains(words), "{words}: {}", browser.text("flags"));
    }
    let told = exchange.engine(1).json(&["flag", "status", "--json", "--subject", TOLVAN]);
    assert_eq!(
        (&told["flags"][0]["wish"], &told["flags"][0]["registrar"]),
        (&json!("deny"), &json!("bank-one"))
    );

    press(&browser, "Tillåt ett köp");
    browser.keys("5560360793");
    browser.press(TAB);
    browser.keys("12000");
    browser.press(ENTER);
    browser.until("a pass is open", || browser.text("flags").contains("Öppna tillfälliga köp\n1"));

    // The other bank's desk did not raise it: it can only ask.
    let second = Browser::start().expect("a second one");
    second.looks(390, 800, "dark");
    open(&second, exchange.engine(1), "desk", "en");
    second.script("document.getElementById('number').focus()");
    find(&second, WRITTEN);
    assert_eq!(second.text("standing"), "⚑ Flagged");
    assert!(
        !second.script("return document.body.innerText").as_str().expect("text").contains("Lift the flag")
    );
    press(&second, "Ask bank-one to lift it");
    second.press(TAB);
    press(&second, "Ask bank-one to lift it");
    second.until("it is asked", || second.text("said") == "Saved. bank-one sees the request.");
    until("the request has come", || {
        exchange.engine(0).json(&["flag", "status", "--json", "--subject", TOLVAN])["flags"][0]["lift_requests"]
            == 1
    });
    press(&browser, "Läs om");
    browser.until("the request is seen", || browser.text("flags").contains("1, från andra medlemmar"));

    for (width, scheme) in [(1_280, "light"), (1_280, "dark"), (390, "light"), (390, "dark")] {
        browser.looks(width, 1_900, scheme);
        browser.until("it is drawn anew", || browser.script("return innerWidth") == json!(width));
        assert_eq!(browser.script("return document.documentElement.scrollWidth <= innerWidth"), json!(true));
        browser.screenshot(&format!("desk-{width}-{scheme}"));
    }
    // On paper: what the flag does, where, how it ends; and no number.
    browser.script("window.print = () => { window.paper = document.getElementById('sheet').innerText }");
    press(&browser, "Skriv ut till personen");
    let paper = browser.script("return document.getElementById('sheet').textContent").to_string();
    for words in ["Din spärr mot bedrägerier", "Neka varje betalning", "2 av 2", "bank-one", "Referens: "] {
        assert!(paper.contains(words), "{words}: {paper}");
    }
    assert!(!paper.contains("1212-1212") && !paper.contains(TOLVAN), "{paper}");
    assert_eq!(untranslated(&browser), Vec::<String>::new());

    press(&browser, "Häv spärren");
    assert!(browser.text("act-note").contains("24 timmars betänketid"));
    browser.press(ESCAPE);
    assert_eq!(browser.script("return document.getElementById('act').open"), false);
    press(&browser, "Häv spärren");
    browser.press(TAB);
    press(&browser, "Häv spärren");
    browser.until("it cools off", || browser.text("said").starts_with("Sparat. Det gäller från "));
    assert!(browser.text("flags").contains("Gäller ännu; hävs "), "{}", browser.text("flags"));
    let lifting = exchange.engine(0).json(&["flag", "status", "--json", "--subject", TOLVAN]);
    assert_eq!((&lifting["flagged"], &lifting["flags"][0]["standing"]), (&json!(true), &json!("lifting")));

    for (browser, at) in [(&browser, 0), (&second, 1)] {
        is_discreet(browser);
        assert_eq!(browser.console(), Vec::<String>::new());
        assert_eq!(written(&exchange.dir(at)), Vec::<String>::new());
        let log = exchange.engine(at).log();
        assert!(!log.contains(TOLVAN) && !log.contains(WRITTEN), "{log}");
    }
    press(&browser, "Nästa person");
    assert_eq!(browser.script("return document.getElementById('number').value"), "");
    let shown = browser.script("return document.body.textContent").to_string();
    assert!(
        !shown.contains("bank-two") && !shown.contains("Neka varje"),
        "the one before is still there: {shown}"
    );
}

/// Lines of the engine's report that the page shows as the engine says them.
fn untranslated(browser: &Browser) -> Vec<String> {
    let lines =
        browser.script("return [...document.querySelectorAll('#lines li')].map(line => line.textContent)");
    let lines = lines.as_array().expect("lines").clone();
    assert!(lines.len() >= 5, "{lines:?}");
    let english = |line: &Value| {
        ["held by", "enforced for", "not enforced", "are known"]
            .iter()
            .any(|words| line.to_string().contains(words))
    };
    lines.iter().filter(|line| english(line)).map(ToString::to_string).collect()
}

fn engine(folder: &Path, https: &str) -> EngineProcess {
    let rules = shipped_rules().display().to_string();
    EngineProcess::start_in(folder, &["--rules", &rules, "--https", https])
}

#[test]
fn an_engine_that_goes_away_in_the_middle_loses_nothing_and_does_nothing_twice() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let first = engine(folder.path(), "127.0.0.1:0");
    let door = address(&first);
    let caller = Caller::of(&first, "desk");
    open_at(&browser, &caller, "en");
    browser.script("document.getElementById('number').focus()");
    find(&browser, TOLVAN);
    press(&browser, "Raise a flag");
    first.kill();
    browser.press(ENTER);
    browser.until("it is said", || browser.text("act-said").starts_with("The engine does not answer"));
    let again = engine(folder.path(), &door.to_string());
    browser.press(ENTER);
    browser.until("it is flagged", || browser.text("standing") == "⚑ Flagged");
    let audit = again.json(&["flag", "status", "--json", "--subject", TOLVAN]);
    assert_eq!(audit["flags"].as_array().map(Vec::len), Some(1));

    // Numbers that are none, and what a field refuses.
    for (number, why) in [
        ("19121212-1213", "Refused: this is no valid number. Check the digits."),
        ("hello", "Refused: this is no valid number. Check the digits."),
        ("121212", "Refused: this is no valid number. Check the digits."),
    ] {
        press(&browser, "Next person");
        browser.keys(number);
        browser.press(ENTER);
        browser.until("it is refused", || browser.text("said") == why);
        assert_eq!(browser.script("return document.getElementById('person').hidden"), true);
    }
    press(&browser, "Next person");
    find(&browser, TOLVAN);
    press(&browser, "Extend");
    browser.script("const it = document.getElementById('until'); it.max = ''; it.value = '2099-01-01'");
    browser.press(TAB);
    press(&browser, "Extend");
    browser.until("it is too far", || browser.text("act-said") == "Refused: the end lies too far ahead.");
    browser.press(ESCAPE);
    press(&browser, "Lift the flag");
    assert_eq!(browser.text("act-note"), "This engine has no cooling-off: the flag ends at once.");
    press(&browser, "Lift the flag");
    browser.until("it is lifted", || browser.text("standing") == "○ Not flagged");
    assert!(browser.text("flags").contains("Lifted "));
    is_discreet(&browser);

    // Nobody has touched it for a while.
    browser.script("document.body.dataset.idleSeconds = 0.1");
    browser.until("the person is forgotten", || {
        browser.text("said").starts_with("The page has forgotten the person")
    });
    let left = browser.script(
        "return document.getElementById('number').value + document.getElementById('flags').textContent",
    );
    assert_eq!(left, "");
    // What failed on the way to the engine that was gone is the browser's own complaint.
    let complaints: Vec<String> =
        browser.console().into_iter().filter(|line| !line.contains("/v1/flags")).collect();
    assert_eq!(complaints, Vec::<String>::new());
}

#[test]
fn two_persons_of_the_central_organisation_lift_it_and_one_cannot() {
    let Some(browser) = Browser::start() else { return };
    let engine = door::engine();
    engine.raise(TOLVAN, "deny");
    let person = |role: &str| {
        open(&browser, &engine, role, "en");
        browser.script("document.getElementById('number').focus()");
        find(&browser, TOLVAN);
    };
    let both = |label: &str| {
        press(&browser, label);
        press(&browser, label);
    };
    person("centre");
    both("Lift the flag of dev: one of two persons");
    browser.until("one has said so", || {
        browser.text("said").starts_with("Saved. A second person has to confirm")
    });
    assert_eq!(browser.text("standing"), "⚑ Flagged");
    assert!(browser.text("flags").contains("One person of the central organisation wants it lifted"));
    both("Confirm the lift of the flag of dev: second person");
    browser.until("the same one", || browser.text("act-said").contains("another than the first"));
    person("centre-2");
    browser.screenshot("desk-second-person");
    both("Confirm the lift of the flag of dev: second person");
    browser.until("it is lifted", || browser.text("standing") == "○ Not flagged");
    assert_eq!(browser.text("said"), "Saved. It acts now.");
    let refused: Vec<String> = browser.console().into_iter().filter(|line| !line.contains("409")).collect();
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn who_has_no_desk_is_told_so_and_every_name_has_its_words() {
    let Some(browser) = Browser::start() else { return };
    let engine = door::engine();
    open(&browser, &engine, "gateway", "en");
    browser.until("it is said", || browser.text("said").contains("is one of the role gateway"));
    assert_eq!(browser.script("return document.getElementById('look').disabled"), true);
    let keys = browser.script("return import('/desk/texts.js').then(texts => texts.keys())");
    let keys: Vec<&str> = keys.as_array().expect("keys").iter().filter_map(Value::as_str).collect();
    let mut names: Vec<String> = Vec::new();
    let mut add =
        |group: &str, all: Vec<&str>| names.extend(all.iter().map(|name| format!("{group}.{name}")));
    add("reason", FlagReason::ALL.iter().map(|it| it.name()).collect());
    add("auth", AuthMethod::ALL.iter().map(|it| it.name()).collect());
    add("by", RequestedBy::ALL.iter().map(|it| it.name()).collect());
    add("kind", Kind::ALL.iter().map(|it| it.name()).collect());
    add("member", MemberKind::ALL.iter().map(|it| it.name()).collect());
    add("standing", StandingCode::ALL.iter().map(|it| it.name()).collect());
    add("looked", LookedBy::ALL.iter().map(|it| it.name()).collect());
    add("outcome", Outcome::ALL.iter().map(|it| it.name()).collect());
    add("review", Review::ALL.iter().map(|it| it.name()).collect());
    names.retain(|name| !keys.contains(&name.as_str()));
    assert_eq!(names, Vec::<String>::new());
    // Keys that the page uses and no table has are shown as they are: there is none of them.
    let bare = browser.script(
        "return [...document.querySelectorAll('[data-t]')].filter(it => it.textContent === it.dataset.t).map(it => it.dataset.t)",
    );
    assert_eq!(bare, json!([]));
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// A page of somebody else's that the agent has open gets nothing from the certificate.
#[test]
fn another_page_cannot_use_the_agents_certificate() {
    let engine = door::engine();
    let desk = Caller::of(&engine, "desk");
    let raise = json!({ "operation": "raise", "subject": TOLVAN, "wish": "deny", "until": "2030-12-31", "reason": "scam" });
    let send = |site: &'static str, kind: &'static str| {
        desk.send(
            "POST",
            "/v1/flags",
            &[("Content-Type", kind), ("Sec-Fetch-Site", site)],
            &raise.to_string(),
        )
    };
    for (site, kind, status, code) in [
        ("cross-site", "application/json", 403, "cross_site"),
        ("same-site", "application/json", 403, "cross_site"),
        // What a form can send without asking first.
        ("none", "text/plain", 415, "media_type"),
    ] {
        let answer = send(site, kind);
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)));
    }
    // Whoever asks first whether they may is told no: the answer allows no origin.
    let asked = [("Origin", "https://example.org"), ("Access-Control-Request-Method", "POST")];
    let told = desk.send("OPTIONS", "/v1/flags", &asked, "");
    assert!(told.status == 405 && !told.head.to_lowercase().contains("access-control"), "{told:?}");
    assert_eq!(engine.json(&["flag", "list", "--json"])["flags"], json!([]));
    assert_eq!(send("same-origin", "application/json").status, 200);
}
