//! A rule set over recorded requests: the same screening as live, on the requests' own clock.
//!
//! Windows depend on what came before, so screening has one order. Reading what is screened, and counting what came of it,
//! has none: [`Reader`], [`Findings::merge`] and [`Changes::merge`] are for several threads.

mod changes;
mod findings;

pub use changes::Changes;
pub use findings::{AMOUNT_BOUNDS, Amounts, Findings, Money, RuleFindings};

use crate::decision::VerifyUnavailable;
use crate::facts::windows;
use crate::ids::CallerNo;
use crate::policy::{Policy, Required, StaleAfter};
use crate::request::{KeyName, Keyring, NetworkKey, Request};
use crate::rules::{Hits, RuleSet};
use crate::screen::{Asked, Scratch, Stopped, Unobserved, screen_parsed};
use crate::state::{EngineClock, Moment, State, StateConfig};
use crate::velocity::spec::Mark;
use sparr_protocol::ids::{MemberName, RequestId};
use sparr_protocol::response::{AuthorisationResponse, NotScreened};
use sparr_protocol::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// What is known about a recorded request besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number in the file, from 1.
    pub number: u64,
    /// When it happened.
    pub time: Timestamp,
    /// Its amount, minor units; zero where it has none.
    pub amount_minor: i64,
    /// Whether it was fraud, where somebody found out.
    pub fraud: Option<bool>,
}

/// What was answered to one recorded request, and which rules hit.
#[derive(Clone, Copy)]
pub struct Screened<'a> {
    /// The answer.
    pub response: &'a AuthorisationResponse,
    /// Places of the rules that hit, enforced and shadow.
    pub hits: &'a [u16],
}

/// What was answered to requests, in their order.
#[derive(Default)]
pub struct Answers {
    answers: Vec<(AuthorisationResponse, usize)>,
    hits: Vec<u16>,
}

impl Answers {
    fn clear(&mut self) {
        self.answers.clear();
        self.hits.clear();
    }

    fn push(&mut self, response: AuthorisationResponse, hits: &Hits) {
        self.hits.extend(hits.enforced.iter().chain(&hits.shadow).map(|place| *place as u16));
        self.answers.push((response, self.hits.len()));
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Screened<'_>> {
        let starts = std::iter::once(0).chain(self.answers.iter().map(|(_, end)| *end));
        let ends = starts.zip(&self.answers);
        ends.map(|(start, (response, end))| Screened { response, hits: &self.hits[start..*end] })
    }
}

/// Recorded requests that were read, in their order. Reading needs no order and no state, so it may be done by anybody.
pub struct ReadRows<'a>(Vec<(&'a [u8], Result<Request<'a>, NotScreened>, Recorded)>);

impl ReadRows<'_> {
    /// What is known of each of them.
    pub fn recorded(&self) -> impl Iterator<Item = Recorded> {
        self.0.iter().map(|(_, _, recorded)| *recorded)
    }
}

/// One rule set over requests so far: the engine's own state, on the requests' clock.
pub struct Backtest {
    state: State,
    scratch: Scratch,
    /// Requests that the issuer will have declined, and when.
    declined: HashMap<RequestId, Timestamp>,
    /// Those of them that were screened and are not declined yet, by time.
    due: BinaryHeap<Reverse<(Timestamp, Vec<u8>)>>,
}

/// What reads requests: the keys that every backtest has, and what its rules count by.
pub struct Reader {
    keyring: Keyring,
    names: Vec<KeyName>,
}

/// Pseudonyms live as long as a run: any key will do.
fn keyring() -> Keyring {
    Keyring::new(NetworkKey::new(1, [0xB7; 32].into()), None)
}

impl Reader {
    /// A reader for these rule sets.
    pub fn of<'s>(sets: impl Iterator<Item = &'s RuleSet>) -> Self {
        let mut names: Vec<KeyName> = sets
            .flat_map(|set| set.plan().keys())
            .flat_map(|plan| {
                let pair = std::iter::once(plan.key.first).chain(plan.key.second);
                pair.chain(plan.tags.iter().copied())
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        Self { keyring: keyring(), names }
    }

    /// Reads messages.
    pub fn read<'a>(&self, messages: impl Iterator<Item = (&'a [u8], Recorded)>) -> ReadRows<'a> {
        let read = messages.map(|(message, recorded)| {
            let mut request = Request::parse(message, &self.keyring, recorded.time.date(), recorded.time);
            if let Ok(request) = &mut request {
                request.make_keys(self.names.iter().copied(), &self.keyring);
            }
            (message, request, recorded)
        });
        ReadRows(read.collect())
    }
}

/// Ids that are kept, as many as an engine keeps: with fewer, the requests of a busy minute would be refused as possible
/// retries. They leave by time, so that the memory is a minute's traffic.
const IDS_KEPT_MAX: usize = 1 << 23;

impl Backtest {
    /// Begins with nothing known of any key, as an engine that starts at the first request. `velocity_keys_max` bounds
    /// the memory for keys.
    pub fn new(set: RuleSet, velocity_keys_max: usize) -> Self {
        let state = State::new(StateConfig {
            keyring: keyring(),
            policy: Policy {
                required: Required::default(),
                verify_unavailable: VerifyUnavailable::Hold,
                cooling_off_ms: 0,
                stale_after: StaleAfter::default(),
            },
            clock: EngineClock::event(),
            member: MemberName::TRIAL,
            engine: 0,
            epoch: 0,
            velocity_keys_max,
            ids_kept_max: IDS_KEPT_MAX,
        });
        state.activate(
            set,
            Moment { now: Timestamp::from_ms(0), today: Timestamp::from_ms(0).date(), steady_ms: 0 },
        );
        state.set_ready(true);
        Self { state, scratch: Scratch::default(), declined: HashMap::new(), due: BinaryHeap::new() }
    }

    /// Says which requests the issuer declined, and when that was: windows see it from then on.
    pub fn will_be_declined(&mut self, declined: HashMap<RequestId, Timestamp>) {
        self.declined = declined;
    }

    /// Notes the declines that were known by a time.
    fn note_declines(&mut self, now: Timestamp) {
        while self.due.peek().is_some_and(|Reverse((time, _))| *time <= now) {
            let Some(Reverse((_, message))) = self.due.pop() else { return };
            let rules = self.state.rules();
            let keyring = &self.state.keyring;
            if let (Ok(request), Some(active)) =
                (Request::parse(&message, keyring, now.date(), now), rules.as_ref())
            {
                let key = |name: KeyName| request.key(name, keyring);
                let mark = (Mark::DeclinedFinal, true);
                windows::mark_request(&request, key, active.set.plan(), &self.state.stores, mark);
            }
        }
    }

    /// Screens requests; `answers` has what came of each. They must come in the order in which they happened.
    pub fn screen(&mut self, rows: &ReadRows<'_>, answers: &mut Answers) {
        answers.clear();
        for (message, request, recorded) in &rows.0 {
            self.note_declines(recorded.time);
            let moment = Moment { now: recorded.time, today: recorded.time.date(), steady_ms: 0 };
            let asked = Asked { caller: CallerNo(0), moment, since_read: &Stopped, without_shadow: false };
            let rules = self.state.rules();
            let parsed = (*message, request.as_ref());
            let response = screen_parsed(
                parsed,
                asked,
                &self.state,
                rules.as_deref(),
                &mut self.scratch,
                &mut Unobserved,
            );
            if let Some(time) = self.declined.get(&response.request_id) {
                self.due.push(Reverse((*time, message.to_vec())));
            }
            answers.push(response, self.scratch.hits());
        }
    }
}
