//! What answers list: flags, indicators, members, looks.

use super::{ExchangeError, LookedBy, StandingCode, TermsWire};
use crate::codec;
use crate::flag::Terms;
use crate::ids::{MemberName, Pseudonym};
use crate::indicator::{Attestation, Content, ContentDigest, IndicatorStanding, read_last_text};
use crate::limits::MEMBER_BYTES_MAX;
use crate::member::{MemberEntry, MemberKind, MemberStanding};
use crate::time::Timestamp;

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
    /// Passes that are open.
    pub passes: u8,
    /// Members that have asked the registrar to lift it.
    pub lift_requests: u8,
    /// Whether it was raised under another number of the same person.
    pub is_linked: bool,
    /// Whether one person of the central organisation has asked for it to be lifted, and a second one has to.
    pub override_waits: bool,
}

/// One indicator as a caller may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndicatorEntry {
    /// Digest of the content.
    pub digest: ContentDigest,
    /// What it says.
    pub content: Content,
    /// Where it stands.
    pub standing: IndicatorStanding,
    /// Who says that the police have it.
    pub attested: Option<Attestation>,
    /// Members that found it, each by itself.
    pub sources: u8,
    /// The police's reference; empty where they do not have it.
    pub reference: String,
}

/// Somebody looked at a person's flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// What kind of member it was.
    pub kind: MemberKind,
    /// How it came about.
    pub by: LookedBy,
    /// The outcome of the payment: its number, or 0 where none was decided.
    pub outcome: u8,
    /// What was decided to be looked at: the review's number, or 0.
    pub review: u8,
}

codec::wire_struct! {
    pub(super) struct FlagWire / ArchivedFlagWire {
        subject: [u8; 16],
        registrar: [u8; MEMBER_BYTES_MAX],
        raised_at: i64,
        lifted_from: i64,
        terms: TermsWire,
        standing: u8,
        passes: u8,
        lift_requests: u8,
        marks: u8,
    }
}

codec::wire_struct! {
    pub(super) struct IndicatorWire / ArchivedIndicatorWire {
        digest: [u8; 32],
        standing: u8,
        attested: u8,
        sources: u8,
        reserved: u8,
    }
}

codec::wire_struct! {
    pub(super) struct MemberWire / ArchivedMemberWire {
        member: [u8; MEMBER_BYTES_MAX],
        key: [u8; 32],
        key_number: u32,
        kind: u8,
        standing: u8,
        reserved: u16,
    }
}

codec::wire_struct! {
    pub(super) struct LookWire / ArchivedLookWire {
        at: i64,
        kind: u8,
        by: u8,
        outcome: u8,
        review: u8,
    }
}

const NOT_LIFTED: i64 = i64::MIN;

/// Bits of a flag's `marks`.
const LINKED: u8 = 1;
const OVERRIDE_WAITS: u8 = 2;

impl FlagWire {
    pub(super) fn of(entry: &FlagEntry) -> Self {
        Self {
            subject: entry.subject.0,
            registrar: *entry.registrar.bytes(),
            raised_at: entry.raised_at.ms(),
            lifted_from: entry.lifted_from.map_or(NOT_LIFTED, Timestamp::ms),
            terms: TermsWire::of(&entry.terms),
            standing: entry.standing.wire(),
            passes: entry.passes,
            lift_requests: entry.lift_requests,
            marks: u8::from(entry.is_linked) * LINKED + u8::from(entry.override_waits) * OVERRIDE_WAITS,
        }
    }
}

impl IndicatorEntry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let wire = IndicatorWire {
            digest: self.digest.0,
            standing: self.standing.wire(),
            attested: self.attested.map_or(0, Attestation::wire),
            sources: self.sources,
            reserved: 0,
        };
        codec::write(&wire, out);
        self.content.encode(out);
        if !self.reference.is_empty() {
            codec::write_text(&self.reference, out);
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, ExchangeError> {
        let (wire, rest) = codec::read::<IndicatorWire>(bytes)?;
        let (content, rest) = Content::decode(rest)?;
        Ok(Self {
            digest: ContentDigest(wire.digest),
            content,
            standing: IndicatorStanding::from_wire(wire.standing).ok_or(ExchangeError::Value("standing"))?,
            attested: match wire.attested {
                0 => None,
                one => Some(Attestation::from_wire(one).ok_or(ExchangeError::Value("attested"))?),
            },
            sources: wire.sources,
            reference: read_last_text(rest)?.to_owned(),
        })
    }
}

impl MemberWire {
    pub(super) fn of(entry: &MemberEntry) -> Self {
        Self {
            member: *entry.member.bytes(),
            key: entry.key,
            key_number: entry.key_number,
            kind: entry.kind.wire(),
            standing: entry.standing.wire(),
            reserved: 0,
        }
    }
}

impl ArchivedMemberWire {
    pub(super) fn entry(&self) -> Result<MemberEntry, ExchangeError> {
        Ok(MemberEntry {
            member: MemberName::from_bytes(&self.member).ok_or(ExchangeError::Value("member"))?,
            kind: MemberKind::from_wire(self.kind).ok_or(ExchangeError::Value("kind"))?,
            standing: MemberStanding::from_wire(self.standing).ok_or(ExchangeError::Value("standing"))?,
            key_number: self.key_number.to_native(),
            key: self.key,
        })
    }
}

impl ArchivedFlagWire {
    pub(super) fn entry(&self) -> Result<FlagEntry, ExchangeError> {
        let lifted_from = Some(self.lifted_from.to_native()).filter(|ms| *ms != NOT_LIFTED);
        Ok(FlagEntry {
            subject: Pseudonym(self.subject),
            registrar: MemberName::from_bytes(&self.registrar).ok_or(ExchangeError::Value("registrar"))?,
            standing: StandingCode::from_wire(self.standing).ok_or(ExchangeError::Value("standing"))?,
            terms: self.terms.terms()?,
            raised_at: Timestamp::from_ms(self.raised_at.to_native()),
            lifted_from: lifted_from.map(Timestamp::from_ms),
            passes: self.passes,
            lift_requests: self.lift_requests,
            is_linked: self.marks & LINKED != 0,
            override_waits: self.marks & OVERRIDE_WAITS != 0,
        })
    }
}

impl LookWire {
    pub(super) fn of(look: &Look) -> Self {
        let Look { at, kind, by, outcome, review } = *look;
        Self { at: at.ms(), kind: kind.wire(), by: by.wire(), outcome, review }
    }
}

impl ArchivedLookWire {
    pub(super) fn look(&self) -> Result<Look, ExchangeError> {
        Ok(Look {
            at: Timestamp::from_ms(self.at.to_native()),
            kind: MemberKind::from_wire(self.kind).ok_or(ExchangeError::Value("kind"))?,
            by: LookedBy::from_wire(self.by).ok_or(ExchangeError::Value("by"))?,
            outcome: self.outcome,
            review: self.review,
        })
    }
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    use super::{FlagWire, IndicatorWire, LookWire, MemberWire};

    pub(crate) const FLAG: &[(&str, usize, usize)] = FlagWire::LAYOUT;
    pub(crate) const INDICATOR: &[(&str, usize, usize)] = IndicatorWire::LAYOUT;
    pub(crate) const MEMBER: &[(&str, usize, usize)] = MemberWire::LAYOUT;
    pub(crate) const LOOK: &[(&str, usize, usize)] = LookWire::LAYOUT;
}
