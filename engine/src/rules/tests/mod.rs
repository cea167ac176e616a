//! Whole rule sets, from text to hits.

mod agreement;
mod evaluation;
mod indexed;
mod lists;
mod loading;
mod truncation;
mod yardstick;

use super::load::load_whatever;
use super::{Hits, Loaded, Mode, RuleSet, SourceFile, Sources, load};
use crate::facts::{Facts, Wanted};
use crate::request::{Keyring, NetworkKey, Request};
use crate::velocity::Reading;
use crate::velocity::spec::{Mark, Measure};
use sparr_protocol::codes::{Kind, Wish};
use sparr_protocol::frame::Next;
use sparr_protocol::ids::RequestId;
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::money::Currency;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;

pub(super) const REASONS: &str = "\
[[reason]]\ncode = 1\nname = \"flag_deny\"\nanalyst = \"å\"\ncustomer = \"c\"\n\
[[reason]]\ncode = 2\nname = \"flag_verify\"\nanalyst = \"å\"\ncustomer = \"c\"\n\
[[reason]]\ncode = 3\nname = \"flag_verify_unavailable\"\nanalyst = \"å\"\ncustomer = \"c\"\n\
[[reason]]\ncode = 10\nname = \"score\"\nanalyst = \"å\"\ncustomer = \"c\"\n\
[[reason]]\ncode = 900\nname = \"other\"\nanalyst = \"å\"\ncustomer = \"c\"\n\
[[reason]]\ncode = 800\nname = \"another\"\nanalyst = \"å\"\ncustomer = \"c\"\n";

pub(super) fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: text.into() }
}

/// Sources of some rule files and lists.
pub(super) fn sources(rules: &[&str], lists: &[(&str, &str)]) -> Sources {
    Sources {
        rules: rules.iter().enumerate().map(|(at, text)| file(&format!("rules{at}.yaml"), text)).collect(),
        lists: lists.iter().map(|(name, text)| file(&format!("lists/{name}"), text)).collect(),
        reasons: file("reasons.toml", REASONS),
    }
}

/// A set that must load.
pub(super) fn set_of(sources: &Sources) -> RuleSet {
    let Loaded { set, diagnostics } = load_whatever(sources);
    let said: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.render_plain(sources)).collect();
    set.unwrap_or_else(|| panic!("{}", said.join("\n")))
}

/// The text of a rule with a condition, and further keys.
pub(super) fn rule(id: &str, when: &str, rest: &str) -> String {
    let when: String = when.lines().map(|line| format!("      {line}\n")).collect();
    let mode = if rest.contains("mode:") { "" } else { "    mode: enforce\n" };
    let action = if rest.contains("score:") { "" } else { "    then: challenge\n" };
    let rest: String = rest.lines().map(|line| format!("    {line}\n")).collect();
    format!("  - id: {id}\n    description: d\n{mode}    when: |\n{when}{action}    reason: other\n{rest}")
}

/// A set of rules that are called a, b, c …
pub(super) fn set_of_conditions(conditions: &[&str]) -> RuleSet {
    let rules: String = ('a'..).zip(conditions).map(|(id, when)| rule(&id.to_string(), when, "")).collect();
    set_of(&sources(&[&format!("rules:\n{rules}")], &[]))
}

/// What a test states of a request.
#[derive(Clone, Default)]
pub(super) struct Stated<'a> {
    pub(super) fields: &'a [(&'a str, &'a str)],
    /// Key, window in ms, measure, and what it reads.
    pub(super) readings: &'a [(&'a str, i64, Measure, Reading)],
    pub(super) flag: Option<Wish>,
    pub(super) id: u8,
    pub(super) now: Option<Timestamp>,
}

/// 2026-06-15 12:00 UTC, a Monday.
pub(super) const NOON: Timestamp = Timestamp::from_ms(1_781_524_800_000);

/// Calls `look` with facts as they are stated.
pub(super) fn with_facts<R>(set: &RuleSet, stated: &Stated<'_>, look: impl FnOnce(&Facts<'_>) -> R) -> R {
    let mut request = AuthorisationRequest::new(RequestId([stated.id + 1; 16]), Kind::CardPayment, NOON);
    for (name, text) in stated.fields {
        request.set(name, text).expect(name);
    }
    if request.amount_minor.is_some() {
        request.currency.get_or_insert(Currency::SEK);
    }
    let mut frame = Vec::new();
    request.encode(&mut frame).expect("a request");
    let Next::Frame { frame, .. } = Next::parse(&frame, REQUEST_FRAME_BYTES_MAX) else { panic!("a frame") };
    let (_, message) = frame.open().expect("whole");
    let keyring = Keyring::new(NetworkKey::new(1, Default::default()), None);
    let request = Request::parse(message, &keyring, NOON.date(), NOON).expect("legal");
    let mut readings = vec![Reading::Absent; set.plan().readings()];
    for (key, span_ms, measure, reading) in stated.readings {
        let specs = set.plan().keys().iter().flat_map(|plan| &plan.readings);
        let asked = specs.filter(|(_, spec)| {
            spec.key.text() == *key && spec.span_ms == *span_ms && spec.measure == *measure
        });
        asked.for_each(|(index, _)| readings[index.0] = *reading);
    }
    let wanted = Wanted {
        plan: set.plan(),
        observed_since: &[],
        rates: set.rates(),
        zone: set.zone(),
        began: Timestamp::MIN,
    };
    look(&Facts::stated(&request, &wanted, &keyring, stated.flag, &readings))
}

/// Evaluates, and names the rules by their ids.
pub(super) fn evaluated(set: &RuleSet, stated: &Stated<'_>) -> Named {
    let mut hits = Hits::default();
    with_facts(set, stated, |facts| set.evaluate(facts, stated.now.unwrap_or(NOON), &mut hits));
    let names = |places: &[usize]| places.iter().map(|at| set.rules()[*at].id.clone()).collect();
    let named = Named {
        enforced: names(&hits.enforced),
        shadow: names(&hits.shadow),
        errors: names(&hits.errors),
        shadow_errors: names(&hits.shadow_errors),
    };
    for at in hits.enforced.iter().chain(&hits.errors) {
        assert_eq!(set.rules()[*at].mode, Mode::Enforce);
    }
    for at in hits.shadow.iter().chain(&hits.shadow_errors) {
        assert_eq!(set.rules()[*at].mode, Mode::Shadow);
    }
    named
}

/// Hits by the ids of their rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) enforced: Vec<String>,
    pub(super) shadow: Vec<String>,
    pub(super) errors: Vec<String>,
    pub(super) shadow_errors: Vec<String>,
}
