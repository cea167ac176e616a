//! An entry of the log as a line of JSON: pseudonyms, references, numbers; nothing that only a person should know.

use super::again::{self, Sets};
use super::query::Names;
use crate::decisions::{Entry, Gap, Logged, LoggedBasis};
use crate::facts::ActingFlag;
use crate::indicators::Evidence;
use crate::request::{About, KeyName};
use crate::rules::{Action, RuleExplanation, RuleSet, Truth};
use crate::state::State;
use crate::velocity::Reading;
use crate::velocity::spec::{KeyExpr, Mark, Measure, ReadingSpec};
use serde_json::{Value, json};
use sparr_protocol::exchange::{DecisionDetail, DecisionPlace};
use sparr_protocol::ids::RequestId;

/// What lines are made with.
pub(super) struct Lines<'a> {
    pub(super) state: &'a State,
    pub(super) sets: Sets<'a>,
    pub(super) detail: DecisionDetail,
}

impl Lines<'_> {
    /// An entry.
    pub(super) fn of(&mut self, at: DecisionPlace, entry: &Entry, names: &mut Names<'_>) -> Value {
        let mut line = match entry {
            Entry::Decision(logged) if self.detail.export => {
                super::export::request(logged, &self.state.keyring)
            }
            Entry::Decision(logged) => self.decision(logged, names),
            Entry::Gap(gap) => json!({ "gap": gap_of(gap) }),
            Entry::Began { at, epoch } => json!({ "began": { "at": at.to_string(), "epoch": epoch } }),
            Entry::Stopped { at } => json!({ "stopped": { "at": at.to_string() } }),
        };
        line["place"] = place_of(at);
        line
    }

    fn decision(&mut self, logged: &Logged, names: &mut Names<'_>) -> Value {
        let response = &logged.response;
        let digest = response.rule_set_digest;
        let reason = {
            let set = self.sets.of_answer(logged);
            move |code: sparr_protocol::response::ReasonCode| {
                let name = set.and_then(|set| set.reasons().name(code));
                name.map_or_else(|| code.0.to_string(), str::to_owned)
            }
        };
        let mut line = response.to_json(reason);
        line["answered_at"] = logged.answered_at.to_string().into();
        if let Some(kept) = &logged.request {
            let request = kept.request();
            let view = request.view();
            line["kind"] = view.kind().name().into();
            line["event_time"] = request.event_time().to_string().into();
            line["amount_minor"] = view.amount_minor().into();
            line["currency"] = view.currency().map(|currency| currency.to_string()).into();
            // Whatever a member calls its payments: nobody has checked what it put there.
            let payment = request.payment(&self.state.keyring);
            line["payment"] = payment.map(|payment| RequestId(payment.0).to_string()).into();
            line["merchant_id"] = view.merchant_id().into();
            let about = kept.known().all().map(|(about, live)| {
                (about.name().to_owned(), Value::from(RequestId(live.current.1.0).to_string()))
            });
            line["about"] = about.collect::<serde_json::Map<_, _>>().into();
        }
        // An answer that was given before and is given again was decided on nothing.
        line["repeated"] = (response.answer.is_ok() && logged.basis.is_none()).into();
        if let Some(basis) = &logged.basis {
            let mut named = |places: &[u16]| -> Vec<String> {
                places.iter().map(|place| names.rule(digest, *place)).collect()
            };
            line["rules"] = named(&basis.enforced).into();
            line["shadow"] = named(&basis.shadow).into();
            line["silenced"] = named(&basis.silent).into();
            line["flags"] = basis.flags.iter().map(flag_of).collect();
            line["indicators"] = basis.indicators.iter().map(|found| self.indicator_of(found)).collect();
        }
        if self.detail.rerun {
            line["rerun"] = again::rerun(logged, &mut self.sets, &self.state.keyring);
        }
        if self.detail.explain {
            line["explained"] = self.explained(logged);
        }
        line
    }

    /// An indicator as it was, and where its receipt stands now.
    fn indicator_of(&self, (about, evidence): &(About, Evidence)) -> Value {
        let Evidence { hit, contested, grade, class, role, attested, sources, strongest } = evidence;
        let mut value = json!({
            "on": about.name(), "hit": hit, "contested": contested, "grade": grade.name(), "class": class.as_str(),
            "role": role.map(|role| role.name()), "attested": attested.map(|by| by.name()), "sources": sources,
        });
        if let Some((id, registrar)) = strongest {
            value["id"] = RequestId(id.0).to_string().into();
            value["registrar"] = registrar.to_string().into();
            if self.detail.explain
                && let Some(known) = self.state.stores.indicators.of(*id)
            {
                let receipt = known.receipt().map(|(receipt, by)| {
                    json!({
                        "reference": receipt.reference, "by": by.name(), "received_at": receipt.received_at.to_string(),
                    })
                });
                value["receipt"] = receipt.into();
                let now = self.state.now(crate::server::clock::moment());
                value["standing_now"] = known.standing(now).name().into();
            }
        }
        value
    }

    fn explained(&mut self, logged: &Logged) -> Value {
        let keyring = &self.state.keyring;
        let Some((rules, set)) = again::explained(logged, &mut self.sets, keyring) else {
            return Value::Null;
        };
        let rules: Vec<Value> = rules.iter().map(|rule| rule_of(rule, set)).collect();
        let reasons: Vec<_> = match &logged.response.answer {
            Ok(decided) => decided.reasons.iter().filter_map(|code| set.reasons().get(code)).collect(),
            Err(_) => Vec::new(),
        };
        let analyst: Vec<Value> =
            reasons.iter().map(|reason| json!({ "reason": reason.name, "says": reason.analyst })).collect();
        let velocity = logged.basis.iter().flat_map(|basis| velocity_of(basis, set)).collect::<Vec<_>>();
        json!({
            "rules": rules, "velocity": velocity, "analyst": analyst,
            "customer": reasons.first().map(|reason| reason.customer.as_str()),
        })
    }
}

/// Something that is not as it was written.
pub(super) fn damage_of(at: DecisionPlace, what: &str) -> Value {
    json!({ "damage": what, "place": place_of(at) })
}

fn place_of(at: DecisionPlace) -> Value {
    json!({ "segment": at.segment, "at": at.at })
}

fn gap_of(gap: &Gap) -> Value {
    let Gap { from, until, missing, why } = gap;
    json!({ "from": from.to_string(), "until": until.to_string(), "missing": missing, "why": why.name() })
}

fn flag_of(flag: &ActingFlag) -> Value {
    let ActingFlag { registrar, terms, is_open } = flag;
    json!({
        "registrar": registrar.to_string(), "wish": terms.wish.name(), "reason": terms.reason.name(),
        "valid_until": terms.valid_until.to_string(), "opened_by_pass": is_open,
    })
}

fn rule_of(rule: &RuleExplanation, set: &RuleSet) -> Value {
    let compiled = &set.rules()[rule.rule];
    let does = match compiled.action {
        Action::Outcome(outcome) => json!({ "outcome": outcome.name() }),
        Action::Review(review) => json!({ "review": review.name() }),
        Action::Score(score) => json!({ "score": score }),
    };
    let result = match rule.truth {
        Truth::True => "hit",
        Truth::False => "no_hit",
        Truth::Absent => "absent",
        Truth::Error(fault) => fault.text(),
    };
    let parts: Vec<Value> = rule
        .parts
        .iter()
        .map(|part| json!({ "line": part.line, "depth": part.depth, "text": part.text, "value": part.value }))
        .collect();
    json!({
        "id": rule.id, "mode": rule.mode.name(), "file": compiled.location.file, "line": compiled.location.line,
        "hit": rule.truth == Truth::True, "result": result, "does": does, "description": rule.description, "parts": parts,
    })
}

/// What was read of windows, by how rules ask for it; what the request does not carry is left out.
fn velocity_of(basis: &LoggedBasis, set: &RuleSet) -> Vec<Value> {
    let specs = set.plan().keys().iter().flat_map(|plan| &plan.readings);
    let read = specs.filter_map(|(index, spec)| {
        let (value, exact) = match basis.readings.get(index.0)? {
            Reading::Absent => return None,
            Reading::Unknown => (Value::Null, false),
            Reading::Exact(value) => ((*value).into(), true),
            Reading::Capped(value) => ((*value).into(), false),
        };
        Some(json!({ "reading": spec_text(spec), "value": value, "exact": exact }))
    });
    read.collect()
}

fn key_text(key: KeyExpr) -> String {
    let second = key.second.map_or_else(String::new, |second| format!(", {}", KeyName::name(second)));
    format!("{}{second}", key.first.name())
}

/// A reading, much as a rule asks for it.
fn spec_text(spec: &ReadingSpec) -> String {
    let (key, span) = (key_text(spec.key), crate::rules::duration_text(spec.span_ms));
    let of = |what: &str| format!("velocity({key}, \"{span}\").{what}");
    match spec.measure {
        Measure::Count => of("count"),
        Measure::Sum => of("sum"),
        Measure::Max => of("max"),
        Measure::Distinct(name) => of(&format!("distinct({})", name.name())),
        Measure::Marked(Mark::DeclinedBySparr) => of("declined"),
        Measure::Marked(Mark::DeclinedFinal) => of("declined_final"),
        Measure::FirstSeen => format!("first_seen({key}, \"{span}\")"),
    }
}
