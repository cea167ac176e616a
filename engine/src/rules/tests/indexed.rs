//! The index leaves out only rules that can neither hit nor fail: many rules of few values, against asking all of them.

use super::*;
use proptest::prelude::*;

/// Conjunctions and disjunctions over few values, so that tables are shared by many rules.
fn condition() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        ((-1i64..12), prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]))
            .prop_map(|(value, relation)| format!("mcc {relation} {value}")),
        ((0i64..600), prop::sample::select(&["<", ">="][..]))
            .prop_map(|(value, relation)| format!("customer_since_days {relation} {value}")),
        (0i64..4).prop_map(|value| format!("velocity(card, \"10m\").count > {value}")),
        prop::collection::vec(0i64..9, 1..4).prop_map(|among| format!("mcc in {among:?}")),
        (1i64..4).prop_map(|value| format!("mcc % customer_since_days == {value}")),
        (1i64..4).prop_map(|value| format!("(has(mcc) ? mcc : customer_since_days) > {value}")),
        prop::sample::select(
            &[
                "channel == \"web\"",
                "channel != \"web\"",
                "channel in [\"app\", \"moto\"]",
                "merchant_id == \"a\"",
                "merchant_id != \"b\"",
                "merchant_id.lowerAscii() in [\"a\", \"c\"]",
                "merchant_id.contains(\"a\")",
                "has(mcc)",
                "challenge_possible",
                "flag.verify",
                "issuer_country == billing_country",
                "issuer_country == \"SE\"",
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    atom.prop_recursive(3, 10, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..5).prop_map(|terms| format!("({})", terms.join(" && "))),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|terms| format!("({})", terms.join(" || "))),
            1 => inner.clone().prop_map(|inner| format!("!({inner})")),
            1 => (inner.clone(), inner.clone(), inner)
                .prop_map(|(test, one, other)| format!("(({test}) ? ({one}) : ({other}))")),
        ]
    })
}

fn fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let choices: [(&str, &[&str]); 7] = [
        ("mcc", &["0", "1", "3", "5", "8", "11", "9999"]),
        ("customer_since_days", &["0", "1", "2", "77", "300", "599", "5000"]),
        ("merchant_id", &["A", "a", "b", "c", "Xa"]),
        ("channel", &["web", "app", "moto", "pos"]),
        ("challenge_possible", &["true", "false"]),
        ("issuer_country", &["SE", "NO"]),
        ("billing_country", &["SE", "DK"]),
    ];
    choices
        .map(|(name, values)| {
            prop::option::weighted(0.8, prop::sample::select(values))
                .prop_map(move |value| value.map(|value| (name, value)))
        })
        .prop_map(|fields| fields.into_iter().flatten().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_index_and_asking_all_rules_find_the_same(
        conditions in prop::collection::vec((condition(), 0u8..4), 1..300),
        requests in prop::collection::vec((fields(), prop::option::of(0i64..5), any::<bool>()), 40),
    ) {
        let rules: String = conditions
            .iter()
            .enumerate()
            .map(|(at, (when, kind))| {
                let rest = ["mode: shadow", "kinds: [transfer]", "rollout: 40", ""][usize::from(*kind)];
                rule(&format!("r-{at}"), when, rest)
            })
            .collect();
        let set = set_of(&sources(&[&format!("rules:\n{rules}")], &[]));
        let (mut plain, mut indexed) = (Hits::default(), Hits::default());
        for (id, (fields, count, flagged)) in (0u8..).zip(&requests) {
            let reading = count.map_or(Reading::Absent, Reading::Exact);
            let readings = [("card", 600_000, Measure::Count, reading)];
            let flag = flagged.then_some(Wish::Verify);
            let stated = Stated { fields, readings: &readings, flag, id, ..Stated::default() };
            with_facts(&set, &stated, |facts| {
                set.evaluate_plainly(facts, NOON, &mut plain);
                set.evaluate(facts, NOON, &mut indexed);
            });
            prop_assert_eq!(&plain.enforced, &indexed.enforced, "{:?}", fields);
            prop_assert_eq!(&plain.errors, &indexed.errors, "{:?}", fields);
            prop_assert_eq!(&plain.shadow, &indexed.shadow, "{:?}", fields);
            prop_assert_eq!(&plain.shadow_errors, &indexed.shadow_errors, "{:?}", fields);
        }
    }
}

/// More stretches than a table has: what they decide together is asked again.
#[test]
fn thousands_of_limits_on_one_field_stay_exact() {
    let rules: String = (0..2_000)
        .map(|at| rule(&format!("r-{at}"), &format!("customer_since_days >= {}", at * 3), ""))
        .collect();
    let set = set_of(&sources(&[&format!("rules:\n{rules}")], &[]));
    let mut hits = Hits::default();
    for days in [0i64, 1, 2, 3, 2_999, 3_000, 5_996, 5_997, 9_000] {
        let text = days.to_string();
        let fields = [("customer_since_days", text.as_str())];
        with_facts(&set, &Stated { fields: &fields, ..Stated::default() }, |facts| {
            set.evaluate(facts, NOON, &mut hits);
        });
        let expected = usize::try_from(days / 3 + 1).expect("few").min(2_000);
        assert_eq!(hits.enforced, (0..expected).collect::<Vec<_>>(), "{days}");
    }
}
