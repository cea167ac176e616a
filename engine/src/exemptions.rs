//! Exemptions: named rules that are silent for one key, for a while, at the member that granted them. A fold of the
//! journal.
//!
//! A rule that reads what members share about suspects is silent only once a second person has agreed: one person alone
//! must not be able to open a door for somebody whom others warn of. What people's own flags ask for is no rule, so no
//! exemption touches it.

use crate::pack::pack_fields;
use crate::version::Version;
use dashmap::DashMap;
use sparr_protocol::exchange::ExemptionEntry;
use sparr_protocol::exemption::{ExemptionId, ExemptionKey, ExemptionStanding, RuleNames};
use sparr_protocol::ids::{Actor, MemberName, Pseudonym};
use sparr_protocol::time::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an exemption says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its place in the merged history.
    pub version: Version,
    /// Who granted it.
    pub by: Actor,
    /// What kind of key it is for.
    pub key: ExemptionKey,
    /// The key.
    pub value: Pseudonym,
    /// The rules that it silences.
    pub rules: RuleNames,
    /// It acts before this time.
    pub until: Timestamp,
    /// Why.
    pub why: String,
}

/// What is known of one exemption. Records may come in any order, so each part may be there without the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exemption {
    grant: Option<Grant>,
    /// Who agreed, in order.
    confirmed: Vec<Actor>,
    ended: bool,
}

pack_fields!(Grant { version, by, key, value, rules, until, why });
pack_fields!(Exemption { grant, confirmed, ended });

impl Exemption {
    /// The grant, while it acts.
    fn acting(&self, now: Timestamp) -> Option<&Grant> {
        self.grant.as_ref().filter(|grant| !self.ended && now < grant.until)
    }

    fn has_two_persons(&self) -> bool {
        self.grant.as_ref().is_some_and(|grant| self.confirmed.iter().any(|person| *person != grant.by))
    }
}

pub(crate) type Of = (MemberName, ExemptionId);

/// Exemptions by member and id, and by key.
#[derive(Default)]
pub struct Exemptions {
    /// Whether any was granted since the engine started.
    any: AtomicBool,
    all: DashMap<Of, Exemption, foldhash::fast::RandomState>,
    by_value: DashMap<Pseudonym, Vec<Of>, foldhash::fast::RandomState>,
}

impl Exemptions {
    /// Takes in a grant. Idempotent, and independent of the order of arrival, as all of these are.
    pub fn grant(&self, member: MemberName, id: ExemptionId, grant: Grant) {
        let mut known = self.all.entry((member, id)).or_default();
        if known.grant.as_ref().is_some_and(|before| before.version <= grant.version) {
            return;
        }
        let value = grant.value;
        known.grant = Some(grant);
        drop(known);
        let mut ids = self.by_value.entry(value).or_default();
        if let Err(at) = ids.binary_search(&(member, id)) {
            ids.insert(at, (member, id));
        }
        self.any.store(true, Ordering::Release);
    }

    /// Takes in a second person's agreement.
    pub fn confirm(&self, id: ExemptionId, by: &Actor) {
        let mut known = self.all.entry((by.member, id)).or_default();
        if !known.confirmed.contains(by) {
            known.confirmed.push(by.clone());
            known.confirmed.sort_by_key(ToString::to_string);
        }
    }

    /// Takes in an end.
    pub fn end(&self, member: MemberName, id: ExemptionId) {
        self.all.entry((member, id)).or_default().ended = true;
    }

    /// Whether none was ever granted.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Shows each exemption of a member that acts for a key at `now`, and whether a second person agreed.
    pub fn visit(
        &self,
        member: MemberName,
        value: Pseudonym,
        now: Timestamp,
        mut show: impl FnMut(&RuleNames, bool),
    ) {
        let Some(ids) = self.by_value.get(&value) else { return };
        for of in ids.iter().filter(|(granted_by, _)| *granted_by == member) {
            let Some(known) = self.all.get(of) else { continue };
            if let Some(grant) = known.acting(now).filter(|grant| grant.value == value) {
                show(&grant.rules, known.has_two_persons());
            }
        }
    }

    /// What is granted under an id, where it acts.
    pub fn acting(&self, member: MemberName, id: ExemptionId, now: Timestamp) -> Option<Grant> {
        self.all.get(&(member, id))?.acting(now).cloned()
    }

    /// Whether a second person has agreed.
    pub fn has_two_persons(&self, member: MemberName, id: ExemptionId) -> bool {
        self.all.get(&(member, id)).is_some_and(|known| known.has_two_persons())
    }

    /// A member's exemptions, the newest first. `shared` says of a rule whether it reads what members share.
    pub fn of(
        &self,
        member: MemberName,
        now: Timestamp,
        shared: impl Fn(&str) -> bool,
    ) -> Vec<ExemptionEntry> {
        let mut all: Vec<(Version, ExemptionEntry)> = self
            .all
            .iter()
            .filter(|known| known.key().0 == member)
            .filter_map(|known| {
                let grant = known.grant.clone()?;
                let waits = !known.has_two_persons() && grant.rules.iter().any(&shared);
                let standing = match known.acting(now) {
                    _ if known.ended => ExemptionStanding::Ended,
                    None => ExemptionStanding::Expired,
                    Some(_) if waits => ExemptionStanding::Waiting,
                    Some(_) => ExemptionStanding::Active,
                };
                let Grant { version, key, value, rules, until, why, .. } = grant;
                let (id, granted_at) = (known.key().1, version.time());
                Some((version, ExemptionEntry { id, key, value, standing, granted_at, until, rules, why }))
            })
            .collect();
        all.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        all.into_iter().map(|(_, entry)| entry).collect()
    }

    /// How many act at `now`.
    pub fn acting_count(&self, now: Timestamp) -> usize {
        self.all.iter().filter(|known| known.acting(now).is_some()).count()
    }

    /// Everything that is known.
    pub(crate) fn every(&self) -> Vec<(Of, Exemption)> {
        self.all.iter().map(|one| (*one.key(), one.value().clone())).collect()
    }

    /// Takes in an exemption as a snapshot keeps it.
    pub(crate) fn restore(&self, (member, id): Of, known: Exemption) {
        let Exemption { grant, confirmed, ended } = known;
        if let Some(grant) = grant {
            self.grant(member, id, grant);
        }
        confirmed.iter().for_each(|person| self.confirm(id, person));
        if ended {
            self.end(member, id);
        }
    }

    /// Everything that is known, as text and in order: equal wherever the same records are known.
    pub fn all(&self) -> Vec<String> {
        let mut all: Vec<_> = self.all.iter().map(|one| (*one.key(), format!("{:?}", one.value()))).collect();
        all.sort_by_key(|(of, _)| *of);
        all.into_iter().map(|((member, id), text)| format!("{member}{id}{text}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparr_protocol::codes::Role;

    const ID: ExemptionId = ExemptionId([1; 16]);
    const CARD: Pseudonym = Pseudonym([2; 16]);

    fn person(id: &str) -> Actor {
        Actor::new(MemberName::parse("bank-a").expect("legal"), Role::Risk, id).expect("legal")
    }

    /// The records of one exemption in every order: the same digest, and the same said about the same key.
    #[test]
    fn the_order_of_records_makes_no_difference() {
        let member = person("anna").member;
        let version = Version { stamp: 5, member, engine: 1, epoch: 1, sequence: 1 };
        let grant = Grant {
            version,
            by: person("anna"),
            key: ExemptionKey::Card,
            value: CARD,
            rules: RuleNames::parse("a").expect("legal"),
            until: Timestamp::from_ms(100),
            why: "known".to_owned(),
        };
        type Step<'s> = &'s dyn Fn(&Exemptions);
        let steps: [Step<'_>; 4] = [
            &|all| all.grant(member, ID, grant.clone()),
            &|all| all.confirm(ID, &person("anna")),
            &|all| all.confirm(ID, &person("bo")),
            &|all| all.end(member, ID),
        ];
        let mut digests = std::collections::BTreeSet::new();
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2], [0, 3, 2, 1]] {
            let all = Exemptions::default();
            for step in order.into_iter().chain(order) {
                steps[step](&all);
            }
            assert!(all.acting(member, ID, Timestamp::from_ms(1)).is_none(), "it has ended");
            digests.insert(all.all());
        }
        assert_eq!(digests.len(), 1);

        let seen = |all: &Exemptions, at: i64, member: MemberName| -> Vec<bool> {
            let mut seen = Vec::new();
            all.visit(member, CARD, Timestamp::from_ms(at), |_, two| seen.push(two));
            seen
        };
        let all = Exemptions::default();
        assert!(all.is_empty());
        steps[0](&all);
        steps[1](&all);
        assert_eq!(seen(&all, 99, member), [false], "the same person twice is one person");
        steps[2](&all);
        assert_eq!(seen(&all, 99, member), [true]);
        assert!(seen(&all, 100, member).is_empty(), "its time is over");
        assert!(seen(&all, 99, MemberName::parse("bank-b").expect("legal")).is_empty(), "another member's");
    }
}
