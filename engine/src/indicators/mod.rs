//! Indicators: what providers know of those who defraud people. A type apart from what people asked for.
//!
//! An indicator is a small state machine, folded from records in any order. It acts at its own member from its draft
//! on, and elsewhere only once its registrar has shared it *and* the police receipt that the share names is known,
//! about the very same content: police first.

mod set;

pub use set::{IndicatorSet, IndicatorSize};

use crate::pack::pack_fields;
use crate::version::Version;
use sparr_protocol::ids::{Actor, MemberName};
use sparr_protocol::indicator::{
    Attestation, ClassName, Content, ContentDigest, Grade, IndicatorRole, IndicatorStanding,
};
use sparr_protocol::record::RecordDigest;
use sparr_protocol::time::Timestamp;

/// Somebody says that the police have received a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Digest of its record, which a share names.
    pub record: RecordDigest,
    /// Who says so.
    pub by: Actor,
    /// Whether it bears the police's signature, which was checked when the record came in.
    pub is_signed: bool,
    /// The police's reference.
    pub reference: String,
    /// When they received it.
    pub received_at: Timestamp,
    /// Its place in the merged history.
    pub version: Version,
}

/// Another member disagrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contest {
    /// Who.
    pub by: MemberName,
    /// Its place in the merged history.
    pub version: Version,
    /// Until when the registrar answers.
    pub due: Timestamp,
}

/// Everything that is known of one indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// Digest of its content.
    pub digest: ContentDigest,
    /// What it says, once a draft or a share was seen.
    pub content: Option<Box<Content>>,
    /// Whether its draft is known: at its own member alone.
    pub drafted: bool,
    /// Whether its document was made for the police.
    pub reported: bool,
    /// What was said of police receipts, in order.
    pub receipts: Vec<Receipt>,
    /// The receipts' records that its registrar's shares name, in order.
    pub shared: Vec<(Version, RecordDigest)>,
    /// Members that found it by themselves, with their last word; the registrar's own answers contests.
    pub confirmed: Vec<(MemberName, Version)>,
    /// Members that disagree, with their last word.
    pub contested: Vec<Contest>,
    /// Members that have withdrawn it, in order: the registrar's word counts.
    pub withdrawn: Vec<MemberName>,
}

pack_fields!(Receipt { record, by, is_signed, reference, received_at, version });
pack_fields!(Contest { by, version, due });
pack_fields!(Indicator {
    digest,
    content,
    drafted,
    reported,
    receipts,
    shared,
    confirmed,
    contested,
    withdrawn
});

/// What an indicator amounts to for one member at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does not act.
    None,
    /// It may ask for a review and for nothing more: somebody disagrees.
    ReviewOnly,
    /// It acts.
    Full,
}

impl Indicator {
    fn new(digest: ContentDigest) -> Self {
        Self {
            digest,
            content: None,
            drafted: false,
            reported: false,
            receipts: Vec::new(),
            shared: Vec::new(),
            confirmed: Vec::new(),
            contested: Vec::new(),
            withdrawn: Vec::new(),
        }
    }

    /// Who says that the police have the content, by the receipt of this record: the police themselves, or two
    /// different persons of the registrar under one reference.
    pub fn attested_by(&self, record: &RecordDigest) -> Option<Attestation> {
        let named = self.receipts.iter().find(|receipt| receipt.record == *record)?;
        if named.is_signed {
            return Some(Attestation::Police);
        }
        let registrar = self.content.as_ref()?.registrar;
        let second = |other: &Receipt| {
            !other.is_signed
                && other.by.member == registrar
                && other.by != named.by
                && other.reference == named.reference
        };
        (named.by.member == registrar && self.receipts.iter().any(second)).then_some(Attestation::Member)
    }

    /// The strongest receipt that stands: by the police before by the member, the earliest of its kind.
    pub fn receipt(&self) -> Option<(&Receipt, Attestation)> {
        let standing =
            |receipt| self.attested_by(&receipt_record(receipt)).map(|attested| (receipt, attested));
        let all = || self.receipts.iter().filter_map(standing);
        all().find(|(_, attested)| *attested == Attestation::Police).or_else(|| all().next())
    }

    /// Who says that the police have it, where its registrar has shared it under a receipt that stands.
    pub fn shared_under(&self) -> Option<Attestation> {
        self.shared.iter().filter_map(|(_, receipt)| self.attested_by(receipt)).max()
    }

    /// A contest that the registrar has not answered: the one that is due first.
    fn open_contest(&self) -> Option<Contest> {
        let registrar = self.content.as_ref()?.registrar;
        let answered =
            self.confirmed.iter().find(|(member, _)| *member == registrar).map(|(_, version)| *version);
        let open = |contest: &&Contest| answered.is_none_or(|answer| answer < contest.version);
        self.contested.iter().filter(open).min_by_key(|contest| contest.due).copied()
    }

    /// Where it stands at `now`.
    pub fn standing(&self, now: Timestamp) -> IndicatorStanding {
        let Some(content) = &self.content else { return IndicatorStanding::Received };
        if self.withdrawn.contains(&content.registrar) {
            IndicatorStanding::Withdrawn
        } else if now >= content.valid_until {
            IndicatorStanding::Expired
        } else if let Some(contest) = self.open_contest() {
            if now < contest.due { IndicatorStanding::Contested } else { IndicatorStanding::Lapsed }
        } else if self.shared_under().is_some() {
            IndicatorStanding::Shared
        } else if self.receipt().is_some() {
            IndicatorStanding::Received
        } else if self.reported {
            IndicatorStanding::Reported
        } else {
            IndicatorStanding::Draft
        }
    }

    /// What it amounts to at a member at `now`: nobody but its own member sees it before it is shared under a
    /// receipt of the police.
    pub fn effect(&self, at: MemberName, now: Timestamp) -> Effect {
        let Some(content) = &self.content else { return Effect::None };
        let own = content.registrar == at && self.drafted;
        if !own && self.shared_under().is_none() {
            return Effect::None;
        }
        match self.standing(now) {
            IndicatorStanding::Withdrawn | IndicatorStanding::Expired | IndicatorStanding::Lapsed => {
                Effect::None
            }
            IndicatorStanding::Contested => Effect::ReviewOnly,
            IndicatorStanding::Draft
            | IndicatorStanding::Reported
            | IndicatorStanding::Received
            | IndicatorStanding::Shared => Effect::Full,
        }
    }
}

fn receipt_record(receipt: &Receipt) -> RecordDigest {
    receipt.record
}

/// What a rule may know of the indicators on one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Whether any of them acts in full.
    pub hit: bool,
    /// Whether one of them is contested, and may ask for a review alone.
    pub contested: bool,
    /// Grade of the strongest.
    pub grade: Grade,
    /// Class of the strongest.
    pub class: ClassName,
    /// Role of the strongest.
    pub role: Option<IndicatorRole>,
    /// Who says that the police have the strongest; `None` for a draft of the member's own.
    pub attested: Option<Attestation>,
    /// Members that found it, each by itself.
    pub sources: u8,
    /// Which one is the strongest, and whose it is; `None` where nothing was found.
    pub strongest: Option<(sparr_protocol::indicator::IndicatorId, MemberName)>,
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod model_tests;
