//! Which values a record touches: who pays with one of them may be answered otherwise now.

use crate::request::Prefix;
use crate::state::State;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::indicator::ContentDigest;
use sparr_protocol::record::{Payload, Record, RecordKind};
use std::sync::{Mutex, PoisonError};

/// What one record touches.
#[derive(Clone, Debug)]
pub struct Touch {
    /// What kind of record it is.
    pub kind: RecordKind,
    /// Pseudonyms of the values; a person may have several numbers.
    pub values: Vec<Pseudonym>,
    /// A network, where the record is about one.
    pub network: Option<Prefix>,
}

/// Records that were applied and not looked at yet.
///
/// When too many wait, the oldest values are forgotten and counted: an import of a million flags is no reason to keep a
/// million names.
#[derive(Debug, Default)]
pub struct Touched {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    touches: Vec<Touch>,
    forgotten: u64,
}

/// Records that may wait.
const WAITING_MAX: usize = 65_536;

impl Touched {
    /// Notes a record that was just applied to `state`.
    pub(crate) fn note(&self, record: &Record, state: &State) {
        let Some(touch) = touch(record, state) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.touches.len() < WAITING_MAX {
            waiting.touches.push(touch);
        } else {
            waiting.forgotten += 1;
        }
    }

    /// Everything that waits, and how many were forgotten since the last time.
    pub fn take(&self) -> (Vec<Touch>, u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut waiting.touches), std::mem::take(&mut waiting.forgotten))
    }
}

fn touch(record: &Record, state: &State) -> Option<Touch> {
    let kind = RecordKind::from_wire(record.payload.kind())?;
    let person = |numbers: &[Pseudonym]| {
        let linked = numbers.iter().flat_map(|number| {
            state.stores.flags.links.numbers(*number).as_slice().to_vec().into_iter().chain([*number])
        });
        Some(Touch { kind, values: linked.collect(), network: None })
    };
    match &record.payload {
        Payload::FlagRaised { subject, .. }
        | Payload::FlagLifted { subject, .. }
        | Payload::PassGranted { subject, .. }
        | Payload::FlagOverridden { subject, .. } => person(&[*subject]),
        Payload::SubjectLinked { old, new, .. } => person(&[*old, *new]),
        Payload::IndicatorDrafted { content } | Payload::IndicatorShared { content, .. } => {
            indicator(kind, &state.content_digest(content)?, state)
        }
        Payload::PoliceReceipt { digest, .. }
        | Payload::IndicatorConfirmed { digest, .. }
        | Payload::IndicatorContested { digest, .. }
        | Payload::IndicatorWithdrawn { digest, .. }
        | Payload::IndicatorOverridden { digest, .. } => indicator(kind, digest, state),
        Payload::FlagLiftRequested { .. }
        | Payload::IndicatorReported { .. }
        | Payload::MemberAdmitted { .. }
        | Payload::MemberSuspended { .. }
        | Payload::SigningKeyRotated { .. }
        | Payload::ExemptionGranted { .. }
        | Payload::ExemptionConfirmed { .. }
        | Payload::ExemptionEnded { .. }
        | Payload::Unknown { .. } => None,
    }
}

fn indicator(kind: RecordKind, digest: &ContentDigest, state: &State) -> Option<Touch> {
    let content = state.stores.indicators.of(digest.id())?.content?;
    let network = Prefix::parse(&content.clear).ok();
    Some(Touch { kind, values: vec![content.value], network })
}
