//! The requests of the last hour, in pseudonyms and in memory alone: what a new flag or indicator would have changed, what
//! a candidate rule set would change, and which request a final result is about.
//!
//! A request is kept with the readings that it was decided on, so deciding it again asks what is different now and nothing
//! else. What a person or a member alone should know is gone; see [`crate::request::rewritten`].

mod again;
mod blast;
mod recall;
mod touch;

#[cfg(test)]
mod tests;

pub use again::{Again, Answer, AnswerOf, Windows, Words};
pub use blast::{Blast, RuleShare, as_if_active, blast};
pub use recall::{Recall, Recaller};
pub use touch::{Touch, Touched};

use crate::ids::CallerNo;
use crate::limits::RECENT_MS_MAX;
use crate::request::{Keyring, Known, Noted, Request, rewritten};
use crate::rules::RuleSet;
use crate::screen::{Basis, authentication_is_of_this_payment};
use crate::state::{Moment, State};
use crate::velocity::Reading;
use crate::velocity::spec::ReadingSpec;
use hashbrown::HashMap;
use sparr_protocol::ids::{RequestId, RuleSetDigest};
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The windows that a rule set reads, and its rules by place: what readings and hits that were kept mean.
#[derive(Debug, PartialEq, Eq)]
pub struct Reads {
    /// Which set.
    pub digest: RuleSetDigest,
    /// Its readings, by place.
    pub specs: Box<[ReadingSpec]>,
    /// Its rules, by place.
    pub rules: Arc<[String]>,
}

impl Reads {
    /// What a rule set reads.
    pub fn of(set: &RuleSet) -> Self {
        let mut specs: Vec<_> =
            set.plan().keys().iter().flat_map(|plan| plan.readings.iter().copied()).collect();
        specs.sort_by_key(|(index, _)| index.0);
        let specs = specs.into_iter().map(|(_, spec)| spec).collect();
        Self { digest: set.digest(), specs, rules: set.ids().clone() }
    }
}

/// A request as it was screened, before it is rewritten: the server hands these on in batches.
pub struct Fresh<'a> {
    /// The message.
    pub message: &'a [u8],
    /// When it was answered.
    pub moment: Moment,
    /// The calling member.
    pub caller: CallerNo,
    /// The answer.
    pub response: AuthorisationResponse,
    /// What was worked out of it, where it came so far.
    pub noted: Option<&'a Noted>,
    /// What it read of windows; empty where it was not evaluated.
    pub readings: &'a [Reading],
    /// Places of the rules that hit, enforced and then shadow.
    pub hits: &'a [u16],
    /// How many of them are enforced.
    pub enforced: usize,
    /// Places of the rules that exemptions silenced.
    pub silent: &'a [u16],
    /// What it was decided on, for the decision log.
    pub basis: Option<&'a Basis>,
    /// What places mean.
    pub reads: Option<&'a Arc<Reads>>,
}

/// One recent request.
#[derive(Debug)]
pub struct Recorded {
    message: Box<[u8]>,
    known: Known,
    at: Timestamp,
    answer: Answer,
    of_this_payment: bool,
    readings: Box<[Reading]>,
    hits: Box<[u16]>,
    reads: Option<Arc<Reads>>,
}

impl Recorded {
    /// Rewrites a request. `None` where it is no request at all.
    pub fn of(fresh: &Fresh<'_>, state: &State) -> Option<Self> {
        let Moment { now, today, .. } = fresh.moment;
        let request = match fresh.noted {
            Some(noted) => Request::noted(fresh.message, noted)?,
            None => Request::parse(fresh.message, &state.keyring, today, now).ok()?,
        };
        Some(Self {
            message: rewritten(request.view()).into(),
            known: Known::of(&request, &state.keyring),
            at: state.now(fresh.moment),
            answer: Answer::of(&fresh.response),
            of_this_payment: authentication_is_of_this_payment(&request, fresh.caller, state),
            readings: fresh.readings.into(),
            hits: fresh.hits.into(),
            reads: fresh.reads.cloned(),
        })
    }

    /// The request, in pseudonyms.
    ///
    /// # Panics
    /// Never: it was rewritten from a request that was read.
    pub fn request(&self) -> Request<'_> {
        let Some(request) = Request::known(&self.message, &self.known) else {
            unreachable!("a rewritten request reads back")
        };
        request
    }

    /// Its id: what a message begins with.
    fn id(&self) -> RequestId {
        self.message.first_chunk().map_or(RequestId::UNREADABLE, |id| RequestId(*id))
    }

    /// What was answered.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// When it was answered.
    pub fn answered_at(&self) -> Timestamp {
        self.at
    }

    /// The rewritten message.
    pub(crate) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Pseudonyms of what it is about.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Names of the rules that hit, enforced and shadow.
    pub fn hits(&self) -> impl Iterator<Item = &str> {
        let rules = self.reads.as_deref().map(|reads| &reads.rules[..]).unwrap_or_default();
        self.hits.iter().filter_map(|place| rules.get(usize::from(*place)).map(String::as_str))
    }

    /// The pseudonym of its payment's id, if it carries one.
    pub fn payment(&self, keyring: &Keyring) -> Option<sparr_protocol::ids::Pseudonym> {
        self.request().payment(keyring)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.message.len()
            + self.known.heap_bytes()
            + size_of_val(&*self.readings)
            + size_of_val(&*self.hits)
    }
}

/// The requests that are kept: none, until somebody says how many.
#[derive(Default)]
pub struct Recent {
    kept: Mutex<Kept>,
    requests_max: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    requests: VecDeque<Arc<Recorded>>,
    /// Number of the oldest.
    first: u64,
    by_id: HashMap<RequestId, u64, foldhash::fast::RandomState>,
    bytes: usize,
    missed: u64,
}

/// What is kept, for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentSize {
    /// Requests.
    pub requests: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Requests that were not kept because too much was on its way.
    pub missed: u64,
}

impl Recent {
    /// From now on keeps at most so many requests, and none for longer than an hour.
    pub fn keep(&self, requests_max: usize) {
        self.requests_max.store(requests_max, Ordering::Relaxed);
    }

    /// Whether any request is kept.
    pub fn is_on(&self) -> bool {
        self.requests_max.load(Ordering::Relaxed) > 0
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a request. A repeated answer is no new request; a second try of one that was not screened replaces it.
    pub fn add(&self, recorded: Recorded) -> Arc<Recorded> {
        let recorded = Arc::new(recorded);
        let id = recorded.id();
        let now = recorded.answered_at();
        let kept = &mut *self.kept();
        if let Some(place) = kept.by_id.get(&id).and_then(|number| number.checked_sub(kept.first))
            && let Some(before) = kept.requests.get_mut(place as usize)
        {
            if before.answer.is_err() {
                kept.bytes = kept.bytes + recorded.bytes() - before.bytes();
                *before = recorded.clone();
            }
            return before.clone();
        }
        let requests_max = self.requests_max.load(Ordering::Relaxed);
        if requests_max == 0 {
            return recorded;
        }
        let is_old = |oldest: &Recorded| now.ms_since(oldest.answered_at()) >= RECENT_MS_MAX;
        while kept.requests.len() >= requests_max || kept.requests.front().is_some_and(|it| is_old(it)) {
            kept.drop_oldest();
        }
        kept.by_id.insert(id, kept.first + kept.requests.len() as u64);
        kept.bytes += recorded.bytes();
        kept.requests.push_back(recorded.clone());
        recorded
    }

    /// Counts requests that could not be kept.
    pub fn missed(&self, requests: u64) {
        self.kept().missed += requests;
    }

    /// The request with this id.
    pub fn of(&self, id: RequestId) -> Option<Arc<Recorded>> {
        let kept = self.kept();
        let place = kept.by_id.get(&id)?.checked_sub(kept.first)?;
        kept.requests.get(place as usize).cloned()
    }

    /// Every request that is kept, oldest first, and not older than an hour.
    pub fn all(&self, now: Timestamp) -> Vec<Arc<Recorded>> {
        let kept = self.kept();
        let is_recent = |it: &&Arc<Recorded>| now.ms_since(it.answered_at()) < RECENT_MS_MAX;
        kept.requests.iter().filter(is_recent).cloned().collect()
    }

    /// How much is kept.
    pub fn size(&self) -> RecentSize {
        let kept = self.kept();
        RecentSize { requests: kept.requests.len(), bytes: kept.bytes, missed: kept.missed }
    }
}

impl Kept {
    fn drop_oldest(&mut self) {
        let Some(oldest) = self.requests.pop_front() else { return };
        let id = oldest.id();
        // The id may be a later request's by now.
        if self.by_id.get(&id) == Some(&self.first) {
            self.by_id.remove(&id);
        }
        self.bytes -= oldest.bytes();
        self.first += 1;
    }
}
