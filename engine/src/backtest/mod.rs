//! A rule set over recorded requests: the same `screen` as live, on the requests' own clock.

mod findings;

pub use findings::{Changes, Findings, Money, RuleFindings};

use crate::decision::VerifyUnavailable;
use crate::facts::windows;
use crate::ids::CallerNo;
use crate::policy::{Policy, Required, StaleAfter};
use crate::request::{KeyName, Keyring, NetworkKey, Request};
use crate::rules::RuleSet;
use crate::screen::{Asked, Scratch, Stopped, Unobserved, screen};
use crate::state::{EngineClock, Moment, State, StateConfig};
use crate::velocity::spec::Mark;
use sparr_protocol::ids::{MemberName, RequestId};
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// What is known about a recorded request besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When it happened.
    pub time: Timestamp,
    /// Its amount, minor units; zero where it has none.
    pub amount_minor: i64,
    /// Whether it was fraud, where somebody found out.
    pub fraud: Option<bool>,
}

/// One rule set and what it has made of the requests so far.
pub struct Backtest {
    state: State,
    scratch: Scratch,
    findings: Findings,
    /// Requests that the issuer will have declined, and when.
    declined: HashMap<RequestId, Timestamp>,
    /// Those of them that were screened and are not declined yet, by time.
    due: BinaryHeap<Reverse<(Timestamp, Vec<u8>)>>,
}

/// Ids that are kept: a recorded file repeats none, so few are enough.
const IDS_KEPT_MAX: usize = 1 << 16;

impl Backtest {
    /// Begins with nothing known of any key, as an engine that starts at the first request. `velocity_keys_max` bounds
    /// the memory for keys.
    pub fn new(set: RuleSet, velocity_keys_max: usize) -> Self {
        let findings = Findings::of(&set);
        let state = State::new(StateConfig {
            // Pseudonyms live as long as this run: any key will do.
            keyring: Keyring::new(NetworkKey::new(1, [0xB7; 32].into()), None),
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
        Self {
            state,
            scratch: Scratch::default(),
            findings,
            declined: HashMap::new(),
            due: BinaryHeap::new(),
        }
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

    /// Screens one message and counts what came of it. Requests must come in the order in which they happened.
    pub fn screen(&mut self, message: &[u8], recorded: Recorded) -> AuthorisationResponse {
        self.note_declines(recorded.time);
        let moment = Moment { now: recorded.time, today: recorded.time.date(), steady_ms: 0 };
        let asked = Asked { caller: CallerNo(0), moment, since_read: &Stopped };
        let rules = self.state.rules();
        let response =
            screen(message, asked, &self.state, rules.as_deref(), &mut self.scratch, &mut Unobserved);
        let hits = self.scratch.hits();
        if let Some(time) = self.declined.get(&response.request_id) {
            self.due.push(Reverse((*time, message.to_vec())));
        }
        self.findings.add(&response.answer, &hits.enforced, &hits.shadow, recorded);
        response
    }

    /// What it has found.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }
}
