//! What the exchange answers.

use super::{ExchangeError, Refusal, StandingCode, TermsWire};
use crate::codec;
use crate::flag::Terms;
use crate::frame::{self, MessageKind};
use crate::ids::{MemberName, Pseudonym, RequestId};
use crate::limits::{ANSWER_FRAME_BYTES_MAX, FRAME_HEADER_BYTES, MEMBER_BYTES_MAX};
use crate::response::Position;
use crate::time::Timestamp;

/// What the engine says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The change is durable on this engine's disk and acts from now on.
    Durable {
        /// Peers that have it too.
        peers: u16,
        /// From when it takes effect: later than now for a lift that cools off.
        effective_from: Timestamp,
    },
    /// Nothing was changed.
    Refused(Refusal),
    /// One flag; more answers follow.
    Flag(FlagEntry),
    /// All answers were given.
    End,
    /// The name of a reason.
    Reason(String),
}

/// One registrar's flag on one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagEntry {
    /// The subject, as the engine knows it.
    pub subject: Pseudonym,
    /// The member that entered it.
    pub registrar: MemberName,
    /// Where it stands.
    pub standing: StandingCode,
    /// What it says.
    pub terms: Terms,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// From when a lift takes effect, or took.
    pub lifted_from: Option<Timestamp>,
}

/// An answer of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeAnswer {
    /// The question's id.
    pub id: RequestId,
    /// The state of the engine when it answered.
    pub position: Position,
    /// What it says.
    pub said: Said,
}

codec::wire_struct! {
    struct AnswerHead / ArchivedAnswerHead {
        id: [u8; 16],
        index: u64,
        epoch: u32,
        engine: u16,
        said: u8,
        refusal: u8,
    }
}

codec::wire_struct! {
    struct DurableWire / ArchivedDurableWire {
        effective_from: i64,
        peers: u16,
        reserved: [u8; 6],
    }
}

codec::wire_struct! {
    struct FlagWire / ArchivedFlagWire {
        subject: [u8; 16],
        registrar: [u8; MEMBER_BYTES_MAX],
        raised_at: i64,
        lifted_from: i64,
        terms: TermsWire,
        standing: u8,
    }
}

const NOT_LIFTED: i64 = i64::MIN;
const _: () = assert!(
    codec::size::<AnswerHead>() + codec::size::<FlagWire>() + FRAME_HEADER_BYTES <= ANSWER_FRAME_BYTES_MAX
);

const DURABLE: u8 = 1;
const REFUSED: u8 = 2;
const FLAG: u8 = 3;
const END: u8 = 4;
const REASON: u8 = 5;

impl ExchangeAnswer {
    /// Appends the answer as one frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (said, refusal) = match &self.said {
            Said::Durable { .. } => (DURABLE, 0),
            Said::Refused(refusal) => (REFUSED, refusal.wire()),
            Said::Flag(_) => (FLAG, 0),
            Said::End => (END, 0),
            Said::Reason(_) => (REASON, 0),
        };
        let head = AnswerHead {
            id: self.id.0,
            index: self.position.index,
            epoch: self.position.epoch,
            engine: self.position.engine,
            said,
            refusal,
        };
        let appended = frame::append(MessageKind::ExchangeAnswer, out, |out| {
            codec::write(&head, out);
            match &self.said {
                Said::Durable { peers, effective_from } => {
                    let wire =
                        DurableWire { effective_from: effective_from.ms(), peers: *peers, reserved: [0; 6] };
                    codec::write(&wire, out);
                }
                Said::Flag(entry) => codec::write(&FlagWire::of(entry), out),
                Said::Reason(name) => codec::write_text(name, out),
                Said::Refused(_) | Said::End => {}
            }
        });
        debug_assert!(appended.is_ok(), "reason names are short, and the rest is fixed");
    }

    /// Reads a message of kind [`MessageKind::ExchangeAnswer`].
    pub fn decode(message: &[u8]) -> Result<Self, ExchangeError> {
        let (head, rest) = codec::read::<AnswerHead>(message)?;
        let (said, rest) = match head.said {
            DURABLE => {
                let (wire, rest) = codec::read::<DurableWire>(rest)?;
                let effective_from = Timestamp::from_ms(wire.effective_from.to_native());
                (Said::Durable { peers: wire.peers.to_native(), effective_from }, rest)
            }
            REFUSED => {
                let refusal = Refusal::from_wire(head.refusal).ok_or(ExchangeError::Value("refusal"))?;
                (Said::Refused(refusal), rest)
            }
            FLAG => {
                let (wire, rest) = codec::read::<FlagWire>(rest)?;
                (Said::Flag(wire.entry()?), rest)
            }
            END => (Said::End, rest),
            REASON => {
                let (name, rest) = codec::read_text(rest).map_err(|_| ExchangeError::Value("name"))?;
                (Said::Reason(name.to_owned()), rest)
            }
            _ => return Err(ExchangeError::Value("said")),
        };
        if !rest.is_empty() {
            return Err(ExchangeError::Length);
        }
        let position = Position {
            engine: head.engine.to_native(),
            epoch: head.epoch.to_native(),
            index: head.index.to_native(),
        };
        Ok(Self { id: RequestId(head.id), position, said })
    }
}

impl FlagWire {
    fn of(entry: &FlagEntry) -> Self {
        Self {
            subject: entry.subject.0,
            registrar: *entry.registrar.bytes(),
            raised_at: entry.raised_at.ms(),
            lifted_from: entry.lifted_from.map_or(NOT_LIFTED, Timestamp::ms),
            terms: TermsWire::of(&entry.terms),
            standing: entry.standing.wire(),
        }
    }
}

impl ArchivedFlagWire {
    fn entry(&self) -> Result<FlagEntry, ExchangeError> {
        let lifted_from = Some(self.lifted_from.to_native()).filter(|ms| *ms != NOT_LIFTED);
        Ok(FlagEntry {
            subject: Pseudonym(self.subject),
            registrar: MemberName::from_bytes(&self.registrar).ok_or(ExchangeError::Value("registrar"))?,
            standing: StandingCode::from_wire(self.standing).ok_or(ExchangeError::Value("standing"))?,
            terms: self.terms.terms()?,
            raised_at: Timestamp::from_ms(self.raised_at.to_native()),
            lifted_from: lifted_from.map(Timestamp::from_ms),
        })
    }
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    use super::{AnswerHead, DurableWire, FlagWire};

    pub(crate) const HEAD: &[(&str, usize, usize)] = AnswerHead::LAYOUT;
    pub(crate) const DURABLE: &[(&str, usize, usize)] = DurableWire::LAYOUT;
    pub(crate) const FLAG: &[(&str, usize, usize)] = FlagWire::LAYOUT;
}
