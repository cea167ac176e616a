//! What conditions come to, and which rules are asked at all.

use super::*;

/// What one condition comes to for a request: hit, miss, absent or failed. Absent and missed are told apart by
/// asking the condition's opposite as well.
fn comes_to(condition: &str, stated: &Stated<'_>) -> &'static str {
    let set = set_of_conditions(&[condition, &format!("!({condition})")]);
    let found = evaluated(&set, stated);
    match (found.enforced.iter().map(String::as_str).collect::<Vec<_>>()[..].first(), found.errors.len()) {
        (Some(&"a"), 0) => "true",
        (Some(&"b"), 0) => "false",
        (None, 0) => "absent",
        (None, 2) => "error",
        other => panic!("{condition}: {other:?}"),
    }
}

/// The fields that the tables below are about; `mcc` and `auth.method` are absent.
const FIELDS: &[(&str, &str)] = &[
    ("amount_minor", "5000"),
    ("channel", "web"),
    ("merchant_id", "Shop-1"),
    ("email", "Anna@Example.com"),
    ("customer_since_days", "0"),
    ("device_age_days", "4294967295"),
    ("challenge_possible", "true"),
    ("ip", "192.0.2.1"),
    ("event_time", "2026-06-15T12:00:00Z"),
    ("auth.time", "2026-06-15T11:58:30Z"),
    ("issuer_country", "SE"),
    ("billing_country", "NO"),
];

#[test]
fn conditions_come_to_what_their_words_say() {
    let stated = Stated {
        fields: FIELDS,
        readings: &[
            ("card", 600_000, Measure::Count, Reading::Exact(6)),
            ("card", 600_000, Measure::Sum, Reading::Capped(70_000)),
            ("[subject, merchant]", 3_600_000, Measure::Count, Reading::Exact(0)),
            ("card", 600_000, Measure::Marked(Mark::DeclinedBySparr), Reading::Exact(2)),
            ("card", 90 * 86_400_000, Measure::FirstSeen, Reading::Exact(5_400_000)),
            ("device", 86_400_000, Measure::FirstSeen, Reading::Unknown),
        ],
        flag: Some(Wish::Verify),
        ..Stated::default()
    };
    for (condition, expected) in [
        // Comparisons, in either order.
        ("amount_minor == 5000", "true"),
        ("amount_minor != 5000", "false"),
        ("5000 >= amount_minor", "true"),
        ("5000 < amount_minor", "false"),
        ("amount_minor in [1, 5000, 2]", "true"),
        ("amount_minor in [1, 2]", "false"),
        ("amount_base_minor == amount_minor", "true"),
        ("customer_since_days < 0.5", "true"),
        ("double(customer_since_days) / 0.0 > 1.0", "false"),
        ("-customer_since_days == 0", "true"),
        // Enumerations.
        ("channel == \"web\"", "true"),
        ("\"app\" == channel", "false"),
        ("channel in [\"app\", \"web\"]", "true"),
        ("issuer_country != billing_country", "true"),
        ("(issuer_country == \"SE\" ? billing_country : issuer_country) == \"NO\"", "true"),
        ("channel == (amount_minor > 1 ? \"web\" : \"app\")", "true"),
        // Truth values and flags.
        ("challenge_possible", "true"),
        ("challenge_possible == false", "false"),
        ("challenge_possible != (amount_minor > 1)", "false"),
        ("flag.verify", "true"),
        ("flag.deny", "false"),
        // Texts.
        ("merchant_id == \"Shop-1\"", "true"),
        ("merchant_id < \"Shop-2\"", "true"),
        ("merchant_id.startsWith(\"Shop\")", "true"),
        ("merchant_id.endsWith(\"2\")", "false"),
        ("merchant_id.contains(\"hop\")", "true"),
        ("merchant_id.lowerAscii() == \"shop-1\"", "true"),
        ("merchant_id.lowerAscii().upperAscii().matches(r\"^SHOP-\\d$\")", "true"),
        ("(amount_minor > 1 ? merchant_id : \"x\").size() == 6", "true"),
        ("size(\"åäö\") == 3", "true"),
        ("email_domain == \"example.com\"", "true"),
        ("merchant_id in [\"Shop-1\", \"Shop-2\"]", "true"),
        ("[\"x\", \"Shop\"].exists(word, merchant_id.startsWith(word))", "true"),
        ("[\"S\", \"Shop\"].all(word, merchant_id.startsWith(word))", "true"),
        ("[1, 2].all(n, [1, 5000].exists(m, amount_minor * n == m * n))", "true"),
        // Times.
        ("event_time - auth.time == duration(\"1m30s\")", "true"),
        ("auth.time + duration(\"90s\") >= event_time", "true"),
        ("event_time > timestamp(\"2026-06-15T13:59:59+02:00\")", "true"),
        ("hour == 14 && weekday == 1", "true"),
        // Windows.
        ("velocity(card, \"10m\").count > 5", "true"),
        ("velocity(card, \"10m\").sum / velocity(card, \"10m\").count > 10000", "true"),
        ("velocity([merchant, subject], \"1h\").count == 0", "true"),
        ("velocity(account, \"10m\").count > 5", "absent"),
        ("velocity(card, \"10m\").declined * 3 == velocity(card, \"10m\").count", "true"),
        ("velocity(card, \"10m\").declined_by_sparr > 2", "false"),
        ("first_seen(card) == duration(\"1h30m\")", "true"),
        ("event_time - first_seen(card) < timestamp(\"2026-06-15T11:00:00Z\")", "true"),
        ("first_seen(card) < duration(\"1h\") || first_seen(device, \"1d\") < duration(\"1h\")", "absent"),
        // Absence is absorbed like an error, and only like one.
        ("has(mcc)", "false"),
        ("has(amount_minor)", "true"),
        ("has(email)", "true"),
        ("mcc == 5732", "absent"),
        ("mcc != 5732", "absent"),
        ("!(mcc == 5732)", "absent"),
        ("mcc == 5732 && amount_minor > 1", "absent"),
        ("mcc == 5732 && amount_minor < 1", "false"),
        ("amount_minor < 1 && mcc == 5732", "false"),
        ("mcc == 5732 || amount_minor > 1", "true"),
        ("amount_minor < 1 || mcc == 5732", "absent"),
        ("has(mcc) && mcc == 5732", "false"),
        ("!has(mcc) || mcc == 5732", "true"),
        ("(mcc == 5732) == (mcc == 5732)", "absent"),
        ("mcc == 5732 ? true : true", "absent"),
        ("has(mcc) ? mcc == 5732 : amount_minor > 1", "true"),
        ("auth.method == \"bankid\"", "absent"),
        ("auth.method in [\"bankid\"]", "absent"),
        ("mcc in [1]", "absent"),
        ("domain.startsWith(\"x\")", "absent"),
        ("mcc + 1 > 0", "absent"),
        // Errors are stronger than absence, and absorbed all the same.
        ("amount_minor / customer_since_days > 1", "error"),
        ("amount_minor % customer_since_days > 1", "error"),
        ("device_age_days * device_age_days * device_age_days > 1", "error"),
        ("(amount_minor - 5000) - 9223372036854775807 - 2 < 0", "error"),
        ("-(0 - 9223372036854775807 - 1 + customer_since_days) > 0", "error"),
        ("mcc / customer_since_days > 1", "absent"),
        ("mcc > amount_minor / customer_since_days", "error"),
        ("amount_minor / customer_since_days > mcc", "error"),
        ("mcc == 1 && amount_minor / customer_since_days > 1", "error"),
        ("amount_minor / customer_since_days > 1 && amount_minor < 1", "false"),
        ("amount_minor / customer_since_days > 1 || amount_minor > 1", "true"),
        ("(amount_minor / customer_since_days > 1) == (mcc == 1)", "error"),
        ("(customer_since_days == 0 ? 1 : amount_minor / customer_since_days) == 1", "true"),
    ] {
        assert_eq!(comes_to(condition, &stated), expected, "{condition}");
    }
}

#[test]
fn hour_and_weekday_follow_the_zone_of_the_set() {
    let text = format!(
        "set:\n  time_zone: Pacific/Auckland\nrules:\n{}",
        rule("late", "hour == 0 && weekday == 2", "")
    );
    let set = set_of(&sources(&[&text], &[]));
    assert_eq!(evaluated(&set, &Stated::default()).enforced, ["late"]);
}

#[test]
fn amounts_are_converted_by_the_rates_of_the_set() {
    let text = format!(
        "set:\n  base_currency: SEK\n  rates: {{ date: 2026-11-01, EUR: \"11.5\" }}\nrules:\n{}",
        rule("large", "amount_base_minor >= 1150", "")
    );
    let set = set_of(&sources(&[&text], &[]));
    assert_eq!(set.rates_date().map(|day| day.to_string()).as_deref(), Some("2026-11-01"));
    let hits = |amount: &str, currency: &str| {
        let fields = [("amount_minor", amount), ("currency", currency)];
        evaluated(&set, &Stated { fields: &fields, ..Stated::default() }).enforced.len()
    };
    assert_eq!(
        (hits("100", "EUR"), hits("99", "EUR"), hits("1150", "SEK"), hits("9999", "USD")),
        (1, 0, 1, 0)
    );
}

#[test]
fn shadow_hits_and_shadow_errors_stand_apart_and_off_rules_stand_nowhere() {
    let modes = ["enforce", "shadow", "off"];
    let rules: String = modes
        .iter()
        .flat_map(|mode| {
            let rest = format!("mode: {mode}");
            [
                rule(&format!("{mode}-hit"), "amount_minor > 1", &rest),
                rule(&format!("{mode}-fail"), "1 / customer_since_days > 0", &rest),
            ]
        })
        .collect();
    let set = set_of(&sources(&[&format!("rules:\n{rules}")], &[]));
    let fields = [("amount_minor", "5"), ("customer_since_days", "0")];
    let stated = Stated { fields: &fields, ..Stated::default() };
    let expected = Named {
        enforced: vec!["enforce-hit".into()],
        shadow: vec!["shadow-hit".into()],
        errors: vec!["enforce-fail".into()],
        shadow_errors: vec!["shadow-fail".into()],
    };
    assert_eq!(evaluated(&set, &stated), expected);

    // Without time for shadows, what is enforced is the same.
    let mut hits = Hits::default();
    with_facts(&set, &stated, |facts| set.evaluate(facts, NOON, &mut hits));
    let enforced = (hits.enforced.clone(), hits.errors.clone());
    with_facts(&set, &stated, |facts| set.evaluate_enforced(facts, NOON, &mut hits));
    assert_eq!(
        (hits.enforced, hits.errors, hits.shadow, hits.shadow_errors),
        (enforced.0, enforced.1, vec![], vec![])
    );
}

#[test]
fn a_rule_is_asked_only_for_its_kinds_and_until_its_last_day_is_over() {
    let rules = [
        rule("kinds", "has(event_time)", "kinds: [refund, payout]"),
        rule("expires", "has(event_time)", "expires: 2026-06-15"),
    ];
    let set = set_of(&sources(&[&format!("rules:\n{}", rules.concat())], &[]));
    let at = |kind: &str, now: &str| {
        let fields = [("kind", kind)];
        let now = Timestamp::parse(now).expect("a time");
        evaluated(&set, &Stated { fields: &fields, now: Some(now), ..Stated::default() }).enforced
    };
    assert_eq!(at("refund", "2026-06-15T21:59:59Z"), ["kinds", "expires"]);
    assert_eq!(at("payout", "2026-06-15T22:00:00Z"), ["kinds"], "the day ended in Stockholm");
    assert_eq!(at("transfer", "2026-06-15T21:59:59Z"), ["expires"]);
    assert_eq!(set.expired(Timestamp::parse("2026-06-15T21:59:59Z").expect("a time")), []);
    let expired = set.expired(Timestamp::parse("2026-06-15T22:00:00Z").expect("a time"));
    assert_eq!(expired.iter().map(|finding| finding.code.text()).collect::<Vec<_>>(), ["W006"]);
}

#[test]
fn a_rollout_takes_the_same_payers_always_and_other_payers_for_another_rule() {
    let rules: String = [0, 10, 50, 90, 100]
        .iter()
        .map(|percent| rule(&format!("r-{percent}"), "has(event_time)", &format!("rollout: {percent}")))
        .chain([rule("other-50", "has(event_time)", "rollout: 50")])
        .collect();
    let set = set_of(&sources(&[&format!("rules:\n{rules}")], &[]));
    let taken = |token: &str, id: u8| {
        let fields = [("card_token", token)];
        let fields = if token.is_empty() { &[][..] } else { &fields[..] };
        evaluated(&set, &Stated { fields, id, ..Stated::default() }).enforced
    };
    let mut counts = std::collections::BTreeMap::new();
    let mut differ = 0;
    for payer in 0..1_000 {
        let token = format!("card-{payer}");
        let rules = taken(&token, 1);
        assert_eq!(rules, taken(&token, 2), "the payer decides, not the request");
        differ += usize::from(rules.contains(&"r-50".into()) != rules.contains(&"other-50".into()));
        rules.into_iter().for_each(|id| *counts.entry(id).or_insert(0) += 1);
    }
    for (id, low, high) in
        [("r-10", 60, 140), ("r-50", 440, 560), ("r-90", 860, 940), ("r-100", 1_000, 1_000)]
    {
        assert!((low..=high).contains(&counts[id]), "{id}: {}", counts[id]);
    }
    assert_eq!(counts.get("r-0"), None);
    assert!((400..=600).contains(&differ), "{differ}");

    // Where there is no payer, the request decides.
    let by_request: Vec<_> = (0..40).map(|id| taken("", id)).collect();
    assert!(by_request.iter().any(|rules| rules != &by_request[0]));
}

#[test]
fn an_explanation_tells_each_part_word_for_word() {
    let set = set_of_conditions(&[
        "amount_minor > 5000   // large\n  && (velocity(card, \"10m\").count > 2 || channel in [\"moto\"])",
        "[\"a\", \"b\"].exists(x, merchant_id.contains(x)) && event_time - auth.time < duration(\"10m\")",
    ]);
    let fields = [("amount_minor", "7000"), ("channel", "web"), ("auth.time", "2026-06-15T11:00:00Z")];
    let stated = Stated {
        fields: &fields,
        readings: &[("card", 600_000, Measure::Count, Reading::Exact(3))],
        ..Stated::default()
    };
    let explained = with_facts(&set, &stated, |facts| set.explain(facts, NOON));
    let told: Vec<String> = explained
        .iter()
        .flat_map(|rule| &rule.parts)
        .map(|part| format!("{}{} → {}", "  ".repeat(part.depth), part.text, part.value))
        .collect();
    assert_eq!(
        told,
        [
            "amount_minor > 5000 && (velocity(card, \"10m\").count > 2 || channel in [\"moto\"]) → true",
            "  amount_minor > 5000 → true",
            "    amount_minor → 7000",
            "  velocity(card, \"10m\").count > 2 || channel in [\"moto\"] → true",
            "    velocity(card, \"10m\").count > 2 → true",
            "      velocity(card, \"10m\").count → 3",
            "    channel in [\"moto\"] → false",
            "      channel → \"web\"",
            "[\"a\", \"b\"].exists(x, merchant_id.contains(x)) && event_time - auth.time < duration(\"10m\") → false",
            "  [\"a\", \"b\"].exists(x, merchant_id.contains(x)) → absent",
            "  event_time - auth.time < duration(\"10m\") → false",
            "    event_time - auth.time → 1h",
            "      event_time → 2026-06-15T12:00:00.000Z",
            "      auth.time → 2026-06-15T11:00:00.000Z",
        ]
    );
    assert_eq!(explained.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}
