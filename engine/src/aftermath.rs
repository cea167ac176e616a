//! What became of payments: final results within seconds, labels within weeks, and what they say of each rule.
//!
//! Everything here is bounded, and the oldest goes first. Telling the same again changes nothing; of two that differ about
//! one request or payment, the later one counts.

use hashbrown::HashMap;
use sparr_protocol::aftermath::{Final, LabelClass};
use sparr_protocol::exchange::Refusal;
use sparr_protocol::ids::{Pseudonym, RequestId};
use sparr_protocol::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Final results, labels, and payments that rules hit: so many of each are known at most.
pub const AFTERMATH_MAX: usize = 500_000;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptResult {
    /// What became of it.
    pub result: Final,
    /// When that was.
    pub time: Timestamp,
}

/// What a payment turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLabel {
    /// What it turned out to be.
    pub class: LabelClass,
    /// Since when it is known.
    pub known_at: Timestamp,
    /// Names of the rules that hit the payment, as far as that is known.
    pub rules: Vec<String>,
}

/// What labels say of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleLabels {
    /// Payments that it hit and that were fraud.
    pub fraud: u64,
    /// Payments that it hit and with which nothing was wrong.
    pub good: u64,
}

impl RuleLabels {
    /// Share of fraud among the labelled payments that it hit.
    pub fn precision(self) -> Option<f64> {
        let all = self.fraud + self.good;
        if all == 0 { None } else { Some(self.fraud as f64 / all as f64) }
    }
}

/// A map that forgets what came first.
struct Bounded<K, V> {
    by_key: HashMap<K, V, foldhash::quality::RandomState>,
    order: VecDeque<K>,
}

impl<K: Hash + Eq + Clone, V> Bounded<K, V> {
    fn new() -> Self {
        Self { by_key: HashMap::default(), order: VecDeque::new() }
    }

    /// Takes a value in, and gives back one that was there under its key, and one that is forgotten for it.
    fn insert(&mut self, key: K, value: V, max: usize) -> (Option<V>, Option<V>) {
        let before = self.by_key.insert(key.clone(), value);
        if before.is_some() {
            return (before, None);
        }
        self.order.push_back(key);
        if self.order.len() <= max {
            return (None, None);
        }
        (None, self.order.pop_front().and_then(|oldest| self.by_key.remove(&oldest)))
    }
}

/// Whether something that was told is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is to be kept.
    New,
    /// It is known, or something later is.
    Known,
}

/// Everything that is known of what became of payments.
pub struct Aftermath {
    known: Mutex<Known>,
    max: usize,
}

struct Known {
    results: Bounded<RequestId, KeptResult>,
    labels: Bounded<Pseudonym, KeptLabel>,
    /// Payments that rules hit: which rules.
    hits: Bounded<Pseudonym, Vec<String>>,
    rules: BTreeMap<String, RuleLabels>,
    finals: [u64; Final::ALL.len()],
    classes: [u64; LabelClass::ALL.len()],
}

impl Aftermath {
    /// Nothing is known. `max` results, labels and hit payments are kept.
    pub fn new(max: usize) -> Self {
        let known = Known {
            results: Bounded::new(),
            labels: Bounded::new(),
            hits: Bounded::new(),
            rules: BTreeMap::new(),
            finals: [0; Final::ALL.len()],
            classes: [0; LabelClass::ALL.len()],
        };
        Self { known: Mutex::new(known), max }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that rules hit a payment; several requests of one payment add up.
    pub fn hit<'a>(&self, payment: Pseudonym, rules: impl Iterator<Item = &'a str>) {
        let known = &mut *self.known();
        let mut names = known.hits.by_key.get(&payment).cloned().unwrap_or_default();
        for rule in rules {
            if !names.iter().any(|name| name == rule) {
                names.push(rule.to_owned());
            }
        }
        if !names.is_empty() {
            known.hits.insert(payment, names, self.max);
        }
    }

    /// Whether a final result is new.
    ///
    /// # Errors
    /// `id_conflict` where another one of the same time is known.
    pub fn asks_result(&self, request: RequestId, result: KeptResult) -> Result<Told, Refusal> {
        match self.known().results.by_key.get(&request) {
            None => Ok(Told::New),
            Some(known) if *known == result || known.time > result.time => Ok(Told::Known),
            Some(known) if known.time == result.time => Err(Refusal::IdConflict),
            Some(_) => Ok(Told::New),
        }
    }

    /// Keeps a final result, and gives back the one that was known before.
    pub fn keep_result(&self, request: RequestId, result: KeptResult) -> Option<KeptResult> {
        let known = &mut *self.known();
        known.finals[place(result.result.wire())] += 1;
        let (before, _) = known.results.insert(request, result, self.max);
        if let Some(before) = before {
            known.finals[place(before.result.wire())] -= 1;
        }
        before
    }

    /// The rules that hit a payment, as far as that is known.
    pub fn rules_that_hit(&self, payment: Pseudonym) -> Vec<String> {
        self.known().hits.by_key.get(&payment).cloned().unwrap_or_default()
    }

    /// Whether a label is new.
    ///
    /// # Errors
    /// `id_conflict` where another one of the same time is known.
    pub fn asks_label(
        &self,
        payment: Pseudonym,
        class: LabelClass,
        known_at: Timestamp,
    ) -> Result<Told, Refusal> {
        match self.known().labels.by_key.get(&payment) {
            None => Ok(Told::New),
            Some(known) if known.known_at > known_at => Ok(Told::Known),
            Some(known) if known.class == class => Ok(Told::Known),
            Some(known) if known.known_at == known_at => Err(Refusal::IdConflict),
            Some(_) => Ok(Told::New),
        }
    }

    /// Keeps a label. The later word about a payment takes the earlier one's place, also in what is said of rules.
    pub fn keep_label(&self, payment: Pseudonym, label: KeptLabel) {
        let known = &mut *self.known();
        known.classes[place(label.class.wire())] += 1;
        for rule in &label.rules {
            *known.count(rule, label.class) += 1;
        }
        let (before, forgotten) = known.labels.insert(payment, label, self.max);
        for gone in before.into_iter().chain(forgotten) {
            known.classes[place(gone.class.wire())] -= 1;
            for rule in &gone.rules {
                *known.count(rule, gone.class) -= 1;
            }
        }
    }

    /// What labels say of each rule that hit a labelled payment.
    pub fn rules(&self) -> BTreeMap<String, RuleLabels> {
        self.known().rules.clone()
    }

    /// How many results of each kind are known.
    pub fn finals(&self) -> impl Iterator<Item = (Final, u64)> + use<> {
        let counts = self.known().finals;
        Final::ALL.iter().map(move |result| (*result, counts[place(result.wire())]))
    }

    /// How many labels of each class are known.
    pub fn classes(&self) -> impl Iterator<Item = (LabelClass, u64)> + use<> {
        let counts = self.known().classes;
        LabelClass::ALL.iter().map(move |class| (*class, counts[place(class.wire())]))
    }
}

impl Known {
    fn count(&mut self, rule: &str, class: LabelClass) -> &mut u64 {
        let labels = self.rules.entry(rule.to_owned()).or_default();
        if class.is_fraud() { &mut labels.fraud } else { &mut labels.good }
    }
}

/// Codes are numbered from 1 without gaps.
const fn place(number: u8) -> usize {
    number as usize - 1
}

const _: () = assert!(Final::ALL.len() == Final::Expired.wire() as usize);
const _: () = assert!(LabelClass::ALL.len() == LabelClass::Genuine.wire() as usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn the_later_word_counts_and_the_same_word_twice_does_not() {
        let known = Aftermath::new(10);
        let id = RequestId([1; 16]);
        let result = |result, time| KeptResult { result, time: at(time) };
        assert_eq!(known.asks_result(id, result(Final::Authorised, 5)), Ok(Told::New));
        assert_eq!(known.keep_result(id, result(Final::Authorised, 5)), None);
        for (what, time, told) in [
            (Final::Authorised, 5, Ok(Told::Known)),
            (Final::Declined, 4, Ok(Told::Known)),
            (Final::Declined, 5, Err(Refusal::IdConflict)),
            (Final::Reversed, 6, Ok(Told::New)),
        ] {
            assert_eq!(known.asks_result(id, result(what, time)), told, "{what:?} {time}");
        }
        assert_eq!(known.keep_result(id, result(Final::Reversed, 6)), Some(result(Final::Authorised, 5)));
        let counted: u64 = known.finals().map(|(_, count)| count).sum();
        assert_eq!(counted, 1, "of one request one result is counted");
    }

    #[test]
    fn precision_follows_what_is_known_of_the_payments_that_a_rule_hit() {
        let known = Aftermath::new(3);
        let payment = |number: u8| Pseudonym([number; 16]);
        known.hit(payment(1), ["a", "b"].into_iter());
        known.hit(payment(1), ["b", "c"].into_iter());
        known.hit(payment(2), ["a"].into_iter());
        let label = |number: u8, class, known_at| {
            let rules = known.rules_that_hit(payment(number));
            known.keep_label(payment(number), KeptLabel { class, known_at: at(known_at), rules });
        };
        label(1, LabelClass::Scam, 1);
        label(2, LabelClass::Genuine, 1);
        let of = |rule: &str| known.rules()[rule];
        assert_eq!(of("a"), RuleLabels { fraud: 1, good: 1 });
        assert_eq!((of("b").precision(), of("c").fraud), (Some(1.0), 1));
        // An investigation finds that nothing was wrong after all.
        label(1, LabelClass::Genuine, 2);
        assert_eq!(of("a"), RuleLabels { fraud: 0, good: 2 });
        // Labels that are forgotten are no longer counted.
        (3..6).for_each(|number| label(number, LabelClass::Mule, 3));
        assert_eq!(of("a"), RuleLabels::default());
        assert_eq!(known.classes().map(|(_, count)| count).sum::<u64>(), 3);
    }
}
