//! Identities against the published test numbers, peers' test suites, and their own spellings.

use super::*;
use crate::testing::test_data;
use proptest::prelude::*;
use std::fs;

const TODAY: Date = Date::new(2026, 11, 22);

fn canonical(text: &str, kind: SubjectKind) -> Result<String, IdentityError> {
    Subject::parse(text, kind, None, TODAY)
        .map(|subject| String::from_utf8(subject.canonical().to_vec()).expect("ASCII"))
}

fn person(text: &str) -> Result<String, IdentityError> {
    canonical(text, SubjectKind::SePerson)
}

/// Numbers in this table are made of test numbers that Skatteverket publishes, or have a wrong check digit.
#[test]
fn spellings_and_refusals() {
    use IdentityError::*;
    for (text, expected) in [
        ("191212121212", Ok("p:191212121212")),
        ("19121212-1212", Ok("p:191212121212")),
        ("19121212+1212", Ok("p:191212121212")),
        ("121212+1212", Ok("p:191212121212")),
        ("121212-1212", Ok("p:201212121212")),
        ("1212121212", Ok("p:201212121212")),
        ("200002292399", Ok("p:200002292399")),
        ("000229-2399", Ok("p:200002292399")),
        ("197302889931", Ok("p:197302889931")),
        ("730288-9931", Ok("p:197302889931")),
        ("", Err(Length)),
        ("1212", Err(Length)),
        ("12121212121", Err(Length)),
        ("1912121212121", Err(Length)),
        ("19121212121a", Err(Character)),
        (" 191212121212", Err(Character)),
        ("191212121212 ", Err(Character)),
        ("19121212--1212", Err(Character)),
        ("1912-12121212", Err(Character)),
        ("１９１２１２１２１２１２", Err(Character)),
        ("191212121213", Err(Checksum)),
        ("000101-T220", Err(Interim)),
        ("20000101T220", Err(Interim)),
        ("190002292399", Err(Date)),
        ("191313121212", Err(Date)),
        ("191212321212", Err(Date)),
        ("191212921212", Err(Date)),
        ("209912121212", Err(Date)),
        ("201509160006", Err(Serial)),
        ("000229+2399", Err(Date)),
        ("20000229+2399", Err(Separator)),
        ("5560160680", Err(Organisation)),
    ] {
        assert_eq!(person(text).as_deref(), expected.as_ref().map(|text| *text), "{text:?}");
    }
}

#[test]
fn the_century_of_a_short_number_turns_with_the_calendar() {
    let born = |text: &str, today: Date| {
        let subject = Subject::parse(text, SubjectKind::SePerson, None, today).ok()?;
        Some((String::from_utf8_lossy(&subject.canonical()[2..6]).into_owned(), subject.age_years(today)))
    };
    for (text, today, expected) in [
        ("121212-1212", Date::new(2012, 12, 12), Some(("2012", Some(0)))),
        ("121212-1212", Date::new(2012, 12, 11), Some(("1912", Some(99)))),
        ("121212+1212", Date::new(2012, 1, 1), Some(("1912", Some(99)))),
        ("121212+1212", Date::new(2011, 12, 31), None),
    ] {
        let expected = expected.map(|(year, age)| (year.to_owned(), age));
        assert_eq!(born(text, today), expected, "{text} on {today}");
    }
}

#[test]
fn organisations_have_one_form_and_sole_traders_are_people() {
    let organisation = |text: &str| canonical(text, SubjectKind::SeOrganisation);
    for spelling in ["556016-0680", "5560160680", "165560160680", "SE556016068001"] {
        assert_eq!(organisation(spelling).as_deref(), Ok("o:5560160680"), "{spelling}");
    }
    assert_eq!(organisation("121212+1212"), person("19121212-1212"));
    assert_eq!(organisation("SE121212121201"), Err(IdentityError::Length), "the VAT form lost the century");
    assert_eq!(organisation("5560160681"), Err(IdentityError::Checksum));
    assert_eq!(organisation("556016+0680"), Err(IdentityError::Separator));
}

#[test]
fn foreign_identifiers_keep_their_country_and_lose_their_punctuation() {
    let foreign = |text: &str, country: &str| {
        Subject::parse(text, SubjectKind::Foreign, Country::parse(country), TODAY)
            .map(|subject| String::from_utf8_lossy(subject.canonical()).into_owned())
    };
    assert_eq!(foreign("131052-308t", "FI").as_deref(), Ok("f:FI:131052308T"));
    assert_eq!(foreign("131052308T", "FI"), foreign("13.10.52/308 t", "FI"));
    assert_ne!(foreign("131052308T", "FI"), foreign("131052308T", "EE"));
    assert_eq!(foreign("--", "FI"), Err(IdentityError::Foreign));
    assert_eq!(foreign("131052308T", "no country"), Err(IdentityError::Foreign));
    assert_eq!(foreign(&"1".repeat(33), "FI"), Err(IdentityError::Foreign));
    assert_eq!(foreign("131052+308Å", "FI"), Err(IdentityError::Character));
}

#[test]
fn every_published_test_number_is_accepted_in_every_spelling() {
    let unproven = "that every officially published test number is accepted";
    for (file, at_least) in
        [("skatteverket_test_personnummer.txt", 20_000), ("skatteverket_test_samordningsnummer.txt", 1_000)]
    {
        let Some(path) = test_data(&format!("peer-tests/se-identity/{file}"), unproven) else { return };
        let mut numbers = 0;
        for number in fs::read_to_string(path).expect("readable").lines() {
            let expected = Ok(format!("p:{number}"));
            let (date, last_four) = number.split_at(8);
            assert_eq!(person(number), expected, "line {numbers}");
            assert_eq!(person(&format!("{date}-{last_four}")), expected, "line {numbers}");
            let turns_100 = number[..4].parse::<u16>().expect("year") + 100 <= TODAY.year;
            let separator = if turns_100 { '+' } else { '-' };
            assert_eq!(person(&format!("{}{separator}{last_four}", &date[2..])), expected, "line {numbers}");
            assert_eq!(canonical(number, SubjectKind::SeOrganisation), expected, "line {numbers}");
            numbers += 1;
        }
        assert!(numbers >= at_least, "{file} has only {numbers} numbers");
    }
}

#[test]
fn peers_cases_are_classified_as_their_files_say() {
    let unproven = "agreement with the personnummer and organisationsnummer projects' cases";
    let read = |file: &str| {
        test_data(&format!("peer-tests/se-identity/{file}"), unproven)
            .map(|path| fs::read_to_string(path).expect("readable"))
    };
    let (Some(people), Some(organisations)) =
        (read("personnummer_meta_cases.jsonl"), read("organisationsnummer_meta_cases.jsonl"))
    else {
        return;
    };
    let cases = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    for case in cases(&people) {
        let kind = case["type"].as_str().expect("type");
        for form in ["long_format", "short_format", "separated_format", "separated_long"] {
            let Some(text) = case[form].as_str() else { continue };
            match kind {
                "ssn" | "con" if case["valid"] == true => {
                    let long = case["long_format"].as_str().expect("long form");
                    assert_eq!(person(text), Ok(format!("p:{long}")), "{form}");
                }
                "ssn" | "con" => assert!(person(text).is_err(), "{form}"),
                "interim" => assert_eq!(person(text), Err(IdentityError::Interim), "{form}"),
                "org" => {
                    assert_eq!(person(text), Err(IdentityError::Organisation), "{form}");
                    assert!(canonical(text, SubjectKind::SeOrganisation).is_ok(), "{form}");
                }
                other => panic!("a kind of case that this test does not know: {other}"),
            }
        }
    }
    for case in cases(&organisations) {
        let valid = case["valid"] == true;
        for form in ["input", "long_format"] {
            let text = case[form].as_str().expect("text");
            assert_eq!(canonical(text, SubjectKind::SeOrganisation).is_ok(), valid, "{form}");
        }
    }
}

/// Makes a number of twelve digits with the right check digit.
fn with_check_digit(mut digits: String) -> String {
    for check in b'0'..=b'9' {
        digits.push(check.into());
        if luhn_agrees(&digits.as_bytes()[2..]) {
            return digits;
        }
        digits.pop();
    }
    unreachable!("one of ten check digits agrees");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// P16: whatever is typed, one wrong digit is an error and never another person.
    #[test]
    fn one_wrong_digit_never_becomes_another_person(
        year in 1900u16..2026, month in 1u8..=12, day in 1u8..=28, serial in 1u16..1000, at in 0usize..12, wrong in 0u8..10
    ) {
        let number = with_check_digit(format!("{year:04}{month:02}{day:02}{serial:03}"));
        prop_assert_eq!(person(&number), Ok(format!("p:{number}")));
        let mut bytes = number.clone().into_bytes();
        bytes[at] = b'0' + wrong;
        let mistyped = String::from_utf8(bytes).expect("ASCII");
        // The check digit does not cover the century, so two centuries are two people there.
        if mistyped != number && at >= 2 {
            prop_assert!(person(&mistyped).is_err());
        }
    }

    /// Nothing panics, and nothing that is accepted has more than one canonical form.
    #[test]
    fn any_text_is_an_identity_or_an_error(text in "[0-9A-Za-z+\\-. /å１]{0,20}") {
        for kind in SubjectKind::ALL {
            if let Ok(subject) = Subject::parse(&text, *kind, Country::parse("SE"), TODAY) {
                let canonical = subject.canonical();
                if canonical.starts_with(b"p:") {
                    let digits = std::str::from_utf8(&canonical[2..]).expect("ASCII");
                    prop_assert_eq!(person(digits), Ok(format!("p:{digits}")));
                }
            }
        }
    }
}
