//! All indicators in memory: a fold of the journal, merged in any order to the same state.

use super::{Contest, Effect, Evidence, Indicator, Receipt};
use crate::filter::Filter;
use crate::request::Prefix;
use crate::version::Version;
use core::net::IpAddr;
use dashmap::DashMap;
use prefix_trie::PrefixMap;
use sparr_protocol::ids::{MemberName, Pseudonym};
use sparr_protocol::indicator::{Content, ContentDigest, IndicatorId, IndicatorKind};
use sparr_protocol::record::RecordDigest;
use sparr_protocol::time::Timestamp;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

type Hash = foldhash::fast::RandomState;

/// Indicators by id and by value.
#[derive(Default)]
pub struct IndicatorSet {
    /// Kinds of values of which there are any, one bit each: a keyed digest costs more than this look.
    kinds: AtomicU32,
    /// Answers for nearly every value that a payment brings: nothing is known of it.
    filter: Filter,
    by_id: DashMap<IndicatorId, Indicator, Hash>,
    by_value: DashMap<Pseudonym, Ids, Hash>,
    networks: RwLock<Networks>,
}

/// Indicators on one value: nearly always one.
type Ids = Vec<IndicatorId>;

/// Indicators on networks.
#[derive(Default)]
struct Networks {
    v4: PrefixMap<(u32, u8), Ids>,
    v6: PrefixMap<(u128, u8), Ids>,
}

/// How many indicators there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndicatorSize {
    /// Indicators of which anything is known.
    pub known: usize,
    /// Those that act at this member.
    pub acting: usize,
    /// Those that act everywhere.
    pub shared: usize,
}

impl IndicatorSet {
    fn change(&self, digest: ContentDigest, change: impl FnOnce(&mut Indicator)) {
        let mut known = self.by_id.entry(digest.id()).or_insert_with(|| Indicator::new(digest));
        // Half of a digest that agrees while the other half does not was made to collide: the first one stays.
        if known.digest == digest {
            change(&mut known);
        }
    }

    /// Takes in a draft. Idempotent, and independent of the order of arrival, as all of these are.
    pub fn draft(&self, digest: ContentDigest, content: &Content) {
        self.index(digest.id(), content);
        self.change(digest, |known| {
            known.drafted = true;
            known.content.get_or_insert_with(|| Box::new(content.clone()));
        });
    }

    /// Takes in that the document for the police was made.
    pub fn report(&self, digest: ContentDigest) {
        self.change(digest, |known| known.reported = true);
    }

    /// Takes in a police receipt.
    pub fn receipt(&self, digest: ContentDigest, receipt: Receipt) {
        self.change(digest, |known| {
            if let Err(at) = known.receipts.binary_search_by_key(&receipt.version, |known| known.version) {
                insert(&mut known.receipts, at, receipt);
            }
        });
    }

    /// Takes in a share.
    pub fn share(&self, digest: ContentDigest, content: &Content, version: Version, receipt: RecordDigest) {
        self.index(digest.id(), content);
        self.change(digest, |known| {
            known.content.get_or_insert_with(|| Box::new(content.clone()));
            if let Err(at) = known.shared.binary_search(&(version, receipt)) {
                insert(&mut known.shared, at, (version, receipt));
            }
        });
    }

    /// Takes in a confirmation.
    pub fn confirm(&self, digest: ContentDigest, by: MemberName, version: Version) {
        self.change(digest, |known| match known.confirmed.binary_search_by_key(&by, |(member, _)| *member) {
            Ok(at) => known.confirmed[at].1 = known.confirmed[at].1.max(version),
            Err(at) => known.confirmed.insert(at, (by, version)),
        });
    }

    /// Takes in a contest.
    pub fn contest(&self, digest: ContentDigest, contest: Contest) {
        self.change(digest, |known| {
            match known.contested.binary_search_by_key(&contest.by, |known| known.by) {
                Ok(at) if known.contested[at].version < contest.version => known.contested[at] = contest,
                Ok(_) => {}
                Err(at) => known.contested.insert(at, contest),
            }
        });
    }

    /// Takes in a withdrawal.
    pub fn withdraw(&self, digest: ContentDigest, by: MemberName) {
        self.change(digest, |known| {
            if let Err(at) = known.withdrawn.binary_search(&by) {
                known.withdrawn.insert(at, by);
            }
        });
    }

    fn index(&self, id: IndicatorId, content: &Content) {
        let add = |ids: &mut Ids| {
            if let Err(at) = ids.binary_search(&id) {
                insert(ids, at, id);
            }
        };
        self.kinds.fetch_or(1 << content.kind.wire(), Ordering::Release);
        match (content.kind, Prefix::parse(&content.clear)) {
            (IndicatorKind::Cidr, Ok(prefix)) => {
                let mut networks = self.networks.write().unwrap_or_else(PoisonError::into_inner);
                match prefix {
                    Prefix::V4(bits, length) => add(networks.v4.entry((bits, length)).or_default()),
                    Prefix::V6(bits, length) => add(networks.v6.entry((bits, length)).or_default()),
                }
            }
            _ => {
                let is_new = {
                    let mut ids = self.by_value.entry(content.value).or_default();
                    let is_new = ids.is_empty();
                    add(&mut ids);
                    is_new
                };
                // Only now, with no entry held: a filter that is made anew reads all of them.
                if is_new {
                    let all = |insert: &mut dyn FnMut(Pseudonym)| {
                        self.by_value.iter().for_each(|entry| insert(*entry.key()));
                    };
                    self.filter.insert(content.value, all);
                }
            }
        }
    }

    /// Whether there is any indicator on a value of this kind.
    pub fn knows_any(&self, kind: IndicatorKind) -> bool {
        self.kinds.load(Ordering::Acquire) & 1 << kind.wire() != 0
    }

    /// One indicator.
    pub fn of(&self, id: IndicatorId) -> Option<Indicator> {
        self.by_id.get(&id).map(|known| known.clone())
    }

    /// What a member may know of a value at `now`. The pseudonyms are of one value under each live key.
    pub fn look(
        &self,
        values: impl Iterator<Item = Pseudonym>,
        at: MemberName,
        now: Timestamp,
    ) -> Option<Evidence> {
        let mut weighing = Weighing::default();
        for value in values.filter(|value| self.filter.may_know(*value)) {
            if let Some(ids) = self.by_value.get(&value) {
                self.weigh(&ids, at, now, &mut weighing);
            }
        }
        weighing.evidence()
    }

    /// What a member may know of the networks around an address at `now`: the longest that acts decides. A longer one
    /// whose time is over hides no shorter one.
    pub fn look_around(&self, address: IpAddr, at: MemberName, now: Timestamp) -> Option<Evidence> {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        let mut longest = None;
        let mut look = |ids: &Ids| {
            let mut weighing = Weighing::default();
            self.weigh(ids, at, now, &mut weighing);
            // From the shortest to the longest.
            longest = weighing.evidence().or(longest);
        };
        match address {
            IpAddr::V4(v4) => networks.v4.cover_values(&(v4.to_bits(), 32)).for_each(&mut look),
            IpAddr::V6(v6) => networks.v6.cover_values(&(v6.to_bits(), 128)).for_each(&mut look),
        }
        longest
    }

    fn weigh(&self, ids: &[IndicatorId], at: MemberName, now: Timestamp, weighing: &mut Weighing) {
        for id in ids {
            if let Some(known) = self.by_id.get(id) {
                weighing.add(&known, at, now);
            }
        }
    }

    /// Every indicator in order of its id: for lists, digests and snapshots, not for screening.
    pub fn all(&self) -> Vec<Indicator> {
        let mut all: Vec<_> = self.by_id.iter().map(|entry| entry.value().clone()).collect();
        all.sort_by_key(|known| known.digest);
        all
    }

    /// Every indicator, in no order. None is held on to while the next one is asked for.
    pub(crate) fn every(&self) -> impl Iterator<Item = Indicator> {
        let ids: Vec<_> = self.by_id.iter().map(|entry| *entry.key()).collect();
        ids.into_iter().filter_map(|id| self.of(id))
    }

    /// Takes in an indicator as a snapshot keeps it.
    pub(crate) fn restore(&self, known: Indicator) {
        if let Some(content) = &known.content {
            self.index(known.digest.id(), content);
        }
        self.by_id.insert(known.digest.id(), known);
    }

    /// How many there are for a member at `now`.
    pub fn size(&self, at: MemberName, now: Timestamp) -> IndicatorSize {
        let mut size = IndicatorSize::default();
        for entry in &self.by_id {
            size.known += 1;
            size.acting += usize::from(entry.value().effect(at, now) != Effect::None);
            size.shared += usize::from(entry.value().shared_under().is_some());
        }
        size
    }
}

/// Inserts into a list that nearly always has one entry: room for four would double the memory of all.
fn insert<T>(list: &mut Vec<T>, at: usize, entry: T) {
    list.reserve_exact(1);
    list.insert(at, entry);
}

/// Members that are counted as sources of one value at most. Weighing happens while a payment waits: it allocates
/// nothing.
const SOURCES_MAX: usize = 16;

/// Several indicators on one value, weighed together: the strongest speaks, all are counted.
#[derive(Default)]
struct Weighing {
    best: Option<Evidence>,
    /// Members that found it, each once; more than fit count as so many.
    members: [Option<MemberName>; SOURCES_MAX],
}

impl Weighing {
    fn add(&mut self, known: &Indicator, at: MemberName, now: Timestamp) {
        let Some(content) = &known.content else { return };
        let effect = known.effect(at, now);
        if effect == Effect::None {
            return;
        }
        for member in
            std::iter::once(content.registrar).chain(known.confirmed.iter().map(|(member, _)| *member))
        {
            let free = self.members.iter_mut().find(|slot| slot.is_none_or(|known| known == member));
            if let Some(slot) = free {
                *slot = Some(member);
            }
        }
        let full = effect == Effect::Full;
        let one = Evidence {
            hit: full,
            contested: !full,
            grade: content.grade,
            class: content.class,
            role: content.role,
            attested: known.shared_under(),
            sources: 0,
            strongest: Some((known.digest.id(), content.registrar)),
        };
        let strength =
            |evidence: &Evidence| (evidence.hit, evidence.grade, evidence.attested, evidence.class);
        let contested = one.contested || self.best.is_some_and(|best| best.contested);
        let best = match self.best {
            Some(best) if strength(&best) >= strength(&one) => best,
            Some(_) | None => one,
        };
        self.best = Some(Evidence { contested, ..best });
    }

    fn evidence(self) -> Option<Evidence> {
        let sources = self.members.iter().flatten().count() as u8;
        self.best.map(|best| Evidence { sources, ..best })
    }
}
