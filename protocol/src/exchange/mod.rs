//! Operations of the exchange as they travel: what a support desk asks of an engine, and what it hears.
//!
//! A question is a head (id, operation), a fixed structure of that operation, then texts. An answer is one fixed
//! structure; an operation with many results gets many answers, the last of which says so.

mod answer;
mod request;
#[cfg(test)]
pub(crate) use answer::layouts as answer_layouts;
#[cfg(test)]
pub(crate) use request::layouts as request_layouts;
#[cfg(test)]
mod tests;

pub use answer::{ExchangeAnswer, FlagEntry, Said};
pub use request::{ExchangeRequest, Operation, SubjectText};

use crate::codec::{self, Truncated};
use crate::codes::{AuthMethod, FlagReason, RequestedBy, Wish, codes};
use crate::flag::{Methods, Scope, Terms};
use crate::time::Timestamp;

codes! {
    /// What is asked of the exchange.
    OperationKind {
        FlagRaise = 1 "flag_raise",
        FlagLift = 2 "flag_lift",
        FlagStatus = 3 "flag_status",
        FlagList = 4 "flag_list",
        /// The name of a reason code: any caller may ask what an answer means.
        ReasonName = 64 "reason_name",
    }

    /// Why an operation was refused. The number is forever.
    Refusal {
        /// The caller's certificate does not allow this.
        NotPermitted = 1 "not_permitted",
        /// The number names nobody.
        IdentityMalformed = 2 "identity_malformed",
        /// A value of the operation is not legal.
        FieldMalformed = 3 "field_malformed",
        /// There is no flag to lift.
        NotFlagged = 4 "not_flagged",
        /// The flag was entered by another member, which alone changes it.
        NotRegistrar = 5 "not_registrar",
        /// The end lies in the past.
        UntilInPast = 6 "until_in_past",
        /// The end lies further ahead than a flag may last.
        UntilTooFar = 7 "until_too_far",
        /// The journal could not make the record durable: nothing was changed.
        JournalFailed = 8 "journal_failed",
        /// The engine has not yet read all of its state, or is shutting down.
        NotReady = 9 "not_ready",
        /// This version does not do it.
        Unsupported = 10 "unsupported",
        /// The frame's checksum does not agree, or its message is cut short.
        FrameMalformed = 11 "frame_malformed",
        /// The frame is longer than a question may be.
        TooLarge = 12 "too_large",
        /// The frame is of another wire version.
        WrongVersion = 13 "wrong_version",
        /// The frame is of a kind that this version does not know.
        UnknownKind = 14 "unknown_kind",
        /// The id was used before, for another operation.
        IdConflict = 15 "id_conflict",
        /// The journal has more to do than it can do in time: try again.
        Overloaded = 16 "overloaded",
        /// No reason has this code.
        UnknownReason = 17 "unknown_reason",
    }

    /// Where a flag stands.
    StandingCode {
        Active = 1 "active",
        /// It acts, and a lift takes effect later.
        Lifting = 2 "lifting",
        Lifted = 3 "lifted",
        Expired = 4 "expired",
    }
}

/// Why a message is no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Shorter than it must be, or longer than its texts.
    #[error("the message is cut short or too long for its texts")]
    Length,
    /// An operation that this version does not know.
    #[error("operation {0} is unknown")]
    Operation(u8),
    /// A value that this version does not know.
    #[error("{0} is not legal")]
    Value(&'static str),
}

impl From<Truncated> for ExchangeError {
    fn from(_: Truncated) -> Self {
        Self::Length
    }
}

codec::wire_struct! {
    /// Terms on the wire and in records.
    pub(crate) struct TermsWire / ArchivedTermsWire {
        wish: u8,
        scope: u8,
        reason: u8,
        requested_by: u8,
        authenticated_by: u8,
        reserved: u8,
        compromised: u16,
        currency: u16,
        amount_minor: i64,
        valid_until: i64,
    }
}

impl TermsWire {
    pub(crate) fn of(terms: &Terms) -> Self {
        let (scope, amount_minor, currency) = terms.scope.wire();
        Self {
            wish: terms.wish.wire(),
            scope,
            reason: terms.reason.wire(),
            requested_by: terms.requested_by.wire(),
            authenticated_by: terms.authenticated_by.wire(),
            reserved: 0,
            compromised: terms.compromised.0,
            currency,
            amount_minor,
            valid_until: terms.valid_until.ms(),
        }
    }
}

/// Reserved bytes are zero, so that a later version can give them a meaning.
fn zero(reserved: &[u8]) -> Result<(), ExchangeError> {
    if reserved.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(ExchangeError::Value("reserved")) }
}

impl ArchivedTermsWire {
    pub(crate) fn terms(&self) -> Result<Terms, ExchangeError> {
        zero(&[self.reserved])?;
        Ok(Terms {
            wish: Wish::from_wire(self.wish).ok_or(ExchangeError::Value("wish"))?,
            scope: Scope::from_wire(self.scope, self.amount_minor.to_native(), self.currency.to_native())
                .ok_or(ExchangeError::Value("scope"))?,
            reason: FlagReason::from_wire(self.reason).ok_or(ExchangeError::Value("reason"))?,
            requested_by: RequestedBy::from_wire(self.requested_by)
                .ok_or(ExchangeError::Value("requested_by"))?,
            authenticated_by: AuthMethod::from_wire(self.authenticated_by)
                .ok_or(ExchangeError::Value("authenticated_by"))?,
            compromised: Methods::from_wire(self.compromised.to_native())
                .ok_or(ExchangeError::Value("compromised"))?,
            valid_until: Timestamp::from_ms(self.valid_until.to_native()),
        })
    }
}
