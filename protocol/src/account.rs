//! Payment accounts with their scheme: `iban:`, `bban:`, `bg:`, `pg:`, `swish:`.
//!
//! The scheme is part of the key: the same digits are another account in another scheme.

use crate::identity::luhn_agrees;

/// The schemes, by their prefix on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// International bank account number (ISO 13616), electronic form, checksum mod 97.
    Iban,
    /// Swedish clearing number and account number: 8 to 15 digits.
    Bban,
    /// Bankgiro: 7 or 8 digits with a Luhn check digit.
    Bankgiro,
    /// Plusgiro: 2 to 8 digits with a Luhn check digit.
    Plusgiro,
    /// Swish: a company's number (10 digits from 123) or a phone number's digits in E.164 without `+`.
    Swish,
}

/// Checks an account as it travels: prefix, colon, and digits or an IBAN without spaces, in canonical form already.
/// Gives back the scheme; the text itself is the canonical form.
pub fn account(text: &str) -> Option<Scheme> {
    let (prefix, number) = text.split_once(':')?;
    let bytes = number.as_bytes();
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    let (scheme, spelled) = match prefix {
        "iban" => (Scheme::Iban, is_iban(number)),
        "bban" => (Scheme::Bban, digits && (8..=15).contains(&bytes.len())),
        "bg" => (Scheme::Bankgiro, digits && (7..=8).contains(&bytes.len()) && luhn_agrees(bytes)),
        "pg" => (Scheme::Plusgiro, digits && (2..=8).contains(&bytes.len()) && luhn_agrees(bytes)),
        "swish" => (Scheme::Swish, digits && is_swish(bytes)),
        _ => return None,
    };
    spelled.then_some(scheme)
}

/// Structure by the registry where the country is in it; otherwise length, characters and checksum alone, because
/// the registry grows and a valid account of a newer member must not become "malformed".
fn is_iban(text: &str) -> bool {
    let electronic = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let accepted = match text.parse::<iban::Iban>() {
        Ok(_) | Err(iban::ParseIbanError::UnknownCountry(_)) => true,
        Err(iban::ParseIbanError::InvalidBaseIban { .. } | iban::ParseIbanError::InvalidBban(_)) => false,
    };
    electronic && accepted
}

fn is_swish(digits: &[u8]) -> bool {
    (digits.len() == 10 && digits.starts_with(b"123"))
        || (digits[0] != b'0' && (7..=15).contains(&digits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::test_data;

    #[test]
    fn accounts_carry_their_scheme() {
        for (text, expected) in [
            ("iban:SE4550000000058398257466", Some(Scheme::Iban)),
            ("iban:SE4550000000058398257467", None),
            ("iban:SE45 5000 0000 0583 9825 7466", None),
            ("iban:se4550000000058398257466", None),
            ("bban:50001234567", Some(Scheme::Bban)),
            ("bban:5000-1234567", None),
            ("bg:59100019", None),
            ("bg:9912346", Some(Scheme::Bankgiro)),
            ("pg:28", None),
            ("pg:18", Some(Scheme::Plusgiro)),
            ("swish:1234567890", Some(Scheme::Swish)),
            ("swish:46701234567", Some(Scheme::Swish)),
            ("swish:0701234567", None),
            ("SE4550000000058398257466", None),
            ("card:4111", None),
            ("bg:", None),
        ] {
            assert_eq!(account(text), expected, "{text}");
        }
    }

    #[test]
    fn the_registry_examples_and_peers_cases_are_classified_alike() {
        let unproven = "agreement with the IBAN registry and a peer's cases";
        let Some(registry) = test_data("peer-tests/iban/iban_registry.jsonl", unproven) else { return };
        let Some(cases) = test_data("peer-tests/iban/iban_stdnum_cases.jsonl", unproven) else { return };
        let read = |path| std::fs::read_to_string(path).expect("readable");
        for line in read(registry).lines() {
            let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let example = entry["example"].as_str().expect("example");
            let legal = example.parse::<iban::BaseIban>().is_ok();
            // Countries outside SWIFT's registry have changed their structure since that file was made.
            if entry["in_swift_registry"] == true {
                assert_eq!(is_iban(example), legal, "{example}");
            }
        }
        for line in read(cases).lines() {
            let case: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let value = case["value"].as_str().expect("value").replace([' ', '-'], "");
            if case["mod97_ok"] == false {
                assert!(!is_iban(&value), "{value}");
            }
        }
    }
}
