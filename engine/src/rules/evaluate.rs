//! Evaluation: every rule that applies to a request, over atoms that are each asked once.
//!
//! Enforced and shadow rules go through the same function and the same answers; only the place of their hits differs.

use super::compile::{Answers, Program};
use super::index::{Alive, Builder, Index, Marks};
use super::interpret::Scene;
use super::ir::Condition;
use super::set::{Mode, Rule, RuleSet};
use super::settings::end_of;
use super::truth::Truth;
use crate::facts::Facts;
use crate::request::KeyName;
use crate::velocity::spec::KindSet;
use jiff::tz::TimeZone;
use sparr_protocol::time::Timestamp;

/// What an evaluation found; reused from request to request, so that it allocates only until it is warm.
///
/// Rules are named by their places in [`RuleSet::rules`], in rising order.
#[derive(Debug, Default)]
pub struct Hits {
    /// Enforced rules that hit.
    pub enforced: Vec<usize>,
    /// Shadow rules that hit: they change nothing.
    pub shadow: Vec<usize>,
    /// Enforced rules in which a calculation failed: any of them might have hit.
    pub errors: Vec<usize>,
    /// Shadow rules in which a calculation failed: they change nothing.
    pub shadow_errors: Vec<usize>,
    search: Search,
}

/// What a search needs: memory that is kept from request to request.
#[derive(Debug, Default)]
struct Search {
    answers: Answers,
    alive: Alive,
    hits: Marks,
    asked: Marks,
}

impl Hits {
    /// Forgets the last evaluation, and keeps its memory.
    pub fn clear(&mut self) {
        self.enforced.clear();
        self.shadow.clear();
        self.errors.clear();
        self.shadow_errors.clear();
    }
}

/// What must be so before a rule's condition is asked.
pub(super) struct Gate {
    rule: usize,
    /// Number of its condition in the program.
    condition: usize,
    kinds: KindSet,
    /// The rule is evaluated before this time.
    until: Timestamp,
    /// `None` where the rule is for everybody.
    rollout: Option<Rollout>,
}

/// A share of all payers, always the same ones.
struct Rollout {
    percent: u8,
    /// BLAKE3 of the rule's id: another rule takes other payers.
    key: [u8; blake3::KEY_LEN],
}

impl Rollout {
    fn takes(&self, payer: &[u8; 16]) -> bool {
        let digest = blake3::keyed_hash(&self.key, payer);
        let (first, _) = digest.as_bytes().split_at(8);
        let number = first.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        number % 100 < u64::from(self.percent)
    }
}

/// The rules of a set that are not off.
#[derive(Default)]
pub(super) struct Gates {
    enforced: Group,
    shadow: Group,
}

/// The rules of one mode, in the order of the files, and the way to those that a request may concern.
#[derive(Default)]
struct Group {
    gates: Vec<Gate>,
    builder: Builder,
    index: Index,
}

impl Group {
    fn add(&mut self, gate: Gate, condition: &Condition) {
        let plain = gate.rollout.is_none() && gate.until == Timestamp::from_ms(i64::MAX);
        self.builder.add(self.gates.len(), gate.rule, plain, gate.kinds, condition);
        self.gates.push(gate);
    }
}

impl Gates {
    /// Adds the rule at a place; a rule that is off is left out.
    pub(super) fn add(&mut self, at: usize, rule: &Rule, condition: usize, zone: &TimeZone) {
        let gate = Gate {
            rule: at,
            condition,
            kinds: rule.kinds,
            until: rule.expires.map_or(Timestamp::from_ms(i64::MAX), |day| end_of(day, zone)),
            rollout: (rule.rollout < 100).then(|| Rollout {
                percent: rule.rollout,
                key: *blake3::hash(rule.id.as_bytes()).as_bytes(),
            }),
        };
        match rule.mode {
            Mode::Off => {}
            Mode::Shadow => self.shadow.add(gate, &rule.condition),
            Mode::Enforce => self.enforced.add(gate, &rule.condition),
        }
    }

    /// Makes the ways to the rules, once all of them are there.
    pub(super) fn build(&mut self, program: &Program) {
        for group in [&mut self.enforced, &mut self.shadow] {
            group.index = std::mem::take(&mut group.builder).build(program);
        }
    }

    /// How many rules are evaluated.
    pub(super) fn len(&self) -> usize {
        self.enforced.gates.len() + self.shadow.gates.len()
    }
}

/// The payer as rollouts know them, looked up when the first rule asks.
pub(super) struct Payer<'f> {
    facts: &'f Facts<'f>,
    known: Option<[u8; 16]>,
}

impl<'f> Payer<'f> {
    pub(super) fn of(facts: &'f Facts<'f>) -> Self {
        Self { facts, known: None }
    }

    /// The first of person, card, account and device that the request carries, else the request itself.
    fn bytes(&mut self) -> &[u8; 16] {
        let facts = self.facts;
        self.known.get_or_insert_with(|| {
            [KeyName::Subject, KeyName::Card, KeyName::Account, KeyName::Device]
                .into_iter()
                .find_map(|name| facts.key(name))
                .map_or_else(|| facts.request.view().request_id().0, |pseudonym| pseudonym.0)
        })
    }
}

impl Gate {
    /// Whether the rule is evaluated for this request.
    fn opens(&self, payer: &mut Payer<'_>, now: Timestamp) -> bool {
        self.kinds.contains(payer.facts.request.view().kind())
            && now < self.until
            && self.rollout.as_ref().is_none_or(|rollout| rollout.takes(payer.bytes()))
    }
}

impl RuleSet {
    /// Evaluates every rule that applies to a request. Allocates nothing once `hits` has been used with this set.
    pub fn evaluate(&self, facts: &Facts<'_>, now: Timestamp, hits: &mut Hits) {
        self.evaluate_enforced(facts, now, hits);
        let Hits { shadow, shadow_errors, search, .. } = hits;
        self.ask(&self.gates.shadow, facts, now, search, shadow, shadow_errors);
    }

    /// Evaluates the enforced rules alone: what an engine does that has no time left for shadows.
    pub fn evaluate_enforced(&self, facts: &Facts<'_>, now: Timestamp, hits: &mut Hits) {
        hits.clear();
        hits.search.answers.reset(&self.program);
        let Hits { enforced, errors, search, .. } = hits;
        self.ask(&self.gates.enforced, facts, now, search, enforced, errors);
    }

    /// Whether any rule of the set is tried in the shadow.
    pub fn has_shadow(&self) -> bool {
        !self.gates.shadow.gates.is_empty()
    }

    /// Evaluates every rule that applies, one after the other and without the index: what the index is held against.
    pub fn evaluate_plainly(&self, facts: &Facts<'_>, now: Timestamp, hits: &mut Hits) {
        hits.clear();
        hits.search.answers.reset(&self.program);
        let scene = Scene { facts, lists: &self.lists, now };
        let Hits { enforced, errors, shadow, shadow_errors, search, .. } = hits;
        let answers = &mut search.answers;
        for (gates, hits, errors) in
            [(&self.gates.enforced, enforced, errors), (&self.gates.shadow, shadow, shadow_errors)]
        {
            let mut payer = Payer::of(facts);
            for gate in gates.gates.iter().filter(|gate| gate.opens(&mut payer, now)) {
                match self.program.truth(gate.condition, scene, answers) {
                    Truth::True => hits.push(gate.rule),
                    Truth::Error(_) => errors.push(gate.rule),
                    Truth::False | Truth::Absent => {}
                }
            }
        }
    }

    fn ask(
        &self,
        group: &Group,
        facts: &Facts<'_>,
        now: Timestamp,
        search: &mut Search,
        hits: &mut Vec<usize>,
        errors: &mut Vec<usize>,
    ) {
        if group.gates.is_empty() {
            return;
        }
        let scene = Scene { facts, lists: &self.lists, now };
        let mut payer = Payer::of(facts);
        let Search { answers, alive, hits: hit, asked } = search;
        hit.fit(self.rules.len());
        asked.fit(self.rules.len());
        group.index.narrow(scene, facts.request.view().kind(), &self.program, answers, alive);
        for place in alive.places() {
            let term = group.index.term(place);
            let rule = term.rule as usize;
            if term.sure && term.plain {
                hit.mark(rule);
                continue;
            }
            // What a rule comes to as a whole, it comes to for each of its terms.
            if asked.has(rule) || hit.has(rule) {
                continue;
            }
            let gate = &group.gates[term.gate as usize];
            if !term.plain && !gate.opens(&mut payer, now) {
                continue;
            }
            if term.sure {
                hit.mark(rule);
                continue;
            }
            asked.mark(rule);
            match self.program.truth(gate.condition, scene, answers) {
                Truth::True => hit.mark(rule),
                Truth::Error(_) => errors.push(rule),
                Truth::False | Truth::Absent => {}
            }
        }
        hit.drain(|rule| hits.push(rule));
        asked.drain(|_| {});
        errors.sort_unstable();
    }

    /// The rules that are evaluated for a request, enforced ones first.
    pub(super) fn applying<'s>(
        &'s self,
        facts: &'s Facts<'_>,
        now: Timestamp,
    ) -> impl Iterator<Item = usize> {
        let mut payer = Payer::of(facts);
        let gates = self.gates.enforced.gates.iter().chain(&self.gates.shadow.gates);
        gates.filter(move |gate| gate.opens(&mut payer, now)).map(|gate| gate.rule)
    }
}
