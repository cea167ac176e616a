//! The decision path: bytes in, answer out. Newcomers start here.
//!
//! Everything comes in as an argument: the state, the rule set, the time. Nothing here waits, reads a clock, touches
//! a file or keeps anything but what [`State`] is for.

mod asked;
mod basis;
mod stage;

pub use asked::{Asked, Stopped, Stopwatch};
pub use basis::Basis;
pub use stage::{Stage, StageObserver, Unobserved};

use crate::decision::{self, Floor};
use crate::exchanged;
use crate::facts::{Facts, Gathering, Wanted};
use crate::ids::{Binding, BodyDigest, CallerNo, Known};
use crate::limits::{EVENT_EARLY_MS_MAX, EVENT_LATE_MS_MAX};
use crate::request::{KeyName, Noted, Request};
use crate::rules::Hits;
use crate::state::{ActiveRules, State};
use crate::velocity::Reading;
use crate::velocity::spec::Mark;
use sparr_protocol::codes::Outcome;
use sparr_protocol::exchange::{Look, LookedBy};
use sparr_protocol::field::Field;
use sparr_protocol::ids::{Pseudonym, RequestId};
use sparr_protocol::response::{
    AuthorisationResponse, Checked, Decided, Degraded, Natural, NotScreened, ReasonCode, Why,
};
use sparr_protocol::time::Timestamp;
use sparr_protocol::view::RequestView;
use std::hash::{BuildHasher as _, Hasher as _};

/// What a screening needs beside the state, reused from request to request so that it allocates nothing.
#[derive(Default)]
pub struct Scratch {
    pub(crate) readings: Vec<Reading>,
    pub(crate) folding: Folding,
    noted: Option<Noted>,
    basis: Basis,
}

/// What rules are evaluated and folded in.
#[derive(Default)]
pub(crate) struct Folding {
    pub(crate) hits: Hits,
    ranked: Vec<(u16, ReasonCode)>,
    /// Places of rules that are silent for the request.
    silent: Vec<usize>,
}

impl Scratch {
    /// What the last screened request read of windows, by place in the plan of its rule set.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// What was worked out of the last screened request, if it came so far.
    pub fn noted(&self) -> Option<&Noted> {
        self.noted.as_ref()
    }

    /// Forgets the last screened request: what follows is about another message.
    pub fn forget(&mut self) {
        self.folding.hits.clear();
        self.readings.clear();
        self.noted = None;
        self.basis.clear();
    }

    /// What the last screened request was decided on, for the decision log.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// Places of the rules that exemptions silenced for the last screened request.
    pub fn silent(&self) -> &[usize] {
        if self.basis.evaluated { &self.folding.silent } else { &[] }
    }

    /// The rules that the last screened request hit, for counting.
    pub fn hits(&self) -> &Hits {
        &self.folding.hits
    }
}

/// Screens one message of kind [`Screen`](sparr_protocol::frame::MessageKind::Screen).
pub fn screen(
    message: &[u8],
    asked: Asked<'_>,
    state: &State,
    rules: Option<&ActiveRules>,
    scratch: &mut Scratch,
    observer: &mut impl StageObserver,
) -> AuthorisationResponse {
    let parsed = Request::parse(message, &state.keyring, asked.moment.today, state.now(asked.moment));
    screen_parsed((message, parsed.as_ref()), asked, state, rules, scratch, observer)
}

/// The same for a message that was read before: where many are at hand, reading them needs no order.
pub(crate) fn screen_parsed(
    (message, parsed): (&[u8], Result<&Request<'_>, &NotScreened>),
    asked: Asked<'_>,
    state: &State,
    rules: Option<&ActiveRules>,
    scratch: &mut Scratch,
    observer: &mut impl StageObserver,
) -> AuthorisationResponse {
    let response = answer((message, parsed), asked, state, rules, scratch, observer);
    if let Some(person) = parsed.ok().and_then(Request::subject) {
        state.canary.answered(person, &response, asked.moment.now);
    }
    response
}

fn answer(
    (message, parsed): (&[u8], Result<&Request<'_>, &NotScreened>),
    asked: Asked<'_>,
    state: &State,
    rules: Option<&ActiveRules>,
    scratch: &mut Scratch,
    observer: &mut impl StageObserver,
) -> AuthorisationResponse {
    scratch.forget();
    let staleness_ms = state.staleness_ms(asked.moment);
    let unanswered = |id: RequestId, not_screened: NotScreened| AuthorisationResponse {
        request_id: id,
        answer: Err(not_screened),
        rule_set_digest: rules.map(|active| active.set.digest()).unwrap_or_default(),
        position: state.position(),
        staleness_ms,
        degraded: exchanged::degraded(staleness_ms),
        natural: None,
        checked: Checked::default(),
        engine_us: asked.since_read.elapsed_us(),
    };

    let id = message.first_chunk().map_or(RequestId::UNREADABLE, |id| RequestId(*id));
    let request = match parsed {
        Ok(request) => request,
        Err(not_screened) => return unanswered(id, *not_screened),
    };
    if let Some(person) = request.subject() {
        state.honey.is_touched_by(person);
        state.screened_people.observe(person.current.1);
        state.exchange.screened(request.view().kind().wire());
    }
    observer.ended(Stage::Parse);

    let now = state.seeing(asked.moment, request.event_time());
    match admit(request, asked, now, state) {
        Ok(None) => {}
        Ok(Some(repeated)) => return repeated,
        Err(not_screened) => return unanswered(id, not_screened),
    }
    let admitted = Admitted { id, caller: asked.caller, state };
    let Some(rules) = rules else { return unanswered(id, Why::NoRules.into()) };
    if let Err(not_screened) = check(request, now, staleness_ms, state) {
        return unanswered(id, not_screened);
    }
    observer.ended(Stage::Admit);

    let wanted = Wanted {
        plan: rules.set.plan(),
        observed_since: &rules.observed_since,
        rates: rules.set.rates(),
        zone: rules.set.zone(),
        began: state.began(),
    };
    scratch.readings.resize(wanted.plan.readings(), Reading::Absent);
    let mut facts = Facts::gather(
        request,
        &state.stores,
        &wanted,
        &state.keyring,
        now,
        Gathering::Observe,
        &mut scratch.readings,
    );
    scratch.noted = Some(facts.noted());
    observer.ended(Stage::Gather);

    if asked.without_shadow && rules.set.has_shadow() {
        rules.set.evaluate_enforced(&facts, now, &mut scratch.folding.hits);
        facts.degraded.insert(Degraded::SHADOW_SHED);
    } else {
        rules.set.evaluate(&facts, now, &mut scratch.folding.hits);
    }
    observer.ended(Stage::Evaluate);

    let of_this_payment = authentication_is_of_this_payment(request, asked.caller, state);
    let floor = Floor::of(&facts, now, state.policy.verify_unavailable, of_this_payment);
    scratch.basis.note(&facts, now, of_this_payment);
    let Folded { decided, natural, mut degraded } =
        fold(&facts, rules, floor, now, state, &mut scratch.folding);
    degraded.insert(exchanged::degraded(staleness_ms));
    let response = AuthorisationResponse {
        answer: decided.map_err(NotScreened::from),
        degraded,
        natural,
        checked: facts.checked,
        ..unanswered(id, Why::RuleError.into())
    };
    let is_declined = response.answer.is_ok_and(|decided| decided.outcome == Outcome::Decline);
    if is_declined {
        facts.mark(&state.stores, Mark::DeclinedBySparr);
    }
    state.exchange.tell_own(|| facts.seen(is_declined));
    if let Some(person) = facts.flagged {
        note_look(person, &response, now, state);
    }
    admitted.answered(response);
    observer.ended(Stage::Decide);
    response
}

/// What evaluated rules come to.
pub(crate) struct Folded {
    pub(crate) decided: Result<Decided, Why>,
    /// What would have been decided without exemptions, where that is something else.
    pub(crate) natural: Option<Natural>,
    pub(crate) degraded: Degraded,
}

/// Folds the rules that hit, without those that are silent for this request, with the floor.
pub(crate) fn fold(
    facts: &Facts<'_>,
    rules: &ActiveRules,
    floor: Floor,
    now: Timestamp,
    state: &State,
    folding: &mut Folding,
) -> Folded {
    let Folding { hits, ranked, silent } = folding;
    find_silent(facts, rules, hits, now, state, silent);
    let decided = decision::fold_exempted(&rules.set, hits, floor, silent, ranked);
    let natural = decided.ok().and_then(|(_, natural)| natural);
    let mut degraded = facts.degraded;
    if natural.is_some() {
        degraded.insert(Degraded::EXEMPTED);
    }
    Folded { decided: decided.map(|(decided, _)| decided), natural, degraded }
}

/// Finds the rules among those that hit or failed which exemptions silence for this request.
fn find_silent(
    facts: &Facts<'_>,
    rules: &ActiveRules,
    hits: &Hits,
    now: Timestamp,
    state: &State,
    silent: &mut Vec<usize>,
) {
    silent.clear();
    if state.exemptions.is_empty() || hits.enforced.is_empty() {
        return;
    }
    // A person is known under each live key; what else is exempt is looked up under the current one.
    let live = facts.request.subject();
    let subject = live.iter().flat_map(|live| live.iter().map(|(_, one)| one));
    let others = [KeyName::Card, KeyName::Account].into_iter().filter_map(|name| facts.key(name));
    for value in subject.chain(others) {
        state.exemptions.visit(state.member(), value, now, |names, two_persons| {
            let is_silent = |place: &&usize| {
                let rule = &rules.set.rules()[**place];
                names.contains(&rule.id) && (two_persons || !rule.reads_indicators)
            };
            silent.extend(hits.enforced.iter().chain(&hits.errors).filter(is_silent));
        });
    }
}

/// Remembers that a flagged person was looked up, and what came of it: the person may ask.
fn note_look(person: Pseudonym, response: &AuthorisationResponse, now: Timestamp, state: &State) {
    let (outcome, review) =
        response.answer.as_ref().map_or((0, 0), |decided| (decided.outcome.wire(), decided.review.wire()));
    if let Some(kind) = state.members.kind(state.member()) {
        let look = Look { at: now, kind, by: LookedBy::Screening, outcome, review };
        state.stores.flags.looks.note(person, look);
    }
}

/// A request whose id is reserved: it is given back unless an answer is kept under it.
struct Admitted<'a> {
    id: RequestId,
    caller: CallerNo,
    state: &'a State,
}

impl Admitted<'_> {
    fn answered(self, response: AuthorisationResponse) {
        self.state.ids.answer(self.id, self.caller, response);
        std::mem::forget(self);
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.state.ids.release(self.id, self.caller);
    }
}

/// Looks the id up: `Some` is the answer that the same request got before.
fn admit(
    request: &Request<'_>,
    asked: Asked<'_>,
    now: Timestamp,
    state: &State,
) -> Result<Option<AuthorisationResponse>, NotScreened> {
    let view = request.view();
    if !state.is_ready() {
        return Err(Why::NotReady.into());
    }
    if view.deadline_us() != 0 && asked.since_read.elapsed_us() > view.deadline_us() {
        return Err(Why::DeadlinePassed.into());
    }
    let (body, binding) = (body_digest(view, state), binding(request, state));
    match state.ids.reserve(view.request_id(), asked.caller, body, binding, request.event_time(), now) {
        Known::Reserved => Ok(None),
        Known::Answered(answer) => Ok(Some(answer)),
        // Another core will have answered it in a moment: a retry gets that answer.
        Known::InFlight => Err(NotScreened { retry_after_ms: 1, ..Why::Overloaded.into() }),
        Known::Conflict => Err(NotScreened { field: Some(Field::RequestId), ..Why::IdConflict.into() }),
        Known::Forgotten => Err(NotScreened { field: Some(Field::EventTime), ..Why::TimeSkew.into() }),
    }
}

/// The engine's clock, the member's required fields, and the freshness of the state.
fn check(request: &Request<'_>, now: Timestamp, staleness_ms: u32, state: &State) -> Result<(), NotScreened> {
    let view = request.view();
    if !(-EVENT_EARLY_MS_MAX..=EVENT_LATE_MS_MAX).contains(&now.ms_since(request.event_time())) {
        return Err(NotScreened { field: Some(Field::EventTime), ..Why::TimeSkew.into() });
    }
    if let Some(missing) = state.policy.required.missing(view) {
        return Err(NotScreened { field: Some(missing), ..Why::FieldMissing.into() });
    }
    let accepted = Some(view.max_staleness_ms()).filter(|accepted| *accepted != 0);
    let limits = [accepted, state.policy.stale_after.of(view.kind())];
    if limits.into_iter().flatten().any(|limit| staleness_ms > limit) {
        return Err(Why::Stale.into());
    }
    Ok(())
}

/// Whether the request's authentication answers a challenge of this payment: it names no request, itself, or one
/// that this engine knows to have been about the same payer, amount and payee (dynamic linking, as article 5 of the
/// technical standards on strong customer authentication asks for).
pub(crate) fn authentication_is_of_this_payment(
    request: &Request<'_>,
    caller: CallerNo,
    state: &State,
) -> bool {
    match request.view().auth_of_request_id() {
        None => true,
        Some(id) if id == request.view().request_id() => true,
        Some(id) => state.ids.was_about(id, caller, binding(request, state)),
    }
}

/// A digest of the content, without what a retry may change. It lives in memory only, under a seed of this process.
fn body_digest(view: &RequestView<'_>, state: &State) -> BodyDigest {
    let (before, rest) = view.message().split_at(RequestView::CONTROL_BYTES.start);
    let mut hasher = state.seed.build_hasher();
    hasher.write(before);
    hasher.write(&rest[RequestView::CONTROL_BYTES.len()..]);
    BodyDigest(hasher.finish())
}

/// Payer, amount, currency and payee of a payment.
fn binding(request: &Request<'_>, state: &State) -> Binding {
    let view = request.view();
    let mut hasher = state.seed.build_hasher();
    let mut text = |text: Option<&str>| {
        hasher.write_u8(text.map_or(0, |_| 1));
        hasher.write(text.unwrap_or_default().as_bytes());
    };
    text(view.payee_account());
    text(view.merchant_id());
    hasher.write_i64(view.amount_minor().unwrap_or(i64::MIN));
    hasher.write_u16(view.currency().map_or(0, |currency| currency.wire()));
    if let Some(subject) = request.subject() {
        hasher.write(&subject.current.1.0);
    }
    Binding(hasher.finish())
}
