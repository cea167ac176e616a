//! A request's velocity: four keys with three windows each over many live keys, beside one `entry += 1` for each key.

use crate::clock::timed;
use hashbrown::HashMap;
use sparr_engine::request::KeyName;
use sparr_engine::velocity::spec::{KeyExpr, KindSet, Measure, Plan, ReadingSpec};
use sparr_engine::velocity::{Amount, Event, Marks, Place, Reading, Velocity};
use sparr_protocol::codes::Kind;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::time::Timestamp;

const MINUTE_MS: i64 = 60_000;
/// The keys of a request.
const KEYS: [KeyName; 4] = [KeyName::Card, KeyName::Subject, KeyName::Device, KeyName::Ip];
/// The windows of each.
const SPANS_MS: [i64; 3] = [MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS];
/// When it all begins, ms.
pub const BEGIN_MS: i64 = 1_000_000_000;

/// Reproducible numbers (splitmix64).
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// The plan of counts over every pair of key and window.
///
/// # Panics
///
/// Never: counts need no tags.
pub fn plan(keys: &[KeyName], spans_ms: &[i64]) -> Plan {
    let mut plan = Plan::default();
    for key in keys {
        for span_ms in spans_ms {
            let key = KeyExpr { first: *key, second: None };
            let spec =
                ReadingSpec { key, kinds: KindSet::DEFAULT, span_ms: *span_ms, measure: Measure::Count };
            assert!(plan.add(spec).is_some(), "counts need no tags");
        }
    }
    plan
}

/// A card payment.
pub fn event(time_ms: i64, id: u32) -> Event {
    Event {
        time: Timestamp::from_ms(time_ms),
        amount: Amount::of(100),
        kind: Kind::CardPayment,
        tags: [0; 2],
        id,
        marks: Marks::default(),
    }
}

/// The pseudonym of a number.
pub fn pseudonym(number: u64) -> Pseudonym {
    let digest = (u128::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    Pseudonym((digest ^ digest >> 64).to_le_bytes())
}

/// Both contestants, with the same keys alive.
pub struct FourKeys {
    /// What is read.
    pub plan: Plan,
    /// Sparr's table.
    pub velocity: Velocity,
    readings: Vec<Reading>,
    plain: HashMap<Pseudonym, u64, foldhash::fast::RandomState>,
    live: u64,
    random: Random,
}

impl FourKeys {
    /// With so many live keys, a quarter of them of each kind.
    pub fn with(live: u64) -> Self {
        let plan = plan(&KEYS, &SPANS_MS);
        let mut this = Self {
            velocity: Velocity::new(4_000_000),
            readings: vec![Reading::Absent; plan.readings()],
            plain: HashMap::default(),
            plan,
            live,
            random: Random::new(11),
        };
        for number in 0..live {
            let of = &this.plan.keys()[(number % 4) as usize];
            let event = event(BEGIN_MS + number as i64 / 1_000, number as u32);
            let place = Place::of(of, pseudonym(number), None);
            this.velocity.observe(of, place, event, &mut this.readings);
            this.plain.insert(pseudonym(number), 1);
        }
        this
    }

    /// The keys of so many requests.
    pub fn draw(&mut self, requests: usize) -> Vec<[u64; 4]> {
        let live = self.live;
        (0..requests).map(|_| std::array::from_fn(|at| self.random.below(live / 4) * 4 + at as u64)).collect()
    }

    /// Nanoseconds of a request: four keys observed, twelve windows read. `first` is the number of the first one.
    pub fn ours(&mut self, keys: &[[u64; 4]], first: usize) -> f64 {
        timed(keys.len(), || {
            for (number, four) in keys.iter().enumerate() {
                let time = BEGIN_MS + 1_000 + (first + number) as i64 / 100;
                let places: [Place; 4] =
                    std::array::from_fn(|at| Place::of(&self.plan.keys()[at], pseudonym(four[at]), None));
                self.velocity.expect(places.iter().copied());
                for (plan, place) in self.plan.keys().iter().zip(places) {
                    self.velocity.observe(plan, place, event(time, number as u32), &mut self.readings);
                }
            }
        })
    }

    /// Nanoseconds of the same request in a plain map: one `entry += 1` for each key.
    pub fn plainly(&mut self, keys: &[[u64; 4]]) -> f64 {
        timed(keys.len(), || {
            for four in keys {
                four.iter().for_each(|key| *self.plain.entry(pseudonym(*key)).or_default() += 1);
            }
        })
    }
}
