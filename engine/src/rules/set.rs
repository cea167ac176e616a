//! A rule set as it is used: immutable, all of it checked.

use super::compile::Program;
use super::diagnostic::{Code, Diagnostic};
use super::evaluate::Gates;
use super::ir::Condition;
use super::lists::Lists;
use super::reasons::ReasonTable;
use super::settings::Thresholds;
use super::sources::Span;
use crate::facts::money::Rates;
use crate::velocity::spec::{KindSet, Plan};
use jiff::tz::TimeZone;
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::ids::RuleSetDigest;
use sparr_protocol::response::ReasonCode;
use sparr_protocol::time::{Date, Timestamp};
use std::sync::Arc;

/// Whether a rule is evaluated, and whether its hits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is checked when the set is loaded and then left alone.
    Off,
    /// It is evaluated and its hits are told apart; they change nothing.
    Shadow,
    /// Its hits count.
    Enforce,
}

impl Mode {
    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }

    /// The mode of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Off, Self::Shadow, Self::Enforce].into_iter().find(|mode| mode.name() == name)
    }
}

/// What a hit asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Challenge or decline.
    Outcome(Outcome),
    /// A look afterwards, or a hold before the payment is executed.
    Review(Review),
    /// Points towards the thresholds of the set, above zero: a hit never lowers anything.
    Score(i32),
}

/// Where a rule stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One rule of a set.
#[derive(Debug)]
pub struct Rule {
    /// Its name: stable and unique in the set.
    pub id: String,
    /// What it is there for.
    pub description: String,
    /// Who looks after it.
    pub owner: Option<String>,
    /// Whether it is evaluated, and whether its hits count.
    pub mode: Mode,
    /// For how many percent of payers it is evaluated.
    pub rollout: u8,
    /// What a hit asks for.
    pub action: Action,
    /// The reason that an answer gives for a hit.
    pub reason: ReasonCode,
    /// The kinds of payment for which it is evaluated.
    pub kinds: KindSet,
    /// The last day on which it is evaluated, in the set's time zone.
    pub expires: Option<Date>,
    /// Its condition, as it is written.
    pub when: String,
    /// The line of its file on which the condition begins.
    pub when_line: usize,
    /// How many atoms one evaluation asks at most.
    pub cost: u32,
    /// Whether it reads what members share about suspects: an exemption from it takes two persons.
    pub reads_indicators: bool,
    /// Where it stands.
    pub location: Location,
    pub(super) expires_at: Option<Span>,
    pub(super) condition: Condition,
}

/// Everything that decides: rules, lists, thresholds, rates, reasons. Immutable; swapped as a whole.
pub struct RuleSet {
    pub(super) rules: Vec<Rule>,
    pub(super) ids: Arc<[String]>,
    pub(super) reasons: ReasonTable,
    pub(super) lists: Lists,
    pub(super) program: Program,
    pub(super) gates: Gates,
    pub(super) plan: Plan,
    pub(super) thresholds: Thresholds,
    pub(super) rates: Rates,
    pub(super) rates_date: Option<Date>,
    pub(super) zone: TimeZone,
    pub(super) digest: RuleSetDigest,
}

impl RuleSet {
    /// Digest of everything that influences decisions, independent of the names and the order of files.
    pub fn digest(&self) -> RuleSetDigest {
        self.digest
    }

    /// The velocity readings that rules which are not off ask for.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The exchange rates, and the base currency of sums.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// The day from which the exchange rates are; none where there are no rates.
    pub fn rates_date(&self) -> Option<Date> {
        self.rates_date
    }

    /// The time zone of `hour`, `weekday` and the end of days.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// From which summed score on what happens.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// The rules, in the order of the files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of this name.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Their names, in the same order: what outlives the set where hits were counted.
    pub fn ids(&self) -> &Arc<[String]> {
        &self.ids
    }

    /// The reasons that answers give.
    pub fn reasons(&self) -> &ReasonTable {
        &self.reasons
    }

    /// Static cost of one evaluation of the whole set: each distinct atom once, and one for each rule.
    pub fn cost(&self) -> u32 {
        set_cost(&self.program, self.gates.len())
    }

    /// The rules whose time is over at `now`, as warnings. Loading knows no clock, so this is asked apart.
    pub fn expired(&self, now: Timestamp) -> Vec<Diagnostic> {
        let over = |rule: &Rule| {
            let (day, at) = (rule.expires?, rule.expires_at?);
            let over = super::settings::end_of(day, &self.zone) <= now;
            over.then(|| {
                let message = format!("the rule `{}` expired on {day} and is no longer evaluated", rule.id);
                Diagnostic::new(Code::Expired, at, message).help("remove the rule, or give it a new date")
            })
        };
        self.rules.iter().filter_map(over).collect()
    }
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RuleSet({} rules, {:?})", self.rules.len(), self.digest)
    }
}

/// Static cost of a set.
pub(super) fn set_cost(program: &Program, rules: usize) -> u32 {
    u32::try_from(program.atoms() + rules).unwrap_or(u32::MAX)
}
