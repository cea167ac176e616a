//! One seed, from its beginning to its end.

use crate::authority::CENTRE;
use crate::node::{Network, kind_of, member};
use crate::plan::{Control, Fault, Plan};
use crate::random::Random;
use crate::sim::{Event, Outcome, Sim};
use std::collections::BTreeMap;

const NAMES: [&str; 4] = [CENTRE, "bank-1", "police", "bank-2"];

/// What a seed has shown.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) hits: BTreeMap<Fault, u64>,
    pub(crate) records: usize,
    /// Simulated time, ms.
    pub(crate) time: u64,
}

/// Runs a seed.
pub(crate) fn run(seed: u64, control: Control) -> Ran {
    let mut random = Random::new(seed);
    let plan = Plan::of(&mut random);
    let configured =
        if plan.all_configured { vec![CENTRE, "bank-1", "police", "bank-2", "bank-9"] } else { vec![CENTRE] };
    let configured = configured.into_iter().map(member).map(|name| (name, kind_of(name), [0; 32])).collect();
    let mut sim = Sim::new(seed, plan, Network { configured }, control, random);
    sim.tell(|| format!("{:?}", sim.plan));
    let outcome = whole(&mut sim);
    Ran { outcome, hits: std::mem::take(&mut sim.hits), records: sim.ledger.made.len(), time: sim.time }
}

fn whole(sim: &mut Sim) -> Outcome {
    let engines = NAMES.into_iter().zip(sim.plan.members.clone());
    for (name, engines) in engines {
        for engine in 1..=engines {
            let node = sim.add(member(name), engine);
            let starts = sim.random.below(500);
            sim.push(starts, Event::Restart { node });
        }
    }
    let begins = 1_000;
    for (at, fault) in sim.plan.faults.clone() {
        sim.push(begins + at, Event::Fault(fault));
    }
    sim.push(begins / 2, Event::Work);
    sim.push(begins, Event::Check);
    let end = begins + sim.plan.chaos_ms;
    sim.run_until(end)?;
    sim.heal()
}
