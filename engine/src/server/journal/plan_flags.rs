//! What may be done to flags.

use super::intent::By;
use super::plan::{Asker, Planned};
use crate::flags::{Flag, Overridden, RaiseRef, Standing};
use crate::limits::{FLAG_DAYS_MAX, PASS_MS_MAX, PASSES_MAX};
use crate::request::{KeyId, LivePseudonyms};
use sparr_protocol::exchange::Refusal;
use sparr_protocol::flag::{MerchantRef, Terms};
use sparr_protocol::ids::{MemberName, Pseudonym};
use sparr_protocol::money::Currency;
use sparr_protocol::record::Payload;
use sparr_protocol::time::Timestamp;

/// Whether an end lies ahead, and not further than a flag may last.
fn check_end(until: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    if until <= now {
        Err(Refusal::UntilInPast)
    } else if until.ms_since(now) > FLAG_DAYS_MAX * 86_400_000 {
        Err(Refusal::UntilTooFar)
    } else {
        Ok(())
    }
}

pub(super) fn raise(subject: LivePseudonyms, terms: Terms, now: Timestamp) -> Result<Planned, Refusal> {
    check_end(terms.valid_until, now)?;
    let (key_id, subject) = subject.current;
    Ok(Planned::durable(vec![Payload::FlagRaised { subject, key_id, terms }], now))
}

/// A person's acting flag, and the key and number under which it was raised.
type Found = (KeyId, Pseudonym, Flag);

/// The person's acting flags of one registrar, under whichever number; and whether there are others'.
fn acting(subject: LivePseudonyms, registrar: MemberName, asker: &Asker<'_>) -> (Vec<Found>, bool) {
    let now = asker.now();
    let (mut own, mut others) = (Vec::new(), false);
    for (key_id, number) in subject.iter() {
        asker.state.stores.flags.visit_person(number, |subject, flag| match flag.standing(now) {
            Standing::Active(_) | Standing::Lifting(..) if flag.registrar == registrar => {
                own.push((key_id, subject, *flag));
            }
            Standing::Active(_) | Standing::Lifting(..) => others = true,
            Standing::Lifted | Standing::Expired | Standing::Unraised => {}
        });
    }
    (own, others)
}

/// The acting flags of the asker's own member.
fn own(subject: LivePseudonyms, asker: &Asker<'_>) -> Result<Vec<Found>, Refusal> {
    match acting(subject, asker.actor.member, asker) {
        (own, _) if !own.is_empty() => Ok(own),
        (_, true) => Err(Refusal::NotRegistrar),
        (_, false) => Err(Refusal::NotFlagged),
    }
}

/// A lift travels as fast as a raise but is accepted with more care: without a second channel it cools off first,
/// because a lift on the phone is where a person who is being coerced is lost.
pub(super) fn lift(
    subject: LivePseudonyms,
    by: By,
    second_channel: bool,
    asker: &Asker<'_>,
) -> Result<Planned, Refusal> {
    let cooling_off_ms = if second_channel { 0 } else { asker.state.policy.cooling_off_ms };
    let effective_from = asker.now().saturating_add_ms(cooling_off_ms);
    let payloads = own(subject, asker)?.into_iter().filter_map(|(key_id, subject, flag)| {
        Some(Payload::FlagLifted {
            subject,
            key_id,
            raise: flag.raised?.version.place(),
            requested_by: by.requested_by,
            authenticated_by: by.authenticated_by,
            second_channel,
            effective_from,
        })
    });
    Ok(Planned::durable(payloads.collect(), effective_from))
}

/// What a pass would open.
pub(super) struct PassWanted {
    pub(super) merchant: MerchantRef,
    pub(super) amount_minor: i64,
    pub(super) currency: Currency,
    pub(super) until: Timestamp,
}

pub(super) fn pass(
    subject: LivePseudonyms,
    pass: PassWanted,
    by: By,
    asker: &Asker<'_>,
) -> Result<Planned, Refusal> {
    let now = asker.now();
    if pass.until <= now {
        return Err(Refusal::UntilInPast);
    }
    if pass.until.ms_since(now) > PASS_MS_MAX {
        return Err(Refusal::UntilTooFar);
    }
    if pass.amount_minor <= 0 {
        return Err(Refusal::FieldMalformed);
    }
    let flags = own(subject, asker)?;
    let passes = &asker.state.stores.flags.passes;
    if flags.iter().any(|(_, subject, flag)| passes.open(*subject, flag, now) >= PASSES_MAX) {
        return Err(Refusal::TooManyPasses);
    }
    let payloads = flags.into_iter().map(|(key_id, subject, _)| Payload::PassGranted {
        subject,
        key_id,
        merchant: pass.merchant,
        amount_minor: pass.amount_minor,
        currency: pass.currency,
        until: pass.until,
        requested_by: by.requested_by,
        authenticated_by: by.authenticated_by,
    });
    Ok(Planned::durable(payloads.collect(), now))
}

/// The same flag with a later end: a raise with the same terms. It never ends earlier by this; that would be a lift.
pub(super) fn extend(
    subject: LivePseudonyms,
    until: Timestamp,
    by: By,
    asker: &Asker<'_>,
) -> Result<Planned, Refusal> {
    let now = asker.now();
    check_end(until, now)?;
    let flags = own(subject, asker)?;
    let mut payloads = Vec::new();
    for (key_id, subject, flag) in flags {
        let Standing::Active(terms) = flag.standing(now) else { continue };
        if until <= terms.valid_until {
            return Err(Refusal::NotLonger);
        }
        let terms = Terms {
            valid_until: until,
            requested_by: by.requested_by,
            authenticated_by: by.authenticated_by,
            ..terms
        };
        payloads.push(Payload::FlagRaised { subject, key_id, terms });
    }
    // A flag that is being lifted is raised again, not extended.
    if payloads.is_empty() { Err(Refusal::NotFlagged) } else { Ok(Planned::durable(payloads, now)) }
}

pub(super) fn lift_request(
    subject: LivePseudonyms,
    registrar: MemberName,
    by: By,
    asker: &Asker<'_>,
) -> Result<Planned, Refusal> {
    let (flags, _) = acting(subject, registrar, asker);
    if flags.is_empty() {
        return Err(Refusal::NotFlagged);
    }
    let payloads = flags.into_iter().filter_map(|(key_id, subject, flag)| {
        Some(Payload::FlagLiftRequested {
            subject,
            key_id,
            registrar,
            raise: flag.raised?.version.place(),
            requested_by: by.requested_by,
            authenticated_by: by.authenticated_by,
        })
    });
    Ok(Planned::durable(payloads.collect(), asker.now()))
}

/// One of two persons of the central organisation: with the second one's word the flag is lifted.
pub(super) fn overriding(
    subject: LivePseudonyms,
    registrar: MemberName,
    asker: &Asker<'_>,
) -> Result<Planned, Refusal> {
    let (flags, _) = acting(subject, registrar, asker);
    let Some((key_id, subject, flag)) = flags.first().copied() else { return Err(Refusal::NotFlagged) };
    let Some(raise) = flag.raised.map(|raise| raise.version.place()) else { return Err(Refusal::NotFlagged) };
    let votes = &asker.state.stores.flags.votes;
    let about = Overridden::Raise(RaiseRef { subject, registrar, raise });
    if votes.has_voted(&about, asker.actor) {
        return Err(Refusal::SamePerson);
    }
    let overridden = Payload::FlagOverridden { subject, key_id, registrar, raise };
    Ok(Planned::of_two(overridden, asker.now(), !votes.has_any(&about)))
}
