//! What a change of exemptions may do.

use super::intent::Intent;
use super::plan::{Asker, Planned};
use crate::limits::EXEMPTION_MS_MAX;
use sparr_protocol::exchange::Refusal;
use sparr_protocol::exemption::ExemptionId;
use sparr_protocol::record::Payload;

/// Decides what a change of exemptions may do.
pub(super) fn plan(intent: &Intent, asker: &Asker<'_>) -> Result<Planned, Refusal> {
    let now = asker.now();
    let (exemptions, member) = (&asker.state.exemptions, asker.actor.member);
    let acting = |id: ExemptionId| exemptions.acting(member, id, now).ok_or(Refusal::NoSuchExemption);
    match intent {
        Intent::Exempt { key, value, rules, until, why } => {
            if *until <= now {
                return Err(Refusal::UntilInPast);
            }
            if until.ms_since(now) > EXEMPTION_MS_MAX {
                return Err(Refusal::UntilTooFar);
            }
            let (key_id, value) = value.current;
            // A misspelt name would silence nothing, and nobody would notice: it is refused here.
            let waits = shared(rules.iter(), asker)?;
            let granted = Payload::ExemptionGranted {
                key: *key,
                value,
                key_id,
                rules: rules.clone(),
                until: *until,
                why: why.clone(),
            };
            Ok(Planned::of_two(granted, now, waits))
        }
        Intent::ExemptConfirm(id) => {
            let grant = acting(*id)?;
            if grant.by == *asker.actor {
                return Err(Refusal::SamePerson);
            }
            if exemptions.has_two_persons(member, *id) {
                return Err(Refusal::AlreadySo);
            }
            Ok(Planned::durable(vec![Payload::ExemptionConfirmed { id: *id }], now))
        }
        Intent::ExemptEnd(id) => {
            acting(*id)?;
            Ok(Planned::durable(vec![Payload::ExemptionEnded { id: *id }], now))
        }
        _ => Err(Refusal::Unsupported),
    }
}

/// Whether any of these rules reads what members share. Each must be in the active set.
fn shared<'r>(mut rules: impl Iterator<Item = &'r str>, asker: &Asker<'_>) -> Result<bool, Refusal> {
    let active = asker.state.rules();
    let Some(active) = active.as_ref() else { return Err(Refusal::NoSuchRule) };
    rules.try_fold(false, |shared, name| {
        let rule = active.set.rule(name).ok_or(Refusal::NoSuchRule)?;
        Ok(shared || rule.reads_indicators)
    })
}
