//! Operations about members as they travel.

use super::{ExchangeError, OperationKind, zero};
use crate::codec;
use crate::ids::MemberName;
use crate::indicator::read_last_text;
use crate::limits::MEMBER_BYTES_MAX;
use crate::member::{MemberKey, MemberKind};

/// One question about members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberOperation {
    /// Let a member in, or let a suspended one back in.
    Admit {
        /// Its name.
        member: MemberName,
        /// What kind of organisation it is.
        kind: MemberKind,
        /// Its first signing key; zeros where it signs nothing.
        key: MemberKey,
    },
    /// From now on the member can do nothing.
    Suspend {
        /// Its name.
        member: MemberName,
        /// Why.
        why: String,
    },
    /// The member signs with another key from now on.
    RotateKey {
        /// Its name.
        member: MemberName,
        /// The new key.
        key: MemberKey,
    },
    /// Every member that the engine knows.
    List,
}

codec::wire_struct! {
    pub(super) struct MemberChangeWire / ArchivedMemberChangeWire {
        member: [u8; MEMBER_BYTES_MAX],
        key: [u8; 32],
        kind: u8,
        reserved: u8,
    }
}

impl MemberOperation {
    /// Which operation it is.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Admit { .. } => OperationKind::MemberAdmit,
            Self::Suspend { .. } => OperationKind::MemberSuspend,
            Self::RotateKey { .. } => OperationKind::MemberRotateKey,
            Self::List => OperationKind::MemberList,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (member, kind, key, why) = match self {
            Self::List => return,
            Self::Admit { member, kind, key } => (member, kind.wire(), *key, ""),
            Self::Suspend { member, why } => (member, 0, [0; 32], why.as_str()),
            Self::RotateKey { member, key } => (member, 0, *key, ""),
        };
        codec::write(&MemberChangeWire { member: *member.bytes(), key, kind, reserved: 0 }, out);
        if !why.is_empty() {
            codec::write_text(why, out);
        }
    }

    pub(super) fn read(kind: OperationKind, rest: &[u8]) -> Result<Self, ExchangeError> {
        let value = ExchangeError::Value;
        if kind == OperationKind::MemberList && rest.is_empty() {
            return Ok(Self::List);
        }
        let (wire, rest) = codec::read::<MemberChangeWire>(rest)?;
        zero(&[wire.reserved])?;
        let member = MemberName::from_bytes(&wire.member).ok_or(ExchangeError::Value("member"))?;
        let why = read_last_text(rest)?;
        match kind {
            OperationKind::MemberAdmit if why.is_empty() => {
                let kind = MemberKind::from_wire(wire.kind).ok_or(ExchangeError::Value("kind"))?;
                Ok(Self::Admit { member, kind, key: wire.key })
            }
            OperationKind::MemberSuspend if !why.is_empty() => {
                Ok(Self::Suspend { member, why: why.to_owned() })
            }
            OperationKind::MemberRotateKey if why.is_empty() => Ok(Self::RotateKey { member, key: wire.key }),
            OperationKind::MemberAdmit | OperationKind::MemberSuspend | OperationKind::MemberRotateKey => {
                Err(value("text"))
            }
            other => Err(ExchangeError::Operation(other.wire())),
        }
    }
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    pub(crate) const CHANGE: &[(&str, usize, usize)] = super::MemberChangeWire::LAYOUT;
}
