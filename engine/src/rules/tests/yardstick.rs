//! Compiled conditions agree with the evaluator that the conformance cases run through: a request's values put in
//! as constants come to the same.

use super::*;
use crate::rules::Truth;
use crate::rules::constant::{Evaluated, Names, Value, evaluate_text};
use proptest::prelude::*;

fn number() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(
        &[
            "mcc",
            "customer_since_days",
            "device_age_days",
            "amount_minor",
            "(-2)",
            "3",
            "4611686018427387904",
            "merchant_id.size()",
            "event_time.getHours()",
            "event_time.getHours('Europe/Stockholm')",
            "event_time.getDayOfWeek('+13:30')",
            "auth.time.getDayOfYear('America/St_Johns')",
            "(event_time - auth.time).getMinutes()",
            "(auth.time + duration('1h30m') - event_time).getMilliseconds()",
            "int(double(mcc) / 2.0)",
            "int(1e18 * double(customer_since_days) * 20.0)",
            "[2, 3, 5][1]",
            "size(['a'] + ['b', 'c'])",
        ][..],
    )
    .prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(&["+", "-", "*"][..]), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            (inner.clone(), prop::sample::select(&["/ mcc", "% customer_since_days"][..]))
                .prop_map(|(left, rest)| format!("({left} {rest})")),
            (inner.clone(), inner.clone())
                .prop_map(|(one, other)| format!("(challenge_possible ? {one} : {other})")),
            inner.prop_map(|inner| format!("(-{inner})")),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    let relation = prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    let atom = prop_oneof![
        (number(), relation, number())
            .prop_map(|(left, relation, right)| format!("{left} {relation} {right}")),
        number().prop_map(|value| format!("{value} in [0, 1, 2, 5].map(x, x * 2)")),
        prop::sample::select(
            &[
                "challenge_possible",
                "merchant_id.lowerAscii().contains('å')",
                "merchant_id.matches('^[a-c]+$') || merchant_id.endsWith('B')",
                "merchant_id in ['A', 'b' + '', 'Åb']",
                "merchant_id < 'b'",
                "['a', 'Å'].exists(x, merchant_id.startsWith(x))",
                "['a', 'b'].all(at, x, merchant_id.contains(x) || at > mcc)",
                "event_time >= timestamp('2026-06-15T14:00:00+02:00')",
                "event_time - auth.time > duration('1.5h')",
                "first_seen(card, '2d') < duration('1h')",
                "first_seen(card, '2d').getMinutes() == 2 || first_seen(card, '2d') == duration('48h')",
                "event_time - first_seen(card, '2d') >= auth.time",
                "channel == 'web' || channel in ['app', 'moto']",
            ][..],
        )
        .prop_map(str::to_owned),
    ];
    atom.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|terms| format!("({})", terms.join(" && "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|terms| format!("({})", terms.join(" || "))),
            inner.clone().prop_map(|inner| format!("!({inner})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(test, one, other)| format!("(({test}) ? ({one}) : ({other}))")),
            (inner.clone(), inner).prop_map(|(one, other)| format!("(({one}) == ({other}))")),
        ]
    })
}

/// What a rule writes, and what it is called among the constants.
const FIRST_SEEN: (&str, &str) = ("first_seen(card, '2d')", "age");
const TWO_DAYS_MS: i64 = 172_800_000;

/// The fields of a request and the age of its card, each there or not, and the same as constants.
fn fields() -> impl Strategy<Value = (Vec<(&'static str, &'static str)>, Option<i64>, Names)> {
    let choices: [(&str, &[&str]); 8] = [
        ("mcc", &["0", "1", "5"]),
        ("customer_since_days", &["0", "1", "2"]),
        ("device_age_days", &["3", "4294967295"]),
        ("amount_minor", &["7", "9223372036854775807"]),
        ("merchant_id", &["A", "b", "aB", "Åb", "åå"]),
        ("channel", &["web", "app", "moto"]),
        ("challenge_possible", &["true", "false"]),
        ("auth.time", &["2026-06-15T11:58:30Z", "2026-06-15T08:00:00.250Z"]),
    ];
    let each = choices.map(|(name, values)| {
        prop::option::weighted(0.8, prop::sample::select(values))
            .prop_map(move |value| value.map(|value| (name, value)))
    });
    let age_ms = prop::sample::select(&[0, 150_000, 3_600_000, TWO_DAYS_MS][..]);
    (each, prop::option::weighted(0.8, age_ms)).prop_map(|(fields, age_ms)| {
        let fields: Vec<_> = fields.into_iter().flatten().collect();
        let time = |ms: i64| Value::Time(i128::from(ms) * 1_000_000);
        let mut values: Vec<_> = fields
            .iter()
            .map(|(name, text)| {
                let value = match *name {
                    "merchant_id" | "channel" => Value::Text((*text).to_owned()),
                    "challenge_possible" => Value::Bool(*text == "true"),
                    "auth.time" => time(Timestamp::parse(text).expect("a time").ms()),
                    _ => Value::Int(text.parse().expect("a number")),
                };
                ((*name).to_owned(), value)
            })
            .collect();
        values.push(("event_time".to_owned(), time(NOON.ms())));
        let age = age_ms.map(|ms| Value::Length(ms * 1_000_000));
        values.extend(age.map(|age| (FIRST_SEEN.1.to_owned(), age)));
        (fields, age_ms, Names::new(values, String::new()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn a_request_and_its_values_as_constants_come_to_the_same(
        condition in condition(),
        requests in prop::collection::vec(fields(), 4),
    ) {
        let sources = sources(&[&format!("rules:\n{}", rule("a", &condition, ""))], &[]);
        let loaded = load_whatever(&sources);
        let Some(set) = loaded.set else {
            let only_constants = loaded.diagnostics.iter().all(|finding| finding.code.text() == "E033");
            prop_assert!(only_constants, "{}", loaded.diagnostics[0].render_plain(&sources));
            return Ok(());
        };
        let mut hits = Hits::default();
        for (fields, age_ms, names) in &requests {
            let reading = age_ms.map_or(Reading::Unknown, Reading::Exact);
            let readings = [("card", TWO_DAYS_MS, Measure::FirstSeen, reading)];
            let stated = Stated { fields, readings: &readings, ..Stated::default() };
            let truth = with_facts(&set, &stated, |facts| {
                set.evaluate(facts, NOON, &mut hits);
                set.explain(facts, NOON)[0].truth
            });
            prop_assert_eq!(hits.enforced.len(), usize::from(truth == Truth::True));
            let constant = evaluate_text(&condition.replace(FIRST_SEEN.0, FIRST_SEEN.1), names, false);
            let agree = match (&constant, truth) {
                (Evaluated::Value(Value::Bool(value)), Truth::True | Truth::False) => {
                    *value == (truth == Truth::True)
                }
                (Evaluated::Failed(_), Truth::Absent | Truth::Error(_)) => true,
                _ => false,
            };
            prop_assert!(agree, "{} over {:?}: {:?}, as constants {:?}", &condition, fields, truth, constant);
        }
    }
}
