//! Whom this engine believes: the network key, members' signing keys, and the table of rights.

use crate::replication::{Authority, Held, Seal};
use crate::rights::{Reach, Right, reach, used_by};
use crate::server::clock;
use crate::server::keys::{self, SigningKey};
use crate::state::State;
use crate::version::Version;
use sparr_protocol::codes::Role;
use sparr_protocol::ids::MemberName;
use sparr_protocol::indicator::receipt_signed_bytes;
use sparr_protocol::record::{Commit, Payload, Record};
use std::sync::Arc;

/// Clocks of engines differ by less than this, ms.
const CLOCK_AHEAD_MS_MAX: u64 = 3_600_000;

/// Judges by what the state knows of members.
pub(super) struct Judge {
    state: Arc<State>,
    signing: SigningKey,
}

impl Judge {
    pub(super) fn new(state: Arc<State>, signing: SigningKey) -> Self {
        Self { state, signing }
    }

    /// Whether a signature is the member's, by the key that counted at a place in history, or now.
    fn is_signed(&self, member: MemberName, at: Option<Version>, bytes: &[u8], signature: &[u8; 64]) -> bool {
        if member == self.state.member() {
            return keys::verify(&self.signing.public_key(), bytes, signature);
        }
        let key = self.state.members.key_at(member, at);
        key.is_some_and(|key| keys::verify(&key, bytes, signature))
    }

    /// Whether a record says only what its origin may say: what a member's own people did, and what the police signed.
    fn permits(&self, record: &Record) -> Result<(), Held> {
        let Some(operation) = used_by(&record.payload) else {
            let Payload::Unknown { must_understand: true, .. } = record.payload else { return Ok(()) };
            return Err(Held::NotUnderstood);
        };
        let kind = self.state.members.kind(record.actor.member).ok_or(Held::UnknownMember)?;
        if reach(kind, record.actor.role, Right::Exchange(operation)) == Reach::Nobody {
            return Err(Held::NotPermitted);
        }
        if let Some(since) = self.state.members.suspended_since(record.actor.member)
            && Version::of(record) > since
        {
            return Err(Held::Suspended);
        }
        if record.actor.member == record.origin.member {
            return Ok(());
        }
        // The police may tell any member's engine that they have a report: they sign it.
        match &record.payload {
            Payload::PoliceReceipt { digest, received_at, signature, reference }
                if record.actor.role == Role::Police =>
            {
                let signed = receipt_signed_bytes(digest, reference, *received_at);
                let at = Some(Version::of(record));
                let is_signed = self.is_signed(record.actor.member, at, &signed, signature);
                if is_signed { Ok(()) } else { Err(Held::SignatureWrong) }
            }
            _ => Err(Held::NotPermitted),
        }
    }
}

impl Authority for Judge {
    fn seal(&self, content: &[u8]) -> Seal {
        self.state.keyring.seal(content)
    }

    fn is_sealed(&self, content: &[u8], seal: &Seal) -> bool {
        self.state.keyring.is_sealed(content, seal)
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.signing.sign(bytes)
    }

    fn has_signed(&self, member: MemberName, bytes: &[u8], signature: &[u8; 64]) -> bool {
        self.is_signed(member, None, bytes, signature)
    }

    fn takes_part(&self, member: MemberName) -> bool {
        self.state.members.acting_kind(member).is_some()
    }

    fn judge(&self, commit: &Commit, records: &[Record]) -> Result<(), Held> {
        let member = commit.origin.member;
        let Some(last) = records.last() else { return Err(Held::Damaged) };
        if self.state.members.kind(member).is_none() {
            return Err(Held::UnknownMember);
        }
        if !self.is_signed(member, Some(Version::of(last)), &commit.signed_bytes(), &commit.signature) {
            return Err(Held::SignatureWrong);
        }
        let now = u64::try_from(clock::now().ms()).unwrap_or(0);
        if last.stamp > now.saturating_add(CLOCK_AHEAD_MS_MAX) {
            return Err(Held::ClockAhead);
        }
        records.iter().try_for_each(|record| self.permits(record))
    }
}
