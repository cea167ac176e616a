//! Operations about exemptions as they travel, and how one is listed.

use super::{ExchangeError, OperationKind, zero};
use crate::codec;
use crate::exemption::{ExemptionId, ExemptionKey, ExemptionStanding, RuleNames};
use crate::ids::Pseudonym;
use crate::indicator::read_last_text;
use crate::personal::Personal;
use crate::time::Timestamp;

/// One question about exemptions.
#[derive(Clone, PartialEq, Debug)]
pub enum ExemptionOperation {
    /// Silence these rules for this key, for a while.
    Add {
        /// What kind of key it is.
        key: ExemptionKey,
        /// The key, as it is typed.
        value: Personal,
        /// The rules: by name, never all.
        rules: RuleNames,
        /// It acts before this time.
        until: Timestamp,
        /// Why, without naming anybody.
        why: String,
    },
    /// A second person agrees: what rules on shared indicators need.
    Confirm(ExemptionId),
    /// It ends now.
    End(ExemptionId),
    /// Every exemption of the caller's member.
    List,
}

/// One exemption as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExemptionEntry {
    /// Its id: the operation that made it.
    pub id: ExemptionId,
    /// What kind of key it is for.
    pub key: ExemptionKey,
    /// The key, as the engine knows it.
    pub value: Pseudonym,
    /// Where it stands.
    pub standing: ExemptionStanding,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// It acts before this time.
    pub until: Timestamp,
    /// The rules that it silences.
    pub rules: RuleNames,
    /// Why.
    pub why: String,
}

codec::wire_struct! {
    struct AddWire / ArchivedAddWire {
        until: i64,
        key: u8,
        reserved: u8,
    }
}

codec::wire_struct! {
    struct EntryWire / ArchivedEntryWire {
        id: [u8; 16],
        value: [u8; 16],
        granted_at: i64,
        until: i64,
        key: u8,
        standing: u8,
    }
}

impl ExemptionOperation {
    /// Which operation it is.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Add { .. } => OperationKind::ExemptAdd,
            Self::Confirm(_) => OperationKind::ExemptConfirm,
            Self::End(_) => OperationKind::ExemptEnd,
            Self::List => OperationKind::ExemptList,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Add { key, value, rules, until, why } => {
                codec::write(&AddWire { until: until.ms(), key: key.wire(), reserved: 0 }, out);
                codec::write_text(value.expose(), out);
                rules.write(out);
                codec::write_text(why, out);
            }
            Self::Confirm(id) | Self::End(id) => out.extend_from_slice(&id.0),
            Self::List => {}
        }
    }

    pub(super) fn read(kind: OperationKind, rest: &[u8]) -> Result<Self, ExchangeError> {
        let one = || match rest.first_chunk::<16>() {
            Some(id) if id.len() == rest.len() => Ok(ExemptionId(*id)),
            Some(_) | None => Err(ExchangeError::Length),
        };
        match kind {
            OperationKind::ExemptAdd => {
                let (wire, rest) = codec::read::<AddWire>(rest)?;
                zero(&[wire.reserved])?;
                let key = ExemptionKey::from_wire(wire.key).ok_or(ExchangeError::Value("key"))?;
                let (value, rest) = codec::read_text(rest).map_err(|_| ExchangeError::Value("value"))?;
                let (rules, rest) = RuleNames::read(rest)?;
                let why = read_last_text(rest)?.to_owned();
                if why.is_empty() {
                    return Err(ExchangeError::Value("why"));
                }
                let until = Timestamp::from_ms(wire.until.to_native());
                Ok(Self::Add { key, value: value.into(), rules, until, why })
            }
            OperationKind::ExemptConfirm => one().map(Self::Confirm),
            OperationKind::ExemptEnd => one().map(Self::End),
            OperationKind::ExemptList if rest.is_empty() => Ok(Self::List),
            OperationKind::ExemptList => Err(ExchangeError::Length),
            other => Err(ExchangeError::Operation(other.wire())),
        }
    }
}

impl ExemptionEntry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let wire = EntryWire {
            id: self.id.0,
            value: self.value.0,
            granted_at: self.granted_at.ms(),
            until: self.until.ms(),
            key: self.key.wire(),
            standing: self.standing.wire(),
        };
        codec::write(&wire, out);
        self.rules.write(out);
        codec::write_text(&self.why, out);
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, ExchangeError> {
        let (wire, rest) = codec::read::<EntryWire>(bytes)?;
        let (rules, rest) = RuleNames::read(rest)?;
        Ok(Self {
            id: ExemptionId(wire.id),
            key: ExemptionKey::from_wire(wire.key).ok_or(ExchangeError::Value("key"))?,
            value: Pseudonym(wire.value),
            standing: ExemptionStanding::from_wire(wire.standing).ok_or(ExchangeError::Value("standing"))?,
            granted_at: Timestamp::from_ms(wire.granted_at.to_native()),
            until: Timestamp::from_ms(wire.until.to_native()),
            rules,
            why: read_last_text(rest)?.to_owned(),
        })
    }
}

/// Bytes of a listed exemption at most.
pub(super) const ENTRY_BYTES_MAX: usize =
    codec::size::<EntryWire>() + RuleNames::BYTES_MAX + 1 + crate::limits::REFERENCE_BYTES_MAX;

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    pub(crate) const ADD: &[(&str, usize, usize)] = super::AddWire::LAYOUT;
    pub(crate) const ENTRY: &[(&str, usize, usize)] = super::EntryWire::LAYOUT;
}
