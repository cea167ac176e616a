//! What matching costs as rules become many, beside two ways that a user would take instead.
//!
//! ```text
//! cargo run --release -p sparr-benches --bin rule-matching
//! ```
//!
//! Each number of rules is measured A B B A, several times: sparr's index, one closure per rule, the `cel` crate's own
//! evaluator. The last gets its variables bound before the clock runs. Medians, and the range of the ratios.

use cel::{Context, Program};
use sparr_benches::clock::{clocked, timed};
use sparr_benches::rules::{Form, closures, forms, questions, sources};
use sparr_benches::{MOMENT, messages, shipped_rules};
use sparr_engine::facts::schema::{FIELDS, FieldIndex, Read};
use sparr_engine::facts::{Facts, Wanted};
use sparr_engine::request::{Keyring, NetworkKey, Request};
use sparr_engine::rules::{self, Hits, RuleSet};
use sparr_engine::velocity::Reading;
use sparr_engine::velocity::spec::ReadingIndex;
use sparr_protocol::time::Timestamp;
use std::hint::black_box;

/// Requests that are matched over and over.
const REQUESTS: usize = 512;

/// Pairs of measurements.
const PAIRS: usize = 7;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn set_of(forms: &[Form]) -> (RuleSet, f64) {
    let sources = sources(forms, &shipped_rules());
    let (loaded, ns) = clocked(|| rules::load(&sources));
    let Some(set) = loaded.set else {
        let first = loaded.diagnostics.iter().find(|finding| finding.is_error());
        panic!("the rules load: {}", first.map_or_else(String::new, |finding| finding.render_plain(&sources)))
    };
    (set, ns / 1e9)
}

fn reading(set: &RuleSet, key: &str, span: &str) -> Option<ReadingIndex> {
    let span_ms = match span {
        "10m" => 600_000,
        "1h" => 3_600_000,
        _ => 86_400_000,
    };
    let mut specs = set.plan().keys().iter().flat_map(|plan| &plan.readings);
    specs.find(|(_, spec)| spec.key.text() == key && spec.span_ms == span_ms).map(|(index, _)| *index)
}

/// The variables of the other evaluator, bound once.
fn context(facts: &Facts<'_>, set: &RuleSet) -> Context<'static, 'static> {
    let mut context = Context::default();
    for (at, field) in FIELDS.iter().enumerate().filter(|(_, field)| !field.name.contains('.')) {
        let Some(index) = FieldIndex::find(FIELDS[at].name) else { continue };
        match index.def().read {
            Read::Int(read) | Read::Money(read) => {
                read(facts).into_iter().for_each(|value| context.add_variable_from_value(field.name, value));
            }
            Read::Code(domain, read) => read(facts).into_iter().for_each(|code| {
                context.add_variable_from_value(field.name, (domain.name_of)(code).to_owned());
            }),
            Read::Bool(_)
            | Read::Text(_)
            | Read::Opaque(_)
            | Read::Ip(_)
            | Read::Time(_)
            | Read::Presence(_) => {}
        }
    }
    for (key, span) in [("card", "10m"), ("card", "24h"), ("device", "1h")] {
        if let Some(index) = reading(set, key, span)
            && let Reading::Exact(value) | Reading::Capped(value) = facts.reading(index)
        {
            context.add_variable_from_value(format!("velocity_{key}_{span}"), value);
        }
    }
    context
}

fn main() {
    // Only the growth, for whoever changes the index.
    let all = std::env::args().len() < 2;
    let keyring = Keyring::new(NetworkKey::new(1, [7; 32].into()), None);
    let messages = messages(REQUESTS);
    let requests: Vec<Request<'_>> = messages
        .iter()
        .filter_map(|message| Request::parse(message, &keyring, MOMENT.today, MOMENT.now).ok())
        .collect();
    println!(
        "{} distinct questions, {} requests, medians of {} pairs",
        questions().len(),
        requests.len(),
        PAIRS
    );
    println!(
        "{:>7} {:>10} {:>10} {:>10} {:>12} {:>16} {:>16} {:>9} {:>9}",
        "rules",
        "index ns",
        "each ns",
        "closure ns",
        "cel ns",
        "closure/index",
        "cel/index",
        "hits",
        "load s"
    );
    for count in [10, 100, 1_000, 10_000].into_iter().filter(|_| all) {
        let forms = forms(count);
        let (set, seconds) = set_of(&forms);
        let wanted = Wanted {
            plan: set.plan(),
            observed_since: &[],
            rates: set.rates(),
            zone: set.zone(),
            began: Timestamp::MIN,
        };
        let readings: Vec<Vec<Reading>> = (0..requests.len()).map(|at| stated_readings(&set, at)).collect();
        let facts: Vec<Facts<'_>> = requests
            .iter()
            .zip(&readings)
            .map(|(request, readings)| Facts::stated(request, &wanted, &keyring, None, readings))
            .collect();
        let closures = closures(&forms, |key, span| reading(&set, key, span));
        let programs: Vec<Program> =
            forms.iter().filter_map(|form| Program::compile(&form.cel_text()).ok()).collect();
        // The other evaluator is slow enough to say so with fewer requests.
        let few = (200_000 / count).clamp(8, 64).min(facts.len());
        let contexts: Vec<_> = facts.iter().take(few).map(|facts| context(facts, &set)).collect();

        let mut hits = Hits::default();
        let mut found = [0usize; 3];
        for (at, facts) in facts.iter().enumerate() {
            set.evaluate(facts, MOMENT.now, &mut hits);
            let by_closures = closures.iter().filter(|rule| rule(facts)).count();
            assert_eq!(hits.enforced.len(), by_closures, "request {at}");
            found[0] += hits.enforced.len();
            if let Some(context) = contexts.get(at) {
                let holds =
                    |program: &&Program| matches!(program.execute(context), Ok(cel::Value::Bool(true)));
                assert_eq!(programs.iter().filter(holds).count(), by_closures, "request {at}");
            }
        }

        let rounds = (2_000 / count).clamp(4, 200);
        let index = |hits: &mut Hits| {
            timed(rounds * facts.len(), || {
                for facts in (0..rounds).flat_map(|_| &facts) {
                    set.evaluate(facts, MOMENT.now, hits);
                    black_box(&hits.enforced);
                }
            })
        };
        let each = |hits: &mut Hits| {
            timed(rounds * facts.len(), || {
                for facts in (0..rounds).flat_map(|_| &facts) {
                    set.evaluate_plainly(facts, MOMENT.now, hits);
                    black_box(&hits.enforced);
                }
            })
        };
        let closure = || {
            timed(rounds * facts.len(), || {
                for facts in (0..rounds).flat_map(|_| &facts) {
                    black_box(closures.iter().filter(|rule| rule(facts)).count());
                }
            })
        };
        let other = || {
            timed(contexts.len(), || {
                for context in &contexts {
                    let holds =
                        |program: &&Program| matches!(program.execute(context), Ok(cel::Value::Bool(true)));
                    black_box(programs.iter().filter(holds).count());
                }
            })
        };
        let mut sample: [Vec<f64>; 4] = Default::default();
        let mut ratios: [Vec<f64>; 2] = Default::default();
        for _ in 0..PAIRS {
            let (a1, b1, c1) = (index(&mut hits), closure(), other());
            let (c2, b2, a2) = (other(), closure(), index(&mut hits));
            sample[0].extend([a1, a2]);
            sample[1].push(each(&mut hits));
            sample[2].extend([b1, b2]);
            sample[3].extend([c1, c2]);
            ratios[0].push((b1 + b2) / (a1 + a2));
            ratios[1].push((c1 + c2) / (a1 + a2));
        }
        let range = |ratios: &[f64]| {
            let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let most = ratios.iter().copied().fold(0.0, f64::max);
            format!("{:.1} ({least:.1}–{most:.1})", median(ratios.to_vec()))
        };
        let [a, e, b, c] = sample.map(median);
        println!(
            "{count:>7} {a:>10.0} {e:>10.0} {b:>10.0} {c:>12.0} {:>16} {:>16} {:>9.2} {seconds:>9.3}",
            range(&ratios[0]),
            range(&ratios[1]),
            found[0] as f64 / facts.len() as f64
        );
    }
    println!(
        "{}",
        growth(&messages, &keyring)
            .unwrap_or_else(|| "time(10,000) / time(100): nothing to measure".to_owned())
    );
}

/// How much more 10,000 rules cost than 100, in turns: minutes between the two would measure the machine instead.
fn growth(messages: &[Vec<u8>], keyring: &Keyring) -> Option<String> {
    let requests: Vec<Request<'_>> = messages
        .iter()
        .filter_map(|message| Request::parse(message, keyring, MOMENT.today, MOMENT.now).ok())
        .collect();
    let sets = [100, 10_000].map(|count| set_of(&forms(count)).0);
    let requests = &requests;
    let [few, many] = sets.each_ref().map(|set| {
        let wanted = Wanted {
            plan: set.plan(),
            observed_since: &[],
            rates: set.rates(),
            zone: set.zone(),
            began: Timestamp::MIN,
        };
        let readings: Vec<Vec<Reading>> = (0..requests.len()).map(|at| stated_readings(set, at)).collect();
        move |rounds: usize| {
            let facts: Vec<Facts<'_>> = requests
                .iter()
                .zip(&readings)
                .map(|(request, readings)| Facts::stated(request, &wanted, keyring, None, readings))
                .collect();
            let mut hits = Hits::default();
            facts.iter().for_each(|facts| set.evaluate(facts, MOMENT.now, &mut hits));
            timed(rounds * facts.len(), || {
                for facts in (0..rounds).flat_map(|_| &facts) {
                    set.evaluate(facts, MOMENT.now, &mut hits);
                    black_box(&hits.enforced);
                }
            })
        }
    });
    let (mut fews, mut manys, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS * 6 {
        let (a1, b1, b2, a2) = (few(20), many(4), many(4), few(20));
        fews.extend([a1, a2]);
        manys.extend([b1, b2]);
        ratios.push((b1 + b2) / (a1 + a2));
    }
    ratios.sort_by(f64::total_cmp);
    let (least, most) = (ratios.first()?, ratios.last()?);
    Some(format!(
        "in turns: 100 rules {:.0} ns, 10,000 rules {:.0} ns (least {:.0} and {:.0}); time(10,000) / time(100) = {:.2} \
         ({least:.2}–{most:.2})",
        median(fews.clone()),
        median(manys.clone()),
        fews.iter().copied().fold(f64::INFINITY, f64::min),
        manys.iter().copied().fold(f64::INFINITY, f64::min),
        median(ratios.clone())
    ))
}

/// Readings of a request: the same for the same number.
fn stated_readings(set: &RuleSet, at: usize) -> Vec<Reading> {
    (0..set.plan().readings()).map(|place| Reading::Exact(((at * 7 + place * 3) % 6) as i64)).collect()
}
