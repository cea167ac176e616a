//! Operations of the exchange: rights, identity, and what can be answered without the journal.

use super::clock;
use super::journal::Intent;
use crate::flags::{Flag, Raise, Standing};
use crate::metrics::WorkerStats;
use crate::request::{LivePseudonyms, ValueKind};
use crate::rights::{Right, permits};
use crate::state::State;
use sparr_protocol::exchange::{
    ExchangeAnswer, ExchangeError, ExchangeRequest, FlagEntry, Operation, Refusal, Said, StandingCode,
    SubjectText,
};
use sparr_protocol::identity::Subject;
use sparr_protocol::ids::{Actor, Pseudonym, RequestId};
use sparr_protocol::response::ReasonCode;
use sparr_protocol::time::Timestamp;

/// What is to be done about an operation.
pub(super) enum Handled {
    /// These answers, now.
    Now(Vec<ExchangeAnswer>),
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
    stats: &mut WorkerStats,
) -> Handled {
    let answered = match ExchangeRequest::decode(message).map_err(refusal) {
        Ok(request) => {
            stats.operation(request.operation.kind());
            carry_out(request, actor, state)
        }
        Err(refusal) => Err(refusal),
    };
    let position = state.position();
    match answered {
        Ok(Done::Said(said)) => {
            Handled::Now(said.into_iter().map(|said| ExchangeAnswer { id, position, said }).collect())
        }
        Ok(Done::Change(intent)) => Handled::Change { operation: id, intent },
        Err(refusal) => {
            stats.refused(refusal);
            Handled::Now(vec![ExchangeAnswer { id, position, said: Said::Refused(refusal) }])
        }
    }
}

enum Done {
    Said(Vec<Said>),
    Change(Intent),
}

fn carry_out(request: ExchangeRequest, actor: &Actor, state: &State) -> Result<Done, Refusal> {
    if !permits(actor.role, Right::Exchange(request.operation.kind())) {
        return Err(Refusal::NotPermitted);
    }
    if !state.is_ready() {
        return Err(Refusal::NotReady);
    }
    let now = state.now(clock::moment());
    match request.operation {
        Operation::FlagRaise { subject, terms } => {
            Ok(Done::Change(Intent::Raise { subject: pseudonyms(&subject, state)?, terms }))
        }
        Operation::FlagLift { subject, requested_by, authenticated_by, second_channel } => {
            let subject = pseudonyms(&subject, state)?;
            Ok(Done::Change(Intent::Lift { subject, requested_by, authenticated_by, second_channel }))
        }
        Operation::FlagStatus { subject } => {
            let mut flags = Vec::new();
            for (_, subject) in pseudonyms(&subject, state)?.iter() {
                state
                    .stores
                    .flags
                    .visit(subject, |flag| flags.extend(entry(subject, flag, now).map(Said::Flag)));
            }
            Ok(Done::Said(flags.into_iter().chain([Said::End]).collect()))
        }
        Operation::FlagList => {
            let flags = state.stores.flags.all().into_iter();
            let own = flags.filter(|(_, flag)| flag.registrar == actor.member);
            let entries = own.filter_map(|(subject, flag)| entry(subject, &flag, now).map(Said::Flag));
            Ok(Done::Said(entries.chain([Said::End]).collect()))
        }
        Operation::ReasonName { code } => {
            reason_name(code, state).map(|name| Done::Said(vec![Said::Reason(name)]))
        }
    }
}

fn refusal(error: ExchangeError) -> Refusal {
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

fn reason_name(code: ReasonCode, state: &State) -> Result<String, Refusal> {
    let rules = state.rules();
    let name = rules.as_ref().and_then(|active| active.set.reasons().name(code).map(str::to_owned));
    name.ok_or(Refusal::UnknownReason)
}

/// A flag as a desk sees it; `None` where only a lift is known.
fn entry(subject: Pseudonym, flag: &Flag, now: Timestamp) -> Option<FlagEntry> {
    let Raise { version, terms, .. } = flag.raised?;
    let standing = match flag.standing(now) {
        Standing::Active(_) => StandingCode::Active,
        Standing::Lifting(..) => StandingCode::Lifting,
        Standing::Lifted => StandingCode::Lifted,
        Standing::Expired => StandingCode::Expired,
        Standing::Unraised => return None,
    };
    Some(FlagEntry {
        subject,
        registrar: flag.registrar,
        standing,
        terms,
        raised_at: Timestamp::from_ms(i64::try_from(version.stamp).unwrap_or(i64::MAX)),
        lifted_from: flag.lifted.filter(|(lift, _)| *lift > version).map(|(_, from)| from),
    })
}
