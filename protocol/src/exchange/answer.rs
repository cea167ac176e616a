//! What the exchange answers.

use super::blast::{self, BlastEntry};
use super::entries::{FlagEntry, FlagWire, IndicatorEntry, IndicatorWire, Look, LookWire, MemberWire};
use super::exemptions::{self, ExemptionEntry};
use super::recall::{self, RecallEntry};
use super::status::{Enforcement, EngineEntry, EngineWire, ExchangeEntry, ExchangeWire};
use super::velocity::{self, VelocityEntry, WindowEntry};
use super::{ExchangeError, PlannedChange, Refusal};
use crate::codec;
use crate::frame::{self, MessageKind};
use crate::ids::{RequestId, RuleSetDigest};
use crate::indicator::{ContentDigest, ContentWire};
use crate::limits::{EXCHANGE_ANSWER_FRAME_BYTES_MAX, FRAME_HEADER_BYTES, TEXT_BYTES_MAX};
use crate::member::MemberEntry;
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
        /// It was recorded, and takes effect only once a second person has said the same.
        second_person: bool,
    },
    /// Nothing was changed.
    Refused(Refusal),
    /// One flag; more answers follow.
    Flag(FlagEntry),
    /// All answers were given.
    End,
    /// The name of a reason.
    Reason(String),
    /// An indicator was drafted and is durable.
    Drafted {
        /// Digest of its content; the first half is its id.
        digest: ContentDigest,
        /// From when it acts at its own member.
        effective_from: Timestamp,
    },
    /// One indicator; more answers follow.
    Indicator(Box<IndicatorEntry>),
    /// One member; more answers follow.
    Member(MemberEntry),
    /// What a raise would do.
    Plan(PlannedChange),
    /// Somebody looked at a person's flag; more answers follow.
    Look(Look),
    /// One sentence of a report; more answers follow.
    Line(String),
    /// One exemption; more answers follow.
    Exemption(Box<ExemptionEntry>),
    /// Where the flag before it is enforced; more answers follow.
    Enforcement(Box<Enforcement>),
    /// How the exchange stands; its engines follow.
    Exchange(Box<ExchangeEntry>),
    /// One engine of the exchange; more answers follow.
    Engine(Box<EngineEntry>),
    /// A rule set is loaded.
    RuleSet {
        /// Which one.
        digest: RuleSetDigest,
        /// Whether it waits for a second person's approval instead of deciding.
        staged: bool,
    },
    /// A request that would be answered otherwise now; more answers follow.
    Recalled(Box<RecallEntry>),
    /// What a rule set would have changed.
    Blast(Box<BlastEntry>),
    /// What is kept of one key; its windows follow.
    Velocity(Box<VelocityEntry>),
    /// What one window of the key before it holds; more answers follow.
    Window(Box<WindowEntry>),
    /// A piece of a text of JSON objects, one a line; the pieces in their order are the text, and `End` ends it.
    Piece(String),
}

impl Said {
    /// Whether the question has more answers after this one.
    pub fn more_follows(&self) -> bool {
        match self {
            Self::Flag(_)
            | Self::Indicator(_)
            | Self::Member(_)
            | Self::Look(_)
            | Self::Line(_)
            | Self::Exemption(_)
            | Self::Enforcement(_)
            | Self::Exchange(_)
            | Self::Engine(_)
            | Self::Recalled(_)
            | Self::Velocity(_)
            | Self::Window(_)
            | Self::Piece(_) => true,
            Self::Durable { .. }
            | Self::Refused(_)
            | Self::End
            | Self::Reason(_)
            | Self::Drafted { .. }
            | Self::Plan(_)
            | Self::RuleSet { .. }
            | Self::Blast(_) => false,
        }
    }
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
        second_person: u8,
        reserved: [u8; 5],
    }
}

const _: () = assert!(
    codec::size::<AnswerHead>()
        + codec::size::<IndicatorWire>()
        + codec::size::<ContentWire>()
        + 2 * (1 + TEXT_BYTES_MAX)
        + FRAME_HEADER_BYTES
        <= EXCHANGE_ANSWER_FRAME_BYTES_MAX
);

const DURABLE: u8 = 1;
const REFUSED: u8 = 2;
const FLAG: u8 = 3;
const END: u8 = 4;
const REASON: u8 = 5;
const DRAFTED: u8 = 6;
const INDICATOR: u8 = 7;
const MEMBER: u8 = 8;
const PLAN: u8 = 9;
const LOOK: u8 = 10;
const LINE: u8 = 11;
const EXEMPTION: u8 = 12;
const RULE_SET: u8 = 13;
const ENFORCEMENT: u8 = 16;
const EXCHANGE: u8 = 17;
const ENGINE: u8 = 18;
const RECALLED: u8 = 14;
const BLAST: u8 = 15;
const VELOCITY: u8 = 24;
const WINDOW: u8 = 25;
const PIECE: u8 = 32;

/// Bytes of one [`Said::Piece`] at most.
pub const PIECE_BYTES_MAX: usize =
    EXCHANGE_ANSWER_FRAME_BYTES_MAX - FRAME_HEADER_BYTES - codec::size::<AnswerHead>();

const _: () = assert!(
    codec::size::<AnswerHead>() + blast::ENTRY_BYTES_MAX + recall::ENTRY_BYTES_MAX + FRAME_HEADER_BYTES
        <= EXCHANGE_ANSWER_FRAME_BYTES_MAX
);

const _: () = assert!(
    codec::size::<AnswerHead>() + velocity::ENTRY_BYTES_MAX + FRAME_HEADER_BYTES
        <= EXCHANGE_ANSWER_FRAME_BYTES_MAX
);

const _: () = assert!(
    codec::size::<AnswerHead>() + exemptions::ENTRY_BYTES_MAX + FRAME_HEADER_BYTES
        <= EXCHANGE_ANSWER_FRAME_BYTES_MAX
);

impl ExchangeAnswer {
    /// Appends the answer as one frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (said, refusal) = match &self.said {
            Said::Durable { .. } => (DURABLE, 0),
            Said::Refused(refusal) => (REFUSED, refusal.wire()),
            Said::Flag(_) => (FLAG, 0),
            Said::End => (END, 0),
            Said::Reason(_) => (REASON, 0),
            Said::Drafted { .. } => (DRAFTED, 0),
            Said::Indicator(_) => (INDICATOR, 0),
            Said::Member(_) => (MEMBER, 0),
            Said::Plan(_) => (PLAN, 0),
            Said::Look(_) => (LOOK, 0),
            Said::Line(_) => (LINE, 0),
            Said::Exemption(_) => (EXEMPTION, 0),
            Said::RuleSet { .. } => (RULE_SET, 0),
            Said::Enforcement(_) => (ENFORCEMENT, 0),
            Said::Exchange(_) => (EXCHANGE, 0),
            Said::Engine(_) => (ENGINE, 0),
            Said::Recalled(_) => (RECALLED, 0),
            Said::Blast(_) => (BLAST, 0),
            Said::Velocity(_) => (VELOCITY, 0),
            Said::Window(_) => (WINDOW, 0),
            Said::Piece(_) => (PIECE, 0),
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
                Said::Durable { peers, effective_from, second_person } => {
                    let wire = DurableWire {
                        effective_from: effective_from.ms(),
                        peers: *peers,
                        second_person: (*second_person).into(),
                        reserved: [0; 5],
                    };
                    codec::write(&wire, out);
                }
                Said::Flag(entry) => codec::write(&FlagWire::of(entry), out),
                Said::Reason(text) | Said::Line(text) => codec::write_text(text, out),
                Said::Drafted { digest, effective_from } => {
                    out.extend_from_slice(&digest.0);
                    out.extend_from_slice(&effective_from.ms().to_le_bytes());
                }
                Said::Indicator(entry) => entry.write(out),
                Said::Member(entry) => codec::write(&MemberWire::of(entry), out),
                Said::Plan(change) => out.push(change.wire()),
                Said::Look(look) => codec::write(&LookWire::of(look), out),
                Said::Exemption(entry) => entry.write(out),
                Said::Enforcement(enforcement) => enforcement.write(out),
                Said::Exchange(entry) => codec::write(&ExchangeWire::of(entry), out),
                Said::Engine(entry) => codec::write(&EngineWire::of(entry), out),
                Said::RuleSet { digest, staged } => {
                    out.extend_from_slice(&digest.0);
                    out.push((*staged).into());
                }
                Said::Recalled(entry) => entry.write(out),
                Said::Blast(blast) => blast.write(out),
                Said::Velocity(entry) => entry.write(out),
                Said::Window(entry) => entry.write(out),
                Said::Piece(text) => out.extend_from_slice(text.as_bytes()),
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
                let second_person = wire.second_person != 0;
                (Said::Durable { peers: wire.peers.to_native(), effective_from, second_person }, rest)
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
            LINE => {
                let (line, rest) = codec::read_text(rest).map_err(|_| ExchangeError::Value("line"))?;
                (Said::Line(line.to_owned()), rest)
            }
            DRAFTED => {
                let (digest, rest) = rest.split_first_chunk().ok_or(ExchangeError::Length)?;
                let (from, rest) = rest.split_first_chunk().ok_or(ExchangeError::Length)?;
                let effective_from = Timestamp::from_ms(i64::from_le_bytes(*from));
                (Said::Drafted { digest: ContentDigest(*digest), effective_from }, rest)
            }
            INDICATOR => (Said::Indicator(Box::new(IndicatorEntry::read(rest)?)), &[][..]),
            MEMBER => {
                let (wire, rest) = codec::read::<MemberWire>(rest)?;
                (Said::Member(wire.entry()?), rest)
            }
            PLAN => {
                let (change, rest) = rest.split_first().ok_or(ExchangeError::Length)?;
                (Said::Plan(PlannedChange::from_wire(*change).ok_or(ExchangeError::Value("plan"))?), rest)
            }
            LOOK => {
                let (wire, rest) = codec::read::<LookWire>(rest)?;
                (Said::Look(wire.look()?), rest)
            }
            EXEMPTION => (Said::Exemption(Box::new(ExemptionEntry::read(rest)?)), &[][..]),
            RULE_SET => {
                let (digest, rest) = rest.split_first_chunk().ok_or(ExchangeError::Length)?;
                let (staged, rest) = rest.split_first().ok_or(ExchangeError::Length)?;
                (Said::RuleSet { digest: RuleSetDigest(*digest), staged: *staged != 0 }, rest)
            }
            ENFORCEMENT => {
                let (enforcement, rest) = Enforcement::read(rest)?;
                (Said::Enforcement(Box::new(enforcement)), rest)
            }
            EXCHANGE => {
                let (wire, rest) = codec::read::<ExchangeWire>(rest)?;
                (Said::Exchange(Box::new(wire.entry()?)), rest)
            }
            ENGINE => {
                let (wire, rest) = codec::read::<EngineWire>(rest)?;
                (Said::Engine(Box::new(wire.entry()?)), rest)
            }
            RECALLED => (Said::Recalled(Box::new(RecallEntry::read(rest)?)), &[][..]),
            BLAST => {
                let (blast, rest) = BlastEntry::read(rest)?;
                (Said::Blast(Box::new(blast)), rest)
            }
            VELOCITY => (Said::Velocity(Box::new(VelocityEntry::read(rest)?)), &[][..]),
            WINDOW => (Said::Window(Box::new(WindowEntry::read(rest)?)), &[][..]),
            PIECE => {
                let text = str::from_utf8(rest).map_err(|_| ExchangeError::Value("piece"))?;
                (Said::Piece(text.to_owned()), &[][..])
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

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    use super::{AnswerHead, DurableWire};

    pub(crate) const HEAD: &[(&str, usize, usize)] = AnswerHead::LAYOUT;
    pub(crate) const DURABLE: &[(&str, usize, usize)] = DurableWire::LAYOUT;
}
