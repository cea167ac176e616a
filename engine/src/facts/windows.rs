//! A request and the windows of its keys: observing it, reading them, and noting later what became of it.

use super::money::Rates;
use super::{Gathering, Stores, Wanted};
use crate::request::{KeyName, Keyring, KeysMade, Request};
use crate::velocity::spec::{KeyPlan, Mark, Plan, TAGS_MAX};
use crate::velocity::{Event, Marks, Observed, Place, Reading, Velocity};
use smallvec::SmallVec;
use sparr_protocol::ids::{Pseudonym, RequestId};

/// Pseudonyms of a request's keys by place in [`KeyName::ALL`]: not needed yet, absent, or there.
pub type Keys = KeysMade;

/// The amount in minor units of the rule set's base currency.
pub(super) fn amount_base_minor(request: &Request<'_>, rates: &Rates) -> Option<i64> {
    let view = request.view();
    rates.to_base(view.amount_minor()?, view.currency()?)
}

/// Observes a request under every key of the plan that it carries, or only looks, and reads their windows; `each` hears of
/// every key that the request carries.
pub fn read(
    request: &Request<'_>,
    wanted: &Wanted<'_>,
    keyring: &Keyring,
    (velocity, gathering): (&Velocity, Gathering),
    keys: &mut Keys,
    readings: &mut [Reading],
    mut each: impl FnMut(&KeyPlan, &Observed, &mut [Reading]),
) {
    let view = request.view();
    let event = Event {
        time: request.event_time(),
        amount: view.amount_minor().map_or(Some(0), |_| amount_base_minor(request, wanted.rates)).into(),
        kind: view.kind(),
        tags: [0; TAGS_MAX],
        id: event_id(view.request_id()),
        marks: Marks::default(),
    };
    let mut pseudonym = |name: KeyName| -> Option<Pseudonym> {
        let cached = &mut keys[name as usize];
        *cached.get_or_insert_with(|| request.key(name, keyring))
    };
    let plans = wanted.plan.keys();
    let places: SmallVec<[Option<Place>; 16]> = plans
        .iter()
        .map(|plan| {
            let (first, second) = (pseudonym(plan.key.first)?, plan.key.second.map(&mut pseudonym));
            // Of a pair, both are needed.
            second.is_none_or(|second| second.is_some()).then(|| Place::of(plan, first, second.flatten()))
        })
        .collect();
    velocity.expect(places.iter().copied().flatten());
    for ((plan, since), place) in plans.iter().zip(wanted.observed_since).zip(&places) {
        let Some(place) = *place else {
            plan.readings.iter().for_each(|(index, _)| readings[index.0] = Reading::Absent);
            continue;
        };
        let mut event = event;
        for (tag, name) in event.tags.iter_mut().zip(&plan.tags) {
            *tag = self::tag(pseudonym(*name));
        }
        match gathering {
            Gathering::Observe => velocity.observe(plan, place, event, readings),
            Gathering::Peek | Gathering::Recorded => velocity.peek(plan, place, event.time, readings),
        }
        each(plan, since, readings);
    }
}

/// Notes what has become known of a request, or that it does not hold any more, under every key that asks for it.
pub fn mark_request(
    request: &Request<'_>,
    key: impl Fn(KeyName) -> Option<Pseudonym>,
    plan: &Plan,
    stores: &Stores,
    mark: (Mark, bool),
) {
    let event = (request.event_time(), event_id(request.view().request_id()));
    for plan in plan.keys() {
        if !plan.asks_for(mark.0) || !plan.kinds.contains(request.view().kind()) {
            continue;
        }
        let second = plan.key.second.map(&key);
        if let (Some(first), None | Some(Some(_))) = (key(plan.key.first), second) {
            stores.velocity.mark(Place::of(plan, first, second.flatten()), event, mark);
        }
    }
}

/// Tells a request apart from others of the same key and millisecond.
pub(super) fn event_id(id: RequestId) -> u32 {
    let id = u128::from_le_bytes(id.0);
    let folded = id as u64 ^ ((id >> 64) as u64).rotate_left(32);
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

/// The tag of a value: zero says "none", and a digest that begins with zeros is moved aside.
pub(super) fn tag(value: Option<Pseudonym>) -> u32 {
    value.map_or(0, |value| tag_of(value).max(1))
}

/// Enough of a pseudonym to tell a key's values apart.
const fn tag_of(pseudonym: Pseudonym) -> u32 {
    let [a, b, c, d, ..] = pseudonym.0;
    u32::from_le_bytes([a, b, c, d])
}
