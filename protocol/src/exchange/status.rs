//! What an engine says of the exchange: where a flag is enforced, who is there, and who lacks what.

use super::ExchangeError;
use crate::codec;
use crate::codes::codes;
use crate::ids::MemberName;
use crate::limits::MEMBER_BYTES_MAX;

codes! {
    /// Why records of an engine are not taken in for now.
    HeldBack {
        /// Nobody has admitted the member, and no configuration names it.
        UnknownMember = 1 "unknown_member",
        /// The member is suspended.
        Suspended = 2 "suspended",
        /// The signature is not the member's.
        SignatureWrong = 3 "signature_wrong",
        /// A record says what its origin may not say.
        NotPermitted = 4 "not_permitted",
        /// A stamp lies further ahead than clocks differ.
        ClockAhead = 5 "clock_ahead",
        /// A record must be understood, and the engine's version is too old to.
        NotUnderstood = 6 "not_understood",
        /// The bytes are no chain of records.
        Damaged = 7 "damaged",
        /// Two histories of one life of an engine.
        Forked = 8 "forked",
    }
}

/// Members that are named in one answer at most; how many there are is said besides.
pub const MISSING_NAMED_MAX: usize = 8;

/// Where a flag is enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement {
    /// Members that screen people by their number and have it at every engine.
    pub at: u16,
    /// Members that have it and have screened nobody by a number since their engines started.
    pub held: u16,
    /// Members that should have it.
    pub of: u16,
    /// From the acknowledgement to the last member's receipt, ms, where the asked engine recorded it lately.
    pub took_ms: Option<u32>,
    /// Whose receipt was the last.
    pub slowest: Option<MemberName>,
    /// Members that have not said that they have it: the first of them.
    pub missing: Vec<MemberName>,
}

/// The exchange as an engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeEntry {
    /// Whether there are other engines at all.
    pub networked: bool,
    /// Whether the broker is reached.
    pub linked: bool,
    /// Whether this engine has what all others had when it came.
    pub joined: bool,
    /// Age of the newest confirmed state, ms.
    pub staleness_ms: u32,
    /// Own records that the broker has not taken yet.
    pub waiting: u64,
    /// Times that records came whose predecessors had not.
    pub gaps: u64,
    /// Questions for missing records.
    pub questions: u64,
    /// Batches of records that were sent to who lacked them.
    pub repaired: u64,
    /// Messages that were damaged, of a stranger, or under another network key.
    pub refused: u64,
}

/// One engine of the exchange, as the asked one sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineEntry {
    /// Its member.
    pub member: MemberName,
    /// Its number there.
    pub engine: u16,
    /// Life of its last record here.
    pub epoch: u32,
    /// Number of its last record here.
    pub sequence: u64,
    /// Digest of what is here of it: equal wherever the same is held.
    pub digest: [u8; 16],
    /// Whether it is the asked one.
    pub is_own: bool,
    /// Whether it is there.
    pub is_live: bool,
    /// Time since it was heard, ms.
    pub heard_ms: Option<u32>,
    /// Time since it is known that there is more of it than is here, ms.
    pub behind_ms: Option<u32>,
    /// Why what it sent is not taken in.
    pub held_back: Option<HeldBack>,
    /// Records of the asked engine that it has not said to have.
    pub lacks: u64,
    /// Digest of its rule set, as it said.
    pub rule_set: Option<[u8; 16]>,
}

codec::wire_struct! {
    pub(super) struct EnforcementWire / ArchivedEnforcementWire {
        slowest: [u8; MEMBER_BYTES_MAX],
        took_ms: u32,
        at: u16,
        held: u16,
        of: u16,
        named: u16,
    }
}

codec::wire_struct! {
    pub(super) struct ExchangeWire / ArchivedExchangeWire {
        waiting: u64,
        gaps: u64,
        questions: u64,
        repaired: u64,
        refused: u64,
        staleness_ms: u32,
        networked: u8,
        linked: u8,
        joined: u8,
        reserved: u8,
    }
}

codec::wire_struct! {
    pub(super) struct EngineWire / ArchivedEngineWire {
        member: [u8; MEMBER_BYTES_MAX],
        digest: [u8; 16],
        rule_set: [u8; 16],
        sequence: u64,
        lacks: u64,
        epoch: u32,
        heard_ms: u32,
        behind_ms: u32,
        engine: u16,
        is_own: u8,
        is_live: u8,
        held_back: u8,
        has_rule_set: u8,
        reserved: u16,
    }
}

/// A time that is not known.
const NO_TIME: u32 = u32::MAX;
const NOBODY: [u8; MEMBER_BYTES_MAX] = [0; MEMBER_BYTES_MAX];

fn time(ms: u32) -> Option<u32> {
    Some(ms).filter(|ms| *ms != NO_TIME)
}

fn flag(value: u8, what: &'static str) -> Result<bool, ExchangeError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ExchangeError::Value(what)),
    }
}

impl Enforcement {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let named = self.missing.len().min(MISSING_NAMED_MAX);
        let wire = EnforcementWire {
            slowest: self.slowest.map_or(NOBODY, |member| *member.bytes()),
            took_ms: self.took_ms.unwrap_or(NO_TIME),
            at: self.at,
            held: self.held,
            of: self.of,
            named: named as u16,
        };
        codec::write(&wire, out);
        self.missing.iter().take(named).for_each(|member| out.extend_from_slice(member.bytes()));
    }

    pub(super) fn read(bytes: &[u8]) -> Result<(Self, &[u8]), ExchangeError> {
        let (wire, mut rest) = codec::read::<EnforcementWire>(bytes)?;
        let named = usize::from(wire.named.to_native());
        if named > MISSING_NAMED_MAX {
            return Err(ExchangeError::Value("named"));
        }
        let mut missing = Vec::new();
        for _ in 0..named {
            let (member, after) = rest.split_first_chunk().ok_or(ExchangeError::Length)?;
            missing.push(MemberName::from_bytes(member).ok_or(ExchangeError::Value("missing"))?);
            rest = after;
        }
        let slowest = match wire.slowest {
            NOBODY => None,
            bytes => Some(MemberName::from_bytes(&bytes).ok_or(ExchangeError::Value("slowest"))?),
        };
        let enforcement = Self {
            at: wire.at.to_native(),
            held: wire.held.to_native(),
            of: wire.of.to_native(),
            took_ms: time(wire.took_ms.to_native()),
            slowest,
            missing,
        };
        Ok((enforcement, rest))
    }
}

impl ExchangeWire {
    pub(super) fn of(entry: &ExchangeEntry) -> Self {
        let ExchangeEntry {
            networked,
            linked,
            joined,
            staleness_ms,
            waiting,
            gaps,
            questions,
            repaired,
            refused,
        } = *entry;
        let [networked, linked, joined] = [networked, linked, joined].map(u8::from);
        Self {
            waiting,
            gaps,
            questions,
            repaired,
            refused,
            staleness_ms,
            networked,
            linked,
            joined,
            reserved: 0,
        }
    }
}

impl ArchivedExchangeWire {
    pub(super) fn entry(&self) -> Result<ExchangeEntry, ExchangeError> {
        super::zero(&[self.reserved])?;
        Ok(ExchangeEntry {
            networked: flag(self.networked, "networked")?,
            linked: flag(self.linked, "linked")?,
            joined: flag(self.joined, "joined")?,
            staleness_ms: self.staleness_ms.to_native(),
            waiting: self.waiting.to_native(),
            gaps: self.gaps.to_native(),
            questions: self.questions.to_native(),
            repaired: self.repaired.to_native(),
            refused: self.refused.to_native(),
        })
    }
}

impl EngineWire {
    pub(super) fn of(entry: &EngineEntry) -> Self {
        Self {
            member: *entry.member.bytes(),
            digest: entry.digest,
            rule_set: entry.rule_set.unwrap_or_default(),
            sequence: entry.sequence,
            lacks: entry.lacks,
            epoch: entry.epoch,
            heard_ms: entry.heard_ms.unwrap_or(NO_TIME),
            behind_ms: entry.behind_ms.unwrap_or(NO_TIME),
            engine: entry.engine,
            is_own: entry.is_own.into(),
            is_live: entry.is_live.into(),
            held_back: entry.held_back.map_or(0, HeldBack::wire),
            has_rule_set: entry.rule_set.is_some().into(),
            reserved: 0,
        }
    }
}

impl ArchivedEngineWire {
    pub(super) fn entry(&self) -> Result<EngineEntry, ExchangeError> {
        if self.reserved.to_native() != 0 {
            return Err(ExchangeError::Value("reserved"));
        }
        let held_back = match self.held_back {
            0 => None,
            number => Some(HeldBack::from_wire(number).ok_or(ExchangeError::Value("held_back"))?),
        };
        Ok(EngineEntry {
            member: MemberName::from_bytes(&self.member).ok_or(ExchangeError::Value("member"))?,
            engine: self.engine.to_native(),
            epoch: self.epoch.to_native(),
            sequence: self.sequence.to_native(),
            digest: self.digest,
            is_own: flag(self.is_own, "is_own")?,
            is_live: flag(self.is_live, "is_live")?,
            heard_ms: time(self.heard_ms.to_native()),
            behind_ms: time(self.behind_ms.to_native()),
            held_back,
            lacks: self.lacks.to_native(),
            rule_set: flag(self.has_rule_set, "has_rule_set")?.then_some(self.rule_set),
        })
    }
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    use super::{EnforcementWire, EngineWire, ExchangeWire};

    pub(crate) const ENFORCEMENT: &[(&str, usize, usize)] = EnforcementWire::LAYOUT;
    pub(crate) const EXCHANGE: &[(&str, usize, usize)] = ExchangeWire::LAYOUT;
    pub(crate) const ENGINE: &[(&str, usize, usize)] = EngineWire::LAYOUT;
}
