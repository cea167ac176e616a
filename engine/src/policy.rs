//! What the member has decided for itself: required fields, what to do where nobody can be asked, patience, and on
//! which legal basis it shares.

use crate::decision::VerifyUnavailable;
use sparr_protocol::codes::Kind;
use sparr_protocol::field::Field;
use sparr_protocol::indicator::IndicatorKind;
use sparr_protocol::time::Timestamp;
use sparr_protocol::view::RequestView;
use std::collections::BTreeMap;

/// One requirement: at least one of these fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    any_of: Vec<Field>,
}

impl Requirement {
    /// From configuration: field names with `|` between alternatives.
    pub fn parse(text: &str) -> Result<Self, String> {
        let any_of: Result<Vec<Field>, String> = text
            .split('|')
            .map(|name| match Field::parse(name.trim()).filter(|field| Field::OPTIONAL.contains(field)) {
                Some(field) => Ok(field),
                None => Err(format!("no optional field is called {:?}", name.trim())),
            })
            .collect();
        Ok(Self { any_of: any_of? })
    }

    /// The alternatives.
    pub fn fields(&self) -> &[Field] {
        &self.any_of
    }
}

/// Required fields by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Required([Vec<Requirement>; Kind::ALL.len()]);

impl Required {
    /// Sets what a kind requires.
    pub fn set(&mut self, kind: Kind, requirements: Vec<Requirement>) {
        self.0[kind as usize - 1] = requirements;
    }

    /// What a kind requires.
    pub fn of(&self, kind: Kind) -> &[Requirement] {
        &self.0[kind as usize - 1]
    }

    /// The first field that a request should carry and does not.
    pub fn missing(&self, view: &RequestView<'_>) -> Option<Field> {
        let unmet = |requirement: &&Requirement| !requirement.any_of.iter().any(|field| view.has(*field));
        self.of(view.kind()).iter().find(unmet).and_then(|requirement| requirement.any_of.first().copied())
    }
}

/// From which age of the exchange's state on a kind of request is not screened, ms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaleAfter([Option<u32>; Kind::ALL.len()]);

impl StaleAfter {
    /// Sets the age for a kind.
    pub fn set(&mut self, kind: Kind, ms: u32) {
        self.0[kind as usize - 1] = Some(ms);
    }

    /// The age for a kind; none where it is screened however old the state is.
    pub fn of(&self, kind: Kind) -> Option<u32> {
        self.0[kind as usize - 1]
    }
}

/// The member's own decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Fields that a kind of payment must carry to be screened.
    pub required: Required,
    /// What to do about a `verify` flag where the payer cannot be asked.
    pub verify_unavailable: VerifyUnavailable,
    /// How long a lift that no second channel confirmed waits before it takes effect, ms.
    pub cooling_off_ms: i64,
    /// From which age of the exchange's state on a kind is not screened.
    pub stale_after: StaleAfter,
}

/// Why a member may share what it knows of somebody: without it, nothing of that kind leaves the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalBasis {
    /// Reference of the decision.
    pub reference: String,
    /// Reference of the data protection assessment.
    pub assessment: String,
    /// It counts before this time.
    pub valid_until: Timestamp,
}

impl LegalBasis {
    /// As it stands in every record that relies on it.
    pub fn text(&self) -> String {
        format!("{}; {}", self.reference, self.assessment)
    }
}

/// What may be shared: off for every kind that has no legal basis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing(BTreeMap<IndicatorKind, LegalBasis>);

impl Sharing {
    /// Sets the basis of a kind.
    pub fn allow(&mut self, kind: IndicatorKind, basis: LegalBasis) {
        self.0.insert(kind, basis);
    }

    /// The basis of a kind, where there is one that counts at `now`.
    pub fn basis(&self, kind: IndicatorKind, now: Timestamp) -> Option<&LegalBasis> {
        self.0.get(&kind).filter(|basis| now < basis.valid_until)
    }
}
