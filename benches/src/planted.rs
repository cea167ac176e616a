//! Flags and indicators of people and values that look as random as real ones, put straight into the sets.

use crate::MOMENT;
use hashbrown::HashMap;
use sparr_engine::flags::{FlagSet, Raise, Version};
use sparr_engine::indicators::{IndicatorSet, Receipt};
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Role, Wish};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::ids::{Actor, MemberName, Pseudonym, RequestId};
use sparr_protocol::indicator::{ClassName, Content, ContentDigest, Grade, IndicatorKind};
use sparr_protocol::time::Timestamp;
use std::hint::black_box;

/// When everything that is planted was raised.
pub const NOW: Timestamp = MOMENT.now;
/// How long it is valid, ms: longer than any benchmark, on the benchmarks' clock and on the machine's.
const VALID_MS: i64 = 10 * 365 * 86_400_000;
/// Values that one request is looked up by.
pub const KEYS_OF_A_REQUEST: u64 = 10;

/// A pseudonym that looks as random as a real one (splitmix64, twice).
pub fn pseudonym(number: u64) -> Pseudonym {
    let mix = |mut x: u64| {
        x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mix(number).to_le_bytes());
    bytes[8..].copy_from_slice(&mix(!number).to_le_bytes());
    Pseudonym(bytes)
}

/// A member of this name.
///
/// # Panics
///
/// Where no member may be called so.
pub fn member(name: &str) -> MemberName {
    match MemberName::parse(name) {
        Some(member) => member,
        None => panic!("{name} is a legal name"),
    }
}

fn version(sequence: u64) -> Version {
    Version { stamp: NOW.ms() as u64 + sequence, member: member("bench"), engine: 1, epoch: 1, sequence }
}

/// What somebody asked for, as a person who was identified.
pub fn terms(wish: Wish, scope: Scope) -> Terms {
    Terms {
        wish,
        scope,
        reason: FlagReason::Precaution,
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        compromised: Methods::default(),
        valid_until: NOW.saturating_add_ms(VALID_MS),
    }
}

/// Raises the flag of this number for somebody.
pub fn raise_for(set: &FlagSet, subject: Pseudonym, number: u64, terms: Terms) {
    set.raise(subject, member("bench"), Raise { version: version(number), terms });
}

/// Raises the flag of this number for whom nobody knows.
pub fn raise(set: &FlagSet, number: u64) {
    raise_for(set, pseudonym(number), number, terms(Wish::Verify, Scope::Any));
}

/// Who signed for what is shared.
///
/// # Panics
///
/// Never: the name is a legal one.
pub fn police() -> Actor {
    let Some(actor) = Actor::new(member("police"), Role::Police, "bench") else { panic!("a legal actor") };
    actor
}

fn indicator(number: u64, kind: IndicatorKind, clear: String) -> (ContentDigest, Content) {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&pseudonym(!number).0);
    let content = Content {
        registrar: member("other"),
        draft: RequestId(pseudonym(number).0),
        kind,
        role: None,
        grade: Grade::Investigated,
        class: match ClassName::parse("bench") {
            Some(class) => class,
            None => panic!("a legal class"),
        },
        key_id: 1,
        value: pseudonym(number),
        clear,
        drafted_at: NOW,
        valid_until: NOW.saturating_add_ms(VALID_MS),
    };
    (ContentDigest(digest), content)
}

/// Shares the indicator of this number, with a receipt.
pub fn share(set: &IndicatorSet, number: u64, kind: IndicatorKind, clear: String, by: &Actor) {
    let (digest, content) = indicator(number, kind, clear);
    let receipt = Receipt {
        record: [1; 32],
        by: by.clone(),
        is_signed: true,
        reference: "K1".to_owned(),
        received_at: NOW,
        version: version(number),
    };
    set.receipt(digest, receipt);
    set.share(digest, &content, version(number), [1; 32]);
}

/// Nanoseconds of one of so many look-ups, over keys in an order that no cache foresees.
pub fn per_lookup(lookups: u64, mut look: impl FnMut(Pseudonym) -> bool, first: u64, count: u64) -> f64 {
    let mut found = 0u64;
    let ns = crate::clock::timed(lookups as usize, || {
        for step in 0..lookups {
            let number = first + step.wrapping_mul(0x9E37_79B9_7F4A_7C15) % count;
            found += u64::from(look(pseudonym(number)));
        }
    });
    black_box(found);
    ns
}

/// The keys of one request, all but the first unknown.
fn keys_of_a_request(key: Pseudonym) -> [Pseudonym; KEYS_OF_A_REQUEST as usize] {
    std::array::from_fn(|at| {
        let mut key = key;
        key.0[0] ^= at as u8;
        key.0[15] ^= at as u8;
        key
    })
}

/// One request's keys, beside a bare map of the same keys that is asked for one after the other.
pub struct OneRequest<'a> {
    set: &'a FlagSet,
    map: HashMap<Pseudonym, u32, foldhash::fast::RandomState>,
    count: u64,
}

impl<'a> OneRequest<'a> {
    /// Over a set of so many planted flags.
    pub fn over(set: &'a FlagSet, count: u64) -> Self {
        Self { set, map: (0..count).map(|number| (pseudonym(number), number as u32)).collect(), count }
    }

    /// Nanoseconds for a request of which no key is known: all asked for at once.
    pub fn at_once(&self, lookups: u64) -> f64 {
        let batch = |key| self.set.may_know_which(&keys_of_a_request(key)) != 0;
        per_lookup(lookups, batch, self.count, self.count)
    }

    /// The same by the bare map, one after the other.
    pub fn one_by_one(&self, lookups: u64) -> f64 {
        let serial = |key| keys_of_a_request(key).iter().any(|key| self.map.contains_key(black_box(key)));
        per_lookup(lookups, serial, self.count, self.count)
    }
}
