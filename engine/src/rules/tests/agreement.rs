//! Compiled conditions agree with the plain reading of the tree, for conditions and requests made at random.

use super::*;
use crate::rules::compile::{Answers, Program};
use crate::rules::interpret::Scene;
use proptest::prelude::*;

/// A whole number in words.
fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-3i64..4).prop_map(|value| format!("({value})")),
        Just("9223372036854775807".to_owned()),
        Just("mcc".to_owned()),
        Just("customer_since_days".to_owned()),
        Just("device_age_days".to_owned()),
        Just("velocity(card, \"10m\").count".to_owned()),
        Just("merchant_id.size()".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(&["+", "-", "*"][..]), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            // A constant divisor may be zero, which does not compile: the divisor is a field.
            (inner.clone(), prop::sample::select(&["/ mcc", "% customer_since_days"][..]))
                .prop_map(|(left, rest)| format!("({left} {rest})")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("(has(mcc) ? {one} : {other})")),
            inner.prop_map(|inner| format!("(-{inner})")),
        ]
    })
}

fn atom() -> impl Strategy<Value = String> {
    let relation = prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    prop_oneof![
        (number(), relation, number())
            .prop_map(|(left, relation, right)| format!("{left} {relation} {right}")),
        number().prop_map(|value| format!("{value} in [0, 1, 2, 5]")),
        number().prop_map(|value| format!("double({value}) / 2.0 > 0.75")),
        prop::sample::select(
            &[
                "has(mcc)",
                "challenge_possible",
                "flag.verify",
                "first_seen(card, \"2d\") < duration(\"2ms\")",
                "event_time - first_seen(card, \"2d\") == event_time",
                "channel == \"web\"",
                "channel != \"app\"",
                "channel in [\"web\", \"moto\"]",
                "issuer_country == billing_country",
                "merchant_id.lowerAscii().contains(\"a\")",
                "merchant_id.startsWith(\"A\")",
                "merchant_id in [\"A\", \"b\"]",
                "merchant_id.matches(\"^[a-c]+$\")",
                "merchant_id >= \"b\"",
                "merchant_id in list(\"texts\")",
                "mcc in list(\"numbers\")",
                "issuer_country in list(\"codes\")",
                "ip in cidrs(\"prefixes\")",
                "[\"a\", \"b\"].all(x, merchant_id.contains(x))",
                "true",
                "false",
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    atom().prop_recursive(4, 24, 3, |inner| {
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

/// The fields of a request, each there or not.
fn fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let choices: [(&str, &[&str]); 8] = [
        ("mcc", &["0", "1", "5"]),
        ("customer_since_days", &["0", "1", "2"]),
        ("device_age_days", &["3", "4294967295"]),
        ("merchant_id", &["A", "b", "aB"]),
        ("channel", &["web", "app", "moto"]),
        ("challenge_possible", &["true", "false"]),
        ("ip", &["192.0.2.1", "198.51.100.1", "2001:db8::1"]),
        ("issuer_country", &["SE", "NO"]),
    ];
    let each = choices.map(|(name, values)| {
        prop::option::weighted(0.7, prop::sample::select(values))
            .prop_map(move |value| value.map(|value| (name, value)))
    });
    (each, any::<bool>()).prop_map(|(fields, billing)| {
        fields.into_iter().flatten().chain(billing.then_some(("billing_country", "SE"))).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn closures_and_the_tree_come_to_the_same(
        conditions in prop::collection::vec(condition(), 1..4),
        requests in prop::collection::vec((fields(), prop::option::of(-1i64..4), any::<bool>()), 4),
    ) {
        let rules: String =
            ('a'..).zip(&conditions).map(|(id, when)| rule(&id.to_string(), when, "")).collect();
        let lists = [
            ("texts.txt", "a\n"),
            ("numbers.txt", "1\n5\n"),
            ("codes.txt", "SE\n"),
            ("prefixes.txt", "192.0.2.0/24\n2001:db8::/32\n"),
        ];
        let sources = sources(&[&format!("rules:\n{rules}")], &lists);
        let loaded = load_whatever(&sources);
        // Constants may overflow or be compared out of range: that is for the checker's own tests.
        let Some(set) = loaded.set else {
            let only_constants = loaded.diagnostics.iter().all(|finding| finding.code.text() == "E033");
            prop_assert!(only_constants, "{}", loaded.diagnostics[0].render_plain(&sources));
            return Ok(());
        };
        let mut hits = Hits::default();
        for (fields, count, flagged) in &requests {
            let reading = count.map_or(Reading::Absent, Reading::Exact);
            let age = count.map_or(Reading::Unknown, |count| Reading::Exact(count.max(0)));
            let readings = [
                ("card", 600_000, Measure::Count, reading),
                ("card", 172_800_000, Measure::FirstSeen, age),
            ];
            let flag = flagged.then_some(Wish::Verify);
            let stated = Stated { fields, readings: &readings, flag, ..Stated::default() };
            with_facts(&set, &stated, |facts| {
                set.evaluate_plainly(facts, NOON, &mut hits);
                let plain = [&hits.enforced, &hits.errors, &hits.shadow, &hits.shadow_errors].map(Vec::clone);
                set.evaluate(facts, NOON, &mut hits);
                let indexed = [&hits.enforced, &hits.errors, &hits.shadow, &hits.shadow_errors].map(Vec::clone);
                prop_assert_eq!(plain, indexed);
                let scene = Scene { facts, lists: &set.lists, now: NOON };
                for (at, rule) in set.rules.iter().enumerate() {
                    let truth = rule.condition.truth(scene);
                    // Alone, in a program of its own, and together with the others.
                    let mut program = Program::default();
                    let place = program.add(&rule.condition);
                    let mut answers = Answers::default();
                    answers.reset(&program);
                    prop_assert_eq!(program.truth(place, scene, &mut answers), truth, "{}", &rule.when);
                    prop_assert_eq!(hits.enforced.contains(&at), truth == crate::rules::Truth::True);
                    let failed = matches!(truth, crate::rules::Truth::Error(_));
                    prop_assert_eq!(hits.errors.contains(&at), failed);
                }
                Ok(())
            })?;
        }
    }
}
