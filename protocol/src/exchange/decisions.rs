//! Questions about the decision log as they travel. What comes back is text: one JSON object a line, in pieces.

use super::{ExchangeError, zero};
use crate::codec;
use crate::codes::Outcome;
use crate::exemption::is_rule_name;
use crate::ids::{MemberName, RequestId};
use crate::time::Timestamp;

/// Which answers of the engine are asked for, and in how much detail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecisionQuery {
    /// The answer to this request.
    pub request: Option<RequestId>,
    /// Answered at or after this time.
    pub since: Timestamp,
    /// Answered before this time.
    pub until: Timestamp,
    /// Behind this place of the log, as the last line of the page before it said.
    pub after: DecisionPlace,
    /// At most so many lines; 1 to [`DECISIONS_MAX`].
    pub limit: u16,
    /// With this answer.
    pub answer: Answered,
    /// A flag or an indicator of this member was involved.
    pub member: Option<MemberName>,
    /// This rule hit, enforced or in shadow.
    pub rule: Option<String>,
    /// In how much detail.
    pub detail: DecisionDetail,
}

/// Which answers are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answered {
    /// Every one.
    Any,
    /// A decision with this outcome.
    With(Outcome),
    /// No decision.
    NotScreened,
}

/// What a line says beside the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DecisionDetail {
    /// Whether running it again comes to the same.
    pub rerun: bool,
    /// What each rule made of it.
    pub explain: bool,
    /// The request as a backtest reads it, and nothing else.
    pub export: bool,
}

/// A place in the log: a segment's number, and a count of bytes and entries in it that rises.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct DecisionPlace {
    /// The segment.
    pub segment: u64,
    /// The place in it.
    pub at: u64,
}

/// Lines of one page at most.
pub const DECISIONS_MAX: u16 = 1_000;

const ANY: u8 = 0;
const NOT_SCREENED: u8 = 255;
const RERUN: u8 = 1;
const EXPLAIN: u8 = 2;
const EXPORT: u8 = 4;

codec::wire_struct! {
    struct DecisionQueryWire / ArchivedDecisionQueryWire {
        request: [u8; 16],
        since: i64,
        until: i64,
        after_segment: u64,
        after_at: u64,
        member: [u8; 24],
        limit: u16,
        answer: u8,
        detail: u8,
        reserved: [u8; 4],
    }
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) const LAYOUT: &[(&str, usize, usize)] = DecisionQueryWire::LAYOUT;

impl DecisionQuery {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let DecisionDetail { rerun, explain, export } = self.detail;
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        let wire = DecisionQueryWire {
            request: self.request.map(|id| id.0).unwrap_or_default(),
            since: self.since.ms(),
            until: self.until.ms(),
            after_segment: self.after.segment,
            after_at: self.after.at,
            member: self.member.map(|member| *member.bytes()).unwrap_or_default(),
            limit: self.limit,
            answer: match self.answer {
                Answered::Any => ANY,
                Answered::With(outcome) => outcome.wire(),
                Answered::NotScreened => NOT_SCREENED,
            },
            detail: bit(rerun, RERUN) | bit(explain, EXPLAIN) | bit(export, EXPORT),
            reserved: [0; 4],
        };
        codec::write(&wire, out);
        if let Some(rule) = &self.rule {
            codec::write_text(rule, out);
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<(Self, &[u8]), ExchangeError> {
        let (wire, rest) = codec::read::<DecisionQueryWire>(bytes)?;
        zero(&wire.reserved)?;
        let (rule, rest) = if rest.is_empty() {
            (None, rest)
        } else {
            let (rule, rest) = codec::read_text(rest).map_err(|_| ExchangeError::Value("rule"))?;
            if !is_rule_name(rule) {
                return Err(ExchangeError::Value("rule"));
            }
            (Some(rule.to_owned()), rest)
        };
        let answer = match wire.answer {
            ANY => Answered::Any,
            NOT_SCREENED => Answered::NotScreened,
            code => Answered::With(Outcome::from_wire(code).ok_or(ExchangeError::Value("answer"))?),
        };
        let member = match wire.member {
            none if none == [0; 24] => None,
            name => Some(MemberName::from_bytes(&name).ok_or(ExchangeError::Value("member"))?),
        };
        let limit = wire.limit.to_native();
        if !(1..=DECISIONS_MAX).contains(&limit) {
            return Err(ExchangeError::Value("limit"));
        }
        if wire.detail & !(RERUN | EXPLAIN | EXPORT) != 0 {
            return Err(ExchangeError::Value("detail"));
        }
        let query = Self {
            request: Some(RequestId(wire.request)).filter(|id| *id != RequestId::UNREADABLE),
            since: Timestamp::from_ms(wire.since.to_native()),
            until: Timestamp::from_ms(wire.until.to_native()),
            after: DecisionPlace { segment: wire.after_segment.to_native(), at: wire.after_at.to_native() },
            limit,
            answer,
            member,
            rule,
            detail: DecisionDetail {
                rerun: wire.detail & RERUN != 0,
                explain: wire.detail & EXPLAIN != 0,
                export: wire.detail & EXPORT != 0,
            },
        };
        Ok((query, rest))
    }
}
