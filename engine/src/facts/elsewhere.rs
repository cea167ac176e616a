//! Payments that another engine of the same member has screened: a card that is tested against two engines is seen by both.
//!
//! An engine tells the others of its member what it has just observed, under pseudonyms, in small batches. They observe it
//! too, a little later: what came in between, each has judged without the other's last payments. Nothing is asked again and
//! nothing is kept for an engine that was away, so after a cut its windows lack what the other saw meanwhile.

use super::Facts;
use super::windows;
use crate::pack::{Pack, pack_fields};
use crate::request::KeyName;
use crate::velocity::spec::{Mark, Plan, TAGS_MAX};
use crate::velocity::{Event, Marks, Place, Reading, Velocity};
use sparr_protocol::codes::Kind;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::time::Timestamp;

/// What one engine observed of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    time: Timestamp,
    /// In minor units of the base currency; none where there is no rate.
    amount: Option<i64>,
    kind: Kind,
    /// Tells it apart from others of the same millisecond.
    id: u32,
    is_declined: bool,
    /// By place in [`KeyName::ALL`]; only what the rules read.
    keys: [Option<Pseudonym>; KeyName::ALL.len()],
}

pack_fields!(Seen { time, amount, kind, id, is_declined, keys });

impl Pack for Kind {
    fn pack(&self, out: &mut Vec<u8>) {
        self.wire().pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Self::from_wire(u8::unpack(from)?)
    }
}

impl Pack for [Option<Pseudonym>; KeyName::ALL.len()] {
    fn pack(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|key| key.pack(out));
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let mut keys = [None; KeyName::ALL.len()];
        for key in &mut keys {
            *key = Pack::unpack(from)?;
        }
        Some(keys)
    }
}

impl Seen {
    /// Several, as they travel between engines of one member.
    pub fn encode_all(all: &[Self]) -> Vec<u8> {
        let mut out = Vec::with_capacity(all.len() * 64);
        all.iter().for_each(|seen| seen.pack(&mut out));
        out
    }

    /// Reads several; nothing where any of it is not legal.
    pub fn decode_all(mut bytes: &[u8]) -> Option<Vec<Self>> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            all.push(Self::unpack(&mut bytes)?);
        }
        Some(all)
    }

    /// Observes it here, under every key of the plan that it carries. `readings` has one place for each reading of the plan.
    pub fn take_in(&self, plan: &Plan, velocity: &Velocity, readings: &mut [Reading]) {
        let Self { time, amount, kind, id, is_declined, keys } = *self;
        for plan in plan.keys() {
            let first = keys[plan.key.first as usize];
            let second = plan.key.second.map(|name| keys[name as usize]);
            let (Some(first), None | Some(Some(_))) = (first, second) else { continue };
            let second = second.flatten();
            let mut tags = [0; TAGS_MAX];
            for (tag, name) in tags.iter_mut().zip(&plan.tags) {
                *tag = windows::tag(keys[*name as usize]);
            }
            let amount = amount.into();
            let event = Event { time, amount, kind, tags, id, marks: Marks::default() };
            let place = Place::of(plan, first, second);
            velocity.observe(plan, place, event, readings);
            if is_declined && plan.asks_for(Mark::DeclinedBySparr) && plan.kinds.contains(kind) {
                velocity.mark(place, (time, id), (Mark::DeclinedBySparr, true));
            }
        }
    }
}

impl Facts<'_> {
    /// What this request adds to windows, for the other engines of the member.
    pub(crate) fn seen(&self, is_declined: bool) -> Seen {
        let view = self.request.view();
        let mut keys = [None; KeyName::ALL.len()];
        for plan in self.wanted.plan.keys() {
            for name in [plan.key.first].into_iter().chain(plan.key.second).chain(plan.tags.iter().copied()) {
                keys[name as usize] = self.key(name);
            }
        }
        Seen {
            time: self.request.event_time(),
            amount: view.amount_minor().map_or(Some(0), |_| self.amount_base_minor()),
            kind: view.kind(),
            id: windows::event_id(view.request_id()),
            is_declined,
            keys,
        }
    }
}
