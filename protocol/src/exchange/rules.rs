//! Operations about an engine's own rule sets as they travel. They change nothing that other engines see; what they do
//! stands in the engine's history of rule sets, with who asked.

use super::{ExchangeError, OperationKind};
use crate::codec;
use crate::exemption::is_rule_name;
use crate::ids::RuleSetDigest;
use crate::indicator::read_last_text;

/// One question about rule sets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RulesOperation {
    /// Load the files again: staged where a second person has to approve.
    Reload {
        /// It is meant to change more answers than the configuration allows without a word.
        accept: bool,
    },
    /// Say what loading the files would have changed among recent requests, and change nothing.
    Plan,
    /// Make the staged set decide. Another person than the one who asked for the reload.
    Approve(RuleSetDigest),
    /// Make an earlier set decide again: this one, or the one before the active one.
    Rollback(Option<RuleSetDigest>),
    /// Switch a rule off.
    Kill(String),
    /// Let a rule that was switched off do again what its file says.
    Revive(String),
    /// Switch every rule off.
    KillAll,
    /// Let every rule do again what its file says.
    ReviveAll,
}

impl RulesOperation {
    /// Which operation it is.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Reload { .. } => OperationKind::RulesReload,
            Self::Plan => OperationKind::RulesPlan,
            Self::Approve(_) => OperationKind::RulesApprove,
            Self::Rollback(_) => OperationKind::RulesRollback,
            Self::Kill(_) | Self::KillAll => OperationKind::RuleKill,
            Self::Revive(_) | Self::ReviveAll => OperationKind::RuleRevive,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Reload { accept: false }
            | Self::Plan
            | Self::Rollback(None)
            | Self::KillAll
            | Self::ReviveAll => {}
            Self::Reload { accept: true } => out.push(1),
            Self::Approve(digest) | Self::Rollback(Some(digest)) => out.extend_from_slice(&digest.0),
            Self::Kill(rule) | Self::Revive(rule) => codec::write_text(rule, out),
        }
    }

    pub(super) fn read(kind: OperationKind, rest: &[u8]) -> Result<Self, ExchangeError> {
        let digest = || match rest.first_chunk::<16>() {
            Some(digest) if digest.len() == rest.len() => Ok(RuleSetDigest(*digest)),
            Some(_) | None => Err(ExchangeError::Length),
        };
        let rule = || match read_last_text(rest)? {
            name if is_rule_name(name) => Ok(name.to_owned()),
            _ => Err(ExchangeError::Value("rule")),
        };
        match (kind, rest) {
            (OperationKind::RulesReload, []) => Ok(Self::Reload { accept: false }),
            (OperationKind::RulesReload, [1]) => Ok(Self::Reload { accept: true }),
            (OperationKind::RulesPlan, []) => Ok(Self::Plan),
            (OperationKind::RulesReload | OperationKind::RulesPlan, _) => Err(ExchangeError::Length),
            (OperationKind::RulesApprove, _) => digest().map(Self::Approve),
            (OperationKind::RulesRollback, []) => Ok(Self::Rollback(None)),
            (OperationKind::RulesRollback, _) => digest().map(|digest| Self::Rollback(Some(digest))),
            (OperationKind::RuleKill, []) => Ok(Self::KillAll),
            (OperationKind::RuleKill, _) => rule().map(Self::Kill),
            (OperationKind::RuleRevive, []) => Ok(Self::ReviveAll),
            (OperationKind::RuleRevive, _) => rule().map(Self::Revive),
            (other, _) => Err(ExchangeError::Operation(other.wire())),
        }
    }
}
