//! Parts of the engine in this process: goals 3b, 8 and 9; and which programs measure the others.

use crate::engine::{Load, REFERENCE_RULES};
use crate::progress::Progress;
use crate::setting::Setting;
use crate::table::{Aim, Goal, Row};
use crate::turns::{Figure, in_turns};
use sparr_benches::planted::{OneRequest, raise};
use sparr_benches::rules::{Form, Question, forms_of, reference_questions, sources};
use sparr_benches::windows::FourKeys;
use sparr_benches::{Failure, MOMENT, clock, core, messages, shipped_rules};
use sparr_engine::flags::FlagSet;
use sparr_engine::ids::CallerNo;
use sparr_engine::rules;
use sparr_engine::screen::{Asked, Scratch, Stopped, Unobserved, screen};
use sparr_engine::state::{ActiveRules, State};
use sparr_engine::velocity::Observed;
use sparr_protocol::time::Timestamp;
use std::hint::black_box;

const LOAD: &str = "in process";

/// Steps of [`rows`].
pub(crate) const STEPS: u64 = 3;

fn goal(id: &'static str, what: impl Into<String>, peer: &'static str, aim: Option<Aim>) -> Goal {
    Goal { id, load: LOAD, what: what.into(), peer, aim }
}

/// All rows.
pub(crate) fn rows(setting: Setting, progress: &mut Progress) -> Result<Vec<Row>, Failure> {
    progress.begin("screening in process");
    let mut rows = screening(setting)?;
    progress.begin(&format!("{} flags beside a map", setting.scale.flags));
    rows.extend(flags(setting)?);
    progress.begin("windows beside a map");
    rows.push(windows(setting)?);
    Ok(rows)
}

/// Goals that other programs measure, with the program.
pub(crate) fn elsewhere() -> Vec<Row> {
    let row = |id, what: &str, peer, by| Row::elsewhere(goal(id, what, peer, None), by);
    vec![
        row(
            "6",
            "heap allocations of the decision path, warm",
            "–",
            "cargo test -p sparr-benches --test allocations: fails above 0",
        ),
        row("7", "1,000 rules; growth to 10,000", "closures, cel", "--bin rule-matching (not wirefilter)"),
        row("10", "late answers while rules are loaded", "itself, steady", "--bin reload"),
        row("13", "backtest rows/s", "pandas", "--bin backtest-peers"),
        row("14", "restart with 10 M flags", "–", "--bin restart"),
    ]
}

fn active(forms: &[Form]) -> Result<ActiveRules, Failure> {
    let loaded = rules::load(&sources(forms, &shipped_rules()));
    let set = loaded.set.ok_or("the generated rules do not load")?;
    let observed_since = set.plan().keys().iter().map(|_| Observed::since(Timestamp::MIN)).collect();
    Ok(ActiveRules { set, observed_since })
}

/// Rules of which so many hit so many of a thousand payments, all the same ones, and the others none. Each asks
/// something else, or they would be one rule.
fn hitting(hits: usize, per_mille: i64) -> Vec<Form> {
    // Payers of the stream have been customers for 0 to 3,999 days, one as often as another.
    const DAYS: i64 = 4_000;
    let form = |at: usize| {
        let bound = if at < hits { DAYS * per_mille / 1_000 - at as i64 } else { -1 - at as i64 };
        Form { all: vec![Question::Number("customer_since_days", "<", bound)], any: Vec::new() }
    };
    (0..REFERENCE_RULES).map(form).collect()
}

/// Bytes to answer, without a transport.
struct Screening {
    state: State,
    messages: Vec<Vec<u8>>,
    scratch: Scratch,
    number: u64,
}

impl Screening {
    /// Nanoseconds of a request under these rules, each request one that was never answered.
    fn round(&mut self, rules: &ActiveRules, requests: u64) -> f64 {
        let asked =
            Asked { caller: CallerNo(0), moment: MOMENT, since_read: &Stopped, without_shadow: false };
        clock::timed(requests as usize, || {
            for _ in 0..requests {
                self.number += 1;
                let at = self.number as usize % self.messages.len();
                let message = &mut self.messages[at];
                // A new id, where `protocol/WIRE.md` has it: a repeated request would only be looked up.
                message[..8].copy_from_slice(&self.number.to_le_bytes());
                black_box(screen(
                    message,
                    asked,
                    &self.state,
                    Some(rules),
                    &mut self.scratch,
                    &mut Unobserved,
                ));
            }
        })
    }
}

fn screening(setting: Setting) -> Result<Vec<Row>, Failure> {
    let population = Load::Reference.population();
    let state = core(population.flags);
    (population.flags..setting.scale.flags).for_each(|number| raise(&state.stores.flags, number));
    let mut screening =
        Screening { state, messages: messages(16_384), scratch: Scratch::default(), number: 0 };
    let questions = reference_questions();
    let (many, few) = (active(&forms_of(&questions, REFERENCE_RULES))?, active(&forms_of(&questions, 100))?);
    let (none, seldom, many_hit) =
        (active(&hitting(0, 0))?, active(&hitting(1, 200))?, active(&hitting(REFERENCE_RULES / 5, 1_100))?);
    // Windows fill until they are what they are under load.
    screening.round(&many, setting.lookups);
    let sides = [&many, &few, &none, &seldom, &many_hit];
    let rounds = in_turns(setting.pairs, &sides, |rules| {
        Ok(Figure::from(screening.round(rules, setting.lookups / 4) / 1e3))
    })?;
    let flags = setting.scale.flags;
    let what = format!("screen, 1,000 rules, {flags} flags, µs");
    let growth = |what: &str, side: usize| {
        let aim = Some(Aim::AtMost(1.2, 1.2));
        Row::beside(goal("3b", what, "no rule hits", aim), &rounds[side], &rounds[2])
    };
    Ok(vec![
        Row::alone(goal("3b", what, "–", Some(Aim::AtMost(1.0, 0.6))), &rounds[0]),
        Row::alone(goal("3b", "screen, 100 rules, µs", "–", Some(Aim::AtMost(0.5, 0.35))), &rounds[1]),
        growth("screen, 1,000 rules, 20 % of payments hit one, µs", 3),
        growth("screen, every payment hits 20 % of 1,000 rules, µs", 4),
    ])
}

fn flags(setting: Setting) -> Result<Vec<Row>, Failure> {
    let (count, set) = (setting.scale.flags, FlagSet::default());
    (0..count).for_each(|number| raise(&set, number));
    let both = OneRequest::over(&set, count);
    let rounds = in_turns(setting.pairs, &[true, false], |is_ours| {
        let lookups = setting.lookups;
        Ok(Figure::from(if is_ours { both.at_once(lookups) } else { both.one_by_one(lookups) }))
    })?;
    let what = format!("10 unknown keys of a request, {count} flags, ns");
    let at_once = goal("8", what, "hashbrown, serial", Some(Aim::AtMost(0.5, 0.35)));
    let filter = [Figure::from(set.filter_bytes() as f64 / count as f64)];
    let bytes = goal("8", "bytes of the filter for each flag", "–", Some(Aim::AtMost(2.5, 1.2)));
    Ok(vec![
        Row::beside(at_once, &rounds[0], &rounds[1]),
        Row::alone(bytes, &filter).noting("bytes of a flag itself: cargo bench --bench exchange"),
    ])
}

fn windows(setting: Setting) -> Result<Row, Failure> {
    let live = setting.scale.live_keys;
    let mut both = FourKeys::with(live);
    let mut number = 0;
    let keys = both.draw(setting.lookups as usize / 2);
    let rounds = in_turns(setting.pairs, &[true, false], |is_ours| {
        if !is_ours {
            return Ok(Figure::from(both.plainly(&keys)));
        }
        number += keys.len();
        Ok(Figure::from(both.ours(&keys, number)))
    })?;
    let what = format!("12 windows over 4 keys, {live} live, ns");
    let aim = Some(Aim::AtMost(3.0, 2.0));
    Ok(Row::beside(goal("9", what, "hashbrown entry += 1", aim), &rounds[0], &rounds[1]))
}
