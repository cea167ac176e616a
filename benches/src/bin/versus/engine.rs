//! The engine under a load: rules, flags, indicators and live keys as the goals say, or the shipped rules alone.

use clap::ValueEnum;
use sparr_benches::planted::{member, police, raise, raise_for, share, terms};
use sparr_benches::rules::{forms_of, reference_questions, sources};
use sparr_benches::{Failure, clock, shipped_rules, windows};
use sparr_engine::request::ValueKind;
use sparr_engine::server::Engine;
use sparr_engine::server::config::{EngineConfig, Overrides, RulesFrom};
use sparr_engine::state::State;
use sparr_engine::velocity::{Place, Reading};
use sparr_loadgen::people::{Population, personal_number};
use sparr_protocol::client::{ClientConfig, FailPolicy, Fallback, Identity};
use sparr_protocol::codes::SubjectKind;
use sparr_protocol::identity::Subject;
use sparr_protocol::indicator::IndicatorKind;
use std::path::Path;

/// Which load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// The rules that sparr comes with, and nothing else
    Shipped,
    /// 1,000 rules, 12 windows over 4 keys, flags, indicators and live keys: what the goals are about
    Reference,
}

impl Load {
    /// Its name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Reference => "reference",
        }
    }

    /// Who pays. Under the reference load one payer in a hundred has a flag.
    pub(crate) const fn population(self) -> Population {
        let flags = match self {
            Self::Shipped => 0,
            Self::Reference => 100_000,
        };
        Population { people: 400_000, merchants: 20_000, flags }
    }
}

/// How much the engine knows under the reference load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Flags, at least those of the payers' population.
    pub(crate) flags: u64,
    /// Indicators.
    pub(crate) indicators: u64,
    /// Velocity keys with an event.
    pub(crate) live_keys: u64,
}

/// Rules of the reference load.
pub(crate) const REFERENCE_RULES: usize = 1_000;
/// Names of the threads that do something for each request: they answer, keep recent requests, write the log.
pub(crate) const THREADS: [&str; 3] = ["worker-", "recorder", "decision-log"];

/// A running engine and how a gateway reaches it.
pub(crate) struct Contestant {
    engine: Engine,
    /// How it is reached.
    pub(crate) client: ClientConfig,
    /// What it knows and what is on.
    pub(crate) description: String,
    _folders: [tempfile::TempDir; 2],
}

impl Contestant {
    /// Starts it. Its threads go where the caller's may go.
    pub(crate) fn start(load: Load, scale: Scale) -> Result<Self, Failure> {
        let (folder, rules_folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let local = || Some("127.0.0.1:0".to_owned());
        let overrides = Overrides {
            dev: true,
            data_dir: Some(folder.path().to_owned()),
            listen: local(),
            admin: local(),
            workers: Some(1),
            ..Overrides::default()
        };
        let mut config = EngineConfig::load(None, overrides)?;
        config.rules = match load {
            Load::Shipped => RulesFrom::Shipped,
            Load::Reference => {
                write_rules(rules_folder.path())?;
                RulesFrom::Dir(rules_folder.path().to_owned())
            }
        };
        let on = |is_on: bool| if is_on { "on" } else { "off" };
        let (log, recorder) = (on(config.decision_log.is_on), on(config.recent_requests_max > 0));
        let engine = Engine::start(config)?;
        if load == Load::Reference {
            plant(&engine.state, load.population(), scale);
        }
        let active = engine.state.rules();
        let Some(active) = active.as_ref() else { return Err("the rules do not load".into()) };
        let (plan, rules) = (active.set.plan(), active.set.rules().len());
        let known = match load {
            Load::Shipped => "no flags, no indicators".to_owned(),
            Load::Reference => format!(
                "about {} distinct questions, {} flags, {} indicators, {} live keys",
                reference_questions().len(),
                scale.flags,
                scale.indicators,
                engine.state.stores.velocity.size().keys
            ),
        };
        let description = format!(
            "{} load: {rules} rules, {} windows over {} keys, {known}; mutual TLS, decision log {log}, recent requests \
             {recorder}, metrics on",
            load.name(),
            plan.readings(),
            plan.keys().len(),
        );
        let policy = FailPolicy::by_kind(|_| Fallback::Decline);
        let gateway = Identity::from_dir(&folder.path().join("dev/gateway"))?;
        let client = ClientConfig::new(engine.listen, gateway, policy);
        Ok(Self { engine, client, description, _folders: [folder, rules_folder] })
    }

    /// Stops it, so that it takes nothing from whoever is measured next.
    pub(crate) fn stop(self) {
        self.engine.drain();
    }
}

fn write_rules(folder: &Path) -> Result<(), Failure> {
    let sources = sources(&forms_of(&reference_questions(), REFERENCE_RULES), &shipped_rules());
    for file in sources.rules.iter().chain([&sources.reasons]) {
        std::fs::write(folder.join(&file.name), &file.text)?;
    }
    Ok(())
}

/// Puts into the sets what would take a desk and a journal minutes.
fn plant(state: &State, population: Population, scale: Scale) {
    let flags = &state.stores.flags;
    let today = sparr_benches::MOMENT.today;
    for (number, (person, asked)) in (0..).zip(population.flags().take(scale.flags as usize)) {
        if let Ok(subject) = Subject::parse(&personal_number(person), SubjectKind::SePerson, None, today) {
            let pseudonym = state.keyring.current(ValueKind::Subject, subject.canonical());
            raise_for(flags, pseudonym, number, terms(asked.wish, asked.scope));
        }
    }
    (population.flags..scale.flags).for_each(|number| raise(flags, number));
    let by = police();
    debug_assert_ne!(member("police"), state.member(), "an indicator comes from elsewhere");
    for number in 0..scale.indicators {
        share(&state.stores.indicators, number, IndicatorKind::Email, String::new(), &by);
    }
    let active = state.rules();
    let Some(active) = active.as_ref() else { return };
    let plan = active.set.plan();
    let mut readings = vec![Reading::Absent; plan.readings()];
    for number in 0..scale.live_keys {
        let of = &plan.keys()[number as usize % plan.keys().len()];
        let event = windows::event(clock::wall().ms(), number as u32);
        let place = Place::of(of, windows::pseudonym(number), None);
        state.stores.velocity.observe(of, place, event, &mut readings);
    }
}
