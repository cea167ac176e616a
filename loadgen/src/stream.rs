//! The stream that is sent: a day of ordinary payments, fraud put into it, and for each request what should happen.

use crate::campaign::Campaign;
use crate::day::Day;
use crate::people::{Asked, Population};
use crate::workload::Workload;
use sparr_protocol::codes::{AuthMethod, AuthResult, Kind, Wish};
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The same seed gives the same stream.
    pub seed: u64,
    /// Who pays where.
    pub population: Population,
    /// Midnight, local time, of the day that is played.
    pub midnight: Timestamp,
    /// Requests into which the day is put.
    pub requests: u64,
    /// Entries of each of the local lists of bad devices, addresses and domains; zero where there are none.
    pub listed: u64,
    /// First half of every request id. The second is the request's number.
    pub run: [u8; 8],
}

/// A request and what is known about it.
#[derive(Clone)]
pub struct Planned {
    /// What is sent.
    pub request: AuthorisationRequest,
    /// What should happen.
    pub truth: Truth,
}

/// What is known about a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// What the person's flag asks for.
    pub flag: Option<FlagTruth>,
    /// Which local list it should be found in.
    pub listed: Option<Listed>,
    /// The fraud that it belongs to.
    pub campaign: Option<Campaign>,
}

/// What a flag asks for in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagTruth {
    /// To be declined.
    Deny,
    /// To be challenged.
    Verify,
    /// The payer cannot be asked: what the member has decided for that.
    VerifyUnavailable,
    /// Nothing any more: the person has just been verified.
    VerifyMet,
}

/// A local list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Listed {
    /// Of devices.
    Device,
    /// Of addresses.
    Address,
    /// Of domains.
    Domain,
}

impl Listed {
    /// Every list.
    pub const ALL: [Self; 3] = [Self::Device, Self::Address, Self::Domain];

    /// The entry with this number; there are 131,072 addresses of the range for benchmarks (RFC 2544).
    pub fn entry(self, number: u64) -> String {
        match self {
            Self::Device => format!("bad-device-{number:06}"),
            Self::Address => {
                let [_, high, middle, low] = (number as u32).to_be_bytes();
                format!("198.{}.{middle}.{low}", 18 + (high & 1))
            }
            Self::Domain => format!("falsk{number:06}.example"),
        }
    }
}

/// One in so many online payments meets a local list, of a thousand.
const LISTED_PER_MILLE: u64 = 3;
/// Of the people who were challenged, so many identify themselves and pay again, of a thousand.
const VERIFIED_PER_MILLE: u64 = 600;
/// How long that takes them, ms.
const VERIFIED_AFTER_MS: u64 = 45_000;
/// How long before the second try they were done, ms.
const VERIFIED_BEFORE_MS: i64 = 5_000;

/// What happens besides ordinary payments, in order of time and then of planning.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Extra {
    at_ms: u64,
    number: u64,
    what: ExtraKind,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum ExtraKind {
    Campaign(Campaign, u64),
    /// The request with this number is made again by a person who was verified.
    Again(u64),
}

/// The stream.
pub struct Stream {
    plan: Plan,
    workload: Workload,
    day: Day,
    next_ordinary_ms: u64,
    extras: BinaryHeap<Reverse<Extra>>,
    extras_planned: u64,
    /// Requests that will be made again, by number.
    kept: std::collections::HashMap<u64, AuthorisationRequest>,
    number: u64,
}

impl Stream {
    /// Plans the day.
    pub fn new(plan: Plan) -> Self {
        let fraud: u64 = Campaign::ALL.iter().map(|campaign| campaign.requests()).sum();
        let mut day = Day::new(plan.requests.saturating_sub(fraud));
        let mut stream = Self {
            plan,
            workload: Workload::new(plan.seed, plan.population),
            next_ordinary_ms: day.next_ms(),
            day,
            extras: BinaryHeap::new(),
            extras_planned: 0,
            kept: std::collections::HashMap::new(),
            number: 0,
        };
        // A short stream has no room for fraud: it would be all that there is.
        if plan.requests >= fraud * 4 {
            for campaign in Campaign::ALL {
                for number in 0..campaign.requests() {
                    stream.plan_extra(campaign.at_ms(number), ExtraKind::Campaign(campaign, number));
                }
            }
        }
        stream
    }

    fn plan_extra(&mut self, at_ms: u64, what: ExtraKind) {
        self.extras_planned += 1;
        self.extras.push(Reverse(Extra { at_ms, number: self.extras_planned, what }));
    }

    /// The id of the request with this number.
    fn id(&self, number: u64) -> RequestId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.plan.run);
        id[8..].copy_from_slice(&number.to_be_bytes());
        RequestId(id)
    }

    fn ordinary(&mut self, now: Timestamp) -> Planned {
        let (person, mut request) = self.workload.next_payment(now);
        let mut truth = Truth::default();
        let online = request.device_id.is_some() && request.domain.is_some();
        if online && self.plan.listed > 0 && self.workload.random().per_mille(LISTED_PER_MILLE) {
            let number = self.workload.random().below(self.plan.listed);
            let listed = *self.workload.random().pick(&Listed::ALL);
            let entry = listed.entry(number);
            match listed {
                Listed::Device => request.device_id = Some(entry.into()),
                Listed::Address => request.ip = entry.parse().ok(),
                Listed::Domain => request.domain = Some(entry),
            }
            truth.listed = Some(listed);
        }
        truth.flag = self.plan.population.flag_of(person).and_then(|asked| flag_truth(asked, &request));
        Planned { request, truth }
    }

    fn again(&mut self, of: u64, now: Timestamp) -> Option<Planned> {
        let mut request = self.kept.remove(&of)?;
        request.event_time = Some(now);
        request.auth_method = Some(AuthMethod::BankId);
        request.auth_result = Some(AuthResult::Passed);
        request.auth_time = Some(now.saturating_add_ms(-VERIFIED_BEFORE_MS));
        request.auth_of_request_id = Some(self.id(of));
        Some(Planned { request, truth: Truth { flag: Some(FlagTruth::VerifyMet), ..Truth::default() } })
    }

    fn extra(&mut self, what: &ExtraKind, now: Timestamp) -> Option<Planned> {
        match *what {
            ExtraKind::Again(of) => self.again(of, now),
            ExtraKind::Campaign(campaign, number) => {
                let population = self.plan.population;
                let random = self.workload.random();
                let (person, request) = campaign.request(number, &population, random, now);
                let asked = population.flag_of(person).filter(|_| request.subject.is_some());
                let flag = asked.and_then(|asked| flag_truth(asked, &request));
                let truth = Truth { flag, campaign: Some(campaign), listed: None };
                Some(Planned { request, truth })
            }
        }
    }
}

/// What a person's flag asks for in a request that carries no authentication.
fn flag_truth(asked: Asked, request: &AuthorisationRequest) -> Option<FlagTruth> {
    if !asked.means(request.kind, request.amount_minor) {
        return None;
    }
    Some(match asked.wish {
        Wish::Deny => FlagTruth::Deny,
        Wish::Verify if request.challenge_possible == Some(false) => FlagTruth::VerifyUnavailable,
        Wish::Verify => FlagTruth::Verify,
    })
}

impl Iterator for Stream {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        if self.number == self.plan.requests {
            return None;
        }
        let midnight = self.plan.midnight;
        let at = |ms: u64| midnight.saturating_add_ms(ms as i64);
        let due = self.extras.peek().is_some_and(|Reverse(extra)| extra.at_ms <= self.next_ordinary_ms);
        let extra = if due { self.extras.pop() } else { None };
        let from_extra = match extra {
            Some(Reverse(extra)) => {
                let now = at(extra.at_ms);
                self.extra(&extra.what, now).map(|planned| (extra.at_ms, planned))
            }
            None => None,
        };
        let (at_ms, mut planned) = match from_extra {
            Some(planned) => planned,
            None => {
                let (ms, now) = (self.next_ordinary_ms, at(self.next_ordinary_ms));
                self.next_ordinary_ms = self.day.next_ms();
                (ms, self.ordinary(now))
            }
        };
        planned.request.request_id = self.id(self.number);
        let is_challenged = planned.truth == Truth { flag: Some(FlagTruth::Verify), ..Truth::default() }
            && planned.request.kind != Kind::CredentialChange;
        if is_challenged && self.workload.random().per_mille(VERIFIED_PER_MILLE) {
            self.kept.insert(self.number, planned.request.clone());
            self.plan_extra(at_ms + VERIFIED_AFTER_MS, ExtraKind::Again(self.number));
        }
        self.number += 1;
        Some(planned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparr_protocol::frame::Next;
    use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
    use sparr_protocol::view::RequestView;
    use std::collections::{BTreeMap, HashSet};

    fn plan(requests: u64) -> Plan {
        Plan {
            seed: 7,
            population: Population { people: 50_000, merchants: 2_000, flags: 2_000 },
            midnight: Timestamp::from_ms(1_795_302_000_000),
            requests,
            listed: 1_000,
            run: [9; 8],
        }
    }

    #[test]
    fn every_request_is_valid_in_order_of_time_and_the_same_seed_gives_the_same_stream() {
        let mut same = Stream::new(plan(30_000));
        let (mut kinds, mut last) = (HashSet::new(), Timestamp::from_ms(0));
        for (number, planned) in Stream::new(plan(30_000)).enumerate() {
            let other = same.next().expect("as many");
            assert!(planned.request == other.request && planned.truth == other.truth);
            let time = planned.request.event_time.expect("a time");
            assert!(time >= last, "request {number}");
            last = time;
            kinds.insert(planned.request.kind);
            let mut bytes = Vec::new();
            planned.request.encode(&mut bytes).expect("fits");
            let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else {
                panic!("a frame")
            };
            RequestView::parse(frame.open().expect("sound").1).map(|_| ()).expect("valid");
        }
        assert!(same.next().is_none());
        assert!(kinds.len() >= 7, "{kinds:?}");
    }

    #[test]
    fn the_stream_holds_all_of_each_campaign_and_every_case_of_a_flag() {
        let (mut campaigns, mut flags, mut listed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for planned in Stream::new(plan(60_000)) {
            if let Some(campaign) = planned.truth.campaign {
                *campaigns.entry(campaign).or_insert(0) += 1;
            }
            if let Some(flag) = planned.truth.flag {
                *flags.entry(format!("{flag:?}")).or_insert(0) += 1;
            }
            if let Some(list) = planned.truth.listed {
                *listed.entry(list).or_insert(0) += 1;
            }
        }
        assert_eq!(campaigns, Campaign::ALL.iter().map(|one| (*one, one.requests())).collect());
        assert_eq!(listed.len(), 3, "{listed:?}");
        for flag in ["Deny", "Verify", "VerifyUnavailable", "VerifyMet"] {
            assert!(flags.get(flag).is_some_and(|requests| *requests >= 5), "{flag}: {flags:?}");
        }
    }
}
