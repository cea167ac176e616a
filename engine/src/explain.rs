//! Why a request was decided as it was, in words: the flags that acted, the rules that hit, the values they read.
//!
//! It gathers again without observing, so a past request is explained with what is known now; where that has
//! changed since, the explanation says what would be decided now.

use crate::decision::{self, Floor};
use crate::facts::{ActingFlag, Facts, Gathering, Wanted};
use crate::ids::CallerNo;
use crate::request::Request;
use crate::rules::{Action, Hits, Mode, RuleExplanation, RuleSet, Truth};
use crate::screen::authentication_is_of_this_payment;
use crate::state::{ActiveRules, Moment, State};
use crate::velocity::Reading;
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::money::format_amount;
use sparr_protocol::response::{Decided, NotScreened};
use std::fmt::Write as _;

/// Why a request is decided as it is.
pub struct Explanation {
    /// The decision.
    pub decided: Result<Decided, NotScreened>,
    /// The flags that act on it.
    pub flags: Vec<ActingFlag>,
    /// The rules that hit.
    pub rules: Vec<RuleExplanation>,
    summary: String,
}

/// What each rule that applies to a message made of it, hit or not.
pub(crate) fn every_rule(
    message: &[u8],
    moment: Moment,
    state: &State,
    rules: &ActiveRules,
) -> Result<Vec<RuleExplanation>, NotScreened> {
    let now = state.now(moment);
    let request = Request::parse(message, &state.keyring, moment.today, now)?;
    let wanted = wanted(state, rules);
    let mut readings = vec![Reading::Absent; wanted.plan.readings()];
    let (stores, keyring) = (&state.stores, &state.keyring);
    let facts = Facts::gather(&request, stores, &wanted, keyring, now, Gathering::Peek, &mut readings);
    Ok(rules.set.explain(&facts, now))
}

fn wanted<'a>(state: &State, rules: &'a ActiveRules) -> Wanted<'a> {
    Wanted {
        plan: rules.set.plan(),
        observed_since: &rules.observed_since,
        rates: rules.set.rates(),
        zone: rules.set.zone(),
        began: state.began(),
    }
}

/// Explains a message of kind [`Screen`](sparr_protocol::frame::MessageKind::Screen).
pub fn explain(
    message: &[u8],
    caller: CallerNo,
    moment: Moment,
    state: &State,
    rules: &ActiveRules,
) -> Result<Explanation, NotScreened> {
    let now = state.now(moment);
    let request = Request::parse(message, &state.keyring, moment.today, now)?;
    let wanted = wanted(state, rules);
    let mut readings = vec![Reading::Absent; wanted.plan.readings()];
    let (stores, keyring) = (&state.stores, &state.keyring);
    let facts = Facts::gather(&request, stores, &wanted, keyring, now, Gathering::Peek, &mut readings);
    let mut hits = Hits::default();
    rules.set.evaluate(&facts, now, &mut hits);
    let of_this_payment = authentication_is_of_this_payment(&request, caller, state);
    let floor = Floor::of(&facts, now, state.policy.verify_unavailable, of_this_payment);
    let decided = decision::fold(&rules.set, &hits, floor, &mut Vec::new()).map_err(NotScreened::from);
    let hit = |rule: &RuleExplanation| rule.truth == Truth::True && rule.mode == Mode::Enforce;
    Ok(Explanation {
        decided,
        flags: facts.flags.iter().copied().collect(),
        rules: rules.set.explain(&facts, now).into_iter().filter(hit).collect(),
        summary: summary(&request),
    })
}

fn summary(request: &Request<'_>) -> String {
    let view = request.view();
    let amount = view.amount_minor().zip(view.currency());
    let amount = amount
        .map_or_else(String::new, |(minor, currency)| format!(" of {}", format_amount(minor, currency)));
    format!("Request {}: {}{amount}", view.request_id(), view.kind().name())
}

impl Explanation {
    /// The explanation for a person who looks at it.
    pub fn words(&self, set: &RuleSet) -> String {
        let mut out = format!("{}\n", self.summary);
        match &self.decided {
            Ok(decided) => push(&mut out, format_args!("  {}", verdict(decided))),
            Err(not_screened) => push(&mut out, format_args!("  Not screened: {}.", not_screened.why.name())),
        }
        for flag in &self.flags {
            push(
                &mut out,
                format_args!(
                    "  Flag ({} wishes it): entered by {}, until {}{}.",
                    flag.terms.wish.name(),
                    flag.registrar,
                    flag.terms.valid_until,
                    if flag.is_open { "; a pass opens it for this payment" } else { "" }
                ),
            );
        }
        for rule in &self.rules {
            let does = match set.rules()[rule.rule].action {
                Action::Outcome(outcome) => outcome.name().to_owned(),
                Action::Review(review) => format!("review {}", review.name()),
                Action::Score(score) => format!("score {score}"),
            };
            push(&mut out, format_args!("  Rule {} ({does}): {}.", rule.id, rule.description));
            // The parts without parts of their own are the values that were read.
            for (part, next) in rule.parts.iter().zip(rule.parts.iter().skip(1).map(Some).chain([None])) {
                if next.is_none_or(|next| next.depth <= part.depth) && part.text != part.value {
                    push(&mut out, format_args!("      {} = {}", one_line(&part.text), part.value));
                }
            }
        }
        if let Ok(decided) = &self.decided {
            for reason in decided.reasons.iter().filter_map(|code| set.reasons().get(code)) {
                push(&mut out, format_args!("  Reason {}: {}", reason.name, reason.analyst));
            }
            let first = decided.reasons.iter().find_map(|code| set.reasons().get(code));
            if let Some(reason) = first {
                push(&mut out, format_args!("  What the customer may be told: {}", reason.customer));
            }
        }
        out
    }
}

fn verdict(decided: &Decided) -> String {
    let outcome = match decided.outcome {
        Outcome::Approve => "Approved: no objection",
        Outcome::Challenge => "Challenged: ask for strong authentication",
        Outcome::Decline => "Declined",
    };
    let review = match decided.review {
        Review::NoReview => "",
        Review::After => ", and to be looked at afterwards",
        Review::Hold => ", and held until somebody has looked at it",
    };
    format!("{outcome}{review}.")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(arguments);
    out.push('\n');
}
