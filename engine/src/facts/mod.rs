//! Facts: everything that a rule may read for one request, gathered once, in one pass over the stores. No policy.

pub mod elsewhere;
mod indicators;
pub mod money;
pub mod schema;
pub mod windows;

use crate::flags::{FlagSet, PassPayment, covers};
use crate::indicators::{Evidence, IndicatorSet};
use crate::request::{About, KeyName, Keyring, Noted, Request};
use crate::velocity::spec::{KeyPlan, Mark, Measure, Plan, ReadingIndex};
use crate::velocity::{Observed, Reading, Velocity};
use indicators::Looked as IndicatorsLooked;
use jiff::tz::TimeZone;
use money::Rates;
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Wish};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::ids::{MemberName, Pseudonym};
use sparr_protocol::response::{Checked, CheckedKey, Degraded, Looked};
use sparr_protocol::time::Timestamp;
use windows::Keys;

/// The stores that gathering reads.
pub struct Stores {
    /// The member whose engine this is: its own drafts and passes act here alone.
    pub member: MemberName,
    /// What providers know of those who defraud people.
    pub indicators: IndicatorSet,
    /// What people asked for.
    pub flags: FlagSet,
    /// How often each key was just seen.
    pub velocity: Velocity,
}

/// What a rule set needs gathered.
pub struct Wanted<'a> {
    /// Velocity readings.
    pub plan: &'a Plan,
    /// From when on each key of the plan has been observed without a gap.
    pub observed_since: &'a [Observed],
    /// Exchange rates for sums.
    pub rates: &'a Rates,
    /// Time zone of `hour` and `weekday`.
    pub zone: &'a TimeZone,
    /// When this engine began to see requests: no window reaches back further.
    pub began: Timestamp,
}

/// A flag that acts on this request: it is active, and its scope covers the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActingFlag {
    /// The member that entered it.
    pub registrar: MemberName,
    /// What it says.
    pub terms: Terms,
    /// Whether the person has opened it for this payment by a pass: it is there, and asks for nothing.
    pub is_open: bool,
}

/// Flags of one person that may act on one request; more than this many registrars act as the strictest of them.
const ACTING_FLAGS_MAX: usize = 4;

/// The flags that act on one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActingFlags {
    flags: [Option<ActingFlag>; ACTING_FLAGS_MAX],
}

impl ActingFlags {
    /// The flags.
    pub fn iter(&self) -> impl Iterator<Item = &ActingFlag> {
        self.flags.iter().flatten()
    }

    /// Whether any flag has this wish.
    pub fn wishes(&self, wish: Wish) -> bool {
        self.iter().any(|flag| flag.terms.wish == wish && !flag.is_open)
    }

    /// One flag of a wish, or none, for facts that are stated and not gathered.
    fn stated(wish: Option<Wish>) -> Self {
        let mut flags = Self::default();
        if let (Some(wish), Some(registrar)) = (wish, MemberName::parse("stated")) {
            let terms = Terms {
                wish,
                scope: Scope::Any,
                reason: FlagReason::Precaution,
                requested_by: RequestedBy::Person,
                authenticated_by: AuthMethod::InPerson,
                compromised: Methods::default(),
                valid_until: Timestamp::from_ms(i64::MAX),
            };
            flags.push(ActingFlag { registrar, terms, is_open: false });
        }
        flags
    }

    fn push(&mut self, flag: ActingFlag) {
        if let Some(free) = self.flags.iter_mut().find(|slot| slot.is_none_or(|known| known.is_open)) {
            *free = Some(flag);
        } else if flag.is_open {
            // Full of flags that ask for something: one that asks for nothing adds nothing.
        } else if flag.terms.wish == Wish::Deny {
            // Full: a denial still acts, and what the replaced flags say of methods is added to it.
            self.flags[ACTING_FLAGS_MAX - 1] = Some(flag);
        } else if let Some(last) = &mut self.flags[ACTING_FLAGS_MAX - 1] {
            last.terms.compromised.0 |= flag.terms.compromised.0;
        }
    }
}

/// Everything that a rule may read for one request.
pub struct Facts<'a> {
    /// The request.
    pub request: &'a Request<'a>,
    /// The flags that act on it.
    pub flags: ActingFlags,
    /// Velocity readings, by their place in the plan.
    pub readings: &'a [Reading],
    /// The payer's number, where any flag on the person is in force, whether or not it covers this payment.
    pub flagged: Option<Pseudonym>,
    indicators: IndicatorsLooked<'a>,
    wanted: &'a Wanted<'a>,
    keyring: &'a Keyring,
    /// Pseudonyms of the request's keys that were needed so far.
    keys: Keys,
    /// What was looked at.
    pub checked: Checked,
    /// In which ways the readings are worth less than usual.
    pub degraded: Degraded,
}

/// Whether gathering adds the request to what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathering {
    /// A live request: it is observed, once.
    Observe,
    /// A past request that is explained or run again: nothing is added.
    Peek,
    /// A past request with the readings that it was decided on.
    Recorded,
}

impl<'a> Facts<'a> {
    /// Gathers the facts of one request at `now`. `readings` has one place for each reading of the plan.
    pub fn gather(
        request: &'a Request<'a>,
        stores: &'a Stores,
        wanted: &'a Wanted<'a>,
        keyring: &'a Keyring,
        now: Timestamp,
        gathering: Gathering,
        readings: &'a mut [Reading],
    ) -> Self {
        let mut facts = Self {
            request,
            flags: ActingFlags::default(),
            readings: &[],
            flagged: None,
            indicators: IndicatorsLooked::at(stores, now),
            checked: Checked::default(),
            degraded: Degraded::default(),
            wanted,
            keyring,
            keys: Keys::default(),
        };
        facts.look_at_flags(stores, now);
        facts.note_what_is_present();
        facts.observe(stores, gathering, readings);
        facts.readings = readings;
        facts
    }

    /// Facts as an example states them: no store is asked, and nothing is observed. `readings` has one place for each
    /// reading of the plan.
    pub fn stated(
        request: &'a Request<'a>,
        wanted: &'a Wanted<'a>,
        keyring: &'a Keyring,
        flag: Option<Wish>,
        readings: &'a [Reading],
    ) -> Self {
        let flags = ActingFlags::stated(flag);
        let (checked, degraded) = (Checked::default(), Degraded::default());
        let indicators = IndicatorsLooked::stated(&[]);
        let keys = Keys::default();
        Self { request, flags, readings, flagged: None, indicators, wanted, keyring, keys, checked, degraded }
    }

    /// Facts as they were when a request was decided: no store is asked, and nothing is observed.
    pub fn recorded(
        request: &'a Request<'a>,
        wanted: &'a Wanted<'a>,
        keyring: &'a Keyring,
        (flags, evidence): (&[ActingFlag], &[(About, Evidence)]),
        readings: &'a [Reading],
    ) -> Self {
        let mut facts = Self::stated(request, wanted, keyring, None, readings).with_indicators(evidence);
        flags.iter().for_each(|flag| facts.flags.push(*flag));
        facts
    }

    /// What rules have found of indicators on the request's values: what nobody asked for is not there, nor what is
    /// not known.
    pub fn found_indicators(&self) -> impl Iterator<Item = (About, &Evidence)> {
        self.indicators.found().filter(|(_, evidence)| evidence.strongest.is_some())
    }

    /// The same facts with indicators as an example states them.
    pub fn with_indicators(self, evidence: &[(About, Evidence)]) -> Self {
        Self { indicators: IndicatorsLooked::stated(evidence), ..self }
    }

    /// What is known of one of the request's values; `None` where the request does not carry it.
    pub fn indicator(&self, about: About) -> Option<&Evidence> {
        self.indicators.of(about, self.request, self.keyring)
    }

    /// One velocity reading.
    pub fn reading(&self, index: ReadingIndex) -> Reading {
        self.readings[index.0]
    }

    /// The pseudonym of one of the request's keys.
    pub fn key(&self, name: KeyName) -> Option<Pseudonym> {
        self.keys[name as usize].unwrap_or_else(|| self.request.key(name, self.keyring))
    }

    /// What was worked out of the request, for whoever keeps it.
    pub fn noted(&self) -> Noted {
        Noted::of(self.request, &self.keys)
    }

    /// Notes what has become known of this request under every key that asks for it.
    pub fn mark(&self, stores: &Stores, mark: Mark) {
        windows::mark_request(self.request, |name| self.key(name), self.wanted.plan, stores, (mark, true));
    }

    /// The event's civil time in the rule set's time zone.
    pub(crate) fn local(&self) -> jiff::civil::DateTime {
        let time = self.request.event_time();
        let instant = jiff::Timestamp::from_millisecond(time.ms()).unwrap_or_default();
        self.wanted.zone.to_datetime(instant)
    }

    /// The amount in minor units of the rule set's base currency.
    pub(crate) fn amount_base_minor(&self) -> Option<i64> {
        windows::amount_base_minor(self.request, self.wanted.rates)
    }

    fn look_at_flags(&mut self, stores: &'a Stores, now: Timestamp) {
        let view = self.request.view();
        let amount = view.amount_minor().zip(view.currency());
        let Some(subject) = self.request.subject() else { return };
        let flags = &stores.flags;
        for (_, number) in subject.iter() {
            flags.visit_person(number, |pseudonym, flag| {
                let Some(terms) = flag.active(now) else { return };
                self.flagged = Some(subject.current.1);
                if !covers(terms.scope, view.kind(), amount) {
                    return;
                }
                let is_open = !flags.passes.is_empty() && {
                    let payment = self.request.pass_payment(self.keyring);
                    let payment = PassPayment {
                        member: stores.member,
                        merchant_id: payment.0,
                        merchant_org: payment.1,
                        amount,
                    };
                    flags.passes.opens(pseudonym, flag, &payment, now)
                };
                self.flags.push(ActingFlag { registrar: flag.registrar, terms, is_open });
            });
        }
    }

    fn note_what_is_present(&mut self) {
        let view = self.request.view();
        for (key, present) in [
            (CheckedKey::Subject, view.subject().is_some()),
            (
                CheckedKey::Card,
                view.card_token().is_some() || view.par().is_some() || view.pan_digest().is_some(),
            ),
            (CheckedKey::Account, view.payer_account().is_some() || view.payee_account().is_some()),
            (CheckedKey::Device, view.device_id().is_some()),
            (CheckedKey::Email, view.email().is_some()),
            (CheckedKey::Phone, view.phone().is_some()),
            (CheckedKey::Ip, view.ip().is_some()),
            (CheckedKey::Merchant, view.merchant_id().is_some() || view.merchant_org().is_some()),
        ] {
            self.checked.set(key, if present { Looked::Checked } else { Looked::Absent });
        }
    }

    /// Observes the request under every key of the plan that it carries, and reads their windows.
    fn observe(&mut self, stores: &Stores, gathering: Gathering, readings: &mut [Reading]) {
        if gathering == Gathering::Recorded {
            return;
        }
        let (request, wanted, keyring) = (self.request, self.wanted, self.keyring);
        let velocity = (&stores.velocity, gathering);
        let mut keys = Keys::default();
        let at = request.event_time();
        windows::read(request, wanted, keyring, velocity, &mut keys, readings, |plan, since, readings| {
            self.note_readings(plan, since, at, readings);
        });
        self.keys = keys;
    }

    /// Says in the answer which readings are not exact or not yet complete. Whether a key is new cannot be told before
    /// everything was observed for as long as the rule looks back.
    fn note_readings(&mut self, plan: &KeyPlan, since: &Observed, at: Timestamp, readings: &mut [Reading]) {
        for (index, spec) in &plan.readings {
            let reading = &mut readings[index.0];
            if matches!(reading, Reading::Capped(_) | Reading::Unknown) {
                self.degraded.insert(Degraded::VELOCITY_CAPPED);
            }
            if spec.measure == Measure::FirstSeen
                && let Reading::Exact(age_ms) = *reading
                && since.may_have_missed(at.saturating_add_ms(-age_ms), at, spec.span_ms)
            {
                *reading = Reading::Unknown;
                self.degraded.insert(Degraded::WINDOW_WARMING);
            }
            if since.full_at(spec, self.wanted.began) > at {
                if spec.measure == Measure::FirstSeen {
                    *reading = Reading::Unknown;
                }
                self.degraded.insert(Degraded::WINDOW_WARMING);
                for name in std::iter::once(plan.key.first).chain(plan.key.second) {
                    self.checked.set(checked_key(name), Looked::Warming);
                }
            }
        }
    }
}

/// Under which kind of key an answer accounts for a velocity key.
const fn checked_key(name: KeyName) -> CheckedKey {
    match name {
        KeyName::Subject => CheckedKey::Subject,
        KeyName::Card => CheckedKey::Card,
        KeyName::Device => CheckedKey::Device,
        KeyName::Ip => CheckedKey::Ip,
        KeyName::Email => CheckedKey::Email,
        KeyName::Phone => CheckedKey::Phone,
        KeyName::Account | KeyName::Payee => CheckedKey::Account,
        KeyName::Merchant | KeyName::Terminal | KeyName::Domain => CheckedKey::Merchant,
    }
}
