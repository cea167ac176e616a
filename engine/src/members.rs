//! Members: who takes part, as what kind of organisation, and who is suspended. A fold of the journal over what the
//! configuration names.

use crate::pack::pack_fields;
use crate::version::Version;
use dashmap::DashMap;
use sparr_protocol::ids::MemberName;
use sparr_protocol::member::{MemberEntry, MemberKey, MemberKind, MemberStanding};

/// What is known of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Member {
    configured: Option<(MemberKind, MemberKey)>,
    admitted: Option<(Version, MemberKind)>,
    suspended: Option<Version>,
    /// Signing keys with the place in history from which on each counts, in order.
    keys: Vec<(Version, MemberKey)>,
}

/// What records said of a member. What the configuration says is not kept: it is read at each start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberRecords {
    member: MemberName,
    admitted: Option<(Version, MemberKind)>,
    suspended: Option<Version>,
    keys: Vec<(Version, MemberKey)>,
}

pack_fields!(MemberRecords { member, admitted, suspended, keys });

impl Member {
    fn kind(&self) -> Option<MemberKind> {
        self.admitted.map(|(_, kind)| kind).or_else(|| self.configured.map(|(kind, _)| kind))
    }

    fn is_suspended(&self) -> bool {
        let admitted = self.admitted.map(|(version, _)| version);
        self.suspended.is_some_and(|suspended| admitted.is_none_or(|admitted| admitted < suspended))
    }

    fn add_key(&mut self, version: Version, key: MemberKey) {
        if key != [0; 32]
            && let Err(at) = self.keys.binary_search(&(version, key))
        {
            self.keys.insert(at, (version, key));
        }
    }
}

/// Members by name.
#[derive(Default)]
pub struct Members {
    by_name: DashMap<MemberName, Member, foldhash::fast::RandomState>,
}

impl Members {
    /// A member that the configuration names, with its signing key or zeros: it needs no admission.
    pub fn configure(&self, member: MemberName, kind: MemberKind, key: MemberKey) {
        self.by_name.entry(member).or_default().configured = Some((kind, key));
    }

    /// Makes these the members that the configuration names, and no others. What the journal says of a member stays.
    pub fn configure_all(&self, members: &[(MemberName, MemberKind, MemberKey)]) {
        for (member, kind, key) in members {
            self.configure(*member, *kind, *key);
        }
        for mut known in self.by_name.iter_mut() {
            if !members.iter().any(|(member, ..)| member == known.key()) {
                known.configured = None;
            }
        }
    }

    /// Takes in an admission. Idempotent, and independent of the order of arrival, as all of these are.
    pub fn admit(&self, member: MemberName, version: Version, kind: MemberKind, key: MemberKey) {
        let mut known = self.by_name.entry(member).or_default();
        if known.admitted.is_none_or(|(before, _)| before < version) {
            known.admitted = Some((version, kind));
        }
        known.add_key(version, key);
    }

    /// Takes in a suspension.
    pub fn suspend(&self, member: MemberName, version: Version) {
        let mut known = self.by_name.entry(member).or_default();
        known.suspended = known.suspended.max(Some(version));
    }

    /// Takes in a new signing key.
    pub fn rotate(&self, member: MemberName, version: Version, key: MemberKey) {
        self.by_name.entry(member).or_default().add_key(version, key);
    }

    /// The member's kind, where it is known and may act. `None` for strangers and for the suspended.
    pub fn acting_kind(&self, member: MemberName) -> Option<MemberKind> {
        let known = self.by_name.get(&member)?;
        known.kind().filter(|_| !known.is_suspended())
    }

    /// The member's kind, suspended or not.
    pub fn kind(&self, member: MemberName) -> Option<MemberKind> {
        self.by_name.get(&member)?.kind()
    }

    /// Since when a member is suspended that is.
    pub fn suspended_since(&self, member: MemberName) -> Option<Version> {
        self.by_name.get(&member).filter(|known| known.is_suspended()).and_then(|known| known.suspended)
    }

    /// Whether the member is known and suspended.
    pub fn is_suspended(&self, member: MemberName) -> bool {
        self.by_name.get(&member).is_some_and(|known| known.is_suspended())
    }

    /// The signing key that counts after `version`, or the newest.
    pub fn key_at(&self, member: MemberName, version: Option<Version>) -> Option<MemberKey> {
        let known = self.by_name.get(&member)?;
        let counts = |(from, _): &&(Version, MemberKey)| version.is_none_or(|version| *from < version);
        let configured = known.configured.map(|(_, key)| key).filter(|key| *key != [0; 32]);
        known.keys.iter().rev().find(counts).map(|(_, key)| *key).or(configured)
    }

    /// What records said of each member of which there are some, in order.
    pub(crate) fn records(&self) -> Vec<MemberRecords> {
        let records = |member: MemberName, Member { admitted, suspended, keys, configured: _ }: &Member| {
            let any = admitted.is_some() || suspended.is_some() || !keys.is_empty();
            any.then(|| MemberRecords {
                member,
                admitted: *admitted,
                suspended: *suspended,
                keys: keys.clone(),
            })
        };
        let mut all: Vec<_> =
            self.by_name.iter().filter_map(|entry| records(*entry.key(), entry.value())).collect();
        all.sort_unstable_by_key(|records| records.member);
        all
    }

    /// Takes in what records said of a member of which no record was taken in yet.
    pub(crate) fn restore(&self, records: MemberRecords) {
        let MemberRecords { member, admitted, suspended, keys } = records;
        let mut known = self.by_name.entry(member).or_default();
        (known.admitted, known.suspended, known.keys) = (admitted, suspended, keys);
    }

    /// Every member, in order.
    pub fn all(&self) -> Vec<MemberEntry> {
        let mut all: Vec<_> = self
            .by_name
            .iter()
            .filter_map(|entry| {
                let known = entry.value();
                let standing = match known.admitted {
                    _ if known.is_suspended() => MemberStanding::Suspended,
                    Some(_) => MemberStanding::Admitted,
                    None => MemberStanding::Configured,
                };
                let configured = known.configured.map_or([0; 32], |(_, key)| key);
                let last = known.keys.last();
                let numbered = known.keys.len() + usize::from(configured != [0; 32]);
                Some(MemberEntry {
                    member: *entry.key(),
                    kind: known.kind()?,
                    standing,
                    key_number: u32::try_from(numbered).unwrap_or(u32::MAX),
                    key: last.map_or(configured, |(_, key)| *key),
                })
            })
            .collect();
        all.sort_by_key(|entry| entry.member);
        all
    }
}
