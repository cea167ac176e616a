//! Once it is warm, evaluating a rule set allocates nothing: a request on the decision path never waits for memory.

use sparr_engine::facts::{Facts, Wanted};
use sparr_engine::request::{Keyring, NetworkKey, Request};
use sparr_engine::rules::{Hits, SourceFile, Sources, load};
use sparr_engine::velocity::Reading;
use sparr_protocol::codes::Kind;
use sparr_protocol::frame::Next;
use sparr_protocol::ids::RequestId;
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts and passes on")]
// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One rule of every shape that reads facts, with a rollout and a shadow among them.
const CONDITIONS: &[&str] = &[
    "amount_minor > 50 && kind == 'card_payment'",
    "velocity(card, '10m').count + 1 > 2 || velocity(card, '10m').sum > 5",
    "email_domain in list('domains') || ip in cidrs('prefixes')",
    "mcc in list('numbers') || issuer_country in list('countries')",
    "merchant_id.lowerAscii().startsWith('shop') && merchant_id.matches('^[A-Za-z]+-[0-9]+$')",
    "['a', 'b'].exists(x, merchant_id.contains(x)) || merchant_id in ['x', 'Shop-1']",
    "(has(mcc) ? mcc : 0) % 2 == 0 && double(mcc) / 2.0 > 0.5",
    "event_time - auth.time < duration('10m') && hour < 24",
    "issuer_country != billing_country && !flag.deny",
    "amount_minor / (mcc - 5732) > 1",
    "indicator(email).hit || indicator(ip).grade == 'confirmed' || indicator(domain).class == 'x'",
];

fn source(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: text.into() }
}

#[test]
fn evaluating_again_allocates_nothing() {
    let rules: String = CONDITIONS
        .iter()
        .enumerate()
        .map(|(at, when)| {
            let mode = if at % 3 == 2 { "shadow" } else { "enforce" };
            format!(
                "  - id: r-{at}\n    description: d\n    owner: o\n    mode: {mode}\n    rollout: {}\n    when: |\n      \
                 {when}\n    then: challenge\n    reason: other\n",
                100 - at % 2
            )
        })
        .collect();
    let sources = Sources {
        rules: vec![source("rules.yaml", &format!("rules:\n{rules}"))],
        lists: vec![
            source("lists/domains.txt", "example.com\n"),
            source("lists/prefixes.txt", "192.0.2.0/24\n"),
            source("lists/numbers.txt", "5732\n"),
            source("lists/countries.txt", "NO\n"),
        ],
        reasons: source("reasons.toml", include_str!("diagnostics/reasons.toml")),
    };
    let set = load(&sources).set.expect("loads");

    let mut request = AuthorisationRequest::new(RequestId([7; 16]), Kind::CardPayment, Timestamp::from_ms(0));
    for (name, value) in [
        ("amount_minor", "5000"),
        ("currency", "SEK"),
        ("card_token", "tok-1"),
        ("email", "anna@EXAMPLE.com"),
        ("ip", "192.0.2.7"),
        ("mcc", "5732"),
        ("issuer_country", "SE"),
        ("billing_country", "NO"),
        ("merchant_id", "Shop-1"),
        ("auth.time", "0"),
    ] {
        request.set(name, value).expect(name);
    }
    let mut frame = Vec::new();
    request.encode(&mut frame).expect("a request");
    let Next::Frame { frame, .. } = Next::parse(&frame, REQUEST_FRAME_BYTES_MAX) else { panic!("a frame") };
    let (_, message) = frame.open().expect("whole");
    let keyring = Keyring::new(NetworkKey::new(1, Default::default()), None);
    let request = Request::parse(message, &keyring, Timestamp::from_ms(0).date(), Timestamp::from_ms(0))
        .expect("legal");
    let readings = vec![Reading::Exact(3); set.plan().readings()];
    let wanted = Wanted {
        plan: set.plan(),
        observed_since: &[],
        rates: set.rates(),
        zone: set.zone(),
        began: Timestamp::MIN,
    };
    let facts = Facts::stated(&request, &wanted, &keyring, None, &readings);

    let mut hits = Hits::default();
    let now = Timestamp::from_ms(1);
    (0..2).for_each(|_| set.evaluate(&facts, now, &mut hits));
    let found = (hits.enforced.len() + hits.shadow.len(), hits.errors.len());
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| set.evaluate(&facts, now, &mut hits));
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in 100 evaluations");
    assert_eq!(found, (9, 1), "every rule but the failing one hits: {hits:?}");
}
