//! What the engine knows of the exchange as a whole: how old its state is, and who has what. Written by the exchange's own
//! thread, read by everybody.

use crate::facts::elsewhere::Seen;
use crate::replication::ExchangeView;
use crate::state::Moment;
use arc_swap::{ArcSwap, ArcSwapOption};
use sparr_protocol::response::Degraded;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};

/// From this age on the state is amber, ms.
pub const AMBER_MS: u32 = 500;
/// From this age on it is red, ms.
pub const RED_MS: u32 = 5_000;

/// The exchange as it is known here.
#[derive(Debug, Default)]
pub struct Exchanged {
    is_networked: AtomicBool,
    /// On the steady clock of the engine, ms; before its beginning where the engine has not heard anything yet.
    confirmed_ms: AtomicI64,
    /// Kinds that were screened with a subject since the start, a bit each.
    screens: AtomicU16,
    view: ArcSwap<ExchangeView>,
    received: AtomicU64,
    /// Where payments go that the other engines of the member should see too.
    own: OnceLock<SyncSender<Seen>>,
    /// Payments that they were not told of, because there were too many.
    untold: AtomicU64,
    /// Payments that they told of.
    told: AtomicU64,
    /// What the broker does not promise; none while there is no link.
    broker: ArcSwapOption<Vec<String>>,
}

impl Exchanged {
    /// There are other engines. What was confirmed before this one started is `age_ms` old.
    pub fn begin(&self, moment: Moment, age_ms: u64) {
        let age = i64::try_from(age_ms).unwrap_or(i64::MAX);
        self.confirmed_ms.store(steady(moment).saturating_sub(age), Ordering::Release);
        self.is_networked.store(true, Ordering::Release);
    }

    /// Whether there are other engines.
    pub fn is_networked(&self) -> bool {
        self.is_networked.load(Ordering::Acquire)
    }

    /// Everything up to this steady time is here. It never goes back, unless a gap was found.
    pub fn confirm(&self, steady_ms: u64) {
        self.confirmed_ms.store(i64::try_from(steady_ms).unwrap_or(i64::MAX), Ordering::Release);
    }

    /// Age of the newest confirmed state, ms; 0 where this engine is the exchange.
    pub fn staleness_ms(&self, moment: Moment) -> u32 {
        if !self.is_networked() {
            return 0;
        }
        let age = steady(moment).saturating_sub(self.confirmed_ms.load(Ordering::Acquire));
        u32::try_from(age.max(0)).unwrap_or(u32::MAX)
    }

    /// A request of a kind with a subject was screened.
    pub(crate) fn screened(&self, kind: u8) {
        let bit = 1 << u16::from(kind).min(15);
        // A read costs less than a write that changes nothing.
        if self.screens.load(Ordering::Relaxed) & bit == 0 {
            self.screens.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Kinds that were screened with a subject since the start, a bit each.
    pub fn screens(&self) -> u16 {
        self.screens.load(Ordering::Relaxed)
    }

    /// The member has other engines: what this one sees goes here from now on. Once; a second time changes nothing.
    pub fn has_siblings(&self, tell: SyncSender<Seen>) {
        // An error says that it was done before.
        let _ = self.own.set(tell);
    }

    /// Tells the other engines of the member of a payment. Never waits: where there are too many, it is counted and dropped.
    pub(crate) fn tell_own(&self, seen: impl FnOnce() -> Seen) {
        if let Some(tell) = self.own.get()
            && tell.try_send(seen()).is_err()
        {
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Payments that other engines of the member told of were observed here.
    pub fn was_told(&self, payments: usize) {
        self.told.fetch_add(payments as u64, Ordering::Relaxed);
    }

    /// Payments that other engines of the member told of, and those that they could not be told of.
    pub fn told_and_untold(&self) -> (u64, u64) {
        (self.told.load(Ordering::Relaxed), self.untold.load(Ordering::Relaxed))
    }

    /// Records of other engines came that are taken in.
    pub fn received(&self, records: usize) {
        self.received.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Records of other engines that were taken in since the start.
    pub fn records_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The link is up, to a broker that does not promise this; or it is down.
    pub fn linked(&self, warnings: Option<Vec<String>>) {
        self.broker.store(warnings.map(Arc::new));
    }

    /// What the broker does not promise; none while there is no link.
    pub fn broker(&self) -> Option<Arc<Vec<String>>> {
        self.broker.load_full()
    }

    /// The exchange as it was a moment ago.
    pub fn view(&self) -> Arc<ExchangeView> {
        self.view.load_full()
    }

    /// Lays out a new view.
    pub fn show(&self, view: ExchangeView) {
        self.view.store(Arc::new(view));
    }
}

fn steady(moment: Moment) -> i64 {
    i64::try_from(moment.steady_ms).unwrap_or(i64::MAX)
}

/// How much an answer is worth that stands on a state of this age.
pub fn degraded(staleness_ms: u32) -> Degraded {
    let mut degraded = Degraded::default();
    if staleness_ms >= RED_MS {
        degraded.insert(Degraded::RED);
    } else if staleness_ms >= AMBER_MS {
        degraded.insert(Degraded::AMBER);
    }
    degraded
}
