//! Membership in lists of no, one and two entries, in every use, before and after they expire.

use super::*;

fn hits(condition: &str, lists: &[(&str, &str)], fields: &[(&str, &str)], now: Timestamp) -> bool {
    let set = set_of(&sources(&[&format!("rules:\n{}", rule("a", condition, ""))], lists));
    !evaluated(&set, &Stated { fields, now: Some(now), ..Stated::default() }).enforced.is_empty()
}

/// Condition, field, two entries; then values, and whether each entry alone holds them.
type Usage<'a> = (&'a str, &'a str, [&'a str; 2], &'a [(&'a str, bool, bool)]);

#[test]
fn a_list_holds_what_its_lines_say_whatever_its_use() {
    let uses: &[Usage<'_>] = &[
        (
            "email_domain in list(\"l\")",
            "email",
            ["Example.com", "example.net"],
            &[
                ("a@EXAMPLE.com", true, false),
                ("a@example.net", false, true),
                ("a@sub.example.com", false, false),
            ],
        ),
        ("mcc in list(\"l\")", "mcc", ["0742", "5732"], &[("742", true, false), ("5732", false, true)]),
        (
            "issuer_country in list(\"l\")",
            "issuer_country",
            ["SE", "NO"],
            &[("SE", true, false), ("NO", false, true), ("DK", false, false)],
        ),
        (
            "ip in cidrs(\"l\")",
            "ip",
            ["192.0.2.0/25", "2001:db8::/32"],
            &[("192.0.2.127", true, false), ("192.0.2.128", false, false), ("2001:db8::1", false, true)],
        ),
    ];
    for (condition, field, [one, other], values) in uses {
        let both = format!("# a comment\n{one} # made up\n\n{other}\n");
        for (value, in_one, in_other) in *values {
            let fields = [(*field, *value)];
            let hits = |text: &str| hits(condition, &[("l.txt", text)], &fields, NOON);
            assert!(!hits(""), "{condition} {value}: nothing is in an empty list");
            assert_eq!(hits(&format!("{one}\n")), *in_one, "{condition} {value} in {one}");
            assert_eq!(hits(&both), *in_one || *in_other, "{condition} {value} in both");
        }
        assert!(!hits(&format!("!({condition})"), &[("l.txt", one)], &[], NOON), "an absent value is absent");
    }
}

#[test]
fn an_entry_counts_until_its_last_day_is_over_and_the_longest_lived_line_wins() {
    let list = "value,expires,reason\nexample.com,2026-06-15,\"one, made up\"\nexample.net,,\nexample.org,2026-06-14,\n\
                example.org,2026-06-16,\n";
    let held = |domain: &str, now: &str| {
        let email = format!("a@{domain}");
        let now = Timestamp::parse(now).expect("a time");
        hits("email_domain in list(\"l\")", &[("l.csv", list)], &[("email", &email)], now)
    };
    assert!(held("example.com", "2026-06-15T21:59:59Z") && !held("example.com", "2026-06-15T22:00:00Z"));
    assert!(held("example.net", "2099-01-01T00:00:00Z"));
    assert!(held("example.org", "2026-06-16T12:00:00Z") && !held("example.org", "2026-06-16T22:00:00Z"));
}

#[test]
fn one_list_can_be_used_in_two_ways_and_must_fit_both() {
    let conditions = "mcc in list(\"l\") || merchant_id in list(\"l\")";
    assert!(hits(conditions, &[("l.txt", "5732\n")], &[("merchant_id", "5732")], NOON));
    assert!(hits(conditions, &[("l.txt", "5732\n")], &[("mcc", "5732")], NOON));
    let sources = sources(&[&format!("rules:\n{}", rule("a", conditions, ""))], &[("l.txt", "5732\nshop\n")]);
    let codes: Vec<_> = load(&sources).diagnostics.iter().map(|finding| finding.code.text()).collect();
    assert!(codes.contains(&"E012"), "{codes:?}");
}
