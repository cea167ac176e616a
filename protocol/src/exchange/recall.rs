//! Recalls as they travel: requests that would be answered otherwise now.

use super::{ExchangeError, OperationKind, zero};
use crate::codec;
use crate::codes::{Outcome, Review};
use crate::ids::RequestId;
use crate::record::RecordKind;
use crate::response::Why;
use crate::time::Timestamp;

/// One question about recalls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecallOperation {
    /// Those with a higher number than this.
    List(u64),
    /// The same, and then every other one as it is found, until the stream is given up.
    Watch(u64),
}

impl RecallOperation {
    /// Which operation it is.
    pub fn kind(self) -> OperationKind {
        match self {
            Self::List(_) => OperationKind::RecallList,
            Self::Watch(_) => OperationKind::RecallWatch,
        }
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        let (Self::List(after) | Self::Watch(after)) = self;
        out.extend_from_slice(&after.to_le_bytes());
    }

    pub(super) fn read(kind: OperationKind, rest: &[u8]) -> Result<Self, ExchangeError> {
        let after = rest.try_into().map(u64::from_le_bytes).map_err(|_| ExchangeError::Length)?;
        Ok(if kind == OperationKind::RecallWatch { Self::Watch(after) } else { Self::List(after) })
    }
}

/// An answer without what does not matter for whether a payment goes through.
pub type ShortAnswer = Result<(Outcome, Review), Why>;

/// A request that would be answered otherwise now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecallEntry {
    /// Place in the engine's list, from 1: what to ask for next.
    pub number: u64,
    /// The request.
    pub request_id: RequestId,
    /// The member's id of the payment, if it carries one.
    pub payment_id: Option<String>,
    /// When it was answered.
    pub answered_at: Timestamp,
    /// When the difference was found.
    pub found_at: Timestamp,
    /// What was answered, or said in the recall before.
    pub was: ShortAnswer,
    /// What would be answered now.
    pub is: ShortAnswer,
    /// What kind of record made the difference.
    pub cause: RecordKind,
}

codec::wire_struct! {
    struct RecallWire / ArchivedRecallWire {
        request_id: [u8; 16],
        number: u64,
        answered_at: i64,
        found_at: i64,
        was_outcome: u8,
        was_review: u8,
        was_why: u8,
        is_outcome: u8,
        is_review: u8,
        is_why: u8,
        cause: u8,
        has_payment: u8,
    }
}

/// Longest entry on the wire.
pub(super) const ENTRY_BYTES_MAX: usize =
    codec::size::<RecallWire>() + 1 + crate::limits::PAYMENT_ID_BYTES_MAX;

/// Layouts for `WIRE.md`.
#[cfg(test)]
pub(crate) const LAYOUT: &[(&str, usize, usize)] = RecallWire::LAYOUT;

fn to_wire(answer: ShortAnswer) -> [u8; 3] {
    match answer {
        Ok((outcome, review)) => [outcome.wire(), review.wire(), 0],
        Err(why) => [0, 0, why.wire()],
    }
}

fn from_wire(outcome: u8, review: u8, why: u8) -> Result<ShortAnswer, ExchangeError> {
    if why != 0 {
        zero(&[outcome, review])?;
        return Ok(Err(Why::from_wire(why).ok_or(ExchangeError::Value("why"))?));
    }
    let outcome = Outcome::from_wire(outcome).ok_or(ExchangeError::Value("outcome"))?;
    Ok(Ok((outcome, Review::from_wire(review).ok_or(ExchangeError::Value("review"))?)))
}

impl RecallEntry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let [was_outcome, was_review, was_why] = to_wire(self.was);
        let [is_outcome, is_review, is_why] = to_wire(self.is);
        let wire = RecallWire {
            request_id: self.request_id.0,
            number: self.number,
            answered_at: self.answered_at.ms(),
            found_at: self.found_at.ms(),
            was_outcome,
            was_review,
            was_why,
            is_outcome,
            is_review,
            is_why,
            cause: self.cause.wire(),
            has_payment: self.payment_id.is_some().into(),
        };
        codec::write(&wire, out);
        if let Some(payment) = &self.payment_id {
            codec::write_text(payment, out);
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, ExchangeError> {
        let (wire, rest) = codec::read::<RecallWire>(bytes)?;
        let (payment_id, rest) = match wire.has_payment {
            0 => (None, rest),
            1 => {
                let read = codec::read_text(rest).map_err(|_| ExchangeError::Value("payment_id"))?;
                (Some(read.0.to_owned()), read.1)
            }
            _ => return Err(ExchangeError::Value("has_payment")),
        };
        if !rest.is_empty() {
            return Err(ExchangeError::Length);
        }
        Ok(Self {
            number: wire.number.to_native(),
            request_id: RequestId(wire.request_id),
            payment_id,
            answered_at: Timestamp::from_ms(wire.answered_at.to_native()),
            found_at: Timestamp::from_ms(wire.found_at.to_native()),
            was: from_wire(wire.was_outcome, wire.was_review, wire.was_why)?,
            is: from_wire(wire.is_outcome, wire.is_review, wire.is_why)?,
            cause: RecordKind::from_wire(wire.cause).ok_or(ExchangeError::Value("cause"))?,
        })
    }
}
