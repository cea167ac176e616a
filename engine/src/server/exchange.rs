//! Operations of the exchange: rights, identity, and what can be answered without the journal.

use super::audit::{Event, Looked};
use super::clock;
use super::journal::{By, Intent};
use super::listing;
use super::lookups::Looking;
use super::standing;
use super::velocity;
use crate::metrics::WorkerStats;
use crate::request::{IndicatorValue, LivePseudonyms, ValueError, ValueKind};
use crate::rights::{Reach, Right, reach};
use crate::state::State;
use sparr_protocol::card::looks_like_card_number;
use sparr_protocol::codes::{AuthMethod, RequestedBy, SubjectKind};
use sparr_protocol::contact;
use sparr_protocol::exchange::{
    DecisionQuery, ExchangeAnswer, ExchangeError, ExchangeRequest, ExemptionOperation, IndicatorOperation,
    LookedBy, MemberOperation, Operation, OperationKind, RecallOperation, Refusal, RulesOperation, Said,
    SubjectText,
};
use sparr_protocol::exemption::ExemptionKey;
use sparr_protocol::flag::MerchantRef;
use sparr_protocol::identity::Subject;
use sparr_protocol::ids::{Actor, Pseudonym, RequestId};
use sparr_protocol::indicator::IndicatorKind;
use sparr_protocol::limits::REFERENCE_BYTES_MAX;
use sparr_protocol::time::Date;
use std::sync::atomic::Ordering;

/// What is to be done about an operation.
pub(super) enum Handled {
    /// These answers, now.
    Now(Vec<ExchangeAnswer>),
    /// Something about recalls.
    Recall(RecallOperation),
    /// A question about the decision log: its answer comes when it was read.
    Decisions(Box<DecisionQuery>),
    /// Something about rule sets: its answer comes when they are loaded.
    Rules(RulesOperation),
    /// A change: its answer comes from the journal.
    Change {
        /// The idempotency key.
        operation: RequestId,
        /// What is wanted.
        intent: Intent,
    },
}

/// Looks at one operation: who may, what it means, and what it needs.
pub(super) fn handle(
    id: RequestId,
    message: &[u8],
    actor: &Actor,
    state: &State,
    looking: &Looking,
    stats: &mut WorkerStats,
) -> Handled {
    let answered = match ExchangeRequest::decode(message).map_err(refusal) {
        Ok(request) => {
            let kind = request.operation.kind();
            stats.operation(kind);
            let mut looked = Looked::new(kind, actor, state.members.kind(actor.member));
            let answered = carry_out(request, actor, state, looking, &mut looked);
            if is_look_up(kind) { audited(answered, looked, looking) } else { answered }
        }
        Err(refusal) => Err(refusal),
    };
    let position = state.position();
    match answered {
        Ok(Done::Said(said)) => {
            Handled::Now(said.into_iter().map(|said| ExchangeAnswer { id, position, said }).collect())
        }
        Ok(Done::Rules(operation)) => Handled::Rules(operation),
        Ok(Done::Decisions(query)) => Handled::Decisions(query),
        // Other engines believe a member's engine what its own people did, and the police what they signed.
        Ok(Done::Change(intent))
            if state.exchange.is_networked()
                && actor.member != state.member()
                && !matches!(intent, Intent::Receipt { signature: Some(_), .. }) =>
        {
            stats.refused(Refusal::NotPermitted);
            Handled::Now(vec![ExchangeAnswer { id, position, said: Said::Refused(Refusal::NotPermitted) }])
        }
        Ok(Done::Recall(operation)) => Handled::Recall(operation),
        Ok(Done::Change(intent)) => Handled::Change { operation: id, intent },
        Err(refusal) => {
            stats.refused(refusal);
            Handled::Now(vec![ExchangeAnswer { id, position, said: Said::Refused(refusal) }])
        }
    }
}

enum Done {
    Said(Vec<Said>),
    Rules(RulesOperation),
    Decisions(Box<DecisionQuery>),
    Recall(RecallOperation),
    Change(Intent),
}

/// Operations that show what is known of somebody, or payments of many: each leaves a line in the audit, refused or not.
fn is_look_up(kind: OperationKind) -> bool {
    matches!(
        kind,
        OperationKind::FlagStatus
            | OperationKind::FlagReport
            | OperationKind::FlagList
            | OperationKind::VelocityShow
            | OperationKind::DecisionList
    )
}

/// Notes a look-up. What cannot be noted is not answered.
fn audited(answered: Result<Done, Refusal>, mut looked: Looked, looking: &Looking) -> Result<Done, Refusal> {
    match &answered {
        Ok(Done::Said(said)) => {
            looked.shown = Some(
                said.iter().filter(|one| matches!(one, Said::Flag(_) | Said::Velocity(_))).count() as u64,
            );
        }
        Ok(Done::Change(_) | Done::Rules(_) | Done::Decisions(_) | Done::Recall(_)) => {}
        Err(refusal) => looked.refused = Some(refusal.name().to_owned()),
    }
    looking.audit.note(Event::Looked(looked))?;
    answered
}

fn carry_out(
    request: ExchangeRequest,
    actor: &Actor,
    state: &State,
    looking: &Looking,
    looked: &mut Looked,
) -> Result<Done, Refusal> {
    let kind = state.members.acting_kind(actor.member).ok_or(Refusal::MemberSuspended)?;
    let reach = reach(kind, actor.role, Right::Exchange(request.operation.kind()));
    if reach == Reach::Nobody {
        return Err(Refusal::NotPermitted);
    }
    // Why it is not ready is what an operator asks then.
    if !state.is_ready() && request.operation != Operation::ExchangeStatus {
        return Err(Refusal::NotReady);
    }
    let moment = clock::moment();
    let now = state.now(moment);
    let by = |requested_by: RequestedBy, authenticated_by: AuthMethod| By { requested_by, authenticated_by };
    Ok(match request.operation {
        Operation::FlagRaise { subject, terms } => {
            Done::Change(Intent::Raise { subject: pseudonyms(&subject, state)?, terms })
        }
        Operation::FlagPlan { subject, terms } => {
            let change = listing::planned(pseudonyms(&subject, state)?, &terms, actor.member, state, now);
            Done::Said(vec![Said::Plan(change)])
        }
        Operation::FlagLift { subject, requested_by, authenticated_by, second_channel } => {
            let subject = pseudonyms(&subject, state)?;
            Done::Change(Intent::Lift { subject, by: by(requested_by, authenticated_by), second_channel })
        }
        Operation::FlagPass {
            subject,
            merchant,
            amount_minor,
            currency,
            until,
            requested_by,
            authenticated_by,
        } => Done::Change(Intent::Pass {
            subject: pseudonyms(&subject, state)?,
            merchant: merchant_ref(&merchant, state)?,
            amount_minor,
            currency,
            until,
            by: by(requested_by, authenticated_by),
        }),
        Operation::FlagExtend { subject, until, requested_by, authenticated_by } => {
            let subject = pseudonyms(&subject, state)?;
            Done::Change(Intent::Extend { subject, until, by: by(requested_by, authenticated_by) })
        }
        Operation::FlagLiftRequest { subject, registrar, requested_by, authenticated_by } => {
            let subject = pseudonyms(&subject, state)?;
            Done::Change(Intent::LiftRequest { subject, registrar, by: by(requested_by, authenticated_by) })
        }
        Operation::SubjectLink { old, new, linked, requested_by, authenticated_by } => {
            let (old, new) = (pseudonyms(&old, state)?, pseudonyms(&new, state)?);
            Done::Change(Intent::Link { old, new, linked, by: by(requested_by, authenticated_by) })
        }
        Operation::FlagOverride { subject, registrar } => {
            Done::Change(Intent::Override { subject: pseudonyms(&subject, state)?, registrar })
        }
        Operation::FlagStatus { subject } => {
            let subject = pseudonyms(&subject, state)?;
            looked_up(subject, actor, state, looking, looked)?;
            looked.flagged = listing::note_look(subject, kind, LookedBy::Status, state, now);
            Done::Said(listing::flags_of(subject, state, now))
        }
        Operation::FlagReport { subject } => {
            let subject = pseudonyms(&subject, state)?;
            looked_up(subject, actor, state, looking, looked)?;
            looked.flagged = listing::note_look(subject, kind, LookedBy::Status, state, now);
            Done::Said(listing::report(subject, state, now))
        }
        Operation::FlagList => Done::Said(listing::flags(reach, actor.member, state, now)),
        Operation::Indicator(operation) => indicator(operation, reach, actor, state)?,
        Operation::Member(operation) => member(operation, state)?,
        // Whose rules and exemptions they are is settled by whose engine this is.
        Operation::Exemption(_)
        | Operation::Rules(_)
        | Operation::Recall(_)
        | Operation::VelocityShow { .. }
        | Operation::DecisionList(_)
            if actor.member != state.member() =>
        {
            return Err(Refusal::NotPermitted);
        }
        Operation::Exemption(operation) => exemption(operation, actor, state)?,
        Operation::Rules(operation) => Done::Rules(operation),
        Operation::ExchangeStatus => Done::Said(standing::exchange(state, moment)),
        Operation::Recall(operation) => Done::Recall(operation),
        Operation::VelocityShow { first, second } => {
            let keys = velocity::keys(&first, second.as_ref(), state, moment)?;
            if let Some(person) = keys.person {
                looked_up(person, actor, state, looking, looked)?;
                looked.flagged = listing::note_look(person, kind, LookedBy::Status, state, now);
            } else {
                allowed(keys.first.1, actor, looking, looked)?;
            }
            Done::Said(velocity::show(&keys, state, now)?)
        }
        Operation::DecisionList(query) => Done::Decisions(query),
        Operation::IdentityCheck { answers } => Done::Said(listing::identities(&answers, moment.today)),
        Operation::ReasonName { code } => {
            Done::Said(vec![Said::Reason(listing::reason_name(code, state).ok_or(Refusal::UnknownReason)?)])
        }
    })
}

fn indicator(
    operation: IndicatorOperation,
    reach: Reach,
    actor: &Actor,
    state: &State,
) -> Result<Done, Refusal> {
    let moment = clock::moment();
    let text = |text: String| free_text(text, moment.today);
    Ok(Done::Change(match operation {
        IndicatorOperation::Draft { kind, value, role, grade, class, valid_until } => {
            let value = IndicatorValue::parse(kind, value.expose(), &state.keyring, moment.today);
            let IndicatorValue { kind, pseudonyms: value, clear } = value.map_err(value_refused)?;
            Intent::Draft { kind, value, clear, role, grade, class, valid_until }
        }
        IndicatorOperation::Report(id) => Intent::Report(id),
        IndicatorOperation::Receipt { id, reference, received_at, signature } => {
            Intent::Receipt { id, reference: text(reference)?, received_at, signature }
        }
        IndicatorOperation::Share(id) => Intent::Share(id),
        IndicatorOperation::Confirm { id, evidence } => Intent::Confirm { id, evidence },
        IndicatorOperation::Contest { id, due, why } => Intent::Contest { id, due, why: text(why)? },
        IndicatorOperation::Withdraw { id, why } => Intent::Withdraw { id, why: text(why)? },
        IndicatorOperation::Override { id, why } => Intent::OverrideIndicator { id, why: text(why)? },
        IndicatorOperation::List(one) => {
            return Ok(Done::Said(listing::indicators(one, reach, actor, state, state.now(moment))));
        }
    }))
}

fn exemption(operation: ExemptionOperation, actor: &Actor, state: &State) -> Result<Done, Refusal> {
    let moment = clock::moment();
    Ok(Done::Change(match operation {
        ExemptionOperation::Add { key, value, rules, until, why } => {
            let kind = match key {
                ExemptionKey::Subject => IndicatorKind::Subject,
                ExemptionKey::Card => IndicatorKind::Card,
                ExemptionKey::Account => IndicatorKind::Account,
            };
            let value = IndicatorValue::parse(kind, value.expose(), &state.keyring, moment.today);
            let value = value.map_err(value_refused)?.pseudonyms;
            Intent::Exempt { key, value, rules, until, why: free_text(why, moment.today)? }
        }
        ExemptionOperation::Confirm(id) => Intent::ExemptConfirm(id),
        ExemptionOperation::End(id) => Intent::ExemptEnd(id),
        ExemptionOperation::List => {
            let active = state.rules();
            let shared = |name: &str| {
                let rule = active.as_ref().and_then(|active| active.set.rule(name));
                rule.is_some_and(|rule| rule.reads_indicators)
            };
            let all = state.exemptions.of(actor.member, state.now(moment), shared);
            let entries = all.into_iter().map(|entry| Said::Exemption(Box::new(entry)));
            return Ok(Done::Said(entries.chain([Said::End]).collect()));
        }
    }))
}

fn value_refused(error: ValueError) -> Refusal {
    match error {
        ValueError::Form => Refusal::ValueMalformed,
        ValueError::Identity => Refusal::IdentityMalformed,
        ValueError::CardNumber => Refusal::CardNumberRefused,
    }
}

/// A text that is kept and read by people: it may not name anybody. Whoever wants to say who has a field for it, in
/// which a pseudonym is made of it.
fn free_text(text: String, today: Date) -> Result<String, Refusal> {
    if text.len() > REFERENCE_BYTES_MAX {
        return Err(Refusal::FieldMalformed);
    }
    let words =
        text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '@' | '.' | '_')));
    let names_somebody = |word: &str| {
        let word = word.trim_matches(['.', '-', '_']);
        Subject::parse_swedish(word, today).is_ok()
            || contact::email(word).is_some()
            || contact::phone(word).is_some()
    };
    if words.into_iter().any(names_somebody) || looks_like_card_number(&text) {
        return Err(Refusal::PersonalInText);
    }
    Ok(text)
}

fn member(operation: MemberOperation, state: &State) -> Result<Done, Refusal> {
    let today = clock::moment().today;
    Ok(Done::Change(match operation {
        MemberOperation::Admit { member, kind, key } => {
            // A number is a legal name, and names are written everywhere.
            free_text(member.to_string(), today)?;
            Intent::Admit { member, kind, key }
        }
        MemberOperation::Suspend { member, why } => Intent::Suspend { member, why: free_text(why, today)? },
        MemberOperation::RotateKey { member, key } => Intent::RotateKey { member, key },
        MemberOperation::List => {
            let members = state.members.all().into_iter().map(Said::Member);
            return Ok(Done::Said(members.chain([Said::End]).collect()));
        }
    }))
}

pub(super) fn refusal(error: ExchangeError) -> Refusal {
    match error {
        ExchangeError::Length => Refusal::FrameMalformed,
        ExchangeError::Operation(_) => Refusal::Unsupported,
        ExchangeError::Value(_) => Refusal::FieldMalformed,
    }
}

fn pseudonyms(subject: &SubjectText, state: &State) -> Result<LivePseudonyms, Refusal> {
    let today = clock::moment().today;
    let parsed = Subject::parse(subject.text.expose(), subject.kind, subject.country, today);
    let subject = parsed.map_err(|_| Refusal::IdentityMalformed)?;
    Ok(state.keyring.live(ValueKind::Subject, subject.canonical()))
}

/// A person whom somebody asks about: counted, so that nobody can walk through all numbers.
fn looked_up(
    subject: LivePseudonyms,
    actor: &Actor,
    state: &State,
    looking: &Looking,
    looked: &mut Looked,
) -> Result<(), Refusal> {
    if state.honey.is_touched_by(subject) {
        looked.honey = true;
        looking.honey.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(member = %actor.member, actor = actor.id(), "asked about a number that nobody was ever given");
    }
    allowed(subject.current.1, actor, looking, looked)
}

/// Somebody or something that a caller asks about, within the budget of the day.
fn allowed(
    pseudonym: Pseudonym,
    actor: &Actor,
    looking: &Looking,
    looked: &mut Looked,
) -> Result<(), Refusal> {
    looked.about(pseudonym);
    let today = clock::moment().today;
    if looking.budget.allows(actor.member, pseudonym, today) {
        Ok(())
    } else {
        tracing::warn!(member = %actor.member, actor = actor.id(), "look-up budget spent");
        Err(Refusal::LookupBudgetSpent)
    }
}

/// An organisationsnummer, and else the member's own id.
fn merchant_ref(text: &str, state: &State) -> Result<MerchantRef, Refusal> {
    let today = clock::moment().today;
    if let Ok(organisation) = Subject::parse(text, SubjectKind::SeOrganisation, None, today) {
        let organisation = state.keyring.current(ValueKind::MerchantOrg, organisation.canonical());
        return Ok(MerchantRef::Organisation(organisation));
    }
    Ok(MerchantRef::OwnId(state.keyring.current(ValueKind::MerchantId, text.as_bytes())))
}
