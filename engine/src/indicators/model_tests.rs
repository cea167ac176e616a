//! Police first, proven over every interleaving of a small model: whatever order its records come in, and whichever
//! come twice, an indicator is seen by nobody but its own member before the police have this very content.

use super::{Contest, Effect, Indicator, IndicatorSet, Receipt};
use crate::version::Version;
use sparr_protocol::codes::Role;
use sparr_protocol::ids::{Actor, MemberName, Pseudonym, RequestId};
use sparr_protocol::indicator::{
    Attestation, ClassName, Content, ContentDigest, Grade, IndicatorKind, IndicatorStanding,
};
use sparr_protocol::time::Timestamp;

const NOW: Timestamp = Timestamp::from_ms(1_000);
const DIGEST: ContentDigest = ContentDigest([1; 32]);
const OTHER: ContentDigest = ContentDigest([2; 32]);

fn member(name: &str) -> MemberName {
    MemberName::parse(name).expect("legal")
}

fn version(sequence: u64) -> Version {
    Version { stamp: sequence, member: member("bank-1"), engine: 1, epoch: 1, sequence }
}

fn content() -> Content {
    Content {
        registrar: member("bank-1"),
        draft: RequestId([1; 16]),
        kind: IndicatorKind::Email,
        role: None,
        grade: Grade::Investigated,
        class: ClassName::parse("phishing").expect("legal"),
        key_id: 1,
        value: Pseudonym([9; 16]),
        clear: String::new(),
        drafted_at: Timestamp::from_ms(1),
        valid_until: Timestamp::from_ms(2_000),
    }
}

/// What can happen in the model. The number is the record's place in history and names its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Draft,
    Report,
    /// The police, signed, about this content.
    Police,
    /// The police, signed, about another content.
    PoliceOfAnother,
    /// One person of the member.
    Anna,
    /// Another person of the member.
    Bo,
    /// A person of another member, who vouches for nothing here.
    Stranger,
    /// A share that names the police's receipt.
    ShareUnderPolice,
    /// A share that names the receipt of another content.
    ShareUnderAnothers,
    /// A share that names Anna's word.
    ShareUnderAnna,
    /// A share that names the stranger's word.
    ShareUnderStranger,
    Contest,
    Withdraw,
    WithdrawByAnother,
}

const EVENTS: [Event; 14] = [
    Event::Draft,
    Event::Report,
    Event::Police,
    Event::PoliceOfAnother,
    Event::Anna,
    Event::Bo,
    Event::Stranger,
    Event::ShareUnderPolice,
    Event::ShareUnderAnothers,
    Event::ShareUnderAnna,
    Event::ShareUnderStranger,
    Event::Contest,
    Event::Withdraw,
    Event::WithdrawByAnother,
];

fn record_of(event: Event) -> [u8; 32] {
    [event as u8 + 100; 32]
}

fn receipt(event: Event, by: (&str, Role, &str), is_signed: bool) -> Receipt {
    Receipt {
        record: record_of(event),
        by: Actor::new(member(by.0), by.1, by.2).expect("legal"),
        is_signed,
        reference: "K1".to_owned(),
        received_at: NOW,
        version: version(event as u64),
    }
}

fn apply(set: &IndicatorSet, event: Event) {
    let share = |receipt| set.share(DIGEST, &content(), version(event as u64), record_of(receipt));
    match event {
        Event::Draft => set.draft(DIGEST, &content()),
        Event::Report => set.report(DIGEST),
        Event::Police => set.receipt(DIGEST, receipt(event, ("police", Role::Police, "p"), true)),
        Event::PoliceOfAnother => set.receipt(OTHER, receipt(event, ("police", Role::Police, "p"), true)),
        Event::Anna => set.receipt(DIGEST, receipt(event, ("bank-1", Role::Analyst, "anna"), false)),
        Event::Bo => set.receipt(DIGEST, receipt(event, ("bank-1", Role::Analyst, "bo"), false)),
        Event::Stranger => set.receipt(DIGEST, receipt(event, ("bank-2", Role::Analyst, "cy"), false)),
        Event::ShareUnderPolice => share(Event::Police),
        Event::ShareUnderAnothers => share(Event::PoliceOfAnother),
        Event::ShareUnderAnna => share(Event::Anna),
        Event::ShareUnderStranger => share(Event::Stranger),
        Event::Contest => {
            let by = member("bank-2");
            set.contest(
                DIGEST,
                Contest { by, version: version(event as u64), due: Timestamp::from_ms(1_500) },
            );
        }
        Event::Withdraw => set.withdraw(DIGEST, member("bank-1")),
        Event::WithdrawByAnother => set.withdraw(DIGEST, member("bank-2")),
    }
}

/// What the design says in words, without a state machine: from the set of what has happened alone.
fn may_be_seen_elsewhere(happened: &[Event]) -> bool {
    let has = |event| happened.contains(&event);
    let under_police = has(Event::ShareUnderPolice) && has(Event::Police);
    let under_two = has(Event::ShareUnderAnna) && has(Event::Anna) && has(Event::Bo);
    (under_police || under_two) && !has(Event::Withdraw)
}

fn seen(set: &IndicatorSet, at: &str) -> Effect {
    let values = || std::iter::once(Pseudonym([9; 16]));
    match set.look(values(), member(at), NOW) {
        None => Effect::None,
        Some(evidence) if evidence.hit => Effect::Full,
        Some(_) => Effect::ReviewOnly,
    }
}

/// Checks one state against the words.
fn check(set: &IndicatorSet, happened: &[Event]) {
    let elsewhere = seen(set, "bank-2");
    let expected = match (may_be_seen_elsewhere(happened), happened.contains(&Event::Contest)) {
        (false, _) => Effect::None,
        (true, true) => Effect::ReviewOnly,
        (true, false) => Effect::Full,
    };
    assert_eq!(elsewhere, expected, "elsewhere, after {happened:?}");
    let drafted = happened.contains(&Event::Draft) && !happened.contains(&Event::Withdraw);
    let own = seen(set, "bank-1");
    assert_eq!(own != Effect::None, drafted || elsewhere != Effect::None, "at its own, after {happened:?}");
}

/// Every set of events, in two orders and with each event twice: the same state, and what the words say.
#[test]
fn every_set_of_events_is_seen_as_the_words_say_in_any_order() {
    for chosen in 0u32..1 << EVENTS.len() {
        let happened: Vec<Event> = EVENTS
            .iter()
            .enumerate()
            .filter(|(at, _)| chosen & 1 << at != 0)
            .map(|(_, event)| *event)
            .collect();
        let (forward, backward) = (IndicatorSet::default(), IndicatorSet::default());
        happened.iter().for_each(|event| apply(&forward, *event));
        happened.iter().rev().chain(&happened).for_each(|event| apply(&backward, *event));
        assert_eq!(forward.all(), backward.all(), "{happened:?}");
        check(&forward, &happened);
    }
}

/// Every interleaving of seven events, and the state after each step: there is no moment at which it is seen too early.
#[test]
fn no_interleaving_shows_an_indicator_before_the_police_have_it() {
    const STORY: [Event; 7] = [
        Event::Draft,
        Event::Police,
        Event::PoliceOfAnother,
        Event::Anna,
        Event::ShareUnderPolice,
        Event::ShareUnderAnothers,
        Event::ShareUnderAnna,
    ];
    fn go(rest: &mut Vec<Event>, happened: &mut Vec<Event>, orders: &mut usize) {
        let set = IndicatorSet::default();
        happened.iter().for_each(|event| apply(&set, *event));
        check(&set, happened);
        if rest.is_empty() {
            *orders += 1;
        }
        for at in 0..rest.len() {
            let event = rest.remove(at);
            happened.push(event);
            go(rest, happened, orders);
            happened.pop();
            rest.insert(at, event);
        }
    }
    let mut orders = 0;
    go(&mut STORY.to_vec(), &mut Vec::new(), &mut orders);
    assert_eq!(orders, 5_040);
}

/// The negative control: a machine that asks for any receipt at all lets the receipt of another content through.
#[test]
fn a_machine_that_takes_any_receipt_is_found_out() {
    let set = IndicatorSet::default();
    [Event::PoliceOfAnother, Event::ShareUnderAnothers].iter().for_each(|event| apply(&set, *event));
    let all = set.all();
    let careless =
        |known: &Indicator| !known.shared.is_empty() && all.iter().any(|one| !one.receipts.is_empty());
    assert!(all.iter().any(careless), "a careless machine would show it");
    assert_eq!(seen(&set, "bank-2"), Effect::None);
}

#[test]
fn a_contest_is_answered_in_time_or_the_indicator_lapses() {
    let set = IndicatorSet::default();
    let story = [Event::Draft, Event::Police, Event::ShareUnderPolice, Event::Contest];
    story.iter().for_each(|event| apply(&set, *event));
    let known = || set.of(DIGEST.id()).expect("known");
    let after = Timestamp::from_ms(1_500);
    assert_eq!(known().standing(NOW), IndicatorStanding::Contested);
    assert_eq!(
        (known().standing(after), known().effect(member("bank-1"), after)),
        (IndicatorStanding::Lapsed, Effect::None)
    );
    set.confirm(DIGEST, member("bank-3"), version(50));
    assert_eq!(known().standing(after), IndicatorStanding::Lapsed, "another's word is no answer");
    set.confirm(DIGEST, member("bank-1"), version(51));
    assert_eq!(known().standing(after), IndicatorStanding::Shared);
    assert_eq!(known().standing(Timestamp::from_ms(2_000)), IndicatorStanding::Expired);
    assert_eq!(known().shared_under(), Some(Attestation::Police));
}
