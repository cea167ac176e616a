//! Keys and the list of members, as the shell would have them: a keyed digest stands for seal and signature.

use sparr_engine::replication::{Authority, Held, Seal};
use sparr_engine::state::State;
use sparr_protocol::ids::MemberName;
use sparr_protocol::record::{Commit, Payload, Record};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A stamp may lie so far ahead of the judging engine's clock, ms.
const AHEAD_MS: u64 = 60_000;

/// The member that admits and suspends others.
pub(crate) const CENTRE: &str = "centre";

/// What an engine's authority goes by, and the engine changes.
#[derive(Default)]
pub(crate) struct Standing {
    /// The wall clock, ms.
    pub(crate) wall: Cell<u64>,
    /// Stamp of the newest suspension of each member.
    pub(crate) suspended: RefCell<BTreeMap<MemberName, u64>>,
}

/// Judges for one engine.
pub(crate) struct SimAuthority {
    pub(crate) me: MemberName,
    pub(crate) state: Rc<State>,
    pub(crate) standing: Rc<Standing>,
}

/// A digest under the network key.
pub(crate) fn seal(content: &[u8]) -> Seal {
    let whole = blake3::keyed_hash(&[9; 32], content);
    std::array::from_fn(|at| whole.as_bytes()[at])
}

/// What stands for a member's signature.
pub(crate) fn sign(member: MemberName, bytes: &[u8]) -> [u8; 64] {
    let mut key = [3; 32];
    key[..member.bytes().len()].copy_from_slice(member.bytes());
    let mut signature = [0; 64];
    blake3::Hasher::new_keyed(&key).update(bytes).finalize_xof().fill(&mut signature);
    signature
}

/// Whether a record may say this: only the central organisation admits and suspends.
fn is_permitted(record: &Record) -> bool {
    let of_the_centre = matches!(
        record.payload,
        Payload::MemberAdmitted { .. } | Payload::MemberSuspended { .. } | Payload::SigningKeyRotated { .. }
    );
    record.actor.member == record.origin.member && (!of_the_centre || record.origin.member.as_str() == CENTRE)
}

impl Authority for SimAuthority {
    fn seal(&self, content: &[u8]) -> Seal {
        seal(content)
    }

    fn is_sealed(&self, content: &[u8], with: &Seal) -> bool {
        seal(content) == *with
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        sign(self.me, bytes)
    }

    fn has_signed(&self, member: MemberName, bytes: &[u8], signature: &[u8; 64]) -> bool {
        sign(member, bytes) == *signature
    }

    fn takes_part(&self, member: MemberName) -> bool {
        self.state.members.acting_kind(member).is_some()
    }

    fn judge(&self, commit: &Commit, records: &[Record]) -> Result<(), Held> {
        let member = commit.origin.member;
        if self.state.members.kind(member).is_none() {
            return Err(Held::UnknownMember);
        }
        if sign(member, &commit.signed_bytes()) != commit.signature {
            return Err(Held::SignatureWrong);
        }
        if !records.iter().all(is_permitted) {
            return Err(Held::NotPermitted);
        }
        let highest = records.iter().map(|record| record.stamp).max().unwrap_or(0);
        // What it recorded before it was suspended counts; what it recorded later waits for its admission.
        let suspended = self.standing.suspended.borrow().get(&member).copied();
        if self.state.members.is_suspended(member) && suspended.is_none_or(|at| highest >= at) {
            return Err(Held::Suspended);
        }
        if highest > self.standing.wall.get() + AHEAD_MS {
            return Err(Held::ClockAhead);
        }
        Ok(())
    }
}
