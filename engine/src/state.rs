//! Everything that an engine knows: stores, kept ids, keys, policy, the active rule set, and where in the journal
//! it stands. `apply` is the only way in for the exchange's records.

mod apply;

pub use apply::ApplyError;

use crate::aftermath::{AFTERMATH_MAX, Aftermath};
use crate::distinct::Distinct;
use crate::exchanged::Exchanged;
use crate::exemptions::Exemptions;
use crate::facts::Stores;
use crate::flags::FlagSet;
use crate::ids::Ids;
use crate::indicators::IndicatorSet;
use crate::members::Members;
use crate::planted::{Canary, Honey};
use crate::policy::Policy;
use crate::recent::{Recent, Touched};
use crate::request::Keyring;
use crate::rules::RuleSet;
use crate::velocity::spec::KeyPlan;
use crate::velocity::{Observed, Velocity};
use arc_swap::{ArcSwapOption, Guard};
use sparr_protocol::ids::MemberName;
use sparr_protocol::response::Position;
use sparr_protocol::time::{Date, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The time as the shell's clock gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// Today in Sweden: the century of a short personal number turns with it.
    pub today: Date,
    /// The steady clock, ms from the engine's beginning.
    pub steady_ms: u64,
}

/// Which clock judges expiry, lateness and windows.
#[derive(Debug)]
pub enum EngineClock {
    /// The machine's.
    Wall {
        /// When the engine began to see requests.
        began: Timestamp,
    },
    /// The highest event time seen: for demonstrations with old rows. Backtests will use it too.
    Event {
        /// The first event's time; the largest number before it.
        first: AtomicI64,
        /// The highest; the smallest number before the first.
        highest: AtomicI64,
    },
}

impl EngineClock {
    /// A clock of event times that has not begun.
    pub fn event() -> Self {
        Self::Event { first: AtomicI64::new(i64::MAX), highest: AtomicI64::new(i64::MIN) }
    }

    /// Now, having seen a request of this event time.
    fn seeing(&self, wall: Timestamp, event_time: Timestamp) -> Timestamp {
        match self {
            Self::Wall { .. } => wall,
            Self::Event { first, highest } => {
                let ms = event_time.ms();
                if highest.load(Ordering::Relaxed) == i64::MIN {
                    first.fetch_min(ms, Ordering::Relaxed);
                }
                Timestamp::from_ms(highest.fetch_max(ms, Ordering::Relaxed).max(ms))
            }
        }
    }

    /// Now, where no request is at hand.
    fn now(&self, wall: Timestamp) -> Timestamp {
        match self {
            Self::Wall { .. } => wall,
            Self::Event { highest, .. } => match highest.load(Ordering::Relaxed) {
                i64::MIN => wall,
                ms => Timestamp::from_ms(ms),
            },
        }
    }

    /// When the engine began to see requests.
    fn began(&self) -> Timestamp {
        match self {
            Self::Wall { began } => *began,
            Self::Event { first, .. } => Timestamp::from_ms(first.load(Ordering::Relaxed)),
        }
    }
}

/// The rule set that decides, and from when on each of its velocity keys has been observed.
pub struct ActiveRules {
    /// The rules.
    pub set: RuleSet,
    /// By key of the set's plan.
    pub observed_since: Vec<Observed>,
}

/// A rule set that no longer decides.
pub struct Retired(Option<Arc<ActiveRules>>);

impl Retired {
    /// Frees it once no request is on its way through it any more. `pause` is what waiting is done with.
    pub fn wait(self, pause: impl Fn()) {
        let Some(mut set) = self.0 else { return };
        while let Err(shared) = Arc::try_unwrap(set) {
            set = shared;
            pause();
        }
    }
}

/// Everything that an engine knows.
pub struct State {
    /// Flags, indicators and velocity.
    pub stores: Stores,
    /// Who takes part in the exchange.
    pub members: Members,
    /// Rules that are silent for some.
    pub exemptions: Exemptions,
    /// What is known of the exchange as a whole.
    pub exchange: Exchanged,
    /// Answered request ids.
    pub ids: Ids,
    /// Network keys.
    pub keyring: Keyring,
    /// The member's own decisions.
    pub policy: Policy,
    /// Numbers that nobody was ever given: who asks about one is walking through numbers.
    pub honey: Honey,
    /// The flagged person whom nobody is.
    pub canary: Canary,
    looks_known_since: OnceLock<Timestamp>,
    /// How many different people were screened today.
    pub screened_people: Distinct,
    /// The requests of the last hour.
    pub recent: Recent,
    /// What became of payments.
    pub aftermath: Aftermath,
    /// Records that recent requests were not yet looked through for.
    pub touched: Touched,
    clock: EngineClock,
    /// How velocity keys were observed before this start, where it is known.
    restored: OnceLock<Vec<(KeyPlan, Observed)>>,
    rules: ArcSwapOption<ActiveRules>,
    engine: u16,
    epoch: AtomicU32,
    applied: AtomicU64,
    ready: AtomicBool,
    draining: AtomicBool,
    /// Seed of digests that never leave this process.
    pub(crate) seed: foldhash::quality::RandomState,
}

/// What records have brought about. Everything else is this engine's own, or is made anew at each start.
pub(crate) struct Folded<'a> {
    pub(crate) stores: &'a Stores,
    pub(crate) members: &'a Members,
    pub(crate) exemptions: &'a Exemptions,
}

/// What a state begins with.
pub struct StateConfig {
    /// Network keys.
    pub keyring: Keyring,
    /// The member's own decisions.
    pub policy: Policy,
    /// Which clock judges.
    pub clock: EngineClock,
    /// The member whose engine this is.
    pub member: MemberName,
    /// Number of this engine within its member.
    pub engine: u16,
    /// This life of the engine.
    pub epoch: u32,
    /// Live velocity keys at most.
    pub velocity_keys_max: usize,
    /// Kept request ids at most.
    pub ids_kept_max: usize,
}

impl State {
    /// An empty state, not yet ready.
    pub fn new(config: StateConfig) -> Self {
        Self {
            stores: Stores {
                member: config.member,
                flags: FlagSet::default(),
                indicators: IndicatorSet::default(),
                velocity: Velocity::new(config.velocity_keys_max),
            },
            members: Members::default(),
            exemptions: Exemptions::default(),
            exchange: Exchanged::default(),
            ids: Ids::new(config.ids_kept_max),
            keyring: config.keyring,
            policy: config.policy,
            honey: Honey::default(),
            canary: Canary::default(),
            looks_known_since: OnceLock::new(),
            screened_people: Distinct::default(),
            recent: Recent::default(),
            aftermath: Aftermath::new(AFTERMATH_MAX),
            touched: Touched::default(),
            clock: config.clock,
            restored: OnceLock::new(),
            rules: ArcSwapOption::empty(),
            engine: config.engine,
            epoch: AtomicU32::new(config.epoch),
            applied: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            seed: foldhash::quality::RandomState::default(),
        }
    }

    /// Makes a rule set the one that decides, in one step: a request sees the old one or the new one, whole.
    ///
    /// A velocity key that was observed before goes on with what it has; a new one begins to fill now.
    ///
    /// Gives back the set that decided before. Requests may still be on their way through it: whoever has it last frees
    /// it, which takes milliseconds for a large one, so it is kept until nobody else has it ([`Retired::wait`]).
    pub fn activate(&self, set: RuleSet, moment: Moment) -> Retired {
        let now = self.now(moment);
        let before = self.rules.load();
        let observed_since = set
            .plan()
            .keys()
            .iter()
            .map(|wanted| {
                let Some(active) = before.as_ref() else { return self.observed_before(wanted, now) };
                let known = active.set.plan().keys().iter().zip(&active.observed_since);
                known
                    .filter(|(plan, _)| plan.serves(wanted))
                    .map(|(plan, since)| since.carried(plan, wanted, now))
                    .next()
                    .unwrap_or_else(|| Observed::since(now))
            })
            .collect();
        drop(before);
        Retired(self.rules.swap(Some(Arc::new(ActiveRules { set, observed_since }))))
    }

    /// How a key was observed before the first rule set of this life decides.
    fn observed_before(&self, wanted: &KeyPlan, now: Timestamp) -> Observed {
        let Some(restored) = self.restored.get() else { return Observed::since(Timestamp::MIN) };
        let known = restored.iter().find(|(plan, _)| plan.serves(wanted));
        known.map_or_else(|| Observed::since(now), |(plan, observed)| observed.carried(plan, wanted, now))
    }

    /// How each velocity key of the active rule set has been observed: what a restart has to know.
    pub fn observed(&self) -> Vec<(KeyPlan, Observed)> {
        let rules = self.rules.load();
        let Some(active) = rules.as_ref() else { return Vec::new() };
        let began = self.began();
        let observed = active.observed_since.iter().map(|observed| observed.from(began));
        active.set.plan().keys().iter().cloned().zip(observed).collect()
    }

    /// Says how velocity keys were observed before this start. Once, before any rule set decides.
    pub fn go_on_observing(&self, restored: Vec<(KeyPlan, Observed)>) {
        // An error says that it was done before.
        let _ = self.restored.set(restored);
    }

    /// The active rule set: load it once for a batch, so that no batch mixes versions.
    pub fn rules(&self) -> Guard<Option<Arc<ActiveRules>>> {
        self.rules.load()
    }

    /// Says since when it is known who looked at people's flags. Once; a second time changes nothing.
    pub fn looks_are_known_since(&self, time: Timestamp) {
        // An error says that it was done before.
        let _ = self.looks_known_since.set(time);
    }

    /// Since when it is known which desks looked at people's flags.
    pub fn looks_known_since(&self) -> Option<Timestamp> {
        self.looks_known_since.get().copied()
    }

    /// The member whose engine this is.
    pub fn member(&self) -> MemberName {
        self.stores.member
    }

    /// Where in the journal this engine stands.
    pub fn position(&self) -> Position {
        let epoch = self.epoch.load(Ordering::Relaxed);
        Position { engine: self.engine, epoch, index: self.applied.load(Ordering::Acquire) }
    }

    /// Goes on in another epoch: the journal failed and was read again.
    pub fn begin_epoch(&self, epoch: u32) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// What records have brought about. Every part is named: a new one does not compile until somebody has decided.
    pub(crate) fn folded(&self) -> Folded<'_> {
        let Self {
            stores,
            members,
            exemptions,
            exchange: _,
            ids: _,
            keyring: _,
            policy: _,
            honey: _,
            canary: _,
            looks_known_since: _,
            screened_people: _,
            recent: _,
            aftermath: _,
            touched: _,
            clock: _,
            restored: _,
            rules: _,
            engine: _,
            epoch: _,
            applied: _,
            ready: _,
            draining: _,
            seed: _,
        } = self;
        Folded { stores, members, exemptions }
    }

    /// Goes on from where a snapshot ends.
    pub(crate) fn begin_at(&self, applied: u64) {
        self.applied.store(applied, Ordering::Release);
    }

    /// Age of the newest confirmed exchange state, ms. With the embedded journal alone this engine is the exchange.
    pub fn staleness_ms(&self, moment: Moment) -> u32 {
        self.exchange.staleness_ms(moment)
    }

    /// Now, by the engine's own clock.
    pub fn now(&self, moment: Moment) -> Timestamp {
        self.clock.now(moment.now)
    }

    /// Now, having seen a request.
    pub(crate) fn seeing(&self, moment: Moment, event_time: Timestamp) -> Timestamp {
        self.clock.seeing(moment.now, event_time)
    }

    /// When the engine began to see requests.
    pub(crate) fn began(&self) -> Timestamp {
        self.clock.began()
    }

    /// Whether all of the state has been read and screening may begin.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Opens or closes the engine for screening.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Whether new work should go elsewhere: the engine still answers what reaches it.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Asks for new work to go elsewhere.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }
}
