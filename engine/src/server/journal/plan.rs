//! What a change may do, decided against the state: the records that it becomes, or why it is refused.

use super::intent::{By, Intent};
use super::{plan_exemptions, plan_flags, plan_indicators};
use crate::policy::Sharing;
use crate::state::{Moment, State};
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::ids::{Actor, RequestId};
use sparr_protocol::record::Payload;
use sparr_protocol::time::Timestamp;

/// The records of a change, and what its asker hears once they are durable.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) payloads: Vec<Payload>,
    pub(super) legal_basis: String,
    pub(super) said: Said,
}

impl Planned {
    /// Records that take effect at a time.
    pub(super) fn durable(payloads: Vec<Payload>, effective_from: Timestamp) -> Self {
        let said = Said::Durable { peers: 0, effective_from, second_person: false };
        Self { payloads, legal_basis: String::new(), said }
    }

    /// Records that take effect once a second person has said the same, where `waits`.
    pub(super) fn of_two(payload: Payload, now: Timestamp, waits: bool) -> Self {
        let said = Said::Durable { peers: 0, effective_from: now, second_person: waits };
        Self { payloads: vec![payload], legal_basis: String::new(), said }
    }
}

/// Who asks, and what there is to decide by.
pub(super) struct Asker<'a> {
    pub(super) actor: &'a Actor,
    pub(super) operation: RequestId,
    pub(super) state: &'a State,
    pub(super) sharing: &'a Sharing,
    pub(super) moment: Moment,
}

impl Asker<'_> {
    /// Now, by the engine's own clock.
    pub(super) fn now(&self) -> Timestamp {
        self.state.now(self.moment)
    }
}

/// Decides what a change may do.
pub(super) fn plan(intent: &Intent, asker: &Asker<'_>) -> Result<Planned, Refusal> {
    // Again, for what has waited: a suspended member can do nothing from that moment.
    if asker.state.members.acting_kind(asker.actor.member).is_none() {
        return Err(Refusal::MemberSuspended);
    }
    let members = &asker.state.members;
    let now = asker.now();
    match intent {
        Intent::Raise { subject, terms } => plan_flags::raise(*subject, *terms, now),
        Intent::Lift { subject, by, second_channel } => {
            plan_flags::lift(*subject, *by, *second_channel, asker)
        }
        Intent::Pass { subject, merchant, amount_minor, currency, until, by } => {
            let pass = plan_flags::PassWanted {
                merchant: *merchant,
                amount_minor: *amount_minor,
                currency: *currency,
                until: *until,
            };
            plan_flags::pass(*subject, pass, *by, asker)
        }
        Intent::Extend { subject, until, by } => plan_flags::extend(*subject, *until, *by, asker),
        Intent::LiftRequest { subject, registrar, by } => {
            plan_flags::lift_request(*subject, *registrar, *by, asker)
        }
        Intent::Link { old, new, linked, by } => {
            if old.current == new.current {
                return Err(Refusal::SameSubject);
            }
            let By { requested_by, authenticated_by } = *by;
            let one = |old: (u16, _), new: (u16, _)| Payload::SubjectLinked {
                old: old.1,
                new: new.1,
                key_id: new.0,
                linked: *linked,
                requested_by,
                authenticated_by,
            };
            // Under each live key, so that flags of both are found.
            let payloads = old.iter().zip(new.iter()).map(|(old, new)| one(old, new)).collect();
            Ok(Planned::durable(payloads, now))
        }
        Intent::Override { subject, registrar } => plan_flags::overriding(*subject, *registrar, asker),
        Intent::Draft { .. }
        | Intent::Report(_)
        | Intent::Receipt { .. }
        | Intent::Share(_)
        | Intent::Confirm { .. }
        | Intent::Contest { .. }
        | Intent::Withdraw { .. }
        | Intent::OverrideIndicator { .. } => plan_indicators::plan(intent, asker),
        Intent::Exempt { .. } | Intent::ExemptConfirm(_) | Intent::ExemptEnd(_) => {
            plan_exemptions::plan(intent, asker)
        }
        Intent::Admit { member, kind, key } => {
            let admitted = Payload::MemberAdmitted { member: *member, kind: *kind, key: *key };
            Ok(Planned::durable(vec![admitted], now))
        }
        Intent::Suspend { member, why } => {
            if members.kind(*member).is_none() {
                return Err(Refusal::NoSuchMember);
            }
            // Nobody would be left who could let it back in.
            if *member == asker.actor.member {
                return Err(Refusal::NotPermitted);
            }
            let suspended = Payload::MemberSuspended { member: *member, why: why.clone() };
            Ok(Planned::durable(vec![suspended], now))
        }
        Intent::RotateKey { member, key } => {
            if members.kind(*member).is_none() {
                return Err(Refusal::NoSuchMember);
            }
            let rotated = Payload::SigningKeyRotated { member: *member, key: *key };
            Ok(Planned::durable(vec![rotated], now))
        }
    }
}
