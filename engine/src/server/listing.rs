//! What can be read of the exchange: flags, indicators, and the report that a desk may read to the person.

use super::standing;
use crate::flags::{Flag, Raise, Standing};
use crate::request::LivePseudonyms;
use crate::rights::Reach;
use crate::state::State;
use sparr_protocol::codes::{Kind, Role};
use sparr_protocol::exchange::{
    FlagEntry, IndicatorEntry, Look, LookedBy, PlannedChange, Said, StandingCode,
};
use sparr_protocol::field::Field;
use sparr_protocol::flag::{Scope, Terms};
use sparr_protocol::identity_check;
use sparr_protocol::ids::{Actor, MemberName, Pseudonym};
use sparr_protocol::indicator::IndicatorId;
use sparr_protocol::member::MemberKind;
use sparr_protocol::personal::Personal;
use sparr_protocol::response::ReasonCode;
use sparr_protocol::time::{Date, Timestamp};

/// Every registrar's flag on a person, under whichever number.
pub(super) fn flags_of(subject: LivePseudonyms, state: &State, now: Timestamp) -> Vec<Said> {
    let mut flags = Vec::new();
    for (_, number) in subject.iter() {
        state.stores.flags.visit_person(number, |subject, flag| {
            let Some(entry) = entry(subject, flag, state, now, subject != number) else { return };
            flags.push(Said::Flag(entry));
            flags.extend(standing::enforcement(flag, state));
        });
    }
    flags.push(Said::End);
    flags
}

/// The flags that a member entered, or all.
pub(super) fn flags(reach: Reach, member: MemberName, state: &State, now: Timestamp) -> Vec<Said> {
    let mut entries = Vec::new();
    state.stores.flags.for_each(|subject, flag| {
        if reach == Reach::All || flag.registrar == member {
            entries.extend(entry(subject, flag, state, now, false).map(Said::Flag));
        }
    });
    entries.push(Said::End);
    entries
}

/// A flag as a desk sees it; `None` where only a lift is known.
fn entry(
    subject: Pseudonym,
    flag: &Flag,
    state: &State,
    now: Timestamp,
    is_linked: bool,
) -> Option<FlagEntry> {
    let Raise { version, terms, .. } = flag.raised?;
    let standing = match flag.standing(now) {
        Standing::Active(_) => StandingCode::Active,
        Standing::Lifting(..) => StandingCode::Lifting,
        Standing::Lifted => StandingCode::Lifted,
        Standing::Expired => StandingCode::Expired,
        Standing::Unraised => return None,
    };
    let flags = &state.stores.flags;
    let count = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    Some(FlagEntry {
        subject,
        registrar: flag.registrar,
        standing,
        terms,
        raised_at: version.time(),
        lifted_from: flag.lifted.filter(|(lift, _)| *lift > version).map(|(_, from)| from),
        passes: count(flags.passes.open(subject, flag, now)),
        lift_requests: count(flags.votes.requests(subject, flag)),
        is_linked,
        override_waits: flags.votes.waits(subject, flag),
    })
}

/// What a raise would do to the member's own flag.
pub(super) fn planned(
    subject: LivePseudonyms,
    terms: &Terms,
    member: MemberName,
    state: &State,
    now: Timestamp,
) -> PlannedChange {
    let mut change = PlannedChange::New;
    for (_, number) in subject.iter() {
        state.stores.flags.visit_person(number, |_, flag| {
            if flag.registrar == member
                && let Some(known) = flag.active(now)
            {
                // Who asked and how is not what the flag says.
                let said = Terms {
                    requested_by: terms.requested_by,
                    authenticated_by: terms.authenticated_by,
                    ..known
                };
                change = if said == *terms { PlannedChange::Same } else { PlannedChange::Replaces };
            }
        });
    }
    change
}

/// Remembers that somebody looked, where the person is flagged, and says whether they are.
pub(super) fn note_look(
    subject: LivePseudonyms,
    kind: MemberKind,
    by: LookedBy,
    state: &State,
    now: Timestamp,
) -> bool {
    let mut is_flagged = false;
    for (_, number) in subject.iter() {
        state.stores.flags.visit_person(number, |_, flag| is_flagged |= flag.active(now).is_some());
    }
    if is_flagged {
        let look = Look { at: now, kind, by, outcome: 0, review: 0 };
        state.stores.flags.looks.note(subject.current.1, look);
    }
    is_flagged
}

/// The numbers that a client is to send, or what is wrong with those that it sends.
pub(super) fn identities(answers: &[Personal], today: Date) -> Vec<Said> {
    let lines = match answers.is_empty() {
        true => vec![identity_check::CHALLENGES.join(" ")],
        false => identity_check::wrong(answers.iter().map(|answer| answer.expose()), today),
    };
    lines.into_iter().map(Said::Line).chain([Said::End]).collect()
}

/// What a desk may tell the person: the flags, where and for what they are enforced, and who looked.
pub(super) fn report(subject: LivePseudonyms, state: &State, now: Timestamp) -> Vec<Said> {
    let mut said = flags_of(subject, state, now);
    said.pop();
    let scopes: Vec<Scope> = said
        .iter()
        .filter_map(|one| match one {
            Said::Flag(entry) if matches!(entry.standing, StandingCode::Active | StandingCode::Lifting) => {
                Some(entry.terms.scope)
            }
            _ => None,
        })
        .collect();
    if !scopes.is_empty() {
        let mut line = |text: String| said.push(Said::Line(text));
        let (enforced, held): (Vec<Kind>, Vec<Kind>) = Kind::ALL
            .iter()
            .copied()
            .filter(|kind| !matches!(kind, Kind::Refund | Kind::Reversal))
            .filter(|kind| scopes.iter().any(|scope| crate::flags::covers(*scope, *kind, None)))
            .partition(|kind| needs_subject(*kind, state));
        line(format!("held by {}, this engine, since it was raised", state.member()));
        if !enforced.is_empty() {
            line(format!("enforced for {}: they are not screened without a number", names(&enforced)));
        }
        if !held.is_empty() {
            line(format!("enforced for {} only where the provider sends the number", names(&held)));
        }
        line("not enforced for money that comes back: refund, reversal".to_owned());
        let began = state.began().max(Timestamp::from_ms(0));
        line(format!("looks by desks are known since {}", state.looks_known_since().unwrap_or(began)));
        line(format!("looks at payments are known since {began}"));
    }
    for (_, number) in subject.iter() {
        said.extend(state.stores.flags.looks.of(number).into_iter().map(Said::Look));
    }
    said.push(Said::End);
    said
}

fn needs_subject(kind: Kind, state: &State) -> bool {
    state.policy.required.of(kind).iter().any(|required| required.fields() == [Field::Subject])
}

fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// The indicators that a caller may see: their own; what was shared; for the police what they were told of; for the
/// central organisation what was shared.
pub(super) fn indicators(
    one: Option<IndicatorId>,
    reach: Reach,
    actor: &Actor,
    state: &State,
    now: Timestamp,
) -> Vec<Said> {
    let all = match one {
        Some(id) => state.stores.indicators.of(id).into_iter().collect(),
        None => state.stores.indicators.all(),
    };
    let mut said = Vec::new();
    for known in all {
        let Some(content) = known.content.as_deref() else { continue };
        let own = content.registrar == actor.member;
        // Who asks by its id has it from the document.
        let was_told =
            actor.role == Role::Police && (one.is_some() || known.reported || known.receipt().is_some());
        let shared = reach == Reach::All && known.shared_under().is_some();
        if !own && !shared && !was_told {
            continue;
        }
        let mut sources: Vec<MemberName> = known.confirmed.iter().map(|(member, _)| *member).collect();
        sources.push(content.registrar);
        sources.sort_unstable();
        sources.dedup();
        let receipt = known.receipt();
        said.push(Said::Indicator(Box::new(IndicatorEntry {
            digest: known.digest,
            content: content.clone(),
            standing: known.standing(now),
            attested: receipt.map(|(_, attested)| attested),
            sources: u8::try_from(sources.len()).unwrap_or(u8::MAX),
            reference: receipt.map(|(receipt, _)| receipt.reference.clone()).unwrap_or_default(),
        })));
    }
    said.push(Said::End);
    said
}

/// What a reason is called in the rule set that decides.
pub(super) fn reason_name(code: ReasonCode, state: &State) -> Option<String> {
    let rules = state.rules();
    rules.as_ref().and_then(|active| active.set.reasons().name(code).map(str::to_owned))
}
