//! Request ids that were answered: the same question under the same id gets the same answer, and is counted once.
//!
//! Ids are kept in two generations per shard. A generation is closed when it is old or full, and the one before it
//! is dropped whole: forgetting costs nothing per id, and no id is dropped before its time unless there are too
//! many, in which case requests that may be retries of dropped ids are refused instead of being counted twice.

mod generation;

use crate::limits::{EVENT_EARLY_MS_MAX, EVENT_LATE_MS_MAX, IDS_KEPT_MS};
use generation::{Generation, Key};
use sparr_protocol::ids::RequestId;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shards, so that engine cores seldom meet at a lock.
const SHARDS: usize = 64;

/// A generation lasts as long as a retry may come: the answer's time, and the clocks' difference.
const GENERATION_MS: i64 = IDS_KEPT_MS + EVENT_EARLY_MS_MAX;
const _: () = assert!(GENERATION_MS >= EVENT_LATE_MS_MAX + EVENT_EARLY_MS_MAX);

/// Number of a calling member in this engine's memory: ids are unique per member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallerNo(pub u16);

/// What a payment is about, for recognising a later authentication of it: payer, amount, currency, payee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding(pub u64);

/// Digest of a request's content, without what a retry may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyDigest(pub u64);

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is reserved for the caller, who must [`Ids::answer`] or [`Ids::release`] it.
    Reserved,
    /// The same request was answered: this is the answer.
    Answered(AuthorisationResponse),
    /// The same request is being screened at this moment, on another core.
    InFlight,
    /// The id was used for another request.
    Conflict,
    /// So many ids came that some were forgotten early; this request's may be one of them.
    Forgotten,
}

#[derive(Clone, Copy)]
struct Kept {
    body: BodyDigest,
    binding: Binding,
    /// `None` while it is being screened.
    answer: Option<AuthorisationResponse>,
}

struct Shard {
    newer: Generation,
    older: Generation,
    newer_since: Timestamp,
    older_until: Timestamp,
    /// Requests with an event time up to this one may be retries of ids that are no longer kept.
    forgotten_until: Timestamp,
}

/// All kept ids.
pub struct Ids {
    shards: Box<[Mutex<Shard>]>,
    generation_max: usize,
    /// The same on every machine: which ids are forgotten first must not be chance.
    shard_of: foldhash::fast::FixedState,
    /// Another one in each process: whoever gives ids cannot give ones that lie in each other's way.
    print_of: foldhash::fast::RandomState,
}

impl Ids {
    /// Keeps at most `kept_max` ids.
    pub fn new(kept_max: usize) -> Self {
        let shard = || Shard {
            newer: Generation::default(),
            older: Generation::default(),
            newer_since: Timestamp::MIN,
            older_until: Timestamp::MIN,
            forgotten_until: Timestamp::MIN,
        };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            generation_max: (kept_max / SHARDS / 2).max(1),
            shard_of: foldhash::fast::FixedState::default(),
            print_of: foldhash::fast::RandomState::default(),
        }
    }

    fn shard(&self, id: RequestId) -> MutexGuard<'_, Shard> {
        let at = self.shard_of.hash_one(id) as usize % SHARDS;
        // A shard is whole between calls: a panic while it is held leaves nothing half done.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, key: Key) -> u32 {
        (self.print_of.hash_one(key) >> 32) as u32
    }

    /// Looks an id up, and reserves it where it is new.
    pub fn reserve(
        &self,
        id: RequestId,
        caller: CallerNo,
        body: BodyDigest,
        binding: Binding,
        event_time: Timestamp,
        now: Timestamp,
    ) -> Known {
        let (key, mut shard) = ((id, caller), self.shard(id));
        let print = self.print(key);
        shard.turn(now, self.generation_max);
        if let Some(kept) = shard.get(print, key) {
            return match kept.answer {
                _ if kept.body != body => Known::Conflict,
                Some(answer) => Known::Answered(answer),
                None => Known::InFlight,
            };
        }
        if event_time <= shard.forgotten_until {
            return Known::Forgotten;
        }
        shard.newer.add(print, key, Kept { body, binding, answer: None });
        Known::Reserved
    }

    /// Keeps the answer of a reserved id.
    pub fn answer(&self, id: RequestId, caller: CallerNo, answer: AuthorisationResponse) {
        let (key, mut shard) = ((id, caller), self.shard(id));
        let (print, Shard { newer, older, .. }) = (self.print(key), &mut *shard);
        if let Some(kept) = newer.get_mut(print, key).or_else(|| older.get_mut(print, key)) {
            kept.answer = Some(answer);
        }
    }

    /// Gives a reserved id back: the request was not screened, and a retry shall be tried again.
    pub fn release(&self, id: RequestId, caller: CallerNo) {
        let (key, mut shard) = ((id, caller), self.shard(id));
        let (print, Shard { newer, older, .. }) = (self.print(key), &mut *shard);
        for generation in [newer, older] {
            if generation.get(print, key).is_some_and(|kept| kept.answer.is_none()) {
                generation.remove(print, key);
            }
        }
    }

    /// Whether an id that is still kept was a request about the same payment.
    pub fn was_about(&self, id: RequestId, caller: CallerNo, binding: Binding) -> bool {
        let (key, shard) = ((id, caller), self.shard(id));
        shard.get(self.print(key), key).is_some_and(|kept| kept.binding == binding)
    }

    /// How many ids are kept.
    pub fn len(&self) -> usize {
        let lock = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.newer.len() + shard.older.len()
        };
        self.shards.iter().map(lock).sum()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shard {
    fn get(&self, print: u32, key: Key) -> Option<&Kept> {
        self.newer.get(print, key).or_else(|| self.older.get(print, key))
    }

    /// Closes the newer generation when it is old or full, and drops the older one.
    fn turn(&mut self, now: Timestamp, generation_max: usize) {
        if self.newer_since == Timestamp::MIN {
            self.newer_since = now;
        }
        let old = now.ms_since(self.newer_since) >= GENERATION_MS;
        if !old && self.newer.len() < generation_max {
            return;
        }
        if !self.older.is_empty() {
            // Ids of that generation were given with event times up to the clocks' difference ahead.
            self.forgotten_until = self.older_until.saturating_add_ms(EVENT_EARLY_MS_MAX);
        }
        self.older.clear();
        std::mem::swap(&mut self.newer, &mut self.older);
        (self.older_until, self.newer_since) = (now, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparr_protocol::response::{NotScreened, Why};

    const CALLER: CallerNo = CallerNo(0);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn answer(id: RequestId) -> AuthorisationResponse {
        AuthorisationResponse {
            request_id: id,
            answer: Err(NotScreened::from(Why::RuleError)),
            rule_set_digest: Default::default(),
            position: Default::default(),
            staleness_ms: 0,
            degraded: Default::default(),
            natural: None,
            checked: Default::default(),
            engine_us: 0,
        }
    }

    fn id(number: u64) -> RequestId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        RequestId(bytes)
    }

    fn reserve(ids: &Ids, number: u64, body: u64, now: i64) -> Known {
        ids.reserve(id(number), CALLER, BodyDigest(body), Binding(body), at(now), at(now))
    }

    #[test]
    fn an_id_is_reserved_answered_and_repeated() {
        let ids = Ids::new(1_000_000);
        assert_eq!(reserve(&ids, 1, 7, 0), Known::Reserved);
        assert_eq!(reserve(&ids, 1, 7, 0), Known::InFlight);
        assert_eq!(reserve(&ids, 1, 8, 0), Known::Conflict);
        assert_eq!(ids.reserve(id(1), CallerNo(1), BodyDigest(8), Binding(0), at(0), at(0)), Known::Reserved);
        ids.answer(id(1), CALLER, answer(id(1)));
        assert_eq!(reserve(&ids, 1, 7, 119_999), Known::Answered(answer(id(1))));
        assert_eq!(reserve(&ids, 1, 8, 119_999), Known::Conflict);
        ids.release(id(1), CALLER);
        assert_eq!(
            reserve(&ids, 1, 7, 119_999),
            Known::Answered(answer(id(1))),
            "an answer is not given back"
        );
        assert!(ids.was_about(id(1), CALLER, Binding(7)) && !ids.was_about(id(1), CALLER, Binding(8)));
        assert!(!ids.was_about(id(2), CALLER, Binding(7)));
        assert_eq!(reserve(&ids, 2, 7, 0), Known::Reserved);
        ids.release(id(2), CALLER);
        assert_eq!(reserve(&ids, 2, 9, 0), Known::Reserved, "given back, it is free");
    }

    #[test]
    fn every_id_is_kept_for_its_time_and_gone_after_three_generations() {
        let ids = Ids::new(1_000_000);
        for second in 0..1_000 {
            let now = second * 1_000;
            assert_eq!(reserve(&ids, second as u64, 1, now), Known::Reserved);
            ids.answer(id(second as u64), CALLER, answer(id(second as u64)));
            if second >= 120 {
                let known = reserve(&ids, second as u64 - 120, 1, now);
                assert!(matches!(known, Known::Answered(_)), "second {second}: {known:?}");
            }
        }
        assert!(ids.len() <= 3 * 126 + SHARDS, "{} ids", ids.len());
    }

    #[test]
    fn where_too_many_ids_come_a_possible_retry_is_refused_and_never_counted_twice() {
        let ids = Ids::new(SHARDS * 2 * 10);
        let mut early = Vec::new();
        for number in 0..5_000 {
            if reserve(&ids, number, 1, number as i64) == Known::Reserved {
                ids.answer(id(number), CALLER, answer(id(number)));
                early.push(number);
            }
        }
        assert!(ids.len() <= SHARDS * 2 * 11, "{} ids", ids.len());
        let retried: Vec<Known> = early.iter().map(|n| reserve(&ids, *n, 1, *n as i64)).collect();
        assert!(!retried.contains(&Known::Reserved));
        assert!(retried.contains(&Known::Forgotten));
    }
}
